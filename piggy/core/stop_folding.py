"""Folding where stops wait: by the group that their account is in and the volume bands that it is priced by."""

from __future__ import annotations

from piggy.core.profiles import ANY_SYMBOL, bands_from, profiles_of
from piggy.core.state import Order, State
from piggy.core.waiting_stops import PriceClass, WaitingStops


def file_stop(*, state: State, order: Order) -> None:
    """Let an order wait for its price, or where it waits already, where it belongs now."""
    terms = order.terms
    group = state.accounts[terms.account_id].group
    profiles = profiles_of(profiles=state.profiles, group=group, symbol=terms.symbol)
    price_class = PriceClass(group, terms.side, bands_from(profiles=profiles, lots=terms.quantity))
    stops = state.stops.setdefault(terms.symbol, WaitingStops())
    stops.file(order_id=order.order_id, terms=terms, price_class=price_class)


def refile_account(*, state: State, account_id: str) -> None:
    """File an account's stops anew: it came into another group."""
    for order_id in state.open_orders.get(account_id, ()):
        order = state.orders[order_id]
        if order_id in state.stops.get(order.terms.symbol, ()):
            file_stop(state=state, order=order)


def refile_group(*, state: State, group: str, symbol: str) -> None:
    """File a group's stops anew in a symbol, or in any: its volume bands are others."""
    for name, stops in state.stops.items():
        if symbol in (name, ANY_SYMBOL):
            waiting = [state.orders[order_id] for order_id in stops]
            mine = [order for order in waiting if state.accounts[order.terms.account_id].group == group]
            for order in mine:
                stops.discard(order_id=order.order_id)
            for order in mine:
                file_stop(state=state, order=order)


def file_all(*, state: State) -> None:
    """File every stop of a state that came out of a snapshot, which has their names only."""
    for stops in state.stops.values():
        for order_id in list(stops):
            file_stop(state=state, order=state.orders[order_id])
