"""Overseeing: the records that controls ask for, limits for part of a day, and alerts on the use of limits.

Daily volumes (P-21), locates (P-23), alerts (P-27), intraday limits (P-28), the yearly review (P-30).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.activity import Activity
from piggy.core.clearance import Locate
from piggy.core.control_events import ExposureUseChanged
from piggy.core.control_folding import own_limits
from piggy.core.limits import LimitChange, Limits
from piggy.core.margining import positions_in
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.oversight import UnableToChangeLimits, alert_level, checked_change, review_due_at_us
from piggy.core.rollover import next_rollover_at_us
from piggy.core.state import State

Events = list[ev.AnyEvent]
Use = tuple[str, Decimal, Decimal | None, str]
QUIET = Activity()


def record_daily_volume(*, command: cmd.RecordDailyVolume, moment: Moment) -> Events:
    """Take a day's volume of a symbol; the share of volume is held against the mean of the last twenty (P-21)."""
    if command.symbol not in moment.state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {command.symbol}")]
    if not (command.lots.is_finite() and command.lots >= 0):
        return [_refused("VOLUME_INVALID", "lots", "a volume is a number and not below nothing")]
    if moment.state.daily_volumes.get(command.symbol, {}).get(command.business_date) == command.lots:
        return []
    return [ev.DailyVolumeRecorded(symbol=command.symbol, business_date=command.business_date, lots=command.lots)]


def record_locate(*, command: cmd.RecordLocate, moment: Moment) -> Events:
    """Take what an account may borrow to sell short (P-23)."""
    state = moment.state
    if command.account_id not in state.accounts:
        return [_refused("ACCOUNT_UNKNOWN", "account_id", "no such account")]
    if command.symbol not in state.instruments:
        return [_refused("SYMBOL_UNKNOWN", "symbol", f"no symbol is called {command.symbol}")]
    if not (command.lots.is_finite() and command.lots >= 0):
        return [_refused("LOCATE_INVALID", "lots", "located lots are a number and not below nothing")]
    if not (command.reference and command.by):
        return [_refused("LOCATE_INVALID", "reference", "who located it, and where, is recorded")]
    if command.until_us <= moment.now_us:
        return [_refused("LOCATE_INVALID", "until_us", "a locate holds until a time to come")]
    locate = Locate(reference=command.reference, lots=command.lots, until_us=command.until_us)
    known = state.locates.get((command.account_id, command.symbol), {})
    if known.get(command.reference) == locate:
        return []
    return [ev.LocateRecorded(account_id=command.account_id, symbol=command.symbol, locate=locate, by=command.by)]


def sign_review(*, command: cmd.SignReview, moment: Moment) -> Events:
    """Take the yearly certification of the controls (P-30); it holds for a year from when it was signed."""
    if not (command.signed_by and command.reference):
        return [_refused("REVIEW_INVALID", "signed_by", "a review has a signature and a document")]
    if command.signed_at_us > moment.now_us:
        return [_refused("REVIEW_INVALID", "signed_at_us", "a review is signed before it counts")]
    due_at_us, known = review_due_at_us(signed_at_us=command.signed_at_us), moment.state.review_due_at_us
    if known is not None and due_at_us <= known:
        return []
    return [ev.ReviewSigned(signed_by=command.signed_by, reference=command.reference, due_at_us=due_at_us)]


def change_limits(*, command: cmd.ChangeLimits, moment: Moment) -> Events:
    """Change a group's limits until the end of the day at most; two people and a reason (P-28)."""
    state, now_us = moment.state, moment.now_us
    if command.group not in state.groups:
        return [_refused("GROUP_UNKNOWN", "group", f"no group is called {command.group}")]
    day_ends_at_us = next_rollover_at_us(at_us=now_us)
    change = LimitChange(
        before=own_limits(state=state, group=command.group),  # A change in force ends with this one.
        after=command.limits,
        reason=command.reason,
        asked_by=command.asked_by,
        approved_by=command.approved_by,
        from_us=now_us,
        reverts_at_us=day_ends_at_us if command.reverts_at_us is None else command.reverts_at_us,
        whole=True,
    )
    try:
        return [
            ev.LimitsChanged(group=command.group, change=checked_change(change=change, day_ends_at_us=day_ends_at_us))
        ]
    except UnableToChangeLimits as unable:
        return [_refused("LIMIT_CHANGE_INVALID", "approved_by", str(unable))]


def revert_limits(*, command: cmd.RevertLimits, moment: Moment) -> Events:
    """End a group's limits of the day now; nothing where they ended by themselves."""
    return [ev.LimitsReverted(group=command.group)] if command.group in moment.state.limit_changes else []


def limits_due(*, state: State, now_us: int) -> list[str]:
    """Return the groups whose intraday limits end now (P-28)."""
    return sorted(group for group, change in state.limit_changes.items() if now_us >= change.reverts_at_us)


