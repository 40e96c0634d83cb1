"""F-34, F-14: a desk out of a backup that is too old, and what its LPs then tell it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import TradingState
from piggy.core.desk import Desk
from piggy.core.hedging import HedgePolicy
from piggy.core.leaving import has_left
from piggy.core.market import VenueState, VenueStatus
from piggy.core.orders import OrderState, OrderTerms, Side
from piggy.core.reconciliation import BreakKind, Execution, Tolerance, breaks
from piggy.engine.snapshot import Held, digest, live_of, parts_of, restored
from tests.core.floor import SECOND_US, Floor, names, only
from tests.core.forgetful import ForgetfulFloor, small_blocks

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


def test_after_a_loss_that_was_accepted_no_number_of_it_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-34, INV-03: what a venue tells of the lost part fits nothing, and stops the symbol there as ever."""
    small_blocks(monkeypatch)
    floor = ForgetfulFloor()
    floor.place("b1", Side.BUY, "0.1", limit_price="1.09900")
    for _ in range(5):
        floor.place("b1", Side.BUY, "0.1")
    (unanswered,) = only(floor.place("a1", Side.BUY, "0.1"), ev.ChildOrderCreated)
    assert floor.desk.unsent_children() == (unanswered,)
    skip = cmd.SkipNumbers(orders=101, hedges=7, log_seq=len(floor.log), lost_seq=900, by="ann", reason="disk died")
    skipped, doubt = floor.do(skip)
    assert (doubt.cl_ord_id, floor.desk.unsent_children()) == (unanswered.cl_ord_id, ())  # type: ignore[union-attr]
    assert (skipped.orders, skipped.hedges) == (104, 7)  # type: ignore[union-attr]
    (leg,) = only(floor.place("a1", Side.BUY, "0.1"), ev.ChildOrderCreated)
    assert leg.order_id == "O000000105" and leg.cl_ord_id.startswith("O000000105-")
    lost_leg = msgspec.structs.replace(leg, cl_ord_id="O000000050-1")
    assert floor.desk.missed(command=told_of(lost_leg)) == ()
    (kept,) = only(floor.do(told_of(lost_leg)), ev.VenueReportSuspended)
    assert kept.code == "unknown_order"
    assert floor.desk.state.trading_states[("venue_symbol", f"{leg.venue}/EURUSD")] is TradingState.HALTED


def test_what_was_there_before_a_loss_leaves_and_comes_back_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-34, INV-08: also out of a snapshot, and made again of the log."""
    small_blocks(monkeypatch)
    floor = ForgetfulFloor()
    floor.place("b1", Side.BUY, "0.1", limit_price="1.09900")
    for _ in range(6):
        floor.place("b1", Side.BUY, "0.1")
    floor.do(cmd.SkipNumbers(orders=50, hedges=0, log_seq=1, lost_seq=2, by="ann", reason="disk died"))
    for _ in range(40):
        floor.place("b1", Side.BUY, "0.1")
    state = floor.desk.state
    assert "O000000001" in state.orders, "it rests"
    gone = [f"O{number:09d}" for number in (*range(2, 8), 53)]
    assert all(has_left(state=state, order_id=name) for name in gone)
    assert not any(has_left(state=state, order_id=f"O{number:09d}") for number in (8, 52, 93))
    for name in gone:
        floor.bring_back(name)
        assert state.orders[name].state is OrderState.FILLED
    parts = parts_of(desk=floor.desk, held=Held(), seq=len(floor.log))
    resumed, _ = restored(live=live_of(body=parts.live), segments=parts.segments)
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert digest(state=resumed.state) == digest(state=again.state) == digest(state=state)


def told_of(leg: ev.ChildOrderCreated) -> cmd.RecordVenueFill:
    return cmd.RecordVenueFill(
        venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V", fill_id="F-lost", symbol=leg.symbol,
        side=leg.side, quantity=leg.quantity, price=leg.limit_price, occurred_at_us=1,
    )  # fmt: skip
