"""F-34, F-14: a desk out of a backup that is too old, and what its LPs then tell it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.desk import Desk
from piggy.core.hedging import HedgePolicy
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import OrderTerms, Side
from piggy.core.reconciliation import BreakKind, Execution, Tolerance, breaks
from tests.core.floor import SECOND_US, Floor, names, only

KEY = "LP1/EURUSD"


@pytest.fixture
def lost() -> tuple[Floor, list[ev.ChildOrderFilled]]:
    """A floor put back to before two orders that LP1 has filled, and those fills."""
    floor = Floor()
    floor.place("a1", Side.BUY, "1")
    floor.fill(floor.children()[0], "1.10010")
    kept = len(floor.log)
    for _ in range(2):
        floor.place("a1", Side.BUY, "0.5")
        floor.fill(floor.children()[0], "1.10010")
    fills = only([recorded.event for recorded in floor.log[kept:]], ev.ChildOrderFilled)
    del floor.log[kept:]
    desk = Desk(tenant="acorn")
    for recorded in floor.log:
        desk.apply(recorded=recorded)
    desk.entry.close(state=desk.state)
    floor.desk = desk
    floor.quotes()
    return floor, fills


def told_again(fill: ev.ChildOrderFilled) -> cmd.RecordVenueFill:
    """As the LP says it again at the logon: it knows nothing of our backup."""
    return cmd.RecordVenueFill(
        venue=fill.venue, cl_ord_id=fill.cl_ord_id, venue_order_id="V", fill_id=fill.fill_id, symbol=fill.symbol,
        side=fill.side, quantity=fill.quantity, price=fill.price, occurred_at_us=fill.occurred_at_us,
    )  # fmt: skip


def ready(floor: Floor, *, unreconciled: int = 0) -> None:
    for venue in ("LP1", "LP2", "LP3"):
        left = unreconciled if venue == "LP1" else 0
        floor.desk.status(
            status=VenueStatus(
                venue=venue, state=VenueState.READY, text="", at_us=floor.now_us, unreconciled=left
            )
        )  # fmt: skip


def venues_asked(floor: Floor, **terms: Any) -> set[str]:
    """Place an order of a1, and return where it went."""
    floor.now_us += 2 * SECOND_US
    floor.quotes()
    asked = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=D("0.1"), **terms)
    return {leg.venue for leg in only(floor.do(cmd.PlaceOrder(terms=asked)), ev.ChildOrderCreated)}


def test_the_lost_hour_is_found_and_its_symbol_stays_halted_there_until_a_person_has_seen_to_it(
    lost: tuple[Floor, list[ev.ChildOrderFilled]],
) -> None:
    """F-34: no order before the LP was heard out; what it tells fits no order, and stops the symbol at that LP."""
    floor, fills = lost
    assert venues_asked(floor) == set(), "closed for entry until the worker knows all"
    ready(floor, unreconciled=2)
    assert "LP1" not in venues_asked(floor)
    for fill in fills:
        kept = floor.do(told_again(fill))[0]
        assert isinstance(kept, ev.VenueReportSuspended) and kept.code in ("unknown_order", "overfill", "wrong_venue")
    assert floor.desk.state.trading_states[("venue_symbol", KEY)] is TradingState.HALTED
    ready(floor)
    assert floor.desk.entry.closed == set() and venues_asked(floor) == {"LP2"}
    record = floor.desk.state.orders[max(floor.desk.state.orders)].routing
    assert record is not None
    told = {seen.venue: seen.text for seen in record.considered}
    assert told["LP1"] == "trading state halted in EURUSD"
    reopen = {"scope": "venue_symbol", "key": KEY, "state": TradingState.ACTIVE, "reason": "booked by hand"}
    assert floor.do(cmd.SetTradingState(by="desk", **reopen))[0].code == "FOUR_EYES"  # type: ignore[union-attr]
    floor.do(cmd.SetTradingState(by="ann", **reopen))
    assert venues_asked(floor) == {"LP1"}


def test_the_statement_names_every_fill_of_the_lost_hour(lost: tuple[Floor, list[ev.ChildOrderFilled]]) -> None:
    """F-34."""
    floor, fills = lost
    here = [line(each.event) for each in floor.log if isinstance(each.event, ev.ChildOrderFilled)]
    found = breaks(ours=here, theirs=[*here, *(line(fill) for fill in fills)], tolerance=Tolerance())
    assert [(each.kind, each.reference) for each in found] == [(BreakKind.MISSING_HERE, fill.fill_id) for fill in fills]


def line(fill: ev.ChildOrderFilled) -> Execution:
    return Execution(
        reference=fill.fill_id, symbol=fill.symbol, side=fill.side, quantity=fill.quantity, price=fill.price,
        traded_on=date(2026, 1, 5),
    )  # fmt: skip


def test_a_halt_of_one_symbol_at_one_venue_leaves_its_others_and_a_kill_takes_its_legs_back() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "0.1")
    (leg,) = floor.children()
    stop = {"scope": "venue_symbol", "reason": "drill", "by": "ann"}
    floor.do(cmd.SetTradingState(key="LP1/GBPUSD", state=TradingState.HALTED, **stop))
    assert venues_asked(floor) == {"LP1"}
    killed = floor.do(cmd.SetTradingState(key=KEY, state=TradingState.KILLED, **stop))
    assert names(killed) == ["TradingStateChanged", *["ChildCancelRequested"] * 2]
    assert killed[1].cl_ord_id == leg.cl_ord_id  # type: ignore[union-attr]
    assert venues_asked(floor) == {"LP2"}
    floor.do(cmd.ConfigureHedging(policy=HedgePolicy(key="EURUSD", symbol="EURUSD", threshold=D(1))))
    covered = floor.do(cmd.CoverByHand(symbol="EURUSD", by="ann", reason="drill", side=Side.BUY, quantity=D("0.1")))
    assert {each.venue for each in only(covered, ev.ChildOrderCreated)} == {"LP2"}
