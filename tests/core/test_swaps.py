"""The night: when it ends, how many nights settle, what they cost, and that each is charged once (G 22)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger, overnight
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.money import ZERO
from piggy.core.orders import Side, TimeInForce
from piggy.core.positions import Fill, Life, filled, held_since
from piggy.core.rollover import business_date, month_of, next_rollover_at_us, rollover_at_us
from piggy.core.swaps import SwapFree, SwapRates, SwapUnit, nights_due, swap_per_lot
from tests.core.floor import EURUSD, Floor, canonical, only

BUY, SELL = Side.BUY, Side.SELL
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
THANKSGIVING, CHRISTMAS, NEW_YEAR = date(2026, 11, 26), date(2026, 12, 25), date(2027, 1, 1)
MID_WEEK = date(2025, 12, 31)  # A Wednesday: its three nights roll into Thursday.
HOLIDAYS = (THANKSGIVING, CHRISTMAS, NEW_YEAR, MID_WEEK, date(2028, 12, 25), date(2028, 12, 26))

# Business date, hour (UTC) that ends it, nights with the triple day on Wednesday, on Friday.
TABLE = """
2024-02-28 22 3 1  2024-02-29 22 1 1  2024-03-01 22 1 3  2024-03-02 22 0 0  2024-03-03 22 0 0
2026-03-06 22 1 3  2026-03-07 22 0 0  2026-03-08 21 0 0  2026-03-09 21 1 1  2026-03-11 21 3 1
2026-03-27 21 1 3  2026-03-29 21 0 0  2026-03-30 21 1 1  2026-04-01 21 3 1  2026-07-03 21 1 3
2026-10-23 21 1 3  2026-10-25 21 0 0  2026-10-26 21 1 1  2026-10-28 21 3 1  2026-10-30 21 1 3
2026-10-31 21 0 0  2026-11-01 22 0 0  2026-11-02 22 1 1  2026-11-04 22 3 1  2026-11-25 22 3 1
2026-11-26 22 0 0  2026-11-27 22 2 4  2026-12-24 22 1 1  2026-12-25 22 0 0  2026-12-28 22 2 4
2026-12-31 22 1 1  2027-01-01 22 0 0  2027-01-04 22 2 4  2025-12-30 22 1 1  2025-12-31 22 0 0
2026-01-01 22 4 2  2026-01-02 22 1 3  2028-02-29 22 1 1  2028-12-25 22 0 0  2028-12-27 22 5 3
"""
ROWS = [
    (date.fromisoformat(day), int(hour), int(wednesday), int(friday))
    for day, hour, wednesday, friday in zip(*[iter(TABLE.split())] * 4, strict=True)
]


def rates(**changes: Any) -> SwapRates:
    given_values: dict[str, Any] = {"symbol": "EURUSD", "long": Decimal("-7"), "short": Decimal("2")}
    return SwapRates(**(given_values | changes))


def test_the_table_has_forty_dates() -> None:
    assert len({row[0] for row in ROWS}) == 40


@pytest.mark.parametrize(("day", "hour", "wednesday", "friday"), ROWS)
def test_forty_dates_end_and_settle_as_written(day: date, hour: int, wednesday: int, friday: int) -> None:
    """DST changes of both continents, leap days, year ends, holidays and triple days (F-31)."""
    end = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    end_us = int(end.timestamp()) * 1_000_000
    assert rollover_at_us(business_date=day) == end_us
    assert business_date(at_us=end_us - 1) == day
    assert business_date(at_us=end_us) == day + timedelta(days=1)
    assert next_rollover_at_us(at_us=end_us - 1) == end_us
    held = {"business_date": day, "held_from_us": 0}
    assert nights_due(rates=rates(holidays=HOLIDAYS), **held) == wednesday
    assert nights_due(rates=rates(holidays=HOLIDAYS, triple_weekday=4), **held) == friday
    assert nights_due(rates=rates(triple_weekday=None), **held) == 1


@given(
    start=st.dates(date(2020, 1, 1), date(2035, 1, 1)),
    holidays=st.sets(st.integers(0, 13), max_size=5),
    triple=st.integers(0, 4),
)
def test_no_night_is_lost_or_made_by_holidays(start: date, holidays: set[int], triple: int) -> None:
    closed = tuple(start + timedelta(days=number) for number in holidays)
    span = [start + timedelta(days=number) for number in range(35)]
    kept = rates(holidays=closed, triple_weekday=triple)
    nights = [nights_due(rates=kept, business_date=day, held_from_us=0) for day in span]
    # The weekend before the start may hand in nothing, for no day before it was a holiday.
    assert sum(nights) == 35
    assert all(not nights[number] for number in holidays)


def test_who_did_not_hold_it_over_the_holiday_does_not_pay_that_night() -> None:
    kept = rates(holidays=HOLIDAYS)
    opened = rollover_at_us(business_date=THANKSGIVING)
    friday = THANKSGIVING + timedelta(days=1)
    assert nights_due(rates=kept, business_date=friday, held_from_us=opened) == 1
    assert nights_due(rates=kept, business_date=friday, held_from_us=opened - 1) == 2


def test_a_lot_gets_points_percent_or_currency() -> None:
    def per_lot(side: Side = Side.BUY, price: str | None = "1.1", **changes: Any) -> Decimal | None:
        at = None if price is None else Decimal(price)
        return swap_per_lot(rates=rates(**changes), instrument=EURUSD, side=side, price=at)

    assert (per_lot(), per_lot(Side.SELL)) == (Decimal("-7.00000"), Decimal("2.00000"))
    percent = {"unit": SwapUnit.PERCENT, "long": Decimal("-3.6")}
    assert per_lot(**percent) == Decimal(-11)
    assert per_lot(**percent, days_in_year=365) == Decimal(-396_000) / 100 / 365
    assert per_lot(**percent, price=None) is None
    assert per_lot(unit=SwapUnit.CURRENCY, price=None) == -7


def test_months_are_counted_in_utc() -> None:
    first = int(datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp()) * 1_000_000
    assert month_of(at_us=first + 60_000_000) - month_of(at_us=first) == 1


class Nights(Floor):
    """A floor whose log begins on Tuesday 14 November 2023 after the rollover: the 15th is its first business date."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.do(cmd.ConfigureSwaps(rates=rates(**changes)))

    def night(self, days: int = 1) -> list[ev.AnyEvent]:
        self.now_us += days * DAY_US
        return self.act()


