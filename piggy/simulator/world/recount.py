"""What a desk keeps beside its positions and orders, counted again out of these: every index and every running sum."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from piggy.core.correction_events import VenueFillBusted
from piggy.core.events import AnyEvent, ChildOrderFilled, HedgeProposed
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderState, Side, TimeInForce
from piggy.core.state import Order, State

ENDING = (TimeInForce.GTD, TimeInForce.DAY)
# Margin per lot is a quotient: what divisions leave is not money.
ROUNDING = Decimal("0.0001")


class AtVenues:
    """What venues hold, counted out of their executions: signed lots by venue and symbol, and the house's own of them.

    The legs themselves leave a state.
    """

    def __init__(self) -> None:
        self.nets = defaultdict[tuple[str, str], Decimal](lambda: ZERO)
        self.house = defaultdict[tuple[str, str], Decimal](lambda: ZERO)
        self._hedges: set[str] = set()

    def hear(self, *, event: AnyEvent) -> None:
        """Count an event."""
        if isinstance(event, HedgeProposed):
            self._hedges.add(event.hedge_id)
        elif isinstance(event, ChildOrderFilled | VenueFillBusted):
            lots = event.quantity * event.side.sign * (1 if isinstance(event, ChildOrderFilled) else -1)
            self.nets[event.venue, event.symbol] += lots
            if event.order_id in self._hedges:
                self.house[event.venue, event.symbol] += lots


def differences(*, state: State, at_venues: AtVenues) -> dict[str, Any]:
    """Return what is not as a count says, by name, with what is kept and what was counted; nothing where all is."""
    kept, counted = _kept(state), _counted(state, at_venues)
    found = {name: (kept[name], counted[name]) for name in kept if kept[name] != counted[name]}
    reserved = {
        name: (amount, _reserved(state, name))
        for name, amount in state.reserved.items()
        if abs(amount - _reserved(state, name)) > ROUNDING
    }
    return found | ({"reserved": reserved} if reserved else {})


def _kept(state: State) -> dict[str, Any]:
    return {
        "open_orders": _full(state.open_orders),
        "positions_of": _full(state.positions_of),
        "holders": _full(state.holders),
        "oco": _full(state.oco),
        "held": set(state.held),
        "expiring": state.expiring,
        "resting": {name: set(book.places()) for name, book in state.resting.items() if book.places()},
        "stops": {name: set(stops) for name, stops in state.stops.items() if set(stops)},
        "routed": {each.order_id: each.routed for each in state.orders.values() if each.routed},
        "exposure": {
            name: (each.client_long, each.client_short, each.client_cost, each.a_net, each.b_net, each.cross_net)
            for name, each in state.exposure.items()
            if each.positions
        },
        "positions": {name: each.positions for name, each in state.exposure.items() if each.positions},
        "venue_net": {name: each.venue_net for name, each in state.exposure.items() if each.venue_net},
        "venue_nets": {name: lots for name, lots in state.venue_nets.items() if lots},
        "venue_books": {name: book.position.quantity for name, book in state.venue_books.items() if book.position},
        "house_positions": {name: each.quantity for name, each in state.house_positions.items()},
        "hedge_pending": {name: lots for name, lots in state.hedge_pending.items() if lots},
        "used_margin": {name: amount for name, amount in state.used_margin.items() if amount},
        "house_risk": _lots(state.house_risk),
        "account_risks": {name: _lots(each) for name, each in state.account_risks.items() if each.symbols},
    }


def _counted(state: State, at_venues: AtVenues) -> dict[str, Any]:
    working = [order for order in state.orders.values() if not order.state.final]
    positions = list(state.positions.values())
    open_orders, oco, resting, stops = (defaultdict[Any, set[str]](set) for _ in range(4))
    for order in working:
        terms, name = order.terms, order.order_id
        open_orders[terms.account_id].add(name)
        if terms.oco_group:
            oco[terms.account_id, terms.oco_group].add(name)
        if order.rests and not order.cancelling:  # Whose legs venues are asked to end deals with nobody here.
            resting[terms.symbol].add(name)
        elif _waits(order):
            stops[terms.symbol].add(name)
    positions_of, holders = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    exposure = defaultdict[str, list[Decimal]](lambda: [ZERO] * 6)
    for position in positions:
        positions_of[position.account_id].add(position.position_id)
        holders[position.symbol].add(position.account_id)
        sign = position.side.sign
        parts = (
            max(ZERO, position.quantity),
            max(ZERO, -position.quantity),
            position.cost,
            sign * position.a_lots,
            sign * position.b_lots,
            sign * position.cross_lots,
        )
        exposure[position.symbol] = [one + more for one, more in zip(exposure[position.symbol], parts, strict=True)]
    venue_net = defaultdict[str, Decimal](lambda: ZERO)
    for (_, symbol), lots in at_venues.nets.items():
        venue_net[symbol] += lots
    used = defaultdict[str, Decimal](lambda: ZERO)
    for (account_id, _), amount in state.margins.items():
        used[account_id] += amount
    return {
        "open_orders": dict(open_orders),
        "positions_of": dict(positions_of),
        "holders": dict(holders),
        "oco": dict(oco),
        "held": {order.order_id for order in working if order.state is OrderState.WITH_DEALER},
        "expiring": {order.order_id for order in working if order.terms.time_in_force in ENDING},
        "resting": dict(resting),
        "stops": dict(stops),
        "routed": _routed(state),
        "exposure": {name: tuple(parts) for name, parts in exposure.items()},
        "positions": dict(Counter(position.symbol for position in positions)),
        "venue_net": {name: lots for name, lots in venue_net.items() if lots},
        "venue_nets": {name: lots for name, lots in at_venues.nets.items() if lots},
        "venue_books": {name: lots for name, lots in at_venues.nets.items() if lots},
        "house_positions": {name: lots for name, lots in at_venues.house.items() if lots},
        "hedge_pending": _hedge_pending(state),
        "used_margin": {name: amount for name, amount in used.items() if amount},
        "house_risk": _risks(state, None),
        "account_risks": {name: risks for name in state.accounts if (risks := _risks(state, name))},
    }


def _waits(order: Order) -> bool:
    """Whether it waits for a price that starts it."""
    asks = order.terms.stop_price is not None or order.terms.trailing_distance is not None
    return asks and not order.triggered and order.state is not OrderState.WITH_DEALER


def _full(groups: dict[Any, set[str]]) -> dict[Any, set[str]]:
    return {name: members for name, members in groups.items() if members}


def _routed(state: State) -> dict[str, Decimal]:
    found = defaultdict[str, Decimal](lambda: ZERO)
    for child in state.open_children.values():
        if child.created.order_id in state.orders:
            found[child.created.order_id] += child.leaves
    return {name: lots for name, lots in found.items() if lots}


def _hedge_pending(state: State) -> dict[str, Decimal]:
    found = defaultdict[str, Decimal](lambda: ZERO)
    for hedge_id in state.open_hedges:
        hedge = state.hedges[hedge_id]
        found[hedge.symbol] += hedge.side.sign * (hedge.quantity - hedge.filled)
    return {name: lots for name, lots in found.items() if lots}


def _reserved(state: State, account_id: str) -> Decimal:
    mine = (state.orders[order_id] for order_id in state.open_orders.get(account_id, ()))
    return sum((order.margin_per_lot * order.leaves for order in mine), ZERO)


def _risks(state: State, account_id: str | None) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Count signed lots held and lots that may be bought and sold, of one account or of all, by symbol."""
    found = defaultdict[str, list[Decimal]](lambda: [ZERO] * 3)
    for position in state.positions.values():
        if account_id in (None, position.account_id):
            found[position.symbol][0] += position.quantity
    if account_id is None:  # The house is exposed to what its venues do not hold against it.
        for symbol, exposed in state.exposure.items():
            found[symbol][0] -= exposed.venue_net
    for order in state.orders.values():
        if order.state.final or order.terms.reduce_only or account_id not in (None, order.terms.account_id):
            continue
        found[order.terms.symbol][1 if order.terms.side is Side.BUY else 2] += order.leaves
    return {name: (net, buys, sells) for name, (net, buys, sells) in found.items() if net or buys or sells}


def _lots(risk: OpenRisk) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    found = {name: (each.net, each.buys, each.sells) for name, each in risk.symbols.items()}
    return {name: lots for name, lots in found.items() if any(lots)}
