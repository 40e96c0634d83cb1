"""Upcasting: a log that an older engine wrote is read as if today's had written it (F-27)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piggy.core import events as ev
from piggy.core.orders import OrderTerms, Side
from piggy.messaging import codec
from piggy.messaging.chain import EVENT_VERSION
from piggy.messaging.upcasting import UnableToUpcast, event_of
from tests.messaging import event_form

FORM = Path(__file__).with_name(f"event_form_{EVENT_VERSION}.txt")
TERMS = {"account_id": "a1", "symbol": "EURUSD", "side": "buy", "quantity": "1", "stop_loss": None, "tag": ""}
CHECKS = [
    {"code": "P-25", "passed": True, "value": "", "limit": "", "text": ""},
    {"code": "P-17", "passed": False, "value": "9", "limit": "8", "text": "too little"},
]
VERDICT = {"terms_hash": "ab", "config_version": 3, "checks": CHECKS}
CONSIDERED = [
    {
        "venue": "LP1",
        "price": "1.1",
        "size": "2",
        "quote_age_ms": 40,
        "reject_rate": "0.1",
        "priority": 5,
        "rank": 1,
        "cost": "0",
        "text": "best price",
    },
    {
        "venue": "LP2",
        "price": None,
        "size": None,
        "quote_age_ms": None,
        "reject_rate": "0",
        "priority": 6,
        "rank": 0,
        "cost": None,
        "text": "no live quote",
    },
]
ROUTING = {
    "rule": "group a: A",
    "version": 2,
    "mode": "A",
    "a_quantity": "1",
    "b_quantity": "0",
    "cross_quantity": "0",
    "considered": CONSIDERED,
    "text": "1 to LP1",
}
OLD: list[dict[str, Any]] = [
    {"type": "OrderAccepted", "order_id": "O1", "terms": TERMS, "source": "api", "group": "a", "verdict": VERDICT,
     "routing": ROUTING, "margin_reserved": "3", "notional": "4"},
    {"type": "OrderDenied", "order_id": "O2", "terms": TERMS, "source": "api", "verdict": VERDICT},
    {"type": "OrderRerouted", "order_id": "O1", "routing": ROUTING},
    {"type": "AccountScored", "account_id": "a1", "score": "2"},
]  # fmt: skip


def read(old: dict[str, Any], *, version: int = 1) -> Any:
    return event_of(payload=msgspec.msgpack.encode(old), version=version)


def test_f_27_whatever_this_version_ever_wrote_can_be_read_for_ever() -> None:
    """A field that must be there and was not, or one that is no longer known, wants a new EVENT_VERSION and a step."""
    was, now = event_form.read(FORM.read_text()), event_form.form()
    assert event_form.read(event_form.told(now)) == now
    assert set(was) <= set(now), "a message that the log may hold is no longer known"
    for name, (must, may, places) in was.items():
        assert set(now[name].must) <= set(must), f"{name} was written without a field that it must have now"
        assert {*must, *may} <= {*now[name].must, *now[name].may}, f"{name} had a field that would be passed over"
        assert now[name].places[: len(places)] == places, f"{name} goes by the places of its fields"


def test_what_the_first_version_said_of_an_order_is_still_known() -> None:
    accepted = read(OLD[0])
    assert accepted.terms == OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))
    assert [(check.code, check.passed, check.value, check.limit) for check in accepted.verdict.checks] == [
        ("P-25", True, "", ""),
        ("P-17", False, "9", "8"),
    ]
    first, second = accepted.routing.considered
    assert (first.venue, first.price, first.rank, first.reject_rate, first.text) == (
        *("LP1", Decimal("1.1"), 1, Decimal("0.1"), "best price"),
    )
    assert (second.venue, second.price, second.rank, second.cost) == ("LP2", None, 0, None)
    told = msgspec.json.decode(msgspec.json.encode(ev.told_decision(decision=accepted.routing)))
    assert [seen["quote_age_ms"] for seen in told["considered"]] == [40, None]


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["type"])
def test_an_old_event_is_written_again_in_the_new_form_and_says_the_same(old: dict[str, Any]) -> None:
    event = read(old)
    assert type(event).__name__ == old["type"]
    assert codec.decode_event(codec.encode(event)) == event


def test_the_new_form_of_an_order_is_less_than_half_as_long() -> None:
    venues = [{**CONSIDERED[0], "venue": f"LP{n:02d}"} for n in range(20)]
    checks = [{**CHECKS[0], "code": f"P-{n:02d}"} for n in range(26)]
    old = {**OLD[0], "routing": {**ROUTING, "considered": venues}, "verdict": {**VERDICT, "checks": checks}}
    new = codec.encode(read(old))
    assert len(new) < len(msgspec.msgpack.encode(old)) / 2


def test_a_form_that_is_no_version_s_does_not_decode() -> None:
    for version in (EVENT_VERSION, EVENT_VERSION + 1):
        with pytest.raises(UnableToUpcast):
            read(OLD[0], version=version)


def test_f_27_an_event_of_a_newer_version_is_refused_though_it_decodes_as_one_of_ours() -> None:
    """What a newer program means by the same words nobody here knows."""
    payload = codec.encode(read(OLD[3]))
    assert event_of(payload=payload, version=EVENT_VERSION) == read(OLD[3])
    with pytest.raises(UnableToUpcast, match=f"version {EVENT_VERSION + 1}, newer"):
        event_of(payload=payload, version=EVENT_VERSION + 1)
