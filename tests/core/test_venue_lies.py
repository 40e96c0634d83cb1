"""Venues that say anything, in any order, twice, of orders that ended or never were (INV-05, INV-07, F-13, F-14).

A twin that knows nothing of orders keeps what venues are bound by: which executions stand, and at what price. After
every report the desk must agree with it, and no client may have more than he asked for, or worse than he named. Once
every venue has told how its legs ended, nothing is out, nothing in doubt, and nothing held for what may still come.
VENUE_LIES sets how many seeds are tried.
"""

from __future__ import annotations

import os
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import TradingState
from piggy.core.correction_events import OrderFillBusted
from piggy.core.desk import Desk
from piggy.core.market import VenueState, VenueStatus
from piggy.core.money import ZERO
from piggy.core.orders import OrderState, Side, TimeInForce
from tests.core.floor import SECOND_US, canonical, only
from tests.core.hedging_floor import House
from tests.core.test_corrections import correct

SEEDS = int(os.environ.get("VENUE_LIES", "12"))
STEPS = 120
VENUES = ("LP1", "LP2", "LP3")
NONSENSE = (ZERO, Decimal(-1), Decimal("NaN"), Decimal("Infinity"))
DAY_US = 86_400 * SECOND_US


class Twin:
    """What stands at venues by their own words: `standing` by (venue, id) is leg, signed lots and price."""

    def __init__(self) -> None:
        self.legs: dict[str, ev.ChildOrderCreated] = {}
        self.standing: dict[tuple[str, str], tuple[str, Decimal, Decimal, int]] = {}
        self.seen: set[tuple[str, str]] = set()
        self.instead: dict[tuple[str, str], str] = {}
        self.parked: dict[tuple[str, str], tuple[Any, int]] = {}

    def filled(self, cl_ord_id: str) -> Decimal:
        return sum((abs(lots) for leg, lots, _, _ in self.standing.values() if leg == cl_ord_id), ZERO)

    def net(self, venue: str = "") -> Decimal:
        return sum((each[1] for key, each in self.standing.items() if venue in ("", key[0])), ZERO)

    def cash(self) -> Decimal:
        return -sum((lots * price for _, lots, price, _ in self.standing.values()), ZERO)

    def hear(self, report: Any, now_us: int) -> None:
        if isinstance(report, cmd.RecordVenueFill):
            key = (report.venue, report.fill_id)
            if key not in self.seen:
                self.seen.add(key)
                self._stand(key, report, ZERO)
        elif isinstance(report, cmd.RecordVenueBust | cmd.RecordVenueCorrection):
            self._restate(report, now_us)

    def tick(self, now_us: int) -> None:
        """What waited for its execution is heard when that has come."""
        for key, (report, since_us) in sorted(self.parked.items()):
            known = (report.venue, report.ref_fill_id) in self.seen
            if known or now_us - since_us >= DAY_US:
                del self.parked[key]
                if known:
                    self._restate(report, now_us)
                else:
                    self.seen.add(key)

    def _restate(self, report: Any, now_us: int) -> None:
        key, ref = (report.venue, report.report_id), (report.venue, report.ref_fill_id)
        if key in self.seen or (key in self.parked and ref not in self.seen):
            return
        if ref not in self.seen:
            self.parked[key] = (report, now_us)
            return
        self.parked.pop(key, None)
        self.seen.add(key)
        while self.instead.get(ref):
            ref = (report.venue, self.instead[ref])
        was = self.standing.get(ref)
        if was is None or was[0] != report.cl_ord_id:
            return
        if isinstance(report, cmd.RecordVenueBust):
            del self.standing[ref]
            self.instead[ref] = ""
        elif ref[1] != report.ref_fill_id and report.occurred_at_us < was[3]:
            return
        elif self._stand(key, report, abs(was[1])):
            del self.standing[ref]
            self.instead[ref] = report.report_id

    def _stand(self, key: tuple[str, str], report: Any, without: Decimal) -> bool:
        leg = self.legs.get(report.cl_ord_id)
        if leg is None or (leg.venue, leg.symbol, leg.side) != (report.venue, report.symbol, report.side):
            return False
        if not all(number.is_finite() and number > 0 for number in (report.quantity, report.price)):
            return False
        if self.filled(report.cl_ord_id) - without + report.quantity > leg.quantity:
            return False
        signed = report.side.sign * report.quantity
        self.standing[key] = (report.cl_ord_id, signed, report.price, report.occurred_at_us)
        return True


