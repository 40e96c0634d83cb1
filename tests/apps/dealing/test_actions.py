"""What dealers do: who may, why, once, and one entry of each in the book of actions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection

from apps.dealing.api.actions import ACTIONS
from apps.dealing.models import DeskAction
from apps.instruments import services as instruments
from apps.outbox.models import OutboxCommand
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.core.accounts import TradingState
from piggy.core.answers import Answer
from piggy.core.commands import (
    AmendOrder,
    ApproveHedge,
    CancelOrder,
    CoverByHand,
    Envelope,
    PlaceOrder,
    RejectHedge,
    ScoreAccount,
)
from piggy.core.dealer_commands import (
    ClaimOrder,
    DealAt,
    FillByDealer,
    PassOrderOn,
    RejectByDealer,
    RejectReason,
    RequoteOrder,
)
from piggy.core.events import CommandRefused
from piggy.core.orders import Side
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer, engine, symbol

WINDOW = {
    "symbol": "EURUSD",
    "price_from": "1.09",
    "price_to": "1.11",
    "since": "2030-01-01T00:00:00Z",
    "until": "2030-01-01T00:00:01Z",
}
SETTLED = {"cl_ord_id": "O1-LP1-1", "lots": "0.4", "price": "1.09990", "fill_id": "E77", "confirm": "settle O1-LP1-1"}
BODIES: dict[str, dict[str, Any]] = {
    "set-trading-state": {"scope": "symbol", "key": "EURUSD", "state": "halted"},
    "place-order": {
        "account_id": "A1",
        "symbol": "EURUSD",
        "side": "buy",
        "quantity": "1.50",
        "confirm": "buy 1.50 EURUSD",
    },
    "cancel-order": {"order_id": "O1"},
    "claim-request": {"order_id": "O1"},
    "fill-request": {"order_id": "O1", "at": "market"},
    "requote-request": {"order_id": "O1", "price": "1.10010", "valid_ms": 5_000},
    "pass-request": {"order_id": "O1"},
    "reject-request": {"order_id": "O1", "code": "news"},
    "cover": {"symbol": "EURUSD", "confirm": "flatten EURUSD"},
    "approve-hedge": {"hedge_id": "H000000001"},
    "reject-hedge": {"hedge_id": "H000000001"},
    "change-routing": {"group": "b-book", "book_mode": "A", "minutes": 30},
    "widen-spread": {"group": "b-book", "bid_points": 5, "ask_points": 7, "minutes": 30},
    "change-limits": {"group": "b-book", "changes": {"order_volume_max_lots": "3"}, "minutes": 30},
    "bust-fill": {"seq": 3, "confirm": "bust O1-1"},
    "correct-fill": {"seq": 3, "price": "1.09000", "confirm": "correct O1-1 to 1.09000"},
    "bust-window": WINDOW | {"digest": hashlib.sha256(b"3").hexdigest()[:16], "confirm": "bust 1 fills"},
    "flatten": {"scope": "group", "key": "b-book", "confirm": "flatten b-book"},
    "change-phase": {"symbol": "EURUSD", "phase": "closing_call", "call_s": 60, "confirm": "closing call EURUSD"},
    "record-locates": {
        "rows": [
            {"account_id": "A1", "symbol": "EURUSD", "lots": lots, "reference": name, "until": "2031-01-01T00:00:00Z"}
            for name, lots in (("L1", "5"), ("L2", "0"))
        ]
    },
    "record-volumes": {"rows": [{"symbol": "EURUSD", "business_date": "2029-12-31", "lots": "120000.5"}]},
    "ask-override": {"order_id": "O1", "codes": ["P-07", "P-08"]},
    "ask-settlement": SETTLED,
    "release-throttle": {"account_id": "A1"},
    "amend-order": {"order_id": "O1", "quantity": "2", "limit_price": "1.2", "confirm": "amend O1"},
    "set-exits": {"position_id": "A1:EURUSD", "stop_loss": "1.05", "confirm": "exits A1:EURUSD"},
    "close-all": {"account_id": "A1", "symbol": "EURUSD", "which": "losing", "confirm": "close A1"},
    "score-account": {"account_id": "A1", "score": "2.5"},
}
# What follows on another's action; each has a test of its own.
FOLLOWING = {"approve-change", "reject-change", "end-change", "grant-override", "settle-doubt"}


assert ACTIONS.keys() == BODIES.keys() | FOLLOWING, "an action without a test of its own"


def done(envelope: Envelope) -> Answer:
    return Answer(command_id=envelope.command_id)


@pytest.fixture
def floor(acorn: Any, redis_server: Any, owner_sql: Any) -> Iterator[list[Envelope]]:
    with in_tenant("acorn"):
        records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
        records.leg_in_doubt()
        OutboxCommand.objects.all().delete()
    for name in redis_server.scan_iter("{acorn}:*"):
        redis_server.delete(name)
    with engine(redis_server, owner_sql, done) as heard:
        yield heard


@pytest.fixture
def dora(floor: list[Envelope]) -> Dealer:
    return Dealer()


def entries() -> list[DeskAction]:
    with in_tenant("acorn"):
        return list(DeskAction.objects.order_by("id"))


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_every_action_leaves_exactly_one_entry_however_often_it_is_sent(dora: Dealer, kind: str) -> None:
    first, again = (dora.act(kind, once="k1", **BODIES[kind]) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200), first.content
    assert (first.json()["repeated"], again.json()["repeated"]) == (False, True)
    (entry,) = entries()
    assert (entry.kind, entry.by, entry.reason) == (kind, "dora", "because of the news")
    other = dora.act(kind, once="k1", reason="another reason", **BODIES[kind])
    assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
    assert len(entries()) == 1


@pytest.mark.parametrize("kind", sorted(ACTIONS))
@pytest.mark.parametrize("role", ["watcher", "auditor"])
def test_without_the_right_every_action_is_403_and_leaves_nothing(floor: Any, kind: str, role: str) -> None:
    """Also where the body is wrong: whoever may not learns nothing."""
    nosy = Dealer(role=role, username="wanda")
    assert nosy.act(kind, **BODIES.get(kind, {})).status_code == 403
    assert nosy.act(kind).status_code == 403
    assert entries() == []
    assert floor == []


def test_a_stranger_and_a_dealer_without_the_second_factor_may_nothing(dora: Dealer) -> None:
    dora.http.cookies.clear()
    assert dora.act("cover", **BODIES["cover"]).status_code == 403


def test_a_page_of_another_site_cannot_act(dora: Dealer) -> None:
    """The session alone is not enough: the page's token must come with it."""
    dora.http.handler.enforce_csrf_checks = True
    assert dora.act("cover", **BODIES["cover"]).status_code == 403
    assert entries() == []


