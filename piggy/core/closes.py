"""Closes: all that an account holds, or a part of it that one word says, closed by one request.

Each position is closed by an order of its own, which the gate judges and routing sends after its position's book as it
would one that its client sent; one that may not be closed now stands in no other's way. The request is one message of
its account's (P-14), however many orders come of it: what asks of the account's pace is asked of it once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.closing import closing_terms
from piggy.core.execution import Execution
from piggy.core.funds import closing_price
from piggy.core.gatekeeping import admit
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import CLOSE_ALL, OrderState
from piggy.core.placing import latched, take_on
from piggy.core.position_commands import ClosePositions, Which
from piggy.core.position_events import ON_ITS_WAY, PositionClose, PositionsClosed
from piggy.core.positions import Position
from piggy.core.triggering import keep_guarantees, owed_lots

Events = list[ev.AnyEvent]
CLOSES_MAX = 200
# How fast the account sends, deals and is refused: the same for every order of one request.
OF_THE_REQUEST = frozenset({"P-14", "P-15", "P-16"})


def close_positions(*, command: ClosePositions, moment: Moment) -> Events:
    """Close what is asked for, at most CLOSES_MAX positions, and tell of each what became of it."""
    state, execution = moment.state, Execution(moment=moment)
    if command.account_id not in state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if command.symbol and command.symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {command.symbol}")]
    wanted, closes = _wanted(command, moment), list[PositionClose]()
    for position in wanted[:CLOSES_MAX]:
        if command.which is not Which.ALL and _gain(position, moment) is None:
            closes.append(_no_order(position, "NO_PRICE", "without a price it neither gains nor loses"))
            continue
        # As whoever else closes a position: what a guaranteed stop is owed by now, it gets.
        keep_guarantees(account_id=command.account_id, symbol=position.symbol, execution=execution)
        made = _close(position, execution)
        if isinstance(made, ev.Verdict):
            return _not_heard(command, made)
        closes.append(made)
    if (verdict := _too_fast(wanted, closes, moment)) is not None:
        return _not_heard(command, verdict)
    events = settled(execution=execution)
    left = max(0, len(wanted) - CLOSES_MAX)
    return [*events, _told(command, closes=_as_left(closes, events), left=left)]


def _wanted(command: ClosePositions, moment: Moment) -> list[Position]:
    """Return the positions that are meant, by id; one without a price is meant either way, and told so."""
    held = (moment.state.positions[each] for each in sorted(moment.state.positions_of.get(command.account_id, ())))
    asked = (position for position in held if position.position_id > command.after)
    found = [position for position in asked if command.symbol in ("", position.symbol)]
    if command.which is Which.ALL:
        return found
    sign = 1 if command.which is Which.PROFITABLE else -1
    gains = ((position, _gain(position, moment)) for position in found)
    return [position for position, gain in gains if gain is None or gain * sign > 0]


def _gain(position: Position, moment: Moment) -> Decimal | None:
    """Return what closing a position now would bring, in lots times price; its sign is what is asked for."""
    price = closing_price(state=moment.state, position=position, marks=moment.marks)
    return None if price is None else position.quantity * price - position.cost


def _close(position: Position, execution: Execution) -> PositionClose | ev.Verdict:
    """Close what can be closed of a position; a verdict where its account may not be heard at all now."""
    left = execution.position(position.position_id)
    owed = owed_lots(position=position, execution=execution)
    lots = left.lots - execution.under_way(position=left) - owed if left else ZERO
    if lots <= 0:
        return _no_order(position, ON_ITS_WAY, "orders have all of it on its way out already")
    terms, order_id = closing_terms(position=position, lots=lots, tag=CLOSE_ALL), execution.new_order_id()
    admission = admit(order_id=order_id, terms=terms, moment=execution.moment)
    verdict = admission.verdict
    told = PositionClose(position_id=position.position_id, symbol=position.symbol, order_id=order_id, lots=lots)
    if verdict.passed:
        take_on(order_id=order_id, terms=terms, source=CLOSE_ALL, admission=admission, execution=execution)
        return msgspec.structs.replace(told, state=OrderState.WORKING)
    if any(check.code in OF_THE_REQUEST for check in verdict.reasons):
        return verdict
    execution.events.append(ev.OrderDenied(order_id=order_id, terms=terms, source=CLOSE_ALL, verdict=verdict))
    return msgspec.structs.replace(told, reasons=verdict.reasons)


def _too_fast(wanted: list[Position], closes: list[PositionClose], moment: Moment) -> ev.Verdict | None:
    """Return the verdict on a request of which no order came, so that the gate was not asked, if it comes too fast."""
    if not wanted or any(close.order_id for close in closes):
        return None
    terms = closing_terms(position=wanted[0], lots=wanted[0].lots, tag=CLOSE_ALL)
    verdict = admit(order_id="", terms=terms, moment=moment).verdict
    return verdict if any(check.code in OF_THE_REQUEST for check in verdict.reasons) else None


def _as_left(closes: list[PositionClose], events: Events) -> tuple[PositionClose, ...]:
    """Return what is told of each once all that the request brought about is known."""
    by_order = {close.order_id: close for close in closes}
    for event in events:
        close = by_order.get(getattr(event, "order_id", ""))
        if close is not None and close.order_id:
            by_order[close.order_id] = _after(close, event)
    return tuple(by_order[close.order_id] if close.order_id else close for close in closes)


def _after(close: PositionClose, event: ev.AnyEvent) -> PositionClose:
    if isinstance(event, ev.OrderFilled):
        filled = close.filled + event.quantity
        average = (close.filled * close.average_price + event.quantity * event.price) / filled
        state = OrderState.FILLED if filled == close.lots else OrderState.PARTIALLY_FILLED
        return msgspec.structs.replace(close, filled=filled, average_price=average, state=state)
    if isinstance(event, ev.ChildOrderCreated):
        return msgspec.structs.replace(close, state=OrderState.ROUTED)
    if isinstance(event, ev.OrderHeld):
        return msgspec.structs.replace(close, state=OrderState.WITH_DEALER)
    if isinstance(event, ev.OrderCancelled):
        why = ev.Check(code=event.outcome.upper(), passed=False, text=event.reason)
        return msgspec.structs.replace(close, state=OrderState(event.outcome), reasons=(why,))
    return close


def _not_heard(command: ClosePositions, verdict: ev.Verdict) -> Events:
    """Return what is recorded of a request that comes too fast: nothing of it is done, and it counts as one."""
    reasons = tuple(check for check in verdict.reasons if check.code in OF_THE_REQUEST)
    text = "; ".join(check.text for check in reasons)
    refused = ev.CommandRefused(code=reasons[0].code, field="account_id", text=text, reasons=reasons)
    told = _told(command, refused=reasons)
    return [refused, told, *latched(verdict=verdict, account_id=command.account_id)]


def _told(command: ClosePositions, **became: Any) -> PositionsClosed:
    """Return the record of the request, with what became of it."""
    return PositionsClosed(
        account_id=command.account_id,
        symbol=command.symbol,
        which=command.which,
        by=command.by,
        reason=command.reason,
        **became,
    )


def _no_order(position: Position, code: str, text: str) -> PositionClose:
    why = ev.Check(code=code, passed=False, text=text)
    return PositionClose(position_id=position.position_id, symbol=position.symbol, reasons=(why,))


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
