from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix.config import DIALECTS, Dialect, FillRule, SessionConfig
from piggy.adapters.fix.inbound import LEVELS_KEPT_EACH, MarketDataBook, UnknownSymbol, read_report
from piggy.adapters.fix.messages import SOH
from piggy.adapters.interface import ReportKind, SymbolMapping, UnableToReadReport
from piggy.core.commands import (
    RecordVenueAck,
    RecordVenueBust,
    RecordVenueCorrection,
    RecordVenueDone,
    RecordVenueDoubt,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.core.orders import Side

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "fix" / "venue_messages.json"


def config(*, dialect: Dialect = Dialect(), venue_symbol: str = "EURUSD") -> SessionConfig:
    mapping = SymbolMapping(symbol="EURUSD", venue_symbol=venue_symbol, units_per_lot=Decimal(100_000))
    return SessionConfig(
        tenant="acorn",
        venue="LP1",
        host="127.0.0.1",
        port=1,
        sender_comp_id="ACORN",
        target_comp_id="LP1",
        home=Path("unused"),
        symbols=(mapping,),
        dialect=dialect,
    )


def text(shown: str) -> str:
    return shown.replace("|", SOH)


def recorded(what: str) -> str:
    if not RECORDED.exists():
        pytest.skip("recorded messages (../shared/data/fix) are not here")
    return text(next(row["msg"] for row in json.loads(RECORDED.read_text()) if row["what"].startswith(what)))


def execution(**changed: str) -> str:
    values = {
        "8": "FIX.4.4", "9": "0", "35": "8", "34": "7", "49": "LP1", "52": "20261122-10:00:00.000", "56": "ACORN",
        "37": "O1", "11": "o1-LP1-1", "17": "E1", "150": "F", "39": "1", "55": "EURUSD", "54": "1", "38": "250000",
        "32": "100000", "31": "1.08512", "14": "100000", "151": "150000", "6": "1.08512", "60": "20261122-10:00:00.123",
        **{tag.removeprefix("t"): value for tag, value in changed.items()},
    }  # fmt: skip
    return text("|".join(f"{tag}={value}" for tag, value in values.items() if value) + "|10=000|")


def test_a_trade_becomes_a_fill_in_lots():
    report = read_report(text=execution(), config=config())
    assert report.kind is ReportKind.FILL
    assert report.command == RecordVenueFill(
        venue="LP1",
        cl_ord_id="o1-LP1-1",
        venue_order_id="O1",
        fill_id="E1",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=Decimal(1),
        price=Decimal("1.08512"),
        occurred_at_us=1795341600123000,
    )


def test_a_repeat_has_the_same_key_whatever_its_sequence_number_or_possdup():
    """INV-04: neither 43, 97 nor 34 makes a fill another one."""
    first = read_report(text=execution(), config=config())
    again = read_report(text=execution(t34="99", t43="Y", t97="Y", t52="20261122-11:00:00.000"), config=config())
    assert (first.key, first.command) == (again.key, again.command)


@pytest.mark.parametrize("kind", [{}, {"t150": "G", "t19": "E0"}])
def test_a_report_that_says_no_time_happened_when_it_was_sent_first(kind: dict[str, str]):
    """INV-04: sent again a day later it would be taken for another execution of an LP that uses its ids again."""
    first = read_report(text=execution(t60="", **kind), config=config())
    days_later = {"t43": "Y", "t52": "20261124-10:00:00.000", "t122": "20261122-10:00:00.000"}
    assert read_report(text=execution(t60="", **kind, **days_later), config=config()) == first


def test_a_bridge_that_repeats_one_exec_id_keeps_its_fills_apart():
    centroid = config(dialect=DIALECTS["centroid"])
    partial = read_report(text=execution(t150="1"), config=centroid)
    final = read_report(text=execution(t150="2", t14="250000"), config=centroid)
    assert partial.key != final.key


def test_a_duplicate_id_refused_by_the_lp_is_a_doubt_not_a_reject():
    report = read_report(text=execution(t150="8", t39="8", t103="6"), config=config())
    assert isinstance(report.command, RecordVenueDoubt)


def test_other_reports_become_their_commands():
    def command(**changed: str):
        return read_report(text=execution(**changed), config=config()).command

    assert isinstance(command(t150="0", t39="0", t14="0"), RecordVenueAck)
    assert isinstance(command(t150="8", t39="8", t14="0", t103="0", t58="no"), RecordVenueReject)
    done = command(t150="4", t39="4", t11="o1-LP1-1-C", t41="o1-LP1-1")
    assert isinstance(done, RecordVenueDone)
    assert (done.cl_ord_id, done.filled) == ("o1-LP1-1", Decimal(1))
    assert command(t150="A", t39="A") is None


@pytest.mark.parametrize(
    ("status", "more", "standing"),
    [
        *((status, {}, "working") for status in "01A5679DE"), ("2", {}, "filled"),
        *((status, {}, "ended") for status in "348BC"), ("8", {"t37": "NONE", "t103": "5"}, "unknown"),
    ],
)  # fmt: skip
def test_a_status_answer_says_how_the_order_stands(status: str, more: dict[str, str], standing: str):
    """One whose cancel is pending (6) lives: taken for ended, its lots were dealt elsewhere, and it may fill yet."""
    report = read_report(text=execution(t150="I", t39=status, **more), config=config())
    assert (report.kind, report.standing) == (ReportKind.STATUS, standing)


@pytest.mark.parametrize(
    "changed",
    [
        {"t32": "0"}, {"t32": "-1"}, {"t31": ""}, {"t31": "0"}, {"t31": "None"}, {"t17": ""}, {"t54": "9"},
        {"t55": "GBPUSD"}, {"t60": "yesterday"}, {"t35": "j"}, {"t32": ""},
        {"t32": "Infinity"}, {"t32": "1E999999"}, {"t14": "NaN"}, {"t150": "4", "t14": "NaN"},
        {"t150": "4", "t14": "Infinity"}, {"t150": "I", "t14": "all"}, {"t31": "NaN"},
        {"t150": "Z"}, {"t150": "34"}, {"t150": "I", "t39": "Z"}, {"t150": "I", "t39": ""},
    ],
)  # fmt: skip
def test_what_no_lp_may_say_is_refused_for_parking(changed: dict[str, str]):
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(**changed), config=config())


