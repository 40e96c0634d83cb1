"""What the house made good (G 11) once fills of before it are taken back, whichever of them goes first."""

from __future__ import annotations

import copy
from decimal import Decimal
from itertools import permutations

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import gifts
from piggy.core.correction_events import OrderFillBusted
from piggy.core.gifts import Gift, Held, Move, after_moves, given, owed
from piggy.core.orders import Side
from piggy.core.swaps import SwapRates, SwapUnit
from tests.core.floor import Floor, only
from tests.core.test_busted_nights import record
from tests.core.test_busting import bust, correct, money, on_record

D = Decimal


def poor() -> Floor:
    """A thousand was all it had: a lot lost in a fall took more, and the house gave the rest."""
    floor = Floor(slippage_bps_max=D(10_000), bid_markup_points=0, ask_markup_points=0)
    floor.open_account("poor", group="b", amount=1_000)
    return floor


def lose(floor: Floor, lots: str = "0.2", shift: str = "-0.1") -> None:
    for side, at in ((Side.BUY, "0"), (Side.SELL, shift)):
        for _ in range(5):
            floor.quotes(at)
        floor.place("poor", side, lots)


def gave(events: list[ev.AnyEvent]) -> list[Decimal]:
    return [event.amount for event in only(events, ev.NegativeBalanceWrittenOff)]


def test_a_purchase_that_never_was_takes_back_what_made_its_loss_good() -> None:
    """Not only its close: what is open then is worth at the sale's price what the account had, and no more."""
    floor = poor()
    lose(floor)
    bought, sold = on_record(floor)
    assert sold.written_off > 0 and money(floor, "poor") == 0
    assert gave(bust(floor, bought)) == [-sold.written_off]
    held = floor.desk.state.positions["poor:EURUSD"]
    assert held.quantity == D("-0.2")
    assert money(floor, "poor") + (held.quantity * sold.price - held.cost) * 100_000 == 1_000
    assert gave(bust(floor, sold)) == [] and money(floor, "poor") == 1_000


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_gift_is_owed_again_once_what_left_it_open_is_gone_as_well(order: tuple[int, ...]) -> None:
    """A gain before the loss, taken back whole: the loss was as large, and the house bears more of it."""
    floor = poor()
    lose(floor, "0.1", "0.003")
    lose(floor)
    fills = on_record(floor)
    gift = fills[-1].written_off
    gain = sum(fill.realised or D(0) for fill in fills[:2])
    assert gift > 0 and gain > 0
    for place in order:
        bust(floor, fills[place])
        if {*order[: order.index(place) + 1]} == {0, 1}:
            assert floor.desk.state.gifts["poor"][0].given == gift + gain and money(floor, "poor") == 0
    assert money(floor, "poor") == 1_000


def test_a_close_corrected_to_a_better_price_needs_less_of_the_house() -> None:
    floor = poor()
    lose(floor)
    *_, sold = on_record(floor)
    (less,) = gave(correct(floor, sold, str(sold.price + D("0.01"))))
    assert less == -200 and money(floor, "poor") == 0
    *_, anew = on_record(floor)
    (more,) = gave(correct(floor, anew, str(anew.price - D("0.02"))))
    assert more == 400 and money(floor, "poor") == 0
    *_, again = on_record(floor)
    assert again.written_off == 400, "as the log has it"
    bust(floor, again)
    bust(floor, on_record(floor)[0])
    assert money(floor, "poor") == 1_000


def test_gifts_of_before_they_were_named_are_known_by_their_amount() -> None:
    """A log of then: the gift went back without a name, right before the bust of its fill."""
    floor = poor()
    lose(floor)
    *_, sold = on_record(floor)
    record(floor, ev.NegativeBalanceWrittenOff(account_id="poor", amount=-sold.written_off, currency="USD"))
    (gift,) = floor.desk.state.gifts["poor"]
    assert gift.given == 0 and money(floor, "poor") == -sold.written_off
    record(floor, ev.NegativeBalanceWrittenOff(account_id="poor", amount=D(-1), currency="USD"))
    assert floor.desk.state.gifts["poor"] == (gift,), "of none that is known"


