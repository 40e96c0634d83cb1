"""A position under random fills, busts and corrections, beside a twin that works in fractions from nothing.

The twin keeps signed lots and their exact average alone; that total profit equals what the standing fills come to at
any mark is a second truth, which knows neither averages nor closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piggy.core.orders import Side
from piggy.core.positions import BOOKS, Fill, Life, Names, Position, busted, close_split, filled, floating, folded
from piggy.core.restating import without

SIZE = Decimal(100_000)
NAMES = Names("a1", "EURUSD", "a1:EURUSD")
LOTS = st.integers(1, 500).map(lambda n: Decimal(n) / 100)
PRICES = st.integers(90_000, 130_000).map(lambda n: Decimal(n) / 100_000)
# A partial close cuts at most half of 1E-10 from the cost, and a run has fewer than two hundred of them.
COST_NEAR = Fraction(1, 10**8)


@dataclass
class Twin:
    """Signed lots, their average, and what was won, all exact."""

    lots: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    won: Fraction = Fraction(0)

    def take(self, fill: Fill) -> None:
        signed, price = Fraction(fill.side.sign * fill.quantity), Fraction(fill.price)
        if self.lots * signed < 0:
            closed = min(abs(signed), abs(self.lots)) * (1 if self.lots > 0 else -1)
            self.won += closed * (price - self.average) * int(SIZE)
            self.lots, signed = self.lots - closed, signed + closed
        if signed:
            self.average = (self.lots * self.average + signed * price) / (self.lots + signed)
            self.lots += signed


class PositionMachine(RuleBasedStateMachine):
    """One netting position: fills open, grow, shrink, close and turn it; venues take fills back or restate them."""

    def __init__(self) -> None:
        super().__init__()
        self.position: Position | None = None
        self.life = Life()
        self.won = Decimal(0)
        self.standing: list[Fill] = []
        self.restated = False
        self.number = 0

    @rule(side=st.sampled_from(Side), quantity=LOTS, price=PRICES, book=st.sampled_from(BOOKS))
    def a_fill_comes(self, side: Side, quantity: Decimal, price: Decimal, book: str) -> None:
        self._take(self._fill(side, quantity, price, book))

    @precondition(lambda self: self.position is not None)
    @rule(data=st.data(), price=PRICES)
    def part_of_it_is_closed(self, data: st.DataObject, price: Decimal) -> None:
        assert self.position is not None
        lots = Decimal(data.draw(st.integers(1, int(self.position.lots * 100)))) / 100
        split = close_split(position=self.position, quantity=lots)
        assert sum(split.values()) == lots
        for book, part in split.items():
            self._take(self._fill(self.position.side.contra, part, price, book))

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def a_venue_takes_a_fill_back(self, data: st.DataObject) -> None:
        self._bust(data.draw(st.sampled_from(self.standing)))

    @precondition(lambda self: self.standing)
    @rule(data=st.data(), quantity=LOTS, price=PRICES)
    def a_venue_restates_a_fill(self, data: st.DataObject, quantity: Decimal, price: Decimal) -> None:
        wrong = data.draw(st.sampled_from(self.standing))
        self._bust(wrong)
        self._take(self._fill(wrong.side, quantity, price, wrong.book))

    @invariant()
    def its_lots_are_the_sum_of_what_stands(self) -> None:
        net = sum((fill.side.sign * fill.quantity for fill in self.standing), Decimal(0))
        assert (self.position.quantity if self.position else 0) == net
        assert (self.position is None) == (net == 0)

    @invariant()
    def its_books_add_up_to_it(self) -> None:
        if self.position is not None:
            assert sum(self.position.lots_in(book) for book in BOOKS) == self.position.lots
            assert min(self.position.lots_in(book) for book in BOOKS) >= 0

    @invariant()
    def all_that_was_won_and_floats_is_what_the_fills_come_to(self) -> None:
        """To the last digit, at any mark, whatever was taken back on the way."""
        for mark in (Decimal("0.9"), Decimal("1.23457")):
            floats = floating(position=self.position, bid=mark, ask=mark, contract_size=SIZE) if self.position else 0
            worth = sum((fill.side.sign * fill.quantity * (mark - fill.price) for fill in self.standing), Decimal(0))
            assert self.won + floats == worth * SIZE

    @invariant()
    def its_average_and_profit_are_the_twins(self) -> None:
        """While nothing was taken back; a bust of an old life moves the profit alone, which the sums above hold."""
        if self.restated:
            return
        twin = Twin()
        for fill in self.standing:
            twin.take(fill)
        assert abs(Fraction(self.won) - twin.won) <= COST_NEAR * int(SIZE)
        if self.position is not None:
            assert abs(Fraction(self.position.average_price) - twin.average) * abs(twin.lots) <= COST_NEAR

    def teardown(self) -> None:
        """The same history folded at once comes to the same position and money."""
        whole = folded(fills=self.standing, contract_size=SIZE, account_id="a1", symbol="EURUSD")
        assert (whole.position.quantity if whole.position else 0) == (self.position.quantity if self.position else 0)
        if not self.restated:
            assert whole.realised_quote == self.won

    def _fill(self, side: Side, quantity: Decimal, price: Decimal, book: str) -> Fill:
        self.number += 1
        return Fill(fill_id=f"F{self.number}", side=side, quantity=quantity, price=price, book=book)

    def _take(self, fill: Fill) -> None:
        step = filled(
            position=self.position,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            contract_size=SIZE,
            account_id=NAMES.account_id,
            symbol=NAMES.symbol,
            position_id=NAMES.position_id,
            book=fill.book,
        )
        assert step.closed_lots + step.opened_lots == fill.quantity
        self.life.take(fill=fill, before=self.position, after=step.position, contract_size=SIZE)
        self.position = step.position
        self.won += step.realised_quote
        self.standing.append(fill)

    def _bust(self, fill: Fill) -> None:
        now = without(
            life=self.life, gone=fill, position=self.position, contract_size=SIZE, names=NAMES, currency="USD"
        )
        self.position, self.life = now.position, now.life
        self.won += now.realised_quote
        self.standing = list(busted(fills=self.standing, fill_id=fill.fill_id))
        self.restated = True


PositionMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestPosition = PositionMachine.TestCase
