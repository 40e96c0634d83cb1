"""What clients are told: each further tenth that a position lost (G-21), and how many accounts lose money (G-16)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Account
from apps.dealing import selectors as dealing
from apps.instruments import services as instruments
from apps.outbox.models import OutboxCommand
from apps.risk import selectors, services
from apps.risk.models import AccountMargin, DepreciationNotice, LossShare
from apps.risk.tasks import protect_clients
from apps.tenants.services import in_tenant
from apps.treasury import selectors as treasury
from apps.users.services import create_staff, issue_token, sync_roles
from piggy import projector
from piggy.core.events import SwapCharged, SwapRestated
from piggy.messaging import codec, streams
from tests.apps import records
from tests.apps.dealing.desk_floor import symbol

# A long lot bought at 1.1 was worth 110,000 USD: what it closes at, and how much of that is left.
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def alice(acorn: Any, redis_server: Any) -> Iterator[Any]:
    with in_tenant("acorn"):
        user = records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
        yield user


@pytest.fixture
def quote(redis_server: Any) -> Any:
    def said(bid: str, *, at: datetime = NOON, age_ms: int = 5) -> None:
        rows = {"EURUSD": {"symbol": "EURUSD", "bid": bid, "ask": str(Decimal(bid) + 1), "age_ms": age_ms}}
        frame = {"panel": "quotes", "seq": 1, "snapshot": True, "at_us": int(at.timestamp() * 1_000_000), "rows": rows}
        redis_server.set(streams.desk_snapshot_key(tenant="acorn", panel="quotes"), msgspec.json.encode(frame))

    return said


def noted() -> list[tuple[int, str]]:
    services.note_depreciations(tenant="acorn", at=NOON)
    return [(row.percent, str(row.value.normalize())) for row in DepreciationNotice.objects.order_by("id")]


def test_each_further_tenth_that_a_position_lost_is_noted_once(alice: Any, quote: Any) -> None:
    """G-21."""
    for bid, expected in (
        ("1.06000", []),  # More than was put up for it is lost, and not a tenth of what it was worth.
        ("0.99001", []),
        ("0.99000", [(10, "99000")]),
        ("0.89000", [(10, "99000")]),
        ("0.76000", [(10, "99000"), (30, "76000")]),
        ("1.10000", [(10, "99000"), (30, "76000")]),
        ("0.05000", [(10, "99000"), (30, "76000"), (90, "5000")]),
    ):
        quote(bid)
        assert [(percent, f"{Decimal(value):f}") for percent, value in noted()] == expected, bid


def test_what_was_sold_loses_as_its_price_rises_past_all_that_it_was_worth(alice: Any, quote: Any) -> None:
    """G-21: a short lot at 1.1, closed at an ask that is 1 above the bid."""
    records.client(name="bob", account_id="B1")
    records.write(records.filled("O2", account_id="B1", position_id="B1:EURUSD", fill_id="O2-1", side="sell"))
    projector.catch_up(tenant="acorn")
    quote("1.32")
    services.note_depreciations(tenant="acorn", at=NOON)
    (row,) = DepreciationNotice.objects.all()
    assert (row.account_id, row.percent, row.initial, row.value) == ("B1", 110, 110_000, -12_000)


def test_nobody_is_told_of_a_loss_at_a_price_that_may_not_hold(alice: Any, quote: Any) -> None:
    quote("0.9", at=NOON - timedelta(minutes=2))
    assert noted() == []
    quote("0.9", age_ms=61_000)
    assert noted() == []
    quote("0.9")
    assert len(noted()) == 1


def test_a_professional_is_sent_no_notice_and_no_share_counts_him(alice: Any, quote: Any) -> None:
    Account.objects.update(category="professional")
    quote("0.9")
    assert noted() == []
    assert selectors.losing_accounts(tenant="acorn", since=NOON - timedelta(days=365), at=NOON) == (0, 0)


def ask(path: str, **headers: str) -> Any:
    """Ask as a browser does, which leaves the test in no broker's schema."""
    answer = Browser(headers={"host": "acorn.localhost", **headers}).get(path)
    assert answer.status_code == 200, answer.content
    return answer


