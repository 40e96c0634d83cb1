"""GET /api/v1/accounts/<id>…: what a client reads of an account, and nobody else does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apps.common.throttles import Outlooks
from apps.risk.selectors import money_of
from apps.trading.services import asking
from apps.treasury.models import JournalEntry, Posting
from apps.users.services import issue_token
from piggy import projector
from piggy.core import events as ev
from piggy.core.accounts import StopOutMode
from piggy.core.answers import Answer, Brink, Close, HeldPosition, Outlook
from piggy.core.commands import AskOutlook
from piggy.messaging import codec, streams
from piggy.messaging.client import Client as Engines
from tests.apps import records
from tests.apps.trading.test_orders_api import Api
from tests.apps.trading.test_orders_api import engine_lease as engine_lease

D = Decimal
NOW = Outlook(
    account_id="A1",
    currency="USD",
    balance=D("1000.00"),
    credit=D(0),
    floating=D("-9.000"),
    equity=D("991.00"),
    used_margin=D("36.633330000000001"),
    reserved_margin=D(0),
    maintenance_margin=D("18.3"),
    free_margin=D("954.36667"),
    level_percent=D(991) / D(3) * 8,
    margin_call_percent=D(100),
    stop_out_percent=D(50),
    stop_out_mode=StopOutMode.SMART,
    margin_called=False,
    positions=(
        HeldPosition(
            position_id="A1:EURUSD",
            symbol="EURUSD",
            quantity=D("0.10"),
            average_price=D("1.1001"),
            close_price=None,
            floating=None,
            settles_at_us=records.AT_US,
            nights=3,
            swap=D("-4.500"),
        ),
    ),
    brinks=(
        Brink(symbol="EURUSD", price=D("1.0"), closes=(Close(position_id="p", quantity=D("0.1"), price=D("1.0")),)),
    ),
)


@pytest.fixture
def alice(acorn: Any, as_tenant: Any, redis_server: Any) -> Api:
    with as_tenant("acorn"):
        return Api(token=issue_token(user=records.client()))


@pytest.fixture
def bob(alice: Api, as_tenant: Any) -> Api:
    with as_tenant("acorn"):
        return Api(token=issue_token(user=records.client(name="bob", account_id="B1")))


@pytest.fixture
def asked(engine_lease: None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the desk was asked; the second time it says nothing."""
    heard: list[Any] = []

    class Desk:
        def ask(self, *, tenant: str, envelope: Any, wait_s: float) -> Answer | None:
            heard.append(envelope.command)
            return Answer(command_id=envelope.command_id, outlook=NOW) if len(heard) == 1 else None

    monkeypatch.setattr(asking, "client", Desk)
    monkeypatch.setattr(Outlooks, "rate", "60/min", raising=False)
    return heard


def test_an_account_is_shown_as_the_desk_values_it_now(alice: Api, bob: Api, asked: list[Any]) -> None:
    shown = alice.get("accounts/A1")
    assert shown.status_code == 200, shown.content
    told = shown.json()
    assert asked == [AskOutlook(account_id="A1")]
    assert (told["balance"], told["floating"], told["used_margin"]) == ("1000", "-9", "36.63333")
    assert told["margin_level_percent"] == "2642.66666667", "no longer than anybody reads"
    assert (told["stop_out_percent"], told["stop_out_mode"], told["margin_called"]) == ("50", "smart", False)
    (held,) = told["positions"]
    assert (held["quantity"], held["close_price"], held["floating"]) == ("0.1", None, None)
    assert held["next_swap"] == {"at": records.AT, "nights": 3, "amount": "-4.5"}
    closes = [{"position_id": "p", "quantity": "0.1", "price": "1"}]
    assert told["stop_out_at"] == [{"symbol": "EURUSD", "price": "1", "closes": closes}]
    away = alice.get("accounts/A1")
    assert (away.status_code, away.json()["code"], away["retry-after"]) == (503, "ENGINE_RECOVERING", "5")
    assert bob.get("accounts/A1").status_code == alice.get("accounts/A9").status_code == 404
    assert len(asked) == 2, "no desk is asked about another's account"


