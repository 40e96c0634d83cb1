"""Of which order a report is, how it ends it, and which quote of a book an entry is: nothing is read past its word."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.adapters.fix.inbound import MarketDataBook, read_report
from piggy.adapters.interface import ReportKind, UnableToReadReport
from piggy.core.commands import RecordVenueDone
from tests.adapters.fix.test_inbound import config, execution, text

HEAD = "8=FIX.4.4|9=0|35={}|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|"
AT_US = 1_795_341_600_000_000


def test_an_end_under_an_id_of_the_lps_own_is_of_the_order_that_it_names() -> None:
    """Some answer a cancel under an id that they made: believed, the order would work on for ever."""
    ended = read_report(text=execution(t150="4", t39="4", t11="LP-9", t41="o1-LP1-1"), config=config())
    assert (ended.kind, ended.cl_ord_id) == (ReportKind.DONE, "o1-LP1-1")


def test_a_fill_is_of_its_own_order_whatever_it_names_beside() -> None:
    """INV-04: 41 is of requests. Some LPs leave in it what the connection's last one was about."""
    fill = read_report(text=execution(t41="o9-LP1-1"), config=config())
    assert (fill.kind, fill.cl_ord_id) == (ReportKind.FILL, "o1-LP1-1")


@pytest.mark.parametrize("reason", ["", "6"])
def test_what_ended_with_nothing_dealt_was_neither_refused_nor_sent_twice(reason: str) -> None:
    """A refusal counts against an LP, and a doubt keeps it closed; 103 speaks of a refusal only."""
    ended = read_report(text=execution(t150="4", t39="4", t14="0", t103=reason), config=config())
    assert ended.kind is ReportKind.DONE and isinstance(ended.command, RecordVenueDone)
    assert ended.command.filled == 0


def test_only_what_was_replaced_says_so() -> None:
    pending = read_report(text=execution(t150="E", t39="E"), config=config())
    assert (pending.kind, pending.standing) == (ReportKind.IGNORED, "")


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        ({"t39": "8", "t103": "5", "t37": "O1"}, "unknown"), ({"t39": "8", "t37": "NONE"}, "unknown"),
        ({"t39": "8", "t37": "0"}, "unknown"), ({"t39": "8", "t37": "O1"}, "ended"),
        ({"t39": "4", "t37": "NONE"}, "ended"), ({"t39": "0", "t37": "NONE"}, "working"),
        ({"t39": "4", "t103": "5"}, "ended"),
    ],
)  # fmt: skip
def test_only_a_refusal_to_answer_is_of_an_order_that_is_not_there(said: dict[str, str], standing: str) -> None:
    """INV-03: an order that works without an OrderID, taken for one that is not there, was dealt elsewhere too."""
    assert read_report(text=execution(t150="I", t14="0", **said), config=config()).standing == standing


def test_an_answer_about_nothing_dealt_need_not_name_the_symbol() -> None:
    answer = execution(t150="I", t39="8", t103="5", t14="0", t55="")
    assert read_report(text=answer, config=config()).standing == "unknown"
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(t150="I", t55=""), config=config())


@pytest.mark.parametrize(
    ("exec_type", "kind"), [("0", ReportKind.ACK), ("4", ReportKind.DONE), ("8", ReportKind.REJECT)]
)
def test_an_exec_id_of_0_makes_an_answer_only_of_what_looks_like_a_fill(exec_type: str, kind: ReportKind) -> None:
    """Bridges count no execution where there is none; taken for an answer, an order's end would be asked for again."""
    said = execution(t150=exec_type, t39=exec_type, t14="0", t17="0")
    assert read_report(text=said, config=config()).kind is kind


def test_a_time_of_first_sending_counts_only_where_it_is_sent_again() -> None:
    """Some LPs fill 122 always, with when their core said it; 43 alone says that a message is a repeat."""
    said = {"t52": "20261122-10:00:05.000", "t122": "20261122-10:00:00.000"}
    happened = read_report(text=execution(t60="20261122-10:00:05.000", **said), config=config()).command
    assert happened is not None and happened.occurred_at_us == AT_US + 5_000_000
    unsaid = read_report(text=execution(t60="", **said), config=config()).command
    assert unsaid is not None and unsaid.occurred_at_us == AT_US + 5_000_000
    again = read_report(text=execution(t60="", t43="Y", t52="20261122-10:00:05.000"), config=config()).command
    assert again is not None and again.occurred_at_us == AT_US + 5_000_000, "a repeat that leaves out when it was first"


