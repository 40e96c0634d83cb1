"""Routing: which book takes an order, and which venues fill its A part; always with the reason.

The decision is data (`RoutingDecision`): rule and version, how many lots go where, and every venue considered with what
was known of it. Venues are ranked by price, then size, then reject rate, then priority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from operator import itemgetter

import msgspec

from piggy.core.accounts import BookMode, Group, Venue
from piggy.core.events import RoutingDecision, VenueConsidered
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.routing_rules import CostModel, Treatment, VenueScore, venue_cost
from piggy.core.verdicts import CostTerms, VenueRow

HUNDRED = Decimal(100)
UNSCORED = VenueScore()
FREE = CostModel()
SHARE_STEP = Decimal("0.0001")
_BUY = Side.BUY
_A, _B = BookMode.A, BookMode.B
Usable = tuple[Decimal, AttributedLevel, Decimal, Venue, Decimal, CostTerms | None]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's share of an order; `limit_price` is the worst raw price it may fill at."""

    venue: str
    quantity: Decimal
    limit_price: Decimal


def split(
    *,
    treatment: Treatment,
    instrument: Instrument,
    quantity: Decimal,
    side: Side,
    position: Position | None,
    b_net_lots: Decimal = ZERO,
    came_back: Decimal = ZERO,
    going: Decimal = ZERO,
    coming: Decimal = ZERO,
) -> tuple[Decimal, Decimal, str]:
    """Return the lots for the A and the B book and why; they add up to `quantity` exactly, by the largest remainder
    (INV-21).

    A close follows the book of its open: what `quantity` takes off a position goes back where those lots came from,
    and only the rest is new flow that `treatment` decides. New B lots that would push the B book past the rule's limit
    overflow to A; `b_net_lots` is the clients' signed net in the B book. Of a cross A's lots find no venue.
    Lots that `came_back` from venues are A's already: a reject would else make the B book's share larger. So are those
    that meet what venues are dealing: `going` are lots of the position that they are closing, `coming` those that they
    are opening for it, and that there will be to close.
    """
    if instrument.cross is not None:
        return _split_cross(treatment, instrument, quantity, side, position, b_net_lots)
    closing = a_closing = ZERO
    if position is not None and position.side is not side:
        held = position.a_lots + position.b_lots
        closing = min(quantity, held)
    if position is not None and closing:
        a_closing = _closed_at_venues(position, closing, going, came_back, instrument)
    opening = quantity - closing
    # Nothing, to the digits of a step: what comes of it is written with them.
    again = ZERO % instrument.lot_step
    if came_back:
        again = on_step(lots=min(opening, max(ZERO, came_back - a_closing)), instrument=instrument)
    met = on_step(lots=min(opening - again, coming), instrument=instrument)
    fresh = opening - again - met
    share = fresh if treatment.book_mode is _A else fresh * treatment.a_percent / HUNDRED
    a_opening = again + met + _nearest(share, fresh, instrument)
    why = _why(treatment=treatment, closing=closing, opening=opening)
    if again:
        why = f"{why}; {again} came back from venues and stay A's"
    if met:
        why = f"{why}; {met} close what venues are dealing, and are A's"
    if treatment.b_net_max_lots is not None and opening > a_opening:
        # What is closed of the B book moves its net the same way as what is opened in it.
        room = max(ZERO, treatment.b_net_max_lots - side.sign * b_net_lots - (closing - a_closing))
        overflow = (opening - a_opening) - on_step(lots=min(opening - a_opening, room), instrument=instrument)
        if overflow:
            a_opening += overflow
            why = f"{why}; {overflow} overflow to A: the B book may hold {treatment.b_net_max_lots} lots"
    a_quantity = a_closing + a_opening
    return a_quantity, quantity - a_quantity, why


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
    """Return one leg per venue for `quantity` lots over the levels `reachable`, from the first one on."""
    taken: dict[str, Decimal] = {}
    left = quantity
    for level in reachable:
        if left <= 0:
            break
        lots = on_step(lots=min(left, level.size), instrument=instrument)
        if lots > 0:
            taken[level.venue] = taken.get(level.venue, ZERO) + lots
            left -= lots
    return tuple([Leg(venue=venue, quantity=lots, limit_price=limit) for venue, lots in taken.items()])


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


def _split_cross(
    treatment: Treatment,
    instrument: Instrument,
    quantity: Decimal,
    side: Side,
    position: Position | None,
    b_net_lots: Decimal,
) -> tuple[Decimal, Decimal, str]:
    """Return the split of an order that no venue can be sent: every close is kept, whatever book it was opened in.

    New flow is kept, all of it, where `treatment` keeps any, as far as its limit goes.
    """
    closing = min(quantity, position.lots) if position is not None and position.side is not side else ZERO
    opening = quantity - closing
    kept = opening if treatment.a_percent < HUNDRED else ZERO
    if treatment.b_net_max_lots is not None:
        closed = position.b_lots if position is not None and closing else ZERO
        room = max(ZERO, treatment.b_net_max_lots - side.sign * b_net_lots - closed)
        kept = on_step(lots=min(kept, room), instrument=instrument)
    left = opening - kept
    says = f"{left} lots that may not be kept are not filled" if left else "all of it is kept"
    return left, closing + kept, f"{treatment.rule.partition(':')[0]}: no venue deals a cross, {says}"


def _closed_at_venues(
    position: Position, closing: Decimal, going: Decimal, came_back: Decimal, instrument: Instrument
) -> Decimal:
    """Return A's part of a close: what came back, then its share of what each book has left but for what is `going`.

    More than they have left is closing already, at venues, and what turns round there is theirs.
    """
    a_left, b_lots = max(ZERO, position.a_lots - going), position.b_lots
    again = on_step(lots=min(closing, came_back, a_left), instrument=instrument)
    a_left -= again
    shared = min(closing - again, a_left + b_lots)
    if not shared:
        return closing
    share = _nearest(shared * a_left / (a_left + b_lots), shared, instrument)
    return closing - shared + max(shared - b_lots, min(share, a_left))


def _nearest(share: Decimal, whole: Decimal, instrument: Instrument) -> Decimal:
    """Return A's part of `whole` lots, its exact `share` in steps: the step left over goes to the larger remainder.

    Of equal remainders A's is taken, so that what cannot be halved is no risk of the house.
    """
    over = share % instrument.lot_step
    if not over:
        return share - over
    steps = (share / instrument.lot_step).to_integral_value(rounding=ROUND_HALF_UP)
    return min(steps * instrument.lot_step, on_step(lots=whole, instrument=instrument))


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


def _why(*, treatment: Treatment, closing: Decimal, opening: Decimal) -> str:
    mode = treatment.book_mode
    opened = "passed on" if mode is _A else "kept" if mode is _B else f"{treatment.a_percent} % passed on"
    if not closing:
        return f"{treatment.rule.partition(':')[0]} is {mode}: {opened}"
    closes = f"{closing} lots close a position and follow the book of its open"
    return closes if not opening else f"{closes}; the other {opening} are new: {opened}"
