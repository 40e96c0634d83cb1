"""Working an order: cross it with other clients, keep the B part, send the A part; rest or cancel what is left."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from piggy.core.accounts import TradingState
from piggy.core.events import RoutingDecision, VenueConsidered
from piggy.core.execution import Execution, position_id_of
from piggy.core.market import AttributedLevel
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import OrderType, Side, TimeInForce
from piggy.core.pricing import at_least_as_good, client_price, protected_limit, raw_limit
from piggy.core.routing import Leg, candidates_of, decision, legs, rank, reject_rate, split
from piggy.core.state import Order

ATTEMPTS_MAX = 8  # An order that venues keep giving back is ended rather than sent round for ever.


class Cross(msgspec.Struct, frozen=True, kw_only=True):
    """A resting client order that fills part of the incoming one, at its own limit price."""

    order_id: str
    quantity: Decimal
    price: Decimal


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """Lots that the house fills itself at one level of the consolidated book."""

    quantity: Decimal
    raw: Decimal
    venue: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done with an order's free lots now; `decision` is the record of why."""

    decision: RoutingDecision
    crosses: tuple[Cross, ...] = ()
    keeps: tuple[Keep, ...] = ()
    legs: tuple[Leg, ...] = ()

    @property
    def lots(self) -> Decimal:
        parts: tuple[Cross | Keep | Leg, ...] = (*self.crosses, *self.keeps, *self.legs)
        return sum((part.quantity for part in parts), ZERO)


def plan(*, order: Order, quantity: Decimal, moment: Moment) -> Plan:
    """Return what to do with `quantity` free lots of `order` at this moment, without doing it."""
    terms, state = order.terms, moment.state
    account, instrument = moment.account(terms.account_id), moment.instrument(terms.symbol)
    group, side = moment.group_of(terms.account_id), terms.side
    levels = moment.levels(symbol=terms.symbol, side=side)
    limit = _raw_limit(order=order, moment=moment, levels=levels)
    street = client_price(raw=levels[0].price, group=group, instrument=instrument, side=side) if levels else None
    crosses = _crosses(order=order, quantity=quantity, street=street, moment=moment) if group.internal_cross else ()
    crossed = sum((cross.quantity for cross in crosses), ZERO)
    position = state.positions.get(position_id_of(account=account, order=order))
    a_lots, b_lots, why = split(
        group=group, instrument=instrument, quantity=quantity - crossed, side=side, position=position
    )
    considered = _considered(order=order, limit=limit, moment=moment)
    planned_legs: tuple[Leg, ...] = ()
    keeps: tuple[Keep, ...] = ()
    if limit is not None:
        planned_legs = legs(
            levels=levels, ranked=considered, quantity=a_lots, side=side, limit=limit, instrument=instrument
        )
        keeps = _keeps(levels=levels, quantity=b_lots, side=side, limit=limit)
    text = why if not crosses else f"{crossed} lots crossed with resting clients; {why}"
    record = decision(
        group=group,
        a_quantity=a_lots,
        b_quantity=b_lots,
        cross_quantity=crossed,
        considered=considered,
        text=_with_legs(text, planned_legs),
    )
    return _all_or_nothing(order, Plan(decision=record, crosses=crosses, keeps=keeps, legs=planned_legs))


def carry_out(*, order: Order, plan: Plan, execution: Execution) -> None:
    """Turn a plan into events, then rest or end what is left."""
    moment, side = execution.moment, order.terms.side
    group, instrument = moment.group_of(order.terms.account_id), moment.instrument(order.terms.symbol)
    for cross in plan.crosses:
        resting = moment.state.orders[cross.order_id]
        _cross(order=order, resting=resting, cross=cross, execution=execution)
    for keep in plan.keeps:
        price = client_price(raw=keep.raw, group=group, instrument=instrument, side=side)
        execution.fill(
            order=order,
            quantity=keep.quantity,
            raw=keep.raw,
            price=price,
            book="B",
            counterparty=keep.venue,
            reason=f"kept at {keep.venue}'s price",
        )
    if plan.legs:
        execution.send(order=order, legs=plan.legs, time_in_force=TimeInForce.IOC.value)
    end_if_nothing_works(order=order, execution=execution)


def end_if_nothing_works(*, order: Order, execution: Execution) -> None:
    """Cancel an order that may not rest once no leg of it lives anywhere."""
    leaves = execution.leaves(order)
    if leaves <= 0 or execution.free(order) < leaves:
        return
    if may_rest(order) and order.attempts < ATTEMPTS_MAX:
        return
    if order.refused_by and not order.filled:
        execution.cancel(order=order, outcome="rejected", reason="refused by " + ", ".join(sorted(order.refused_by)))
    else:
        execution.cancel(order=order, outcome="cancelled", reason=_nothing_left(order))


def may_rest(order: Order) -> bool:
    """Return whether what is unfilled may wait: a limit that is neither IOC nor FOK."""
    return order.rests and order.terms.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)


def marketable(*, order: Order, moment: Moment) -> bool:
    """Return whether a limit order could deal now at the street's price with its group's markup."""
    levels = moment.levels(symbol=order.terms.symbol, side=order.terms.side)
    if not levels or order.terms.limit_price is None:
        return bool(levels)
    price = client_price(
        raw=levels[0].price,
        group=moment.group_of(order.terms.account_id),
        instrument=moment.instrument(order.terms.symbol),
        side=order.terms.side,
    )
    return at_least_as_good(price=price, limit=order.terms.limit_price, side=order.terms.side)


