"""A venue takes no order below the instrument's least, so none is sent one; what is split adds up (INV-21)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import BookMode
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side, TimeInForce
from piggy.core.positions import Position
from piggy.core.routing import least_leg, spread
from piggy.core.routing_rules import Treatment
from piggy.core.splitting import split
from tests.core.floor import EURUSD, START_US, Floor, only

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
TENTH = msgspec.structs.replace(EURUSD, lot_min=D("0.1"))
STEPS = st.integers(0, 60).map(lambda hundredths: D(hundredths) / 100)


@pytest.fixture
def floor() -> Floor:
    """A tenth of a lot is the least that is dealt, in hundredths; of mixed flow 40 % is passed on."""
    made = Floor(internal_cross=False)
    made.do(cmd.ConfigureInstrument(instrument=TENTH))
    return made


def treated(percent: str, most: str | None = None) -> Treatment:
    mode = {"0": BookMode.B, "100": BookMode.A}.get(percent, BookMode.MIXED)
    room = None if most is None else D(most)
    return Treatment(
        rule="r", version=1, book_mode=mode, a_percent=D(percent), internal_cross=False, b_net_max_lots=room
    )


def position(a_lots: D, b_lots: D) -> Position | None:
    lots = a_lots + b_lots
    known = {"account_id": "a", "symbol": "EURUSD", "position_id": "p", "quantity": lots, "cost": lots}
    return Position(**known, a_lots=a_lots, b_lots=b_lots) if lots else None


def a_part(lots: str, percent: str = "40", **asked: object) -> D:
    most = asked.pop("most", None)
    told = {"instrument": TENTH, "side": SELL, "position": None} | asked
    a, b, _ = split(treatment=treated(percent, most), quantity=D(lots), **told)  # type: ignore[arg-type]
    assert a + b == D(lots) and min(a, b) >= 0
    return a


def sent(*levels: tuple[str, str], lots: str) -> dict[str, D]:
    shown = [AttributedLevel(price=D(1), size=D(size), venue=name, received_at_us=START_US) for name, size in levels]
    legs = spread(reachable=shown, quantity=D(lots), limit=D(2), instrument=TENTH)
    return {leg.venue: leg.quantity for leg in legs}


@pytest.mark.parametrize(
    ("lots", "percent", "a_lots"),
    [
        ("0.1", "40", "0"),
        ("0.1", "50", "0.1"),
        ("0.12", "41", "0"),
        ("0.12", "42", "0.1"),
        ("0.24", "40", "0.1"),
        ("0.25", "40", "0.1"),
        ("0.3", "40", "0.12"),
        ("0.1", "0", "0"),
        ("0.1", "100", "0.1"),
    ],
)
def test_of_new_flow_a_gets_nothing_or_the_least_whichever_is_nearer(lots: str, percent: str, a_lots: str) -> None:
    assert a_part(lots, percent) == D(a_lots)


def test_the_least_is_in_whole_steps() -> None:
    odd = msgspec.structs.replace(EURUSD, lot_min=D("0.15"), lot_step=D("0.1"))
    assert least_leg(instrument=odd) == D("0.2") and a_part("0.5", "20", instrument=odd) == D("0.2")


@pytest.mark.parametrize(
    ("a_lots", "b_lots", "closed", "goes"),
    [
        ("0.4", "0.6", "0.1", "0"),  # 0.04 of A's: the house's are closed first,
        ("0.4", "0.4", "0.1", "0.1"),  # until half of it is A's.
        ("0.4", "0.02", "0.1", "0.1"),
        ("0.4", "0.6", "0.5", "0.2"),
        ("0.04", "0.6", "0.1", "0"),
        ("0.04", "0.06", "0.1", "0"),  # All of it, and no venue takes 0.04: the house does.
        ("0.12", "0.02", "0.1", "0.1"),
        ("0.05", "0", "0.05", "0"),
        ("0.2", "0.01", "0.05", "0"),  # A close of less than the least is the house's, whoever opened it.
    ],
)
def test_of_a_close_a_gets_nothing_or_the_least(a_lots: str, b_lots: str, closed: str, goes: str) -> None:
    assert a_part(closed, position=position(D(a_lots), D(b_lots))) == D(goes)


def test_a_turn_sends_the_close_and_what_it_opens_in_one_leg() -> None:
    """0.05 close A's and 0.06 of 0.15 open: together more than the least, though neither is."""
    assert a_part("0.2", position=position(D("0.05"), D(0))) == D("0.11")
    assert a_part("0.1", "30", position=position(D("0.05"), D(0))) == D("0.1"), "rather than none"
    assert a_part("0.08", "30", position=position(D("0.05"), D(0))) == 0, "all of it would be too little"


def test_what_came_back_and_is_too_little_stays_a_and_goes_nowhere() -> None:
    assert a_part("0.04", "40", came_back=D("0.04")) == a_part("0.04", "100") == D("0.04")
    held = position(D("0.02"), D(0))
    assert a_part("0.05", "100", position=held, came_back=D("0.05")) == D("0.03"), "the house closes 0.02 of them"


def test_an_overflow_is_made_large_enough_for_a_venue_or_stays_unfilled() -> None:
    assert a_part("0.5", "0", most="0.45", b_net_lots=D(0)) == D("0.1")
    assert a_part("0.5", "0", most="0.3", b_net_lots=D(0)) == D("0.2")
    assert a_part("0.09", "0", most="0.05", b_net_lots=D(0)) == D("0.09")