def test_nobody_is_told_of_an_account_while_no_desk_runs(alice: Api) -> None:
    assert alice.get("accounts/A1").status_code == 503


def test_t_18_nobody_asks_the_desk_of_his_account_as_often_as_to_keep_it_from_dealing(
    alice: Api, bob: Api, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outlooks, "rate", "2/min", raising=False)
    heard = [alice.get("accounts/A1").status_code for _ in range(3)]
    assert (heard, len(asked)) == ([200, 503, 429], 2)
    assert alice.get("accounts/A1/movements").status_code == 200, "what no engine answers goes on"
    assert bob.get("accounts/B1").status_code == 503, "and so do others"


def test_a_desk_of_an_older_version_is_said_to_be_being_updated(
    alice: Api, engine_lease: None, redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer lacks what this program needs, or it does not know the question and says nothing."""
    older = msgspec.to_builtins(Answer(command_id="c", outlook=NOW))
    del older["outlook"]["positions"][0]["nights"]

    def answer(self: Any, *, tenant: str, envelope: Any) -> None:
        redis_server.rpush(streams.reply_key(tenant=tenant, request_id=envelope.reply_to), codec.encode(older))

    monkeypatch.setattr(Engines, "tell", answer)
    away = alice.get("accounts/A1")
    assert (away.status_code, away.json()["code"], away["retry-after"]) == (503, "ENGINE_RECOVERING", "5")
    assert away.json()["message"] == asking.UPDATED
    assert alice.place().json()["message"] == asking.UPDATED, "nor is it known what became of an order"


def night(amount: str) -> ev.SwapCharged:
    return ev.SwapCharged(
        account_id="A1", position_id="A1:EURUSD", symbol="EURUSD", business_date=date(2030, 1, 2), kind="swap",
        nights=3, lots=D(1), per_lot=D(amount) / 3, price=None, conversion_rate=D(1), amount=D(amount), currency="USD",
        occurred_at_us=records.AT_US,
    )  # fmt: skip


@pytest.fixture
def history(alice: Api, as_tenant: Any) -> None:
    """A deposit, a fill that cost its commission, three nights, a profit, and somebody else's deposit."""
    with as_tenant("acorn"):
        records.client(name="carl", account_id="C1")
        records.write(
            records.credited(),
            records.accepted(),
            records.filled(commission=D("0.30")),
            records.credited(amount="7", account_id="C1"),
            night("-4.50"),
            records.filled(number=2, realised=D("12.25"), commission=D("0.30"), premium=D("1.00")),
        )
        projector.catch_up(tenant="acorn")


def test_inv_09_each_movement_says_what_it_was_and_what_it_left(alice: Api, history: None, as_tenant: Any) -> None:
    lines = alice.get("accounts/A1/movements").json()["results"]
    assert [(each["kind"], each["amount"], each["balance"], each["reference"]) for each in lines] == [
        ("premium", "-1", "1006.15", "O1-2"),
        ("commission", "-0.3", "1007.15", "O1-2"),
        ("trade", "12.25", "1007.45", "O1-2"),
        ("swap", "-4.5", "995.2", "A1:EURUSD 2030-01-02, nights: 3"),
        ("commission", "-0.3", "999.7", "O1-1"),
        ("payment", "1000", "1000", "deposit:1"),
    ]
    with as_tenant("acorn"):
        assert money_of(account_ids=["A1"])["A1"].balance == D(lines[0]["balance"])
    first = alice.get("accounts/A1/movements?limit=2").json()
    second = alice.get(f"accounts/A1/movements?limit=2&cursor={first['next_cursor']}").json()
    assert first["results"] + second["results"] == lines[:4], "a page goes on where the last one left off"


def test_a_statement_closes_with_what_it_opened_with_and_all_between(alice: Api, history: None) -> None:
    told = alice.get("accounts/A1/statement").json()
    moved = {"payment": "1000", "commission": "-0.6", "premium": "-1", "swap": "-4.5", "trade": "12.25"}
    assert (told["opening_balance"], told["closing_balance"], told["moved"]) == ("0", "1006.15", moved)
    assert (told["currency"], told["since"], told["until"]) == ("USD", None, None)
    at = records.AT.replace("Z", "%2B00:00")
    before = alice.get(f"accounts/A1/statement?until={at}").json()
    assert (before["opening_balance"], before["closing_balance"], before["moved"]) == ("0", "0", {})
    after = alice.get("accounts/A1/statement?since=2031-01-01T00:00:00Z").json()
    assert (after["opening_balance"], after["closing_balance"], after["moved"]) == ("1006.15", "1006.15", {})
    assert after["since"] == "2031-01-01T00:00:00.000000Z"


def test_an_end_before_its_beginning_is_refused(alice: Api, history: None) -> None:
    told = alice.get("accounts/A1/statement?since=2031-01-01T00:00:00Z&until=2030-12-31T00:00:00Z")
    assert (told.status_code, told.json()["field"], told.json()["code"]) == (400, "until", "before_since")
    same = alice.get("accounts/A1/statement?since=2031-01-01T00:00:00Z&until=2031-01-01T00:00:00Z").json()
    assert (same["opening_balance"], same["closing_balance"], same["moved"]) == ("1006.15", "1006.15", {})


def test_inv_20_a_clock_that_was_put_back_changes_no_balance(alice: Api, as_tenant: Any) -> None:
    """Of what is asked for by its time some were booked between others that were not."""
    with as_tenant("acorn"):
        for seq, (day, amount) in enumerate([(1, 5), (3, 10), (2, 20), (3, 40)], start=1):
            at = datetime(2030, 1, day, tzinfo=UTC)
            JournalEntry.objects.create(seq=seq, event_type="AccountCredited", reference=f"p{seq}", booked_at=at)
            moved = {"entry_id": seq, "currency": "USD"}
            Posting.objects.bulk_create(
                [
                    Posting(**moved, line=0, gl_account_id="bank", amount=amount),
                    Posting(**moved, line=1, gl_account_id="client_money", owner="A1", amount=-amount),
                ]
            )
    rows = alice.get("accounts/A1/movements?since=2030-01-03T00:00:00Z").json()["results"]
    assert [(row["reference"], row["balance"]) for row in rows] == [("p4", "75"), ("p2", "15")]


def test_margin_calls_and_what_followed_are_listed(alice: Api, as_tenant: Any) -> None:
    low = {"account_id": "A1", "equity": D(40), "used_margin": D(90), "level_percent": D("44.4")}
    with as_tenant("acorn"):
        records.write(
            records.credited(),
            ev.MarginCalled(**low),
            ev.StoppedOut(**low, positions=("A1:EURUSD",)),
            ev.MarginRestored(account_id="A1", level_percent=None),
        )
        projector.catch_up(tenant="acorn")
    rows = alice.get("accounts/A1/margin-events").json()["results"]
    assert [(row["kind"], row["equity"], row["margin_level_percent"], row["detail"]) for row in rows] == [
        ("restored", None, None, []),
        ("stop_out", "40", "44.4", ["A1:EURUSD"]),
        ("margin_call", "40", "44.4", []),
    ]
    assert alice.get("accounts/A1/margin-events?since=2031-01-01T00:00:00Z").json()["results"] == []


@pytest.mark.parametrize("what", ["movements", "statement", "margin-events"])
def test_another_clients_money_is_answered_like_none(bob: Api, alice: Api, history: None, what: str) -> None:
    assert bob.get(f"accounts/A1/{what}").status_code == bob.get(f"accounts/none/{what}").status_code == 404
    wrong = alice.get(f"accounts/A1/{what}?kind=swap")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "kind")
