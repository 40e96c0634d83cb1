"""Random days of which every fill is taken back in the end: each client has what he paid in, and the house nothing."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import Account, PositionMode
from piggy.core.correction_events import OrderFillBusted
from piggy.core.leaving import Keeping
from piggy.core.orders import Side
from piggy.core.swaps import SwapRates
from tests.core.floor import CLEARED, SECOND_US, Floor
from tests.core.test_busting import bust, correct, on_record
from tests.core.test_corrections import bust as bust_at_venue

D = Decimal
SIDES, GROUPS = list(Side), ("a", "b", "mixed")
STEPS_US = (2 * SECOND_US, 3_600 * SECOND_US, 40_000 * SECOND_US, 90_000 * SECOND_US)
# Of a position of both books each bust restates what fills of the other made, so that only their sum is exact.
DEALING = (ledger.HOUSE_DEALING, ledger.PASSED_DEALING, ledger.LP_SETTLEMENT, ledger.HEDGING_RESULT)


def lives_through(rng: random.Random) -> Floor:
    """Small accounts in dollars and euros, wild prices, nights, stop-outs, write-offs and corrections on the way."""
    floor = Floor(commission_per_lot=D(7), slippage_bps_max=D(10_000))
    floor.desk.keeping = Keeping(ended_us=10**18)
    floor.do(cmd.ConfigureSwaps(rates=SwapRates(symbol="EURUSD", long=D(-7), short=D(2))))
    for group in GROUPS:
        account = Account(
            account_id=f"of {group}", group=group, owner_id=group, currency=rng.choice(["USD", "EUR"]),
            position_mode=rng.choice(list(PositionMode)),
        )  # fmt: skip
        floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
        floor.do(cmd.CreditAccount(account_id=account.account_id, amount=D(rng.choice([1000, 3000])), reference=group))
    for number in range(30):
        shift = f"{rng.randint(-60, 60) / 1000:.3f}"
        for wait_us in (rng.choice(STEPS_US), 0, 0, 0):  # A jump is believed only when it is said again.
            floor.now_us += wait_us
            floor.quotes(shift)
        floor.act()
        answer(floor, rng)
        something(floor, rng, number)
        answer(floor, rng)
        floor.act()
    for leg in floor.children():
        floor.done(leg, filled=str(floor.desk.state.children[leg.cl_ord_id].filled))
    for account_id, orders in list(floor.desk.state.open_orders.items()):
        for order_id in sorted(orders):
            floor.do(cmd.CancelOrder(order_id=order_id, account_id=account_id))
    return floor


def something(floor: Floor, rng: random.Random, number: int) -> None:
    who, chance = f"of {rng.choice(GROUPS)}", rng.random()
    if chance < 0.15:
        floor.do(cmd.CreditAccount(account_id=who, amount=D(rng.randint(1, 400)), reference=f"c{number}"))
    elif chance < 0.25:
        floor.do(cmd.DebitAccount(account_id=who, amount=D(rng.randint(1, 100)), reference=f"d{number}"))
    elif chance < 0.35 and (fills := on_record(floor)):
        fill = rng.choice(fills)
        correct(floor, fill, str(fill.price + D(rng.randint(-50, 50)) / 100_000))
    else:
        floor.place(who, rng.choice(SIDES), f"{rng.randint(1, 40) / 100:.2f}")


def answer(floor: Floor, rng: random.Random) -> None:
    for leg in floor.children():
        if rng.random() < 0.9:
            floor.fill(leg, str(leg.limit_price - leg.side.sign * D(rng.randint(0, 50)) / 100_000))


@pytest.mark.parametrize("seed", range(10))
def test_of_days_that_never_were_nothing_is_left(seed: int) -> None:
    """INV-07, INV-23, F-15, G 11: by dealers and LPs, in any order, over nights, write-offs, credits and debits."""
    rng = random.Random(seed)
    floor = lives_through(rng)
    gone = {each.event.fill_id for each in floor.log if isinstance(each.event, OrderFillBusted)}
    fills = [fill for fill in on_record(floor) if fill.fill_id not in gone]
    rng.shuffle(fills)
    for fill in fills:
        if fill.venue_fill_id and rng.random() < 0.5:
            bust_at_venue(floor, floor.desk.state.children[fill.cl_ord_id].created, fill.venue_fill_id)
        else:
            bust(floor, fill)
    state, book, paid = floor.desk.state, Counter[tuple[str, str]](), Counter[str]()
    assert state.positions == {}
    for event in (each.event for each in floor.log):
        if isinstance(event, ev.AccountCredited | ev.AccountDebited):
            paid[event.account_id] += event.amount if isinstance(event, ev.AccountCredited) else -event.amount
        account = state.accounts.get(getattr(event, "account_id", ""))
        for line in ledger.postings(event=event, currency=account.currency if account else ""):
            name = "dealing" if line.gl_account in DEALING else line.gl_account
            book[(name, line.owner if name == ledger.CLIENT_MONEY else line.currency)] += line.amount
    for account_id, balance in state.balances.items():
        assert balance == paid[account_id] == -book.pop((ledger.CLIENT_MONEY, account_id))
    assert {name for (name, _), amount in book.items() if amount} == {ledger.BANK}
