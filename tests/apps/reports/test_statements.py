"""Statements in the shapes that other brokers give them, and what none of them may do (INV-22)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from msgspec.structs import replace

from apps.reports import services
from apps.reports.models import Break, Reconciliation, StatementFormat
from piggy.core import events as ev
from piggy.core.commands import PlaceOrder
from piggy.core.expiry_events import VenueSettled
from piggy.core.orders import OrderTerms, Side
from tests.apps.reports.test_exporting import COMMANDS, Logged, more
from tests.apps.reports.test_reconciling import COLUMNS, HEAD, fills, floor, line, run, seen, statement, tina

__all__ = ["floor", "tina"]

DAY = "14.11.2023 23:13"
KINDS = HEAD + ";Order;What"
ORDER = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal("0.1"))


def kinds() -> None:
    StatementFormat.objects.update(columns=COLUMNS | {"order": "Order", "kind": "What"})


def told(*lines: str) -> bytes:
    return "\r\n".join([KINDS, *lines]).encode()


def of(fill: ev.ChildOrderFilled, what: str = "deal", **changes: str) -> str:
    return f"{line(fill, **changes)};{fill.cl_ord_id};{what}"


def refused(content: bytes, folder: Path, **asked: Any) -> str:
    with pytest.raises(services.UnableToReadStatement) as error:
        services.reconcile(
            tenant="acorn", venue="LP1", content=content, file_name="x.csv", folder=folder, by="tina",
            at=timezone.now(), **asked,
        )  # fmt: skip
    assert not Reconciliation.objects.exists() and not Break.objects.exists()
    return str(error.value)


def test_numbers_are_read_as_written_or_not_at_all(floor: Logged, tmp_path: Path) -> None:
    """A mark that parts no thousands is a decimal mark: left out, it would make another number of it."""
    one, *rest = fills(floor)
    others = [line(each) for each in rest]
    for amount in ("10.000", "10 000", "10\u00a0000,00", "10'000", "1e4", "+10000"):
        assert seen(run(statement(line(one, amount="@").replace("@", amount), *others), tmp_path)) == set(), amount
    for amount in (
        "0.100",
        "-0.100",
        "1.1000.0",
        "1.10010",
        ".100",
        "10000.000",
        "1,000,5",
        "1.000.00",
        "",
        "1_0",
        "١",
        "0x1",
        "-",
        "NaN",
    ):
        with pytest.raises(services.UnableToReadStatement) as error:
            run(statement(line(one, amount="@").replace("@", amount)), tmp_path)
        wanted = f"{amount!r} is no number, written as 1.000,5" if amount else "it is empty"
        assert str(error.value) == f"line 2, column Amount: {wanted}"
    with pytest.raises(services.UnableToReadStatement, match="more than 18 digits before the point"):
        run(statement(line(one, amount="9" * 19)), tmp_path)


def test_a_line_of_more_cells_than_there_are_columns_is_refused(floor: Logged, tmp_path: Path) -> None:
    one, *rest = fills(floor)
    assert refused(statement(line(one) + ";x"), tmp_path) == "line 2: it has 8 cells, the first line 7"
    assert seen(run(statement(line(one) + ";;", *map(line, rest)), tmp_path)) == set()


def test_a_mark_of_byte_order_is_no_part_of_a_column_whatever_the_encoding(floor: Logged, tmp_path: Path) -> None:
    content = statement(*map(line, fills(floor)))
    for encoding, marked in (
        ("utf-8", b"\xef\xbb\xbf" + content),
        ("utf-16-le", b"\xff\xfe" + content.decode().encode("utf-16-le")),
    ):
        StatementFormat.objects.update(encoding=encoding)
        assert seen(run(marked, tmp_path)) == set()


def test_a_file_of_tabs_is_read_by_a_format_that_staff_wrote(
    floor: Logged, tina: Client, as_tenant: Any, tmp_path: Path
) -> None:
    with as_tenant("acorn"):
        written = StatementFormat.objects.get()
    page = f"/admin/reports/statementformat/{written.pk}/change/"
    form = tina.get(page).context["adminform"].form
    asked = {name: form[name].value() for name in form.fields}
    tina.post(page, asked | {"delimiter": '"'})
    answer = tina.post(page, asked | {"delimiter": "\t"})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    with as_tenant("acorn"):
        assert StatementFormat.objects.get().delimiter == "\t"
        content = statement(*map(line, fills(floor))).replace(b";", b"\t")
        assert seen(run(content, tmp_path)) == set()


def test_a_sign_before_what_is_sold_says_no_more_than_the_side_and_the_side_where_there_is_no_column(
    floor: Logged, tmp_path: Path
) -> None:
    floor.deal("a1", "EURUSD", Side.SELL, 20)
    more(floor)
    *bought, sold = fills(floor)
    lines = [*map(line, bought), line(sold, side="V", amount="-20000")]
    assert seen(run(statement(*lines), tmp_path)) == set()
    with pytest.raises(services.UnableToReadStatement, match="'-10000' is not above zero"):
        run(statement(line(bought[0], amount="-10000")), tmp_path)
    StatementFormat.objects.update(columns={name: head for name, head in COLUMNS.items() if name != "side"})
    assert seen(run(statement(*lines), tmp_path)) == set()
    with pytest.raises(services.UnableToReadStatement, match="'0' is not above zero"):
        run(statement(line(bought[0], amount="0")), tmp_path)


def test_what_an_lp_lists_and_takes_back_in_one_file_is_no_execution(floor: Logged, tmp_path: Path) -> None:
    """Neither a duplicate nor missing here; where we still have it, we have what the LP has not, on whatever day."""
    kinds()
    one, *rest = fills(floor)
    others = [of(each) for each in rest]
    stranger = [of(one, id="S1"), of(one, "Cancelled", id="S1", time="15.11.2023 10:00")]
    assert seen(run(told(of(one), *others, *stranger), tmp_path)) == set()
    later = told(of(one, "BUST", time="16.11.2023 10:00"))
    assert seen(run(later, tmp_path)) == {("missing_there", one.fill_id)}
    floor.restate(0, 0, 1)
    more(floor)
    after = run(later, tmp_path)
    assert (seen(after), after.run.since, after.run.breaks_gone) == (set(), date(2023, 11, 16), 1)
    assert seen(run(told(*stranger[::-1]), tmp_path)) == {("missing_there", each.fill_id) for each in rest}


def test_a_file_ends_no_break_of_a_kind_that_it_says_nothing_of(floor: Logged, tmp_path: Path) -> None:
    """Deals come in one file, what is held in another: the deals of a day agree, and the position differs still."""
    kinds()
    deals = [of(fill) for fill in fills(floor)]
    held = [";EUR/USD;;1;;14.11.2023 23:59;;;position", ";USD;;5;;14.11.2023 23:59;;;balance"]
    first = ";USD;;0;;14.11.2023 00:00;;;balance"
    dear = of(fills(floor)[0], fee="9,99")
    broken = {("position", "position:EURUSD"), ("cash", "cash:USD"), ("fee", fills(floor)[0].fill_id)}
    assert seen(run(told(first, dear, *deals[1:], *held), tmp_path)) == broken
    feeless = [";".join([*text.split(";")[:6], "", *text.split(";")[7:]]) for text in deals]
    silent = run(told(*feeless), tmp_path)
    assert (silent.run.breaks_gone, Break.objects.exclude(state="closed").count()) == (0, 3)
    assert run(told(*deals), tmp_path).run.breaks_gone == 1
    assert set(Break.objects.exclude(state="closed").values_list("kind", flat=True)) == {"position", "cash"}


def test_one_end_of_a_balance_alone_is_compared_with_nothing_and_ends_no_break(floor: Logged, tmp_path: Path) -> None:
    """INV-22: the fees of the day moved the balance, but of how far the LP told no beginning."""
    kinds()
    deals, closing = [of(fill) for fill in fills(floor)], f";USD;;5000;;{DAY};;;balance"
    assert seen(run(told(*deals, closing), tmp_path)) == set()
    euros = [f";EUR;;{amount};;{DAY};;;balance" for amount in ("50", "49")]
    assert seen(run(told(*deals, closing, *euros), tmp_path)) == {("cash", "cash:EUR")}
    assert run(told(*deals, closing), tmp_path).run.breaks_gone == 0
    francs = 2 * [f";CHF;;7;;{DAY};;;balance"]
    other = run(told(*deals, closing, euros[0], *francs), tmp_path)
    assert (seen(other), other.run.breaks_gone) == (set(), 0), "another currency's two ends tell nothing of the euro's"


def test_a_file_of_one_line_many_thousand_times_is_refused_whole(floor: Logged, tmp_path: Path) -> None:
    deals = [line(fill) for fill in fills(floor)]
    again = 32_768 * (deals[0],)
    assert "says the same more than 32767 times" in refused(statement(*deals, *again), tmp_path)


def test_an_id_that_is_longer_than_a_break_has_room_for_is_told_by_its_beginning(floor: Logged, tmp_path: Path) -> None:
    """INV-22: an LP's file that leaves two such executions out is read, and read again it finds the same."""
    for end in ("1", "2"):
        floor.now_us += 2_000_000
        for symbol in ("EURUSD", "USDJPY"):
            floor.again(symbol)
        floor.do(PlaceOrder(terms=replace(ORDER, tag=end)))
        floor.fill(floor.children()[0], "1.10006", fill_id=f"{'L' * 180}{end}")
    more(floor)
    found = run(statement(*map(line, fills(floor)[:-2])), tmp_path)
    assert [(each.kind, each.reference, each.occurrence) for each in found.breaks] == [
        ("missing_there", "L" * 120, 1), ("missing_there", "L" * 120, 2),
    ]  # fmt: skip
    assert run(statement(*map(line, fills(floor)[:-2])), tmp_path).run.breaks_known == 2


