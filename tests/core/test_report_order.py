"""Whatever the order in which a venue's reports arrive, the same stands in the end (INV-06, F-13, F-15, F-16).

REPORT_SETS sets how many random sets of reports are tried in all their orders; by default it is one in some of them.
"""

from __future__ import annotations

import copy
import itertools
import os
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import ledger
from piggy.core.accounts import TradingState
from piggy.core.desk import Desk
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueState, VenueStatus
from piggy.core.money import ZERO
from piggy.core.orders import Side
from tests.core.floor import EURUSD, Floor, canonical

SETS = int(os.environ.get("REPORT_SETS", "0"))
ORDERS_TRIED = 60
REPORTS_MAX = 6
LOTS = Decimal(2)
MARK = Decimal("1.10500")


class Roughly(Decimal):
    """Money that may differ by what rounding every fill to the cent leaves."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decimal) and abs(self - other) < Decimal("0.1")

    __hash__ = None  # type: ignore[assignment]


def started(side: Side = Side.BUY) -> tuple[Floor, ChildOrderCreated]:
    """A client who holds something already asks for two lots more; one venue has them, and then nobody quotes."""
    floor = Floor(commission_per_lot=Decimal(3))
    floor.place("a1", Side.SELL, "1")
    for leg in floor.children():
        floor.fill(leg, "1.10000")
    floor.do(cmd.SetTradingState(scope="venue", key="LP2", state=TradingState.HALTED, reason="", by="d"))
    floor.do(cmd.SetTradingState(scope="venue", key="LP3", state=TradingState.HALTED, reason="", by="d"))
    floor.place("a1", side, str(LOTS))
    (leg,) = floor.children()
    for venue in ("LP1", "LP2", "LP3"):
        floor.desk.status(status=VenueStatus(venue=venue, state=VenueState.DOWN, text="", at_us=floor.now_us))
    return floor, leg


class Reports:
    """The reports of one leg as the venue sends them, each exactly once, ending with the end of the leg."""

    def __init__(self, leg: ChildOrderCreated) -> None:
        self.leg = leg
        self.net: dict[str, Decimal] = {}
        self.versions: dict[str, list[Decimal]] = {}
        self.all: list[cmd.AnyCommand] = []

    def _common(self) -> dict[str, Any]:
        at_us = 1_700_000_000_000_000 + len(self.all)
        return {"venue": self.leg.venue, "cl_ord_id": self.leg.cl_ord_id, "occurred_at_us": at_us}

    def ack(self) -> None:
        self.all.append(cmd.RecordVenueAck(venue_order_id="V", **self._common()))

    def fill(self, fill_id: str, lots: Decimal, price: Decimal) -> None:
        self._stands(fill_id, lots)
        self.all.append(
            cmd.RecordVenueFill(
                venue_order_id="V", fill_id=fill_id, quantity=lots, price=price,
                symbol=self.leg.symbol, side=self.leg.side, **self._common(),
            )
        )  # fmt: skip

    def bust(self, fill_id: str) -> None:
        self._stands(fill_id, ZERO)
        self.all.append(
            cmd.RecordVenueBust(report_id=f"B-{fill_id}", ref_fill_id=fill_id, text="error", **self._common())
        )

    def correct(self, fill_id: str, lots: Decimal, price: Decimal) -> None:
        self._stands(fill_id, lots)
        number = sum(isinstance(report, cmd.RecordVenueCorrection) for report in self.all)
        self.all.append(
            cmd.RecordVenueCorrection(
                report_id=f"C{number}-{fill_id}", ref_fill_id=fill_id, quantity=lots, price=price, text="error",
                symbol=self.leg.symbol, side=self.leg.side, **self._common(),
            )
        )  # fmt: skip

    def _stands(self, fill_id: str, lots: Decimal) -> None:
        self.net[fill_id] = lots
        self.versions.setdefault(fill_id, [ZERO]).append(lots)

    def are_ambiguous(self) -> bool:
        """Tell whether a part of the reports comes to as many lots as all of them.

        Then nobody can tell from the venue's total whether something is missing: the leg ends, and what comes later
        is more than it had.
        """
        sums = [sum(some, ZERO) for some in itertools.product(*map(set, self.versions.values()))]
        return sums.count(sum(self.net.values(), ZERO)) > 1

    def end(self) -> None:
        filled = sum(self.net.values(), ZERO)
        self.all.append(cmd.RecordVenueDone(filled=filled, text="ended", **self._common()))


def scenario(seed: int) -> tuple[Floor, list[cmd.AnyCommand]]:
    """Return up to six reports that a venue may send of one leg, whose fills never come to more than the leg."""
    for attempt in itertools.count():
        draw = random.Random(f"{seed}/{attempt}")
        floor, leg = started(draw.choice(list(Side)))
        reports = _reports(leg, draw)
        if not reports.are_ambiguous():
            return floor, reports.all
    raise AssertionError("never reached")


def _reports(leg: ChildOrderCreated, draw: random.Random) -> Reports:
    reports = Reports(leg)
    if draw.random() < 0.4:
        reports.ack()
    room = LOTS
    for number in range(draw.choice([1, 1, 2])):
        lots = min(room, Decimal(draw.randrange(1, 151)) / 100)
        if lots:
            room -= lots
            reports.fill(f"E{number}", lots, Decimal(draw.randrange(110000, 110020)) / 100_000)
    for fill_id in sorted(reports.net):
        for _ in range(draw.choice([0, 1, 1, 2])):
            if len(reports.all) == REPORTS_MAX - 1 or not reports.net[fill_id]:
                break
            if draw.random() < 0.5:
                reports.bust(fill_id)
            else:
                lots = Decimal(draw.randrange(1, int(reports.net[fill_id] * 100) + 1)) / 100
                reports.correct(fill_id, lots, Decimal(draw.randrange(109990, 110020)) / 100_000)
    reports.end()
    return reports


def outcome(floor: Floor, reports: list[cmd.AnyCommand]) -> dict[str, Any]:
    """Return what stands after these reports, in this order, on a copy of the floor."""
    floor = copy.deepcopy(floor)
    for report in reports:
        floor.do(report)
        check(floor)
        floor.act()
        check(floor)
    assert not floor.desk.state.parked
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state), "a desk from the log is the desk that lived (INV-08)"
    return standing(floor)


def check(floor: Floor) -> None:
    """INV-05 and INV-07 hold after every report."""
    state = floor.desk.state
    for order in state.orders.values():
        assert ZERO <= order.filled <= order.quantity and order.routed >= ZERO
        assert order.leaves == (ZERO if order.state.final else order.quantity - order.filled)
    for recorded in floor.log[-8:]:
        assert ledger.is_balanced(ledger.postings(event=recorded.event, currency="USD"))


def standing(floor: Floor) -> dict[str, Any]:
    """Return all that must not depend on the order: the order, its leg, what is held where, and every money."""
    state = floor.desk.state
    order = state.orders["O000000002"]
    (leg,) = [child for child in state.children.values() if child.created.order_id == order.order_id]
    position = state.positions.get("a1:EURUSD")
    open_profit = (position.quantity * MARK - position.cost) * EURUSD.contract_size if position else ZERO
    exposure = state.exposure["EURUSD"]
    books: dict[str, Decimal] = {}
    for recorded in floor.log:
        for line in ledger.postings(event=recorded.event, currency="USD"):
            key = f"{line.gl_account} {line.owner}"
            books[key] = books.get(key, ZERO) + line.amount
    assert books["client_money a1"] == -state.balances["a1"], "a balance is the sum of its postings (INV-07)"
    return {
        "order": (order.state, order.filled, order.leaves, order.routed, order.average_price, order.commission),
        "leg": (leg.filled, leg.closed, leg.in_doubt),
        "net": position.quantity if position else ZERO,
        "profit": exposure.realised + open_profit,
        "balance": Roughly(state.balances["a1"] + open_profit),
        "venue": (exposure.venue_net, exposure.venue_cash, dict(state.venue_nets)),
        "reserved": state.reserved["a1"],
        "turnover": state.turnover.get("a1", (0, ZERO))[1],
        "markup": books.get("markup_income ", ZERO),
    }


@pytest.mark.parametrize("seed", range(max(SETS, 1)))
def test_every_order_of_a_set_of_reports_gives_the_same(seed: int) -> None:
    sets = (scenario(number) for number in itertools.count(seed * 1_000))
    floor, reports = next(found for found in sets if len(found[1]) == REPORTS_MAX)
    orders = list(itertools.permutations(reports))
    tried = orders if SETS else random.Random(seed).sample(orders, ORDERS_TRIED)
    results = [outcome(floor, list(order)) for order in tried]
    assert all(result == results[0] for result in results)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1_000_000), shuffle=st.randoms(use_true_random=False))
def test_any_order_of_any_reports_gives_the_same(seed: int, shuffle: random.Random) -> None:
    floor, reports = scenario(seed)
    shuffled = list(reports)
    shuffle.shuffle(shuffled)
    assert outcome(floor, shuffled) == outcome(floor, reports)
