"""Routing rules: ordered conditions, the first that matches decides; without a match the group's own mode does.

A rule set is one versioned value, so that an order can name exactly what routed it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import BookMode, Group
from piggy.core.money import ZERO
from piggy.core.verdicts import CostTerms
from piggy.core.weeks import WeekWindow, window_fault

HUNDRED = Decimal(100)
# Looking a member up in its enum class costs more than a comparison does, and every order asks.
_A, _MIXED = BookMode.A, BookMode.MIXED
MINUTE_US = 60_000_000
DEALER_TIMEOUT_S_MAX = 600
WEEK_MINUTES = 7 * 24 * 60
# 1970-01-01 was a Thursday; weeks are counted from Monday 00:00 UTC.
EPOCH_MINUTE_OF_WEEK = 3 * 24 * 60
_NUMBERS = ("lots_min", "lots_max", "exposure_lots_min", "margin_level_max_percent", "markout_score_min")


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What rules may look at; lots of the order, signed uncovered lots of the symbol, level in percent."""

    account_id: str
    owner_id: str
    group: str
    symbol: str
    lots: Decimal
    at_us: int
    uncovered_lots: Decimal = ZERO
    b_net_lots: Decimal = ZERO
    margin_level_percent: Decimal | None = None
    markout_score: Decimal | None = None


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """All that are set must hold; a tuple holds when the value is in it. Minutes are those of the UTC week.

    Of `windows`, by the clocks of their own zones, one has to be open.
    """

    accounts: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    lots_min: Decimal | None = None
    lots_max: Decimal | None = None
    from_minute: int | None = None
    to_minute: int | None = None
    exposure_lots_min: Decimal | None = None
    margin_level_max_percent: Decimal | None = None
    markout_score_min: Decimal | None = None
    windows: tuple[WeekWindow, ...] = ()

    def hold(self, *, situation: Situation) -> bool:
        """Return whether every condition that is set holds; what is not known holds no condition."""
        s = situation
        return (
            _is_in(s.account_id, self.accounts)
            and _is_in(s.owner_id, self.owners)
            and _is_in(s.group, self.groups)
            and _is_in(s.symbol, self.symbols)
            and _at_least(s.lots, self.lots_min)
            and _at_most(s.lots, self.lots_max)
            and self._in_window(s.at_us)
            and (not self.windows or any(window.covers(at_us=s.at_us) for window in self.windows))
            and _at_least(abs(s.uncovered_lots), self.exposure_lots_min)
            and _at_most(s.margin_level_percent, self.margin_level_max_percent)
            and _at_least(s.markout_score, self.markout_score_min)
        )

    def _in_window(self, at_us: int) -> bool:
        if self.from_minute is None or self.to_minute is None:
            return True
        minute = (at_us // MINUTE_US + EPOCH_MINUTE_OF_WEEK) % WEEK_MINUTES
        if self.from_minute <= self.to_minute:
            return self.from_minute <= minute < self.to_minute
        return minute >= self.from_minute or minute < self.to_minute


class DealerWait(msgspec.Struct, frozen=True, kw_only=True):
    """How long an order waits for a dealer, and whether it is passed on or refused when nobody answered."""

    timeout_s: int = 30
    passes_on: bool = False


class RoutingRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; lower `priority` is asked first. `a_book_percent` counts for MIXED only.

    `b_net_max_lots` keeps the symbol's B book within so many lots: what would exceed them overflows to A.
    With a `dealer` the order waits for one first; the rest says how it goes when it is passed on.
    """

    name: str
    priority: int
    book_mode: BookMode
    conditions: Conditions = Conditions()
    a_book_percent: Decimal = HUNDRED
    internal_cross: bool = True
    b_net_max_lots: Decimal | None = None
    dealer: DealerWait | None = None
    enabled: bool = True


class CostModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue really costs, in parts of the price, on top of its quote; each weight 0 leaves its term out.

    `reject`, `unfilled` and `latency` price a reject rate of 1, a fill ratio of 0 and one second of delay, in basis
    points; `markout` multiplies the venue's own markout (basis points lost after its fills); `fee` its commission.
    """

    version: int = 1
    fee: Decimal = ZERO
    reject_bps: Decimal = ZERO
    unfilled_bps: Decimal = ZERO
    latency_bps_per_s: Decimal = ZERO
    markout: Decimal = ZERO


class VenueScore(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a venue's service: ratios of 1, latency in ms, markout in basis points."""

    reject_rate: Decimal = ZERO
    fill_ratio: Decimal = Decimal(1)
    latency_ms: Decimal = ZERO
    markout_bps: Decimal = ZERO


class RoutingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's rules and cost model; `version` is recorded on each order that they route."""

    version: int
    rules: tuple[RoutingRule, ...] = ()
    cost_model: CostModel = CostModel()

    @property
    def asks_margin_level(self) -> bool:
        """Whether any rule looks at the account's margin level, which takes all its positions to tell."""
        return any(rule.conditions.margin_level_max_percent is not None for rule in self.rules)


class Treatment(msgspec.Struct, frozen=True, kw_only=True):
    """How an order is to be split, and by what: the rule's name and version, or the group's."""

    rule: str
    version: int
    book_mode: BookMode
    a_percent: Decimal
    internal_cross: bool
    b_net_max_lots: Decimal | None = None
    dealer: DealerWait | None = None


def treatment(*, policy: RoutingPolicy | None, group: Group, situation: Situation) -> Treatment:
    """Return what the first matching rule says, by priority and then by name; else what the group says."""
    for rule in sorted(policy.rules, key=lambda rule: (rule.priority, rule.name)) if policy else ():
        if rule.enabled and rule.conditions.hold(situation=situation):
            return Treatment(
                rule=f"rule {rule.name}",
                version=policy.version if policy else 0,
                book_mode=rule.book_mode,
                a_percent=_a_percent(rule.book_mode, rule.a_book_percent),
                internal_cross=rule.internal_cross and group.internal_cross,
                b_net_max_lots=rule.b_net_max_lots,
                dealer=rule.dealer,
            )
    return Treatment(
        rule=f"group {group.name}: {group.book_mode}",
        version=group.version,
        book_mode=group.book_mode,
        a_percent=_a_percent(group.book_mode, group.a_book_percent),
        internal_cross=group.internal_cross,
    )


def policy_fault(*, policy: RoutingPolicy) -> tuple[str, str] | None:
    """Return (field, what is wrong) of a policy that cannot be used, None for a good one."""
    names = [rule.name for rule in policy.rules]
    if len(set(names)) != len(names):
        return "rules", "two rules have the same name"
    for rule in policy.rules:
        if not (rule.a_book_percent.is_finite() and 0 <= rule.a_book_percent <= HUNDRED):
            return "a_book_percent", f"rule {rule.name}: between 0 and 100"
        if rule.dealer is not None and not 1 <= rule.dealer.timeout_s <= DEALER_TIMEOUT_S_MAX:
            return "dealer", f"rule {rule.name}: a dealer has from 1 to {DEALER_TIMEOUT_S_MAX} seconds"
        if fault := _conditions_fault(rule):
            return fault
    model = policy.cost_model
    for name in ("fee", "reject_bps", "unfilled_bps", "latency_bps_per_s", "markout"):
        weight: Decimal = getattr(model, name)
        if not (weight.is_finite() and weight >= 0):
            return name, "a weight is a number and not negative"
    return None


def _conditions_fault(rule: RoutingRule) -> tuple[str, str] | None:
    conditions, most = rule.conditions, rule.b_net_max_lots
    if most is not None and not (most.is_finite() and most >= 0):
        return "b_net_max_lots", f"rule {rule.name}: a number of lots, not below nothing"
    for name in _NUMBERS:
        number: Decimal | None = getattr(conditions, name)
        if number is not None and not number.is_finite():
            return name, f"rule {rule.name}: a number"
    minutes = [minute for minute in (conditions.from_minute, conditions.to_minute) if minute is not None]
    if not all(0 <= minute <= WEEK_MINUTES for minute in minutes):
        return "from_minute", f"rule {rule.name}: a minute of the week, 0 to {WEEK_MINUTES}"
    if len(minutes) == 1:
        # A window with one end would be none, and the rule would hold all week.
        return "from_minute", f"rule {rule.name}: a window of the week has both its ends"
    for window in conditions.windows:
        if fault := window_fault(window=window):
            return "windows", f"rule {rule.name}: {fault}"
    return None


def venue_cost(*, model: CostModel, price: Decimal, fee_per_million: Decimal, score: VenueScore) -> CostTerms:
    """Return what dealing at `price` with this venue costs beyond the price, term by term, in price units per unit."""
    bps = price / 10_000
    return CostTerms(
        fee=price * model.fee * fee_per_million / 1_000_000,
        rejects=bps * model.reject_bps * score.reject_rate,
        unfilled=bps * model.unfilled_bps * (1 - score.fill_ratio),
        latency=bps * model.latency_bps_per_s * score.latency_ms / 1_000,
        markout=bps * model.markout * score.markout_bps,
    )


def shadowed_rules(*, policy: RoutingPolicy) -> tuple[str, ...]:
    """Return the names of rules that can never match: an earlier one has no condition, or the same conditions."""
    ordered = sorted((rule for rule in policy.rules if rule.enabled), key=lambda rule: (rule.priority, rule.name))
    seen: list[Conditions] = []
    shadowed: list[str] = []
    for rule in ordered:
        if any(earlier in (Conditions(), rule.conditions) for earlier in seen):
            shadowed.append(rule.name)
        seen.append(rule.conditions)
    return tuple(shadowed)


def _a_percent(mode: BookMode, percent: Decimal) -> Decimal:
    if mode is _MIXED:
        return percent
    return HUNDRED if mode is _A else ZERO


def _is_in(value: str, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed


def _at_least(value: Decimal | None, limit: Decimal | None) -> bool:
    return limit is None or (value is not None and value >= limit)


def _at_most(value: Decimal | None, limit: Decimal | None) -> bool:
    return limit is None or (value is not None and value <= limit)
