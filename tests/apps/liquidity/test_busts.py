"""An LP's busts and corrections: kept as they came, told until the engine has them, the order's count restated."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.fix.inbound import read_report
from piggy.core.commands import RecordVenueBust, RecordVenueCorrection
from tests.adapters.fix.test_inbound import config, execution

CL_ORD_ID = "o1-LP1-1"


@pytest.fixture
def order(acorn: Any, as_tenant: Any) -> Any:
    from apps.liquidity.models import VenueOrder

    with as_tenant("acorn"):
        yield VenueOrder.objects.create(
            venue="LP1", cl_ord_id=CL_ORD_ID, order_id="o1", symbol="EURUSD", side="buy", quantity=Decimal("2.5"),
            limit_price=Decimal(2), time_in_force="gtc", state="sent",
        )  # fmt: skip


def heard(order: Any, **changed: str) -> Any:
    """The worker keeps one report; return what it would tell the engine."""
    from apps.liquidity.services import reports

    raw = execution(**changed)
    report = read_report(text=raw, config=config())
    told = reports.record_report(tenant="acorn", venue="LP1", report=report, raw=raw, now_us=1)
    order.refresh_from_db()
    return told.envelope.command if told.envelope else None


def test_a_bust_takes_its_lots_off_the_order_and_is_told_once(order: Any) -> None:
    heard(order)
    assert (order.filled, order.state) == (Decimal(1), "working")
    assert isinstance(heard(order, t150="H", t17="E2", t19="E1", t14="0"), RecordVenueBust)
    assert (order.filled, order.state) == (Decimal(0), "working")
    assert heard(order, t150="H", t17="E2", t19="E1", t14="0") is None, "a repeat only counts"


def test_a_correction_puts_the_lps_new_count_on_the_order(order: Any) -> None:
    heard(order)
    command = heard(order, t150="G", t17="E2", t19="E1", t32="50000", t14="50000")
    assert isinstance(command, RecordVenueCorrection) and command.quantity == order.filled == Decimal("0.5")


def test_a_status_after_a_bust_agrees_with_what_stands(order: Any) -> None:
    """The order counts what the LP says stands, so a later status is no difference."""
    heard(order)
    heard(order, t150="H", t17="E2", t19="E1", t14="0")
    done = heard(order, t150="I", t39="4", t17="E3", t14="0")
    assert done is not None and done.filled == 0
    assert order.state == "done"


def test_a_bust_that_the_engine_did_not_record_is_told_for_ever(order: Any, redis_server: Any) -> None:
    """It may wait for a rate or for its fill, as a fill does."""
    from django.utils import timezone

    from apps.liquidity.models import VenueReport
    from apps.liquidity.services import reports

    heard(order, t150="H", t17="E2", t19="E1", t14="0")
    later = timezone.now() + timedelta(seconds=60)
    assert [reports.sweep(tenant="acorn", now=later) for _ in range(2)] == [1, 1]
    assert VenueReport.objects.get().told_count == 0
