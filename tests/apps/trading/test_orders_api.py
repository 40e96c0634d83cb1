"""POST /api/v1/orders and what is around it: who may ask, what a body may hold, what comes back without a desk."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from apps.common import middleware
from apps.common.throttles import PerUser
from apps.trading import services
from apps.trading.api import answering
from apps.users.services import issue_token
from piggy import projector
from piggy.core.answers import STORAGE_FULL, Answer, OrderView
from piggy.core.commands import AmendOrder, AnswerRequote, PlaceOrder
from piggy.core.events import Check, CommandRefused
from piggy.core.orders import OrderState
from piggy.messaging import codec, lanes, streams
from piggy.messaging.client import Client as Engines
from piggy.messaging.client import UnableToStore, UnableToTell
from tests.apps import records

ORDER = {"account_id": "A1", "symbol": "EURUSD", "side": "buy", "quantity": "0.10"}
NO_ROOM = Decimal("0.33")


class Api:
    """A client of one broker's API with one person's token."""

    def __init__(self, *, token: str, host: str = "acorn.localhost") -> None:
        self.http = Client(headers={"host": host, "authorization": f"Token {token}"})

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/v1/{path}")

    def place(self, body: Any = None, *, key: str | None = "k1", raw: str = "", **headers: str) -> Any:
        named = {"idempotency-key": key} if key is not None else {}
        data = raw or json.dumps(ORDER if body is None else body)
        return self.http.post("/api/v1/orders", data, content_type="application/json", headers={**named, **headers})


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    with as_tenant("acorn"):
        return Api(token=issue_token(user=records.client()))


@pytest.fixture
def engine_lease(acorn: Any, owner_sql: Any) -> Iterator[None]:
    """An engine that holds the lease and hears nothing."""
    owner_sql(
        "insert into public.engine_lease (shard, token, holder, expires_at) values"
        " ((select shard from public.tenants_tenant where schema_name = 'acorn'), 1, 'test', now() + interval '1 hour')"
        " on conflict (shard) do update set expires_at = excluded.expires_at"
    )
    yield
    owner_sql("delete from public.engine_lease where holder = 'test'")


@pytest.fixture
def desk(engine_lease: None, redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The engine's side of the wire: answers every command by its order's quantity, and keeps what it heard."""
    monkeypatch.setattr(answering, "WAIT_S_DEFAULT", 60)
    heard, stopped = list[Any](), threading.Event()
    thread = threading.Thread(target=_answer, args=(redis_server, heard, stopped))
    thread.start()
    yield heard
    stopped.set()
    thread.join()


def _answer(server: Any, heard: list[Any], stopped: threading.Event) -> None:
    seen = dict.fromkeys(lanes.keys(tenant="acorn"), "0")
    while not stopped.is_set():
        found = [(lane, *entry) for lane, last in seen.items() for entry in server.xrange(lane, min=f"({last}")]
        for lane, entry_id, fields in found:
            seen[lane] = entry_id.decode()
            envelope = codec.decode_envelope(fields[streams.FIELD])
            if not envelope.reply_to:
                continue
            heard.append(envelope)
            key = streams.reply_key(tenant="acorn", request_id=envelope.reply_to)
            server.rpush(key, codec.encode(_decided(envelope)))
        stopped.wait(0.01)


def _decided(envelope: Any) -> Answer:
    if isinstance(envelope.command, AmendOrder) and envelope.command.quantity == 6:
        reasons = (
            Check(code="P-09", passed=False, value="1.2", limit="1", text="the price is too far from the market"),
            Check(code="P-08", passed=False, value="6", limit="5", text="the order volume is too large"),
        )
        refused = CommandRefused(code="P-09", field="order_id", text="too far; too large", reasons=reasons)
        return Answer(command_id=envelope.command_id, refused=refused)
    if not isinstance(envelope.command, PlaceOrder):
        return Answer(command_id=envelope.command_id)
    terms = envelope.command.terms
    if terms.quantity == NO_ROOM:
        full = CommandRefused(code=STORAGE_FULL, field="", text="no room")
        return Answer(command_id=envelope.command_id, refused=full)
    denied = terms.quantity > 5
    reasons = (
        Check(code="P-05", passed=False, text="at most 5 lots"),
        Check(code="P-17", passed=False, value="60", limit="50", text="the free margin does not cover the order"),
        Check(code="P-19", passed=False, value="9000", limit="8000", text="the firm's exposure is too large"),
    )
    view = OrderView(
        order_id="O1",
        terms=terms,
        state=OrderState.DENIED if denied else OrderState.FILLED,
        filled=terms.quantity * 0 if denied else terms.quantity,
        leaves=terms.quantity * 0,
        average_price=terms.quantity * 0,
        group="b-book",
        source="api",
        reasons=reasons if denied else (),
        routing=None,
        text="group b-book is B: kept",
    )
    return Answer(command_id=envelope.command_id, order=view)


