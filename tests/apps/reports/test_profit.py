"""P&L and slippage out of Parquet equal the engine's own numbers, whatever was dealt, busted and corrected."""

from __future__ import annotations

import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from pyarrow import parquet

from apps.reports import selectors
from apps.reports.selectors.files import LATER, folder_of
from apps.reports.services.columns import UnableToTabulate, table
from apps.reports.services.exporting import write
from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.money import ZERO, round_money
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import MarkupBand, PriceProfile, PriceSchedule, WeekWindow
from piggy.core.rollover import business_date
from tests.apps.reports.trading_days import Days, rows

ACTIONS = st.lists(st.tuples(st.integers(0, 8), *[st.integers(0, 10_000)] * 3), min_size=8, max_size=40)
Key = tuple[date, str, str]
TAKEN = ("realised", "swap", "commission", "markup", "premium")


def exported(floor: Days, folder: Path) -> None:
    home = folder_of(folder=folder, tenant="acorn")
    home.mkdir()
    write(home=home, rows=rows(floor))


def booked(floor: Days) -> dict[Key, dict[str, Decimal]]:
    """Return what the engine booked by day, account and symbol, event by event."""
    sums: dict[Key, dict[str, Decimal]] = {}
    for recorded in floor.log:
        event: Any = recorded.event
        if not isinstance(event, ev.OrderFilled | OrderFillBusted | ev.SwapCharged | ev.SwapRestated):
            continue
        key = (business_date(at_us=recorded.recorded_at_us), event.account_id, event.symbol)
        mine = sums.setdefault(key, dict.fromkeys(TAKEN, ZERO))
        if isinstance(event, ev.SwapCharged | ev.SwapRestated):
            mine["swap"] += event.amount
            continue
        way = 1 if isinstance(event, ev.OrderFilled) else -1
        mine["realised"] += event.realised
        mine["commission"] += way * event.commission
        mine["markup"] += way * event.markup_revenue
        mine["premium"] += way * event.premium
    return sums


def slipped(floor: Days) -> dict[Key, dict[str, Decimal]]:
    """Return slippage by day, account and symbol in lots times price, order by order."""
    came, fills = {}, {}
    sums: dict[Key, dict[str, Decimal]] = {}
    for recorded in floor.log:
        event: Any = recorded.event
        if isinstance(event, ev.OrderAccepted):
            came[event.order_id] = (event.arrival_bid, event.arrival_ask)
        if isinstance(event, ev.OrderTriggered):
            came[event.order_id] = (event.bid, event.ask)
        if isinstance(event, ev.OrderFilled):
            fills[recorded.seq] = event
        if not isinstance(event, ev.OrderFilled | OrderFillBusted):
            continue
        fill = fills[event.supersedes or recorded.seq]
        lots = fill.quantity if isinstance(event, ev.OrderFilled) else -fill.quantity
        bid, ask = came[fill.order_id]
        sign, at_buy = fill.side.sign, fill.side.sign > 0
        touch, then = (ask, fill.benchmark_ask) if at_buy else (bid, fill.benchmark_bid)
        parts = {
            "spread": sign * (touch - (bid + ask) / 2),
            "market": sign * (then - touch),
            "latency": sign * (fill.raw_price - then),
            "markup": sign * (fill.price - fill.raw_price),
        }
        assert sum(parts.values()) == sign * (fill.price - (bid + ask) / 2)
        mine = sums.setdefault(
            (business_date(at_us=recorded.recorded_at_us), fill.account_id, fill.symbol), dict.fromkeys(parts, ZERO)
        )
        for name, part in parts.items():
            mine[name] += lots * part
    return sums


@settings(max_examples=10)
@given(actions=ACTIONS)
def test_every_number_is_the_engines_own(actions: list[tuple[int, int, int, int]]) -> None:
    """Per account, symbol and day: realised, swap, commission, markup, floating, lots; and the balance that follows."""
    floor = Days()
    floor.live(actions)
    must_agree(floor)


def test_a_long_stream_of_everything_agrees_too() -> None:
    """Partial closes, reversals, swaps, busts and corrections days late, in dollars and yen, all of them at once."""
    chance, floor = Random(7), Days()
    floor.live([(chance.randrange(9), *(chance.randrange(10_000) for _ in range(3))) for _ in range(250)])
    must_agree(floor)
    happened = {type(recorded.event).__name__ for recorded in floor.log}
    assert {"SwapCharged", "SwapRestated", "OrderFillBusted", "VenueFillBusted", "RolledOver"} <= happened
    busts = [recorded for recorded in floor.log if isinstance(recorded.event, OrderFillBusted)]
    days = {recorded.seq: business_date(at_us=recorded.recorded_at_us) for recorded in floor.log}
    assert any(days[bust.event.supersedes] < days[bust.seq] for bust in busts)
    fills = [recorded.event for recorded in floor.log if isinstance(recorded.event, ev.OrderFilled)]
    assert {fill.account_id for fill in fills} == {"a1", "b1", "mixed1", "h1", "jpy1"}
    assert any(fill.premium for fill in fills)
    assert any(fill.realised and fill.leaves == 0 for fill in fills) and len(floor.ends) > 5