def test_zero_padded_numbers_are_numbers():
    report = read_report(text=execution(t31="00001.503850"), config=config())
    assert report.command.price == Decimal("1.503850")


def test_ctrader_fills_carry_neither_exec_id_nor_last_price():
    ctrader = config(dialect=DIALECTS["ctrader"], venue_symbol="1")
    report = read_report(text=recorded("ExecReport Fill"), config=ctrader)
    assert report.command.fill_id == "101/10000"
    assert (report.command.quantity, report.command.price) == (Decimal("0.1"), Decimal("1.0674"))
    assert ctrader.dialect.fill_rule is FillRule.ORDER_AND_CUMULATIVE


def test_ctrader_depth_is_sorted_and_deleted_by_entry_id():
    book = MarketDataBook(config=config(dialect=DIALECTS["ctrader"], venue_symbol="1"))
    assert book.apply(recorded("depth snapshot")) == {"EURUSD"}
    quote = book.quote(symbol="EURUSD", received_at_us=1)
    assert [level.price for level in quote.asks[:2]] == [Decimal("1.11132"), Decimal("1.11133")]
    assert quote.bids[0].price > quote.bids[-1].price
    book.apply(recorded("incremental, New + Delete"))
    assert Decimal("1.06898") in [level.price for level in book.quote(symbol="EURUSD", received_at_us=1).bids]


def test_a_delete_takes_away_what_its_entry_id_named():
    book = MarketDataBook(config=config())
    head = "8=FIX.4.4|9=0|35={}|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|"
    book.apply(
        text(head.format("W") + "55=EURUSD|268=2|269=0|278=b|270=1.1|271=100000|269=1|278=a|270=1.2|271=50000|10=0|")
    )
    book.apply(text(head.format("X") + "268=1|279=2|278=b|55=EURUSD|10=0|"))
    quote = book.quote(symbol="EURUSD", received_at_us=5)
    assert quote.bids == ()
    assert (quote.asks[0].price, quote.asks[0].size) == (Decimal("1.2"), Decimal("0.5"))


@pytest.mark.parametrize("withdrawn", ["271=0", "270=0", "276=B"])
def test_a_withdrawn_quote_leaves_the_book(withdrawn: str):
    book = MarketDataBook(config=config())
    head = "8=FIX.4.4|9=0|35=X|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|268=1|"
    book.apply(text(head + "279=0|269=0|278=b|55=EURUSD|270=1.1|271=100000|10=0|"))
    book.apply(text(head + f"279=1|269=0|278=b|55=EURUSD|{withdrawn}|10=0|"))
    assert book.quote(symbol="EURUSD", received_at_us=5).bids == ()


