"""INV-04: an LP whose ExecIDs begin anew with each day, as FIX allows, loses no fill and doubles none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters import tracking
from piggy.adapters.fix.inbound import read_report
from piggy.core.commands import RecordVenueBust, RecordVenueFill
from tests.adapters.fix.test_inbound import config, execution

MONDAY, LATER, NEXT = "20261123-20:00:00.000", "20261123-21:30:00.000", "20261124-01:00:00.000"
# Past 17:00 New York, and the same day in UTC.
EVENING = "20261123-22:30:00.000"


@pytest.fixture
def orders(acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity.models import VenueOrder

    with as_tenant("acorn"):
        for name in ("o1", "o2"):
            VenueOrder.objects.create(
                venue="LP1", cl_ord_id=f"{name}-LP1-1", order_id=name, symbol="EURUSD", side="buy", state="sent",
                quantity=Decimal("2.5"), limit_price=Decimal(2), time_in_force="gtc",
            )  # fmt: skip
        yield VenueOrder.objects


def heard(**changed: str) -> Any:
    """The worker keeps one report; return what it would tell the engine."""
    from apps.liquidity.services import reports

    raw = execution(**{"t52": changed.get("t60", MONDAY)} | changed)
    report = read_report(text=raw, config=config())
    told = reports.record_report(tenant="acorn", venue="LP1", report=report, raw=raw, now_us=1)
    return told.envelope.command if told.envelope else None


def parked() -> int:
    from apps.liquidity import selectors

    return selectors.parked_count()


@pytest.mark.parametrize("when", [EVENING, NEXT])
def test_another_days_fill_under_an_old_id_counts_once(orders: Any, when: str) -> None:
    first, again = {"t60": MONDAY}, {"t11": "o2-LP1-1", "t60": when, "t31": "1.09"}
    one, two = heard(**first), heard(**again)
    assert isinstance(one, RecordVenueFill) and isinstance(two, RecordVenueFill)
    assert one.fill_id == "E1" != two.fill_id and tracking.reference(fill_id=two.fill_id) == "E1"
    assert [heard(**again), heard(**first), heard(**again)] == [None, None, None]
    assert [order.filled for order in orders.order_by("cl_ord_id")] == [1, 1] and parked() == 0
    bust = heard(**again | {"t150": "H", "t17": "E9", "t19": "E1", "t14": "0"})
    assert isinstance(bust, RecordVenueBust) and bust.ref_fill_id == two.fill_id
    assert heard(**first | {"t150": "H", "t17": "E8", "t19": "E1", "t14": "0"}).ref_fill_id == "E1"


def test_the_same_days_id_on_another_order_is_for_a_person(orders: Any) -> None:
    heard(t60=MONDAY)
    assert heard(t11="o2-LP1-1", t60=LATER) is None and parked() == 1
    assert [order.filled for order in orders.order_by("cl_ord_id")] == [1, 0]


def test_an_id_of_its_own_order_is_the_same_execution_on_any_day(orders: Any) -> None:
    """An order that lives for days has each id once (FIX: for the life of a multi-day order)."""
    heard(t60=MONDAY)
    assert heard(t60=NEXT) is None and parked() == 0
    assert heard(t60=NEXT, t31="1.09") is None and parked() == 1


def test_a_bust_whose_id_was_used_before_is_for_a_person(orders: Any) -> None:
    """It would else pass for a repeat, and what it takes back would stand."""
    heard(t60=MONDAY)
    heard(t11="o2-LP1-1", t17="E2", t60=MONDAY)
    restated = {"t150": "H", "t17": "E9", "t14": "0"}
    assert isinstance(heard(**restated, t19="E1"), RecordVenueBust)
    assert heard(**restated, t19="E1") is None and parked() == 0
    assert heard(**restated, t19="E2", t11="o2-LP1-1") is None and parked() == 1
    corrected = {"t150": "G", "t17": "E10", "t19": "E2", "t11": "o2-LP1-1"}
    assert heard(**corrected, t32="50000", t14="50000") is not None
    assert heard(**corrected, t32="40000", t14="40000") is None and parked() == 2
