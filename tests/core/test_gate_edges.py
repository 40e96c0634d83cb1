"""The gate on the desk, at its edges: what others of the account work, what venues have left, what is given back."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Venue
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import OrderTerms, OrderType, Side
from piggy.core.routing import Leg
from piggy.core.venue_room import FULL, full_venues
from piggy.engine.snapshot import digest
from tests.core.floor import SECOND_US, Floor, only
from tests.core.test_desk_margin import with_option
from tests.core.test_desk_stopout import floor_of
from tests.core.test_open_risk import USDJPY, XAUUSD, order, refused
from tests.core.test_open_risk import limits as allowed

UNIT = D(110_000)
STOP: dict[str, Any] = {"type": OrderType.STOP}


@pytest.fixture
def floor() -> Floor:
    made = floor_of()
    for instrument in (USDJPY, XAUUSD):
        made.do(cmd.ConfigureInstrument(instrument=instrument))
    return made


def what_if(floor: Floor, side: Side, lots: str, account_id: str = "b1", symbol: str = "EURUSD") -> D | None:
    terms = OrderTerms(account_id=account_id, symbol=symbol, side=side, quantity=D(lots))
    return floor.desk.what_if(terms=terms, now_us=floor.now_us).required


def limits(floor: Floor, group: str, **changes: Any) -> None:
    free = {"duplicate_window_ms": 0, "window_value_max": D(10**9)}
    floor.do(cmd.ConfigureLimits(group=group, limits=msgspec.structs.replace(HOUSE_LIMITS, **(free | changes))))


def now(floor: Floor, account_id: str, lots: str = "0.1") -> list[ev.AnyEvent]:
    """Place a market order in this very second."""
    asked = OrderTerms(account_id=account_id, symbol="EURUSD", side=Side.BUY, quantity=D(lots))
    return floor.do(cmd.PlaceOrder(terms=asked))


@pytest.mark.parametrize(
    ("side", "waits_at", "unit"), [(Side.BUY, "1.09000", D(110_010)), (Side.SELL, "1.11000", D(110_001))]
)
def test_an_order_against_a_position_binds_what_others_of_its_side_leave_open(
    floor: Floor, side: Side, waits_at: str, unit: D
) -> None:
    """One lot the other way, one and a half waiting: a lot more turns it by half a lot beyond what was bound before."""
    floor.place("b1", side.contra, "1")
    floor.place("b1", side, "1.5", limit_price=waits_at)
    assert what_if(floor, side, "1") == D("0.5") * unit * D("3.33") / 100


def test_an_exit_that_waits_binds_nothing_of_what_is_ordered_beside_it(floor: Floor) -> None:
    floor.place("b1", Side.BUY, "1")
    floor.place("b1", Side.SELL, "1", stop_price=D("1.09000"), reduce_only=True, **STOP)
    assert what_if(floor, Side.SELL, "2") == 0


def test_to_ask_what_an_order_would_do_leaves_nothing_in_the_log(floor: Floor) -> None:
    terms = OrderTerms(account_id="b1", symbol="EURUSD", side=Side.BUY, quantity=D(1))
    before = digest(state=floor.desk.state)
    assert floor.do(cmd.AskWhatIf(terms=terms)) == [] and digest(state=floor.desk.state) == before


@pytest.mark.parametrize(("lots", "refused_by"), [("2.2", ""), ("2.21", "P-17")])
def test_an_amendment_gets_the_margin_of_all_its_lots_back(floor: Floor, lots: str, refused_by: str) -> None:
    """2.2 lots at 1.09 bind 7,985.34 of 8,000; 2.21 would bind 8,021.64."""
    floor.open_account("poor", group="b", amount=8_000)
    floor.place("poor", Side.BUY, "2", limit_price="1.09000")
    event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="poor", quantity=D(lots)))
    assert getattr(event, "code", "") == refused_by


@pytest.mark.parametrize(("lots", "refused_by"), [("2.1", ""), ("2.2", "P-17")])
def test_an_amendment_asks_nothing_for_what_was_dealt_already(floor: Floor, lots: str, refused_by: str) -> None:
    """Of two lots one is dealt: 1.1 more at 1.1001 bind 4,029.67 of the 4,158 or so that are left, 1.2 bind 4,396."""
    floor.open_account("poor", group="a", amount=7_830)
    floor.place("poor", Side.BUY, "2", limit_price="1.10010")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010", lots="1")
    floor.quotes("0.00001")
    floor.done(leg, filled="1")
    assert floor.order(1).filled == 1 and not floor.children()
    event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="poor", quantity=D(lots)))
    assert getattr(event, "code", "") == refused_by


def test_two_short_options_bind_about_twice_what_one_does(floor: Floor) -> None:
    with_option(floor)
    floor.quote("LP1", "0.02150", "0.02160", symbol="EURUSD-C")
    one, two, half = (what_if(floor, Side.SELL, lots, symbol="EURUSD-C") for lots in ("1", "2", "0.5"))
    assert one and two and half and two > D("1.9") * one > D("3.6") * half > 0


def test_a_stop_that_waits_meets_no_order_of_its_owner(floor: Floor) -> None:
    floor.place("b1", Side.SELL, "1", limit_price="1.10005")
    assert set(refused(floor.place("b1", Side.BUY, "1"))) == {"P-22"}
    assert not refused(floor.place("b1", Side.BUY, "1", stop_price=D("1.10200"), **STOP))


def test_what_is_open_elsewhere_is_worth_what_it_costs_to_buy_back(floor: Floor) -> None:
    """P-19: 16,000,000 yen are 106,666.67 dollars at 150 for who must buy dollars' worth, 100,000 at 160."""
    order(floor, "USDJPY", Side.BUY, "1")
    allowed(floor, exposure_account_max=D(1))
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, "159.000", "161.000", "50", "USDJPY")
    floor.now_us += 2 * SECOND_US
    value = D(refused(now(floor, "b1"))["P-19"].value)
    gain, loss = (
        floor.desk.moment(now_us=floor.now_us).rate(source="JPY", target="USD", gain=gain) for gain in (True, False)
    )
    assert gain is not None and loss is not None and gain < loss
    assert abs(value - D("0.1") * UNIT - loss * 16_000_000) < 1


