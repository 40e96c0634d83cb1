"""Fills taken back at the desk: looked at before, exactly those that were looked at, and what the engine hears."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from apps.dealing import services
from apps.dealing.models import DeskAction
from apps.dealing.services import Wish, acting
from apps.instruments import services as instruments
from apps.outbox.models import OutboxCommand
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.core.bust_commands import BustFills, CorrectFill
from piggy.core.commands import (
    ChangePhase,
    Envelope,
    FlattenPositions,
    GrantOverride,
    RecordDailyVolume,
    RecordLocate,
    ReleaseThrottle,
)
from piggy.core.events import NegativeBalanceWrittenOff
from piggy.core.orders import Side
from piggy.messaging import codec
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer, symbol
from tests.apps.dealing.test_actions import BODIES, WINDOW, dora, floor

__all__ = ["dora", "floor"]
D = Decimal


@pytest.fixture
def window(floor: list[Envelope]) -> list[Envelope]:
    """A second client's fill closes at the bad price and is made good; two more met each other; one is outside."""
    sold = {"side": Side.SELL, "price": D("1.05"), "raw_price": D("1.05"), "realised": D(-5_000)}
    crossed = {"book": "CROSS", "price": D("1.1"), "raw_price": D("1.1"), "position_id": "X"}
    with in_tenant("acorn"):
        records.write(
            records.filled(number=2, commission=D(7), **sold),
            NegativeBalanceWrittenOff(account_id="A1", amount=D(300), currency="USD"),
            command_id="00000000-0000-4000-8000-000000000001",
        )
        records.write(
            records.filled("O2", counterparty="O3", **crossed),
            records.filled("O3", counterparty="O2", side=Side.SELL, **(crossed | {"position_id": "Y"})),
        )
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("GBPUSD"), by="test")
        projector.catch_up(tenant="acorn")
        OutboxCommand.objects.all().delete()
    return floor


def look(dealer: Dealer, kind: str = "bust-window", **changes: Any) -> Any:
    return dealer.http.get(f"/desk/previews/{kind}", (WINDOW if kind == "bust-window" else {}) | changes)


def asked(floor: list[Envelope]) -> list[Any]:
    return [envelope.command for envelope in floor if envelope.reply_to]


def test_a_look_names_the_fills_the_accounts_and_the_money(dora: Dealer, window: Any) -> None:
    seen = look(dora, price_from="1.01").json()
    assert [(fill["fill_id"], fill["book"]) for fill in seen["fills"]] == [
        ("O1-1", "B"), ("O1-2", "B"), ("O2-1", "CROSS"), ("O3-1", "CROSS"),
    ]  # fmt: skip
    (account,) = seen["accounts"]
    # Bought at 1.1 and sold at 1.05: 5,000 lost and 7 paid come back, less the 300 that the house had given.
    assert (account["account_id"], account["fills"], account["cash"]) == ("A1", 4, "4707")
    assert look(dora, venue="LP1").json()["fills"] == []
    assert look(dora, until="2030-01-01T00:00:00Z", since="2029-01-01T00:00:00Z").json()["fills"] == []
    assert look(dora, price_from="2").status_code == 400
    (one,) = look(dora, "bust-fill", seq=3).json()["fills"]
    assert one["fill_id"] == "O1-1"


def test_only_who_may_bust_may_look(dora: Dealer, window: Any) -> None:
    nosy = Dealer(role="watcher", username="wanda")
    assert (look(nosy).status_code, look(nosy, "bust-fill", seq=3).status_code) == (403, 403)
    assert look(dora, "cover").status_code == 404
    dora.http.cookies.clear()
    assert look(dora).status_code == 403


def test_all_of_a_window_go_in_one_command_and_one_entry(dora: Dealer, window: list[Envelope]) -> None:
    seen = look(dora, price_from="1.01").json()
    body = WINDOW | {"price_from": "1.01", "digest": seen["digest"], "confirm": "bust 4 fills"}
    answers = [dora.act("bust-window", once="w1", **body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    command = asked(window)[0]
    assert isinstance(command, BustFills)
    assert (command.by, command.reason, command.batch) == ("dora", "because of the news", "dora/w1")
    assert [(fill.fill_id, fill.written_off) for fill in command.fills] == [
        ("O1-1", 0), ("O1-2", 300), ("O2-1", 0), ("O3-1", 0),
    ]  # fmt: skip
    with in_tenant("acorn"):
        assert DeskAction.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"confirm": "bust 9 fills"}, "CONFIRMATION_NEEDED"),
        ({"digest": "0" * 16}, "PREVIEW_OVER"),
        ({"venue": "LP9"}, "NOTHING_TO_BUST"),
    ],
)
def test_what_was_not_looked_at_is_not_taken_back(dora: Dealer, floor: Any, change: dict[str, str], code: str) -> None:
    answer = dora.act("bust-window", **(BODIES["bust-window"] | change))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert asked(floor) == []


def test_of_two_clients_who_met_both_are_undone_by_naming_one(dora: Dealer, window: list[Envelope]) -> None:
    seen = look(dora, "bust-fill", seq=6).json()
    assert [fill["fill_id"] for fill in seen["fills"]] == ["O2-1", "O3-1"]
    assert dora.act("bust-fill", seq=7, confirm="bust O3-1").status_code == 200
    assert [fill.fill_id for fill in asked(window)[0].fills] == ["O3-1", "O2-1"]
    assert dora.act("bust-fill", seq=99, confirm="").json()["code"] == "FILL_UNKNOWN"