def test_the_engine_hears_what_was_asked_and_by_whom(dora: Dealer, floor: list[Envelope]) -> None:
    for kind in ("set-trading-state", "place-order", "cancel-order", "cover", "approve-hedge", "reject-hedge"):
        assert dora.act(kind, **BODIES[kind]).status_code == 200
    asked = [envelope for envelope in floor if envelope.reply_to]
    assert {envelope.principal for envelope in asked} == {"dora"}
    state, placed, cancelled, flat, approved, rejected = (envelope.command for envelope in asked)
    assert (state.scope, state.key, state.state, state.by) == ("symbol", "EURUSD", TradingState.HALTED, "dora")
    assert isinstance(placed, PlaceOrder)
    assert (placed.source, placed.terms.side, placed.terms.quantity) == ("dealer", Side.BUY, Decimal("1.50"))
    assert isinstance(cancelled, CancelOrder)
    assert (cancelled.account_id, cancelled.reason) == ("A1", "dealer dora: because of the news")
    assert flat == CoverByHand(symbol="EURUSD", by="dora", reason="because of the news")
    assert approved == ApproveHedge(hedge_id="H000000001", by="dora")
    assert rejected == RejectHedge(hedge_id="H000000001", by="dora", reason="because of the news")


def test_a_change_of_an_order_and_a_score_reach_the_core(dora: Dealer, floor: list[Envelope]) -> None:
    for kind in ("amend-order", "score-account"):
        assert dora.act(kind, **BODIES[kind]).status_code == 200
    amended, scored = (envelope.command for envelope in floor if envelope.reply_to)
    assert amended == AmendOrder(order_id="O1", account_id="A1", quantity=Decimal(2), limit_price=Decimal("1.2"))
    assert scored == ScoreAccount(account_id="A1", score=Decimal("2.5"))


