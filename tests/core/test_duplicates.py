"""P-13: the same order within a second is refused; to close what was opened since is another order, however alike."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()


def ask(floor: Floor, side: Side, lots: str = "1", later_us: int = 1_000, account_id: str = "b1", **terms: Any) -> str:
    """Place an order and return the codes that refuse it, '' where it passes."""
    floor.now_us += later_us
    floor.requote()
    asked = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=D(lots), **terms)
    first = floor.do(cmd.PlaceOrder(terms=asked))[0]
    return " ".join(check.code for check in first.verdict.reasons) if isinstance(first, ev.OrderDenied) else ""


def net(floor: Floor) -> D:
    return sum((position.quantity for position in floor.desk.state.positions.values()), D(0))


def test_the_same_open_within_the_window_is_refused_and_at_its_end_is_not(floor: Floor) -> None:
    assert [ask(floor, Side.BUY), ask(floor, Side.BUY, later_us=999_999), ask(floor, Side.BUY, later_us=1)] == [
        "", "P-13", ""
    ]  # fmt: skip


def test_a_flat_after_the_position_was_opened_again_is_no_duplicate(floor: Floor) -> None:
    """A strategy that opens, closes, opens a little larger and closes part of it, all within a second."""
    assert ask(floor, Side.BUY) == "" and ask(floor, Side.SELL, reduce_only=True) == ""
    assert ask(floor, Side.BUY, "1.5") == ""
    assert ask(floor, Side.SELL, reduce_only=True) == "" and net(floor) == D("0.5")


def test_a_close_that_comes_twice_closes_once(floor: Floor) -> None:
    assert ask(floor, Side.BUY, "2") == "" and ask(floor, Side.SELL, reduce_only=True) == ""
    assert ask(floor, Side.SELL, reduce_only=True) == "P-13" and net(floor) == 1
    # Not its own fill, but what is opened later makes it another one.
    assert ask(floor, Side.BUY, "0.1") == "" and ask(floor, Side.SELL, reduce_only=True) == ""


def test_a_reverse_that_comes_twice_reverses_once_and_one_that_turns_back_is_new(floor: Floor) -> None:
    assert ask(floor, Side.BUY) == "" and ask(floor, Side.SELL, "2") == ""
    assert ask(floor, Side.SELL, "2") == "P-13" and net(floor) == -1
    assert ask(floor, Side.BUY, "2") == "" and ask(floor, Side.SELL, "2") == "" and net(floor) == -1


def test_two_positions_of_the_same_size_are_closed_one_after_the_other(floor: Floor) -> None:
    floor.open_account("h1", group="b", hedging=True)
    mine = {"account_id": "h1"}
    assert ask(floor, Side.BUY, **mine) == "" and ask(floor, Side.BUY, later_us=1_000_000, **mine) == ""
    first, second = sorted(floor.desk.state.positions)
    closes = [ask(floor, Side.SELL, "0.5", position_id=each, **mine) for each in (first, first, second)]
    assert closes == ["", "P-13", ""] and net(floor) == 1


@pytest.mark.parametrize(("opened", "code"), [("0.01", "P-13"), ("0.99", "P-13"), ("1", ""), ("1.01", "")])
def test_a_doubled_close_never_turns_round_what_was_opened_meanwhile(floor: Floor, opened: str, code: str) -> None:
    """A resting order deals a little between the two clicks."""
    assert [ask(floor, Side.BUY), ask(floor, Side.SELL, later_us=1_000_000)] == ["", ""]
    assert ask(floor, Side.BUY, opened) == ""
    assert ask(floor, Side.SELL) == code and net(floor) >= 0


@pytest.mark.parametrize(("opened", "code"), [("0.99", "P-13"), ("1", "")])
def test_a_close_that_is_out_at_a_venue_counts_as_closed(floor: Floor, opened: str, code: str) -> None:
    mine = {"account_id": "a1"}
    for side, lots, later_us in ((Side.BUY, "1", 0), (Side.SELL, "1", 1_000_000), (Side.BUY, opened, 1)):
        assert ask(floor, side, lots, later_us, **mine) == ""
        for leg in floor.children():
            if side is Side.BUY and leg.side is Side.BUY:
                floor.fill(leg, "1.10010")
    assert ask(floor, Side.SELL, **mine) == code


def test_opening_another_position_makes_no_second_close_of_the_first(floor: Floor) -> None:
    floor.open_account("h1", group="b", hedging=True)
    mine = {"account_id": "h1"}
    assert ask(floor, Side.BUY, "2", **mine) == ""
    (first,) = floor.desk.state.positions
    assert ask(floor, Side.SELL, "0.5", position_id=first, **mine) == "" and ask(floor, Side.BUY, "0.7", **mine) == ""
    assert ask(floor, Side.SELL, "0.5", position_id=first, **mine) == "P-13" and net(floor) == D("2.2")


def fast(floor: Floor, **changes: Any) -> None:
    free = {"account_messages_per_s_max": 10**6, "tenant_messages_per_s_max": 10**6, "window_value_max": D(10**12)}
    limits = msgspec.structs.replace(HOUSE_LIMITS, executions_max=10**6, **(free | changes))
    floor.do(cmd.ConfigureLimits(group="b", limits=limits))
    floor.do(cmd.CreditAccount(account_id="b1", amount=D(10**9), reference="much"))


@pytest.mark.parametrize(("later_us", "code"), [(1_999_999 - 100 * 10, "P-13"), (2_000_000 - 100 * 10, "")])
def test_p_13_holds_for_the_whole_window_however_many_others_came_since(later_us: int, code: str) -> None:
    """A hundred others in a millisecond, from who may send so fast, let no order be sent twice."""
    floor = Floor()
    fast(floor, duplicate_window_ms=2_000)
    far = {"type": OrderType.LIMIT, "limit_price": D("1.09000")}
    assert ask(floor, Side.BUY, **far) == ""
    for number in range(100):
        assert ask(floor, Side.BUY, str(D(number + 1) / 100 + 2), later_us=10, **far) == ""
    assert ask(floor, Side.BUY, later_us=later_us, **far) == code


def test_p_13_keeps_no_more_than_it_has_room_for_and_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("piggy.core.activity.DUPLICATES_MAX", 80)
    floor = Floor()
    fast(floor, duplicate_window_ms=2_000)
    far = {"type": OrderType.LIMIT, "limit_price": D("1.09000")}
    for number in range(100):
        assert ask(floor, Side.BUY, str(D(number + 1) / 100), later_us=10, **far) == ""
    assert len(floor.desk.state.activity["b1"].latest) == 80
    assert ask(floor, Side.BUY, "2", later_us=2_000_000, **far) == ""
    assert len(floor.desk.state.activity["b1"].latest) == 64
