"""What a reject of an LP means for the order that it speaks of, and which message of ours that was."""

from __future__ import annotations

from pathlib import Path

import pytest

from piggy.adapters.fix import refusals
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.messages import MessageLog, fields, masked, order_id_of
from piggy.adapters.fix.refusals import Asked, cancelled_id, unheard
from piggy.adapters.interface import ReportKind, UnableToReadReport
from piggy.core.commands import RecordVenueCancelReject, RecordVenueReject
from tests.adapters.fix.test_inbound import config, text

HEAD = "8=FIX.4.4|9=0|35={}|34=7|49=LP1|52=20261122-10:00:00.000|56=ACORN|"


def rejected(said: str, kind: str = "3") -> str:
    return text(HEAD.format(kind) + said + "10=0|")


@pytest.mark.parametrize(
    ("kind", "said", "code"),
    [("3", "372=D|379=o1-LP1-1|373=5|58=no|", "FIX_5"), ("j", "372=D|379=o1-LP1-1|380=4|58=no|", "BUSINESS_4")],
)
def test_an_order_that_its_lp_would_not_read_is_refused(kind: str, said: str, code: str) -> None:
    report = read_report(text=rejected(said, kind), config=config())
    assert (report.kind, report.cl_ord_id) == (ReportKind.REJECT, "o1-LP1-1")
    assert isinstance(report.command, RecordVenueReject) and report.command.code == code


def test_a_cancel_or_change_that_its_lp_would_not_read_leaves_the_order_as_it_is() -> None:
    """Taken for a refusal of the order, its lots would be dealt elsewhere while it lives."""
    cancel = read_report(text=rejected("372=F|379=o1-LP1-1-R1-C2|373=5|"), config=config())
    assert (cancel.kind, cancel.cl_ord_id) == (ReportKind.UNCANCEL, "o1-LP1-1")
    assert isinstance(cancel.command, RecordVenueCancelReject)
    change = read_report(text=rejected("372=G|379=o1-LP1-1-R1|373=5|"), config=config())
    assert (change.kind, change.cl_ord_id, change.command) == (ReportKind.IGNORED, "o1-LP1-1", None)
    assert change.standing == "replace_refused"


@pytest.mark.parametrize("said", ["372=D|", "379=o1-LP1-1|", "372=H|379=o1-LP1-1|", "372=V|379=q1|", ""])
def test_a_reject_of_no_order_ends_none(said: str) -> None:
    """A question that was refused says nothing of the order that it asked about."""
    with pytest.raises(UnableToReadReport):
        read_report(text=rejected(said), config=config())


def test_a_reject_that_only_names_a_number_is_of_what_left_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "ASKED_MAX", 2)
    asked = Asked()
    for number, sent in enumerate(("35=D|11=o1|", "35=V|262=q1|", "35=F|11=o1-C|"), start=1):
        asked.note(text(f"8=FIX.4.4|9=0|34={number}|{sent}10=0|"))
    whole = fields(asked.complete(rejected("45=3|")))
    assert (whole["372"], whole["379"]) == ("F", "o1-C")
    assert fields(asked.complete(rejected("45=2|")))["379"] == "q1"
    own = fields(asked.complete(rejected("45=3|372=D|379=o9|")))
    assert (own["372"], own["379"]) == ("D", "o9"), "what the LP says itself comes first"
    for forgotten in ("45=1|", "45=99|", ""):
        assert {"372", "379"}.isdisjoint(fields(asked.complete(rejected(forgotten))))


def test_only_a_report_that_our_side_refused_is_one_that_nobody_heard() -> None:
    """F-14: QuickFIX counts it as received; a fill in it is never sent again."""
    said = unheard(text=rejected("45=9|372=8|371=60|58=bad|"))
    assert said == "message 9 of the LP was refused unread: bad (tag 60)"
    assert unheard(text=rejected("45=9|372=9|58=bad|")) == "message 9 of the LP was refused unread: bad"
    for other in (
        rejected("45=9|372=W|58=bad|"),
        rejected("45=9|58=bad|"),
        rejected("372=8|", "j"),
        rejected("372=8|", "0"),
    ):
        assert unheard(text=other) == ""


@pytest.mark.parametrize(
    ("named", "order"),
    [("o1-R2", "o1"), ("o1-R", "o1-R"), ("o1-Rx", "o1-Rx"), ("R1", "R1"), ("7", "7"), ("a-R1-R2", "a-R1")],
)
def test_only_a_change_of_ours_is_taken_off_an_orders_id(named: str, order: str) -> None:
    assert order_id_of(cl_ord_id=named) == order


@pytest.mark.parametrize(
    ("named", "order"),
    [("o1-C", "o1"), ("o1-C2", "o1"), ("o1-Cx", "o1-Cx"), ("77", "77"), ("C", "C"), ("a-C-C", "a-C")],
)
def test_only_a_cancel_of_ours_is_taken_off_an_orders_id(named: str, order: str) -> None:
    assert cancelled_id(cancel_id=named) == order


def test_what_is_kept_of_a_session_has_no_secret_and_no_flood_in_it(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    kept = MessageLog(path=tmp_path / "messages.log", journal=lambda way, line: told.append((way, line)))
    kept.write("OUT", text("8=FIX.4.4|9=0|35=A|34=1|554=hunter2|925=new|96=sign|58=554=hunter2x|"))
    for quiet in ("0", "W", "X", "i", "y"):
        kept.write("IN ", text(f"8=FIX.4.4|9=0|35={quiet}|34=2|"))
    kept.write("IN ", text("8=FIX.4.4|9=0|35=8|34=2|"))
    kept.write("IN ", "half")
    kept.close()
    kept.write("IN ", text("8=FIX.4.4|9=0|35=8|34=3|"))
    lines = (tmp_path / "messages.log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "OUT 8=FIX.4.4|9=0|35=A|34=1|554=***|925=***|96=***|58=554=hunter2x",
        "IN  8=FIX.4.4|9=0|35=8|34=2", "IN  half",
    ]  # fmt: skip
    assert [way for way, _ in told] == ["OUT", "IN", "IN", "IN"], "the journal hears what the file no longer takes"
    assert masked(text("35=A|554=x|")) == "35=A|554=***"
    quiet = MessageLog(path=tmp_path / "quiet.log")
    quiet.write("IN ", text("8=FIX.4.4|9=0|35=8|34=3|"))
    quiet.close()