def test_answers_to_a_request_reach_the_core_as_they_were_given(dora: Dealer, floor: list[Envelope]) -> None:
    for kind in ("claim-request", "fill-request", "requote-request", "pass-request", "reject-request"):
        assert dora.act(kind, **BODIES[kind]).status_code == 200
    claimed, filled, requoted, passed, rejected = (envelope.command for envelope in floor if envelope.reply_to)
    assert claimed == ClaimOrder(order_id="O1", by="dora")
    assert filled == FillByDealer(order_id="O1", by="dora", at=DealAt.MARKET)
    why = "because of the news"
    assert requoted == RequoteOrder(order_id="O1", by="dora", price=Decimal("1.10010"), valid_ms=5_000, reason=why)
    assert passed == PassOrderOn(order_id="O1", by="dora")
    assert rejected == RejectByDealer(order_id="O1", by="dora", reason=RejectReason.NEWS, text=why)


def test_a_halt_reaches_the_engine_also_when_it_is_away_and_an_order_does_not(
    dora: Dealer, floor: list[Envelope], owner_sql: Any
) -> None:
    owner_sql("delete from public.engine_lease")
    refused = dora.act("place-order", **BODIES["place-order"])
    assert (refused.status_code, refused.json()["code"]) == (503, "desk_away")
    assert entries() == []
    assert dora.act("set-trading-state", **BODIES["set-trading-state"]).status_code == 200
    with in_tenant("acorn"):
        (waiting,) = OutboxCommand.objects.filter(kind="SetTradingState")
        (entry,) = entries()
        assert waiting.command_id == entry.command_id


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        ("set-trading-state", {"state": "killed"}, "CONFIRMATION_NEEDED"),
        ("set-trading-state", {"state": "killed", "confirm": "GBPUSD"}, "CONFIRMATION_NEEDED"),
        ("set-trading-state", {"key": "NOTHING"}, "TARGET_UNKNOWN"),
        ("set-trading-state", {"scope": "tenant", "key": "birch"}, "TARGET_UNKNOWN"),
        ("place-order", {"confirm": ""}, "CONFIRMATION_NEEDED"),
        ("place-order", {"confirm": "buy 15.0 EURUSD"}, "CONFIRMATION_NEEDED"),
        ("place-order", {"account_id": "A9"}, "TARGET_UNKNOWN"),
        ("cancel-order", {"order_id": "O9"}, "ORDER_UNKNOWN"),
        ("amend-order", {"order_id": "O9"}, "ORDER_UNKNOWN"),
        ("amend-order", {"quantity": None, "limit_price": None}, "INCOMPLETE"),
        ("amend-order", {"confirm": "amend"}, "CONFIRMATION_NEEDED"),
        ("score-account", {"account_id": "A9"}, "TARGET_UNKNOWN"),
        ("close-all", {"account_id": "A9"}, "TARGET_UNKNOWN"),
        ("set-exits", {"position_id": "A9:EURUSD"}, "POSITION_UNKNOWN"),
        ("set-exits", {"stop_loss": None}, "INCOMPLETE"),
        ("set-exits", {"confirm": "exits"}, "CONFIRMATION_NEEDED"),
        ("close-all", {"symbol": "NOTHING"}, "TARGET_UNKNOWN"),
        ("close-all", {"confirm": "close"}, "CONFIRMATION_NEEDED"),
        ("set-trading-state", {"scope": "strategy", "key": "nobody"}, "TARGET_UNKNOWN"),
        ("cover", {"confirm": "flatten"}, "CONFIRMATION_NEEDED"),
        ("cover", {"side": "buy"}, "INCOMPLETE"),
        ("cover", {"symbol": "NOTHING"}, "TARGET_UNKNOWN"),
        ("change-routing", {"group": "nobody"}, "TARGET_UNKNOWN"),
        ("widen-spread", {"group": "nobody"}, "TARGET_UNKNOWN"),
        ("widen-spread", {"bid_points": 1_000, "ask_points": -1_000}, "VALUE_UNUSABLE"),
        ("change-limits", {"changes": {"version": "3"}}, "LIMIT_UNKNOWN"),
        ("change-limits", {"group": "nobody"}, "TARGET_UNKNOWN"),
        ("approve-change", {"change_id": 99}, "CHANGE_UNKNOWN"),
        ("end-change", {"change_id": 99}, "CHANGE_UNKNOWN"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_entry(
    dora: Dealer, kind: str, change: dict[str, Any], code: str, floor: list[Envelope]
) -> None:
    answer = dora.act(kind, **(BODIES.get(kind, {}) | change))
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.content
    assert entries() == []
    assert floor == []


@pytest.mark.parametrize(
    "change", [{"reason": ""}, {"reason": "x"}, {"state": "asleep"}, {"more": 1}, {"scope": "moon"}]
)
def test_a_body_that_says_too_little_or_too_much_is_400(dora: Dealer, change: dict[str, Any]) -> None:
    assert dora.act("set-trading-state", **(BODIES["set-trading-state"] | change)).status_code == 400
    assert dora.http.post("/desk/actions/cover", "{}", content_type="application/json").status_code == 400
    assert dora.act("dance").status_code == 404


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("cover", {"quantity": "１"}, "quantity"),
        ("cover", {"quantity": "1_0"}, "quantity"),
        ("cover", {"quantity": "1e1"}, "quantity"),
        ("cover", {"quantity": True}, "quantity"),
        ("amend-order", {"take_profit": "1.2", "no_take_profit": True}, "no_take_profit"),
        ("amend-order", {"stop_loss": "1.0", "no_stop_loss": True}, "no_stop_loss"),
        ("approve-change", {"change_id": 2**63}, "change_id"),
        ("bust-window", {"since": "2030-01-01T00:00:00"}, "since"),
    ],
)
def test_what_could_be_read_in_another_way_is_refused_by_its_field(
    dora: Dealer, kind: str, change: dict[str, Any], field: str
) -> None:
    answer = dora.act(kind, **(BODIES.get(kind, {}) | change))
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.content


