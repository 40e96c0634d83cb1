"""A desk under random commands: what must hold after every one of them (INV-05, INV-07, INV-08).

DESK_RUNS sets how many lives of at most 50 steps it has; the contract's night has 10,000.
"""

from __future__ import annotations

import os
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.auctions import AuctionPhase
from piggy.core.bookbuild import BuildMode, PriceBuild, ThinBook
from piggy.core.correction_events import OrderFillBusted, VenueFillBusted
from piggy.core.desk import Desk
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk, SymbolRisk
from piggy.core.orders import Side
from piggy.core.positions import netted_id
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.state import Child, Order
from tests.core.floor import Floor, canonical

ACCOUNTS = st.sampled_from(["a1", "b1", "b2", "mixed1"])
SIDES = st.sampled_from(list(Side))
POINT = Decimal("0.00001")
LOTS = st.integers(1, 300).map(lambda n: f"{n / 100:.2f}")
BUILDS = (
    None,
    PriceBuild(mode=BuildMode.MIDPOINT),
    PriceBuild(mode=BuildMode.VWAP, size_lots=Decimal("2.5")),
    PriceBuild(mode=BuildMode.CUMULATIVE, size_lots=Decimal(7), thin=ThinBook.REJECT),
)
SHIFTS = st.integers(-60, 60).map(lambda n: f"{n / 100000:.5f}")


