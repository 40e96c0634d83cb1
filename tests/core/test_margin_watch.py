"""Margin watch: leaving safe accounts out of a tick changes nothing that happens (G-01, P-17 stay exact)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import margin_watch
from piggy.core.accounts import Account
from piggy.core.conversion import Touch
from piggy.core.margin_watch import STALE_MAX, Band, MarginWatch
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import MarkupBand, PriceProfile
from tests.core.floor import CLEARED, EURUSD, Floor

PRICES = {"EURUSD": Decimal("1.1"), "USDJPY": Decimal(150), "GBPJPY": Decimal(190), "GBPUSD": Decimal("1.27")}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.sampled_from(sorted(PRICES)), st.integers(-400, 400)),
        st.tuples(
            st.just("trade"),
            st.sampled_from(("b1", "b2", "e1")),
            st.sampled_from(sorted(PRICES)),
            st.sampled_from(list(Side)),
            st.integers(1, 400),
        ),
        st.tuples(st.just("pay"), st.sampled_from(("b1", "b2", "e1")), st.integers(1, 3_000)),
        st.tuples(st.just("group"), st.integers(50, 150)),
        st.tuples(st.just("profile"), st.integers(0, 20)),
    ),
    min_size=4,
    max_size=30,
)


class _Everybody(MarginWatch):
    """The naive twin: every holder is looked at on every tick."""

    def unsafe(self, *, accounts: set[str]) -> set[str]:
        return set(accounts)


def _floor(watch: MarginWatch) -> Floor:
    floor = Floor(internal_cross=False)
    floor.desk._watch = watch
    for symbol in PRICES:
        digits = 3 if symbol.endswith("JPY") else 5
        tick = Decimal(1).scaleb(-digits)
        changes: dict[str, Any] = {"symbol": symbol, "base": symbol[:3], "quote": symbol[3:], "tick_size": tick}
        instrument = msgspec.structs.replace(EURUSD, **changes, price_digits=digits)
        floor.do(cmd.ConfigureInstrument(instrument=instrument))
    floor.do(
        cmd.ConfigureAccount(
            account=Account(account_id="e1", group="b", owner_id="e1", currency="EUR"), clearance=CLEARED
        )
    )
    for account_id in ("b1", "b2", "e1"):
        balance = floor.desk.state.balances[account_id]
        if balance:
            floor.do(cmd.DebitAccount(account_id=account_id, amount=balance - 5_000, reference=f"out {account_id}"))
    floor.do(cmd.CreditAccount(account_id="e1", amount=Decimal(5_000), reference="in e1"))
    for symbol, price in PRICES.items():
        _quote(floor, symbol, price)
    return floor


def _quote(floor: Floor, symbol: str, price: Decimal) -> None:
    point = floor.desk.state.instruments[symbol].point
    bid = price.quantize(point)
    for venue in ("LP1", "LP2", "LP3"):
        floor.desk.quote(
            quote=VenueQuote(
                venue=venue,
                symbol=symbol,
                bids=(Level(bid, Decimal(50)),),
                asks=(Level(bid + 10 * point, Decimal(50)),),
                venue_at_us=floor.now_us,
                received_at_us=floor.now_us,
            )
        )


def _step(floor: Floor, step: tuple[Any, ...], prices: dict[str, Decimal], number: int) -> list[ev.AnyEvent]:
    events: list[ev.AnyEvent] = []
    match step:
        case ("move", symbol, bps):
            _quote(floor, symbol, prices[symbol] * (10_000 + bps) / 10_000)
        case ("trade", account_id, symbol, side, lots):
            terms = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=Decimal(lots) / 100)
            events += floor.do(cmd.PlaceOrder(terms=terms))
        case ("pay", account_id, amount):
            events += floor.do(
                cmd.DebitAccount(account_id=account_id, amount=Decimal(amount), reference=f"pay {number}")
            )
        case ("group", percent):
            group = floor.desk.state.groups["b"]
            changed = msgspec.structs.replace(group, margin_call_percent=Decimal(percent), version=group.version + 1)
            events += floor.do(cmd.ConfigureGroup(group=changed))
        case ("profile", points):
            bands = (MarkupBand(bid=Decimal(points), ask=Decimal(points)),)
            profile = PriceProfile(version=number + 1, bands=bands)
            events += floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))
    for _ in range(3):
        for command in floor.desk.due(now_us=floor.now_us):
            events += floor.do(command)
    return events


@settings(max_examples=120, deadline=None)
@given(steps=STEPS)
def test_a_watched_desk_does_exactly_what_a_desk_does_that_looks_at_everybody(steps: list[tuple[Any, ...]]) -> None:
    watched, naive = _floor(MarginWatch()), _floor(_Everybody())
    prices = dict(PRICES)
    for number, step in enumerate(steps):
        if step[0] == "profile" and number % 4:
            continue  # Profiles put everybody under the exact look for good, so most stories have none.
        told = [_step(floor, step, prices, number) for floor in (watched, naive)]
        assert told[0] == told[1]
        if step[0] == "move":
            prices[step[1]] = prices[step[1]] * (10_000 + step[2]) / 10_000


def test_an_account_far_from_its_levels_is_not_looked_at_until_a_price_leaves_its_band() -> None:
    floor = _floor(MarginWatch())
    _step(floor, ("trade", "b1", "USDJPY", Side.BUY, 20), PRICES, 0)
    _step(floor, ("trade", "b1", "GBPUSD", Side.SELL, 5), PRICES, 1)
    _step(floor, ("move", "USDJPY", -1), PRICES, 2)
    watch = floor.desk._watch
    assert watch.unsafe(accounts={"b1", "b2"}) == {"b2"}
    _step(floor, ("move", "USDJPY", 2), PRICES, 3)
    assert watch.unsafe(accounts={"b1"}) == set()
    for price in range(149, 139, -1):  # One jump would be a spike, which the market does not believe.
        _quote(floor, "USDJPY", Decimal(price))
        floor.desk.moment(now_us=floor.now_us)
    assert watch.unsafe(accounts={"b1"}) == {"b1"}


def test_a_step_looks_at_a_few_accounts_the_called_ones_first_and_the_rest_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(margin_watch, "LOOKS_PER_STEP_MAX", 2)
    floor = _floor(MarginWatch())
    accounts = [f"n{number}" for number in range(7)]
    for account_id in accounts:
        floor.open_account(account_id, group="b", amount=5_000)
        floor.place(account_id, Side.BUY, "0.1")
    floor.act()
    floor.desk._watch, floor.desk._due = MarginWatch(), {"EURUSD"}
    floor.desk.state.margin_called.add("n6")
    safe: list[int] = []
    while due := floor.desk.due(now_us=floor.now_us):
        (prices,) = (command for command in due if isinstance(command, cmd.ActOnPrices))
        assert prices.symbols == (() if safe else ("EURUSD",))
        restored = [event.account_id for event in floor.do(prices) if isinstance(event, ev.MarginRestored)]
        assert restored == ([] if safe else ["n6"])
        safe.append(len(accounts) - len(floor.desk._watch.unsafe(accounts=set(accounts))))
    assert safe == [2, 4, 6]


def test_an_account_that_changed_is_looked_at_again() -> None:
    floor = _floor(MarginWatch())
    _step(floor, ("trade", "b1", "EURUSD", Side.BUY, 5), PRICES, 0)
    watch = floor.desk._watch
    for change in (
        cmd.CreditAccount(account_id="b1", amount=Decimal(1), reference="more"),
        cmd.ConfigureAccount(account=Account(account_id="b1", group="a", owner_id="x", currency="USD")),
        cmd.ConfigureGroup(group=msgspec.structs.replace(floor.desk.state.groups["a"], version=9)),
    ):
        _step(floor, ("move", "EURUSD", 1), PRICES, 1)
        _step(floor, ("move", "EURUSD", 0), PRICES, 1)
        assert watch.unsafe(accounts={"b1"}) == set()
        floor.do(change)
        assert watch.unsafe(accounts={"b1"}) == {"b1"}


def test_a_band_is_left_below_its_floor_and_above_its_ceiling_and_not_before() -> None:
    for bid, ask, safe in (("1", "2", True), ("0.9", "2", False), ("1", "2.1", False), ("2", "1", True)):
        watch = MarginWatch()
        watch.trust(account_id="a", bands=(Band("S", Decimal(1), Decimal(2)),))
        watch.moved(symbol="S", touch=Touch(Decimal(bid), Decimal(ask), 0))
        assert (not watch.unsafe(accounts={"a"})) is safe


def test_old_bands_do_not_pile_up_and_do_not_count() -> None:
    watch = MarginWatch()
    for _ in range(3 * STALE_MAX):
        watch.trust(account_id="a", bands=(Band("S", Decimal(1), Decimal(2)),))
    assert len(watch._floors["S"]) <= STALE_MAX + 3
    watch.trust(account_id="a", bands=(Band("S", Decimal("0.5"), Decimal(4)),))
    watch.moved(symbol="S", touch=Touch(Decimal("0.7"), Decimal(3), 0))
    assert watch.unsafe(accounts={"a"}) == set()
    watch.forget(account_id="a")
    watch.moved(symbol="S", touch=Touch(Decimal("0.1"), Decimal(3), 0))
    assert watch.unsafe(accounts={"a"}) == {"a"}


def test_nobody_is_safe_whose_prices_a_profile_shapes() -> None:
    floor = _floor(MarginWatch())
    _step(floor, ("profile", 3), PRICES, 0)
    _trade_and_look(floor, "EURUSD")
    assert floor.desk._watch.unsafe(accounts={"b1"}) == {"b1"}


def test_nobody_is_safe_whose_conversion_rate_is_too_small_to_bound() -> None:
    floor = _floor(MarginWatch())
    changes: dict[str, Any] = {"symbol": "USDIDR", "base": "USD", "quote": "IDR", "tick_size": Decimal(1)}
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(EURUSD, **changes, price_digits=0)))
    _quote(floor, "USDIDR", Decimal(16_000))
    _trade_and_look(floor, "USDIDR")
    assert floor.desk._watch.unsafe(accounts={"b1"}) == {"b1"}


def test_nobody_is_safe_where_the_spread_is_wider_than_the_band() -> None:
    floor = _floor(MarginWatch())
    _trade_and_look(floor, "EURUSD", lots=100)
    assert floor.desk._watch.unsafe(accounts={"b1"}) == set()
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.09", "1.12", symbol="EURUSD")
    floor.act()
    assert floor.desk._watch.unsafe(accounts={"b1"}) == {"b1"}


def _trade_and_look(floor: Floor, symbol: str, lots: int = 2) -> None:
    _step(floor, ("trade", "b1", symbol, Side.BUY, lots), PRICES, 1)
    assert floor.desk.state.positions_of["b1"]
    floor.act()
