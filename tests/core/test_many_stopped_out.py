"""INV-17: a gap stops many accounts out: each position is closed once and at once, whoever dies meanwhile.

STOP_OUT_ACCOUNTS (100) and STOP_OUT_DEATHS (5) set how many; the contract has 500 accounts and 50 deaths.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from decimal import Decimal as D

import pytest

from piggy.core import events as ev
from piggy.core.desk import Desk
from piggy.core.orders import Side
from tests.core.floor import Floor, only

ACCOUNTS = int(os.environ.get("STOP_OUT_ACCOUNTS", "100"))
DEATHS = int(os.environ.get("STOP_OUT_DEATHS", "5"))
TICK_US = 5_000  # 200 a second.
CLOSED_S_MAX = 0.5
TICKS_MAX, AFTERWARDS = 500, 30
GAP = D("-0.04000")
VENUES = ("LP1", "LP2", "LP3")
SIZE = str(2 * ACCOUNTS)


def crowd(group: str) -> Floor:
    """Everybody long one lot on just enough money, in books that show enough for all of them."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0, internal_cross=False)
    quoted(floor, D(0))
    for number in range(ACCOUNTS):
        floor.open_account(f"c{number}", group=group, amount=4_000)
        floor.place(f"c{number}", Side.BUY, "1")
        for leg in floor.children():
            floor.fill(leg, "1.10010")
    assert len(floor.desk.state.positions) == ACCOUNTS
    return floor


def quoted(floor: Floor, shift: D) -> None:
    for venue in VENUES:
        floor.quote(venue, str(D("1.10000") + shift), str(D("1.10010") + shift), size=SIZE)


def stopped_out(floor: Floor, deaths: set[int]) -> tuple[list[ev.AnyEvent], float]:
    """Let the price gap and act, tick after tick, also for a while after all are stopped out; seconds until that.

    At some of the ticks the engine is killed: its successor makes the desk of the log, and hears the prices anew.
    """
    done: list[ev.AnyEvent] = []
    finished, took_s, begun_s = 0, 0.0, time.process_time()
    for number in range(1, TICKS_MAX):
        floor.now_us += TICK_US
        quoted(floor, GAP)
        done += [event for command in floor.desk.due(now_us=floor.now_us) for event in floor.do(command)]
        if number in deaths:
            floor.desk = Desk(tenant="acorn")
            for recorded in floor.log:
                floor.desk.apply(recorded=recorded)
        if not finished and len({event.account_id for event in only(done, ev.StoppedOut)}) == ACCOUNTS:
            finished, took_s = number, number * TICK_US / 1_000_000 + time.process_time() - begun_s
        if finished and number >= finished + AFTERWARDS:
            return done, took_s
    raise AssertionError("some were never stopped out")


@pytest.mark.parametrize("group", ["a", "b"])
@pytest.mark.parametrize("deaths", [0, DEATHS])
def test_inv_17_a_gap_closes_everybody_within_half_a_second_and_once_though_engines_die(
    group: str, deaths: int
) -> None:
    """A close at a venue (A) is on its way, one of the house (B) is done; by simulated ticks and CPU time."""
    floor, chance = crowd(group), random.Random(17)
    events, took_s = stopped_out(floor, {chance.randrange(3, 8 + deaths) for _ in range(deaths)})
    assert deaths or took_s <= CLOSED_S_MAX, took_s
    owners = {name: order.terms.account_id for name, order in floor.desk.state.orders.items()}
    sold: Counter[str] = Counter()
    for fill in only(events, ev.OrderFilled):
        sold[fill.account_id] += fill.quantity
    for leg in only(events, ev.ChildOrderCreated):
        sold[owners[leg.order_id]] += leg.quantity
    assert set(sold) == {f"c{number}" for number in range(ACCOUNTS)}
    assert all(0 < lots <= 1 for lots in sold.values()), "nobody sold more than he had"
    assert set(Counter(event.account_id for event in only(events, ev.StoppedOut)).values()) == {1}