class Liars:
    """A hedging house whose venues say what they please."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.floor, self.twin = House(retry_ms=0, snooze_ms=0), Twin()
        self.said: list[Any] = []
        self.ids = 0
        self.last_seq = 0

    def live(self) -> None:
        for _ in range(STEPS):
            self.draw.choice((self.trade, self.report, self.report, self.report, self.repeat, self.meddle))()
            self.look()
            if self.draw.random() < 0.6:
                self.act()
        self.settle()

    def do(self, command: Any) -> None:
        self.floor.do(command)
        self.look()

    def act(self) -> None:
        self.floor.now_us += self.draw.choice((1, 1, 40)) * SECOND_US
        self.floor.quotes()
        for _ in range(50):
            due = self.floor.desk.due(now_us=self.floor.now_us)
            self.twin.tick(self.floor.now_us)
            done = [self.floor.do(command) for command in due]
            if not any(done):
                break
        self.look()

    def trade(self) -> None:
        draw = self.draw
        terms: dict[str, Any] = {}
        if draw.random() < 0.5:
            terms["limit_price"] = f"{Decimal(110_000 + draw.randrange(-5, 25)) / 100_000:.5f}"
        terms["time_in_force"] = draw.choice(list(TimeInForce)[:3])
        if draw.random() < 0.2:
            terms["reduce_only"] = True
        account, side = draw.choice(("a1", "a1", "mixed1", "b1")), draw.choice(list(Side))
        self.floor.place(account, side, str(Decimal(draw.randrange(1, 400)) / 100), **terms)

    def meddle(self) -> None:
        """Clients cancel, and people switch on again what a fault switched off."""
        draw, state = self.draw, self.floor.desk.state
        if state.orders and draw.random() < 0.6:
            order = draw.choice(list(state.orders.values()))
            self.do(cmd.CancelOrder(order_id=order.order_id, account_id=order.terms.account_id))
        for scope, key in list(state.trading_states):
            active = cmd.SetTradingState(scope=scope, key=key, state=TradingState.ACTIVE, reason="", by="d")
            self.do(active)

    def repeat(self) -> None:
        if self.said:
            self.tell(self.draw.choice(self.said))

    def tell(self, report: Any) -> None:
        self.said.append(report)
        self.twin.hear(report, self.floor.now_us)
        self.do(report)

    def report(self) -> None:
        draw, state = self.draw, self.floor.desk.state
        if not self.twin.legs:
            return
        names = list(state.open_children) if state.open_children and draw.random() < 0.8 else list(self.twin.legs)
        leg = self.twin.legs[draw.choice(names)]
        common = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": self._time()}
        known, kind = self.twin.filled(leg.cl_ord_id), draw.randrange(14)
        if kind < 5:
            self.tell(self._fill(leg, common))
        elif kind == 5:
            self.tell(cmd.RecordVenueAck(venue_order_id="V", **common))
        elif kind == 6:
            self.tell(cmd.RecordVenueReject(code="99", text="last look", **common))
        elif kind in (7, 8):
            more = draw.choice((ZERO, ZERO, Decimal("0.5"), -known, leg.quantity, Decimal(-1)))
            self.tell(cmd.RecordVenueDone(filled=known + more, text="ended", **common))
        elif kind == 9:
            self.tell(cmd.RecordVenueDoubt(text="lost", **common))
        elif kind == 10:
            self.tell(cmd.RecordVenueCancelReject(text="too late", **common))
        else:
            self.tell(self._restatement(leg, common))

    def _fill(self, leg: ev.ChildOrderCreated, common: dict[str, Any]) -> Any:
        draw = self.draw
        lots = draw.choice((leg.quantity, Decimal(draw.randrange(1, 300)) / 100, leg.quantity / 2))
        fill = cmd.RecordVenueFill(
            venue_order_id="V", fill_id=self._id(), symbol=leg.symbol, side=leg.side, quantity=lots,
            price=leg.limit_price + Decimal(draw.randrange(-30, 31)) / 100_000, **common,
        )  # fmt: skip
        wrong: dict[str, Any] = draw.choice(
            (
                *({},) * 12,
                {"quantity": draw.choice(NONSENSE)},
                {"price": draw.choice(NONSENSE)},
                {"side": leg.side.contra},
                {"symbol": "GBPUSD"},
                {"venue": draw.choice(VENUES)},
                {"cl_ord_id": "O000009999-LP1-1"},
                {"cl_ord_id": "nobody"},
            )
        )
        return msgspec.structs.replace(fill, **wrong)

    def _restatement(self, leg: ev.ChildOrderCreated, common: dict[str, Any]) -> Any:
        draw = self.draw
        fills = [report for report in self.said if isinstance(report, cmd.RecordVenueFill)]
        own = [report.fill_id for report in fills if report.cl_ord_id == leg.cl_ord_id]
        ref = draw.choice([*own * 3, *(report.fill_id for report in fills[-2:]), f"E{self.ids + 1}"])
        named = {"report_id": self._id(), "ref_fill_id": ref, "text": "error"}
        if draw.random() < 0.5:
            return cmd.RecordVenueBust(**named, **common)
        lots = draw.choice((Decimal(draw.randrange(1, 100)) / 100, Decimal(draw.randrange(1, 300)) / 100, ZERO))
        return cmd.RecordVenueCorrection(
            symbol=leg.symbol, side=leg.side, quantity=lots, price=leg.limit_price, **named, **common
        )

    def _id(self) -> str:
        """A new id, or now and then one that was used."""
        if self.ids and self.draw.random() < 0.1:
            return f"E{self.draw.randrange(1, self.ids + 1)}"
        self.ids += 1
        return f"E{self.ids}"

    def _time(self) -> int:
        return self.floor.now_us + self.draw.choice((0, 0, -5, 3_600)) * SECOND_US

    def look(self) -> None:
        """The desk agrees with its venues, and no client has more than he asked for, or worse than he named."""
        floor, twin, state = self.floor, self.twin, self.floor.desk.state
        for recorded in floor.log[self.last_seq :]:
            if isinstance(recorded.event, ev.ChildOrderCreated):
                assert recorded.event.cl_ord_id not in twin.legs, "an id is used once (INV-03)"
                twin.legs[recorded.event.cl_ord_id] = recorded.event
            assert ledger.is_balanced(ledger.postings(event=recorded.event, currency="USD"))
            if isinstance(recorded.event, ev.OrderFilled):
                terms = state.orders[recorded.event.order_id].terms
                if terms.limit_price is not None:
                    assert terms.side.sign * (terms.limit_price - recorded.event.price) >= 0
        self.last_seq = len(floor.log)
        exposure = state.exposure["EURUSD"]
        assert (exposure.venue_net, exposure.venue_cash) == (twin.net(), twin.cash())
        assert {name: state.venue_nets.get((name, "EURUSD"), ZERO) for name in VENUES} == {
            name: twin.net(name) for name in VENUES
        }
        out: dict[str, Decimal] = {}
        for name, child in state.children.items():
            assert child.filled == twin.filled(name)
            assert (name in state.open_children) is not child.closed
            out[child.created.order_id] = out.get(child.created.order_id, ZERO) + child.leaves
            assert child.in_doubt or not child.differs, "a fill that is missing is missing until it came"
        for order in state.orders.values():
            assert order.routed == out.get(order.order_id, ZERO)
            doubts = any(state.open_children[leg].in_doubt for leg in order.legs if leg in state.open_children)
            assert (order.state is OrderState.IN_DOUBT) == (doubts and not order.state.final)
            assert order.filled >= ZERO and order.filled + order.routed <= order.quantity, "never sent twice"
        for hedge in state.hedges.values():
            assert hedge.routed == out.get(hedge.hedge_id, ZERO)
        self._worst()

    def _worst(self) -> None:
        """What may still be dealt at a venue is held against it whole (F-06)."""
        state = self.floor.desk.state
        for venue in VENUES:
            legs = [child for child in state.open_children.values() if child.created.venue == venue]
            risk = state.venue_risks[venue].symbols.get("EURUSD") if venue in state.venue_risks else None
            for side, held in ((Side.BUY, risk.buys if risk else ZERO), (Side.SELL, risk.sells if risk else ZERO)):
                assert held == sum((child.leaves for child in legs if child.created.side is side), ZERO)

    def settle(self) -> None:
        """Every venue goes down once it has told how its legs ended; what follows is quiet."""
        floor, state = self.floor, self.floor.desk.state
        for venue in VENUES:
            self.do(cmd.SetTradingState(scope="venue", key=venue, state=TradingState.HALTED, reason="", by="d"))
            floor.desk.status(status=VenueStatus(venue=venue, state=VenueState.DOWN, text="", at_us=floor.now_us))
        floor.now_us += 2 * DAY_US
        for _ in range(3):
            self.act()
        for leg in list(state.open_children):
            created = self.twin.legs[leg]
            common = {"venue": created.venue, "cl_ord_id": leg, "occurred_at_us": floor.now_us}
            self.tell(cmd.RecordVenueDone(filled=self.twin.filled(leg), text="ended", **common))
        self.act()
        assert not state.open_children and not state.parked and not self.twin.parked
        assert all(risk == ZERO for risk in state.hedge_pending.values())
        for order in state.orders.values():
            assert order.routed == ZERO and order.state is not OrderState.IN_DOUBT
        self._positions()
        again = Desk(tenant="acorn")
        for recorded in floor.log:
            again.apply(recorded=recorded)
        assert canonical(again.state) == canonical(state)

    def _positions(self) -> None:
        """What clients hold is what their fills come to, and what venues hold for nobody is written down as that."""
        held: dict[str, Decimal] = {}
        dealt: dict[str, Decimal] = {}
        for recorded in self.floor.log:
            event = recorded.event
            if isinstance(event, ev.OrderFilled | OrderFillBusted):
                sign = event.side.sign * (1 if isinstance(event, ev.OrderFilled) else -1)
                held[event.account_id] = held.get(event.account_id, ZERO) + sign * event.quantity
                if event.cl_ord_id:
                    dealt[event.cl_ord_id] = dealt.get(event.cl_ord_id, ZERO) + sign * event.quantity
        state = self.floor.desk.state
        for account_id in state.accounts:
            position = state.positions.get(f"{account_id}:EURUSD")
            assert held.get(account_id, ZERO) == (position.quantity if position else ZERO)
        unknown = {event.cl_ord_id for event in state.suspended if event.code in ("overfill", "fok_broken")}
        for name, child in state.children.items():
            if child.created.order_id in state.orders:
                given = abs(dealt.get(name, ZERO))
                assert given <= child.filled
                restated = bool(child.superseded)
                assert given == child.filled or name in unknown or restated, "lots of nobody are somebody's to look at"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_venues_say_the_desk_knows_what_stands_and_ends_flat_of_doubt(seed: int) -> None:
    Liars(seed).live()


@pytest.mark.parametrize(("ticks", "told"), [(0, False), (1, True), (-1, False)])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("account_id", ["a1", "b1"])
def test_a_fill_beyond_what_its_venue_was_told_counts_and_a_person_sees_it(
    account_id: str, side: Side, ticks: int, told: bool
) -> None:
    """The client is never worse than his own limit, so of his order it is the house's loss, as of a hedge."""
    floor = House()
    floor.place(account_id, side, "3.5")
    floor.act()
    leg = floor.children()[0]
    assert leg.order_id.startswith("O" if account_id == "a1" else "H")
    price = leg.limit_price + leg.side.sign * ticks * Decimal("0.00001")
    events = floor.fill(leg, str(price), lots="0.5", fill_id="X1")
    assert floor.desk.state.venue_nets[(leg.venue, "EURUSD")] == leg.side.sign * Decimal("0.5")
    words = [each.text for each in events if isinstance(each, ev.VenueReportSuspended) and each.code == "beyond_limit"]
    assert bool(words) is told and all(str(leg.limit_price) in text for text in words)
    assert floor.fill(leg, str(price), lots="0.5", fill_id="X1") == []
    restated = correct(floor, leg, "X1", quantity=Decimal("0.5"), price=price)
    assert len([each for each in only(restated, ev.VenueReportSuspended) if each.code == "beyond_limit"]) == told


