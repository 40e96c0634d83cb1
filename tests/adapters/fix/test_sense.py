"""A report that contradicts itself, or says too little to tell it apart, is parked whole and settles nothing (2.c)."""

from __future__ import annotations

import pytest

from piggy.adapters.fix.config import DIALECTS
from piggy.adapters.fix.inbound import MarketDataBook, read_report
from piggy.adapters.fix.listing import Listing
from piggy.adapters.interface import ReportKind, UnableToReadReport
from tests.adapters.fix.test_inbound import config, execution, text

SOUND = {"0": "0A6E", "F": "1246E", "1": "1", "2": "2", "3": "3", "4": "46", "8": "8", "C": "C", "5": "0", "A": "A0"}

AGAIN = {"t60": "20261122-10:00:05.000", "t43": "Y", "t52": "20261122-11:00:00.000"}


@pytest.mark.parametrize(
    ("exec_type", "status"),
    [
        ("0", "8"), ("0", "2"), ("0", "4"), ("0", "C"), ("F", "8"), ("F", "0"), ("F", "A"), ("1", "0"), ("2", "8"),
        ("4", "2"), ("4", "1"), ("4", "0"), ("C", "2"), ("C", "6"), ("3", "1"), ("8", "2"), ("8", "0"), ("8", "6"),
    ],
)  # fmt: skip
def test_what_happened_and_how_the_order_stands_must_agree(exec_type: str, status: str) -> None:
    """Refused by 150 and filled by 39: believed, its lots would be dealt elsewhere once more."""
    with pytest.raises(UnableToReadReport, match=f"150={exec_type} cannot be with 39={status}"):
        read_report(text=execution(t150=exec_type, t39=status), config=config())


def test_what_lps_do_say_together_is_read() -> None:
    for exec_type, statuses in SOUND.items():
        for status in statuses:
            assert read_report(text=execution(t150=exec_type, t39=status), config=config()).cl_ord_id == "o1-LP1-1"


@pytest.mark.parametrize(
    ("missing", "more", "name"),
    [
        ("37", {}, "OrderID"), ("17", {}, "ExecID"), ("39", {}, "OrdStatus"),
        ("37", {"t150": "0", "t39": "0"}, "OrderID"),
        ("14", {"t150": "4", "t39": "4"}, "CumQty"), ("14", {"t150": "C", "t39": "C"}, "CumQty"),
        ("14", {"t150": "3", "t39": "3"}, "CumQty"), ("14", {"t150": "I"}, "CumQty"),
    ],
)  # fmt: skip
def test_what_tells_a_report_apart_must_be_there(missing: str, more: dict[str, str], name: str) -> None:
    """An end without CumQty would count as one with nothing filled."""
    with pytest.raises(UnableToReadReport, match=name):
        read_report(text=execution(**more, **{f"t{missing}": ""}), config=config())


@pytest.mark.parametrize("left_out", ["37", "17", "58"])
def test_an_answer_about_an_order_that_is_not_there_need_not_name_it(left_out: str) -> None:
    """INV-03: parked, each answer would be asked for again, for ever, and the order's lots stay in doubt."""
    answer = execution(t150="I", t39="8", t103="5", t14="0", **{f"t{left_out}": ""})
    report = read_report(text=answer, config=config())
    assert (report.kind, report.standing) == (ReportKind.STATUS, "unknown")


@pytest.mark.parametrize(
    ("empty", "told", "kind"),
    [
        ("14", {}, ReportKind.FILL), ("14", {"t150": "0", "t39": "0"}, ReportKind.ACK), ("41", {}, ReportKind.FILL),
        ("14", {"t150": "8", "t39": "8"}, ReportKind.REJECT), ("60", {}, ReportKind.FILL),
        ("37", {"t150": "I", "t39": "8", "t14": "0"}, ReportKind.STATUS),
    ],
)  # fmt: skip
def test_a_field_without_a_value_is_one_that_is_left_out(empty: str, told: dict[str, str], kind: ReportKind) -> None:
    left_out = execution(**told, **{f"t{empty}": ""})
    read = [read_report(text=each, config=config()) for each in (left_out, left_out + text(f"{empty}=|"))]
    assert read[0] == read[1] and read[0].kind is kind


def test_a_refusal_may_leave_out_what_it_filled_and_ctrader_its_exec_ids() -> None:
    refused = read_report(text=execution(t150="8", t39="8", t14=""), config=config())
    assert (refused.kind, refused.cumulative) == (ReportKind.REJECT, 0)
    ctrader = config(dialect=DIALECTS["ctrader"])
    assert read_report(text=execution(t17="", t31="", t6="1.1"), config=ctrader).kind is ReportKind.FILL


