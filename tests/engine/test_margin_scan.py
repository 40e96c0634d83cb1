"""The margin watch finds, of all accounts and at once, the ones that a look at every single one finds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, PositionMode
from piggy.core.orders import OrderTerms, Side
from piggy.engine import margin_scan
from piggy.engine.margin_scan import ACCOUNTS_PER_STEP, ACCOUNTS_SHOWN, MarginScan
from tests.core.floor import CLEARED, EURUSD, Floor

ACCOUNTS = ("b1", "b2", "h1", "j1")
PRICES = {"EURUSD": (Decimal("1.1"), 5), "USDJPY": (Decimal(150), 3)}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.sampled_from(sorted(PRICES)), st.integers(-300, 300)),
        st.tuples(
            st.just("trade"),
            st.sampled_from(ACCOUNTS),
            st.sampled_from(sorted(PRICES)),
            st.sampled_from(list(Side)),
            st.integers(1, 300),
        ),
        st.tuples(st.just("pay"), st.sampled_from(ACCOUNTS), st.integers(1, 3_000)),
        st.tuples(st.just("markup"), st.integers(0, 300)),
        st.tuples(st.just("look")),
    ),
    min_size=3,
    max_size=25,
)


class Watched(Floor):
    """Two symbols, accounts in two currencies, one of them with a position per order; a scan hears every event."""

    def __init__(self) -> None:
        self.scan = MarginScan()
        super().__init__(internal_cross=False)
        yen: dict[str, Any] = {"symbol": "USDJPY", "base": "USD", "quote": "JPY", "tick_size": Decimal("0.001")}
        self.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, **yen, price_digits=3)))
        self.open_account("h1", group="b", hedging=True)
        self.do(
            cmd.ConfigureAccount(
                account=Account(account_id="j1", group="b", owner_id="j1", currency="JPY"), clearance=CLEARED
            )
        )
        self.do(cmd.CreditAccount(account_id="j1", amount=Decimal(9_000_000), reference="gift j1"))
        for symbol in PRICES:
            self.move(symbol, 0)

    def do(self, command: cmd.AnyCommand, **more: Any) -> list[ev.AnyEvent]:
        events = super().do(command, **more)
        for event in events:
            if account_id := getattr(event, "account_id", ""):
                self.scan.forget(account_id=account_id)
        return events

    def move(self, symbol: str, bps: int) -> None:
        price, digits = PRICES[symbol]
        bid = (price * (10_000 + bps) / 10_000).quantize(Decimal(1).scaleb(-digits))
        for venue in ("LP1", "LP2", "LP3"):
            self.quote(venue, str(bid), str(bid + Decimal(10).scaleb(-digits)), "50", symbol)

    def shown(self) -> dict[str, dict[str, Any]]:
        self.scan.step(desk=self.desk)
        now = {"desk": self.desk, "moment": self.desk.moment(now_us=self.now_us)}
        assert not any(self.scan.value(**now)), "it only yields"
        return self.scan.shown(**now)

    def step(self, step: tuple[Any, ...], number: int) -> None:
        match step:
            case ("move", symbol, bps):
                self.move(symbol, bps)
            case ("trade", account_id, symbol, side, points):
                terms = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=Decimal(points) / 100)
                self.do(cmd.PlaceOrder(terms=terms))
            case ("pay", account_id, amount):
                self.do(cmd.DebitAccount(account_id=account_id, amount=Decimal(amount), reference=f"pay {number}"))
            case ("markup", points):
                group = self.desk.state.groups["b"]
                more = {"bid_markup_points": Decimal(points), "version": group.version + 1}
                self.do(cmd.ConfigureGroup(group=msgspec.structs.replace(group, **more)))
            case _:
                self.shown()


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_what_is_screened_is_what_a_look_at_every_account_says(steps: list[tuple[Any, ...]]) -> None:
    floor = Watched()
    for number, step in enumerate(steps):
        floor.step(step, number)
    shown, moment, state = floor.shown(), floor.desk.moment(now_us=floor.now_us), floor.desk.state
    everybody = {account_id: moment.funds(account_id) for account_id, held in state.positions_of.items() if held}
    assert shown.keys() == everybody.keys()
    for account_id, row in shown.items():
        funds = everybody[account_id]
        assert (row["equity"], row["used_margin"]) == (
            funds.equity.quantize(Decimal("0.01")),
            funds.used_margin.quantize(Decimal("0.01")),
        )
        # The arrays themselves, not only the exact look at the end; a gain is converted at the other side there.
        number = floor.scan._numbers[account_id]
        screened = Decimal(int(floor.scan._screen.balance[number] + floor.scan._screen.floating[number])) / 10**6
        assert abs(screened - funds.equity) <= abs(funds.floating) / 1_000 + 1
    levels = [row["level_percent"] for row in shown.values()]
    assert levels == sorted(levels)


def test_of_many_accounts_the_lowest_levels_are_shown_at_once() -> None:
    floor = Watched()
    count = ACCOUNTS_SHOWN + 40
    for number in range(count):
        # A gift apart, in no order of their names.
        floor.open_account(f"n{number:03}", group="b", amount=100_000 + number * 37 % count)
        floor.place(f"n{number:03}", Side.BUY, "0.1")
    moment = floor.desk.moment(now_us=floor.now_us)
    held = [account_id for account_id, positions in floor.desk.state.positions_of.items() if positions]
    lowest = sorted(held, key=lambda account_id: moment.funds(account_id).equity)[:ACCOUNTS_SHOWN]
    assert list(floor.shown()) == lowest


def test_after_a_take_over_the_accounts_come_in_step_by_step() -> None:
    floor = Watched()
    for number in range(ACCOUNTS_PER_STEP + 1):
        floor.open_account(f"n{number:03}", group="b")
        floor.place(f"n{number:03}", Side.BUY, "0.01")
    scan = MarginScan()
    scan.step(desk=floor.desk)
    assert len(scan._accounts) == ACCOUNTS_PER_STEP
    scan.step(desk=floor.desk)
    assert len(scan._accounts) == ACCOUNTS_PER_STEP + 1


def test_what_the_arrays_cannot_hold_is_looked_at_exactly(monkeypatch: Any) -> None:
    floor = Watched()
    floor.place("b1", Side.BUY, "1")
    monkeypatch.setattr(margin_scan, "RANGE_MAX", 1)
    floor.scan = MarginScan()
    row = floor.shown()["b1"]
    assert row["equity"] == floor.desk.moment(now_us=floor.now_us).funds("b1").equity.quantize(Decimal("0.01"))


def test_a_hedging_account_counts_every_position_of_its_own() -> None:
    floor = Watched()
    floor.place("h1", Side.BUY, "1")
    floor.place("h1", Side.SELL, "0.4")
    assert floor.desk.state.accounts["h1"].position_mode is PositionMode.HEDGING
    assert floor.shown()["h1"]["positions"] == 2
    assert sorted(floor.scan._rows["h1"]) == sorted(floor.desk.state.positions_of["h1"])