def notices(user: Any) -> list[dict[str, Any]]:
    with in_tenant("acorn"):
        token = issue_token(user=user)
    return list(ask("/api/v1/notices", authorization=f"Token {token}").json()["results"])


def waiting(title: str) -> int:
    with in_tenant("acorn"):
        return {queue.title: queue.count for queue in dealing.work_queues(tenant="acorn")}[title]


def test_a_client_fetches_his_notices_and_whoever_did_not_waits_in_a_queue(alice: Any, quote: Any) -> None:
    other = records.client(name="bob", account_id="B1")
    quote("0.76")
    noted()
    assert notices(other) == []
    assert waiting("Losses to tell clients of") == 1
    (told,) = notices(alice)
    money = {name: told[name] for name in ("percent", "initial", "value", "currency", "price")}
    assert money == {"percent": 30, "initial": "110000", "value": "76000", "currency": "USD", "price": "0.76"}
    assert (told["account_id"], told["symbol"]) == ("A1", "EURUSD")
    assert waiting("Losses to tell clients of") == 0
    with in_tenant("acorn"):
        row = DepreciationNotice.objects.get()
        assert row.told_by == "fetched by the client"
        assert services.tell_otherwise(notices=[row.pk], by="carl", at=NOON) == 0, "he was told already"


def test_more_notices_than_one_answer_holds_come_with_the_next(alice: Any) -> None:
    """G-21: nobody is left untold of the oldest."""
    worth = {"initial": 100, "value": 90, "currency": "USD", "price": 1}
    DepreciationNotice.objects.bulk_create(
        DepreciationNotice(
            account_id="A1", position_id=f"P{number}", symbol="EURUSD", opened_at=NOON, percent=10, at=NOON, **worth
        )
        for number in range(selectors.protection.NOTICES_SHOWN + 1)
    )
    first, second = ([row.position_id for row in services.fetch_notices(user=alice, at=NOON)] for _ in range(2))
    assert (first[0], first[-1], len(first)) == ("P200", "P1", 200)
    assert (second[-1], len(second)) == ("P0", 200)
    assert not DepreciationNotice.objects.filter(told_at=None).exists()


def test_compliance_notes_that_a_client_was_told_by_telephone(alice: Any, quote: Any) -> None:
    quote("0.76")
    noted()
    sync_roles()
    rights = {
        role: create_staff(username=role, password="long enough", role=role).has_perm("risk.change_depreciationnotice")
        for role in ("compliance", "support")
    }
    assert rights == {"compliance": True, "support": False}
    row = DepreciationNotice.objects.get()
    assert services.tell_otherwise(notices=[row.pk], by="carl", at=NOON) == 1
    row.refresh_from_db()
    assert (row.told_at, row.told_by) == (NOON, "carl")


def test_the_share_of_losing_accounts_counts_fills_nights_and_open_profit(alice: Any, quote: Any) -> None:
    """G-16."""
    records.client(name="bob", account_id="B1")
    records.client(name="idle", account_id="C1")
    night = SwapCharged(
        account_id="B1", position_id="B1:EURUSD", symbol="EURUSD", business_date=NOON.date(), kind="swap", nights=1,
        lots=Decimal(1), per_lot=Decimal(-5), price=None, conversion_rate=Decimal(1), amount=Decimal(-5),
        currency="USD", occurred_at_us=0,
    )  # fmt: skip
    bought = records.filled("O2", account_id="B1", position_id="B1:EURUSD", fill_id="O2-1")
    sold = records.filled(
        "O3", account_id="B1", position_id="B1:EURUSD", fill_id="O3-1", side="sell", realised=Decimal(4)
    )
    records.write(records.credited("1000", "B1"), bought, night, sold)
    projector.catch_up(tenant="acorn")
    margin = AccountMargin.objects.get(account_id="B1")
    assert (margin.balance, margin.swaps) == (Decimal(999), Decimal(-5)), "nights are money of the account"
    back = SwapRestated(
        account_id="B1", position_id="B1:EURUSD", symbol="EURUSD", fill_id="O2-1", kind="swap", amount=Decimal("0.5"),
        currency="USD", place_seq=1,
    )  # fmt: skip
    records.write(back)
    projector.catch_up(tenant="acorn")
    margin.refresh_from_db()
    assert (margin.balance, margin.swaps) == (Decimal("999.5"), Decimal("-4.5")), "and so is what goes back of them"
    assert treasury.swaps_since(at=NOON - timedelta(days=365 * 9))["B1"] == Decimal("-4.5")
    since = NOON - timedelta(days=365)
    quote("1.2")
    assert selectors.losing_accounts(tenant="acorn", since=since, at=NOON) == (2, 1)
    quote("1.05")
    assert selectors.losing_accounts(tenant="acorn", since=since, at=NOON) == (2, 2)


