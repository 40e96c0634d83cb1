"""Best execution by symbol and LP out of the log, by hand; and the report on a page, as CSV, XLSX and PDF."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.common.charts import Chart, svg
from apps.common.documents import FORMATS, Document, Section, as_csv, as_xlsx, printed
from apps.liquidity.models import VenueScorecard
from apps.reports import selectors, services
from apps.reports.selectors.quality import histogram, qualities
from apps.tenants.services import in_tenant
from piggy.core import commands as cmd
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import OrderTerms, Side
from tests.apps.dealing.desk_floor import Dealer
from tests.apps.reports.test_exporting import Logged, append
from tests.apps.reports.trading_days import rows

D = Decimal
MS_US = 1_000


def leg_of(floor: Logged, side: Side = Side.BUY) -> ChildOrderCreated:
    """One lot of a1's, which goes to the LP with the best price."""
    floor.now_us += 2_000 * MS_US
    floor.again("EURUSD")
    floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="a1", symbol="EURUSD", side=side, quantity=D(1))))
    (leg,) = floor.children()
    return leg


def answer(floor: Logged, leg: ChildOrderCreated, after_ms: int, price: str = "") -> None:
    """The LP fills at `price` so long after, or rejects."""
    floor.now_us += after_ms * MS_US
    if price:
        floor.fill(leg, price)
    else:
        floor.reject(leg)


@pytest.fixture
def dealt(acorn: Any, as_tenant: Any) -> Iterator[Logged]:
    """LP1 offers at 1.10011, LP2 at 1.10012, bids at 1.09999. A point better, as quoted, rejected and a point worse."""
    with as_tenant("acorn"):
        floor = Logged()
        answer(floor, leg_of(floor), 30, "1.10010")
        answer(floor, leg_of(floor), 50, "1.10011")
        answer(floor, leg_of(floor), 20)
        (second,) = floor.children()
        answer(floor, second, 90, "1.10012")
        answer(floor, leg_of(floor, Side.SELL), 40, "1.09997")
        busted = leg_of(floor)
        answer(floor, busted, 10, "1.10011")
        fill_id = f"X-{busted.cl_ord_id}-"
        floor.restate(len([row for row in floor.log if type(row.event).__name__ == "ChildOrderFilled"]) - 1, 0, 1)
        assert any(getattr(row.event, "fill_id", "").startswith(fill_id) for row in floor.log)
        card = {"venue": "LP1", "markouts": [{"after_ms": 1_000, "mean_bps": "0.125", "samples": 40}]}
        VenueScorecard.objects.create(venue="LP1", taken_at="2023-11-14T22:00Z", card=card)
        append(rows(floor))
        yield floor


def test_every_figure_of_an_lp_is_what_it_did(dealt: Logged, tmp_path: Path) -> None:
    """LP1: five legs, a reject, a bust that stands no more; lots at, better and worse than the price at arrival."""
    services.export(tenant="acorn", folder=tmp_path)
    with selectors.opened(folder=tmp_path, tenant="acorn") as log:
        day = log.last_date()
        first, second = qualities(log=log, tenant="acorn", since=day, until=day)
        counted = histogram(log=log)
    assert (first.symbol, first.venue, first.orders, first.fills) == ("EURUSD", "LP1", 5, 3)
    assert (first.asked, first.lots, first.fill_ratio, first.reject_rate) == (5, 3, 60, 20)
    assert (first.hold_p50_ms, first.hold_p95_ms) == (30, 50)
    assert (first.measured, first.p5_points, first.p50_points, first.p95_points) == (3, -1, 0, 2)
    dealt_value = D("1.10011") * 2 + D("1.09999")
    assert first.slippage_bps == D("0.00001") / dealt_value * 10_000
    assert first.improved_bps == D("0.00001") / dealt_value * 10_000
    assert [round(part or D(0), 2) for part in (first.at_or_better, first.better, first.worse)] == [
        D("66.67"), D("33.33"), D("33.33")
    ]  # fmt: skip
    assert (second.venue, second.orders, second.p50_points, second.at_or_better) == ("LP2", 1, 1, 0)
    assert sum(count for _, count in counted) == 4
    assert {name: count for name, count in counted if count} == {"−0.1 to 0": 1, "0": 1, "0 to 0.1": 1, "0.1 to 0.5": 1}