def test_what_an_lp_dates_otherwise_is_ended_by_that_days_statement_and_by_no_other(
    floor: Logged, tmp_path: Path
) -> None:
    one, *rest = fills(floor)
    first, second = statement(*map(line, rest)), statement(line(one, time="15.11.2023 12:00"))
    missing, other_day = ("missing_there", one.fill_id), ("date", one.fill_id)
    assert (seen(run(first, tmp_path)), seen(run(second, tmp_path))) == ({missing}, {other_day})
    again = run(first, tmp_path)
    assert (seen(again), again.run.breaks_gone) == ({missing}, 0)
    whole = run(statement(*map(line, fills(floor))), tmp_path)
    assert (seen(whole), whole.run.breaks_gone) == (set(), 1)
    StatementFormat.objects.update(time_zone="Asia/Tokyo")
    healed = run(second, tmp_path)
    assert (seen(healed), healed.run.breaks_gone) == ({("missing_there", each.fill_id) for each in rest}, 1)


def test_days_are_those_that_are_given_each_by_itself_and_no_others(floor: Logged, tmp_path: Path) -> None:
    content = statement(*map(line, fills(floor)))
    day = date(2023, 11, 14)
    late = refused(content, tmp_path, since=date(2023, 11, 15))
    assert late == "its first day, 2023-11-15, is after its last, 2023-11-14"
    assert refused(content, tmp_path, since=date(2023, 11, 15), until=date.max).endswith("1970-01-02 and 2999-12-31")
    assert "1900" in refused(statement(line(fills(floor)[0], time="14.11.1900 00:00")), tmp_path)
    assert "2999-12-31" in refused(statement(line(fills(floor)[0], time="31.12.9999 00:00")), tmp_path)
    assert "there is no line" in refused(statement(), tmp_path, since=day)
    outside = "line 2: 2023-11-14 is not in 2023-11-15 to 2023-11-16"
    assert refused(content, tmp_path, since=date(2023, 11, 15), until=date(2023, 11, 16)) == outside
    wide = {"since": date(2023, 11, 1)}
    made = services.reconcile(
        tenant="acorn", venue="LP1", content=content, file_name="x", folder=tmp_path, by="t", at=timezone.now(), **wide
    )
    assert (made.run.since, made.run.until, made.breaks) == (date(2023, 11, 1), day, [])


