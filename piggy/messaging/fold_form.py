"""Events as a fold reads them: what it never looks at is not made.

The gate's checks are two thirds of an accepted order, and most of what decoding it takes; but they are there for who
reads the log, and the fold asks an accepted order only what its verdict was about.
"""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from piggy.core.events import AnyEvent, OrderAccepted
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms
from piggy.core.profiles import GuaranteedStops
from piggy.core.verdicts import RoutingDecision, Verdict
from piggy.messaging.chain import EVENT_VERSION
from piggy.messaging.upcasting import event_of


class _Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    terms_hash: str
    config_version: int


class _Accepted(msgspec.Struct, frozen=True, kw_only=True, tag="OrderAccepted", gc=False):
    """OrderAccepted without the checks of its verdict."""

    order_id: str
    terms: OrderTerms
    source: str
    group: str
    verdict: _Verdict
    routing: RoutingDecision
    margin_reserved: Decimal = ZERO
    notional: Decimal = ZERO
    conversion_rate: Decimal | None = None
    arrival_bid: Decimal | None = None
    arrival_ask: Decimal | None = None
    guarantee: GuaranteedStops | None = None
    supersedes: int = 0


_kinds: tuple[type, ...] = AnyEvent.__args__
_decoder = msgspec.msgpack.Decoder[Any](reduce(or_, (_Accepted if kind is OrderAccepted else kind for kind in _kinds)))


def event_to_fold(*, payload: bytes, version: int) -> AnyEvent:
    """Return the event of a row; an accepted order's verdict has no checks. Raises UnableToUpcast."""
    if version != EVENT_VERSION:
        return event_of(payload=payload, version=version)
    try:
        event: AnyEvent | _Accepted = _decoder.decode(payload)
    except msgspec.DecodeError:
        return event_of(payload=payload, version=version)  # It says what is wrong.
    return _whole(event) if isinstance(event, _Accepted) else event


def _whole(seen: _Accepted) -> OrderAccepted:
    return OrderAccepted(
        order_id=seen.order_id,
        terms=seen.terms,
        source=seen.source,
        group=seen.group,
        verdict=Verdict(terms_hash=seen.verdict.terms_hash, config_version=seen.verdict.config_version, checks=()),
        routing=seen.routing,
        margin_reserved=seen.margin_reserved,
        notional=seen.notional,
        conversion_rate=seen.conversion_rate,
        arrival_bid=seen.arrival_bid,
        arrival_ask=seen.arrival_ask,
        guarantee=seen.guarantee,
        supersedes=seen.supersedes,
    )
