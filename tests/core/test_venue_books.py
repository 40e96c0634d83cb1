"""What LPs owe by what they dealt, whatever became of the clients it was dealt for: held to a twin in fractions."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.correction_events import HedgeFillBusted, OrderFillBusted, VenueFillBusted
from piggy.core.desk import Desk
from piggy.core.orders import Side
from piggy.core.venue_books import VenueBook, settled_at, take
from piggy.messaging import codec
from tests.core.expiry_floor import Options
from tests.core.floor import EURUSD, SECOND_US, Floor, only
from tests.core.test_busting import bust, correct, on_record
from tests.core.test_corrections import bust as bust_at_venue
from tests.core.test_corrections import correct as correct_at_venue

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
NEW = {"result": None, "venue_booked": False}
TELLS = (
    *(ev.ChildOrderFilled, ev.OrderFilled, ev.HedgeFilled, ev.VenueSettled),
    *(VenueFillBusted, OrderFillBusted, HedgeFillBusted),
)


class Twin:
    """One symbol at one venue, netted at average cost; what is taken back is dealt back at its price."""

    def __init__(self) -> None:
        self.net = self.cost = self.result = self.cash = Fraction(0)

    def deal(self, signed: Fraction, price: Fraction) -> None:
        self.cash -= signed * price
        if self.net * signed < 0:
            closed = min(abs(self.net), abs(signed)) * (1 if self.net > 0 else -1)
            self.result += closed * (price - self.cost / self.net)
            self.cost -= closed * self.cost / self.net
            self.net, signed = self.net - closed, signed + closed
        self.net, self.cost = self.net + signed, self.cost + signed * price


def twins(floor: Floor) -> dict[str, Twin]:
    found: dict[str, Twin] = {}
    for recorded in floor.log:
        event = recorded.event
        if isinstance(event, ev.ChildOrderFilled | VenueFillBusted):
            back = -1 if isinstance(event, VenueFillBusted) else 1
            lots = back * event.side.sign * Fraction(event.quantity) * 100_000
            found.setdefault(event.venue, Twin()).deal(lots, Fraction(event.price))
    return found


def balances(floor: Floor) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    for recorded in floor.log:
        lines = ledger.postings(event=recorded.event, currency="USD")
        for line in lines:
            assert line.gl_account in ledger.KINDS
            key = (line.gl_account, line.owner)
            sums[key] = sums.get(key, D(0)) + line.amount
    assert sum(sums.values()) == 0
    return sums


def owed(floor: Floor) -> dict[str, Decimal]:
    """What the books say that each LP owes."""
    return {owner: amount for (name, owner), amount in balances(floor).items() if name == ledger.LP_SETTLEMENT}


def agrees(floor: Floor) -> None:
    """Whatever is open, an LP owes what its deals made so far; flat, the cash of all of them, to the last digit."""
    owes, truth = owed(floor), twins(floor)
    assert owes.keys() <= truth.keys()
    for venue, twin in truth.items():
        # What a partial close takes out of a cost is cut at its tenth digit, a lot.
        assert abs(Fraction(owes.get(venue, D(0))) - twin.result) < Fraction(1, 1000), venue
        assert twin.net or owes.get(venue, D(0)) == twin.cash, "flat: it owes the cash of what it dealt, exactly"
    book = balances(floor)
    for account_id, balance in floor.desk.state.balances.items():
        assert -book[(ledger.CLIENT_MONEY, account_id)] == balance


def flat(floor: Floor) -> None:
    """Clients close all they have, and then the house what is left at each LP."""
    for position in list(floor.desk.state.positions.values()):
        floor.place(position.account_id, position.side.contra, str(position.lots))
        for leg in floor.children():
            floor.fill(leg, str(leg.limit_price))
    for (venue, symbol), net in sorted(floor.desk.state.venue_nets.items()):
        if net:
            floor.now_us += SECOND_US
            side = SELL if net > 0 else BUY
            for _ in range(4):  # A jump is believed only when it is said again.
                floor.quote(venue, *(("1.20", "1.21") if net > 0 else ("1.00", "1.01")), "50")
            floor.do(cmd.CoverByHand(symbol=symbol, side=side, quantity=abs(net), by="ann", reason="flat"))
            for leg in floor.children():
                floor.fill(leg, str(leg.limit_price))


def dealt(floor: Floor, account_id: str, side: Side, lots: str, price: str, fill_id: str) -> ev.ChildOrderCreated:
    floor.place(account_id, side, lots)
    (leg,) = floor.children()
    floor.fill(leg, price, fill_id=fill_id)
    return leg


def test_a_dealer_takes_a_client_back_and_the_lp_owes_as_before() -> None:
    """The LP's own execution stands: the house has it now, in its exposure and, once it is covered, in its profit."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    dealt(floor, "a1", BUY, "1", "1.10000", "E1")
    dealt(floor, "a1", SELL, "1", "1.10100", "E2")
    before = owed(floor)
    bust(floor, on_record(floor)[-1])
    assert owed(floor) == before, "no LP heard of it"
    exposure = floor.desk.state.exposure["EURUSD"]
    assert (exposure.client_net, exposure.venue_net, exposure.uncovered) == (1, 0, 1), "the house is short a lot"
    agrees(floor)


