"""What-if: what an order, a change of one, or a close would do to its account, found out without doing it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.amending import amend, changed
from piggy.core.answers import WhatIf
from piggy.core.closing import closing_terms
from piggy.core.commands import AmendOrder, AskAmendment, AskWhatIf
from piggy.core.events import AmendmentDenied, AnyEvent, Check, CommandRefused, OrderAmended, OrderFilled, Verdict
from piggy.core.execution import Execution
from piggy.core.gate import GateContext
from piggy.core.gatekeeping import admit, context_of, reference_price
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.option_margin import option_margin
from piggy.core.orders import OrderTerms
from piggy.core.position_commands import AskClose
from piggy.core.state import Order, proposed_order

Asked = AskWhatIf | AskAmendment | AskClose


def what_if(*, terms: OrderTerms, moment: Moment) -> WhatIf:
    """Return what the order would bind, what it would leave free, and the gate's verdict; nothing is decided."""
    verdict = admit(order_id="", terms=terms, moment=moment).verdict
    return _found_out(terms=terms, verdict=verdict, moment=moment)


def closed_if(*, command: AskClose, moment: Moment) -> WhatIf | CommandRefused:
    """Return what an order that closes so much of a position at the market would do; refused where it is not held."""
    position = moment.state.positions.get(command.position_id)
    if position is None or position.account_id != command.account_id:
        return CommandRefused(code="POSITION_UNKNOWN", field="position_id", text="no such position in this account")
    lots = position.lots if command.lots is None else command.lots
    return what_if(terms=closing_terms(position=position, lots=lots, tag=""), moment=moment)


def amended_if(*, change: AmendOrder, moment: Moment) -> WhatIf | CommandRefused:
    """Return what the change would do, by what would be decided of it now; refused where nothing can be changed."""
    refused, verdict, eased = None, None, False
    for event in amend(command=change, moment=moment):
        if isinstance(event, CommandRefused):
            refused = event
        elif isinstance(event, AmendmentDenied | OrderAmended) and event.verdict is not None:
            # The desk's own changes, of other orders or by what it met, have no verdict and are no answer.
            verdict, eased = event.verdict, isinstance(event, OrderAmended) and event.margin_reserved is None
    if verdict is None:
        assert refused is not None, "what is not judged is refused"
        return refused
    if refused is not None and verdict.passed:  # For what the gate does not ask: it would take, and never is to.
        check = Check(code=refused.code, passed=False, text=refused.text)
        verdict = msgspec.structs.replace(verdict, checks=(*verdict.checks, check))
    order = moment.state.orders[change.order_id]
    terms = changed(order=order, command=change)
    found = _found_out(terms=terms, verdict=verdict, moment=moment, replaces=order)
    return _no_dearer(found, order.margin_per_lot * (terms.quantity - order.filled)) if eased else found


def ask(*, command: Asked, moment: Moment) -> list[AnyEvent]:
    """Decide nothing: the question is answered beside the log."""
    return []


def _found_out(*, terms: OrderTerms, verdict: Verdict, moment: Moment, replaces: Order | None = None) -> WhatIf:
    """Return the verdict with what the terms would bind, set free, hold and expose at prices of now."""
    account, instrument = moment.state.accounts.get(terms.account_id), moment.state.instruments.get(terms.symbol)
    if account is None or instrument is None or account.group not in moment.state.groups:
        return WhatIf(required=None, free_before=None, free_after=None, verdict=verdict)
    context = context_of(terms=terms, account=account, instrument=instrument, moment=moment, replaces=replaces)
    required, free = context.margin_required, moment.free_margin(account.account_id)
    told = WhatIf(required=required, free_before=free, free_after=None, verdict=verdict)
    if required is None:
        return told
    price = reference_price(context=context, moment=moment)
    assert price is not None, "what binds has a price"
    assert context.notional is not None, "and is worth something"
    released, realised = _set_free(context=context, price=price, moment=moment)
    if replaces is not None:
        released += replaces.margin_per_lot * replaces.leaves
    unit, net = context.notional / terms.quantity, context.position_net
    after = net + terms.side.sign * _lots(context)
    return msgspec.structs.replace(
        told,
        required=required,
        free_after=None if free is None else free + released - required,
        released=released,
        realised=realised,
        lots_before=net,
        lots_after=after,
        exposure_before=abs(net) * unit,
        exposure_after=abs(after) * unit,
    )


def _no_dearer(found: WhatIf, share: Decimal) -> WhatIf:
    """Return it with no more bound than the `share` of what was: what only takes away keeps what its lots bind."""
    if found.required is None or found.required <= share:
        return found
    after = None if found.free_after is None else found.free_after + found.required - share
    return msgspec.structs.replace(found, required=share, free_after=after)


def _lots(context: GateContext) -> Decimal:
    """Return the lots that would deal: what only reduces deals no more than there is."""
    if not (context.reduces or context.terms.reduce_only):
        return context.open_lots
    return min(context.open_lots, abs(context.position_net if context.closable is None else context.closable))


def _set_free(*, context: GateContext, price: Decimal, moment: Moment) -> tuple[Decimal, Decimal | None]:
    """Return the margin that dealing what closes would set free, and what it would bring; nothing of what opens.

    It is filled beside the state, as any fill is decided, and then forgotten.
    """
    lots = _lots(context)
    if not context.reduces or not lots:
        return ZERO, None
    terms, account_id = context.terms, context.account.account_id
    order = proposed_order(
        order_id="", terms=terms, source="", group=context.group.name, at_us=moment.now_us, seq=moment.state.seq
    )
    execution = Execution(moment=moment)
    execution.fill(order=order, quantity=lots, raw=price, price=price, book="B", counterparty="", reason="")
    dealt = next(event for event in execution.events if isinstance(event, OrderFilled))
    released = moment.state.margins.get((account_id, terms.symbol), ZERO) - (dealt.symbol_margin or ZERO)
    option = context.instrument.option
    if option and option.underlying in moment.state.option_models:  # Any other binds its percent, as above.
        before = moment.option_margin(account_id)
        after = option_margin(
            state=moment.state, account_id=account_id, marks=moment.marks, pairs=moment.pairs,
            extra=(terms.symbol, terms.side.sign * lots),
        )  # fmt: skip
        assert before is not None, "what it would bind is known, off the same prices"
        assert after is not None, "as is what is left"
        released += max(ZERO, before - after)
    return released, dealt.realised
