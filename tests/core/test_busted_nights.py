"""Nights of fills that are taken back: each takes its share of what was settled along, whatever goes first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import permutations

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger, nights, position_folding
from piggy.core.bust_commands import BustFills
from piggy.core.correction_events import OrderFillBusted
from piggy.core.nights import Night, moved, with_night, without_lots
from piggy.core.orders import Side
from piggy.core.swaps import SwapFree
from tests.core.floor import only
from tests.core.test_busting import bust, correct, money, on_record
from tests.core.test_corrections import books
from tests.core.test_corrections import bust as bust_at_venue
from tests.core.test_corrections import correct as correct_at_venue
from tests.core.test_swaps import DAY_US, Nights

D = Decimal
HELD = "b1:EURUSD"


def record(floor: Nights, event: ev.AnyEvent) -> None:
    """Let the log hold what an earlier program wrote."""
    seq = len(floor.log) + 1
    recorded = msgspec.structs.replace(floor.log[-1], seq=seq, command_id=f"old{seq}", position=0, event=event)
    floor.log.append(recorded)
    floor.desk.apply(recorded=recorded)


def restated(events: list[ev.AnyEvent]) -> list[Decimal]:
    return [event.amount for event in only(events, ev.SwapRestated)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_all_that_nights_charged_went_back_with_the_last_fill(order: tuple[int, ...]) -> None:
    """INV-23: two bought, one sold again, three nights of one lot; the books are those of before."""
    floor = Nights()
    clean = books(floor)
    for side in (Side.BUY, Side.BUY, Side.SELL):
        floor.place("b1", side, "1")
    assert [event.amount for event in only(floor.night(), ev.SwapCharged)] == [-21]
    fills = on_record(floor)
    for place in order:
        bust(floor, fills[place])
    assert money(floor, "b1") == 100_000 and books(floor) == clean


def test_a_night_stands_for_the_lots_that_were_held_without_the_fill_and_never_for_more() -> None:
    floor = Nights()
    floor.place("b1", Side.BUY, "2")
    floor.place("b1", Side.SELL, "1")
    floor.night()
    bought, sold = on_record(floor)
    (event,) = only(bust(floor, bought), ev.SwapRestated)
    assert (event.amount, event.kind, event.fill_id, event.position_id) == (21, "swap", bought.fill_id, HELD)
    lines = ledger.postings(event=event, currency="")
    assert {(line.gl_account, line.amount) for line in lines} == {(ledger.SWAP_INCOME, 21), (ledger.CLIENT_MONEY, -21)}
    floor = Nights()
    floor.place("b1", Side.BUY, "2")
    floor.place("b1", Side.SELL, "1")
    floor.night()
    bought, sold = on_record(floor)
    assert restated(bust(floor, sold)) == [], "two lots would have been held, and one was charged"
    assert floor.desk.state.nights[HELD][0].held == 2
    assert restated(bust(floor, bought)) == [21]


def test_what_nights_brought_is_taken_back_as_well() -> None:
    floor = Nights()
    floor.place("b1", Side.SELL, "1")
    floor.place("b1", Side.SELL, "2")
    floor.night()
    assert restated(bust(floor, on_record(floor)[0])) == [-6]
    assert restated(bust(floor, on_record(floor)[1])) == [-12]
    assert money(floor, "b1") == 100_000


@pytest.mark.parametrize("reopened", [True, False])
def test_nights_go_back_though_the_position_is_over_and_whatever_came_after(reopened: bool) -> None:
    """F-15: a venue takes the purchase back days later."""
    floor = Nights()
    floor.place("a1", Side.BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="E1")
    floor.night()
    floor.quotes()
    floor.place("a1", Side.SELL, "1")
    floor.fill(floor.children()[0], "1.10000", fill_id="E2")
    assert floor.desk.state.nights_of_flat.keys() == {"a1:EURUSD"}
    if reopened:
        floor.place("a1", Side.BUY, "1")
        floor.fill(floor.children()[0], "1.10010", fill_id="E3")
        assert floor.desk.state.nights_of_flat == {}
    floor.now_us += 3 * DAY_US
    assert restated(bust_at_venue(floor, leg, "E1")) == [21]


def test_the_nights_of_positions_that_are_over_for_the_longest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position_folding, "FLAT_MAX", 4)
    floor = Nights()
    floor.open_account("h", group="b", amount=1_000_000, hedging=True)
    for _ in range(6):
        floor.place("h", Side.BUY, "1")
    floor.night()
    for _ in range(6):
        floor.quotes()
        held = sorted(floor.desk.state.positions)[0]
        floor.place("h", Side.SELL, "1", position_id=held)
    first = on_record(floor)[0]
    kept = floor.desk.state.nights
    assert kept.keys() == floor.desk.state.nights_of_flat.keys() and len(kept) == 4
    assert first.position_id not in kept and restated(bust(floor, first)) == []


def test_a_correction_moves_no_night_for_it_stands_in_the_place_of_its_fill() -> None:
    """F-31: another price, the same lots, held as long; and what is busted in the end is the correction."""
    floor = Nights()
    floor.place("b1", Side.BUY, "1")
    opened_at_us = floor.now_us
    floor.night()
    events = correct(floor, on_record(floor)[0], "1.10000")
    assert restated(events) == [] and floor.desk.state.positions[HELD].opened_at_us == opened_at_us
    *_, anew = on_record(floor)
    correct(floor, anew, "1.10020")
    *_, again = on_record(floor)
    assert (again.place_seq, again.place_at_us) == (anew.place_seq, opened_at_us) and anew.place_seq < anew.seq
    assert restated(bust(floor, again)) == [21]
    assert money(floor, "b1") == 100_000


def test_a_venue_that_corrects_to_fewer_lots_moves_the_share_of_the_others() -> None:
    floor = Nights()
    floor.place("a1", Side.BUY, "2")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", fill_id="E1")
    floor.night()
    assert restated(correct_at_venue(floor, leg, "E1", quantity=D("0.5"))) == [D("31.50")]
    assert restated(bust_at_venue(floor, leg, "C-E1")) == [D("10.50")]
    assert money(floor, "a1") == 100_000


def test_a_fee_goes_back_as_a_fee() -> None:
    floor = Nights()
    floor.do(cmd.ConfigureSwapFree(group="b", terms=SwapFree(fee_per_lot=D(5))))
    floor.place("b1", Side.BUY, "1")
    floor.night()
    (event,) = only(bust(floor, on_record(floor)[0]), ev.SwapRestated)
    assert (event.kind, event.amount) == ("admin_fee", 15)
    assert ledger.postings(event=event, currency="")[0].gl_account == ledger.ADMIN_FEE_INCOME


def test_a_night_that_a_holiday_put_off_is_of_those_who_held_it_then() -> None:
    """Bought before a Thursday off and after it; the later fill has a share of Friday's night alone."""
    floor = Nights(holidays=(date(2023, 11, 16),))
    floor.place("b1", Side.BUY, "1")
    floor.night(2)
    floor.quotes()
    floor.place("b1", Side.BUY, "1")
    charged = only(floor.night(), ev.SwapCharged)
    assert [(event.lots, event.amount, event.since_us < event.occurred_at_us) for event in charged] == [
        (2, -14, True),
        (1, -7, True),
    ]
    first, second = on_record(floor)
    assert restated(bust(floor, second)) == [7]
    assert restated(bust(floor, first)) == [35] and money(floor, "b1") == 100_000


