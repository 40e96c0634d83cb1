"""Panels read from the tables: exposure by owner and currency, books, the journal, the file of an order."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import pytest
import redis

from apps.accounts.models import Account, Group
from apps.dealing.api.actions import ACTIONS
from apps.dealing.selectors import seats
from apps.dealing.urls import urlpatterns
from apps.instruments import services as instruments
from apps.risk.models import GroupLimits
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.messaging import streams
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer, symbol

QUOTE = {"symbol": "EURUSD", "bid": "1.10000", "ask": "1.10020"}
EXPOSURE = {
    "symbol": "EURUSD",
    "base": "EUR",
    "currency": "USD",
    "contract_size": "100000",
    "client_long": "3.00",
    "client_short": "2.00",
    "client_net": "1.00",
    "a_net": "0.40",
    "b_net": "0.60",
    "venue_net": "0.40",
    "uncovered": "0.60",
}


def told(server: Any, panel: str, rows: dict[str, Any]) -> None:
    frame = {"panel": panel, "seq": 1, "snapshot": True, "at_us": 0, "rows": rows}
    server.set(streams.desk_snapshot_key(tenant="acorn", panel=panel), msgspec.json.encode(frame))


@pytest.fixture
def dora(acorn: Any, redis_server: Any) -> Iterator[Dealer]:
    with in_tenant("acorn"):
        records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
    told(redis_server, "quotes", {"EURUSD": QUOTE})
    told(redis_server, "exposure", {"EURUSD": EXPOSURE})
    return Dealer()


def rows(dealer: Dealer, name: str) -> list[dict[str, Any]]:
    answer = dealer.http.get(f"/desk/facts/{name}")
    assert answer.status_code == 200, answer.content
    return list(answer.json())


def test_a_long_pair_is_long_its_base_and_short_its_quote(dora: Dealer) -> None:
    found = {row["key"]: row for row in rows(dora, "exposure-currency")}
    assert (found["EUR"]["client"], found["EUR"]["uncovered"]) == ("100000.00", "60000.00")
    assert (found["USD"]["client"], found["USD"]["b"]) == ("-110010.00", "-66006.00")
    assert found["EUR"]["usd"] == "66006.00"
    assert [found["EUR"][side] for side in ("long", "short")] == ["300000.00", "200000.00"]
    assert [found["USD"][side] for side in ("long", "short")] == ["220020.00", "330030.00"]


@pytest.mark.parametrize(("what", "key"), [("group", "b-book"), ("account", "A1")])
def test_positions_are_summed_by_who_owns_them_at_the_live_mid(dora: Dealer, what: str, key: str) -> None:
    (row,) = rows(dora, f"exposure-{what}")
    with in_tenant("acorn"):
        from apps.trading.models import Position

        held = Position.objects.get()
    worth = held.quantity * 100_000 * Decimal("1.1001")
    assert (row["key"], Decimal(row["long"]), row["positions"]) == (key, worth, 1)
    assert Decimal(row["a"]) + Decimal(row["b"]) + Decimal(row["cross"]) == worth
    assert (row["limit_percent"] is not None) == (what == "account")


def test_an_account_in_another_currency_uses_its_limit_up_by_what_both_are_worth(
    dora: Dealer, redis_server: Any
) -> None:
    """P-19: the limit is in the account's currency, what it holds is shown in USD."""
    with in_tenant("acorn"):
        GroupLimits.objects.create(group=Group.objects.get(), exposure_account_max=Decimal(200_000))
        Account.objects.update(currency="EUR")
    (row,) = rows(dora, "exposure-account")
    assert (row["gross"], row["limit"], row["limit_percent"]) == ("110010.00", "220020.00", "50.0")
    told(redis_server, "quotes", {"EURUSD": QUOTE})
    with in_tenant("acorn"):
        Account.objects.update(currency="CHF")
    (row,) = rows(dora, "exposure-account")
    assert (row["limit"], row["limit_percent"]) == (None, None), "nobody says what a franc is worth"


@pytest.mark.parametrize("address", ["snapshot/quotes", "facts/books", "facts/exposure-currency", "reports/venues.csv"])
def test_f_03_while_redis_is_away_the_desk_says_so_and_when_to_ask_again(
    dora: Dealer, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """F-03."""
    monkeypatch.setattr(seats, "_redis", redis.Redis(port=1, socket_connect_timeout=1))
    dora.http.raise_request_exception = False
    answer = dora.http.get(f"/desk/{address}")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "desk_away", "1")


def test_what_nobody_quotes_is_named_and_counted_nowhere(dora: Dealer, redis_server: Any) -> None:
    told(redis_server, "quotes", {})
    (row,) = rows(dora, "exposure-account")
    assert (row["unpriced"], row["positions"], row["gross"]) == (["EURUSD"], 1, "0.00")
    assert {each["kind"] for each in rows(dora, "books")} == {"today"}, "no open profit without a price"


def test_each_book_says_what_it_earned_and_from_what(dora: Dealer) -> None:
    found = rows(dora, "books")
    assert {row["kind"] for row in found} <= {"today", "open"}
    for row in found:
        if row["kind"] == "today":
            earned = Decimal(row["commission"]) + (
                -Decimal(row["realised"]) if row["book"] == "B" else Decimal(row["markup"])
            )
            assert Decimal(row["house"]) == earned