def test_prices_long_gone_are_not_kept_for_ever():
    """A session of ten symbols once grew by nine megabytes within the hour, and a worker has many."""
    book = MarketDataBook(config=config())
    head = "8=FIX.4.4|9=0|35=X|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|268=1|"
    for price in range(3 * LEVELS_KEPT_EACH):
        book.apply(text(head + f"279=0|269=0|278=b|55=EURUSD|270=1.{price:05}|271=100000|10=0|"))
        assert book.quote(symbol="EURUSD", received_at_us=5).bids[0].price == Decimal(f"1.{price:05}")
        assert len(book._levels) <= LEVELS_KEPT_EACH


def test_market_data_that_makes_no_sense_is_refused_for_parking():
    book = MarketDataBook(config=config())
    with pytest.raises(UnableToReadReport):
        book.apply(text("8=FIX.4.4|9=0|35=W|34=2|52=20261122-10:00:00.000|55=NOBODY|268=0|10=0|"))


def test_lots_of_a_report_carry_no_zeros_that_dividing_left():
    report = read_report(text=execution(), config=config())
    assert str(report.command.quantity) == "1"
    assert str(read_report(text=execution(t32="2000000", t14="2000000"), config=config()).command.quantity) == "20"


def test_a_trade_cancel_is_a_bust_of_the_execution_it_names():
    """F-15: 150=H with ExecRefID."""
    report = read_report(text=execution(t150="H", t17="E2", t19="E1", t14="0", t58="error"), config=config())
    assert (report.kind, report.key, report.cumulative) == (ReportKind.BUST, "H:E2", Decimal(0))
    assert report.command == RecordVenueBust(
        venue="LP1",
        cl_ord_id="o1-LP1-1",
        report_id="E2",
        ref_fill_id="E1",
        text="error",
        occurred_at_us=1795341600123000,
    )


def test_a_trade_correct_carries_the_numbers_that_stand_instead():
    """F-15: 150=G with ExecRefID."""
    report = read_report(text=execution(t150="G", t17="E2", t19="E1", t31="1.08500"), config=config())
    command = report.command
    assert isinstance(command, RecordVenueCorrection) and report.kind is ReportKind.CORRECTION
    assert (command.report_id, command.ref_fill_id, command.side) == ("E2", "E1", Side.BUY)
    assert (command.quantity, command.price, report.cumulative) == (Decimal(1), Decimal("1.08500"), Decimal(1))


def test_a_bust_under_the_fills_own_id_is_not_taken_for_a_repeat_of_the_fill():
    report = read_report(text=execution(t150="H", t17="E1", t19="E1"), config=config())
    assert report.command.report_id == "E1/H"


@pytest.mark.parametrize("changed", [{"t19": ""}, {"t14": ""}, {"t17": ""}, {"t150": "G", "t32": "0"}])
def test_a_bust_or_correction_that_names_no_fill_is_refused_for_parking(changed: dict[str, str]):
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(**({"t150": "H", "t17": "E2", "t19": "E1"} | changed)), config=config())


def test_a_bust_of_an_lp_whose_ids_name_no_fill_is_refused_for_parking():
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(t150="H", t17="E2", t19="E1"), config=config(dialect=DIALECTS["centroid"]))


def test_a_mass_quote_sets_both_sides_and_withdraws_by_its_entry():
    book = MarketDataBook(config=config())
    head = "8=FIX.4.4|9=0|35=i|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|117=q1|296=1|302=s|304=1|295=1|"
    assert book.apply(text(head + "299=e|55=EURUSD|132=1.1|133=1.2|134=100000|135=50000|10=0|")) == {"EURUSD"}
    quote = book.quote(symbol="EURUSD", received_at_us=5)
    assert [(each.price, each.size) for each in (*quote.bids, *quote.asks)] == [
        (Decimal("1.1"), Decimal(1)),
        (Decimal("1.2"), Decimal("0.5")),
    ]
    book.apply(text(head + "299=e|132=1.11|10=0|"))
    book.apply(text(head + "299=e|133=0|10=0|"))
    quote = book.quote(symbol="EURUSD", received_at_us=5)
    assert ([each.price for each in quote.bids], quote.asks) == ([Decimal("1.11")], ())
    with pytest.raises(UnableToReadReport):
        book.apply(text(head + "299=f|132=1|10=0|"))
    with pytest.raises(UnableToReadReport):
        book.apply(text("8=FIX.4.4|9=0|35=i|34=2|52=20261122-10:00:00.000|117=q|10=0|"))


