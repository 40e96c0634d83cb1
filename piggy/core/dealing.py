"""Dealing: orders that a routing rule gives to a dealer, and what a dealer may do with them.

What keeps it fair to both sides is here and not on a screen. An order is filled at the price its client asked for or at
the market as it is now, whichever way that went; a price that is better for the client than what was asked for is the
client's. A requote is only for a market that went away, never worse than the market, firm, and at most three times.
"The price moved" and "off quotes" are reasons only where they are true. Whoever has an order in hand answers it alone,
and time answers when nobody does. Stop-outs, exits, triggered orders and what closes a position covered at venues
never wait: they are nobody's to think over.
"""

from __future__ import annotations

import copy
from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.dealer_commands import DealAt, RejectReason
from piggy.core.dealer_events import DealerOutcome
from piggy.core.execution import Execution, position_id_of
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OF_A_POSITION, OrderState, OrderTerms, OrderType
from piggy.core.pricing import at_least_as_good, worst_price
from piggy.core.quotefilter import PRICE_MAX
from piggy.core.routing_rules import Treatment
from piggy.core.standing import FLATTEN, dealable_lots, is_stopped
from piggy.core.state import Held, Order, State
from piggy.core.working import PAIRED, carry_out, plan, street_price, treatment_of

Events = list[ev.AnyEvent]
CLAIM_US = 30 * 1_000_000
REQUOTES_MAX = 3
REQUOTE_MS_MIN, REQUOTE_MS_MAX = 1_000, 30_000
NEVER_HELD = (*OF_A_POSITION, FLATTEN, "stop_out")


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is to wait: how its rule treats it, and the price that its client would deal at now."""

    treated: Treatment
    price: Decimal


def hold_for(*, order: Order, moment: Moment) -> Hold | None:
    """Return how an order that just came waits for a dealer, None for one that does not."""
    terms, policy = order.terms, moment.state.policy
    if policy is None or not any(rule.dealer for rule in policy.rules) or order.source in NEVER_HELD:
        return None
    if terms.type not in (OrderType.MARKET, OrderType.LIMIT) or terms.post_only or _is_stopped(order, moment):
        return None
    treated, price = treatment_of(terms=terms, moment=moment), street_price(terms=terms, moment=moment)
    if treated.dealer is None or price is None or not _inside(price, terms):
        return None
    position = moment.state.positions.get(position_id_of(account=moment.account(terms.account_id), order=order))
    if position is not None and position.side is not terms.side and position.a_lots:
        return None
    return Hold(treated=treated, price=price)


def held_events(*, order: Order, accepted: ev.OrderAccepted, hold: Hold, now_us: int) -> Events:
    """Return what is recorded of an order that now waits for a dealer."""
    wait = hold.treated.dealer
    assert wait is not None, "only a rule with a dealer holds an order"
    routing = msgspec.structs.replace(
        accepted.routing,
        rule=hold.treated.rule,
        version=hold.treated.version,
        mode="DEALER",
        text=f"waits for a dealer at {hold.price}",
    )
    expires_at_us = now_us + wait.timeout_s * 1_000_000
    held = ev.OrderHeld(
        order_id=order.order_id, price=hold.price, expires_at_us=expires_at_us, passes_on=wait.passes_on
    )
    return [msgspec.structs.replace(accepted, routing=routing), held]


def claim(*, command: cmd.ClaimOrder, moment: Moment) -> Events:
    """Take an order in hand for half a minute; claiming again lengthens it."""
    found = _in_hand(order_id=command.order_id, by=command.by, moment=moment)
    if isinstance(found, ev.CommandRefused):
        return [found]
    return [ev.OrderClaimed(order_id=command.order_id, by=command.by, until_us=moment.now_us + CLAIM_US)]


def fill_by_dealer(*, command: cmd.FillByDealer, moment: Moment) -> Events:
    """Fill the order at what was asked for (or better), or at the market as it is now."""
    found = _in_hand(order_id=command.order_id, by=command.by, moment=moment, deals=True)
    if isinstance(found, ev.CommandRefused):
        return [found]
    order = moment.state.orders[command.order_id]
    market = street_price(terms=order.terms, moment=moment)
    if market is None:
        return [_refused("OFF_QUOTES", "at", "there is no price to hold the fill against")]
    price = market if command.at is DealAt.MARKET else _better(found.price, market, order)
    if not _inside(price, order.terms) or not _bearable(price, found, order, moment):
        return [_refused("MOVED_TOO_FAR", "at", f"the market is at {market}, {found.price} was asked for: requote")]
    return _deal(
        found, order, price, moment, by=command.by, outcome=DealerOutcome.FILLED, reason=f"at {command.at.value}"
    )


def requote(*, command: cmd.RequoteOrder, moment: Moment) -> Events:
    """Offer another price where the market went away from what was asked for."""
    found = _in_hand(order_id=command.order_id, by=command.by, moment=moment, deals=True)
    if isinstance(found, ev.CommandRefused):
        return [found]
    order = moment.state.orders[command.order_id]
    market = street_price(terms=order.terms, moment=moment)
    if fault := _requote_fault(command, found, order, market, moment):
        return [fault]
    assert market is not None, "off quotes is a fault"
    return [
        ev.OrderRequoted(
            order_id=order.order_id,
            by=command.by,
            price=command.price,
            market=market,
            reason=command.reason,
            valid_until_us=moment.now_us + command.valid_ms * 1_000,
        )
    ]


def answer_requote(*, command: cmd.AnswerRequote, moment: Moment) -> Events:
    """The client takes the price offered, or a better one that the market has by now; or lets it go."""
    held, order = moment.state.held.get(command.order_id), moment.state.orders.get(command.order_id)
    if held is None or order is None or order.terms.account_id != command.account_id:
        return [_refused("NOT_WITH_DEALER", "order_id", "no such order of this account waits for a dealer")]
    if held.requote is None or moment.now_us >= held.expires_at_us:
        return [_refused("REQUOTE_OVER", "order_id", "no price is offered any more")]
    if not command.accept:
        outcome = DealerOutcome.REQUOTE_DECLINED
        return _end(held, order, moment, by=command.account_id, outcome=outcome, reason="the requote was declined")
    if _is_stopped(order, moment):
        return [_refused("HALTED", "order_id", "trading is stopped")]
    if Execution(moment=moment).waits(order):
        return [_refused("PAIRED", "order_id", PAIRED)]
    market = street_price(terms=order.terms, moment=moment)
    price = held.requote if market is None else _better(held.requote, market, order)
    outcome = DealerOutcome.REQUOTE_ACCEPTED
    return _deal(held, order, price, moment, by=command.account_id, outcome=outcome, reason="at the requote")


def pass_on(*, command: cmd.PassOrderOn, moment: Moment) -> Events:
    """Route the order as its rule says for an order that nobody holds."""
    found = _in_hand(order_id=command.order_id, by=command.by, moment=moment, deals=True)
    if isinstance(found, ev.CommandRefused):
        return [found]
    execution = Execution(moment=moment)
    _route(held=found, by=command.by, outcome=DealerOutcome.PASSED_ON, execution=execution)
    return settled(execution=execution)


def reject_by_dealer(*, command: cmd.RejectByDealer, moment: Moment) -> Events:
    """Refuse the order for a reason that is recorded, and true where it can be checked."""
    found = _in_hand(order_id=command.order_id, by=command.by, moment=moment)
    if isinstance(found, ev.CommandRefused):
        return [found]
    order = moment.state.orders[command.order_id]
    market = street_price(terms=order.terms, moment=moment)
    if command.reason is RejectReason.PRICE_MOVED and (market is None or not _worse(market, found.price, order)):
        return [_refused("REASON_UNTRUE", "reason", f"the market is at {market}: it did not move against the house")]
    if command.reason is RejectReason.OFF_QUOTES and market is not None:
        return [_refused("REASON_UNTRUE", "reason", f"the market is at {market}")]
    reason = f"{command.reason.value}: {command.text}" if command.text else command.reason.value
    return _end(found, order, moment, by=command.by, outcome=DealerOutcome.REJECTED, reason=reason)


def is_overdue(*, state: State, now_us: int) -> bool:
    """Return whether time is to answer for somebody."""
    return any(now_us >= held.expires_at_us for held in state.held.values())


def answer_overdue(*, execution: Execution) -> None:
    """Answer for dealers and clients who took too long: pass the order on where its rule says so, else let it go."""
    moment = execution.moment
    for held in [held for held in moment.state.held.values() if moment.now_us >= held.expires_at_us]:
        order = moment.state.orders[held.order_id]
        if execution.leaves(order) <= 0:
            continue
        if held.requote is None and held.passes_on and not _is_stopped(order, moment):
            _route(held=held, by="", outcome=DealerOutcome.TIMED_OUT, execution=execution)
            continue
        offered = held.requote is not None
        outcome = DealerOutcome.REQUOTE_EXPIRED if offered else DealerOutcome.TIMED_OUT
        reason = "the requote was not answered in time" if offered else "no dealer answered in time"
        execution.events.append(_decided(held, moment, by="", outcome=outcome, reason=reason))
        execution.cancel(order=order, outcome="rejected", reason=reason)


def _in_hand(*, order_id: str, by: str, moment: Moment, deals: bool = False) -> Held | ev.CommandRefused:
    """Return the order that this dealer may answer now, or why not; `deals` asks for a market that is not stopped."""
    held = moment.state.held.get(order_id)
    if held is None:
        return _refused("NOT_WITH_DEALER", "order_id", "no such order waits for a dealer")
    if not by:
        return _refused("DEALER_UNKNOWN", "by", "who answers an order is recorded")
    if held.claimed_by not in ("", by) and moment.now_us < held.claimed_until_us:
        return _refused("CLAIMED", "by", f"{held.claimed_by} has it in hand")
    if held.requote is not None:
        return _refused("REQUOTED", "order_id", "the client has a firm price in hand")
    if moment.now_us >= held.expires_at_us:
        return _refused("TIME_IS_UP", "order_id", "its time to be answered is over")
    if deals and _is_stopped(moment.state.orders[order_id], moment):
        return _refused("HALTED", "order_id", "trading is stopped")
    if deals and Execution(moment=moment).waits(moment.state.orders[order_id]):
        return _refused("PAIRED", "order_id", PAIRED)
    return held


def _requote_fault(
    command: cmd.RequoteOrder, held: Held, order: Order, market: Decimal | None, moment: Moment
) -> ev.CommandRefused | None:
    price, tick = command.price, moment.instrument(order.terms.symbol).tick_size
    if not (price.is_finite() and ZERO < price <= PRICE_MAX) or price % tick:
        return _refused("PRICE_INVALID", "price", f"a price above nothing, a multiple of {tick}")
    if not command.reason:
        return _refused("REASON_MISSING", "reason", "why is recorded")
    if not REQUOTE_MS_MIN <= command.valid_ms <= REQUOTE_MS_MAX:
        return _refused("VALID_INVALID", "valid_ms", f"from {REQUOTE_MS_MIN} to {REQUOTE_MS_MAX} ms")
    if held.requotes >= REQUOTES_MAX:
        return _refused("REQUOTES_USED_UP", "order_id", f"it was requoted {REQUOTES_MAX} times")
    if market is None:
        return _refused("OFF_QUOTES", "price", "there is no price to hold a requote against")
    if not _worse(market, held.price, order):
        return _refused("REQUOTE_UNFAIR", "price", f"the market is at {market}: {held.price} can be had")
    if _worse(price, market, order):
        return _refused("REQUOTE_UNFAIR", "price", f"worse than the market, which is at {market}")
    if not _inside(price, order.terms):
        return _refused("REQUOTE_UNFAIR", "price", f"beyond the client's limit of {order.terms.limit_price}")
    return None


def _deal(
    held: Held, order: Order, price: Decimal, moment: Moment, *, by: str, outcome: DealerOutcome, reason: str
) -> Events:
    """End the wait with a fill of all that is open, on the house's own book."""
    terms, execution = order.terms, Execution(moment=moment)
    position = execution.position(position_id_of(account=moment.account(terms.account_id), order=order))
    lots = dealable_lots(order=order, quantity=execution.free(order), position=position, execution=execution)
    if lots <= 0:
        return _end(held, order, moment, by=by, outcome=DealerOutcome.REJECTED, reason="nothing left to reduce")
    execution.events.append(_decided(held, moment, by=by, outcome=outcome, reason=reason, price=price))
    execution.fill(
        order=order,
        quantity=lots,
        raw=price - _over_best(terms=terms, moment=moment),
        price=price,
        book="B",
        counterparty="dealer",
        reason=f"dealt by hand {reason}",
    )
    if execution.leaves(order) > 0:
        execution.cancel(order=order, outcome="cancelled", reason="nothing left to reduce")
    return settled(execution=execution)


