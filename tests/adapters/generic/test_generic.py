from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.generic import inbound
from piggy.adapters.generic.config import UnableToReadMapping, mapping_of
from piggy.adapters.generic.outbound import Asker
from piggy.adapters.generic.session import GenericSession
from piggy.adapters.interface import ReportKind, Response, UnableToReadReport, UnableToTranslate
from piggy.adapters.signing import mac
from piggy.simulator.toy import MAPPING
from tests.adapters.recorded import child_of, config_of, knowing, play

TEXT = MAPPING.read_text()
CONFIG = config_of("generic", {"BTCUSD": ("BTCUSDT", "1")}, rest_url="https://toy.example", settings={"mapping": TEXT})
NOW_US = 1_700_000_000_000_000
ORDER = {"no": "7", "tag": "o1-V1-1", "state": "resting", "size": "1", "done": "0"}
DEAL = {"deal": 5, "no": "7", "pair": "BTCUSDT", "way": "B", "size": "0.4", "p": "99.5", "at": 1_700_000_000_000}


def changed(**more: Any) -> Any:
    return config_of("generic", {"BTCUSD": ("BTCUSDT", "1")}, settings={"mapping": json.dumps(json.loads(TEXT) | more)})


def test_an_order_is_the_template_filled_in_and_signed_as_it_leaves():
    ask = Asker(config=CONFIG)
    ask.now_us = NOW_US
    request = ask.new_order(child=child_of("BTCUSD", lots="0.5", price="100.1"), terms=None)
    assert request.url == "https://toy.example/toy/orders"
    assert json.loads(request.body) == {
        "pair": "BTCUSDT",
        "way": "B",
        "size": "0.5",
        "limit": "100.1",
        "life": "now",
        "tag": "o1-V1-1",
    }
    signed = mac(secret="s", text=f"{NOW_US // 1_000}POST/toy/orders{request.body}")
    assert request.headers["X-Sign"] == signed
    assert request.places_order


def test_a_word_that_the_venue_lacks_is_refused_here():
    with pytest.raises(UnableToTranslate):
        Asker(config=CONFIG).new_order(child=child_of("BTCUSD", time_in_force="day"), terms=None)


@pytest.mark.parametrize(
    "more", [{"asks": {}}, {"words": {}}, {"fields": {}}, {"surprise": 1}, {"signature": {"header": 5}}]
)
def test_a_mapping_that_describes_no_venue_is_named(more: dict[str, Any]):
    with pytest.raises(UnableToReadMapping):
        mapping_of(config=changed(**more))
    with pytest.raises(UnableToReadMapping):
        mapping_of(config=config_of("generic", {}))


@pytest.mark.parametrize(
    ("status", "code", "unified"),
    [
        (422, "TAG_USED", 409),
        (404, "NO_SUCH_ORDER", 404),
        (404, "NO_SUCH_PAGE", 400),
        (409, "TOO_LATE", 400),
        (429, "SLOW_DOWN", 429),
        (503, "NO_SUCH_ORDER", 503),
    ],
)
def test_only_the_mappings_own_words_mean_duplicate_or_unknown(status: int, code: str, unified: int):
    """A missing page must never settle an order as one that the venue never had."""
    response = Response(status=status, text=json.dumps({"problem": {"code": code, "says": "text"}}))
    found = inbound.unified(response=response, asked="order", mapping=mapping_of(config=CONFIG))
    assert found.status == unified


def test_a_conversation_ends_in_reports():
    session = knowing(GenericSession(config=CONFIG), {"data": [{"pair": "BTCUSDT", "rules": {"tick": "0.1"}}]})
    said, _ = play(
        session.submit(child=child_of("BTCUSD", price="100"), now_us=NOW_US),
        [{"data": ORDER | {"state": "lapsed", "done": "0.4"}}, {"data": [DEAL]}],
    )
    assert [one.report.kind for one in said] == [ReportKind.ACK, ReportKind.FILL, ReportKind.DONE]
    assert said[1].report.command.price == Decimal("99.5")
    assert said[2].report.cumulative == Decimal("0.4")


def test_an_answer_without_its_parts_is_no_answer():
    mapping = mapping_of(config=CONFIG)
    for field in ORDER:
        doc = {"data": {name: value for name, value in ORDER.items() if name != field}}
        with pytest.raises(UnableToReadReport):
            inbound.unified(response=Response(status=200, text=json.dumps(doc)), asked="submit", mapping=mapping)


def test_where_the_mapping_names_the_venues_clock_requests_are_stamped_by_it():
    doc = json.loads(TEXT)
    doc["asks"]["time"], doc["fields"]["time"] = {"path": "/toy/time"}, {"at": "data.now"}
    session = GenericSession(config=changed(**doc))
    markets = {"data": [{"pair": "BTCUSDT", "rules": {"tick": "0.1"}}]}
    book = {"data": {"buyers": [{"p": "99", "q": "1"}], "sellers": []}}
    late = NOW_US // 1_000 + 90_000
    answers = [{"data": {"now": late}}, markets, {"data": []}, book]
    _, requests = play(session.connect(now_us=NOW_US), answers)
    assert [request.headers["X-Time"] for request in requests] == [str(NOW_US // 1_000), *[str(late)] * 3]
    with pytest.raises(UnableToReadMapping, match=r"fields\.time\.at"):
        mapping_of(config=changed(asks=doc["asks"]))


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "<html>", ReportKind.DOUBT),
        (409, "", ReportKind.DOUBT),
        (302, "", ReportKind.DOUBT),
        (408, '{"problem": {"code": "LATE"}}', ReportKind.DOUBT),
        (403, "<html>", ReportKind.REJECT),
        (429, "", ReportKind.REJECT),
        (400, '{"problem": {"code": "TOO_SMALL"}}', ReportKind.REJECT),
    ],
)
def test_a_refusal_in_no_words_of_the_venue_is_a_doubt(status: int, text: str, kind: ReportKind):
    """What stands between us may answer in its place; only what comes from the gate by its number is a refusal."""
    session = knowing(GenericSession(config=CONFIG), {"data": [{"pair": "BTCUSDT", "rules": {"tick": "0.1"}}]})
    answer = Response(status=status, text=text)
    said, _ = play(session.submit(child=child_of("BTCUSD", price="100"), now_us=NOW_US), [answer])
    assert [one.report.kind for one in said] == [kind]