def test_a_bust_of_before_fills_told_their_own_bookings_moves_the_gift_by_what_it_restated() -> None:
    floor = poor()
    lose(floor)
    bought, _ = on_record(floor)
    (told,) = only(bust(copy.deepcopy(floor), bought), OrderFillBusted)
    (before,) = floor.desk.state.gifts["poor"]
    old = msgspec.structs.replace(told, own_realised=None, own_realised_quote=None, place_seq=0, place_at_us=0)
    record(floor, old)
    (gift,) = floor.desk.state.gifts["poor"]
    held = Held(-bought.quantity, D(0), bought.conversion_rate)
    assert old.undone == old.realised + old.commission
    assert gift.balance == before.balance + old.undone and gift.held == {"poor:EURUSD": held}


def test_only_the_latest_gifts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("piggy.core.money_folding.GIFTS_MAX", 1)
    floor = poor()
    lose(floor)
    first = floor.desk.state.gifts["poor"]
    floor.do(cmd.CreditAccount(account_id="poor", amount=D(1_000), reference="more"))
    lose(floor)
    (gift,) = floor.desk.state.gifts["poor"]
    assert gift.seq > first[0].seq


def test_what_is_left_over_in_the_quote_currency_counts_at_its_rate() -> None:
    gift = Gift(seq=9, balance=D(-500), given=D(500))
    moves = [
        Move(3, D(100), "p", Held(D(-1), D(200), D("0.5"))),
        Move(4, D(-50), "p", Held(D(1), D(-160), D("0.25"))),
        Move(9, D(777), "p", Held(D(5), D(0), D(1))),
    ]
    (open_,) = after_moves(gifts=(gift,), moves=moves[:1])
    assert owed(gift=open_, protected=True, currency="USD") == 0
    (flat,) = after_moves(gifts=(gift,), moves=moves)
    assert flat.balance == -450 and owed(gift=flat, protected=True, currency="USD") == 440
    (none,) = after_moves(gifts=(flat,), moves=[Move(5, D(0), "p", Held(D(0), D(-40), D(1)))])
    assert none.held == {}
    worse = msgspec.structs.replace(flat, balance=D(-900))
    assert owed(gift=worse, protected=True, currency="USD") == 890
    assert owed(gift=worse, protected=False, currency="USD") == 500, "no more than was given, by another contract"
    assert owed(gift=msgspec.structs.replace(flat, balance=D(30)), protected=True, currency="USD") == 0


def test_what_an_earlier_gift_became_the_account_had_before_a_later_one() -> None:
    both = (Gift(seq=5, balance=D(-3), given=D(3)), Gift(seq=8, balance=D(-7), given=D(7)))
    first, later = given(gifts=both, seq=5, amount=D(-2))
    assert (first.given, first.balance, later.given, later.balance) == (1, -3, 7, -9)
    assert Held() == gifts.NOTHING


def test_the_share_of_nights_is_the_accounts_before_it_is_short() -> None:
    """Nights that never were had left the account shorter than it was, so less was to be made good."""
    floor = poor()
    rates = SwapRates(symbol="EURUSD", long=D(-100), short=D(0), unit=SwapUnit.CURRENCY)
    floor.do(cmd.ConfigureSwaps(rates=rates))
    floor.place("poor", Side.BUY, "0.1")
    floor.place("poor", Side.BUY, "0.1")
    floor.now_us += 86_400_000_000
    floor.act()
    for _ in range(5):
        floor.quotes("-0.1")
    floor.place("poor", Side.SELL, "0.2")
    first, second, sold = on_record(floor)
    assert sold.written_off > 0
    bust(floor, first)
    bust(floor, sold)
    bust(floor, second)
    assert money(floor, "poor") == 1_000
