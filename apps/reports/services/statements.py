"""An LP's statement as text -> what it says, whole or not at all; what cannot be read is named by line and column."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from apps.liquidity.selectors import VenueTerms
from apps.reports.models import COLUMNS_NEEDED, StatementFormat
from piggy.core.orders import Side
from piggy.core.reconciliation import Execution, Holding

FILE_BYTES_MAX = 32 * 1024 * 1024
LINES_MAX = 500_000
CELL_CHARACTERS_MAX = 120
NUMBER_DIGITS_MAX = 28
# As the tables keep them: more would be rounded on the way in.
DECIMALS_MAX = 10


class UnableToReadStatement(Exception):
    """Nothing was taken in; the message names line and column, and the limit where one was passed."""


class Statement(NamedTuple):
    """What was done, what is held at the end, and the balances of the account, each in the order of the file.

    `money` is what moved the balances besides, as swaps.
    """

    executions: list[Execution]
    positions: list[Holding]
    balances: list[Holding]
    money: list[Holding]

    def moved(self) -> list[Holding]:
        """Return by how much each currency's balance moved from its first to its last line."""
        first = {line.name: line for line in reversed(self.balances)}
        last = {line.name: line for line in self.balances}
        return [structs.replace(line, amount=line.amount - first[name].amount) for name, line in last.items()]

    def days(self) -> tuple[date, date]:
        """Return the first and the last day that it speaks of. Raises UnableToReadStatement where it has no line."""
        days = [line.traded_on for line in self.executions]
        days += [line.stated_on for line in (*self.positions, *self.balances, *self.money)]
        if not days:
            raise UnableToReadStatement(
                "line 2: there is no line; name the days that it is of with --since and --until"
            )
        return min(days), max(days)


