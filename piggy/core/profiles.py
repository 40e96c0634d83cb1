"""Price profiles: how a group sees a symbol. Markup per side by order size, spread limits, schedules, commission.

What a profile leaves unset it inherits: group and symbol, then group and '*', then the group's own fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.accounts import MARKUP_POINTS_MAX
from piggy.core.bookbuild import BuildMode, PriceBuild, SpreadProfile, build_fault, spread_fault
from piggy.core.commissions import Commission, commission_fault
from piggy.core.money import ZERO
from piggy.core.weeks import WeekWindow as WeekWindow
from piggy.core.weeks import window_fault

ANY_SYMBOL = "*"
GUARANTEE_POINTS_MAX = Decimal(1_000_000)  # Beyond it a premium or a distance means nothing.
BPS = Decimal(10_000)


class MarkupUnit(StrEnum):
    POINTS = "points"
    BPS = "bps"


class MarkupBand(msgspec.Struct, frozen=True, kw_only=True):
    """What orders of `from_lots` and more pay over the raw price on each side; it may be negative."""

    bid: Decimal
    ask: Decimal
    from_lots: Decimal = ZERO
    unit: MarkupUnit = MarkupUnit.POINTS


class PriceSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Markup and spread that replace the profile's own while one of its windows is open; unset keeps the profile's."""

    windows: tuple[WeekWindow, ...]
    bands: tuple[MarkupBand, ...] = ()
    spread: SpreadProfile | None = None


class GuaranteedStops(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms a group may have stops guaranteed in a symbol; both in points, as prices are quoted.

    `premium_points` of price are paid on every lot that a guaranteed stop closes, when it does; to place, move or
    cancel one costs nothing. `distance_points_min` is how far from the market it must be when it is placed or moved.
    """

    premium_points: Decimal
    distance_points_min: Decimal
    offered: bool = True


class PriceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How one group sees one symbol. `bands` rise in size; of `schedules` the first with an open window wins.

    Without `guaranteed_stops` here or in what it inherits, no stop is guaranteed. `build` is what markup and spread are
    put on: the best prices where it is unset; the mode best takes back what would be inherited.
    """

    version: int = 1
    bands: tuple[MarkupBand, ...] = ()
    spread: SpreadProfile | None = None
    schedules: tuple[PriceSchedule, ...] = ()
    commission: Commission | None = None
    guaranteed_stops: GuaranteedStops | None = None
    build: PriceBuild | None = None

    def at(self, *, at_us: int) -> tuple[tuple[MarkupBand, ...], SpreadProfile | None]:
        """Return the bands and the spread limits in force at `at_us`."""
        for schedule in self.schedules:
            if any(window.covers(at_us=at_us) for window in schedule.windows):
                return schedule.bands or self.bands, schedule.spread or self.spread
        return self.bands, self.spread


Profiles = Mapping[tuple[str, str], PriceProfile]


def profiles_of(*, profiles: Profiles, group: str, symbol: str) -> tuple[PriceProfile, ...]:
    """Return what is configured for the group and the symbol, most specific first."""
    if not profiles:
        return ()
    found = (profiles.get((group, symbol)), profiles.get((group, ANY_SYMBOL)))
    return tuple(profile for profile in found if profile is not None)


def build_of(*, profiles: Iterable[PriceProfile]) -> PriceBuild | None:
    """Return the build that the most specific profile with one says; None where that is the best price, as ever."""
    for profile in profiles:
        if (build := profile.build) is not None:
            return build if build.mode is not BuildMode.BEST else None
    return None


def builds_of(*, profiles: Profiles, symbol: str) -> set[PriceBuild]:
    """Return the builds besides the best price that any group's profiles of a symbol name."""
    mine = (build_of(profiles=(profile,)) for (_, named), profile in profiles.items() if named in (symbol, ANY_SYMBOL))
    return {build for build in mine if build is not None}


def band_for(*, bands: tuple[MarkupBand, ...], lots: Decimal) -> MarkupBand | None:
    """Return the band that an order of `lots` falls in."""
    reached = [band for band in bands if band.from_lots <= lots]
    return reached[-1] if reached else None


def bands_from(*, profiles: tuple[PriceProfile, ...], lots: Decimal) -> Decimal:
    """Return the least lots that fall in the same bands of `profiles` as `lots` do, whatever the time."""
    all_bands = [bands for each in profiles for bands in (each.bands, *(part.bands for part in each.schedules))]
    return max((band.from_lots for bands in all_bands for band in bands if band.from_lots <= lots), default=ZERO)


def profile_fault(*, profile: PriceProfile) -> str:
    """Return what is wrong with a profile, '' when nothing is."""
    faults = {"bands": _bands_fault(profile.bands)}
    faults |= {f"schedules[{at}]": _schedule_fault(schedule) for at, schedule in enumerate(profile.schedules)}
    if profile.commission is not None:
        faults["commission"] = commission_fault(plan=profile.commission)
    if profile.guaranteed_stops is not None:
        faults["guaranteed_stops"] = _guarantee_fault(profile.guaranteed_stops)
    spreads = {"": profile.spread} | {f"schedules[{at}].": part.spread for at, part in enumerate(profile.schedules)}
    for place, spread in spreads.items():
        if spread is not None and (fault := spread_fault(spread=spread)):
            return f"{place}spread.{fault}"
    if profile.build is not None and (fault := build_fault(build=profile.build)):
        return f"build.{fault}"
    return next((f"{place}: {fault}" for place, fault in faults.items() if fault), "")


def _guarantee_fault(terms: GuaranteedStops) -> str:
    numbers = (terms.premium_points, terms.distance_points_min)
    if not all(number.is_finite() and 0 <= number <= GUARANTEE_POINTS_MAX for number in numbers):
        return f"premium and distance of a guaranteed stop are from 0 to {GUARANTEE_POINTS_MAX} points"
    return ""


def _bands_fault(bands: tuple[MarkupBand, ...]) -> str:
    if not all(number.is_finite() for band in bands for number in (band.bid, band.ask, band.from_lots)):
        return "a markup needs finite numbers"
    if not all(abs(number) <= MARKUP_POINTS_MAX for band in bands for number in (band.bid, band.ask)):
        return f"a markup is from -{MARKUP_POINTS_MAX} to {MARKUP_POINTS_MAX}"
    starts = [band.from_lots for band in bands]
    if starts != sorted(set(starts)):
        return "volume bands must rise"
    if any(band.unit is MarkupUnit.BPS and not -BPS < band.bid < BPS for band in bands):
        return f"a bid cannot be lowered by {BPS} basis points, which are all of it"
    return "the first volume band starts at 0 lots" if starts and starts[0] else ""


def _schedule_fault(schedule: PriceSchedule) -> str:
    for window in schedule.windows:
        if fault := window_fault(window=window):
            return fault
    return _bands_fault(schedule.bands)
