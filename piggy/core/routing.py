"""Routing: which book takes an order, and which venues fill its A part; always with the reason.

The decision is data (`RoutingDecision`): rule and version, how many lots go where, and every venue considered with what
was known of it. Venues are ranked by price, then size, then reject rate, then priority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from operator import itemgetter

import msgspec

from piggy.core.accounts import Group, Venue
from piggy.core.events import RoutingDecision, VenueConsidered
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.routing_rules import CostModel, Treatment, VenueScore, venue_cost
from piggy.core.verdicts import CostTerms, VenueRow

HUNDRED = Decimal(100)
UNSCORED = VenueScore()
FREE = CostModel()
SHARE_STEP = Decimal("0.0001")
_BUY = Side.BUY
Usable = tuple[Decimal, AttributedLevel, Decimal, Venue, Decimal, CostTerms | None]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's share of an order; `limit_price` is the worst raw price it may fill at."""

    venue: str
    quantity: Decimal
    limit_price: Decimal


def only_passed_on(*, treatment: Treatment) -> bool:
    """Return whether new flow has nobody here to deal with: neither the house, nor other clients, nor a dealer."""
    return treatment.a_percent >= HUNDRED and not treatment.internal_cross and treatment.dealer is None


def is_kept(*, treatment: Treatment, side: Side, lots: Decimal, b_net_lots: Decimal) -> bool:
    """Return whether no venue is sent any of `lots` of new flow: none is passed on, and none overflows to A."""
    most = treatment.b_net_max_lots
    return not treatment.a_percent and (most is None or side.sign * b_net_lots + lots <= most)


def rank(
    *,
    venues: Mapping[str, Venue],
    levels: Sequence[AttributedLevel],
    excluded: Mapping[str, str],
    scores: Mapping[str, VenueScore],
    cost_model: CostModel,
    side: Side,
    limit: Decimal | None,
) -> tuple[VenueConsidered, ...]:
    """Return every venue with its rank (1 is asked first, 0 is passed over) and the reason for either.

    `levels` are the live consolidated levels of the side that is taken, best first; a venue without one has no quote.
    """
    rows, _ = _ranked(venues, levels, excluded, scores, cost_model, side, limit)
    return tuple([VenueConsidered(*row) for row in rows])


def rank_levels(
    *,
    venues: Mapping[str, Venue],
    levels: Sequence[AttributedLevel],
    excluded: Mapping[str, str],
    scores: Mapping[str, VenueScore],
    cost_model: CostModel,
    side: Side,
    limit: Decimal | None,
) -> tuple[list[VenueRow], tuple[AttributedLevel, ...]]:
    """Return what `rank` says, as rows, and what `reachable` then says of the same levels and limit."""
    rows, asked = _ranked(venues, levels, excluded, scores, cost_model, side, limit)
    if len({level.venue for level in levels}) == len(levels):
        # One level each, as venues mostly quote: they are dealt at in the order of their ranks.
        return rows, tuple(asked)
    ranked = [VenueConsidered(*row) for row in rows]
    return rows, reachable(levels=levels, ranked=ranked, side=side, limit=limit)


def _ranked(
    venues: Mapping[str, Venue],
    levels: Sequence[AttributedLevel],
    excluded: Mapping[str, str],
    scores: Mapping[str, VenueScore],
    cost_model: CostModel,
    side: Side,
    limit: Decimal | None,
) -> tuple[list[VenueRow], list[AttributedLevel]]:
    """Return every venue as `rank` does, and the best levels of those that are asked, in that order."""
    buying, free = side is _BUY, cost_model == FREE
    # The last one wins, so that read backwards each venue's best level does.
    best = {level.venue: level for level in reversed(levels)}
    passed = [_passed_over(venue, None, None, scores, excluded) for venue in venues.values() if venue.name not in best]
    usable: list[Usable] = []
    last, in_order = None, True
    for name, found in reversed(best.items()):
        venue = venues.get(name)
        if venue is None:
            continue
        price, cost, terms, score = found.price, ZERO, None, scores.get(name, UNSCORED)
        if not free:
            terms = venue_cost(model=cost_model, price=price, fee_per_million=venue.commission_per_million, score=score)
        if not venue.enabled or name in excluded:
            passed.append(_passed_over(venue, found, terms, scores, excluded))
            continue
        if limit is not None and (price > limit if buying else price < limit):
            passed.append(_row(venue, found, terms, scores, f"quotes {price}, beyond the limit {limit}"))
            continue
        if terms is not None:
            cost = terms.total
            price = price + cost if buying else price - cost
        # Levels come best first, so that mostly there is nothing left to sort.
        if last is not None and not (price > last if buying else price < last):
            in_order = False
        last = price
        usable.append((price if buying else -price, found, score.reject_rate, venue, cost, terms))
    if not in_order:
        usable.sort(key=_worth)
    rows: list[VenueRow] = []
    asked: list[AttributedLevel] = []
    for _, level, reject_rate, venue, cost, terms in usable:
        place = len(asked) + 1
        if venue.shadow:
            # It is ranked and recorded as if it were asked, and never is.
            rank, text = 0, f"shadow: would be choice {place}"
        else:
            rank, text = place, f"choice {place}" if asked else "best price"
            asked.append(level)
        at_us, priority = level.received_at_us, venue.priority
        rows.append((venue.name, level.price, level.size, at_us, reject_rate, priority, rank, cost, text, terms))
    passed.sort(key=_named)
    return rows + passed, asked