def charged(events: list[ev.AnyEvent]) -> list[tuple[str, date, int, Decimal]]:
    return [(e.account_id, e.business_date, e.nights, e.amount) for e in only(events, ev.SwapCharged)]


def test_each_night_is_charged_once_and_moves_the_balance() -> None:
    floor = Nights()
    floor.place("b1", Side.BUY, "2")
    floor.place("b2", Side.SELL, "1")
    before = dict(floor.desk.state.balances)
    events = floor.night()
    wednesday = date(2023, 11, 15)
    assert charged(events) == [("b1", wednesday, 3, Decimal("-42.00")), ("b2", wednesday, 3, Decimal("6.00"))]
    assert isinstance(events[-1], ev.RolledOver)
    assert floor.desk.state.balances["b1"] == before["b1"] - 42
    assert floor.act() == []
    again = cmd.RollOver(business_date=wednesday, at_us=rollover_at_us(business_date=wednesday))
    assert floor.do(again) == []


def test_a_symbol_without_rates_costs_nothing() -> None:
    floor = Floor()
    floor.place("b1", Side.BUY, "1")
    floor.now_us += DAY_US
    assert [type(event) for event in floor.act()] == [ev.RolledOver]


def test_a_desk_that_was_down_for_days_settles_each_night() -> None:
    floor = Nights()
    floor.place("b1", Side.BUY, "1")
    events = floor.night(days=6)
    dates = [event.business_date for event in only(events, ev.RolledOver)]
    assert dates == [date(2023, 11, 15) + timedelta(days=number) for number in range(6)]
    assert [(day.day, nights) for _, day, nights, _ in charged(events)] == [(15, 3), (16, 1), (17, 1), (20, 1)]


