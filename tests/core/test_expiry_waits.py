"""Expiry waits for a price that may be trusted, goes in steps, and comes to the same as counting by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import expiry
from piggy.core.accounts import TradingState
from piggy.core.auctions import AuctionPhase, SymbolPhase
from piggy.core.desk import Desk
from piggy.core.expiry import ExpiryWatch, intrinsic
from piggy.core.instruments import OptionKind, OptionTerms
from piggy.core.ledger import postings
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.engine.snapshot import Held, live_of, parts_of, restored
from tests.core.expiry_floor import BUY, EXPIRES_US, SELL, Options, is_flat, option, settled
from tests.core.floor import EURUSD, SECOND_US, START_US, canonical, only

D = Decimal


@pytest.fixture
def floor() -> Options:
    return Options()


def halted(floor: Options) -> None:
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.HALTED, reason="news", by="ann"))


def resumed(floor: Options) -> None:
    floor.do(cmd.SetTradingState(scope="symbol", key="EURUSD", state=TradingState.ACTIVE, reason="over", by="ben"))


def called(floor: Options) -> None:
    floor.desk.state.phases["EURUSD"] = SymbolPhase(phase=AuctionPhase.VOLATILITY_CALL)


def closed(floor: Options) -> None:
    floor.desk.state.phases["EURUSD"] = SymbolPhase(phase=AuctionPhase.CLOSED)


@pytest.mark.parametrize(("stop", "go"), [(halted, resumed), (called, closed)])
def test_a_halted_underlying_makes_it_wait_for_the_first_price_after(floor: Options, stop: Any, go: Any) -> None:
    floor.trade("b1", BUY, "1")
    stop(floor)
    assert settled(floor.expire()) == {} and settled(floor.later("0.00400")) == {}
    go(floor)
    (fill,) = settled(floor.later("0.00500"))["b1"]
    assert fill.price == D("0.00505") and floor.desk.state.expired["C"].underlying_price == D("1.105055")


def test_a_quarantined_or_stale_underlying_makes_it_wait(floor: Options) -> None:
    floor.trade("b1", BUY, "1")
    floor.now_us = EXPIRES_US - SECOND_US
    floor.quotes()
    floor.now_us = EXPIRES_US
    floor.quotes("0.05")
    assert floor.desk.market.mid(symbol="EURUSD", now_us=floor.now_us) is None, "a spike is not believed at once"
    assert settled(floor.act()) == {}
    assert settled(floor.later("0.05", seconds=1)) == {}
    (fill,) = settled(floor.later("0.05", seconds=2) + floor.later("0.05", seconds=2))["b1"]
    assert fill.price == D("0.05005")


def test_one_venue_alone_settles_nobody_whose_group_asks_for_two() -> None:
    floor = Options(stop_out_quorum=2)
    floor.trade("b1", BUY, "1")
    floor.now_us = EXPIRES_US
    floor.quote("LP1", "1.10350", "1.10360")
    assert settled(floor.act()) == {}
    floor.now_us += SECOND_US
    floor.quote("LP2", "1.10351", "1.10361")
    assert settled(floor.act())["b1"][0].price == D("0.00355")


def test_who_holds_in_a_currency_without_a_rate_waits_and_keeps_nobody_waiting(floor: Options) -> None:
    """All get the price that was fixed, whenever their turn comes."""
    gold = msgspec.structs.replace(EURUSD, symbol="XAUUSD", base="XAU")
    floor.do(cmd.ConfigureInstrument(instrument=gold))
    floor.trade("b1", BUY, "1")
    floor.trade("b2", BUY, "1")
    account = msgspec.structs.replace(floor.desk.state.accounts["b2"], currency="XAU")
    floor.desk.state.accounts["b2"] = account
    assert list(settled(floor.expire())) == ["b1"]
    floor.quote("LP1", "2000", "2001", symbol="XAUUSD")
    (fill,) = settled(floor.later("0.00900"))["b2"]
    assert fill.price == D("0.00350") and fill.conversion_rate < 1


def test_an_option_that_is_listed_anew_lives_again(floor: Options) -> None:
    floor.expire()
    assert set(floor.desk.state.expired) == {"C", "P"}
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(option("C"), lot_max=D(50))))
    assert "C" in floor.desk.state.expired
    floor.do(cmd.ConfigureInstrument(instrument=option("C", expires_at_us=EXPIRES_US + 900 * SECOND_US)))
    floor.quotes()
    assert only(floor.trade("b1", BUY, "1"), ev.OrderFilled) and "C" not in floor.desk.state.expired
    floor.do(cmd.ConfigureInstrument(instrument=msgspec.structs.replace(option("P"), option=None)))
    floor.later("0.00100")
    floor.now_us = EXPIRES_US + 900 * SECOND_US
    floor.quotes("0.00200")
    assert list(settled(floor.act())) == ["b1"] and is_flat(floor)


def test_a_large_desk_is_settled_in_steps_and_a_restart_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "POSITIONS_PER_STEP_MAX", 2)
    floor = Options()
    floor.open_account("h", group="b", hedging=True)
    for _ in range(5):
        floor.trade("h", BUY, "1")
    floor.now_us = EXPIRES_US
    floor.quotes("0.00345")
    assert len(settled(floor.do(cmd.ActOnTime()))["h"]) == 2
    parts = parts_of(desk=floor.desk, held=Held(), seq=len(floor.log))
    floor.desk, _ = restored(live=live_of(body=parts.live), segments=parts.segments)
    floor.now_us += 61 * SECOND_US
    floor.quotes("0.00900")
    steps = [
        len(settled(floor.do(command))["h"])
        for _ in range(2)
        for command in floor.desk.due(now_us=floor.now_us)
        if isinstance(command, cmd.ActOnTime)
    ]
    assert steps == [2, 1] and is_flat(floor)
    prices = {e.event.price for e in floor.log if isinstance(e.event, ev.OrderFilled) and e.event.side is SELL}
    assert prices == {D("0.00350")}


def test_many_options_are_ended_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "OPTIONS_PER_STEP_MAX", 1)
    floor = Options()
    floor.now_us = EXPIRES_US
    assert [e.symbol for e in only(floor.do(cmd.ActOnTime()), ev.OptionExpired)] == ["C"]
    assert [e.symbol for e in only(floor.do(cmd.ActOnTime()), ev.OptionExpired)] == ["P"]
    floor.quotes()
    assert [e.price is None for e in only(floor.do(cmd.ActOnTime()), ev.OptionExpired)] == [False]


def test_the_watch_looks_now_and_then_and_when_one_expires() -> None:
    floor = Options()
    watch, options = ExpiryWatch(), {"EURUSD": {"C", "P"}}

    def is_due(now_us: int) -> bool:
        return watch.is_due(of=options, moment=floor.desk.moment(now_us=now_us))

    assert not is_due(START_US) and (watch._from_us, watch._until_us) == (START_US, START_US + expiry.LOOK_EVERY_US)
    assert not is_due(EXPIRES_US - 5) and watch._until_us == EXPIRES_US
    assert not is_due(EXPIRES_US - 1) and is_due(EXPIRES_US)
    assert not is_due(START_US) and watch._from_us == START_US, "a clock that was set back is believed"


POINTS = st.integers(1, 3_000_000)


@given(kind=st.sampled_from(list(OptionKind)), strike=POINTS, price=POINTS, tick=st.integers(1, 50))
def test_the_intrinsic_value_is_what_counting_in_points_says(
    kind: OptionKind, strike: int, price: int, tick: int
) -> None:
    terms = OptionTerms(underlying="EURUSD", kind=kind, strike=D(strike) / 10**6, expires_at_us=0)
    points = price - strike if kind is OptionKind.CALL else strike - price
    naive = D(max(0, points) // (tick * 10) * tick * 10) / 10**6
    step = D(tick) / 10**5
    assert intrinsic(option=terms, underlying_price=D(price) / 10**6, tick=step) == naive


DEAL = st.tuples(
    st.sampled_from(["b1", "b2", "mixed1", "a1", "h"]), st.sampled_from(list(Side)), st.integers(1, 300),
    st.sampled_from(["C", "P"]),
)  # fmt: skip


def _cash(deals: list[Any], points: Decimal, gains: dict[str, Decimal]) -> Decimal:
    """Return what the deals bring once all that is left is worth so many points; counted, by account, in `gains`."""
    cash = ZERO
    for deal in deals:
        mine = deal.side.sign * deal.quantity * (points - deal.price * 100_000)
        cash += mine
        if isinstance(deal, ev.OrderFilled):
            gains[deal.account_id] += mine
    return cash


@settings(max_examples=25, deadline=None)
@given(deals=st.lists(DEAL, min_size=1, max_size=8), shift=st.integers(-900, 900), step=st.integers(1, 3))
def test_what_buyers_writers_house_and_venues_get_sums_to_nothing(
    deals: list[tuple[str, Side, int, str]], shift: int, step: int
) -> None:
    """In each currency; by fills alone, by state and by ledger; and a fold of the log says the same."""
    floor = Options(internal_cross=True, commission_per_lot=ZERO)
    floor.open_account("h", group="b", hedging=True)
    for account_id, side, lots, symbol in deals:
        floor.trade(account_id, side, str(D(lots) / 100), symbol)
        for leg in floor.children():
            floor.fill(leg, "0.02160" if side is BUY else "0.02150")
    kept, expiry.POSITIONS_PER_STEP_MAX = expiry.POSITIONS_PER_STEP_MAX, step
    try:
        floor.expire(str(D(shift) / 100_000))
    finally:
        expiry.POSITIONS_PER_STEP_MAX = kept
    events = [recorded.event for recorded in floor.log]
    points = 10_000 + shift + D("5.5")
    worth = {"C": D(max(0, int(points - 10_000))), "P": D(max(0, int(10_000 - points)))}
    gains = dict.fromkeys(floor.desk.state.balances, ZERO)
    for symbol in ("C", "P"):
        assert is_flat(floor, symbol)
        fills = [fill for fill in only(events, ev.OrderFilled) if fill.symbol == symbol]
        clients = _cash([fill for fill in fills if not fill.reason.startswith("expired")], worth[symbol], gains)
        # What the house made is what it kept, and what it dealt away: the reverse of clients, and venues' reverse.
        dealt = [leg for leg in only(events, ev.ChildOrderFilled) if leg.symbol == symbol]
        at_venues = _cash(dealt, worth[symbol], {})
        exposure = floor.desk.state.exposure[symbol]
        assert (exposure.realised, exposure.venue_cash * 100_000) == (clients, at_venues)
        if all(fill.book == "A" for fill in fills):
            assert clients == at_venues
        assert not sum((fill.side.sign * fill.quantity for fill in fills), ZERO)
    for account_id, gain in gains.items():
        # Each fill is rounded to the cent.
        assert abs(floor.desk.state.balances[account_id] - 100_000 - gain) <= D("0.01") * len(events)
    booked: dict[str, Decimal] = {}
    for event in events:
        for line in postings(event=event, currency="USD"):
            booked[line.currency] = booked.get(line.currency, ZERO) + line.amount
    assert set(booked) == {"USD"} and not any(booked.values())
    replayed = Desk(tenant="acorn")
    for recorded in floor.log:
        replayed.apply(recorded=recorded)
    assert canonical(replayed.state) == canonical(floor.desk.state)
