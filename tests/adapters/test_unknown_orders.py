"""INV-03: an LP's first word that it does not know an order settles nothing; what it says when asked again does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.adapters import tracking
from piggy.adapters.interface import ReportKind, VenueReport
from piggy.adapters.tracking import UNKNOWN_AGAIN_US, Unknowns
from piggy.core.commands import RecordVenueReject
from piggy.core.orders import Side
from piggy.simulator.world.worker import OrderRow


def status(standing: str = "unknown", order: str = "o1") -> VenueReport:
    return VenueReport(kind=ReportKind.STATUS, key="k", cl_ord_id=order, standing=standing)


def test_only_the_answer_to_a_second_question_ends_an_order_as_never_there() -> None:
    unknowns, order = Unknowns(), OrderRow("LP1", "o1", "EURUSD", Side.BUY, Decimal(1), state="doubt")
    told = []
    for at_us in (7, 7 + UNKNOWN_AGAIN_US - 1, 7 + UNKNOWN_AGAIN_US):
        report = unknowns.heard(report=status(), now_us=at_us)
        told.append(tracking.take(order=order, report=report, venue="LP1", now_us=at_us))
    assert told[:2] == [None, None]
    assert isinstance(told[2], RecordVenueReject) and told[2].code == "UNKNOWN_AT_VENUE"
    assert order.state == "done"


def test_an_order_that_was_found_meanwhile_is_looked_for_anew() -> None:
    unknowns = Unknowns()
    later = UNKNOWN_AGAIN_US
    assert unknowns.heard(report=status(), now_us=0).kind is ReportKind.IGNORED
    assert unknowns.heard(report=status("working"), now_us=1).kind is ReportKind.STATUS
    assert unknowns.heard(report=status(), now_us=later).kind is ReportKind.IGNORED
    assert unknowns.heard(report=status(order="o2"), now_us=later).kind is ReportKind.IGNORED, "each by itself"
    assert unknowns.heard(report=status(), now_us=2 * later).kind is ReportKind.STATUS
    fill = VenueReport(kind=ReportKind.FILL, key="f", cl_ord_id="o1")
    assert unknowns.heard(report=fill, now_us=0) is fill


def test_an_lp_that_knows_nothing_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "UNKNOWN_MAX", 2)
    unknowns = Unknowns()
    for number in range(5):
        unknowns.heard(report=status(order=f"o{number}"), now_us=0)
    assert len(unknowns._since) <= 2