@pytest.mark.parametrize(
    ("more", "ahead"),
    [
        ({"t60": "20261122-10:00:01.001"}, True), ({"t60": "20261122-10:00:01.000"}, False),
        ({"t60": "20991231-10:00:00", "t150": "4", "t39": "4"}, True),
        ({"t60": "20991231-10:00:00", "t150": "A", "t39": "A"}, False),
        (AGAIN | {"t122": "20261122-10:00:00"}, True), (AGAIN, False),
    ],
)  # fmt: skip
def test_nothing_happened_later_than_it_was_told_of(more: dict[str, str], ahead: bool) -> None:
    if not ahead:
        assert read_report(text=execution(**more), config=config()).cl_ord_id
        return
    with pytest.raises(UnableToReadReport, match="later than it was sent"):
        read_report(text=execution(**more), config=config())


@pytest.mark.parametrize("number", ["1_000", " 100000", "１００", "1E400", "1E-400", "Infinity", "+", "-1", "9" * 30])
@pytest.mark.parametrize("tag", ["31", "32", "14"])
def test_only_what_fix_calls_a_number_is_one(tag: str, number: str) -> None:
    """Python reads 1_000 as 1000, and digits of any script."""
    with pytest.raises(UnableToReadReport):
        read_report(text=execution(**{f"t{tag}": number}), config=config())


def test_a_group_that_begins_with_another_field_is_no_book() -> None:
    shown = text("8=FIX.4.4|9=0|35=W|34=2|52=20261122-10:00:00|55=EURUSD|268=1|278=a|269=0|270=1.1|271=100000|10=000|")
    with pytest.raises(UnableToReadReport, match="begins with 278 in place of 269"):
        MarketDataBook(config=config()).apply(shown)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("561", "1E-400"),
        ("561", "sNaN"),
        ("562", "-1"),
        ("1140", "Infinity"),
        ("969", "1_0"),
        ("1008", "400"),
        ("1008", "-5"),
    ],
)
def test_a_list_with_terms_that_are_no_numbers_is_no_list(tag: str, value: str) -> None:
    """Checked against them, our own steps would raise, and the symbol be traded unchecked."""
    listed = text(f"8=FIX.4.4|9=0|35=y|34=2|320=r|322=1|560=0|893=Y|146=1|55=EURUSD|{tag}={value}|10=000|")
    with pytest.raises(UnableToReadReport):
        Listing(config=config(), request_id="r").take(listed)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"t20": "0", "t150": "1"}, ReportKind.FILL),
        ({"t20": "0", "t150": "2", "t39": "2"}, ReportKind.FILL),
        ({"t20": "1", "t150": "1", "t17": "E2", "t19": "E1"}, ReportKind.BUST),
        ({"t20": "2", "t150": "1", "t17": "E2", "t19": "E1"}, ReportKind.CORRECTION),
        ({"t20": "3", "t150": "1", "t17": "E9"}, ReportKind.STATUS),
        ({"t20": "3", "t150": "2", "t39": "2"}, ReportKind.STATUS),
        ({"t150": "F", "t17": "0"}, ReportKind.STATUS),
        ({"t150": "1", "t17": "0", "t32": "0", "t31": "0"}, ReportKind.STATUS),
        ({"t150": "F", "t17": "00"}, ReportKind.FILL),
    ],
)
def test_a_bridge_of_fix_4_2_says_nothing_twice(said: dict[str, str], kind: ReportKind) -> None:
    """INV-04: its answer to a status request repeats the last execution, its bust and correction look like one more."""
    report = read_report(text=execution(**said), config=config())
    assert (report.kind, report.cumulative) == (kind, 1)
    if kind is ReportKind.STATUS:
        assert report.command is None and report.standing in ("working", "filled")


def test_where_exec_ids_name_no_fill_a_0_is_one_like_any() -> None:
    """A Centroid bridge repeats one ExecID, cTrader says none: what is filled in all tells executions apart there."""
    centroid = config(dialect=DIALECTS["centroid"])
    assert read_report(text=execution(t17="0", t150="1"), config=centroid).key == "F:0/100000"


def test_a_bust_of_fix_4_2_must_name_what_it_takes_back() -> None:
    with pytest.raises(UnableToReadReport, match="19"):
        read_report(text=execution(t20="1", t150="1", t17="E2"), config=config())