def test_what_was_opened_after_the_rollover_does_not_pay_for_it() -> None:
    floor = Nights()
    floor.now_us += 2 * DAY_US
    floor.quotes()
    floor.place("b1", Side.BUY, "1")
    assert charged(floor.act()) == []
    assert [nights for _, _, nights, _ in charged(floor.night())] == [1]


def test_a_large_desk_rolls_over_in_steps_and_still_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overnight, "CHARGES_PER_STEP_MAX", 1)
    floor = Nights()
    for account_id in ("b1", "b2"):
        floor.place(account_id, Side.BUY, "1")
    floor.now_us += DAY_US
    (command,) = (each for each in floor.desk.due(now_us=floor.now_us) if isinstance(each, cmd.RollOver))
    first, second, last = (floor.do(command) for _ in range(3))
    assert [event.account_id for event in first + second] == ["b1", "b2"]
    assert [type(event) for event in last] == [ev.RolledOver]
    assert floor.desk.state.rolled == set()


def test_a_rollover_out_of_turn_is_refused() -> None:
    floor = Nights()
    for day in (date(2023, 11, 15), date(2023, 11, 17)):
        (refused,) = floor.do(cmd.RollOver(business_date=day, at_us=rollover_at_us(business_date=day)))
        assert refused.code == "ROLLOVER_OUT_OF_TURN"
    desk = Desk(tenant="new")
    (refused,) = desk.decide(command=cmd.RollOver(business_date=day, at_us=0), now_us=floor.now_us)
    assert refused.code == "ROLLOVER_OUT_OF_TURN"
    assert overnight.rollover_due(state=desk.state, now_us=floor.now_us) is None


def test_configuring_swaps_says_what_is_wrong() -> None:
    floor = Nights()
    for changes, code in (
        ({"symbol": "NOTHING"}, "SYMBOL_UNKNOWN"),
        ({"long": Decimal("NaN")}, "RATES_UNUSABLE"),
        ({"short": Decimal("-1000000.01")}, "RATES_UNUSABLE"),
        ({"long": Decimal("1E+30")}, "RATES_UNUSABLE"),
        ({"triple_weekday": 6}, "RATES_UNUSABLE"),
        ({"days_in_year": 0}, "RATES_UNUSABLE"),
    ):
        (refused,) = floor.do(cmd.ConfigureSwaps(rates=rates(**changes)))
        assert refused.code == code
    assert floor.do(cmd.ConfigureSwaps(rates=rates())) == []
    for group, terms, code in (
        ("nobody", None, "GROUP_UNKNOWN"),
        ("b", SwapFree(fee_per_lot=Decimal(-1)), "TERMS_UNUSABLE"),
        ("b", SwapFree(fee_per_lot=Decimal("1E+30")), "TERMS_UNUSABLE"),
        ("b", SwapFree(grace_days=-1), "TERMS_UNUSABLE"),
    ):
        (refused,) = floor.do(cmd.ConfigureSwapFree(group=group, terms=terms))
        assert refused.code == code
    assert floor.do(cmd.ConfigureSwapFree(group="b", terms=None)) == []


def test_a_swap_free_group_pays_a_fee_after_its_days_of_grace() -> None:
    floor = Nights()
    floor.do(cmd.ConfigureSwapFree(group="b", terms=SwapFree(grace_days=2, fee_per_lot=Decimal(5))))
    floor.place("b1", Side.BUY, "2")
    floor.place("mixed1", Side.SELL, "1")
    events = [event for event in only(floor.night(days=3), ev.SwapCharged) if event.account_id == "b1"]
    assert [(event.kind, event.business_date.day, event.amount) for event in events] == [("admin_fee", 17, -10)]
    lines = ledger.postings(event=events[0], currency="")
    assert {line.gl_account for line in lines} == {ledger.ADMIN_FEE_INCOME, ledger.CLIENT_MONEY}
    floor.do(cmd.ConfigureSwapFree(group="b", terms=SwapFree()))
    assert "b1" not in [account_id for account_id, *_ in charged(floor.night(days=4))]
    floor.do(cmd.ConfigureSwapFree(group="b", terms=None))
    assert "b1" in [account_id for account_id, *_ in charged(floor.night())]