def test_the_engine_hears_a_correction_and_what_is_done_about_controls(dora: Dealer, floor: list[Envelope]) -> None:
    for kind in ("correct-fill", "flatten", "change-phase", "release-throttle"):
        assert dora.act(kind, **BODIES[kind]).status_code == 200, kind
    corrected, flat, phase, released = asked(floor)
    assert isinstance(corrected, CorrectFill) and corrected.price == D("1.09000")
    assert (corrected.fill.seq, corrected.fill.fill_id, corrected.fill.quantity) == (3, "O1-1", 1)
    why = {"reason": "because of the news", "by": "dora"}
    assert flat == FlattenPositions(scope="group", key="b-book", **why)
    assert phase == ChangePhase(symbol="EURUSD", phase="closing_call", call_s=60, **why)
    assert released == ReleaseThrottle(account_id="A1", **why)


def test_a_list_is_one_entry_and_a_command_a_row(dora: Dealer, floor: list[Envelope]) -> None:
    for kind in ("record-locates", "record-volumes"):
        assert dora.act(kind, **BODIES[kind]).status_code == 200
    with in_tenant("acorn"):
        rows = OutboxCommand.objects.filter(kind__in=["RecordLocate", "RecordDailyVolume"]).order_by("id")
        told = [codec.decode_envelope(bytes(row.payload)).command for row in rows]
        entries = list(DeskAction.objects.order_by("id").values_list("kind", flat=True))
    assert [type(command) for command in told] == [RecordLocate, RecordLocate, RecordDailyVolume]
    assert (told[0].lots, told[0].by, told[1].reference) == (5, "dora", "L2")
    assert (told[2].lots, str(told[2].business_date)) == (D("120000.5"), "2029-12-31")
    assert entries == ["record-locates", "record-volumes"]
    wrong = BODIES["record-volumes"]["rows"] + [{"symbol": "NOTHING", "business_date": "2029-12-31", "lots": "1"}]
    assert dora.act("record-volumes", rows=wrong).json()["code"] == "TARGET_UNKNOWN"


@pytest.mark.parametrize("kind", ["record-locates", "record-volumes"])
def test_two_rows_of_the_same_are_refused_by_the_second_one_s_place(
    dora: Dealer, floor: list[Envelope], kind: str
) -> None:
    """Spec 2.c, CSV: the engine would hear of one of them only."""
    rows = BODIES[kind]["rows"]
    refused = dora.act(kind, rows=[*rows, rows[0] | {"lots": "9"}])
    assert (refused.status_code, refused.json()["code"]) == (422, "ROW_TWICE")
    assert refused.json()["field"] == f"rows.{len(rows)}"
    with in_tenant("acorn"):
        assert not DeskAction.objects.exists()
    assert floor == []


def test_an_override_is_asked_by_one_and_granted_by_another(dora: Dealer, floor: list[Envelope]) -> None:
    """P-26."""
    action = dora.act("ask-override", **BODIES["ask-override"]).json()["action"]
    own = dora.act("grant-override", action_id=action)
    assert (own.status_code, own.json()["code"]) == (422, "FOUR_EYES")
    rick = Dealer(role="risk", username="rick")
    assert rick.act("grant-override", action_id=action).status_code == 200
    (granted,) = asked(floor)
    assert isinstance(granted, GrantOverride)
    assert (granted.requested_by, granted.authorised_by, granted.codes) == ("dora", "rick", {"P-07", "P-08"})
    assert rick.act("grant-override", action_id=action + 77).json()["code"] == "NOT_ASKED"
    assert dora.act("ask-override", order_id="O1", codes=["P-01"]).json()["code"] == "NOT_OVERRIDABLE"


def test_an_override_that_nobody_heard_is_not_told_again_when_the_market_has_moved_on(
    dora: Dealer, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-26."""
    action = dora.act("ask-override", **BODIES["ask-override"]).json()["action"]
    monkeypatch.setattr(acting, "ANSWER_WAIT_S", 0.01)
    wish = Wish(
        tenant="acorn",
        by="rick",
        kind="grant-override",
        key="k",
        reason="as asked",
        body={"action_id": action},
        now=timezone.now(),
    )
    later = msgspec.structs.replace(wish, now=wish.now + timedelta(seconds=acting.FRESH_S_MAX + 1))
    with in_tenant("acorn"):
        first = services.grant_override(wish=wish, action_id=action)
        again = services.grant_override(wish=later, action_id=action)
        records.write(records.credited(), command_id=str(DeskAction.objects.get(pk=first.action).command_id))
        known = services.grant_override(wish=later, action_id=action)
    assert (again.action, known.action) == (first.action, first.action)
    assert (again.state, again.text, again.repeated) == ("unheard", "Too late to tell it.", True)
    assert known.text == "", "what is in the log is asked for, however late"


@pytest.mark.parametrize(("kind", "minutes"), [("ask-override", 26), ("ask-settlement", 1)])
def test_only_what_was_asked_of_late_and_for_this_is_granted(
    dora: Dealer, floor: list[Envelope], kind: str, minutes: int
) -> None:
    """P-26."""
    action = dora.act(kind, **BODIES[kind]).json()["action"]
    now = timezone.now() + timedelta(minutes=minutes)
    wish = Wish(tenant="acorn", by="rick", kind="grant-override", key="k", reason="as asked", body={}, now=now)
    with in_tenant("acorn"), pytest.raises(services.UnableToAct, match="Nobody asked"):
        services.grant_override(wish=wish, action_id=action)