_named = itemgetter(0)


def _worth(usable: Usable) -> tuple[Decimal, Decimal, Decimal, int, str]:
    """Return what venues are ranked by: price with what it costs, then size, reject rate, priority and name."""
    price, level, reject_rate, venue, *_ = usable
    return price, -level.size, reject_rate, venue.priority, venue.name


def legs(
    *,
    levels: Sequence[AttributedLevel],
    ranked: Sequence[VenueConsidered],
    quantity: Decimal,
    side: Side,
    limit: Decimal,
    instrument: Instrument,
) -> tuple[Leg, ...]:
    """Return how `quantity` is spread over the consolidated `levels`, best first, one leg per venue.

    A venue's leg takes no more than it quotes inside `limit`. What a venue costs beyond its price counts as price;
    among equals the better ranked venue comes first.
    What the book cannot fill is left out: the caller reports it as unfilled.
    """
    found = reachable(levels=levels, ranked=ranked, side=side, limit=limit)
    return spread(reachable=found, quantity=quantity, limit=limit, instrument=instrument)


def reachable(
    *, levels: Sequence[AttributedLevel], ranked: Sequence[VenueConsidered], side: Side, limit: Decimal | None
) -> tuple[AttributedLevel, ...]:
    """Return the levels inside `limit` of the venues that may be asked, in the order that they are dealt at."""
    buying = side is _BUY
    place = {seen.venue: (seen.rank, seen.cost or ZERO) for seen in ranked if seen.rank}
    found: list[tuple[Decimal, int, int, AttributedLevel]] = []
    for at, level in enumerate(levels):
        known = place.get(level.venue)
        inside = limit is None or (level.price <= limit if buying else level.price >= limit)
        if known is not None and inside:
            rank, cost = known
            found.append((level.price + cost if buying else cost - level.price, rank, at, level))
    found.sort()
    return tuple([level for *_, level in found])


def spread(
    *, reachable: Sequence[AttributedLevel], quantity: Decimal, limit: Decimal, instrument: Instrument
) -> tuple[Leg, ...]:
    """Return one leg per venue for `quantity` lots over the levels `reachable`, from the first one on.

    None is below what a venue deals in: the last one gets what it lacks from those before it, or else one venue that
    shows them deals all lots. Where neither can be, what would be too little is left out.
    """
    taken = _taken(reachable, quantity, instrument)
    if taken and min(taken.values()) < instrument.lot_min:
        shown: dict[str, Decimal] = {}
        for level in reachable:
            shown[level.venue] = shown.get(level.venue, ZERO) + on_step(lots=level.size, instrument=instrument)
        enough = [level for level in reachable if shown[level.venue] >= instrument.lot_min]
        taken = _lifted(_taken(enough, quantity, instrument), shown, quantity, instrument)
    return tuple([Leg(venue=venue, quantity=lots, limit_price=limit) for venue, lots in taken.items()])


def _taken(reachable: Sequence[AttributedLevel], quantity: Decimal, instrument: Instrument) -> dict[str, Decimal]:
    """Return what each venue would deal of `quantity`, the first level first."""
    taken: dict[str, Decimal] = {}
    left = quantity
    for level in reachable:
        if left <= 0:
            break
        lots = on_step(lots=min(left, level.size), instrument=instrument)
        if lots > 0:
            taken[level.venue] = taken.get(level.venue, ZERO) + lots
            left -= lots
    return taken