def test_the_venue_that_has_most_room_is_told_when_none_has_enough(floor: Floor) -> None:
    """P-19: of a lot of gold, half a lot and four fifths, a tenth more makes 120,000 of the half."""
    open_lots = {"LP1": "1", "LP2": "0.5", "LP3": "0.8"}
    for name, lots in open_lots.items():
        for each in open_lots:
            floor.do(cmd.ConfigureVenue(venue=Venue(name=each, enabled=each == name, quote_age_ms_max=600_000)))
        order(floor, "XAUUSD", Side.BUY, lots, account_id="a1")
        floor.fill(floor.children()[0], "2000.00")
    for each in open_lots:
        floor.do(cmd.ConfigureVenue(venue=Venue(name=each, quote_age_ms_max=600_000)))
    allowed(floor, "a", exposure_venue_max=D(100_000))
    check = refused(order(floor, "XAUUSD", Side.BUY, "0.1", account_id="a1"))["P-19"]
    assert D(check.value) == 120_000


@pytest.mark.parametrize(
    ("most", "sent_to"), [("200000", "LP1"), ("199999.99", "LP2")], ids=["at the limit", "a cent above it"]
)
def test_a_leg_fits_a_venue_at_its_limit_exactly(floor: Floor, most: str, sent_to: str) -> None:
    """P-19: LP1 has half a lot of gold short at 2,000, and half a lot more makes 200,000."""
    order(floor, "XAUUSD", Side.SELL, "0.5", account_id="a1")
    floor.fill(floor.children()[0], "2000.00")
    allowed(floor, "a", exposure_venue_max=D(most))
    order(floor, "XAUUSD", Side.SELL, "0.5", account_id="a1", type=OrderType.LIMIT, limit_price=D("2000.00"))
    assert [leg.venue for leg in floor.children()] == [sent_to]


@pytest.mark.parametrize("side", Side)
def test_what_works_at_a_venue_uses_its_room_up(floor: Floor, side: Side) -> None:
    """P-19: a lot that LP1 may still deal and one more are two lots of gold, not none."""
    allowed(floor, "a", exposure_venue_max=D(300_000))
    for _ in range(2):
        order(floor, "XAUUSD", side, "1", account_id="a1")
    assert [leg.venue for leg in floor.children()] == ["LP1", "LP2"]


def test_a_leg_that_leaves_a_venue_as_much_the_other_way_fits(floor: Floor) -> None:
    """P-19: from a lot long to a lot short is no more than before, however little a venue is allowed by then."""
    order(floor, "XAUUSD", Side.BUY, "1", account_id="a1")
    floor.fill(floor.children()[0], "2000.00")
    floor.open_account("a2", group="a")
    terms = OrderTerms(account_id="a2", symbol="XAUUSD", side=Side.SELL, quantity=D(2))
    leg = Leg(venue="LP1", quantity=D(2), limit_price=D(2_000))
    allowed(floor, "a", exposure_venue_max=D(1))
    moment = floor.desk.moment(now_us=floor.now_us)
    for lots, found in ((D(2), {}), (D("2.01"), {"LP1": FULL})):
        legs = [msgspec.structs.replace(leg, quantity=lots)]
        assert full_venues(legs=legs, terms=terms, opens=True, sending={}, moment=moment) == found