class DeskMachine(RuleBasedStateMachine):
    """Clients trade and amend, calls begin and end, venues fill, reject, repeat and end, prices move, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor()
        offer = GuaranteedStops(premium_points=Decimal(3), distance_points_min=Decimal(20))
        for group in ("a", "b", "mixed"):
            profile = PriceProfile(guaranteed_stops=offer)
            self.floor.do(cmd.ConfigurePricing(group=group, symbol="*", profile=profile))
        self.legs_seen: list[ev.ChildOrderCreated] = []

    @rule(account=ACCOUNTS, side=SIDES, lots=LOTS)
    def market_order(self, account: str, side: Side, lots: str) -> None:
        self.floor.place(account, side, lots)

    @rule(account=ACCOUNTS, side=SIDES, lots=LOTS, shift=SHIFTS)
    def limit_order(self, account: str, side: Side, lots: str, shift: str) -> None:
        self.floor.place(account, side, lots, limit_price=str(Decimal("1.10005") + Decimal(shift)))

    @rule(account=ACCOUNTS, side=SIDES, lots=LOTS, away=st.integers(15, 60))
    def an_order_with_a_guaranteed_stop(self, account: str, side: Side, lots: str, away: int) -> None:
        best = self.floor.desk.marks["EURUSD"]
        stop = (best.ask if side is Side.BUY else best.bid) - side.sign * away * POINT
        self.floor.place(account, side, lots, stop_loss=stop, guaranteed_stop=True)

    @rule(data=st.data(), lots=LOTS, shift=SHIFTS)
    def an_order_is_amended(self, data: st.DataObject, lots: str, shift: str) -> None:
        waiting = [order for order in self.floor.desk.state.orders.values() if order.rests]
        if waiting:
            order = data.draw(st.sampled_from(waiting))
            price = Decimal("1.10005") + Decimal(shift)
            self.floor.do(
                cmd.AmendOrder(
                    order_id=order.order_id,
                    account_id=order.terms.account_id,
                    quantity=order.filled + Decimal(lots),
                    limit_price=price,
                )
            )

    @rule(phase=st.sampled_from([AuctionPhase.OPENING_CALL, AuctionPhase.CONTINUOUS]))
    def a_call_begins_or_ends(self, phase: AuctionPhase) -> None:
        self.floor.do(cmd.ChangePhase(symbol="EURUSD", phase=phase, reason="drill", by="ann"))

    @rule(group=st.sampled_from(["a", "b", "mixed"]), build=st.sampled_from(BUILDS))
    def a_group_is_shown_another_build(self, group: str, build: PriceBuild | None) -> None:
        self.floor.do(cmd.ConfigurePricing(group=group, symbol="EURUSD", profile=PriceProfile(build=build)))

    @rule(shift=SHIFTS)
    def prices_move(self, shift: str) -> None:
        self.floor.quotes(shift)
        self.floor.act()

    @rule(data=st.data())
    def a_venue_answers(self, data: st.DataObject) -> None:
        legs = self.floor.children()
        if not legs:
            return
        leg = data.draw(st.sampled_from(legs))
        self.legs_seen.append(leg)
        open_points = int(self.floor.desk.state.children[leg.cl_ord_id].leaves * 100)
        answer = data.draw(st.sampled_from(["fill", "part", "reject", "done"]))
        if answer == "reject" and open_points == leg.quantity * 100:
            self.floor.reject(leg)
        elif answer == "done":
            self.floor.done(leg, filled=str(self.floor.desk.state.children[leg.cl_ord_id].filled))
        else:
            part = data.draw(st.integers(1, open_points)) if answer == "part" else open_points
            self.floor.fill(leg, str(leg.limit_price), lots=str(Decimal(part) / 100))

    @rule(data=st.data())
    def a_client_cancels(self, data: st.DataObject) -> None:
        open_ = sorted(order_id for ids in self.floor.desk.state.open_orders.values() for order_id in ids)
        if not open_:
            return
        order_id = data.draw(st.sampled_from(open_))
        account_id = self.floor.desk.state.orders[order_id].terms.account_id
        self.floor.do(cmd.CancelOrder(order_id=order_id, account_id=account_id))
        asked = self.floor.desk.unanswered_cancels()
        if asked and data.draw(st.booleans()):
            leg = data.draw(st.sampled_from(asked))
            self.floor.do(
                cmd.RecordVenueCancelReject(
                    venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="too late", occurred_at_us=self.floor.now_us
                )
            )

    @rule(data=st.data())
    def a_venue_repeats_or_contradicts_itself(self, data: st.DataObject) -> None:
        if not self.legs_seen:
            return
        leg = data.draw(st.sampled_from(self.legs_seen))
        if data.draw(st.booleans()):
            self.floor.reject(leg)
        else:
            self.floor.fill(leg, str(leg.limit_price), lots="0.01", fill_id="again")

    @rule(data=st.data(), points=st.integers(1, 200), shift=SHIFTS)
    def a_venue_takes_back_or_restates_a_fill(self, data: st.DataObject, points: int, shift: str) -> None:
        """F-15, F-16: of a fill long done, of one already taken back, or of one not heard of yet."""
        fills = [recorded.event for recorded in self.floor.log if isinstance(recorded.event, ev.ChildOrderFilled)]
        if not fills:
            return
        fill = data.draw(st.sampled_from(fills))
        named = {
            "venue": fill.venue,
            "cl_ord_id": fill.cl_ord_id,
            "report_id": f"R{len(self.floor.log)}",
            "ref_fill_id": data.draw(st.sampled_from([fill.fill_id] * 5 + ["not heard of"])),
            "text": "",
            "occurred_at_us": self.floor.now_us,
        }
        if data.draw(st.booleans()):
            self.floor.do(cmd.RecordVenueBust(**named))
        else:
            lots, price = Decimal(points) / 100, fill.price + Decimal(shift)
            self.floor.do(
                cmd.RecordVenueCorrection(symbol=fill.symbol, side=fill.side, quantity=lots, price=price, **named)
            )
        self.floor.act()

    @invariant()
    def order_quantities_add_up(self) -> None:
        """INV-05: CumQty + LeavesQty = OrderQty while live; terminal leaves nothing; never negative."""
        for order in self.floor.desk.state.orders.values():
            assert ZERO <= order.filled <= order.quantity
            assert order.routed >= ZERO and order.free >= ZERO
            assert order.leaves == (ZERO if order.state.final else order.quantity - order.filled)

    @invariant()
    def guaranteed_stops_fill_at_their_price_and_stand_for_what_there_is(self) -> None:
        state = self.floor.desk.state
        stood: dict[str, Decimal] = {}
        for order in state.orders.values():
            if order.guaranteed and order.filled:
                assert order.average_price == order.terms.stop_price
            if order.guaranteed and order.leaves and not order.routed:
                name = netted_id(account_id=order.terms.account_id, symbol=order.terms.symbol)
                stood[name] = stood.get(name, ZERO) + order.leaves
        assert all(lots <= state.positions[name].lots for name, lots in stood.items())

    @invariant()
    def positions_are_the_sum_of_fills(self) -> None:
        sums: dict[str, Decimal] = {}
        for recorded in self.floor.log:
            event = recorded.event
            if isinstance(event, ev.OrderFilled):
                sums[event.position_id] = sums.get(event.position_id, ZERO) + event.side.sign * event.quantity
            elif isinstance(event, OrderFillBusted):
                sums[event.position_id] -= event.side.sign * event.quantity
        held = {key: position.quantity for key, position in self.floor.desk.state.positions.items()}
        assert held == {key: lots for key, lots in sums.items() if lots}

    @invariant()
    def every_life_is_its_position(self) -> None:
        """What is kept of a position's fills adds up to it, so that any of them can be taken out."""
        state = self.floor.desk.state
        assert state.lives.keys() == state.positions.keys()
        for key, life in state.lives.items():
            kept = sum(
                (fill.side.sign * fill.quantity for fill in life.fills), life.base.quantity if life.base else ZERO
            )
            assert kept == state.positions[key].quantity

    @invariant()
    def venues_hold_what_stands(self) -> None:
        state, net = self.floor.desk.state, ZERO
        for recorded in self.floor.log:
            event = recorded.event
            if isinstance(event, ev.ChildOrderFilled):
                net += event.side.sign * event.quantity
            elif isinstance(event, VenueFillBusted):
                net -= event.side.sign * event.quantity
        assert state.exposure["EURUSD"].venue_net == net == sum(state.venue_nets.values(), ZERO)
        for child in state.children.values():
            standing = sum(
                (dealt.venue.quantity for name, dealt in child.dealt.items() if name not in child.superseded), ZERO
            )
            assert child.filled == standing

    @invariant()
    def exposure_is_the_sum_of_positions(self) -> None:
        state = self.floor.desk.state
        exposure = state.exposure["EURUSD"]
        assert exposure.client_net == sum((p.quantity for p in state.positions.values()), ZERO)
        assert exposure.client_net == exposure.a_net + exposure.b_net + exposure.cross_net
        assert exposure.positions == len(state.positions)

    @invariant()
    def open_risk_is_a_recount(self) -> None:
        """P-19: held, and what orders and legs may still deal, of every account, of the house and of every venue."""
        state = self.floor.desk.state
        orders = [order for order in state.orders.values() if order.leaves and not order.terms.reduce_only]
        for account_id in state.accounts:
            held = sum((p.quantity for p in state.positions.values() if p.account_id == account_id), ZERO)
            mine = [order for order in orders if order.terms.account_id == account_id]
            self._agree(state.account_risks.get(account_id, OpenRisk()), held, _each_way(mine))
        self._agree(state.house_risk, state.exposure["EURUSD"].uncovered, _each_way(orders))
        for venue in state.venues:
            legs = [child for child in state.open_children.values() if child.created.venue == venue]
            net = state.venue_nets.get((venue, "EURUSD"), ZERO)
            self._agree(state.venue_risks.get(venue, OpenRisk()), net, _each_way(legs))

    def _agree(self, risk: OpenRisk, net: Decimal, working: tuple[Decimal, Decimal]) -> None:
        known = risk.symbols.get("EURUSD", SymbolRisk())
        assert (known.net, known.buys, known.sells) == (net, *working)
        assert known.worth == max(abs(net + working[0]), abs(net - working[1])) * known.unit
        assert risk.sums.get("USD", ZERO) == known.worth

    @invariant()
    def margin_and_reserves_follow_what_is_open(self) -> None:
        state = self.floor.desk.state
        for account_id in state.accounts:
            held = sum((margin for (owner, _), margin in state.margins.items() if owner == account_id), ZERO)
            assert abs(state.used_margin.get(account_id, ZERO) - held) < Decimal("1E-9")
            if not state.open_orders.get(account_id):
                assert abs(state.reserved.get(account_id, ZERO)) < Decimal("1E-9")

    @invariant()
    def the_ledger_balances(self) -> None:
        """INV-07."""
        for recorded in self.floor.log[-20:]:
            assert ledger.is_balanced(ledger.postings(event=recorded.event, currency="USD"))

    @invariant()
    def every_limit_is_honoured(self) -> None:
        """A fill keeps the limit of its moment, so an amendment excuses those before it."""
        orders, amended = self.floor.desk.state.orders, set[str]()
        for recorded in reversed(self.floor.log[-20:]):
            event = recorded.event
            if isinstance(event, ev.OrderAmended):
                amended.add(event.order_id)
            if not isinstance(event, ev.OrderFilled) or event.order_id in amended:
                continue
            if limit := orders[event.order_id].terms.limit_price:
                assert event.side.sign * (limit - event.price) >= 0

    def teardown(self) -> None:
        again = Desk(tenant="acorn")
        for recorded in self.floor.log:
            again.apply(recorded=recorded)
        assert canonical(again.state) == canonical(self.floor.desk.state)


def _each_way(working: list[Order] | list[Child]) -> tuple[Decimal, Decimal]:
    """Return the lots that orders or legs may still buy and sell."""
    lots = {Side.BUY: ZERO, Side.SELL: ZERO}
    for each in working:
        side = each.terms.side if isinstance(each, Order) else each.created.side
        lots[side] += each.leaves
    return lots[Side.BUY], lots[Side.SELL]


RUNS = int(os.environ.get("DESK_RUNS", "60"))
DeskMachine.TestCase.settings = settings(max_examples=RUNS, stateful_step_count=50, deadline=None)
TestDesk = DeskMachine.TestCase