def test_an_accepted_order_is_201_with_state_and_reason(alice: Api, desk: list[Any]) -> None:
    wanted = ORDER | {"stop_loss": "1.05", "guaranteed_stop": True}
    answer = alice.place(wanted, **{"x-request-id": "request-0001"})
    assert answer.status_code == 201
    body = answer.json()
    assert body["guaranteed_stop"] is True and desk[0].command.terms.guaranteed_stop
    assert (body["order_id"], body["state"], body["filled"]) == ("O1", "filled", "0.1")
    assert body["reason"] == "group b-book is B: kept"
    assert answer["Location"] == "/api/v1/orders/O1"
    assert answer["X-Request-Id"] == desk[0].request_id == "request-0001"


def test_inv_02_the_same_key_is_the_same_command_and_another_body_another_hash(alice: Api, desk: list[Any]) -> None:
    alice.place()
    alice.place(dict(reversed(ORDER.items())))
    alice.place({**ORDER, "quantity": "0.20"})
    alice.place(key="k2")
    first, reordered, changed, other = desk
    assert first.command_id == reordered.command_id == changed.command_id != other.command_id
    assert first.request_hash == reordered.request_hash != changed.request_hash


def test_inv_02_a_key_is_its_users_own_whoever_else_chose_it_here_or_at_another_broker(
    alice: Api, desk: list[Any], as_tenant: Any
) -> None:
    """The same person's other account under a key that was used is another body, and no second order."""
    with as_tenant("acorn"):
        bob = records.client(name="bob", account_id="A2")
        theirs = Api(token=issue_token(user=bob))
    alice.place()
    theirs.place({**ORDER, "account_id": "A2"})
    hers, his = desk
    assert hers.command_id != his.command_id
    names = [services.order_command_id(tenant=each, user=bob, key="k1") for each in ("acorn", "birch")]
    assert names[0] == his.command_id != names[1]
    accounts = [{**ORDER, "account_id": each} for each in ("A2", "A3")]
    assert len({answering.hash_of(each) for each in accounts}) == 2


def test_a_denied_order_is_422_with_every_reason(alice: Api, desk: list[Any]) -> None:
    answer = alice.place({**ORDER, "quantity": "6"})
    assert answer.status_code == 422
    body = answer.json()
    assert body["code"] == "P-05"
    assert [reason["code"] for reason in body["errors"]] == ["P-05", "P-17", "P-19"]
    assert [(reason["value"], reason["limit"]) for reason in body["errors"]] == [
        (None, None),
        ("60", "50"),
        (None, None),
    ]
    assert body["order"]["state"] == "denied"


@pytest.mark.parametrize(("price", "field"), [("limit_price", "limit_price"), ("stop_price", "stop_price")])
def test_a_refused_amendment_is_422_with_every_reason_too(
    alice: Api, desk: list[Any], as_tenant: Any, price: str, field: str
) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted("O1"))
        projector.catch_up(tenant="acorn")
    answer = change(alice, "patch", "O1", {"quantity": "6", price: "1.09"})
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"], body["value"], body["limit"]) == (
        422, "P-09", field, "1.2", "1"
    )  # fmt: skip
    named = [(reason["code"], reason["field"], reason["value"], reason["limit"]) for reason in body["errors"]]
    assert named == [("P-09", field, "1.2", "1"), ("P-08", "quantity", "6", "5")]


def test_f_21_where_nothing_can_be_recorded_the_answer_is_503_and_names_it(alice: Api, desk: list[Any]) -> None:
    answer = alice.place({**ORDER, "quantity": str(NO_ROOM)})
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "STORAGE_FULL", "5")


def test_f_03_a_redis_without_room_is_told_apart_from_one_that_is_away(
    alice: Api, engine_lease: None, monkeypatch: Any
) -> None:
    for error, code in ((UnableToStore("at redis"), "STORAGE_FULL"), (UnableToTell("at redis"), "ENGINE_RECOVERING")):
        monkeypatch.setattr(Engines, "ask", Mock(side_effect=error))
        answer = alice.place()
        assert (answer.status_code, answer.json()["code"], b"redis" in answer.content) == (503, code, False)


def test_past_the_wait_the_answer_is_202_and_says_how_to_ask_again(alice: Api, engine_lease: None) -> None:
    answer = alice.place(prefer="wait=1")
    assert answer.status_code == 202
    assert "same Idempotency-Key" in answer.json()["message"]
    assert answer["Retry-After"] == "1"