def act_on_limits(*, command: cmd.ActOnLimits, moment: Moment) -> Events:
    """Tell which limits of these accounts reached an alert level, or fell below one they had reached (P-27).

    So too for the limits that these groups set to what tenant, firm and venues have open.
    """
    events: Events = _exposures_used(groups=command.groups, moment=moment)
    for account_id in command.accounts:
        account = moment.state.accounts.get(account_id)
        if account is None or account.group not in moment.state.groups:
            continue
        limits = moment.limits(group=account.group)
        known = moment.state.alert_levels.get(account_id, {})
        for code, value, limit, text in _most_used(list(_uses(account_id=account_id, limits=limits, moment=moment))):
            assert limit is not None, "an unset limit has no use"
            level, before = alert_level(value=value, limit=limit, levels=limits.alert_percents), known.get(code, ZERO)
            if level != before:
                events.append(
                    ev.LimitUseChanged(
                        account_id=account_id,
                        code=code,
                        level_percent=level,
                        raised=level > before,
                        value=value,
                        limit=limit,
                        text=text,
                    )
                )
    return events


def _uses(*, account_id: str, limits: Limits, moment: Moment) -> Iterator[Use]:
    """Yield (control, value, limit, what is limited) of everything that an account's dealing uses up."""
    state, now_us = moment.state, moment.now_us
    activity = state.activity.get(account_id, QUIET)
    window, executions = moment.lately(account_id=account_id, activity=activity, limits=limits)
    yield "P-12", window, limits.window_value_max, f"value of the last {limits.window_s} s"
    of_late = f"executions of the last {limits.executions_window_s} s"
    yield "P-15", Decimal(executions), _number(limits.executions_max), of_late
    yield "P-18", Decimal(len(state.open_orders.get(account_id, ()))), _number(limits.orders_open_max), "open orders"
    if (worth := _open_worth(account_id=account_id, moment=moment)) is not None:
        yield "P-19", worth, limits.exposure_account_max, "exposure in all symbols"
    for symbol in sorted({state.positions[held].symbol for held in state.positions_of.get(account_id, ())}):
        held = positions_in(state=state, account_id=account_id, symbol=symbol)
        net = abs(sum((position.quantity for position in held), ZERO))
        gross = sum((position.lots for position in held), ZERO)
        yield "P-18", net, limits.position_net_max_lots, f"net lots of {symbol}"
        yield "P-18", gross, limits.position_gross_max_lots, f"gross lots of {symbol}"
    yield "P-20", activity.loss_today(now_us=now_us), limits.loss_daily_account_max, "the account's loss of the day"
    if (lost := moment.loss_today_of_all(into=moment.account(account_id).currency)) is not None:
        yield "P-20", lost, limits.loss_daily_tenant_max, "the tenant's loss of the day"


def _exposures_used(*, groups: Iterable[tuple[str, str]], moment: Moment) -> Events:
    events: Events = []
    state, open_ = moment.state, dict[str, dict[tuple[str, str], Decimal | None]]()
    for group, currency in groups:
        limits = moment.limits(group=group)
        limit_of = {
            "tenant": limits.exposure_tenant_max,
            "firm": limits.exposure_firm_max,
            "venue": limits.exposure_venue_max,
        }
        if currency not in open_:
            open_[currency] = _open_by_scope(currency=currency, moment=moment)
        for (scope, key), value in open_[currency].items():
            limit, before = limit_of[scope], state.exposure_alerts.get((scope, key, group, currency), ZERO)
            if value is None:
                continue  # What cannot be converted now is as it was.
            level = ZERO
            if limit is not None:
                level = alert_level(value=value, limit=limit, levels=limits.alert_percents)
            if level != before:
                events.append(
                    ExposureUseChanged(
                        scope=scope,
                        key=key,
                        group=group,
                        currency=currency,
                        level_percent=level,
                        raised=level > before,
                        value=value,
                        limit=limit,
                    )
                )
    return events


def _open_by_scope(*, currency: str, moment: Moment) -> dict[tuple[str, str], Decimal | None]:
    """Return what tenant, firm and each venue have open; the house is all that one desk knows of its firm."""
    state = moment.state
    house = _worth(state.house_risk, currency, moment)
    found = {("tenant", ""): house, ("firm", ""): house}
    return found | {("venue", name): _worth(state.venue_risks.get(name), currency, moment) for name in state.venues}


def _most_used(uses: list[Use]) -> list[Use]:
    """Return of every control the use that is nearest to its limit; what has no limit cannot be used up."""
    worst: dict[str, Use] = {}
    for use in uses:
        known = worst.get(use[0])
        if use[2] is not None and (known is None or _share(use) > _share(known)):
            worst[use[0]] = use
    return list(worst.values())


def _share(use: Use) -> Decimal:
    _, value, limit, _ = use
    return value / limit if limit else value


def _open_worth(*, account_id: str, moment: Moment) -> Decimal | None:
    """Return what an account has open in its currency, working orders as filled; None where a rate is missing."""
    return _worth(moment.state.account_risks.get(account_id), moment.account(account_id).currency, moment)


def _worth(risk: OpenRisk | None, currency: str, moment: Moment) -> Decimal | None:
    if risk is None:
        return ZERO
    return risk.worth(into=currency, rate=lambda each: moment.rate(source=each, target=currency, gain=False))


def _number(limit: int | None) -> Decimal | None:
    return None if limit is None else Decimal(limit)


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