def test_no_venue_speaks_of_anothers_leg() -> None:
    """F-14: refused or ended by a stranger, its lots would be dealt a second time while the first may still fill."""
    floor = House()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    stranger = next(name for name in ("LP1", "LP2", "LP3") if name != leg.venue)
    names: dict[str, Any] = {"venue": stranger, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": floor.now_us}
    done = cmd.RecordVenueDone(filled=Decimal(0), text="", **names)
    for report in (
        cmd.RecordVenueReject(code="1", text="", **names),
        done,
        cmd.RecordVenueAck(venue_order_id="V", **names),
    ):
        (kept,) = floor.do(report)
        assert isinstance(kept, ev.VenueReportSuspended) and (kept.venue, kept.code) == (stranger, "wrong_venue")
    assert floor.do(cmd.RecordVenueDoubt(text="", **names)) == []
    floor.do(cmd.CancelOrder(order_id=leg.order_id, account_id="a1"))
    assert floor.do(cmd.RecordVenueCancelReject(text="", **names)) == []
    child = floor.desk.state.children[leg.cl_ord_id]
    assert (child.closed, child.acknowledged, child.in_doubt, bool(child.cancel)) == (False, False, False, True)


def test_f_14_of_reports_that_fit_no_order_the_latest_are_kept_and_those_before_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("piggy.core.venue_folding.SUSPENDED_KEPT", 2)
    floor = House()
    for number in range(3):
        floor.do(cmd.RecordVenueAck(venue="LP1", cl_ord_id=f"N{number}", venue_order_id="", occurred_at_us=1))
    assert [report.cl_ord_id for report in floor.desk.state.suspended] == ["N1", "N2"]
    assert floor.desk.state.suspended_before == 1