def test_reports_of_a_changed_order_are_of_the_one_order_whatever_id_they_name() -> None:
    replaced = read_report(
        text=execution(t150="5", t39="0", t11="o1-LP1-1-R1", t41="o1-LP1-1", t32=""), config=config()
    )
    assert (replaced.kind, replaced.cl_ord_id, replaced.standing) == (ReportKind.IGNORED, "o1-LP1-1", "replaced")
    fill = read_report(text=execution(t11="o1-LP1-1-R1"), config=config())
    assert (fill.cl_ord_id, fill.command.cl_ord_id) == ("o1-LP1-1", "o1-LP1-1")
    ended = read_report(text=execution(t150="4", t39="4", t11="o1-LP1-1-R1-C", t41="o1-LP1-1-R1"), config=config())
    assert (ended.kind, ended.cl_ord_id) == (ReportKind.DONE, "o1-LP1-1")
    refused = {"t35": "9", "t11": "o1-LP1-1-R2", "t41": "o1-LP1-1-R1", "t150": "", "t17": "", "t58": "too late"}
    kept = read_report(text=execution(**refused, t434="2"), config=config())
    assert (kept.kind, kept.standing, kept.command) == (ReportKind.IGNORED, "replace_refused", None)
    uncancelled = read_report(text=execution(**refused, t434="1"), config=config())
    assert (uncancelled.kind, uncancelled.cl_ord_id) == (ReportKind.UNCANCEL, "o1-LP1-1")


@pytest.mark.parametrize("cancel", ["o1-LP1-1-C", "o1-LP1-1-C2", "o1-LP1-1-R1-C"])
def test_a_fill_that_names_the_cancel_under_way_is_one_of_its_order(cancel: str) -> None:
    """Some LPs put the newest request's id in 11 while it is pending; the fill is the order's all the same."""
    fill = read_report(text=execution(t11=cancel, t41="o1-LP1-1", t39="6"), config=config())
    assert (fill.kind, fill.cl_ord_id, fill.command.cl_ord_id) == (ReportKind.FILL, "o1-LP1-1", "o1-LP1-1")
    ended = read_report(text=execution(t150="4", t39="4", t11=cancel), config=config())
    assert (ended.kind, ended.cl_ord_id) == (ReportKind.DONE, "o1-LP1-1"), "though it names no order at all"


@pytest.mark.parametrize(("reason", "kind"), [("3", "ignored"), ("6", "ignored"), ("0", "uncancel"), ("", "uncancel")])
def test_a_cancel_that_is_refused_because_one_is_under_way_is_no_refusal(reason: str, kind: str) -> None:
    """Taken for one, the order would be worked on elsewhere as soon as the first request has ended it."""
    refused = {"t35": "9", "t11": "o1-LP1-1-C", "t41": "o1-LP1-1", "t150": "", "t17": "", "t434": "1", "t102": reason}
    report = read_report(text=execution(**refused), config=config())
    assert (report.kind, report.cl_ord_id, report.command is None) == (kind, "o1-LP1-1", kind == "ignored")


@pytest.mark.parametrize("passing", "5679ABDEJKL")
def test_what_passes_while_an_order_lives_changes_nothing(passing: str) -> None:
    report = read_report(text=execution(t150=passing, t39="6"), config=config())
    assert (report.kind, report.command) == (ReportKind.IGNORED, None)


def test_a_reject_of_an_order_that_dealt_ends_it_with_what_it_dealt() -> None:
    """Else a fill that is on its way would come to a leg that is over, with its lots dealt elsewhere."""
    report = read_report(text=execution(t150="8", t39="8", t14="100000", t58="halted"), config=config())
    assert isinstance(report.command, RecordVenueDone)
    assert (report.kind, report.command.filled, report.command.text) == (ReportKind.DONE, Decimal(1), "halted")


def test_every_answer_to_a_status_request_counts_though_its_exec_id_is_always_0() -> None:
    """FIX 4.4 says 17=0 for 150=I; the same answer sent again is a repeat all the same."""
    first = read_report(text=execution(t150="I", t17="0", t34="7"), config=config())
    second = read_report(text=execution(t150="I", t17="0", t34="8"), config=config())
    again = execution(t150="I", t17="0", t34="8", t43="Y", t52="20261122-11:00:00.000", t122="20261122-10:00:00.000")
    assert first.key != second.key == read_report(text=again, config=config()).key


def test_an_unmapped_symbol_is_told_from_all_else_that_cannot_be_read() -> None:
    with pytest.raises(UnknownSymbol):
        read_report(text=execution(t55="XXXYYY"), config=config())
    with pytest.raises(UnableToReadReport) as found:
        read_report(text=execution(t31="0"), config=config())
    assert not isinstance(found.value, UnknownSymbol)