def test_files_of_before_there_were_premiums_are_read_like_any() -> None:
    floor = Days()
    floor.deal("b1", "EURUSD", Side.BUY, 100)
    day = floor.ends.keys()
    with tempfile.TemporaryDirectory() as folder:
        exported(floor, Path(folder))
        for path in Path(folder).rglob("*.parquet"):
            parquet.write_table(parquet.read_table(path).drop_columns([*LATER]), path)
        with selectors.opened(folder=Path(folder), tenant="acorn") as log:
            (found,) = selectors.profits(log=log, tenant="acorn", since=min(day), until=max(day))
    assert (found.premium, found.commission) == (ZERO, Decimal("7.13"))


def test_what_is_open_is_valued_with_the_markup_of_that_time_of_the_day() -> None:
    """INV-22: 50 points are put on in the hour after midnight, and it is evening."""
    floor = Days()
    band = MarkupBand(bid=Decimal(50), ask=Decimal(50))
    nights = PriceSchedule(
        windows=(WeekWindow(weekdays=tuple(range(7)), start_minute=0, end_minute=60),), bands=(band,)
    )
    profile = PriceProfile(bands=(MarkupBand(bid=Decimal(1), ask=Decimal(1)),), schedules=(nights,))
    floor.do(cmd.ConfigurePricing(group="b", symbol="EURUSD", profile=profile))
    floor.deal("b1", "EURUSD", Side.BUY, 100)
    floor.note()
    ((day, end),) = floor.ends.items()
    with tempfile.TemporaryDirectory() as folder:
        exported(floor, Path(folder))
        with selectors.opened(folder=Path(folder), tenant="acorn") as log:
            (found,) = selectors.profits(log=log, tenant="acorn", since=day, until=day)
    # Bought a point over a spread of 12, sold a point under it.
    assert found.floating == end.floating["b1", "EURUSD"] == Decimal(-14)


def test_what_an_lp_deals_in_finer_steps_than_a_column_has_keeps_nothing_from_being_exported() -> None:
    """INV-22: quotes of 12 digits behind the point, a fill of 11; figures to the cent, and the payload has all."""
    floor = Days()
    floor.now_us += 2_000_000
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "1.100001234567", "1.100021234567", "2", "EURUSD")
    floor.do(cmd.PlaceOrder(terms=OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal(1))))
    for leg in floor.children():
        floor.fill(leg, "1.10000000005")
    floor.note()
    day, end = max(floor.ends.items())
    with tempfile.TemporaryDirectory() as folder:
        exported(floor, Path(folder))
        with selectors.opened(folder=Path(folder), tenant="acorn") as log:
            (found,) = selectors.profits(log=log, tenant="acorn", since=day, until=day, closing={day: end.marks})
            ((price, payload),) = log.rows("SELECT price, payload FROM log WHERE type = 'ChildOrderFilled'")
    assert found.lots == 1 and abs((found.floating or ZERO) - end.floating["a1", "EURUSD"]) < Decimal("0.01")
    assert price == Decimal("1.1000000000") and b"1.10000000005" in payload


@pytest.mark.parametrize("price", ["1E+19", "Infinity"])
def test_a_number_that_no_column_holds_is_refused_by_its_event(price: str) -> None:
    floor = Days()
    floor.deal("b1", "EURUSD", Side.BUY, 100)
    made = rows(floor)
    at = next(each for each, row in enumerate(made) if row.type == "OrderFilled")
    event = structs.replace(made[at].recorded.event, price=Decimal(price))
    made[at] = structs.replace(made[at], recorded=structs.replace(made[at].recorded, event=event))
    with pytest.raises(UnableToTabulate, match=f"event {at + 1}, price: "):
        table(rows=made)


def must_agree(floor: Days) -> None:
    ends = floor.ends
    with tempfile.TemporaryDirectory() as folder:
        exported(floor, Path(folder))
        with selectors.opened(folder=Path(folder), tenant="acorn") as log:
            closing = {day: end.marks for day, end in ends.items()}
            asked = {"tenant": "acorn", "since": min(ends), "until": max(ends)}
            found = {(p.day, p.account_id, p.symbol): p for p in selectors.profits(log=log, closing=closing, **asked)}
            lost = {(s.day, s.account_id, s.symbol): s for s in selectors.slippages(log=log, **asked)}
    own = booked(floor)
    assert {key for key in own if any(own[key].values())} <= found.keys()
    gains: dict[str, Decimal] = {}
    for key, profit in sorted(found.items()):
        taken = own.get(key, dict.fromkeys(TAKEN, ZERO))
        assert {name: getattr(profit, name) for name in TAKEN} == taken
        end = ends[key[0]]
        assert profit.floating == end.floating.get(key[1:], ZERO)
        assert profit.lots == end.lots.get(key[1:], ZERO)
        gains[key[1]] = gains.get(key[1], ZERO) + profit.realised + profit.swap - profit.commission - profit.premium
    assert {name: row.by_lots for name, row in lost.items()} == slipped(floor)
    credited = {e.account_id: e.amount for e in (r.event for r in floor.log) if isinstance(e, ev.AccountCredited)}
    balances = {name: credited[name] + gains.get(name, ZERO) for name in credited}
    assert balances == {name: floor.desk.state.balances[name] for name in credited}
    assert all(round_money(amount=amount, currency="USD") == amount for amount in balances.values())