def _lifted(
    taken: dict[str, Decimal], shown: Mapping[str, Decimal], quantity: Decimal, instrument: Instrument
) -> dict[str, Decimal]:
    """Return `taken` with no leg below the least: what it lacks is another's, the worst first; else it is left out."""
    least = least_leg(instrument=instrument)
    for name in [name for name, lots in taken.items() if lots < least]:
        lacks = least - taken[name]
        spare = {other: lots - least for other, lots in reversed(taken.items()) if lots > least}
        if sum(spare.values()) < lacks:
            whole = [venue for venue, lots in shown.items() if lots >= quantity >= least]
            if whole:
                return {whole[0]: quantity}
            del taken[name]
            continue
        taken[name] = least
        for other, lots in spare.items():
            part = min(lots, lacks)
            taken[other] -= part
            lacks -= part
    return taken


def decision(
    *,
    treatment: Treatment,
    a_quantity: Decimal,
    b_quantity: Decimal,
    cross_quantity: Decimal,
    venues: bytes,
    at_us: int,
    text: str,
    cost_version: int = 0,
) -> RoutingDecision:
    """Return the record of a decision at `at_us` over `venues`, packed; without a rule it names the group's mode."""
    return RoutingDecision(
        rule=treatment.rule,
        version=treatment.version,
        mode=_mode(a=a_quantity, b=b_quantity, cross=cross_quantity),
        a_quantity=a_quantity,
        b_quantity=b_quantity,
        cross_quantity=cross_quantity,
        venues=venues,
        at_us=at_us,
        text=text,
        cost_version=cost_version,
    )


def waiting(*, group: Group, text: str) -> RoutingDecision:
    """Return the record of an order that goes nowhere yet; it is routed when its price comes."""
    return RoutingDecision(
        rule=f"group {group.name}: {group.book_mode}",
        version=group.version,
        mode="REST",
        a_quantity=ZERO,
        b_quantity=ZERO,
        cross_quantity=ZERO,
        text=text,
    )


def share(*, values: Sequence[Decimal | bool]) -> Decimal:
    """Return the mean of a venue's latest figures, to four places; 0 with none yet."""
    # Started at an int, which Python sums a hundred answers of yes and no with in one go.
    return (Decimal(sum(values)) / len(values)).quantize(SHARE_STEP) if values else ZERO


def on_step(*, lots: Decimal, instrument: Instrument) -> Decimal:
    """Return the whole steps in `lots`."""
    over = lots % instrument.lot_step
    if not over:
        return lots - over
    return (lots / instrument.lot_step).to_integral_value(rounding=ROUND_FLOOR) * instrument.lot_step


def least_leg(*, instrument: Instrument) -> Decimal:
    """Return the fewest lots that a venue is sent: the least order, in whole steps."""
    steps = (instrument.lot_min / instrument.lot_step).to_integral_value(rounding=ROUND_CEILING)
    return steps * instrument.lot_step


def _passed_over(
    venue: Venue,
    level: AttributedLevel | None,
    terms: CostTerms | None,
    scores: Mapping[str, VenueScore],
    excluded: Mapping[str, str],
) -> VenueRow:
    text = "no live quote" if venue.enabled else "switched off"
    return _row(venue, level, terms, scores, excluded.get(venue.name) or text)


def _row(
    venue: Venue, level: AttributedLevel | None, terms: CostTerms | None, scores: Mapping[str, VenueScore], text: str
) -> VenueRow:
    """Return the row of a venue that is passed over, which `text` says why."""
    price, size, at_us = (level.price, level.size, level.received_at_us) if level else (None, None, None)
    reject_rate = scores.get(venue.name, UNSCORED).reject_rate
    return venue.name, price, size, at_us, reject_rate, venue.priority, 0, None, text, terms


def _mode(*, a: Decimal, b: Decimal, cross: Decimal) -> str:
    if a > 0 and not b and not cross:
        return "A"
    names = [name for name, lots in (("A", a), ("B", b), ("CROSS", cross)) if lots > 0]
    return names[0] if len(names) == 1 else ("MIXED" if names else "REST")