def test_a_lot_that_a_bust_left_open_was_not_there_for_nights_that_are_settled_late() -> None:
    """The purchase of before the rollover is taken back after it; nobody held the sale over that night."""
    floor = Nights()
    floor.place("b1", Side.BUY, "1")
    bought_at_us = floor.now_us
    floor.now_us += DAY_US
    floor.quotes()
    floor.place("b1", Side.SELL, "1")
    bust(floor, on_record(floor)[0])
    assert floor.desk.state.positions[HELD].opened_at_us == floor.now_us > bought_at_us
    assert only(floor.act(), ev.SwapCharged) == []


def test_busts_of_before_their_own_bookings_were_told_read_as_ever() -> None:
    """Such a bust moved no night and dealt back at the price of the fill; what is busted since moves its own share."""
    floor = Nights()
    for _ in range(2):
        floor.place("b1", Side.BUY, "1")
    floor.night()
    first, second = on_record(floor)
    old = ("own_realised", "own_realised_quote", "place_seq", "place_at_us")
    command = BustFills(fills=(first,), by="dora", reason="bad tick")
    (event,) = only(list(floor.desk.decide(command=command, now_us=floor.now_us)), OrderFillBusted)
    record(floor, msgspec.structs.replace(event, **dict.fromkeys(old[:2]), **dict.fromkeys(old[2:], 0)))
    assert money(floor, "b1") == 100_000 - 42 and floor.desk.state.nights[HELD][0].held == 2
    assert restated(bust(floor, second)) == [21]


def night(at_us: int, lots: int = 1, amount: str = "-7", kind: str = "swap", side: Side = Side.BUY) -> Night:
    return Night(since_us=at_us, until_us=at_us, side=side, lots=D(lots), held=D(lots), amount=D(amount), kind=kind)


def test_nights_over_which_nothing_was_dealt_are_kept_as_one() -> None:
    first = with_night(nights=(), night=night(10), dealt_at_us=5)
    (whole,) = with_night(nights=first, night=night(20), dealt_at_us=5)
    assert (whole.since_us, whole.until_us, whole.amount) == (10, 20, -14)
    for other, dealt_at_us in (
        (night(20), 15),
        (night(20, lots=2), 5),
        (night(20, kind="admin_fee"), 5),
        (night(20, side=Side.SELL), 5),
    ):
        assert len(with_night(nights=first, night=other, dealt_at_us=dealt_at_us)) == 2
    taken = without_lots(nights=first, side=Side.BUY, lots=D(1), at_us=5)
    assert len(with_night(nights=taken, night=night(20), dealt_at_us=5)) == 2


def test_only_the_latest_nights_of_a_position_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "NIGHTS_MAX", 2)
    kept: nights.Nights = ()
    for at_us in (10, 20, 30):
        kept = with_night(nights=kept, night=night(at_us, lots=at_us), dealt_at_us=5)
    assert [each.since_us for each in kept] == [20, 30]


def test_a_share_is_rounded_once_and_comes_to_all_in_the_end() -> None:
    held = (night(10, lots=3, amount="-10"),)
    sums = []
    for _ in range(3):
        less = without_lots(nights=held, side=Side.BUY, lots=D(1), at_us=9)
        sums.append(moved(before=held, after=less, currency="USD")["swap"])
        held = less
    assert sums == [D("3.33"), D("3.34"), D("3.33")] and sum(sums) == 10
    assert without_lots(nights=held, side=Side.BUY, lots=D(1), at_us=10) == held, "dealt after that rollover"
