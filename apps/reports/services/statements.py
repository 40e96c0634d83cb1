"""An LP's statement as text -> what it says, whole or not at all; what cannot be read is named by line and column."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from apps.liquidity.selectors import VenueTerms
from apps.reports.models import COLUMNS_NEEDED, StatementFormat
from apps.reports.selectors.executions import FIRST_DAY, LAST_DAY
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.reconciliation import Execution, Holding

FILE_BYTES_MAX = 32 * 1024 * 1024
LINES_MAX = 500_000
CELL_CHARACTERS_MAX = 120
NUMBER_DIGITS_MAX = 28
# As the tables keep them: more would be rounded on the way in.
DECIMALS_MAX = 10
# An LP may deal in finer prices, as the desk takes them; the log's columns have them rounded to DECIMALS_MAX.
PRICE_DECIMALS_MAX = 20
KEPT, WIDE = Decimal(1).scaleb(-DECIMALS_MAX), Context(prec=100, rounding=ROUND_HALF_EVEN)
WHOLE_DIGITS_MAX = NUMBER_DIGITS_MAX - DECIMALS_MAX
CURRENCY_CHARACTERS_MAX = 10
GROUP_DIGITS = 3
LEADING = re.compile(r"[+-]?[1-9]\d{0,2}", re.ASCII)
# By the decimal mark: what stands between thousands, and how a number is written.
THOUSANDS = {mark: re.compile(f"[{other} \u00a0\u202f'\u2019]") for mark, other in ((".", ","), (",", "."))}
EXAMPLES = {".": "1,000.5", ",": "1.000,5"}
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class UnableToReadStatement(Exception):
    """Nothing was taken in; the message names line and column, and the limit where one was passed."""


class Statement(NamedTuple):
    """What was done, what is held at the end, and the balances of the account, each in the order of the file.

    `money` is what moved the balances besides, as swaps; `taken_back` the references of executions that stand no more.
    """

    executions: list[Execution]
    positions: list[Holding]
    balances: list[Holding]
    money: list[Holding]
    taken_back: list[Holding]

    def moved(self) -> list[Holding]:
        """Return by how much each currency's balance moved from its first to its last line: one alone tells nothing."""
        first = {line.name: line for line in reversed(self.balances)}
        last = {line.name: line for line in self.balances}
        return [
            structs.replace(line, amount=line.amount - first[name].amount)
            for name, line in last.items()
            if line is not first[name]
        ]

    def stated_once(self) -> set[str]:
        """Return the currencies of which no more than one end of the balance is told."""
        return {line.name for line in self.balances} - {line.name for line in self.moved()}

    def days(self) -> tuple[date, date]:
        """Return the first and the last day that it speaks of. Raises UnableToReadStatement where it has no line."""
        days = [line.traded_on for line in self.executions]
        days += [line.stated_on for line in (*self.positions, *self.balances, *self.money, *self.taken_back)]
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
        text = content.decode(written.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnableToReadStatement(f"line {line}: byte {error.start} is no {written.encoding}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnableToReadStatement(f"line {line}: it holds a zero byte")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=written.delimiter, strict=True)
    heads = _next(lines)
    places, width = _places(heads, written), len(heads or [])
    found, lines_read = Statement([], [], [], [], []), 0
    while (cells := _next(lines)) is not None:
        if not any(cell.strip() for cell in cells):
            continue
        if lines_read >= LINES_MAX:
            raise UnableToReadStatement(f"line {lines.line_num}: a statement has at most {LINES_MAX} lines")
        lines_read += 1
        if any(cell.strip() for cell in cells[width:]):
            # As where a number holds the delimiter: every cell after it would be taken for another.
            raise UnableToReadStatement(f"line {lines.line_num}: it has {len(cells)} cells, the first line {width}")
        _Line(lines.line_num, cells, places, written).join(found, terms)
    gone = {each.name for each in found.taken_back}
    for each in found.executions:
        if each.reference in gone:
            held = Holding(name=each.reference, amount=ZERO, stated_on=each.traded_on, line=each.line)
            found.taken_back.append(held)
    return found._replace(executions=[each for each in found.executions if each.reference not in gone])


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
        elif kind and kind in (word.casefold() for word in self._written.cancel_words):
            reference = self._text("reference")
            found.taken_back.append(Holding(name=reference, amount=ZERO, stated_on=self._day(), line=self._number))
        elif kind and not self._text("reference", may_be_empty=True):
            raise self._bad("kind", f"{kind!r} is none of the kinds that the format names, and no execution either")
        else:
            found.executions.append(self._execution(terms))

    def _position(self, terms: VenueTerms) -> Holding:
        known = self._symbol(self._text("symbol"), terms)
        lots = self._amount("quantity", self._text("quantity"))
        if said := self._text("side", may_be_empty=True) if "side" in self._places else "":
            lots = self._side(said).sign * self._sized(lots, self._side(said))
        lots = lots / known.units_per_lot if self._written.in_units else lots
        return Holding(name=known.symbol, amount=lots, stated_on=self._day(), line=self._number)

    def _balance(self) -> Holding:
        amount, name = self._amount("quantity", self._text("quantity")), self._text("symbol").upper()
        if len(name) > CURRENCY_CHARACTERS_MAX:
            raise self._bad("symbol", f"{name!r} is no currency, it has at most {CURRENCY_CHARACTERS_MAX} characters")
        return Holding(name=name, amount=amount, stated_on=self._day(), line=self._number)

    def _day(self) -> date:
        return self._date(self._text("traded_at"))

    def _symbol(self, said: str, terms: VenueTerms) -> Any:
        known = terms.symbols.get(said)
        if known is None:
            raise self._bad("symbol", f"{said!r} is no symbol of {self._written.venue}")
        return known

    def _execution(self, terms: VenueTerms) -> Execution:
        fields = {name: self._text(name) for name in COLUMNS_NEEDED}
        fields |= {name: self._text(name) for name in ("side",) if name in self._places}
        fields |= {name: self._text(name, may_be_empty=True) for name in ("fee", "order") if name in self._places}
        known = self._symbol(fields["symbol"], terms)
        quantity = self._amount("quantity", fields["quantity"])
        price = self._amount("price", fields["price"], decimals=PRICE_DECIMALS_MAX)
        by_sign = Side.SELL if quantity < 0 else Side.BUY
        side = self._side(fields["side"]) if "side" in fields else by_sign
        quantity = self._sized(quantity, side)
        for name, number in (("quantity", quantity), ("price", price)):
            if number <= 0:
                raise self._bad(name, f"{fields[name]!r} is not above zero")
        return Execution(
            reference=fields["reference"],
            symbol=known.symbol,
            side=side,
            quantity=quantity / known.units_per_lot if self._written.in_units else quantity,
            price=price if _decimals(price) <= DECIMALS_MAX else price.quantize(KEPT, context=WIDE),
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

    @staticmethod
    def _sized(quantity: Decimal, side: Side) -> Decimal:
        """Return a quantity without the sign that some put before what is sold, beside the side."""
        return -quantity if quantity < 0 and side is Side.SELL else quantity

    def _amount(self, field: str, text: str, *, decimals: int = DECIMALS_MAX) -> Decimal:
        mark = self._written.decimal_mark
        whole, _, behind = text.partition(mark)
        first, *groups = THOUSANDS[mark].split(whole)
        # What parts no thousands is a decimal mark, as behind a nought: without it the number would be another.
        is_parted = bool(LEADING.fullmatch(first)) and {len(group) for group in groups} == {GROUP_DIGITS}
        plain = "".join((first, *groups)) + (f".{behind}" if behind else "")
        try:
            # Python reads other scripts' digits and underscores too.
            number = Decimal(plain if (is_parted or not groups) and PLAIN.fullmatch(plain) else "")
        except InvalidOperation as error:
            raise self._bad(field, f"{text!r} is no number, written as {EXAMPLES[mark]}") from error
        digits = WHOLE_DIGITS_MAX + decimals
        if len(number.as_tuple().digits) > digits or abs(_decimals(number)) > decimals:
            raise self._bad(field, f"{text!r} has more than {digits} digits or {decimals} behind the point")
        if number.adjusted() >= WHOLE_DIGITS_MAX:
            raise self._bad(field, f"{text!r} has more than {WHOLE_DIGITS_MAX} digits before the point")
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
            day = at.astimezone(self._written.zone).date() if at.tzinfo else at.date()
        except (ValueError, OverflowError) as error:
            raise self._bad("traded_at", f"{text!r} is not written as {self._written.time_format}") from error
        if not FIRST_DAY <= day <= LAST_DAY:
            raise self._bad("traded_at", f"{text!r} is not between {FIRST_DAY} and {LAST_DAY}")
        return day

    def _bad(self, field: str, what: str) -> UnableToReadStatement:
        return UnableToReadStatement(f"line {self._number}, column {self._written.columns[field]}: {what}")


def _decimals(number: Decimal) -> int:
    """Return how many digits stand behind the point, below zero where noughts are left out before it."""
    return -int(number.as_tuple().exponent)