def test_a_kill_is_told_once_its_target_was_typed(dora: Dealer, floor: list[Envelope]) -> None:
    body = BODIES["set-trading-state"] | {"state": "killed", "confirm": "eurusd"}
    assert dora.act("set-trading-state", **body).status_code == 200
    whole = {"scope": "tenant", "key": "", "state": "killed", "confirm": "acorn", "cancel_working": False}
    assert dora.act("set-trading-state", **whole).status_code == 200
    assert [(each.command.scope, each.command.cancel_working) for each in floor if each.reply_to] == [
        ("symbol", True),
        ("tenant", False),
    ]


def test_f_33_nobody_at_the_desk_reopens_what_the_platform_suspended(
    dora: Dealer, floor: list[Envelope], owner_sql: Any
) -> None:
    """F-33: stopping more, and a part of it, stays theirs."""
    suspend = "update public.tenants_tenant set suspended_at = {} where schema_name = 'acorn'"
    owner_sql(suspend.format("now()"))
    try:
        for scope in ("firm", "tenant"):
            refused = dora.act("set-trading-state", scope=scope, state="active")
            assert (refused.status_code, refused.json()["code"]) == (422, "SUSPENDED")
            assert dora.act("set-trading-state", scope=scope, state="halted").status_code == 200
        assert dora.act("set-trading-state", scope="symbol", key="EURUSD", state="active").status_code == 200
    finally:
        owner_sql(suspend.format("null"))
    assert dora.act("set-trading-state", scope="firm", state="active").status_code == 200


def test_what_the_engine_refuses_is_shown_with_its_reason(acorn: Any, redis_server: Any, owner_sql: Any) -> None:
    def refuse(envelope: Envelope) -> Answer:
        refused = CommandRefused(code="FOUR_EYES", field="by", text="it was halted by dora: another opens it again")
        return Answer(command_id=envelope.command_id, refused=refused)

    with engine(redis_server, owner_sql, refuse):
        answer = Dealer().act("set-trading-state", scope="tenant", state="active")
    assert (answer.status_code, answer.json()["code"]) == (422, "FOUR_EYES")
    assert "another" in answer.json()["text"]
    assert len(entries()) == 1, "it was asked, and so it is noted"


def test_nobody_changes_or_removes_an_entry(dora: Dealer) -> None:
    dora.act("cover", **BODIES["cover"])
    with in_tenant("acorn"):
        for change in (
            lambda: DeskAction.objects.update(reason="nothing happened"),
            lambda: DeskAction.objects.all().delete(),
        ):
            with pytest.raises(DatabaseError):
                change()
    connection.close()
    assert len(entries()) == 1
