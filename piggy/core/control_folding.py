"""Folding what control decided: margin settings, clearances, overrides, latches, records and limits of the day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piggy.core import events as ev
from piggy.core.auctions import CrossedAt, SymbolPhase
from piggy.core.control_events import ExposureUseChanged
from piggy.core.events import Recorded
from piggy.core.limits import UNSET_LIMITS, Limits
from piggy.core.money import ZERO
from piggy.core.state import State

VOLUME_DAYS = 20


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


def _daily_volume(state: State, event: ev.DailyVolumeRecorded, recorded: Recorded) -> None:
    days = state.daily_volumes.setdefault(event.symbol, {})
    days[event.business_date] = event.lots
    for day in sorted(days)[:-VOLUME_DAYS]:
        del days[day]
    state.volume_averages[event.symbol] = sum(days.values(), ZERO) / len(days)


def _locate(state: State, event: ev.LocateRecorded, recorded: Recorded) -> None:
    held = state.locates.setdefault((event.account_id, event.symbol), {})
    # What is over is forgotten here; the gate looks at the time all the same.
    for reference in [key for key, locate in held.items() if locate.until_us <= recorded.recorded_at_us]:
        del held[reference]
    held[event.locate.reference] = event.locate
    if not event.locate.lots:
        del held[event.locate.reference]


def _review(state: State, event: ev.ReviewSigned, recorded: Recorded) -> None:
    state.review_due_at_us = event.due_at_us


def _limits_changed(state: State, event: ev.LimitsChanged, recorded: Recorded) -> None:
    state.limit_changes[event.group] = event.change
    set_limits(state=state, group=event.group)
    state.config_version += 1


def _limits_reverted(state: State, event: ev.LimitsReverted, recorded: Recorded) -> None:
    del state.limit_changes[event.group]
    set_limits(state=state, group=event.group)
    state.config_version += 1


def _limit_use(state: State, event: ev.LimitUseChanged, recorded: Recorded) -> None:
    levels = state.alert_levels.setdefault(event.account_id, {})
    levels[event.code] = event.level_percent
    if not event.level_percent:
        del levels[event.code]
    if not levels:
        del state.alert_levels[event.account_id]


def _exposure_use(state: State, event: ExposureUseChanged, recorded: Recorded) -> None:
    key = (event.scope, event.key, event.group, event.currency)
    state.exposure_alerts[key] = event.level_percent
    if not event.level_percent:
        del state.exposure_alerts[key]


def _auctions(state: State, event: ev.AuctionsConfigured, recorded: Recorded) -> None:
    state.auction_rules[event.rules.symbol] = event.rules
    state.config_version += 1


def _phase(state: State, event: ev.PhaseChanged, recorded: Recorded) -> None:
    state.phases[event.symbol] = SymbolPhase(
        phase=event.phase, ends_at_us=event.ends_at_us, since_us=recorded.occurred_at_us
    )


def _uncrossed(state: State, event: ev.AuctionUncrossed, recorded: Recorded) -> None:
    state.crossed_at[event.symbol] = CrossedAt(last=event.price, static=event.price)


def own_limits(*, state: State, group: str) -> Limits:
    """Return what a group's orders are held against unless its limits are changed for the day."""
    return state.limits.get(group, UNSET_LIMITS).for_group(group=state.groups[group])


def set_limits(*, state: State, group: str) -> None:
    """Work out once what a group's orders are held against: its limits of today, with what the group itself sets."""
    if group in state.groups:
        change = state.limit_changes.get(group)
        own = own_limits(state=state, group=group)
        state.effective_limits[group] = change.over(own=own) if change else own


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
    ev.DailyVolumeRecorded: _daily_volume,
    ev.LocateRecorded: _locate,
    ev.ReviewSigned: _review,
    ev.LimitsChanged: _limits_changed,
    ev.LimitsReverted: _limits_reverted,
    ev.LimitUseChanged: _limit_use,
    ExposureUseChanged: _exposure_use,
    ev.AuctionsConfigured: _auctions,
    ev.PhaseChanged: _phase,
    ev.AuctionUncrossed: _uncrossed,
}
