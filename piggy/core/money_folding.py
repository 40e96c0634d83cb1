"""Folding what nights and hedges do to money and risk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core import events as ev
from piggy.core.events import Recorded
from piggy.core.money import ZERO
from piggy.core.state import State


def _swaps(state: State, event: ev.SwapsConfigured, recorded: Recorded) -> None:
    state.swap_rates[event.rates.symbol] = event.rates
    state.config_version += 1


def _swap_free(state: State, event: ev.SwapFreeConfigured, recorded: Recorded) -> None:
    if event.terms is None:
        state.swap_free.pop(event.group, None)
    else:
        state.swap_free[event.group] = event.terms
    state.config_version += 1


def _swap_charged(state: State, event: ev.SwapCharged, recorded: Recorded) -> None:
    state.balances[event.account_id] = state.balances.get(event.account_id, ZERO) + event.amount
    state.rolled.add(event.position_id)
    state.swap_owed.pop(event.position_id, None)


def _swap_deferred(state: State, event: ev.SwapDeferred, recorded: Recorded) -> None:
    state.rolled.add(event.position_id)
    state.swap_owed[event.position_id] = (event.nights, event.occurred_at_us)


def _rolled_over(state: State, event: ev.RolledOver, recorded: Recorded) -> None:
    state.last_rollover = event.business_date
    state.rolled.clear()


MONEY_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.SwapsConfigured: _swaps,
    ev.SwapFreeConfigured: _swap_free,
    ev.SwapCharged: _swap_charged,
    ev.SwapDeferred: _swap_deferred,
    ev.RolledOver: _rolled_over,
}