@pytest.mark.parametrize("by_venue_too", [False, True])
def test_what_the_house_made_of_a_bust_is_left_once_all_are_flat(by_venue_too: bool) -> None:
    """Bought for a client and taken from him: the house sells it later, and what that made is the house's."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    leg = dealt(floor, "a1", BUY, "1", "1.10000", "E1")
    bust(floor, on_record(floor)[-1])
    assert balances(floor)[(ledger.CLIENT_MONEY, "a1")] == -100_000
    if by_venue_too:
        bust_at_venue(floor, leg, "E1")
        assert owed(floor) == {} and floor.desk.state.exposure["EURUSD"].uncovered == 0
        return
    floor.quote("LP1", "1.10050", "1.10060")
    floor.do(cmd.CoverByHand(symbol="EURUSD", side=SELL, quantity=D(1), by="ann", reason="not ours"))
    (cover,) = floor.children()
    assert cover.venue == "LP1"
    floor.fill(cover, "1.10050")
    assert owed(floor) == {"LP1": 50} == {"LP1": twins(floor)["LP1"].cash}
    assert balances(floor)[(ledger.PASSED_DEALING, "")] == -50, "won by the house"
    agrees(floor)


def test_a_price_that_a_dealer_corrects_is_the_houses_loss_and_not_the_lps() -> None:
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    dealt(floor, "a1", BUY, "1", "1.10010", "E1")
    correct(floor, on_record(floor)[-1], "1.10000")
    leg = dealt(floor, "a1", SELL, "1", "1.10010", "E2")
    assert floor.desk.state.balances["a1"] == 100_010 and leg.venue == "LP2"
    flat(floor)
    agrees(floor)
    assert sum(owed(floor).values()) == sum(twin.cash for twin in twins(floor).values())


def test_the_book_that_closes_does_not_change_what_an_lp_owes() -> None:
    """One position of both books has one average price, which is neither the LP's nor the house's."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0, a_book_percent=D(50))
    floor.place("mixed1", BUY, "1")
    (leg,) = floor.children()
    floor.fill(leg, "1.10010")
    for _ in range(5):
        floor.quotes("0.01")
    floor.place("mixed1", BUY, "2")
    (leg,) = floor.children()
    floor.fill(leg, "1.10500")
    floor.place("mixed1", SELL, "3")
    for leg in floor.children():
        floor.fill(leg, "1.11000")
    assert floor.desk.state.positions == {}
    flat(floor)
    agrees(floor)


def test_clients_who_offset_each_other_leave_their_lp_owing_at_once() -> None:
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    floor.open_account("a2", group="a")
    dealt(floor, "a1", BUY, "1", "1.10000", "E1")
    floor.quote("LP1", "1.10002", "1.10012")
    leg = dealt(floor, "a2", SELL, "1", "1.10002", "E2")
    assert leg.venue == "LP1" and owed(floor) == {"LP1": 2}
    assert floor.desk.state.balances["a1"] == floor.desk.state.balances["a2"] == 100_000
    agrees(floor)


def test_a_correction_by_the_lp_moves_what_it_owes() -> None:
    """F-15: each of the two is dealt in its turn, and what comes of it is what stands."""
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    dealt(floor, "a1", BUY, "1", "1.10000", "E1")
    floor.quote("LP1", "1.10002", "1.10012")
    leg = dealt(floor, "a1", SELL, "1", "1.10002", "E2")
    events = correct_at_venue(floor, leg, "E2", side=SELL, price=D("1.10001"))
    told = [(event.fill_id, event.result, event.currency) for event in only(events, ev.VenueBooked)]
    assert told == [("C-E2", -1, "USD")], "to buy it back at its price made nothing"
    assert not any(hasattr(event, "order_id") for event in only(events, ev.VenueBooked)), "no client is shown it"
    assert owed(floor) == {"LP1": 1}
    agrees(floor)


