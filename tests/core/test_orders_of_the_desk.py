"""What the desk orders itself, nobody sent: it uses up nobody's message rate and latches nobody's throttle."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import BRACKET, EXPIRY, FLATTEN, STOP_OUT, OrderTerms, Side
from tests.core.floor import SECOND_US, Floor, only

POOR = tuple(f"poor{number}" for number in range(4))


def floor_of(**limits: Any) -> Floor:
    """Four clients with one lot each on next to nothing, and b1, who has nothing to do with them."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    for account_id in POOR:
        floor.open_account(account_id, group="b", amount=3_700)
        floor.place(account_id, Side.BUY, "1")
    floor.now_us += 61 * SECOND_US
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, **limits)))
    floor.requote()
    return floor


def fall(floor: Floor) -> list[ev.OrderFilled]:
    """Every one of them is stopped out at once."""
    for _ in range(5):
        floor.quotes("-0.02500")
    closed = only(floor.act(), ev.OrderFilled)
    assert {fill.account_id for fill in closed} == set(POOR)
    return closed


def reasons(events: list[ev.AnyEvent]) -> list[str]:
    first = events[0]
    return [check.code for check in first.verdict.reasons] if isinstance(first, ev.OrderDenied) else []


def send(floor: Floor, account_id: str, side: Side, lots: str) -> list[str]:
    terms = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=D(lots))
    return reasons(floor.do(cmd.PlaceOrder(terms=terms)))


def test_p_14_stop_outs_of_others_take_nothing_of_the_tenants_rate() -> None:
    floor = floor_of(tenant_messages_per_s_max=1)
    fall(floor)
    assert send(floor, "b1", Side.BUY, "0.1") == []
    assert send(floor, "b2", Side.BUY, "0.1") == ["P-14"], "b1 did send one"


def test_p_14_the_exits_of_an_entry_are_no_messages_of_its_client() -> None:
    floor = floor_of(account_messages_per_s_max=2)
    floor.place("b1", Side.BUY, "0.1", take_profit=D("1.10500"), stop_loss=D("1.09500"))
    assert len(floor.desk.state.open_orders["b1"]) == 2
    assert send(floor, "b1", Side.BUY, "0.2") == []
    assert send(floor, "b1", Side.BUY, "0.3") == ["P-14"]


@pytest.mark.parametrize("by", ["stop-out", "person"])
def test_p_15_who_was_closed_out_may_still_close_the_rest(by: str) -> None:
    floor = floor_of(executions_max=1)
    if by == "stop-out":
        fall(floor)
    else:
        floor.do(cmd.FlattenPositions(scope="account", key="poor0", reason="asked to", by="ann"))
    assert floor.order(1).state.final and floor.desk.state.activity["poor0"].within(
        now_us=floor.now_us, value_s=60, executions_s=60
    ) == (0, 0)
    floor.do(cmd.CreditAccount(account_id="poor0", amount=D(10_000), reference="more"))
    assert send(floor, "poor0", Side.BUY, "0.1") == [], "and the desk's own close was no execution of his"
    assert send(floor, "poor0", Side.BUY, "0.2") == ["P-15"]
    assert "poor0" in floor.desk.state.throttled


def test_p_16_a_stop_out_ends_no_row_of_refused_orders() -> None:
    floor = floor_of(rejects_consecutive_max=2)
    for lots in ("0.001", "0.002", "0.003"):
        assert send(floor, "poor0", Side.BUY, lots) in (["P-06"], ["P-06", "P-16"])
    fall(floor)
    assert "P-16" in send(floor, "poor0", Side.BUY, "0.1")


def test_p_20_what_a_stop_out_loses_is_lost_all_the_same() -> None:
    floor = floor_of(loss_daily_account_max=D(100))
    lost = sum(-fill.realised for fill in fall(floor) if fill.account_id == "poor0")
    assert floor.desk.state.activity["poor0"].loss_today(now_us=floor.now_us) == lost > 100


def test_every_order_of_the_desks_own_says_so() -> None:
    assert {EXPIRY, FLATTEN, STOP_OUT, BRACKET} == {"expiry", "flatten", "stop_out", "bracket"}