def test_a_night_without_a_price_is_settled_at_the_next_rollover() -> None:
    floor = Nights(unit=SwapUnit.PERCENT, long=Decimal("-3.6"))
    floor.place("b1", Side.BUY, "1")
    floor.place("b2", Side.BUY, "1")
    mark = floor.desk.marks.pop("EURUSD")
    floor.now_us += DAY_US
    (day,) = (each for each in floor.desk.due(now_us=floor.now_us) if isinstance(each, cmd.RollOver))
    deferred = only(floor.do(day), ev.SwapDeferred)
    assert [(event.nights, event.text) for event in deferred] == [(3, "no price")] * 2
    floor.desk.marks["EURUSD"] = mark
    floor.quotes()
    floor.place("b2", Side.SELL, "1")
    assert "b2:EURUSD" not in floor.desk.state.swap_owed, "what is closed owes no more"
    assert [nights for _, _, nights, _ in charged(floor.night())] == [4]
    assert floor.desk.state.swap_owed == {}
    assert [nights for _, _, nights, _ in charged(floor.night())] == [1]


def test_a_night_without_a_rate_waits_and_an_amount_of_nothing_is_not_booked() -> None:
    floor = Nights(long=Decimal("0.00001"), short=Decimal(-1))
    yen = Instrument(
        symbol="USDJPY",
        asset_class=AssetClass.FX_MAJOR,
        base="USD",
        quote="JPY",
        contract_size=Decimal(100_000),
        price_digits=3,
        tick_size=Decimal("0.001"),
    )
    floor.place("b1", Side.BUY, "1")
    floor.do(cmd.ConfigureInstrument(instrument=yen))
    assert charged(floor.night()) == []
    position = floor.desk.state.positions["b1:EURUSD"]
    floor.do(cmd.ConfigureSwaps(rates=rates(symbol="USDJPY")))
    floor.desk.state.positions["b2:USDJPY"] = msgspec.structs.replace(
        position, account_id="b2", symbol="USDJPY", position_id="b2:USDJPY"
    )
    floor.now_us += DAY_US
    day = next(each for each in floor.desk.due(now_us=floor.now_us) if isinstance(each, cmd.RollOver))
    (deferred,) = only(floor.do(day), ev.SwapDeferred)
    assert deferred.text == "no rate from JPY to USD"


def test_orders_for_the_day_end_with_the_trading_day() -> None:
    floor = Nights()
    floor.place("b1", Side.BUY, "1", limit_price="1.09", time_in_force=TimeInForce.DAY)
    end = rollover_at_us(business_date=date(2023, 11, 15))
    floor.now_us = end - 1
    assert floor.act() == []
    floor.now_us = end
    assert [event.outcome for event in only(floor.act(), ev.OrderCancelled)] == ["expired"]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_pauses_and_trades_charge_each_position_and_date_once(data: st.DataObject) -> None:
    """The naive twin walks every rollover instant and asks who held what then."""
    floor = Nights(unit=SwapUnit.CURRENCY)
    charges: dict[tuple[str, date], int] = {}
    expected: dict[tuple[str, date], int] = {}
    for _ in range(data.draw(st.integers(1, 5))):
        floor.quotes()
        floor.place(data.draw(st.sampled_from(["b1", "b2"])), data.draw(st.sampled_from(list(Side))), "1")
        held = {position_id: p.lots for position_id, p in floor.desk.state.positions.items()}
        start = floor.now_us
        floor.now_us += data.draw(st.integers(0, 100)) * HOUR_US
        day = business_date(at_us=start)
        while rollover_at_us(business_date=day) <= floor.now_us:
            expected |= {(key, day): int(lots) for key, lots in held.items() if day.weekday() < 5}
            day += timedelta(days=1)
        for event in only(floor.act(), ev.SwapCharged):
            assert (event.position_id, event.business_date) not in charges
            charges[event.position_id, event.business_date] = int(event.lots)
            assert ledger.is_balanced(ledger.postings(event=event, currency=""))
    assert charges == expected
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert canonical(again.state) == canonical(floor.desk.state)
    assert ZERO not in charges.values()