def front_door() -> str:
    return str(ask("/").content.decode())


def measured(*, days_ago: int) -> None:
    at = timezone.now() - timedelta(days=days_ago)
    with in_tenant("acorn"):
        LossShare.objects.create(since=at, measured_at=at, accounts=1000, losing=774)


def test_the_front_door_says_the_firms_own_fresh_percent_and_no_old_one(alice: Any, quote: Any) -> None:
    """G-16: the page, the API, and the queue that calls when there is no figure."""
    for _ in range(2):
        assert "% of retail" not in front_door()
        assert "leverage can lose" in front_door()
        assert waiting("Risk warning without a figure") == 1
        measured(days_ago=93)
    measured(days_ago=2)
    assert "77% of retail investor accounts lose money" in front_door()
    assert "77% of retail investor accounts lose money" in ask("/api/v1/docs").content.decode()
    assert waiting("Risk warning without a figure") == 0
    told = ask("/api/v1/risk-warning").json()
    assert (told["percent"], told["text"][:13]) == ("77", "77% of retail")


def test_the_share_is_measured_once_a_day_for_every_broker(alice: Any, quote: Any) -> None:
    for _ in range(2):
        protect_clients()
        with in_tenant("acorn"):
            assert LossShare.objects.count() == 1
    assert "0% of retail investor accounts" in front_door()


def test_a_share_is_measured_once_in_a_day_and_a_night_too(acorn: Any, redis_server: Any) -> None:
    """G-16, F-26: not again because a date is another."""
    late = NOON.replace(hour=23)
    with in_tenant("acorn"):
        assert services.measure_losses(tenant="acorn", at=late) is not None
        assert services.measure_losses(tenant="acorn", at=late + timedelta(hours=2)) is None
        assert services.measure_losses(tenant="acorn", at=late + timedelta(days=1)) is not None


def test_a_new_firm_says_the_range_of_all_firms(acorn: Any, redis_server: Any) -> None:
    """G-16."""
    with in_tenant("acorn"):
        services.measure_losses(tenant="acorn", at=timezone.now())
    assert "74-89% of retail investor accounts" in front_door()


def test_a_client_who_is_not_retail_has_evidence_and_its_date(alice: Any) -> None:
    """G-13: stored with the account, told to the engine, and so in its log and its history."""
    terms: dict[str, Any] = {"group": "b-book", "category": "professional"}
    with pytest.raises(ValidationError) as refused:
        accounts.check_terms(account_id="A1", terms=terms)
    assert set(refused.value.message_dict) == {"category_evidence", "category_evidenced_on"}
    terms |= {"category_evidence": "portfolio statement, vault 12"}
    with pytest.raises(ValidationError, match="day to come"):
        to_come = timezone.now().date() + timedelta(days=2)  # Midnight may be near.
        accounts.check_terms(account_id="A1", terms=terms | {"category_evidenced_on": to_come})
    terms |= {"category_evidenced_on": NOON.date().replace(year=2020)}
    accounts.put_terms(tenant="acorn", account_id="A1", terms=terms, by="carl", reason="asked for, and shown")
    row = OutboxCommand.objects.filter(reference="account:A1").latest("id")
    told = codec.decode_envelope(bytes(row.payload)).command.account
    assert (told.category_evidence, str(told.category_evidenced_on)) == ("portfolio statement, vault 12", "2020-01-02")
