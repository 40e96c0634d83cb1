"""Events as a fold reads them are the ones of the log, but for the checks of an accepted order (INV-08)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from piggy.core import events as ev
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import GuaranteedStops
from piggy.core.verdicts import Check, RoutingDecision, Verdict
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION
from piggy.messaging.fold_form import _Accepted, event_to_fold
from piggy.messaging.upcasting import UnableToUpcast, event_of

VERDICT = Verdict(
    terms_hash="ab", config_version=3, checks=(Check(code="P-01", passed=True),), order_id="O1", at_us=7, build="1"
)
ACCEPTED = ev.OrderAccepted(
    order_id="O1",
    terms=OrderTerms(account_id="a1", symbol="EURUSD", side=Side.SELL, quantity=Decimal("0.10"), tag="x"),
    source="api",
    group="a",
    verdict=VERDICT,
    routing=RoutingDecision(
        rule="r", version=2, mode="A", a_quantity=Decimal(1), b_quantity=Decimal(2), cross_quantity=Decimal(3)
    ),
    margin_reserved=Decimal(1),
    notional=Decimal(2),
    conversion_rate=Decimal(3),
    arrival_bid=Decimal(4),
    arrival_ask=Decimal(5),
    guarantee=GuaranteedStops(premium_points=Decimal(5), distance_points_min=Decimal(6)),
    supersedes=4,
)


def to_fold(event: ev.AnyEvent, version: int = EVENT_VERSION) -> ev.AnyEvent:
    return event_to_fold(payload=codec.encode(event), version=version)


def test_an_accepted_order_keeps_all_but_what_was_checked() -> None:
    for field in msgspec.structs.fields(ev.OrderAccepted):
        assert getattr(ACCEPTED, field.name) != field.default, f"{field.name} is to be one that could be lost"
    told = Verdict(terms_hash="ab", config_version=3, checks=())
    assert to_fold(ACCEPTED) == msgspec.structs.replace(ACCEPTED, verdict=told)
    assert set(_Accepted.__struct_fields__) == set(ev.OrderAccepted.__struct_fields__)


def test_what_an_accepted_order_leaves_out_it_leaves_out_here_too() -> None:
    bare = ev.OrderAccepted(
        order_id="O1", terms=ACCEPTED.terms, source="api", group="a", verdict=VERDICT, routing=ACCEPTED.routing
    )
    told = Verdict(terms_hash="ab", config_version=3, checks=())
    assert to_fold(bare) == msgspec.structs.replace(bare, verdict=told)


@pytest.mark.parametrize(
    "event",
    [
        ev.OrderDenied(order_id="O2", terms=ACCEPTED.terms, source="api", verdict=VERDICT),
        ev.AmendmentDenied(order_id="O2", account_id="a1", terms=ACCEPTED.terms, verdict=VERDICT),
        ev.OrderRerouted(order_id="O1", routing=ACCEPTED.routing),
        ev.AccountScored(account_id="a1", score=Decimal(2)),
    ],
)
def test_every_other_event_is_whole(event: ev.AnyEvent) -> None:
    assert to_fold(event) == event


def test_an_event_of_an_older_version_is_brought_to_todays_form() -> None:
    verdict = {"terms_hash": "ab", "config_version": 3, "checks": [{"code": "P-25", "passed": True}]}
    old = {"type": "OrderDenied", "order_id": "O2", "terms": ACCEPTED.terms, "source": "api", "verdict": verdict}
    payload = codec.encode(old)
    assert event_to_fold(payload=payload, version=1) == event_of(payload=payload, version=1)


@pytest.mark.parametrize("payload", [b"\xc1", codec.encode({"type": "NeverHeardOf"}), codec.encode(ACCEPTED)[:-2]])
def test_what_cannot_be_decoded_is_refused_as_ever(payload: bytes) -> None:
    with pytest.raises(UnableToUpcast) as refused:
        event_to_fold(payload=payload, version=EVENT_VERSION)
    with pytest.raises(UnableToUpcast) as wanted:
        event_of(payload=payload, version=EVENT_VERSION)
    assert str(refused.value) == str(wanted.value)


def test_an_event_of_a_newer_version_is_refused() -> None:
    with pytest.raises(UnableToUpcast, match="newer"):
        to_fold(ACCEPTED, version=EVENT_VERSION + 1)
