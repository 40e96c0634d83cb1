"""Two trading floors on which the same happens: one keeps everything, one lets go."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.bust_commands import BustFills, CorrectFill
from piggy.core.orders import OrderType, Side, TimeInForce
from tests.core.floor import SECOND_US, Floor
from tests.core.forgetful import ForgetfulFloor
from tests.core.hedging_floor import policy
from tests.core.test_busting import on_record

D = Decimal
ACCOUNTS = ("a1", "b1", "b2", "mixed1")


class Pair:
    """Two floors on which the same happens: one keeps everything, one lets go."""

    def __init__(self, *, seed: int) -> None:
        self.chance = random.Random(seed)
        self.keeps, self.lets_go = Floor(), ForgetfulFloor()
        self.both = (self.keeps, self.lets_go)
        self.legs: list[ev.ChildOrderCreated] = []
        self.fills: list[cmd.RecordVenueFill] = []
        self.number = 0
        for floor in self.both:
            floor.do(cmd.ConfigureHedging(policy=policy()))

    def same(self, act: Callable[[Floor], Any]) -> None:
        """Let it happen on both floors: the same comes of it."""
        kept, let_go = (told(act(floor)) for floor in self.both)
        assert kept == let_go
        self.legs += [event for event in kept if isinstance(event, ev.ChildOrderCreated)]

    def do(self, command: cmd.AnyCommand) -> None:
        self.same(lambda floor: floor.do(command))

    def step(self) -> None:
        """Anything may happen, also to what ended long ago."""
        kinds = [self.order, self.order, self.bracket, self.leg, self.leg, self.prices, self.late, self.person]
        self.chance.choice(kinds)()
        if self.chance.random() < 0.1:
            pause = self.chance.choice([5, 30, 90]) * SECOND_US
            for floor in self.both:
                floor.now_us += pause
                floor.requote()

    def order(self) -> None:
        chance = self.chance
        account, side, lots = chance.choice(ACCOUNTS), chance.choice(list(Side)), f"{chance.randint(1, 300) / 100:.2f}"
        price = str(D("1.10005") + D(chance.randint(-60, 60)) / 100_000)
        terms: dict[str, Any] = chance.choice(
            [{}, {"limit_price": price}, {"limit_price": price, "oco_group": f"g{chance.randint(1, 3)}"},
             {"type": OrderType.STOP, "stop_price": D(price)}, {"limit_price": price, "time_in_force": TimeInForce.DAY}]
        )  # fmt: skip
        self.same(lambda floor: floor.place(account, side, lots, **terms))

    def bracket(self) -> None:
        far = {"stop_loss": D("1.09"), "take_profit": D("1.11")}
        side = self.chance.choice(list(Side))
        exits = far if side is Side.BUY else {"stop_loss": far["take_profit"], "take_profit": far["stop_loss"]}
        self.same(lambda floor: floor.place(self.chance_account(), side, "0.50", **exits))

    def chance_account(self) -> str:
        return ACCOUNTS[self.number % len(ACCOUNTS)]

    def leg(self) -> None:
        """A venue says something of a leg that lives."""
        if not (legs := self.keeps.children()):
            return
        leg, what = self.chance.choice(legs), self.chance.random()
        common: dict[str, Any] = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": self.keeps.now_us}
        leaves = self.keeps.desk.state.children[leg.cl_ord_id].leaves
        if what < 0.5:
            self.fill(leg, leaves)
        elif what < 0.6:
            self.fill(leg, min(leaves, D("0.01")))
        elif what < 0.7:
            self.do(cmd.RecordVenueReject(code="99", text="last look", **common))
        elif what < 0.8:
            filled = self.keeps.desk.state.children[leg.cl_ord_id].filled
            self.do(cmd.RecordVenueDone(filled=filled, text="over", **common))
        elif what < 0.9:
            self.do(cmd.RecordVenueAck(venue_order_id="V", **common))
        else:
            self.do(cmd.RecordVenueDoubt(text="lost", **common))

    def fill(self, leg: ev.ChildOrderCreated, lots: Decimal) -> None:
        self.number += 1
        fill = cmd.RecordVenueFill(
            venue=leg.venue, cl_ord_id=leg.cl_ord_id, venue_order_id="V", fill_id=f"X{self.number}", symbol=leg.symbol,
            side=leg.side, quantity=lots, price=leg.limit_price, occurred_at_us=self.keeps.now_us,
        )  # fmt: skip
        self.fills.append(fill)
        self.do(fill)

    def prices(self) -> None:
        shift = f"{self.chance.randint(-80, 80) / 100_000:.5f}"
        for floor in self.both:
            floor.quotes(shift)
        self.same(act)

    def late(self) -> None:
        """A venue says again, or anew, something of a leg of long ago."""
        if not self.legs:
            return
        leg = self.chance.choice(self.legs)
        common: dict[str, Any] = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": self.keeps.now_us}
        kind = self.chance.randrange(8)
        if kind == 0:
            self.fill(leg, D("0.02"))
        elif kind == 1 and self.fills:
            self.do(self.chance.choice(self.fills))
        elif kind == 2 and self.fills:
            fill = self.chance.choice(self.fills)
            self.do(self.report(cmd.RecordVenueBust, fill))
        elif kind == 3 and self.fills:
            fill = self.chance.choice(self.fills)
            terms = {"symbol": fill.symbol, "side": fill.side, "quantity": fill.quantity, "price": D("1.10007")}
            self.do(self.report(cmd.RecordVenueCorrection, fill, **terms))
        else:
            said: list[cmd.AnyCommand] = [
                cmd.RecordVenueAck(venue_order_id="V", **common),
                cmd.RecordVenueReject(code="1", text="late", **common),
                cmd.RecordVenueDone(filled=D(0), text="late", **common),
                cmd.RecordVenueDoubt(text="late", **common),
            ]
            if self.keeps.desk.state.children[leg.cl_ord_id].closed:
                self.do(said[kind - 4])

    def report(self, kind: Any, fill: cmd.RecordVenueFill, **terms: Any) -> Any:
        self.number += 1
        return kind(
            venue=fill.venue, cl_ord_id=fill.cl_ord_id, report_id=f"R{self.number}", ref_fill_id=fill.fill_id,
            text="", occurred_at_us=self.keeps.now_us, **terms,
        )  # fmt: skip

    def person(self) -> None:
        """A person takes a fill of long ago back, deals it anew, or lets a denied order through."""
        fills, kind = [fill for fill in on_record(self.keeps) if fill.book != "CROSS"], self.chance.random()
        if kind < 0.3 and fills:
            at = self.chance.choice(fills).fill_id
            self.same(lambda floor: floor.do(BustFills(fills=(of(floor, at),), reason="bad tick", by="dora")))
        elif kind < 0.6 and fills:
            at = self.chance.choice(fills).fill_id
            price = D("1.1") + D(self.chance.randint(1, 40)) / 100_000
            command = {"price": price, "reason": "bad tick", "by": "dora"}
            self.same(lambda floor: floor.do(CorrectFill(fill=of(floor, at), **command)))
        elif self.keeps.desk.state.orders:
            order = self.chance.choice(list(self.keeps.desk.state.orders.values()))
            people = {"reason": "known", "requested_by": "dora", "authorised_by": "eve"}
            ends = self.keeps.now_us + 60 * SECOND_US
            codes = frozenset({"P-12"})
            self.do(cmd.GrantOverride(order_id=order.order_id, codes=codes, expires_at_us=ends, **people))


def of(floor: Floor, fill_id: str) -> Any:
    return next(fill for fill in on_record(floor) if fill.fill_id == fill_id)


def act(floor: Floor) -> list[ev.AnyEvent]:
    """Do whatever is due, but for letting go, until nothing is."""
    done: list[ev.AnyEvent] = []
    for _ in range(50):
        events = [event for command in floor.desk.due(now_us=floor.now_us) if not is_leaving(command)
                  for event in floor.do(command)]  # fmt: skip
        if not events:
            return done
        done += events
    raise AssertionError("the desk never comes to rest")


def is_leaving(command: object) -> bool:
    return isinstance(command, cmd.LetOrdersGo | cmd.LetOrderGo)


def told(events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """Events without where in the log what they correct is."""
    bare = (msgspec.structs.replace(event, supersedes=0) for event in events)
    return [msgspec.structs.replace(event, place_seq=0) if hasattr(event, "place_seq") else event for event in bare]