@pytest.mark.parametrize("spread", [0, 1])
def test_a_venues_room_is_reckoned_at_the_dearer_rate(floor: Floor, spread: int) -> None:
    """P-19: 16,000,000 yen that are open there are 100,000 dollars at 160, and more where dollars cost more.

    Beside them a lot of gold's tenth is 20,000; a lot more of what is counted in dollars is a lot, whatever yen cost.
    """
    order(floor, "USDJPY", Side.BUY, "1", account_id="a1")
    floor.fill(floor.children()[0], "160.000")
    for venue in ("LP1", "LP2", "LP3"):
        floor.quote(venue, str(160 - spread), str(160 + spread), "50", "USDJPY")
        floor.quote(venue, "2000.00", "2000.00", "50", "XAUUSD")
    limit = {"USDJPY": D(200_000), "XAUUSD": D(120_001)}
    for symbol, lots, price in (("USDJPY", D(1), D(160)), ("XAUUSD", D("0.1"), D(2_000))):
        allowed(floor, "a", exposure_venue_max=limit[symbol])
        terms = OrderTerms(account_id="a1", symbol=symbol, side=Side.BUY, quantity=lots)
        leg = Leg(venue="LP1", quantity=lots, limit_price=price)
        moment = floor.desk.moment(now_us=floor.now_us)
        full = full_venues(legs=[leg], terms=terms, opens=True, sending={}, moment=moment)
        assert full == ({"LP1": FULL} if spread and symbol == "XAUUSD" else {})


@pytest.mark.parametrize(("lots", "refused_by"), [("1.4", ""), ("1.6", "P-12")])
def test_an_amendment_gives_back_what_it_replaces_in_the_accounts_currency(
    floor: Floor, lots: str, refused_by: str
) -> None:
    """P-12: a lot of dollars for yen at 160 is worth 100,000, and 150,000 may be ordered in the window."""
    limits(floor, "b", window_value_max=D(150_000))
    order(floor, "USDJPY", Side.BUY, "1", type=OrderType.LIMIT, limit_price=D("159.900"))
    floor.now_us += 2 * SECOND_US
    event, *_ = floor.do(cmd.AmendOrder(order_id="O000000001", account_id="b1", quantity=D(lots)))
    assert getattr(event, "code", "") == refused_by


@pytest.mark.parametrize("off", [{"enabled": False}, {"shadow": True}], ids=["disabled", "shadow"])
def test_a_venue_that_is_never_asked_has_no_room_for_anybody(floor: Floor, off: dict[str, bool]) -> None:
    """P-14, P-19: neither its rate nor its exposure helps who may not be sent there."""
    for name in ("LP2", "LP3"):
        floor.do(cmd.ConfigureVenue(venue=Venue(name=name, quote_age_ms_max=600_000, **off)))
    limits(floor, "a", venue_messages_per_s_max=1)
    assert [leg.venue for leg in only(now(floor, "a1"), ev.ChildOrderCreated)] == ["LP1"]
    assert set(refused(now(floor, "a1"))) == {"P-14"}
    floor.now_us += 2 * SECOND_US
    limits(floor, "a", exposure_venue_max=D(12_000))
    assert set(refused(now(floor, "a1"))) == {"P-19"}


def test_the_venue_that_was_sent_least_has_room(floor: Floor) -> None:
    """P-14: LP1 quotes best and was sent three, LP2 and LP3 one each, of three a second."""
    limits(floor, "a", venue_messages_per_s_max=3)
    for name, lots in (("LP1", "6"), ("LP1", "0.1"), ("LP1", "0.1")):
        assert only(now(floor, "a1", lots), ev.ChildOrderCreated)[0].venue == name
    assert [leg.venue for leg in only(now(floor, "a1"), ev.ChildOrderCreated)] == ["LP2"]


def test_where_every_venue_is_only_watched_no_rate_of_one_is_used_up(floor: Floor) -> None:
    """P-14, P-19: what was sent to venues, or is open there, is no reason against an order that stays in the house."""
    limits(floor, "b", venue_messages_per_s_max=1)
    assert only(now(floor, "a1"), ev.ChildOrderCreated)
    for name in ("LP1", "LP2", "LP3"):
        floor.do(cmd.ConfigureVenue(venue=Venue(name=name, shadow=True, quote_age_ms_max=600_000)))
    assert not refused(now(floor, "b1"))


def test_what_set_up_gives_a_new_group_has_room_for_a_desk_and_no_more(floor: Floor) -> None:
    """P-08, P-18, P-19, P-20: lots of an order and of a position net and gross, exposure at every level, losses."""
    given = floor.desk.state.effective_limits["b"]
    assert given.order_volume_max_lots == 1_000
    assert (given.position_net_max_lots, given.position_gross_max_lots) == (5_000, 10_000)
    assert given.exposure_account_max == given.exposure_tenant_max == given.exposure_firm_max == 10**9
    assert given.exposure_venue_max == 10**9
    assert (given.loss_daily_account_max, given.loss_daily_tenant_max) == (10**6, 10**7)