def test_a_time_in_digits_of_another_script_is_none() -> None:
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(t60="２０２６1122-10:00:00"), config=config())


@pytest.mark.parametrize(
    ("number", "is_read"), [("1" + "0" * 23, True), ("1" + "0" * 24, True), ("1" + "0" * 25, False)]
)
def test_a_number_of_units_ends_where_no_market_is_so_large(number: str, is_read: bool) -> None:
    if is_read:
        assert read_report(text=execution(t14=number), config=config()).cumulative == Decimal(number) / 100_000
        return
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(t14=number), config=config())


@pytest.mark.parametrize("tag", ["31", "32", "14"])
def test_a_number_of_endless_digits_is_none(tag: str) -> None:
    """Of a size that a market has, and as long as the LP likes: all who keep, add and send it would carry that."""
    with pytest.raises(UnableToReadReport, match="no price and no number"):
        read_report(text=execution(**{f"t{tag}": "1." + "1" * 5_000}), config=config())


def shown(book: MarketDataBook) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
    quote = book.quote(symbol="EURUSD", received_at_us=5)
    bids, asks = ([(each.price, each.size) for each in side] for side in (quote.bids, quote.asks))
    return bids, asks


def test_a_new_price_of_a_mass_quote_is_for_the_size_that_was_said_before() -> None:
    """35=i leaves out what did not change; what spot deals by is another size."""
    book = MarketDataBook(config=config())
    head = HEAD.format("i") + "117=q1|296=1|302=s|304=1|295=1|"
    book.apply(text(head + "299=e|55=EURUSD|132=1.1|133=1.2|134=100000|135=50000|10=0|"))
    book.apply(text(head + "299=e|132=1.11|133=1.21|10=0|"))
    assert shown(book) == ([(Decimal("1.11"), Decimal(1))], [(Decimal("1.21"), Decimal("0.5"))])
    assert book.quote(symbol="EURUSD", received_at_us=5).venue_at_us == AT_US
    book.apply(text(head + "299=e|132=1.11|134=0|10=0|"))
    assert shown(book)[0] == [], "a size of 0 withdraws the side"


def test_a_snapshot_shows_only_what_has_a_price_and_may_be_hit() -> None:
    book = MarketDataBook(config=config())
    told = "268=4|269=0|271=100000|269=0|270=1.1|276=B|269=0|270=1.2|271=0|269=2|270=1.3|271=100000|"
    assert book.apply(text(HEAD.format("W") + "55=EURUSD|" + told + "10=0|")) == {"EURUSD"}
    assert shown(book) == ([], [])
    book.apply(text(HEAD.format("W") + "55=EURUSD|268=1|269=0|270=1.1|271=100000|10=0|"))
    assert shown(book)[0] == [(Decimal("1.1"), Decimal(1))]
    book.apply(text(HEAD.format("W") + "55=EURUSD|268=0|10=0|"))
    assert shown(book) == ([], []), "an LP that has no price says so in an empty snapshot"


def test_a_quote_is_as_old_as_its_lp_says_where_it_says_it_whole() -> None:
    book = MarketDataBook(config=config())
    for said, at_us in (
        ("272=20261122|273=09:59:59.000|", AT_US - 1_000_000),
        ("273=09:59:58|", AT_US),
        ("", AT_US),
        ("272=20261122|", AT_US),
    ):
        book.apply(text(HEAD.format("W") + f"55=EURUSD|268=1|269=0|270=1.1|271=100000|{said}10=0|"))
        assert book.quote(symbol="EURUSD", received_at_us=5).venue_at_us == at_us


def test_once_a_session_ended_nothing_of_its_quotes_is_known() -> None:
    book = MarketDataBook(config=config())
    head = HEAD.format("i") + "117=q1|296=1|302=s|304=1|295=1|"
    book.apply(text(head + "299=e|55=EURUSD|132=1.1|134=100000|10=0|"))
    book.clear()
    assert shown(book) == ([], [])
    with pytest.raises(UnableToReadReport):
        book.apply(text(head + "299=e|132=1.1|10=0|"))
