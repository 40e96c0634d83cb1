"""Strategies: what a signal source may do beyond what its account may, judged when its signal is decided."""

from __future__ import annotations

import ipaddress
from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.accounts import PositionMode, Strategy, TradingState
from piggy.core.activity import Activity
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.state import Order, State

# Two secrets are valid side by side for no longer than this after a rotation.
ROTATION_US = 24 * 3_600 * 1_000_000
# A chart service hangs up after three seconds and does not come again.
WAIT_MS_MAX = 2_000
STOPPED = (TradingState.HALTED, TradingState.KILLED)
UNTOUCHED = Activity()


def settings_fault(*, strategy: Strategy) -> tuple[str, str] | None:
    """Return the field that cannot be meant so and why, None where all can."""
    for name in ("quantity_max", "position_lots_max", "loss_day_max"):
        value: Decimal | None = getattr(strategy, name)
        if value is not None and not (value.is_finite() and value > 0):
            return name, "a limit is more than nothing"
    if not 0 <= strategy.wait_ms_max <= WAIT_MS_MAX:
        return "wait_ms_max", f"0 to {WAIT_MS_MAX} ms"
    for source in strategy.sources:
        try:
            ipaddress.ip_network(source)
        except ValueError:
            return "sources", f"{source} is no address or network"
    return None


def rotated(*, strategy: Strategy, known: Strategy | None, now_us: int) -> Strategy:
    """Return the strategy with the time at which its previous secret ends: a day after its key last changed."""
    same = known is not None and known.key_version == strategy.key_version
    until_us = known.previous_key_until_us if same and known else now_us + ROTATION_US
    return msgspec.structs.replace(strategy, previous_key_until_us=until_us)


def key_versions(*, strategy: Strategy, now_us: int) -> tuple[int, ...]:
    """Return the versions whose secrets are valid now, the newest first."""
    version = strategy.key_version
    if strategy.previous_key_valid and version > 1 and now_us < strategy.previous_key_until_us:
        return version, version - 1
    return (version,)


def net_lots(*, state: State, account_id: str, symbol: str) -> Decimal:
    """Return the signed lots that an account holds of a symbol."""
    net = ZERO
    for position_id in state.positions_of.get(account_id, ()):
        position = state.positions[position_id]
        if position.symbol == symbol:
            net += position.quantity
    return net


def expects(*, state: State, strategy: Strategy, symbol: str, before: str) -> bool:
    """Return whether the account holds what a signal says it does: long, short, flat, or '' for whatever it is.

    It must be so whatever becomes of orders at market that are under way: else an alert that comes twice while the
    first is at the LP would be right both times.
    """
    if not before:
        return True
    net = net_lots(state=state, account_id=strategy.account_id, symbol=symbol)
    bought, sold = (_under_way(state, strategy.account_id, symbol, side) for side in Side)
    return {before} == {_way(net), _way(net + bought), _way(net - sold)}


def is_moving(*, state: State, account_id: str, symbol: str) -> bool:
    """Return whether an order of the account at market may change its position any moment."""
    return any(_under_way(state, account_id, symbol, side) for side in Side)


def refusal(
    *, state: State, strategy: Strategy, terms: OrderTerms, before: str, now_us: int
) -> ev.CommandRefused | None:
    """Return why a strategy may not send this order, None where it may; what only reduces is always let through.

    In a hedging account nothing does: an order the other way that names no position opens one more. The limit on what
    is held is then one for each side.
    """
    account_id, symbol = strategy.account_id, terms.symbol
    net = net_lots(state=state, account_id=account_id, symbol=symbol)
    if not expects(state=state, strategy=strategy, symbol=symbol, before=before):
        moving = "" if before != _way(net) else ", and what is under way may change that"
        text = f"The signal expects {before}, the account holds {net} lots{moving}."
        return _refused("POSITION_UNEXPECTED", "before", text)
    met = net if _is_netting(state, account_id) else _held(state, terms)
    closes = max(abs(met) - _working(state, terms), ZERO) if met * terms.side.sign < 0 else ZERO
    if terms.quantity <= closes or terms.reduce_only:
        return None
    stopped = state.trading_states.get(("strategy", strategy.strategy_id), TradingState.ACTIVE)
    if stopped is not TradingState.ACTIVE:
        return _refused("STRATEGY_STOPPED", "strategy", f"The strategy is {stopped.value}.")
    opens = terms.quantity - closes
    if opens > strategy.quantity_max:
        text = f"{opens} lots would be opened, {strategy.quantity_max} at once are the most."
        return _refused("QUANTITY_MAX", "quantity", text)
    if strategy.position_lots_max is not None:
        after = abs(met + terms.side.sign * (terms.quantity + _working(state, terms)))
        if after > strategy.position_lots_max:
            text = f"{after} lots would be more than the strategy's {strategy.position_lots_max}."
            return _refused("POSITION_MAX", "quantity", text)
    if strategy.loss_day_max is not None:
        loss = state.activity.get(account_id, UNTOUCHED).loss_today(now_us=now_us)
        if loss >= strategy.loss_day_max:
            return _refused("LOSS_DAY_MAX", "strategy", f"{loss} lost today, {strategy.loss_day_max} is the most.")
    return None


def _is_netting(state: State, account_id: str) -> bool:
    account = state.accounts.get(account_id)
    return account is None or account.position_mode is PositionMode.NETTING


def _held(state: State, terms: OrderTerms) -> Decimal:
    """Return the signed lots that the account holds of the symbol on the order's own side."""
    mine = (state.positions[position_id] for position_id in state.positions_of.get(terms.account_id, ()))
    same = (each.quantity for each in mine if each.symbol == terms.symbol and each.quantity * terms.side.sign > 0)
    return sum(same, ZERO)


def _way(net: Decimal) -> str:
    return "long" if net > 0 else "short" if net < 0 else "flat"


def _under_way(state: State, account_id: str, symbol: str, side: Side) -> Decimal:
    """Return the lots that the account's orders at market may deal any moment."""
    orders = _open_orders(state, account_id, symbol, side)
    return sum((order.leaves for order in orders if order.terms.type is OrderType.MARKET), ZERO)


def _working(state: State, terms: OrderTerms) -> Decimal:
    """Return what the account's open orders on the same side of the symbol may still deal.

    A waiting exit deals nothing unless there is room.
    """
    orders = _open_orders(state, terms.account_id, terms.symbol, terms.side)
    return sum((order.routed if order.terms.reduce_only else order.leaves for order in orders), ZERO)


def _open_orders(state: State, account_id: str, symbol: str, side: Side) -> list[Order]:
    mine = (state.orders[order_id] for order_id in state.open_orders.get(account_id, ()))
    return [order for order in mine if order.terms.symbol == symbol and order.terms.side is side]


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
