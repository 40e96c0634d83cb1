"""Drop copy in (F-35): what an LP repeats on a second session counts once, fills what was lost, and never overrules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from piggy.adapters.fix.inbound import read_report
from piggy.core.commands import RecordVenueAck, RecordVenueFill
from piggy.simulator.config import LpConfig
from tests.apps.liquidity.test_reports import CONFIG, NOW_US, child, said
from tests.apps.liquidity.test_worker import Engine, wait_for_quotes
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import MAPPINGS, LpRange, units

ACK, FIRST, LAST = (
    said(0, "E0-0", "0", seq=1),
    said(0, "E0-1", "F", filled=1, last=1, seq=2),
    said(0, "E0-3", "F", filled=3, last=2, seq=3),
)


@pytest.fixture
def broker(acorn: Any, as_tenant: Callable[..., Any], redis_server: Any) -> Iterator[None]:
    from apps.liquidity import services

    with as_tenant("acorn"):
        services.claim_order(child=child(0), client_id="O0-LP1-1")
        yield


def heard(session: str, *texts: str) -> list[Any]:
    """Let the order session or the copy say these, and return the commands that the desk is told."""
    from apps.liquidity import services

    record = {"orders": services.record_reports, "copy": services.record_copies}[session]
    batch = [services.Heard(at, text, read_report(text=text, config=CONFIG)) for at, text in enumerate(texts, 1)]
    told = record(tenant="acorn", venue="LP1", heard=batch, now_us=NOW_US)
    return [each.envelope.command for each in told if each.envelope is not None]


def order() -> Any:
    from apps.liquidity.models import VenueOrder

    return VenueOrder.objects.get(cl_ord_id="O0-LP1-1")


@pytest.mark.parametrize("sessions", [("orders", "copy"), ("copy", "orders")])
def test_what_both_sessions_say_counts_once_whoever_says_it_first(broker: None, sessions: tuple[str, str]) -> None:
    """F-35, INV-04: the same execution is the same fill."""
    first, second = sessions
    told = heard(first, ACK, FIRST, LAST)
    assert [type(each) for each in told] == [RecordVenueAck, RecordVenueFill, RecordVenueFill]
    assert heard(second, ACK, FIRST, LAST) == []
    assert (order().filled, order().state) == (3, "done")


def test_a_fill_that_the_order_session_lost_ends_the_doubt(broker: None) -> None:
    """F-35, INV-03: an order whose outcome nobody knew is settled by the copy, and what comes late is a repeat."""
    from apps.liquidity import services

    heard("orders", ACK, FIRST)
    services.record_doubt(tenant="acorn", order=order(), text="the session was lost", now_us=NOW_US)
    assert order().state == "doubt"
    (lost,) = heard("copy", ACK, FIRST, LAST)
    assert isinstance(lost, RecordVenueFill) and (lost.fill_id, lost.quantity) == ("E0-3", 2)
    assert (order().filled, order().state) == (3, "done")
    assert heard("orders", LAST) == []


def test_what_nobody_can_read_on_a_copy_is_kept_for_a_person_and_denied_to_nobody(broker: None) -> None:
    """F-35: what is around it counts."""
    from apps.liquidity import selectors, services
    from apps.liquidity.models import VenueReport

    heard("orders", ACK)
    fill = services.Heard(3, LAST, read_report(text=LAST, config=CONFIG))
    nonsense = services.Heard(2, "8=FIX.4.4", None, "no sense in it", "unknown_order")
    told = services.record_copies(tenant="acorn", venue="LP1", heard=[nonsense, fill], now_us=NOW_US)
    assert [type(each.envelope.command) for each in told if each.envelope is not None] == [RecordVenueFill]
    assert selectors.parked_count() == 1
    assert VenueReport.objects.get(kind="parked").note == "drop copy: no sense in it"
    assert not VenueReport.objects.filter(kind="denial").exists()


@pytest.mark.parametrize(
    "change", [("31=1.1", "31=1.2"), ("54=1", "54=2"), (f"32={units('2'):f}", f"32={units('1'):f}")]
)
def test_where_the_two_differ_the_first_stands_and_a_person_is_shown_both(
    broker: None, change: tuple[str, str]
) -> None:
    """F-35: both are kept, nothing is overruled; what says the same again is no second difference."""
    from apps.liquidity import selectors
    from apps.liquidity.models import VenueReport

    heard("orders", ACK, FIRST, LAST)
    other = LAST.replace(*change)
    assert other != LAST and heard("copy", other) == [] == heard("copy", other)
    assert selectors.parked_count() == 1 and order().filled == 3
    kept = VenueReport.objects.get(key__endswith="E0-3")
    parked = VenueReport.objects.get(kind="parked")
    assert (kept.raw, parked.raw) == (LAST, other)
    assert parked.note.startswith(f"execution {kept.key} was buy 2 EURUSD at 1.1 of O0-LP1-1, now ")


def test_an_execution_of_nobodys_order_is_told_and_not_denied(broker: None) -> None:
    """F-35, F-14: the desk sets it aside for a person; a copy is not the session to say DontKnowTrade on."""
    from apps.liquidity import services

    (stranger,) = heard("copy", said(7, "E7-1", "F", filled=1, last=1))
    assert isinstance(stranger, RecordVenueFill) and stranger.cl_ord_id == "O7-LP1-1"
    assert list(services.denials(venue="LP1")) == []


def test_the_copys_numbers_are_its_own(broker: None) -> None:
    """What was said while we were away is resent on the session that it belongs to."""
    from apps.liquidity import services
    from piggy.adapters.fix.numbers import Next

    names = ("LP1", services.drop_copy_numbers(venue="LP1"))
    assert [services.fix_numbers(venue=name, first=Next(1, 1)) for name in names] == [Next(1, 1)] * 2
    heard("copy", ACK, FIRST, LAST)
    assert [services.fix_numbers(venue=name, first=Next(1, 1)).incoming for name in names] == [1, 4]


@pytest.fixture
def lp_range(tmp_path: Path) -> Iterator[LpRange]:
    """An LP that tells its fills on the drop copy alone."""
    lossy = LpConfig(name="LP1", latency_ms=2, quotes_per_s=10, drop_copy=True, lost_rate=Decimal(1))
    the_range = LpRange(home=tmp_path, lps=(lossy,))
    the_range.start()
    yield the_range
    the_range.stop()


def test_fills_that_only_the_drop_copy_tells_reach_the_desk(
    lp_range: LpRange, acorn: Any, as_tenant: Callable[..., Any], redis_server: Any, tmp_path: Path
) -> None:
    """F-35 over FIX: the order session acknowledges and is silent after."""
    from apps.liquidity import services

    with as_tenant("acorn"):
        terms = [services.SymbolTerms(m.symbol, m.venue_symbol, m.units_per_lot) for m in MAPPINGS]
        provider = services.add_provider(tenant="acorn", name="LP1", port=lp_range.port_base, symbols=terms, by="test")
        provider.settings = {"drop_copy": "LP1-COPY"}
        provider.save()
    engine, worker = Engine(redis_server), WorkerProcess(home=tmp_path)
    try:
        wait_for_quotes(engine, lives=worker)
        engine.order("d1-LP1-1", lots="2.5")
        engine.wait(lambda: engine.filled("d1-LP1-1") == Decimal("2.5"), lives=worker)
        assert lp_range.truth("LP1")["ACORN", "d1-LP1-1"].filled == units("2.5")
    finally:
        worker.stop()