def test_a_night_is_charged_for_the_lots_held_over_it_and_ever_since() -> None:
    """A Thursday off rolls into Friday: two of the lots came after its rollover, one left before Friday's."""
    thursday = date(2023, 11, 16)
    floor = Nights(holidays=(thursday,))
    floor.place("b1", Side.BUY, "1.5")
    floor.place("b2", Side.SELL, "1")
    assert [nights for _, _, nights, _ in charged(floor.night())] == [3, 3]
    floor.now_us = rollover_at_us(business_date=thursday) + HOUR_US
    floor.quotes()
    assert charged(floor.act()) == [], "nobody settles on the holiday itself"
    floor.place("b1", Side.BUY, "2")
    floor.place("b1", Side.SELL, "2.5")
    floor.place("b1", Side.BUY, "3")
    floor.open_account("late", group="b")
    floor.place("late", Side.BUY, "1")
    events = only(floor.night(), ev.SwapCharged)
    settled = [(event.account_id, event.nights, event.lots, event.amount) for event in events]
    assert settled == [
        ("b1", 1, Decimal("4.00"), Decimal("-28.00")),
        ("b1", 1, Decimal("1.00"), Decimal("-7.00")),
        ("b2", 2, Decimal("1"), Decimal("4.00")),
        ("late", 1, Decimal("1"), Decimal("-7.00")),
    ]


def test_lots_dealt_after_the_rollover_pay_nothing_for_it_however_late_it_is_settled() -> None:
    floor = Nights()
    floor.do(cmd.ConfigureSwapFree(group="mixed", terms=SwapFree(fee_per_lot=Decimal(5))))
    for account_id in ("b1", "mixed1"):
        floor.place(account_id, Side.BUY, "1")
    floor.now_us += DAY_US
    floor.quotes()
    for account_id in ("b1", "mixed1"):
        floor.place(account_id, Side.BUY, "1")
        for leg in floor.children():
            floor.fill(leg, "1.10010")
    assert {amount for *_, amount in charged(floor.act())} == {Decimal("-21.00"), Decimal("-9.00")}


@pytest.mark.parametrize(
    ("fills", "lots"),
    [
        ((), 5),
        (((BUY, 1, 100),), 4),
        (((BUY, 1, 99),), 5),
        (((SELL, 1, 100), (BUY, 1, 101)), 4),
        (((BUY, 2, 100), (SELL, 3, 101)), 5),
        (((BUY, 9, 100),), 0),
        (((BUY, 1, 50), (SELL, 2, 0), (BUY, 1, 100)), 4),
    ],
    ids=str,
)
def test_the_lots_held_since_a_moment_are_the_fewest_of_the_path(fills: Any, lots: int) -> None:
    """Five lots now, opened at 10; a deal-back of a bust bears no time, and what the life does not tell was there."""
    position = filled(
        position=None, side=BUY, quantity=Decimal(5), price=Decimal(1), contract_size=Decimal(1), at_us=10
    ).position
    assert position is not None
    given_fills = [
        Fill(fill_id=str(at), side=side, quantity=Decimal(quantity), price=Decimal(1), at_us=at_us)
        for at, (side, quantity, at_us) in enumerate(fills)
    ]
    assert held_since(position=position, life=Life(fills=given_fills), at_us=100) == lots
    assert held_since(position=position, life=None, at_us=100) == 5
    assert held_since(position=position, life=None, at_us=10) == 0
