"""The wire format: msgpack of tagged structs, decimals as text. Decoding checks types; nothing else is trusted.

Decoders raise `msgspec.DecodeError` (a ValidationError is one) on anything that is not the named message.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.answers import Answer
from piggy.core.commands import Envelope
from piggy.core.events import AnyEvent, ChildOrderCreated
from piggy.core.market import ClientPrice, VenueQuote, VenueStatus
from piggy.core.orders import Side


class CancelChild(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Ask a venue's worker to cancel one child order; `quantity` (lots) is the order's whole quantity."""

    order_id: str
    cl_ord_id: str
    venue: str
    symbol: str
    side: Side
    quantity: Decimal


VenueOrder = ChildOrderCreated | CancelChild
MarketData = VenueQuote | VenueStatus
ClientPrices = dict[str, dict[str, ClientPrice]]

_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(Envelope)
_answers = msgspec.msgpack.Decoder(Answer)
_events: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_venue_orders: msgspec.msgpack.Decoder[VenueOrder] = msgspec.msgpack.Decoder(VenueOrder)
_market_data: msgspec.msgpack.Decoder[list[MarketData]] = msgspec.msgpack.Decoder(list[MarketData])

_client_prices: msgspec.msgpack.Decoder[ClientPrices] = msgspec.msgpack.Decoder(ClientPrices)

encode = _encoder.encode


def decode_envelope(data: bytes) -> Envelope:
    """Return the envelope that `data` holds."""
    return _envelopes.decode(data)


def decode_answer(data: bytes) -> Answer:
    """Return the answer that `data` holds."""
    return _answers.decode(data)


def decode_event(data: bytes) -> AnyEvent:
    """Return the event of a log row's payload."""
    return _events.decode(data)


def decode_venue_order(data: bytes) -> VenueOrder:
    """Return the child order or cancel that `data` holds."""
    return _venue_orders.decode(data)


def decode_market_data(data: bytes) -> list[MarketData]:
    """Return a batch of quotes and venue states, oldest first."""
    return _market_data.decode(data)


def decode_client_prices(data: bytes) -> ClientPrices:
    """Return clients' own prices by account and symbol."""
    return _client_prices.decode(data)
