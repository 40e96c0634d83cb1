"""Folding what control decided: margin settings, clearances, overrides and latches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core import events as ev
from piggy.core.events import Recorded
from piggy.core.money import ZERO
from piggy.core.state import State


def _margin(state: State, event: ev.MarginConfigured, recorded: Recorded) -> None:
    state.margin_settings[(event.group, event.symbol)] = event.settings
    state.config_version += 1


def _option_model(state: State, event: ev.OptionModelConfigured, recorded: Recorded) -> None:
    state.option_models[event.model.underlying] = event.model
    state.config_version += 1


def _symbol_margin(state: State, event: ev.SymbolMarginChanged, recorded: Recorded) -> None:
    key = (event.account_id, event.symbol)
    used = state.used_margin.get(event.account_id, ZERO)
    state.used_margin[event.account_id] = used - state.margins.get(key, ZERO) + event.margin
    state.margins[key] = event.margin
    state.news_until.pop(key, None)


def _permissions(state: State, event: ev.PermissionsConfigured, recorded: Recorded) -> None:
    state.permissions[event.account_id] = event.permissions
    state.config_version += 1


def _restrictions(state: State, event: ev.RestrictionsConfigured, recorded: Recorded) -> None:
    state.restrictions[(event.scope, event.key)] = event.symbols
    state.config_version += 1


def _calendar(state: State, event: ev.CalendarConfigured, recorded: Recorded) -> None:
    state.calendars[event.calendar.symbol] = event.calendar
    state.config_version += 1


def _override(state: State, event: ev.OverrideGranted, recorded: Recorded) -> None:
    state.overrides[event.key] = event.override


def _latched(state: State, event: ev.ThrottleLatched, recorded: Recorded) -> None:
    state.throttled.add(event.account_id)


def _released(state: State, event: ev.ThrottleReleased, recorded: Recorded) -> None:
    state.throttled.discard(event.account_id)


def _connection(state: State, event: ev.ClientConnectionChanged, recorded: Recorded) -> None:
    if event.connected:
        state.disconnected.pop(event.account_id, None)
    else:
        state.disconnected[event.account_id] = event.occurred_at_us


CONTROL_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.MarginConfigured: _margin,
    ev.OptionModelConfigured: _option_model,
    ev.SymbolMarginChanged: _symbol_margin,
    ev.PermissionsConfigured: _permissions,
    ev.RestrictionsConfigured: _restrictions,
    ev.CalendarConfigured: _calendar,
    ev.OverrideGranted: _override,
    ev.ThrottleLatched: _latched,
    ev.ThrottleReleased: _released,
    ev.ClientConnectionChanged: _connection,
}
