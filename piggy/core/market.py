"""Market data as it arrives from venues and as it leaves the consolidated book. Sizes are lots."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class Level(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price level of one venue's side."""

    price: Decimal
    size: Decimal


class VenueQuote(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """A venue's whole current book of one symbol, best first; an empty side is withdrawn.

    `venue_at_us` is the venue's time, `received_at_us` ours, both UTC microseconds.
    """

    venue: str
    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_at_us: int
    received_at_us: int


class VenueState(StrEnum):
    CONNECTING = "connecting"
    READY = "ready"
    DOWN = "down"


class VenueStatus(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A venue's session changed state, or is still in it (sent every second); DOWN withdraws all its quotes.

    `entries_in` counts the market data entries taken since the worker began. `unreconciled` counts what its worker does
    not know: orders in doubt, fills that are not in the log yet; not 0 before all orders found open are settled.
    `unread` counts market data and answers that nobody could read and that were dropped, since the worker began.
    `alarm` is what a person must see whatever the state is, '' while there is nothing.
    """

    venue: str
    state: VenueState
    text: str
    at_us: int
    sequence_in: int = 0
    sequence_out: int = 0
    entries_in: int = 0
    unreconciled: int = 0
    unread: int = 0
    alarm: str = ""


class AttributedLevel(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A level of the consolidated book: whose it is and how old."""

    price: Decimal
    size: Decimal
    venue: str
    received_at_us: int


class BestQuote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The consolidated best bid and offer of one symbol; a side is None where no live venue quotes it."""

    symbol: str
    bid: AttributedLevel | None
    ask: AttributedLevel | None

    @property
    def two_sided(self) -> bool:
        return self.bid is not None and self.ask is not None


class ClientPrice(msgspec.Struct, frozen=True, array_like=True):
    """What one client could deal at now in one symbol, his markup in it; a side without a price is None."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_lots: Decimal = Decimal(0)
    ask_lots: Decimal = Decimal(0)


def touch_of(*, best: BestQuote | None) -> tuple[Decimal | None, Decimal | None, int | None]:
    """Return bid, ask and when the older of them was received, each None where there is none."""
    if best is None:
        return None, None, None
    bid, ask = best.bid, best.ask
    if bid is not None and ask is not None:
        return bid.price, ask.price, min(bid.received_at_us, ask.received_at_us)
    if bid is not None:
        return bid.price, None, bid.received_at_us
    return (None, ask.price, ask.received_at_us) if ask is not None else (None, None, None)