def test_no_leg_is_below_the_least() -> None:
    assert sent(("LP1", "0.05"), ("LP2", "5"), lots="1") == {"LP2": D(1)}, "LP1 shows less than it deals in"
    assert sent(("LP1", "1"), ("LP2", "5"), lots="1.04") == {"LP1": D("0.94"), "LP2": D("0.1")}
    assert sent(("LP1", "0.5"), ("LP2", "0.15"), ("LP3", "1"), lots="0.66") == {
        "LP1": D("0.46"), "LP2": D("0.1"), "LP3": D("0.1"),
    }  # fmt: skip
    assert sent(("LP1", "0.1"), ("LP2", "0.5"), lots="0.14") == {"LP2": D("0.14")}, "one venue shows them all"
    assert sent(("LP1", "0.1"), ("LP2", "0.12"), lots="0.14") == {"LP1": D("0.1")}, "and 0.04 are left out"
    assert sent(("LP1", "1"), lots="0.09") == {}


@given(a=STEPS, b=STEPS, lots=STEPS.filter(bool), percent=st.integers(0, 100))
def test_inv_21_no_split_asks_a_venue_for_too_little(a: D, b: D, lots: D, percent: int) -> None:
    """Each book closes what it opened, but for A's rest that no venue takes; what opens is as near as it goes."""
    held = position(a, b)
    to_a = a_part(str(lots), str(percent), position=held)
    closing = min(lots, a + b)
    opening, to_b = lots - closing, lots - to_a
    pure = percent == 100 and opening
    assert to_a == 0 or to_a >= TENTH.lot_min or (pure and to_a == opening)
    if not opening:
        share = lots * a / (a + b)
        ways = [D(n) / 100 for n in range(int(lots * 100) + 1) if D(n) / 100 <= a and lots - D(n) / 100 <= b]
        good = [way for way in ways if not 0 < way < TENTH.lot_min]
        assert to_a == max(good, key=lambda way: (-abs(way - share), way), default=0)
    if held is None:
        share = lots * percent / 100
        ways = [D(n) / 100 for n in range(int(lots * 100) + 1) if n == 0 or n >= 10]
        nearest = max(ways, key=lambda way: (-abs(way - share), way))
        assert to_a == (lots if pure else nearest if percent else 0) and to_b == lots - to_a


@given(sizes=st.lists(st.integers(1, 40), max_size=6), lots=st.integers(1, 120))
def test_a_spread_is_within_what_is_shown_and_what_is_asked_and_never_too_little(sizes: list[int], lots: int) -> None:
    names = [f"LP{place % 4}" for place in range(len(sizes))]
    shown = {name: sum(D(size) / 100 for who, size in zip(names, sizes, strict=True) if who == name) for name in names}
    levels = [(name, str(D(size) / 100)) for name, size in zip(names, sizes, strict=True)]
    legs, asked = sent(*levels, lots=str(D(lots) / 100)), D(lots) / 100
    assert all(TENTH.lot_min <= part <= shown[name] for name, part in legs.items())
    assert sum(legs.values()) <= asked
    if asked >= TENTH.lot_min and max(shown.values(), default=0) >= asked:
        assert sum(legs.values()) == asked, "where one venue shows it all, all of it is sent"


def test_what_is_left_of_a_market_order_ends_and_of_a_limit_rests(floor: Floor) -> None:
    for number, (terms, state) in enumerate([({}, "cancelled"), ({"limit_price": "1.10050"}, "partially_filled")], 1):
        floor.place("a1", BUY, "0.3", **terms)
        (leg,) = floor.children()
        floor.fill(leg, "1.10010", lots="0.25")
        assert not only(floor.done(leg, filled="0.25"), ev.ChildOrderCreated) and not floor.children()
        order = floor.order(number)
        assert (order.state.value, order.filled) == (state, D("0.25"))
    assert floor.order(1).text == "what is left is less than a venue deals in"
    assert not only(floor.act(), ev.OrderFilled), "and no price makes it more"


@given(
    steps=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 60), st.integers(0, 4)), max_size=8),
    percent=st.sampled_from([0, 15, 40, 60, 100]),
    whole=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_whatever_venues_deal_a_client_can_get_out_and_none_was_asked_for_too_little(
    steps: list[tuple[Side, int, int]], percent: int, whole: bool
) -> None:
    floor = Floor(internal_cross=False, a_book_percent=D(percent))
    floor.do(cmd.ConfigureInstrument(instrument=TENTH))

    def answered(answer: int) -> None:
        for _ in range(20):
            for leg in floor.children():
                part = leg.quantity * answer / 4 // EURUSD.lot_step * EURUSD.lot_step
                if part in (leg.quantity, 0) and answer:
                    floor.fill(leg, "1.10005")
                elif part:
                    floor.fill(leg, "1.10005", lots=str(part))
                    floor.done(leg, filled=str(part))
                else:
                    floor.reject(leg)

    for side, lots, answer in steps:
        force = {"time_in_force": TimeInForce.FOK} if whole else {}
        floor.place("mixed1", side, str(D(lots) / 100), **force)
        answered(answer)
    held = floor.desk.state.positions.get("mixed1:EURUSD")
    if held is not None:
        floor.place("mixed1", held.side.contra, str(held.lots))
        answered(4)
    assert "mixed1:EURUSD" not in floor.desk.state.positions
    asked = [row.event.quantity for row in floor.log if isinstance(row.event, ev.ChildOrderCreated)]
    assert all(lots >= TENTH.lot_min for lots in asked)