def test_the_report_is_a_page_and_three_kinds_of_file(
    dealt: Logged, redis_server: Any, settings: Any, tmp_path: Path
) -> None:
    settings.PIGGY_HOME = tmp_path
    dora = Dealer()
    days = "?since=2023-11-14&until=2023-11-16"
    page = dora.http.get(f"/desk/reports/best-execution.html{days}").content.decode()
    assert page.count("<svg") == 3 and "0.125 (40)" in page and "style=" not in page
    assert re.search(r'<td class="figure">66\.67</td>', page)
    table = list(csv.reader(io.StringIO(dora.http.get(f"/desk/reports/best-execution.csv{days}").content.decode())))
    assert table[0] == ["By LP"] and ["LP1", "5", "3", "75.00", "60.00", "20.00", "66.67", "0.030"] in table
    book = zipfile.ZipFile(io.BytesIO(dora.http.get(f"/desk/reports/best-execution.xlsx{days}").content))
    assert len([name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]) == 5
    for asked in ("?since=yesterday", "?since=2023-11-16&until=2023-11-14", "?since=1999-01-01&until=2023-11-14"):
        assert dora.http.get(f"/desk/reports/best-execution.html{asked}").status_code == 400
    assert Dealer(role="support", username="sam").http.get("/desk/reports/best-execution.html").status_code == 403
    for name in ("exposure", "venues", "dealers"):
        assert dora.http.get(f"/desk/reports/{name}.html").status_code == 200


def test_where_there_is_no_event_yet_the_page_says_so(
    acorn: Any, redis_server: Any, settings: Any, tmp_path: Path
) -> None:
    settings.PIGGY_HOME = tmp_path
    with in_tenant("acorn"):
        dora = Dealer()
    assert "no event was in its log" in dora.http.get("/desk/reports/best-execution.html").content.decode()


def test_bars_keep_their_side_of_zero_and_say_what_they_show() -> None:
    drawn = svg(chart=Chart("Made", ("A", "<B>"), (D(10), D(-5)), ("10", "-5"), signed=True))
    (right, left) = re.findall(r'<rect x="(\d+)" y="\d+" width="(\d+)"[^>]*fill="([^"]+)"', drawn)
    zero = int(re.findall(r'<line x1="(\d+)"', drawn)[0])
    assert int(right[0]) == zero and int(left[0]) + int(left[1]) == zero and int(right[1]) == 2 * int(left[1])
    assert right[2] != left[2] and 'aria-label="Made: A 10, &lt;B&gt; \u22125"' in drawn and "<B>" not in drawn
    assert svg(chart=Chart("None", (), (), ())) == ""
    flat = svg(chart=Chart("Flat", ("A",), (D(0),), ("0",), columns=True))
    assert 'height="0"' in flat


def test_a_sheet_has_numbers_where_a_number_says_exactly_the_same() -> None:
    rows = [("1234.50", "007", "12.3 %"), ("-0.1", "12", "x"), ("12345678901234567", "", "1")]
    book = as_xlsx(Document("T", (Section("One", ("Sum", "Id", "Word"), rows),)))
    sheet = zipfile.ZipFile(io.BytesIO(book)).read("xl/worksheets/sheet1.xml").decode()
    told = re.findall(r'<c r="([A-C][2-4])"(?: s="\d+")?( t="s")?>(?:<v>([^<]+)</v>)?', sheet)
    assert {cell: value for cell, is_text, value in told if not is_text} == {"A2": "1234.5", "A3": "-0.1", "B3": "12"}


def test_figures_stand_right_and_no_cell_is_a_formula() -> None:
    made = Section("One", ("Name", "Sum", "Word"), [("=1+1", "-1,000.5", "x"), ("b", "", "2")])
    assert made.columns == [("Name", False), ("Sum", True), ("Word", False)]
    assert b"'=1+1" in as_csv(Document("T", (made,)))
    minus = Section("One", ("Word",), [("-1+cmd",), ("-2.50",), ("+3",)])
    assert as_csv(Document("T", (minus,))).split() == [b"Word", b"'-1+cmd", b"-2.50", b"+3"]
    assert made.shown[0] == [("=1+1", False), ("\u22121,000.5", True), ("x", False)]
    large = Section("One", ("Sum", "Empty"), [("-3477623.00", ""), ("12.5", "")])
    assert large.shown == [
        [("\u22123\u2009477\u2009623.00", True), ("\u2013", True)],
        [("12.50", True), ("\u2013", True)],
    ], "point under point"
    prices = Section("One", ("Mark", "Bp (fills)"), [("1.08451", "-0.07 (35)"), ("5208.5", "")])
    assert prices.shown == [
        [("1.08451", True), ("\u22120.07 (35)", True)],
        [("5\u2009208.5", True), ("\u2013", True)],
    ], "each symbol's price has its own digits"
    page = printed(document=Document("<T>", (large,), house="Acorn & Sons"), at=datetime(2026, 1, 1))
    assert "&lt;T&gt;" in page
    assert "Acorn &amp; Sons" in page
    assert set(FORMATS) == {"csv", "xlsx", "pdf"}