def test_a_balance_of_no_currency_or_beyond_any_is_refused_by_its_line(floor: Logged, tmp_path: Path) -> None:
    kinds()
    for cells, says in (
        (f";{'X' * 60};;1;;{DAY};;;balance", "at most 10 characters"),
        (f";USD;;{'9' * 28};;{DAY};;;swap", "more than 18 digits before the point"),
    ):
        assert says in refused(told(of(fills(floor)[0]), cells), tmp_path)


def test_an_option_that_the_lp_settled_is_held_no_more(floor: Logged, tmp_path: Path) -> None:
    """INV-22: what we hold there is flat, and the cash of it came; the settlement itself is no line to look for."""
    kinds()
    deals = fills(floor)
    lots = sum(fill.quantity for fill in deals)
    fees = sum(round(fill.quantity * 100_000 * fill.price * 3 / 1_000_000, 2) for fill in deals)
    made = sum(fill.quantity * (Decimal("1.2") - fill.price) for fill in deals) * 100_000
    settled = VenueSettled(
        venue="LP1", symbol="EURUSD", side=Side.SELL, quantity=lots, price=Decimal("1.2"), realised=Decimal(0),
        currency="USD", occurred_at_us=floor.now_us,
    )  # fmt: skip
    last = floor.log[-1]
    floor.log.append(replace(last, seq=last.seq + 1, command_id=f"{COMMANDS}{last.seq + 1:012d}", event=settled))
    more(floor)
    cash = f"{round(made - fees, 2)}".replace(".", ",")
    stated = [f";USD;;0;;{DAY};;;balance", f";EUR/USD;;0;;{DAY};;;position", f";USD;;{cash};;{DAY};;;balance"]
    assert seen(run(told(*map(of, deals), *stated), tmp_path)) == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "rot13"),
        ("encoding", "hex"),
        ("encoding", "undefined"),
        ("cancel_words", []),
        ("columns", ["reference"]),
        ("columns", {"reference": "ExecID"}),
        ("columns", COLUMNS | {"colour": "Colour"}),
        ("columns", COLUMNS | {"side": 7}),
        ("time_zone", "Mars/Olympus"),
    ],
)
def test_a_format_by_which_no_file_can_be_read_is_refused(field: str, value: Any) -> None:
    written = StatementFormat(venue="LP1", **{field: value})
    with pytest.raises(ValidationError) as error:
        written.clean()
    assert set(error.value.message_dict) == {field}