def test_the_journal_says_what_became_of_each_action(dora: Dealer) -> None:
    dora.act("change-routing", group="b-book", book_mode="A", minutes=5)
    (row,) = rows(dora, "journal")
    assert (row["kind"], row["by"], row["subject"], row["outcome"]) == (
        "change-routing",
        "dora",
        "group:b-book",
        "done",
    )
    (change,) = rows(dora, "changes")
    assert (change["state"], change["before"]["book_mode"], change["after"]["book_mode"]) == ("live", "B", "A")


def test_the_file_of_an_order_holds_every_check_and_fill(dora: Dealer) -> None:
    file = dora.http.get("/desk/orders/O1").json()
    assert file["order"]["order_id"] == "O1"
    assert file["order"]["verdict"]["checks"]
    assert len(file["fills"]) == 1
    assert file["actions"] == []
    assert dora.http.get("/desk/orders/O9").status_code == 404
    receipt = dora.http.get("/desk/orders/O1/receipt?save")
    assert receipt.json()["execution"]["fills"][0]["fill_id"] == "O1-1"
    assert receipt["Content-Disposition"] == 'attachment; filename="receipt-O1.json"'
    assert dora.http.get("/desk/orders/O9/receipt").status_code == 404


# What stands in the addresses of the desk for their parts; the front door is everybody's.
PARTS = {"panel": ["quotes"], "name": ["books", "exposure"], "order_id": ["O1"], "kind": ["cover", "html", "csv"]}


def addresses() -> list[str]:
    """Every address of the desk, each of its parts by turns."""
    routes = [str(each.pattern) for each in urlpatterns if each.name != "welcome"]
    found = []
    for route in routes:
        names = re.findall(r"<\w+:(\w+)>", route)
        plain = re.sub(r"<\w+:(\w+)>", r"{\1}", route)
        for parts in product(*(PARTS[name] for name in names)):
            found.append(f"/{plain.format(**dict(zip(names, parts, strict=True)))}")
    return found


@pytest.mark.parametrize("role", ["support", "auditor"])
def test_nobody_else_reads_or_does_anything_at_any_address_of_the_desk(
    acorn: Any, redis_server: Any, role: str
) -> None:
    nosy = Dealer(role=role, username="sam")
    for address in addresses():
        for answer in (nosy.http.get(address), nosy.http.post(address), nosy.http.put(address)):
            assert answer.status_code in (403, 405), (address, answer.status_code)
    nosy.http.cookies.clear()
    for address in addresses():
        answer = nosy.http.get(address)
        assert answer.status_code in (403, 405) or answer.url.startswith("/admin/login/"), address
    assert Dealer().http.get("/desk/facts/secrets").status_code == 404


@pytest.mark.parametrize("role", ["dealer", "risk", "watcher"])
def test_whose_button_it_is_may_press_it_and_nobody_else(acorn: Any, redis_server: Any, role: str) -> None:
    someone = Dealer(role=role, username="someone")
    shown = re.search(r'id="remembered" type="application/json">(.*?)</script>', someone.http.get("/desk/").text)
    assert shown
    may = set(msgspec.json.decode(shown[1])["may"])
    assert {kind for kind in ACTIONS if someone.act(kind, reason="").status_code != 403} == may
    assert bool(may) == (role != "watcher")


@pytest.mark.parametrize("name", ["exposure", "accounts", "venues", "books", "dealers"])
def test_every_report_comes_as_csv_and_xlsx(dora: Dealer, name: str) -> None:
    table = dora.http.get(f"/desk/reports/{name}.csv")
    assert table.status_code == 200
    assert table["Content-Disposition"].startswith(f'attachment; filename="acorn-{name}-')
    book = dora.http.get(f"/desk/reports/{name}.xlsx")
    assert zipfile.ZipFile(io.BytesIO(book.content)).testzip() is None
    assert dora.http.get(f"/desk/reports/{name}.doc").status_code == 404


@pytest.mark.parametrize(
    "days", ["until=0001-01-03", "until=9999-12-31", "since=x", "since=2026-11-20&until=2026-11-01"]
)
def test_days_that_are_none_are_said(dora: Dealer, days: str) -> None:
    assert dora.http.get(f"/desk/reports/best-execution.html?{days}").status_code == 400


def test_no_cell_of_a_report_is_a_formula(dora: Dealer) -> None:
    dora.act("change-routing", reason="=1+1", group="b-book", book_mode="A", minutes=5)
    rows = list(csv.reader(io.StringIO(dora.http.get("/desk/reports/dealers.csv").content.decode())))
    assert rows[0] == ["At (UTC)", "Who", "What", "Of", "Why", "Outcome"]
    assert rows[1][4] == "'=1+1"


def test_a_report_is_printed_where_pango_is_there(dora: Dealer) -> None:
    try:
        import weasyprint  # noqa: F401
    except OSError:
        pytest.skip("Pango is not on this machine")
    answer = dora.http.get("/desk/reports/exposure.pdf")
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