def test_a_hedges_profit_is_told_apart_from_what_clients_left() -> None:
    floor = Floor(bid_markup_points=0, ask_markup_points=0)
    floor.place("b1", BUY, "1")
    for side, price in ((BUY, "1.10010"), (SELL, "1.10001")):
        floor.do(cmd.CoverByHand(symbol="EURUSD", side=side, quantity=D(1), by="ann", reason="drill"))
        (leg,) = floor.children()
        hedge = floor.fill(leg, price, fill_id=price)
    (told,) = only(hedge, ev.HedgeFilled)
    assert balances(floor).get((ledger.HEDGING_RESULT, ""), D(0)) == -told.realised
    bust_at_venue(floor, leg, price)
    flat(floor)
    agrees(floor)


def of_before(event: Any) -> Any:
    """The event as it was written before executions told what they made."""
    if isinstance(event, ev.VenueBooked):
        event = ev.CommandRefused(code="NONE", field="", text="not told then")
    if isinstance(event, TELLS):
        event = msgspec.structs.replace(event, **{name: NEW[name] for name in NEW if hasattr(event, name)})
    return codec.decode_event(codec.encode(event))


def age(floor: Floor) -> None:
    """Make the floor's log one of before, and its desk one that folds it."""
    floor.log = [msgspec.structs.replace(each, event=of_before(each.event)) for each in floor.log]
    market, floor.desk = floor.desk.market, Desk(tenant="acorn")
    for recorded in floor.log:
        floor.desk.apply(recorded=recorded)
    for quote in (market.quote_of(venue=name, symbol="EURUSD") for name in ("LP1", "LP2", "LP3")):
        if quote is not None:
            floor.desk.quote(quote=quote)


def test_a_log_of_before_is_booked_as_it_was() -> None:
    """Old events give the same postings: a client's close settles with its LP, and a hedge's."""
    floor = Floor()
    dealt(floor, "a1", BUY, "1", "1.10010", "E1")
    leg = dealt(floor, "a1", SELL, "1", "1.10002", "E2")
    age(floor)
    assert floor.desk.state.balances["a1"] == 100_000 - 13
    assert owed(floor)[leg.venue] == -13 + 2 and (ledger.PASSED_DEALING, "") not in balances(floor)
    assert sum(owed(floor).values()) == -8


def days_of_before(seed: int) -> Floor:
    floor = Floor()
    day = Day(floor, random.Random(seed))
    for _ in range(40):
        day.step()
    age(floor)
    return floor


@pytest.mark.parametrize("seed", range(8))
def test_what_was_settled_before_gives_way_to_what_lps_dealt(seed: int) -> None:
    """The first execution at an LP opens its book: from then on it owes what all its executions made, exactly."""
    floor = days_of_before(seed)
    old = owed(floor)
    flat(floor)
    for venue in ("LP1", "LP2", "LP3"):  # What nobody deals in any more is opened by nothing.
        if old.get(venue) or venue in twins(floor):
            for side in (BUY, SELL):
                for _ in range(4):
                    floor.quote(venue, *(("1.30", "1.31") if side is SELL else ("0.90", "0.91")), "50")
                floor.do(cmd.CoverByHand(symbol="EURUSD", side=side, quantity=D(1), by="ann", reason="drill"))
                for leg in floor.children():
                    floor.fill(leg, str(leg.limit_price))
    opened = [each.event for each in floor.log if isinstance(each.event, ev.VenueBookOpened)]
    assert len({event.venue for event in opened}) == len(opened) > 0
    agrees(floor)
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert again.state.venue_books == floor.desk.state.venue_books


