"""Guaranteed stops on any path of prices, whatever venues answer: the client's loss is bounded, the price is exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.profiles import GuaranteedStops
from tests.core.floor import Floor, canonical, only
from tests.core.test_guaranteed_stops import POINT_A_LOT, D, jump, offering, protected


def naive_price(path: list[str], stop: Decimal, bid: Decimal, markup: Decimal) -> Decimal | None:
    """Return what a guaranteed sell stop is filled at: its price at the first bid that reaches it, else nothing."""
    for shift in path:
        if bid + D(shift) - markup <= stop:
            return stop
    return None


shifts = st.decimals(min_value="-0.3", max_value="0.1", places=5, allow_nan=False).map(str)


@settings(max_examples=60, deadline=None)
@given(
    path=st.lists(shifts, min_size=1, max_size=6),
    account_id=st.sampled_from(["a1", "b1", "mixed1"]),
    lots=st.sampled_from(["0.01", "0.07", "1", "3.33"]),
    away=st.integers(50, 3_000),
    premium=st.integers(0, 500),
    answers=st.lists(st.sampled_from(["fill", "better", "reject", "part"]), min_size=1, max_size=8),
)
def test_on_no_path_does_a_client_lose_more_than_the_distance_the_premium_and_the_commission(
    path: list[str], account_id: str, lots: str, away: int, premium: int, answers: list[str]
) -> None:
    """Whatever gaps come and whatever venues do; the fold of the log knows the same, and every posting balances."""
    terms = GuaranteedStops(premium_points=D(premium), distance_points_min=D(50))
    floor = offering(terms, commission_per_lot=D(7), stop_out_percent=D(1), leverage_max=D(500))
    stop = D("1.10013") - D(away) * D("0.00001")
    began = floor.desk.state.balances[account_id]
    protected(floor, account_id, lots, str(stop))
    entry = only([recorded.event for recorded in floor.log], ev.OrderFilled)
    fresh = iter(answers * 50)
    for shift in path:
        jump(floor, shift)
        answer_all(floor, fresh)
    fills = [fill for fill in only([r.event for r in floor.log], ev.OrderFilled) if fill.side is Side.SELL]
    expected = naive_price(path, stop, D("1.10001"), D("0.00002"))
    closed = {fill.price for fill in fills}
    assert closed == (set() if expected is None else {expected})
    assert sum((fill.quantity for fill in fills), D(0)) == (D(0) if expected is None else D(lots))
    if expected is None:
        return
    average = sum(fill.quantity * fill.price for fill in entry) / D(lots)
    worst = (average - stop) * D(lots) * POINT_A_LOT + D(premium) * D(lots) + 2 * 7 * D(lots)
    cents = D("0.01") * (len(entry) + 3 * len(fills))
    assert began - floor.desk.state.balances[account_id] <= worst + cents
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
        assert ledger.is_balanced(ledger.postings(event=recorded.event, currency="USD"))
    assert canonical(again.state) == canonical(floor.desk.state)


def answer_all(floor: Floor, answers: Any) -> None:
    """Let venues answer every leg there is, until nothing is out."""
    while legs := floor.children():
        leg, answer = legs[0], next(answers)
        bid = floor.desk.market.best(symbol="EURUSD", now_us=floor.now_us).bid.price
        if answer == "reject":
            floor.reject(leg)
        elif answer == "part" and floor.desk.state.children[leg.cl_ord_id].leaves > D("0.01"):
            floor.fill(leg, str(bid), lots="0.01")
            floor.done(leg, filled=str(floor.desk.state.children[leg.cl_ord_id].filled))
        else:
            floor.fill(leg, str(bid + D("0.001") if answer == "better" else bid))
