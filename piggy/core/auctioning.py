"""Auctioning: a symbol's calls on the desk, when they begin and end, and the one price that their orders meet at.

In a call orders are collected and nothing deals: what rests, market orders that may wait, stops that would trigger. At
its end clients meet at the price of auctions.py. Nobody meets himself: of a client's own orders that would, the later
is cancelled before. All-or-none and minimum orders sit it out. Market orders that found nobody end with the call.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import venue_cancels
from piggy.core.accounts import TradingState
from piggy.core.aftermath import settled
from piggy.core.auctions import (
    CALL_S_MAX,
    CALLS,
    AuctionFill,
    AuctionOrder,
    AuctionPhase,
    matched,
    rules_fault,
    uncross,
)
from piggy.core.execution import Execution, position_id_of
from piggy.core.instruments import Instrument
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderType, Side
from piggy.core.sessions import phases_due
from piggy.core.standing import dealable_lots, is_bound, phase_of, strictest_state
from piggy.core.state import Order, State

Events = list[ev.AnyEvent]
AFTER = {
    AuctionPhase.OPENING_CALL: AuctionPhase.CONTINUOUS,
    AuctionPhase.VOLATILITY_CALL: AuctionPhase.CONTINUOUS,
    AuctionPhase.CLOSING_CALL: AuctionPhase.CLOSED,
}


def configure_auctions(*, command: cmd.ConfigureAuctions, moment: Moment) -> Events:
    """Take when continuous crossing of a symbol is interrupted, and for how long."""
    rules = command.rules
    if rules.symbol not in moment.state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {rules.symbol}")]
    if fault := rules_fault(rules=rules):
        return [_refused("RULES_UNUSABLE", "rules", fault)]
    same = moment.state.auction_rules.get(rules.symbol) == rules
    return [] if same else [ev.AuctionsConfigured(rules=rules)]


def change_phase(*, command: cmd.ChangePhase, moment: Moment) -> Events:
    """Begin or end a call, open or close a symbol; leaving a call is its auction. A call may end by itself."""
    state, symbol, phase = moment.state, command.symbol, command.phase
    if symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {symbol}")]
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who changes it, and why, is recorded")]
    if command.call_s is not None and not (phase in CALLS and 1 <= command.call_s <= CALL_S_MAX):
        return [_refused("CALL_INVALID", "call_s", f"a call, and no other phase, lasts from 1 to {CALL_S_MAX} seconds")]
    if phase_of(state=state, symbol=symbol) is phase:
        return []
    execution = Execution(moment=moment)
    ends_at_us = None if command.call_s is None else moment.now_us + command.call_s * 1_000_000
    _leave(symbol=symbol, execution=execution)
    execution.events.append(
        ev.PhaseChanged(symbol=symbol, phase=phase, ends_at_us=ends_at_us, reason=command.reason, by=command.by)
    )
    return settled(execution=execution)


def calls_due(*, state: State, now_us: int) -> list[str]:
    """Return the symbols whose call ends now."""
    ending = state.phases.items()
    return sorted(symbol for symbol, now in ending if now.ends_at_us is not None and now_us >= now.ends_at_us)


def end_calls(*, execution: Execution) -> None:
    """End the calls whose time is over with their auctions."""
    moment = execution.moment
    for symbol in calls_due(state=moment.state, now_us=moment.now_us):
        phase = AFTER[phase_of(state=moment.state, symbol=symbol)]
        _leave(symbol=symbol, execution=execution)
        execution.events.append(
            ev.PhaseChanged(symbol=symbol, phase=phase, ends_at_us=None, reason="the call is over", by="")
        )


def keep_sessions(*, execution: Execution) -> None:
    """Put symbols into the phases that their calendars have now; a call that ends by itself does that first."""
    moment = execution.moment
    ending = set(calls_due(state=moment.state, now_us=moment.now_us))
    for plan in phases_due(state=moment.state, now_us=moment.now_us):
        if plan.symbol in ending:
            continue
        _leave(symbol=plan.symbol, execution=execution)
        execution.events.append(
            ev.PhaseChanged(
                symbol=plan.symbol, phase=plan.phase, ends_at_us=plan.ends_at_us, reason="its calendar", by=""
            )
        )


def _leave(*, symbol: str, execution: Execution) -> None:
    """Hold the auction of a call that ends; market orders that found nobody end with it."""
    if phase_of(state=execution.moment.state, symbol=symbol) not in CALLS:
        return
    waiting, found = _waiting_at_market(symbol, execution), _collected(symbol=symbol, execution=execution)
    collected = _without_own(found, execution)
    _uncross(symbol=symbol, orders=collected, execution=execution)
    own = {order.order_id for order in found}.difference(order.order_id for order in collected)
    left = [order for order in waiting if execution.leaves(order) > 0 and order.order_id not in own]
    venue_cancels.end(orders=left, outcome="cancelled", reason="the auction left it unfilled", execution=execution)


def _waiting_at_market(symbol: str, execution: Execution) -> list[Order]:
    """Return the market orders that wait for the auction; also those that may take no part in it, as of who is halted.

    What insists on all of it, or on a minimum, is one: after the call nobody would look at it again.
    """
    state = execution.moment.state
    orders = (state.orders[order_id] for order_ids in state.open_orders.values() for order_id in order_ids)
    found = [each for each in orders if each.terms.symbol == symbol and _is_market(each, state)]
    return sorted((each for each in found if execution.free(each) > 0), key=lambda order: (order.seq, order.order_id))


def _collected(*, symbol: str, execution: Execution) -> list[Order]:
    """Return the orders that take part, the earliest first."""
    state = execution.moment.state
    found: list[Order] = []
    for account_id, order_ids in state.open_orders.items():
        account = state.accounts[account_id]
        standing = strictest_state(state=state, group=account.group, account_id=account_id, symbol=symbol)
        if standing is not TradingState.ACTIVE or not state.groups[account.group].internal_cross:
            continue
        orders = (state.orders[order_id] for order_id in order_ids)
        found += [order for order in orders if order.terms.symbol == symbol and _takes_part(order, state, execution)]
    return sorted(found, key=lambda order: (order.seq, order.order_id))


def _takes_part(order: Order, state: State, execution: Execution) -> bool:
    terms = order.terms
    whole = terms.all_or_none or terms.minimum_quantity is not None
    deals = (order.rests or _is_market(order, state)) and not whole and not order.cancelling
    return deals and execution.free(order) > 0 and not execution.waits(order)


def _is_market(order: Order, state: State) -> bool:
    return order.terms.type is OrderType.MARKET and order.order_id not in state.held


def _without_own(orders: list[Order], execution: Execution) -> list[Order]:
    """Cancel the later of two orders of one owner that could meet; return what is left."""
    kept: list[Order] = []
    by_owner: dict[str, list[Order]] = {}
    for order in orders:
        mine = by_owner.setdefault(execution.moment.account(order.terms.account_id).owner_id, [])
        if any(_could_meet(order, other) for other in mine):
            reason = "self-trade prevention"
            venue_cancels.end(orders=(order,), outcome="cancelled", reason=reason, execution=execution)
            continue
        mine.append(order)
        kept.append(order)
    return kept


def _could_meet(order: Order, other: Order) -> bool:
    mine, its = order.terms, other.terms
    if mine.side is its.side:
        return False
    return (
        mine.limit_price is None
        or its.limit_price is None
        or mine.side.sign * (mine.limit_price - its.limit_price) >= 0
    )


def _uncross(*, symbol: str, orders: list[Order], execution: Execution) -> None:
    """Fill the orders that meet, all at the one price."""
    instrument, reference = execution.moment.instrument(symbol), _reference(symbol, orders, execution.moment)
    if reference is None:
        return
    tick, step, points = instrument.tick_size, instrument.lot_step, int(reference / instrument.tick_size)
    taking_part = set(range(len(orders)))
    while True:
        collected = _in_points(orders, taking_part, instrument, execution)
        fills = matched(orders=collected, reference=points)
        both = _second_of_a_pair(orders, fills)
        if both is None:
            break
        taking_part.remove(both)
    result = uncross(orders=collected, reference=points)
    if result is None:
        return
    price = result.price * tick
    execution.events.append(
        ev.AuctionUncrossed(symbol=symbol, price=price, lots=result.volume * step, surplus=result.surplus * step)
    )
    for fill in fills:
        buy, sell = orders[fill.buy_order_id], orders[fill.sell_order_id]
        for mine, other in ((buy, sell), (sell, buy)):
            execution.fill(
                order=mine,
                quantity=fill.qty * step,
                raw=price,
                price=price,
                book="CROSS",
                counterparty=other.order_id,
                reason=f"auction with order {other.order_id}",
            )


def _in_points(
    orders: list[Order], taking_part: set[int], instrument: Instrument, execution: Execution
) -> list[AuctionOrder]:
    """Return those of `orders` that take part in whole ticks and steps, each numbered by its place."""
    lots = _dealable({number: orders[number] for number in sorted(taking_part)}, execution)
    made = (
        AuctionOrder(
            order_id=number,
            side=0 if orders[number].terms.side is Side.BUY else 1,
            qty=int(most / instrument.lot_step),
            price=_in_ticks(orders[number], instrument),
        )
        for number, most in sorted(lots.items())
    )
    return [one for one in made if one.qty > 0]


def _in_ticks(order: Order, instrument: Instrument) -> int | None:
    """Return a limit in ticks, no worse for the client where the tick was made coarser since; None at any price."""
    limit, rounding = order.terms.limit_price, ROUND_FLOOR if order.terms.side is Side.BUY else ROUND_CEILING
    return None if limit is None else int((limit / instrument.tick_size).to_integral_value(rounding))


def _dealable(orders: dict[int, Order], execution: Execution) -> dict[int, Decimal]:
    """Return the lots that each may deal: what only reduces gets what keener ones leave of its position."""
    lots: dict[int, Decimal] = {}
    shared: dict[tuple[str, Side], Decimal] = {}
    for number, order in sorted(orders.items(), key=lambda pair: _keenness(pair[1])):
        free, account = execution.free(order), execution.moment.account(order.terms.account_id)
        position_id = position_id_of(account=account, order=order)
        gone = shared.get((position_id, order.terms.side), ZERO)
        if is_bound(terms=order.terms, account=account):
            position = execution.position(position_id)
            most = dealable_lots(order=order, quantity=free + gone, position=position, execution=execution)
            free = max(ZERO, min(free, most - gone))
        shared[position_id, order.terms.side] = gone + free
        lots[number] = free
    return lots


def _keenness(order: Order) -> tuple[bool, Decimal, int]:
    """Market orders first, then by price, then by time."""
    limit = order.terms.limit_price
    return limit is not None, -order.terms.side.sign * (limit or ZERO), order.seq


def _second_of_a_pair(orders: list[Order], fills: Iterable[AuctionFill]) -> int | None:
    """Return the later of two orders of an either-or pair that would both deal, None where there is none."""
    first: dict[tuple[str, str], int] = {}
    for number in sorted({number for fill in fills for number in (fill.buy_order_id, fill.sell_order_id)}):
        terms = orders[number].terms
        if terms.oco_group and first.setdefault((terms.account_id, terms.oco_group), number) != number:
            return number
    return None


def _reference(symbol: str, orders: list[Order], moment: Moment) -> Decimal | None:
    """Return the price that ties are decided by: the last that clients met at, else the market's middle."""
    known, mark = moment.state.crossed_at.get(symbol), moment.marks.get(symbol)
    if known is not None:
        return known.last
    if mark is not None:
        return (mark.bid + mark.ask) / 2
    limits = [order.terms.limit_price for order in orders if order.terms.limit_price is not None]
    return limits[0] if limits else None


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
