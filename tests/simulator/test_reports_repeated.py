"""INV-04: an LP may say everything again, in any order and with PossDup; what it adds up to stays the same."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.messages import SOH
from piggy.bench.opening import market, opening
from piggy.core import commands as cmd
from piggy.core.accounts import BookMode
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, ChildOrderCreated, ChildOrderFilled, Recorded
from piggy.core.market import VenueQuote
from piggy.core.orders import OrderTerms, Side
from piggy.simulator.config import LpConfig
from tests.simulator.lp_range import Hearer, LpRange, say, wait
from tests.simulator.test_range import joined

NOW_US = time.time_ns() // 1_000
ORDERS = 12


class Story:
    """A desk with its log; every command is a new one to it, so that nothing but the report's own identity helps."""

    def __init__(self) -> None:
        self.desk = Desk(tenant="acorn")
        self.log: list[AnyEvent] = []

    def do(self, command: cmd.AnyCommand) -> tuple[AnyEvent, ...]:
        events = self.desk.decide(command=command, now_us=NOW_US)
        for event in events:
            seq = len(self.log) + 1
            self.desk.apply(
                recorded=Recorded(
                    seq=seq,
                    command_id=f"c{seq}",
                    position=0,
                    principal="test",
                    request_hash="",
                    occurred_at_us=NOW_US,
                    recorded_at_us=NOW_US,
                    recorded_mono_ns=seq,
                    event=event,
                )
            )
            self.log.append(event)
        return events

    def sums(self) -> object:
        state = self.desk.state
        fills = sorted(
            (each.cl_ord_id, each.fill_id, each.quantity) for each in self.log if type(each) is ChildOrderFilled
        )
        positions = {key: each.quantity for key, each in state.positions.items()}
        venue_net = {symbol: each.venue_net for symbol, each in state.exposure.items()}
        filled = {order_id: order.filled for order_id, order in state.orders.items()}
        return fills, positions, venue_net, filled, dict(state.balances)


@pytest.fixture
def lp_range(tmp_path: Path) -> Iterator[LpRange]:
    lp = LpConfig(name="LP1", partial_rate=Decimal("0.5"), latency_ms=1, quotes_per_s=10)
    made = LpRange(home=tmp_path, lps=(lp,))
    made.start()
    yield made
    made.stop()


def test_inv_04_every_report_three_times_shuffled_with_possdup_changes_no_sum(lp_range: LpRange) -> None:
    story, hearer = Story(), joined(lp_range)
    try:
        legs = placed(story)
        for leg in legs:
            assert say(hearer.session, leg)
        wait(lambda: all(is_over(hearer, leg) for leg in legs))
    finally:
        hearer.session.stop()
    told = list(hearer.raw)
    for raw in told:
        hear(story, hearer, raw)
    before = story.sums()
    assert before[0], "the LP filled something"
    again = [possdup(raw) if number % 2 else raw for number, raw in enumerate(told * 3)]
    random.Random(4).shuffle(again)
    for raw in again:
        hear(story, hearer, raw)
    assert story.sums() == before
    truth = lp_range.truth("LP1")
    lots = sum((truth["ACORN", leg.cl_ord_id].filled for leg in legs), Decimal(0)) / 100_000
    assert sum((quantity for _, _, quantity in before[0]), Decimal(0)) == lots


def placed(story: Story) -> list[ChildOrderCreated]:
    for command in opening(accounts=ORDERS, mode=BookMode.A):
        story.do(command)
    for each in market(now_us=NOW_US):
        if each.venue == "LP1":
            story.desk.quote(quote=each) if isinstance(each, VenueQuote) else story.desk.status(status=each)
    legs = []
    for number in range(ORDERS):
        terms = OrderTerms(account_id=f"c{number}", symbol="EURUSD", side=Side.BUY, quantity=Decimal("0.20"))
        events = story.do(cmd.PlaceOrder(terms=terms))
        legs += [event for event in events if isinstance(event, ChildOrderCreated)]
    assert len(legs) == ORDERS
    return legs


def is_over(hearer: Hearer, leg: ChildOrderCreated) -> bool:
    mine = [report for report in hearer.reports if report.cl_ord_id == leg.cl_ord_id]
    return any(report.kind in ("done", "reject") or report.cumulative == leg.quantity for report in mine)


def hear(story: Story, hearer: Hearer, raw: str) -> None:
    report = read_report(text=raw, config=hearer.session.config)
    if report.command is not None:
        story.do(report.command)


def possdup(raw: str) -> str:
    return raw.replace(f"{SOH}34=", f"{SOH}43=Y{SOH}34=", 1)
