"""A linter for routing rules: those that can never decide, and those that meet where only their order decides."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.routing_rules import WEEK_MINUTES, Conditions, RoutingPolicy, RoutingRule
from piggy.core.weeks import DAY_MINUTES, WeekWindow

_LISTS = ("accounts", "owners", "groups", "symbols")
_AT_LEAST = ("lots_min", "exposure_lots_min", "markout_score_min")
_AT_MOST = ("lots_max", "margin_level_max_percent")


class Fault(StrEnum):
    """UNREACHABLE: its own conditions exclude each other. SHADOWED: an earlier rule takes all it could.

    OVERLAPPING: some orders fit both rules, which treat them differently.
    """

    UNREACHABLE = "unreachable"
    SHADOWED = "shadowed"
    OVERLAPPING = "overlapping"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with `rule`; `other` is the earlier rule that it meets, '' for none."""

    rule: str
    fault: Fault
    other: str = ""
    text: str = ""


def lint(*, policy: RoutingPolicy) -> tuple[Finding, ...]:
    """Return what is suspicious in a rule set, in the order in which rules are asked; disabled rules are left out."""
    rules = sorted((rule for rule in policy.rules if rule.enabled), key=lambda rule: (rule.priority, rule.name))
    found: list[Finding] = []
    for at, rule in enumerate(rules):
        if why := _contradiction(rule.conditions):
            found.append(Finding(rule=rule.name, fault=Fault.UNREACHABLE, text=why))
            continue
        earlier = [each for each in rules[:at] if not _contradiction(each.conditions)]
        found += _meeting(rule, earlier)
    return tuple(found)


def _meeting(rule: RoutingRule, earlier: Sequence[RoutingRule]) -> list[Finding]:
    for other in earlier:
        if _covers(other.conditions, rule.conditions):
            text = f"every order that fits {rule.name} is taken by {other.name} before it"
            return [Finding(rule=rule.name, fault=Fault.SHADOWED, other=other.name, text=text)]
    return [
        Finding(
            rule=rule.name,
            fault=Fault.OVERLAPPING,
            other=other.name,
            text=f"an order may fit both; {other.name} decides because it is asked first",
        )
        for other in earlier
        if _outcome(other) != _outcome(rule)
        and _meet(other.conditions, rule.conditions)
        # An exception before its general rule is what priorities are for.
        and not _covers(rule.conditions, other.conditions)
    ]


def _outcome(rule: RoutingRule) -> RoutingRule:
    return msgspec.structs.replace(rule, name="", priority=0, conditions=Conditions())


def _contradiction(conditions: Conditions) -> str:
    low, high = conditions.lots_min, conditions.lots_max
    if low is not None and high is not None and low > high:
        return f"no order has at least {low} and at most {high} lots"
    if not _spans(conditions):
        return "its window of the week is empty"
    return ""


def _covers(wide: Conditions, narrow: Conditions) -> bool:
    """Tell whether whatever fits `narrow` surely fits `wide`."""
    lists = ((getattr(wide, name), getattr(narrow, name)) for name in _LISTS)
    return (
        all(not allowed or (some and set(some) <= set(allowed)) for allowed, some in lists)
        and all(_no_higher(getattr(wide, name), getattr(narrow, name)) for name in _AT_LEAST)
        and all(_no_lower(getattr(wide, name), getattr(narrow, name)) for name in _AT_MOST)
        and _covers_times(wide, narrow)
    )


def _covers_times(wide: Conditions, narrow: Conditions) -> bool:
    if wide.windows and wide.windows == narrow.windows:
        # Whatever their zones' clocks do, they are open together.
        wide, narrow = (msgspec.structs.replace(each, windows=()) for each in (wide, narrow))
    surely = _spans(wide, surely=True)
    return all(any(low <= start and end <= high for low, high in surely) for start, end in _spans(narrow))


def _meet(one: Conditions, other: Conditions) -> bool:
    """Tell whether some order may fit both."""
    lists = ((getattr(one, name), getattr(other, name)) for name in _LISTS)
    if any(some and others and not set(some) & set(others) for some, others in lists):
        return False
    if not any(max(low, start) < min(high, end) for low, high in _spans(one) for start, end in _spans(other)):
        return False
    lows = [low for low in (one.lots_min, other.lots_min) if low is not None]
    highs = [high for high in (one.lots_max, other.lots_max) if high is not None]
    return not (lows and highs and max(lows) > min(highs))


def _no_higher(wide: Decimal | None, narrow: Decimal | None) -> bool:
    return wide is None or (narrow is not None and wide <= narrow)


def _no_lower(wide: Decimal | None, narrow: Decimal | None) -> bool:
    return wide is None or (narrow is not None and wide >= narrow)


def _spans(conditions: Conditions, *, surely: bool = False) -> list[tuple[int, int]]:
    """Return the minutes of the UTC week that may fit, or `surely` do, as spans within the week."""
    start, end = conditions.from_minute, conditions.to_minute
    spans = [(0, WEEK_MINUTES)]
    if start is not None and end is not None:
        spans = [(start, end)] if start <= end else [(start, WEEK_MINUTES), (0, end)]
    if conditions.windows:
        opened = [span for window in conditions.windows for span in _open(window, surely)]
        spans = [(max(low, start), min(high, end)) for low, high in spans for start, end in opened]
    return [(low, high) for low, high in spans if low < high]


def _open(window: WeekWindow, surely: bool) -> list[tuple[int, int]]:
    """Return the minutes of the UTC week in which a window is open: of another zone any may be, and none surely is."""
    if window.zone != "UTC":
        return [] if surely or not window.weekdays else [(0, WEEK_MINUTES)]
    follows = 0 if window.start_minute < window.end_minute else DAY_MINUTES
    spans: list[tuple[int, int]] = []
    for day in window.weekdays:
        start, end = day * DAY_MINUTES + window.start_minute, day * DAY_MINUTES + window.end_minute + follows
        spans += [(start, min(end, WEEK_MINUTES)), (0, end - WEEK_MINUTES)]
    return spans
