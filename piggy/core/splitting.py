"""Splitting: which lots of an order go to venues and which the house keeps; they add up to it exactly (INV-21).

A venue takes no order below the instrument's least. So A's part is nothing, or at least that: of what may go either way
the nearer of the two. What is left of a close then, the house takes, so that whoever is in gets out; of what opens it
stays A's, is sent nowhere, and rests or ends.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from piggy.core.accounts import BookMode
from piggy.core.instruments import Instrument
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.routing import HUNDRED, least_leg, on_step
from piggy.core.routing_rules import Treatment

_A, _B = BookMode.A, BookMode.B


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
    a_opening = again + met + _of_fresh(share, fresh, a_closing + again + met, instrument)
    why = _why(treatment=treatment, closing=closing, opening=opening)
    if again:
        why = f"{why}; {again} came back from venues and stay A's"
    if met:
        why = f"{why}; {met} close what venues are dealing, and are A's"
    if treatment.b_net_max_lots is not None and opening > a_opening:
        # What is closed of the B book moves its net the same way as what is opened in it.
        room = treatment.b_net_max_lots - side.sign * b_net_lots - (closing - a_closing)
        overflow = _overflow(opening - a_opening, room, a_closing + a_opening, instrument)
        if overflow:
            a_opening += overflow
            why = f"{why}; {overflow} overflow to A: the B book may hold {treatment.b_net_max_lots} lots"
    a_quantity = a_closing + a_opening
    if 0 < a_quantity < max(instrument.lot_min, instrument.lot_step):
        why = f"{why}; {a_quantity} are less than a venue deals in"
        if a_closing:
            why, a_quantity = f"{why}: the house closes {a_closing} of them", a_opening
    return a_quantity, quantity - a_quantity, why


def _overflow(kept: Decimal, room: Decimal, beside: Decimal, instrument: Instrument) -> Decimal:
    """Return how many of the `kept` lots the B book has no `room` for; with A's `beside` enough for a venue, if any."""
    overflow = kept - on_step(lots=min(kept, max(ZERO, room)), instrument=instrument)
    return max(overflow, min(kept, least_leg(instrument=instrument) - beside)) if overflow else ZERO


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
    bounds = (max(ZERO, shared - b_lots), min(shared, a_left))
    share = shared * a_left / (a_left + b_lots)
    return closing - shared + _nearest(share, shared, bounds, closing - shared, instrument)


def _of_fresh(share: Decimal, fresh: Decimal, beside: Decimal, instrument: Instrument) -> Decimal:
    """Return A's part of `fresh` lots; what is all the one book's is not for the least leg to move into the other."""
    if not share or share == fresh:
        return share - share % instrument.lot_step
    return _nearest(share, fresh, (ZERO, fresh), beside, instrument)


def _nearest(
    share: Decimal, whole: Decimal, bounds: tuple[Decimal, Decimal], beside: Decimal, instrument: Instrument
) -> Decimal:
    """Return A's part of `whole` lots within `bounds`: its exact `share` in steps, of which the one left over goes to
    the larger remainder.

    With what is A's `beside` it is nothing or what a venue deals in, where it can be. Of equal remainders A's is taken,
    so that what cannot be halved is no risk of the house.
    """
    fewest, most = bounds
    over = share % instrument.lot_step
    part = share - over
    if over:
        steps = (share / instrument.lot_step).to_integral_value(rounding=ROUND_HALF_UP)
        part = min(steps * instrument.lot_step, on_step(lots=whole, instrument=instrument))
    part = max(fewest, min(part, most))
    if instrument.lot_min <= instrument.lot_step or not 0 < beside + part < instrument.lot_min:
        return part
    more = least_leg(instrument=instrument) - beside
    if more > most or (not beside and not fewest and share < more - share):
        return fewest
    return more


def _why(*, treatment: Treatment, closing: Decimal, opening: Decimal) -> str:
    mode = treatment.book_mode
    opened = "passed on" if mode is _A else "kept" if mode is _B else f"{treatment.a_percent} % passed on"
    if not closing:
        return f"{treatment.rule.partition(':')[0]} is {mode}: {opened}"
    closes = f"{closing} lots close a position and follow the book of its open"
    return closes if not opening else f"{closes}; the other {opening} are new: {opened}"
