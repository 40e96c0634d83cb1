"""The account while a stop-out is worked out: what is open, what that binds and what it floats, summed as it changes.

A client may hold a thousand positions of one symbol, and every close asks for all of the sums, several times. So each
close moves them by its own line only; sums are kept to more digits than a number has, so that none is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal

import msgspec

from piggy.core.commissions import Commission
from piggy.core.margin import AccountMargin, Holding, MarginTerms, account_margin, below, holding_of, symbol_margin
from piggy.core.money import ZERO
from piggy.core.positions import Position, floating

WIDE = Context(prec=80)
Before = tuple[Decimal, Decimal, Decimal | None, Decimal | None]


class OpenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A position with what closing it needs: the price a close gets now (after a gap, the gap price), account currency
    per quote currency, one lot's worth in account currency as it was opened, its margin terms, whether the price may be
    trusted, and the commission plan of a close."""

    position: Position
    close_price: Decimal
    rate: Decimal
    contract_size: Decimal
    lot_step: Decimal
    lot_value: Decimal
    terms: MarginTerms
    trusted: bool = True
    plan: Commission | None = None


class Held:
    """The open lines of one symbol with their sums; `worth` is what the lots at each rate are worth as opened."""

    __slots__ = ("lines", "long_lots", "long_weight", "news", "short_lots", "short_weight", "worth")

    def __init__(self) -> None:
        self.lines: dict[str, OpenLine] = {}
        self.long_lots = self.long_weight = self.short_lots = self.short_weight = ZERO
        self.worth: dict[Decimal | None, Decimal] = {}
        self.news = 0

    def count(self, *, line: OpenLine, sign: int) -> None:
        """Add a line to the sums, or take it out of them."""
        position = line.position
        if position.quantity > 0:
            self.long_lots += sign * position.quantity
            self.long_weight += sign * position.rate_weight
        else:
            self.short_lots -= sign * position.quantity
            self.short_weight += sign * position.rate_weight
        # What is worth the same at every rate is at none.
        rate = None if line.lot_value == line.contract_size else line.rate
        worth = sign * position.lots * line.lot_value
        self.worth[rate] = WIDE.add(self.worth.get(rate, ZERO), worth)
        self.news += sign if position.news_lots else 0

    def margin(self, *, rate: Decimal | None, now_us: int) -> Decimal:
        """Return what the lines bind, unrounded, at the `rate` of their latest close if there was one."""
        first = next(iter(self.lines.values()))
        if self.news:
            holding = holding_of(positions=[line.position for line in self.lines.values()], now_us=now_us)
        else:
            holding = Holding(
                long_lots=self.long_lots,
                long_weight=self.long_weight,
                short_lots=self.short_lots,
                short_weight=self.short_weight,
            )
        only = len(self.lines) == 1 and rate in (None, first.rate)
        return symbol_margin(
            holding=holding, terms=first.terms, lot_value=first.lot_value if only else self._lot_value(rate)
        )

    def _lot_value(self, rate: Decimal | None) -> Decimal:
        """Return what a lot of these lines is worth at what they were opened at, as margin has it."""
        total = ZERO
        for own, worth in self.worth.items():
            total += worth if rate is None or own in (None, rate) else worth * rate / own
        return total / (self.long_lots + self.short_lots)


class Book:
    """The account while the ladder is worked out; `bound` is the margin of symbols of which nothing was closed.

    `rates` are those of the latest close in each of the other symbols.
    """

    def __init__(
        self,
        *,
        lines: Iterable[OpenLine],
        balance: Decimal,
        credit: Decimal,
        currency: str,
        now_us: int,
        turnover: Decimal = ZERO,
        bound: Mapping[str, Decimal] = {},
        rates: Mapping[str, Decimal] = {},
    ) -> None:
        self.lines: dict[str, OpenLine] = {}
        self.balance, self.credit, self.currency, self.now_us = balance, credit, currency, now_us
        self.turnover, self.bound, self.rates = turnover, dict(bound), dict(rates)
        self._floating = ZERO
        self._held: dict[str, Held] = {}
        self._used: dict[str, Decimal] = {}
        for line in lines:
            self._open(line)

    def trial(self) -> Book:
        """Return a copy to try closes on."""
        return Book(
            lines=self.lines.values(), balance=self.balance, credit=self.credit, currency=self.currency,
            now_us=self.now_us, turnover=self.turnover, bound=self.bound, rates=self.rates,
        )  # fmt: skip

    def remember(self, *, symbol: str) -> Before:
        """Return what a close in a symbol changes beside its line."""
        return self.balance, self.turnover, self.bound.get(symbol), self.rates.get(symbol)

    def put_back(self, *, line: OpenLine, before: Before) -> None:
        """Have a close undone, of which `line` is what was open and `before` what was remembered."""
        symbol = line.position.symbol
        self.balance, self.turnover, bound, rate = before
        for known, value in ((self.bound, bound), (self.rates, rate)):
            if value is None:
                known.pop(symbol, None)
            else:
                known[symbol] = value
        after = self.lines.get(line.position.position_id)
        if after is None:
            self._open(line)
        else:
            self.swap(line=after, after=line)

    def swap(self, *, line: OpenLine, after: OpenLine | None) -> None:
        """Have `after` of a line that is open, or nothing more."""
        symbol, name = line.position.symbol, line.position.position_id
        held = self._held[symbol]
        held.count(line=line, sign=-1)
        self._floating = WIDE.subtract(self._floating, line_floating(line=line))
        self._used.pop(symbol, None)
        if after is not None:
            self._open(after)
            return
        del self.lines[name], held.lines[name]
        if not held.lines:
            del self._held[symbol]

    def margin(self) -> AccountMargin:
        """Return the account's margin with what is still open."""
        return account_margin(
            balance=self.balance, credit=self.credit, floating=self._floating, used=self.used(), currency=self.currency
        )

    def is_low(self, *, level_percent: Decimal, inclusive: bool = False) -> bool:
        """Return whether the account is below its level, by sums that nobody rounded: as it is watched."""
        equity = self.balance + self.credit + self._floating
        return below(equity=equity, used=self.used(), level_percent=level_percent, inclusive=inclusive)

    def used(self) -> Decimal:
        """Return the margin that is bound, netted per symbol, unrounded."""
        return sum([self.bound_by(symbol=symbol) for symbol in self._held], ZERO)

    def bound_by(self, *, symbol: str) -> Decimal:
        """Return what the open lines of one symbol bind, unrounded."""
        held = self._held.get(symbol)
        if held is None:
            return ZERO
        if symbol in self.bound:
            return self.bound[symbol]
        used = self._used.get(symbol)
        if used is None:
            used = self._used[symbol] = held.margin(rate=self.rates.get(symbol), now_us=self.now_us)
        return used

    def net_of(self, *, symbol: str) -> Decimal:
        """Return the signed lots that are open of a symbol."""
        held = self._held[symbol]
        return held.long_lots - held.short_lots

    def _open(self, line: OpenLine) -> None:
        symbol, name = line.position.symbol, line.position.position_id
        held = self._held.get(symbol)
        if held is None:
            held = self._held[symbol] = Held()
        self.lines[name] = held.lines[name] = line
        held.count(line=line, sign=1)
        self._floating = WIDE.add(self._floating, line_floating(line=line))
        self._used.pop(symbol, None)


def line_floating(*, line: OpenLine) -> Decimal:
    """Return the open profit of a line in the account's currency, unrounded."""
    price = line.close_price
    return floating(position=line.position, bid=price, ask=price, contract_size=line.contract_size) * line.rate