def _over_best(*, terms: OrderTerms, moment: Moment) -> Decimal:
    """Return how far what the client is shown lies above the best raw price, below nothing where he sells."""
    account_id, symbol, side = terms.account_id, terms.symbol, terms.side
    levels = moment.levels(symbol=symbol, side=side)
    front = moment.front(account_id=account_id, symbol=symbol, side=side, levels=levels)
    markup = moment.markup(account_id=account_id, symbol=symbol, side=side, lots=terms.quantity)
    return side.sign * (markup or ZERO) + (front.price - levels[0].price if front else ZERO)


def _route(*, held: Held, by: str, outcome: DealerOutcome, execution: Execution) -> None:
    """End the wait and work the order as if nobody had held it."""
    moment = execution.moment
    order = copy.copy(moment.state.orders[held.order_id])
    order.state = OrderState.WORKING
    execution.events.append(_decided(held, moment, by=by, outcome=outcome, reason="passed on"))
    made = plan(order=order, quantity=execution.free(order), execution=execution)
    execution.events.append(ev.OrderRerouted(order_id=order.order_id, routing=made.decision))
    carry_out(order=order, plan=made, execution=execution)


def _end(held: Held, order: Order, moment: Moment, *, by: str, outcome: DealerOutcome, reason: str) -> Events:
    execution = Execution(moment=moment)
    execution.events.append(_decided(held, moment, by=by, outcome=outcome, reason=reason))
    execution.cancel(order=order, outcome="rejected", reason=reason)
    return settled(execution=execution)