def test_f_01_without_an_engine_the_answer_is_503_and_nothing_is_sent(alice: Api, redis_server: Any) -> None:
    before = redis_server.xlen(streams.commands_key(tenant="acorn"))
    answer = alice.place()
    assert (answer.status_code, answer.json()["code"]) == (503, "ENGINE_RECOVERING")
    assert answer["Retry-After"] == "5"
    assert redis_server.xlen(streams.commands_key(tenant="acorn")) == before


@pytest.mark.parametrize("at", ["apps.accounts.selectors.account_of", "apps.tenants.selectors.tenant_of_host"])
def test_f_29_a_database_that_says_nothing_is_503_in_time_and_one_order_under_the_same_key(
    alice: Api, desk: list[Any], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(middleware, "PROMPT_S_MAX", 0.3)
    alice.http.raise_request_exception = False
    with monkeypatch.context() as stopped:
        stopped.setattr(at, lambda **_: connection.cursor().execute("select pg_sleep(28)"))
        began_s = time.monotonic()
        away = alice.place()
        assert (away.status_code, away.json()["code"], away["Retry-After"]) == (503, "unavailable", "1")
        assert time.monotonic() - began_s < 25
    connection.close()  # As the end of every request does that did not come from a test.
    assert not desk
    assert alice.place().status_code == 201
    assert len(desk) == 1


@pytest.mark.parametrize("key", [None, "", "k" * 256, "\xe9", "a\tb"])
def test_a_missing_or_endless_idempotency_key_is_400(alice: Api, key: str | None) -> None:
    answer = alice.place(key=key)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ('{"quantity": 0.1}', None),
        (json.dumps({**ORDER, "quantity": 1}), "quantity"),
        (json.dumps({**ORDER, "quantity": "NaN"}), "quantity"),
        (json.dumps({**ORDER, "quantity": "1e400"}), "quantity"),
        (json.dumps({**ORDER, "leverage": "500"}), "leverage"),
        (json.dumps({**ORDER, "side": "hold"}), "side"),
        (json.dumps({**ORDER, "expires_at": "2030-01-01T00:00:00"}), "expires_at"),
        ('{"side": "buy", "side": "sell"}', None),
        ('{"symbol": "\\ud800"}', None),
        ('{"\\udfff": "EURUSD"}', None),
        ('{"symbol": "EUR\\u0000USD"}', None),
        ('{"symbol": NaN}', None),
        ("[" * 40 + "]" * 40, None),
        ("{", None),
        ("[]", None),
        ("null", None),
        ('"text"', None),
        (json.dumps({**ORDER, "quantity": "Infinity"}), "quantity"),
        (json.dumps({**ORDER, "quantity": "１"}), "quantity"),
        (json.dumps({**ORDER, "quantity": "9" * 400}), "quantity"),
        (json.dumps({**ORDER, "symbol": ["EURUSD"]}), "symbol"),
        (json.dumps({**ORDER, "symbol": "E" * 100_000}), "symbol"),
        (json.dumps({**ORDER, "ｓide": "buy"}), "ｓide"),
    ],
)
def test_a_malformed_body_is_400_and_names_the_field(alice: Api, raw: str, field: str | None) -> None:
    answer = alice.place(raw=raw)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    ("named", "data", "status"),
    [
        ({"content_type": "text/plain"}, b"{}", 415),
        ({"content_type": "application/x-www-form-urlencoded"}, b"symbol=EURUSD", 415),
        ({"content_type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({"content_type": ""}, b"{}", 415),
        ({"content_type": "*/*"}, b"{}", 415),
        ({"content_type": "application/json", "headers": {"content-encoding": "gzip"}}, b"{}", 415),
        ({"content_type": "application/json"}, json.dumps(ORDER).encode("utf-16"), 400),
        ({"content_type": "application/json"}, b" " * 1_048_577, 413),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(alice: Api, named: dict[str, Any], data: bytes, status: int) -> None:
    headers = {"idempotency-key": "k1", **named.get("headers", {})}
    answer = alice.http.post("/api/v1/orders", data, content_type=named["content_type"], headers=headers)
    assert (answer.status_code, set(answer.json())) == (status, {"code", "field", "message", "request_id"})


def test_t_10_a_token_in_no_alphabet_is_a_bad_token(acorn: Any) -> None:
    answer = Client(headers={"host": "acorn.localhost"}).get("/api/v1/orders", HTTP_AUTHORIZATION="Token \xff\xfe")
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_t_18_what_a_caller_says_of_where_he_is_gives_him_no_new_tries(
    acorn: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PerUser, "rate", "2/min", raising=False)
    told = [Client(headers={"host": "acorn.localhost", "x-forwarded-for": f"6.6.6.{at}"}) for at in range(4)]
    heard = [each.get("/api/v1/risk-warning").status_code for each in told]
    assert heard == [200, 200, 429, 429]


def test_without_a_token_the_answer_is_401(acorn: Any) -> None:
    assert Client(headers={"host": "acorn.localhost"}).get("/api/v1/orders").status_code == 401


def test_nobody_on_the_way_keeps_an_answer_or_a_refusal(alice: Api, engine_lease: None) -> None:
    told = [alice.get("orders"), alice.get("orders/O9"), alice.place({}), Api(token="none").get("positions")]
    assert [(each.status_code, each.headers["Cache-Control"]) for each in told] == [
        (status, "no-store") for status in (200, 404, 400, 401)
    ]


def test_t_20_what_is_anothers_is_answered_like_what_is_not(alice: Api, as_tenant: Any, engine_lease: None) -> None:
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
    assert alice.get("orders/O1").status_code == 200
    named = {"x-request-id": "the-same-id"}
    foreign = bob.http.get("/api/v1/orders/O1", headers=named)
    absent = bob.http.get("/api/v1/orders/O9", headers=named)
    assert (foreign.status_code, foreign.json()) == (absent.status_code, absent.json()) == (404, absent.json())
    assert bob.place().status_code == 404
    assert bob.http.delete("/api/v1/orders/O1").status_code == 404
    assert bob.get("fills").json()["results"] == bob.get("positions").json()["results"] == []


def change(api: Api, method: str, path: str, body: dict[str, Any], key: str = "k1") -> Any:
    ask = getattr(api.http, method)
    return ask(
        f"/api/v1/orders/{path}", json.dumps(body), content_type="application/json", headers={"idempotency-key": key}
    )


def test_a_client_amends_an_order_and_answers_a_requote(alice: Api, desk: list[Any], as_tenant: Any) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), records.accepted("O1"))
        projector.catch_up(tenant="acorn")
    assert change(alice, "patch", "O1", {"quantity": "0.10", "limit_price": "1.09"}).status_code == 200
    assert change(alice, "post", "O1/requote", {"accept": True}).status_code == 200
    amended, answered = (envelope.command for envelope in desk)
    assert amended == AmendOrder(order_id="O1", account_id="A1", quantity=Decimal("0.10"), limit_price=Decimal("1.09"))
    assert answered == AnswerRequote(order_id="O1", account_id="A1", accept=True)
    assert change(alice, "patch", "O1", {}).status_code == 400
    assert change(alice, "patch", "O1", {"quantity": 1}).status_code == 400
    assert change(alice, "post", "O1/requote", {"accept": "perhaps"}).status_code == 400
    assert change(alice, "post", "O1/requote", {"accept": True}, key="").status_code == 400
    with as_tenant("acorn"):
        bob = Api(token=issue_token(user=records.client(name="bob", account_id="B1")))
    assert change(bob, "patch", "O1", {"quantity": "1"}).status_code == 404
    assert change(bob, "post", "O1/requote", {"accept": False}).status_code == 404
    assert len(desk) == 2


def test_pages_follow_their_cursor_and_refuse_a_tampered_one(alice: Api, as_tenant: Any) -> None:
    with as_tenant("acorn"):
        records.write(records.credited(), *(records.accepted(f"O{number}") for number in range(5)))
        projector.catch_up(tenant="acorn")
    first = alice.get("orders?limit=2").json()
    second = alice.get(f"orders?limit=2&cursor={first['next_cursor']}").json()
    assert [row["order_id"] for row in first["results"] + second["results"]] == ["O4", "O3", "O2", "O1"]
    assert alice.get(f"orders?cursor={first['next_cursor']}x").status_code == 400
    assert alice.get(f"fills?cursor={first['next_cursor']}").status_code == 400
    for limit in ("501", "0005009", "000500" + "9" * 4_400, "²", "0", "-1", "1%00"):
        refused = alice.get(f"orders?limit={limit}")
        assert (refused.status_code, refused.json()["field"]) == (400, "limit"), limit[:20]


def test_a_zero_byte_in_an_address_is_no_fault_of_ours(alice: Api) -> None:
    for method, path in (("get", ""), ("delete", ""), ("get", "/receipt")):
        answer = getattr(alice.http, method)(f"/api/v1/orders/O%001{path}")
        assert (answer.status_code, answer.json()["code"]) == (400, "unusable")
    assert change(alice, "patch", "O%001", {"quantity": "1"}).status_code == 400


def test_the_api_describes_itself(alice: Api) -> None:
    text = alice.get("schema").content.decode()
    assert "/api/v1/orders/{order_id}" in text
    assert "Content-Disposition" in (named := alice.http.get("/api/v1/schema?version=%0d%00x")).headers
    assert "x" not in named["Content-Disposition"].partition("API")[2], "no header is what somebody asks for"
    assert "Acorn Markets API" in text and settings.SPECTACULAR_SETTINGS["TITLE"] not in text, "the broker's, not ours"