def content_of(*, path: Path) -> bytes:
    """Return what a file holds, or its beginning where that is too much for `read`. Raises OSError."""
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def read(*, content: bytes, written: StatementFormat, terms: VenueTerms) -> Statement:
    """Return every line of a statement, in our symbols and in lots. Raises UnableToReadStatement."""
    if len(content) > FILE_BYTES_MAX:
        raise UnableToReadStatement(f"the file has too many bytes, at most {FILE_BYTES_MAX} are read")
    try:
        text = content.decode(written.encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnableToReadStatement(f"line {line}: byte {error.start} is no {written.encoding}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnableToReadStatement(f"line {line}: it holds a zero byte")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=written.delimiter, strict=True)
    places = _places(_next(lines), written)
    found, lines_read = Statement([], [], [], []), 0
    while (cells := _next(lines)) is not None:
        if not any(cell.strip() for cell in cells):
            continue
        if lines_read >= LINES_MAX:
            raise UnableToReadStatement(f"line {lines.line_num}: a statement has at most {LINES_MAX} lines")
        lines_read += 1
        _Line(lines.line_num, cells, places, written).join(found, terms)
    return found


def _next(lines: Any) -> list[str] | None:
    try:
        cells: list[str] | None = next(lines, None)
    except csv.Error as error:
        raise UnableToReadStatement(f"line {lines.line_num}: {error}") from error
    return cells


def _places(heads: list[str] | None, written: StatementFormat) -> dict[str, int]:
    """Return where each field stands; every column that the format names has to be there, once."""
    if heads is None:
        raise UnableToReadStatement("line 1: the file is empty, it should begin with the names of its columns")
    names = [head.strip() for head in heads]
    places = {}
    for field, name in written.columns.items():
        if names.count(name) != 1:
            what = "is there more than once" if name in names else f"is missing; there are {', '.join(names)[:200]}"
            raise UnableToReadStatement(f"line 1, column {name}: it {what}")
        places[field] = names.index(name)
    return places


class _Line:
    """One line of a statement, read field by field."""

    def __init__(self, number: int, cells: list[str], places: dict[str, int], written: StatementFormat) -> None:
        self._number, self._cells, self._places, self._written = number, cells, places, written

    def join(self, found: Statement, terms: VenueTerms) -> None:
        """Put what the line says where it belongs."""
        kind = self._text("kind").casefold() if "kind" in self._places else ""
        if kind in (word.casefold() for word in self._written.position_words):
            found.positions.append(self._position(terms))
        elif kind in (word.casefold() for word in self._written.balance_words):
            found.balances.append(self._balance())
        elif kind in (word.casefold() for word in self._written.money_words):
            found.money.append(self._balance())
        elif kind and not self._text("reference", may_be_empty=True):
            raise self._bad("kind", f"{kind!r} is none of the kinds that the format names, and no execution either")
        else:
            found.executions.append(self._execution(terms))

    def _position(self, terms: VenueTerms) -> Holding:
        known = self._symbol(self._text("symbol"), terms)
        lots = self._amount("quantity", self._text("quantity"))
        if said := self._text("side", may_be_empty=True):
            lots *= self._side(said).sign
        lots = lots / known.units_per_lot if self._written.in_units else lots
        return Holding(name=known.symbol, amount=lots, stated_on=self._day(), line=self._number)

    def _balance(self) -> Holding:
        amount = self._amount("quantity", self._text("quantity"))
        return Holding(name=self._text("symbol").upper(), amount=amount, stated_on=self._day(), line=self._number)

    def _day(self) -> date:
        return self._date(self._text("traded_at"))

    def _symbol(self, said: str, terms: VenueTerms) -> Any:
        known = terms.symbols.get(said)
        if known is None:
            raise self._bad("symbol", f"{said!r} is no symbol of {self._written.venue}")
        return known

    def _execution(self, terms: VenueTerms) -> Execution:
        fields = {name: self._text(name) for name in COLUMNS_NEEDED}
        fields |= {name: self._text(name, may_be_empty=True) for name in ("fee", "order") if name in self._places}
        known = self._symbol(fields["symbol"], terms)
        quantity = self._amount("quantity", fields["quantity"])
        price = self._amount("price", fields["price"])
        for name, number in (("quantity", quantity), ("price", price)):
            if number <= 0:
                raise self._bad(name, f"{fields[name]!r} is not above zero")
        return Execution(
            reference=fields["reference"],
            symbol=known.symbol,
            side=self._side(fields["side"]),
            quantity=quantity / known.units_per_lot if self._written.in_units else quantity,
            price=price,
            traded_on=self._date(fields["traded_at"]),
            fee=self._amount("fee", fields["fee"]) if fields.get("fee") else None,
            line=self._number,
            order=fields.get("order", ""),
        )

    def _text(self, field: str, *, may_be_empty: bool = False) -> str:
        place = self._places[field]
        if place >= len(self._cells):
            raise self._bad(field, f"the line ends before it, after {len(self._cells)} cells")
        text = self._cells[place].strip()
        if len(text) > CELL_CHARACTERS_MAX:
            raise self._bad(field, f"{len(text)} characters, at most {CELL_CHARACTERS_MAX} are read")
        if not text and not may_be_empty and field != "kind":
            raise self._bad(field, "it is empty")
        return text

    def _amount(self, field: str, text: str) -> Decimal:
        thousands = "," if self._written.decimal_mark == "." else "."
        plain = text.replace(thousands, "").replace(self._written.decimal_mark, ".")
        try:
            # Python reads other scripts' digits and underscores too.
            number = Decimal(plain if plain.isascii() and "_" not in plain else "")
        except InvalidOperation as error:
            raise self._bad(field, f"{text!r} is no number") from error
        if not number.is_finite():
            raise self._bad(field, f"{text!r} is no number")
        _, digits, exponent = number.as_tuple()
        if len(digits) > NUMBER_DIGITS_MAX or abs(int(exponent)) > DECIMALS_MAX:
            raise self._bad(
                field, f"{text!r} has more than {NUMBER_DIGITS_MAX} digits or {DECIMALS_MAX} behind the point"
            )
        return number

    def _side(self, text: str) -> Side:
        word = text.casefold()
        for words, side in ((self._written.buy_words, Side.BUY), (self._written.sell_words, Side.SELL)):
            if word in (each.casefold() for each in words):
                return side
        raise self._bad("side", f"{text!r} is neither a buy nor a sell")

    def _date(self, text: str) -> date:
        try:
            # Without a zone of its own a time is in the statement's, and so is its date.
            at = datetime.strptime(text, self._written.time_format)  # noqa: DTZ007
            return at.astimezone(self._written.zone).date() if at.tzinfo else at.date()
        except (ValueError, OverflowError) as error:
            raise self._bad("traded_at", f"{text!r} is not written as {self._written.time_format}") from error

    def _bad(self, field: str, what: str) -> UnableToReadStatement:
        return UnableToReadStatement(f"line {self._number}, column {self._written.columns[field]}: {what}")