def _decided(
    held: Held, moment: Moment, *, by: str, outcome: DealerOutcome, reason: str, price: Decimal | None = None
) -> ev.DealerDecided:
    market = street_price(terms=moment.state.orders[held.order_id].terms, moment=moment)
    return ev.DealerDecided(
        order_id=held.order_id, by=by, outcome=outcome, reason=reason, asked=held.price, market=market, price=price
    )


def _is_stopped(order: Order, moment: Moment) -> bool:
    symbol = order.terms.symbol
    stopped = is_stopped(state=moment.state, account_id=order.terms.account_id, symbol=symbol)
    return stopped or not moment.in_session(symbol=symbol)


def _bearable(price: Decimal, held: Held, order: Order, moment: Moment) -> bool:
    """Whether the price is no further from what was asked for, against the client, than a market order may slip."""
    terms, group = order.terms, moment.account(order.terms.account_id).group
    bps, instrument = moment.slippage_bps(group=group), moment.instrument(terms.symbol)
    worst = worst_price(price=held.price, bps=bps, instrument=instrument, side=terms.side)
    return at_least_as_good(price=price, limit=worst, side=terms.side)


def _inside(price: Decimal, terms: OrderTerms) -> bool:
    return terms.limit_price is None or at_least_as_good(price=price, limit=terms.limit_price, side=terms.side)


def _worse(price: Decimal, other: Decimal, order: Order) -> bool:
    return not at_least_as_good(price=price, limit=other, side=order.terms.side)


def _better(price: Decimal, other: Decimal, order: Order) -> Decimal:
    return other if _worse(price, other, order) else price


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
