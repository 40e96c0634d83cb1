"""A hedging house under random flow, answers, doubts and dealers."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.desk import Desk
from piggy.core.money import ZERO
from piggy.core.orders import Side
from tests.core.floor import canonical, only
from tests.core.hedging_floor import House, policy


class HedgingMachine(RuleBasedStateMachine):
    """Clients trade, venues answer, forget, repeat; dealers approve and refuse: the house never hedges twice."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = House(retry_ms=0, snooze_ms=0)
        self.seen: list[ev.ChildOrderCreated] = []

    def act(self) -> None:
        """Do one round of what is due, checking each proposal against the risk that everything pending leaves."""
        self.floor.quotes()
        for _ in range(5):
            for command in self.floor.desk.due(now_us=self.floor.now_us):
                before = len(self.floor.log)
                self.floor.do(command)
                self.check([recorded.event for recorded in self.floor.log[before:]])

    def check(self, events: list[ev.AnyEvent]) -> None:
        rule_of = self.floor.desk.state.hedge_policies["EURUSD"]
        for event in only(events, ev.HedgeProposed):
            left = abs(event.risk) - event.quantity
            assert left >= rule_of.target and event.side.sign * event.risk > 0

    @rule(
        account=st.sampled_from(["b1", "b2", "mixed1", "a1"]),
        side=st.sampled_from(list(Side)),
        lots=st.integers(1, 400),
    )
    def clients_trade(self, account: str, side: Side, lots: int) -> None:
        self.floor.quotes()
        self.floor.place(account, side, str(Decimal(lots) / 100))
        self.act()

    @rule(automatic=st.booleans())
    def the_policy_changes(self, automatic: bool) -> None:
        self.floor.do(cmd.ConfigureHedging(policy=policy(retry_ms=0, snooze_ms=0, automatic=automatic)))

    @rule(data=st.data(), answer=st.sampled_from(["fill", "part", "reject", "done", "doubt", "overstated"]))
    def a_venue_answers(self, data: st.DataObject, answer: str) -> None:
        legs = self.floor.children()
        if not legs:
            return
        leg = data.draw(st.sampled_from(legs))
        self.seen.append(leg)
        child = self.floor.desk.state.children[leg.cl_ord_id]
        if answer == "reject" and not child.filled:
            self.floor.reject(leg)
        elif answer == "done":
            self.floor.done(leg, filled=str(child.filled))
        elif answer == "overstated":
            self.floor.done(leg, filled=str(leg.quantity))
        elif answer == "doubt":
            self.floor.doubt(leg)
        else:
            points = int(child.leaves * 100)
            part = data.draw(st.integers(1, points)) if answer == "part" else points
            self.floor.fill(leg, str(leg.limit_price), lots=str(Decimal(part) / 100))
        self.act()

    @rule(data=st.data())
    def a_venue_repeats_itself_after_a_reconnect(self, data: st.DataObject) -> None:
        fills = [recorded.event for recorded in self.floor.log if isinstance(recorded.event, ev.ChildOrderFilled)]
        if not fills:
            return
        fill = data.draw(st.sampled_from(fills))
        again = cmd.RecordVenueFill(
            venue=fill.venue,
            cl_ord_id=fill.cl_ord_id,
            venue_order_id="V",
            fill_id=fill.fill_id,
            symbol=fill.symbol,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            occurred_at_us=self.floor.now_us,
        )
        assert self.floor.do(again) == []

    @rule(data=st.data(), approve=st.booleans())
    def a_dealer_decides(self, data: st.DataObject, approve: bool) -> None:
        state = self.floor.desk.state
        queued = sorted(hedge_id for hedge_id in state.open_hedges if not state.hedges[hedge_id].approved)
        if not queued:
            return
        hedge_id = data.draw(st.sampled_from(queued))
        if approve:
            self.floor.do(cmd.ApproveHedge(hedge_id=hedge_id, by="d"))
        else:
            self.floor.do(cmd.RejectHedge(hedge_id=hedge_id, by="d", reason=""))

    @invariant()
    def pending_is_what_open_hedges_have_left(self) -> None:
        state = self.floor.desk.state
        left = [state.hedges[hedge_id] for hedge_id in state.open_hedges]
        assert state.hedge_pending.get("EURUSD", ZERO) == sum(
            (hedge.side.sign * (hedge.quantity - hedge.filled) for hedge in left), ZERO
        )
        assert all(ZERO <= hedge.filled <= hedge.quantity and hedge.routed >= 0 for hedge in state.hedges.values())
        parents = {child.created.order_id for child in state.open_children.values()}
        closed = state.hedges.keys() - state.open_hedges
        assert not parents & closed, "no leg outlives its hedge"

    @invariant()
    def venues_hold_what_they_filled(self) -> None:
        state = self.floor.desk.state
        events = [recorded.event for recorded in self.floor.log]
        fills = only(events, ev.ChildOrderFilled)
        assert state.exposure["EURUSD"].venue_net == sum((f.side.sign * f.quantity for f in fills), ZERO)
        assert sum(state.venue_nets.values(), ZERO) == state.exposure["EURUSD"].venue_net
        house = sum((f.side.sign * f.quantity for f in only(events, ev.HedgeFilled)), ZERO)
        assert sum((p.quantity for p in state.house_positions.values()), ZERO) == house
        for event in only(events[-20:], ev.HedgeFilled):
            assert ledger.is_balanced(ledger.postings(event=event, currency=""))

    def teardown(self) -> None:
        again = Desk(tenant="acorn")
        for recorded in self.floor.log:
            again.apply(recorded=recorded)
        assert canonical(again.state) == canonical(self.floor.desk.state)


HedgingMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestHedging = HedgingMachine.TestCase