def _raw_limit(*, order: Order, moment: Moment, levels: tuple[AttributedLevel, ...]) -> Decimal | None:
    """Return the worst raw price for the order: its limit less markup, or the market protection; None off quotes."""
    terms, group = order.terms, moment.group_of(order.terms.account_id)
    instrument = moment.instrument(terms.symbol)
    priced = terms.type is OrderType.LIMIT or terms.type is OrderType.STOP_LIMIT
    if priced and terms.limit_price is not None:
        return raw_limit(limit=terms.limit_price, group=group, instrument=instrument, side=terms.side)
    if not levels:
        return None
    return protected_limit(price=levels[0].price, group=group, instrument=instrument, side=terms.side)


def _crosses(*, order: Order, quantity: Decimal, street: Decimal | None, moment: Moment) -> tuple[Cross, ...]:
    """Return resting orders of other owners that are no worse for the taker than the street, in price-time order."""
    terms, state = order.terms, moment.state
    owner = moment.account(terms.account_id).owner_id
    found: list[Cross] = []
    left = quantity
    for order_id, price in state.resting[terms.symbol].best_first(side=terms.side.contra):
        if left <= 0 or not _worth_crossing(price=price, order=order, street=street):
            break
        resting = state.orders[order_id]
        if moment.account(resting.terms.account_id).owner_id == owner or not resting.free > 0:
            continue
        if not moment.group_of(resting.terms.account_id).internal_cross:
            continue
        lots = min(left, resting.free)
        found.append(Cross(order_id=order_id, quantity=lots, price=price))
        left -= lots
    return tuple(found)


def _worth_crossing(*, price: Decimal, order: Order, street: Decimal | None) -> bool:
    side, limit = order.terms.side, order.terms.limit_price
    if (
        limit is not None
        and order.terms.type is not OrderType.STOP
        and not at_least_as_good(price=price, limit=limit, side=side)
    ):
        return False
    # Without a street price there is nothing to compare with: a market order then deals with nobody.
    return at_least_as_good(price=price, limit=street, side=side) if street is not None else limit is not None


def _considered(*, order: Order, limit: Decimal | None, moment: Moment) -> list[VenueConsidered]:
    state, symbol = moment.state, order.terms.symbol
    live = set(moment.market.venues_of(symbol=symbol, now_us=moment.now_us))
    quotes = {name: quote for name in live if (quote := moment.market.quote_of(venue=name, symbol=symbol))}
    excluded: dict[str, str] = {name: "refused this order" for name in order.refused_by}
    excluded |= _switched_off(state.trading_states)
    candidates = candidates_of(
        venues=state.venues,
        quotes=quotes,
        excluded=excluded,
        reject_rates={name: reject_rate(outcomes=record.outcomes) for name, record in state.venue_records.items()},
    )
    return rank(candidates=candidates, side=order.terms.side, limit=limit, now_us=moment.now_us)


def _switched_off(trading_states: Mapping[tuple[str, str], TradingState]) -> dict[str, str]:
    return {
        key: f"trading state {state.value}"
        for (scope, key), state in trading_states.items()
        if scope == "venue" and state is not TradingState.ACTIVE
    }


def _keeps(*, levels: tuple[AttributedLevel, ...], quantity: Decimal, side: Side, limit: Decimal) -> tuple[Keep, ...]:
    """Return B-book fills on a copy of the consolidated book: the size quoted at each level, best first."""
    keeps: list[Keep] = []
    left = quantity
    for level in levels:
        if left <= 0 or not at_least_as_good(price=level.price, limit=limit, side=side):
            break
        lots = min(left, level.size)
        keeps.append(Keep(quantity=lots, raw=level.price, venue=level.venue))
        left -= lots
    return tuple(keeps)


def _all_or_nothing(order: Order, made: Plan) -> Plan:
    """Fill or kill: a plan that cannot fill the whole order, or only by several venues, does nothing."""
    if order.terms.time_in_force is not TimeInForce.FOK and not order.terms.all_or_none:
        return made
    if made.lots == order.quantity and len(made.legs) <= 1:
        return made
    text = f"{made.decision.text}; not all {order.quantity} lots can be filled at once"
    return Plan(decision=msgspec.structs.replace(made.decision, text=text))


def _cross(*, order: Order, resting: Order, cross: Cross, execution: Execution) -> None:
    """Fill both clients against each other at the resting order's price; the house is flat."""
    for mine, other in ((order, resting), (resting, order)):
        execution.fill(
            order=mine,
            quantity=cross.quantity,
            raw=cross.price,
            price=cross.price,
            book="CROSS",
            counterparty=other.order_id,
            reason=f"crossed with order {other.order_id}",
        )


def _with_legs(text: str, planned: tuple[Leg, ...]) -> str:
    if not planned:
        return text
    return text + "; " + ", ".join(f"{leg.quantity} to {leg.venue}" for leg in planned)


def _nothing_left(order: Order) -> str:
    if order.terms.time_in_force is TimeInForce.FOK:
        return "fill or kill: the whole could not be filled at once"
    if order.rests:
        return "immediate or cancel: nothing left inside the limit"
    return "no liquidity left inside the price protection"
