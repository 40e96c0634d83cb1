"""Venue books: the house's account at each venue by its executions alone, whoever they were for: net, at average cost.

What a venue owes follows from what it dealt, and from nothing else: not from who holds it now, nor from the book that a
client's lots were opened in, nor from what a dealer took back or restated since.

What executions made is told beside them, by VenueBooked. Before, clients' fills and hedges settled with the venue in
their place: what those booked is kept here, and given back once the next execution opens the book.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.correction_events import HedgeFillBusted, OrderFillBusted, VenueFillBusted
from piggy.core.instruments import Instrument
from piggy.core.ledger import LEDGER_DIGITS, LP_SETTLEMENT, postings
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position, filled

HOUSE = "house"
STEP = Decimal(1).scaleb(-LEDGER_DIGITS)


@dataclass(slots=True)
class VenueBook:
    """One symbol at one venue. Of before executions said it: `unbooked` is what they made, in the quote currency, and
    `settled` by currency what was booked against the venue instead."""

    position: Position | None = None
    unbooked: Decimal = ZERO
    settled: dict[str, Decimal] = field(default_factory=dict)


Books = Mapping[tuple[str, str], VenueBook]
Dealt = ev.ChildOrderFilled | VenueFillBusted | ev.VenueSettled
Told = ev.VenueBookOpened | ev.VenueBooked | ev.ChildOrderFilled | VenueFillBusted
SettledBefore = ev.OrderFilled | OrderFillBusted | ev.HedgeFilled | HedgeFillBusted | ev.VenueSettled
NONE = VenueBook()


def booked(
    *, events: tuple[ev.ChildOrderFilled | VenueFillBusted, ...], books: Books, instrument: Instrument
) -> tuple[Told, ...]:
    """Return executions and busts of one symbol at one venue; first what opens the book, and what each made."""
    key = (events[0].venue, events[0].symbol)
    position, found = books.get(key, NONE).position, list[ev.ChildOrderFilled | VenueFillBusted]()
    told = list[ev.VenueBooked]()
    for event in events:
        position, result = _after(position, event, instrument.contract_size)
        found.append(msgspec.structs.replace(event, venue_booked=True))
        if made := _cut(result):
            told.append(
                ev.VenueBooked(
                    venue=key[0], symbol=key[1], fill_id=event.fill_id, result=made, currency=instrument.quote
                )
            )
    return (*opened(venue=key[0], books=books, instrument=instrument), *told, *found)


def settled_at(*, event: ev.VenueSettled, books: Books, contract_size: Decimal) -> ev.VenueSettled:
    """Return the settlement of all that a venue holds, with what it made."""
    _, result = _after(books.get((event.venue, event.symbol), NONE).position, event, contract_size)
    return msgspec.structs.replace(event, result=_cut(result))


def opened(*, venue: str, books: Books, instrument: Instrument) -> tuple[ev.VenueBookOpened, ...]:
    """Return what puts a venue's own result in the place of what was settled before; () where that was nothing."""
    book = books.get((venue, instrument.symbol), NONE)
    settled = tuple((currency, amount) for currency, amount in sorted(book.settled.items()) if amount)
    if not (settled or book.unbooked):
        return ()
    result = _cut(book.unbooked)
    return (
        ev.VenueBookOpened(
            venue=venue, symbol=instrument.symbol, result=result, currency=instrument.quote, settled=settled
        ),
    )


def take(*, book: VenueBook, event: Dealt, contract_size: Decimal) -> None:
    """Fold what a venue dealt, took back or settled."""
    book.position, result = _after(book.position, event, contract_size)
    if event.result is None if isinstance(event, ev.VenueSettled) else not event.venue_booked:
        book.unbooked += result


def take_settled(*, books: dict[tuple[str, str], VenueBook], event: SettledBefore, currency: str) -> None:
    """Fold what an event of before booked against a venue; `currency` is that of its account."""
    for line in postings(event=event, currency=currency):
        if line.gl_account == LP_SETTLEMENT:
            settled = books.setdefault((line.owner, event.symbol), VenueBook()).settled
            settled[line.currency] = settled.get(line.currency, ZERO) + line.amount


def _after(position: Position | None, event: Dealt, contract_size: Decimal) -> tuple[Position | None, Decimal]:
    """Return what is held after an event, what is taken back being dealt back at its price, and what that made."""
    if not event.quantity:  # Of what was settled, clients and house may have held as much each way.
        return position, ZERO
    side: Side = event.side.contra if isinstance(event, VenueFillBusted) else event.side
    fold = filled(
        position=position,
        side=side,
        quantity=event.quantity,
        price=event.price,
        contract_size=contract_size,
        account_id=HOUSE,
        symbol=event.symbol,
        position_id=f"{event.venue}:{event.symbol}",
    )
    return fold.position, fold.realised_quote


def _cut(number: Decimal) -> Decimal:
    """Return `number` as the ledger takes it."""
    exact = number.quantize(STEP, rounding=ROUND_HALF_EVEN)
    return number if number == exact else exact