class Day:
    """Whatever can happen between clients, dealers, LPs and the house."""

    def __init__(self, floor: Floor, rng: random.Random) -> None:
        self.floor, self.rng, self.count = floor, rng, 0

    def step(self) -> None:
        rng, floor = self.rng, self.floor
        kinds = (
            [self.order] * 5 + [self.answer] * 6 + [self.moves, self.dealer, self.dealer, self.lp, self.lp, self.house]
        )
        rng.choice(kinds)()
        floor.act()

    def order(self) -> None:
        who, side = self.rng.choice(["a1", "a1", "b1", "mixed1"]), self.rng.choice([BUY, SELL])
        self.floor.place(who, side, f"{self.rng.randint(1, 200) / 100:.2f}")

    def answer(self) -> None:
        for leg in self.floor.children():
            self.count += 1
            state = self.floor.desk.state.children[leg.cl_ord_id]
            if self.rng.random() < 0.2:
                self.floor.done(leg, filled=str(state.filled))
                continue
            lots = D(self.rng.randint(1, int(state.leaves * 100))) / 100
            price = leg.limit_price + D(self.rng.randint(-20, 3)) * leg.side.sign / 100_000
            self.floor.fill(leg, str(price), lots=str(lots), fill_id=f"E{self.count}")

    def moves(self) -> None:
        self.floor.quotes(f"{self.rng.randint(-200, 200) / 100_000:.5f}")

    def dealer(self) -> None:
        if fills := on_record(self.floor):
            fill = self.rng.choice(fills)
            if self.rng.random() < 0.5:
                bust(self.floor, fill)
            else:
                correct(self.floor, fill, str(fill.price + D(self.rng.randint(-30, 30)) / 100_000))

    def lp(self) -> None:
        fills = [each.event for each in self.floor.log if isinstance(each.event, ev.ChildOrderFilled)]
        if not fills:
            return
        fill, self.count = self.rng.choice(fills), self.count + 1
        leg: Any = fill
        if self.rng.random() < 0.5:
            bust_at_venue(self.floor, leg, fill.fill_id)
        else:
            lots, price = D(self.rng.randint(1, 200)) / 100, fill.price + D(self.rng.randint(-30, 30)) / 100_000
            correct_at_venue(self.floor, leg, fill.fill_id, report_id=f"R{self.count}", quantity=lots, price=price)

    def house(self) -> None:
        side = self.rng.choice([BUY, SELL])
        lots = D(self.rng.randint(1, 150)) / 100
        self.floor.do(cmd.CoverByHand(symbol="EURUSD", side=side, quantity=lots, by="ann", reason="drill"))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_lp_owes_what_it_dealt(seed: int) -> None:
    """INV-07, F-15: busts and corrections of dealers and LPs in any order, of both books, hedges and markups."""
    floor = Floor(commission_per_lot=D("3.5"))
    day = Day(floor, random.Random(1_000 + seed))
    for number in range(60):
        day.step()
        if number % 10 == 9:
            agrees(floor)
    flat(floor)
    agrees(floor)


def test_an_option_settles_what_an_lp_dealt_of_it() -> None:
    floor = Options()
    floor.pass_on(BUY, "1")
    floor.trade("b1", BUY, "1")
    floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    (leg,) = floor.children()
    floor.fill(leg, "0.02170")
    floor.expire()
    made = (D("0.00350") * 2 - D("0.02160") - D("0.02170")) * 100_000
    assert owed(floor) == {leg.venue: made}
    assert balances(floor)[(ledger.HEDGING_RESULT, "")] == (D("0.02170") - D("0.00350")) * 100_000
    assert balances(floor).get((ledger.PASSED_DEALING, ""), 0) == 0, "what the client lost of it was the LP's"
    book = floor.desk.state.venue_books[(leg.venue, "C")]
    assert (book.position, book.unbooked, book.settled) == (None, 0, {})


def test_an_option_settled_before_is_settled_as_it_was() -> None:
    floor = Options()
    floor.pass_on(BUY, "1")
    floor.trade("b1", BUY, "1")
    floor.do(cmd.CoverByHand(symbol="C", side=BUY, quantity=D(1), by="ann", reason="drill"))
    (leg,) = floor.children()
    floor.fill(leg, "0.02170")
    floor.expire()
    age(floor)
    made = (D("0.00350") * 2 - D("0.02160") - D("0.02170")) * 100_000
    assert owed(floor) == {leg.venue: made}, "by the client's fill and the hedge's"
    book = floor.desk.state.venue_books[(leg.venue, "C")]
    assert (book.position, book.unbooked, book.settled) == (None, made, {"USD": made})


def test_a_settlement_of_as_much_each_way_makes_nothing() -> None:
    event = ev.VenueSettled(
        venue="LP1",
        symbol="C",
        side=BUY,
        quantity=D(0),
        price=D("0.1"),
        realised=D(7),
        currency="USD",
        occurred_at_us=1,
    )
    told = settled_at(event=event, books={}, contract_size=D(100_000))
    assert told.result == 0
    book = VenueBook()
    take(book=book, event=told, contract_size=EURUSD.contract_size)
    assert book == VenueBook()
