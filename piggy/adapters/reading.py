"""Reading what a venue wrote, field by field: what is missing or odd is named, and nothing is guessed.

Every reader raises UnableToReadReport with the message and the field in its text; a number is finite and of a size
that a market can have, so that neither a wrong fill nor a text of a billion zeros follows from a broken one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Never, TypeVar

from piggy.adapters.answers import at_us, document, good
from piggy.adapters.interface import Response, UnableToReadReport

DIGITS_MAX, MAGNITUDE_MAX, BITS_MAX = 40, 24, 200
WHOLE_MAX = 2**63
TEXT_MAX = 400
# Later than any venue will write while this code runs; a time beyond it is in other units than documented.
US_MAX = 10_000_000_000_000_000
T = TypeVar("T")
Level = tuple[Decimal, Decimal]


def unreadable(what: str, field: str, value: object) -> Never:
    """Raises UnableToReadReport for a field that is not what it should be."""
    long = isinstance(value, int) and value.bit_length() > BITS_MAX
    said = "is missing" if value is None else "is endless" if long else f"is {str(value)[:60]!r}"
    raise UnableToReadReport(f"{what}: {field} {said}")


def number_of(value: object, *, what: str, field: str) -> Decimal:
    """Return a number written as text or as a JSON number, however it spells it. Raises UnableToReadReport."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or _is_long(value):
        unreadable(what, field, value)
    # Decimal also reads 1_000 and digits of any script, which no venue writes.
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        unreadable(what, field, value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        unreadable(what, field, value)
    if not number.is_finite() or len(number.as_tuple().digits) > DIGITS_MAX or abs(number.adjusted()) > MAGNITUDE_MAX:
        unreadable(what, field, value)
    return number


def whole_of(value: object, *, what: str, field: str) -> int:
    """Return a whole number. Raises UnableToReadReport."""
    number = number_of(value, what=what, field=field)
    if number != number.to_integral_value() or abs(number) >= WHOLE_MAX:
        unreadable(what, field, value)
    return int(number)


def name_of(value: object, *, what: str, field: str) -> str:
    """Return an id or a word, as text or a whole number, never empty. Raises UnableToReadReport."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "" or _is_long(value):
        unreadable(what, field, value)
    return str(value)


def _is_long(value: str | int | Decimal) -> bool:
    # Python itself refuses to write a whole number of thousands of digits.
    return value.bit_length() > BITS_MAX if isinstance(value, int) else len(str(value)) > TEXT_MAX


def level_of(row: object, *, what: str, field: str) -> Level:
    """Return price above zero and size of `[price, size, ...]`. Raises UnableToReadReport."""
    if not isinstance(row, list) or len(row) < 2:
        unreadable(what, field, row)
    return _level(row[0], row[1], what, field)


def _level(price: object, size: object, what: str, field: str) -> Level:
    level = (number_of(price, what=what, field=field), number_of(size, what=what, field=field))
    if level[0] <= 0 or level[1] < 0:
        unreadable(what, field, level)
    return level


class Part:
    """One JSON object; `what` says of which message, in the venue's words."""

    __slots__ = ("_doc", "what")

    def __init__(self, doc: object, *, what: str) -> None:
        if isinstance(doc, Part):
            doc = doc.doc
        if not isinstance(doc, Mapping):
            unreadable(what, "the whole of it", "no object" if doc is None else doc)
        self._doc: Mapping[str, Any] = doc
        self.what = what

    @property
    def doc(self) -> Mapping[str, Any]:
        """The object as it came."""
        return self._doc

    def has(self, field: str) -> bool:
        """Whether the field says anything: it may be left out, null or empty."""
        return self._doc.get(field) not in (None, "")

    def raw(self, field: str) -> Any:
        """Return whatever the field holds."""
        return self._doc.get(field)

    def name(self, field: str) -> str:
        """Return an id or a word."""
        return name_of(self._doc.get(field), what=self.what, field=field)

    def name_or(self, field: str, other: str) -> str:
        """Return an id or a word, `other` where the venue gives none."""
        return self.name(field) if self.has(field) else other

    def must_name(self, field: str, asked: str) -> None:
        """Raise where the field names another than was asked about: nothing follows from what is said of that one."""
        if (told := self.name(field)) != asked:
            raise UnableToReadReport(f"{self.what}: {field} is {told[:60]!r}, asked was {asked!r}")

    def number(self, field: str) -> Decimal:
        """Return a number."""
        return number_of(self._doc.get(field), what=self.what, field=field)

    def number_or(self, field: str, other: Decimal) -> Decimal:
        """Return a number, `other` where the venue gives none."""
        return self.number(field) if self.has(field) else other

    def size(self, field: str) -> Decimal:
        """Return a number that is not below zero."""
        number = self.number(field)
        if number < 0:
            unreadable(self.what, field, number)
        return number

    def whole(self, field: str) -> int:
        """Return a whole number."""
        return whole_of(self._doc.get(field), what=self.what, field=field)

    def ms(self, field: str) -> int:
        """Return milliseconds since 1970 as microseconds."""
        at_us = self.whole(field) * 1_000
        if not 0 <= at_us < US_MAX:
            unreadable(self.what, field, self._doc.get(field))
        return at_us

    def at(self, field: str) -> int:
        """Return an RFC 3339 time in UTC microseconds."""
        value = self._doc.get(field)
        try:
            found = at_us(value) if isinstance(value, str) and len(value) <= TEXT_MAX else -1
        except (ValueError, OverflowError):
            found = -1
        if not 0 <= found < US_MAX:
            unreadable(self.what, field, value)
        return found

    def flag(self, field: str) -> bool:
        """Return true or false, as JSON has them."""
        value = self._doc.get(field)
        if not isinstance(value, bool):
            unreadable(self.what, field, value)
        return value

    def word(self, field: str, meanings: Mapping[str, T]) -> T:
        """Return what a word of the venue means to us; one that it never documented means nothing."""
        value = self._doc.get(field)
        if not isinstance(value, str) or value not in meanings:
            unreadable(self.what, field, value)
        return meanings[value]

    def part(self, field: str) -> Part:
        """Return the object inside."""
        return Part(self._doc.get(field), what=f"{self.what} {field}")

    def parts(self, field: str) -> list[Part]:
        """Return the objects of a list inside."""
        return parts_of(self._doc.get(field), what=f"{self.what} {field}")

    def levels(self, field: str) -> list[Level]:
        """Return one side of a book written as lists."""
        return [level_of(row, what=self.what, field=field) for row in self._rows(field)]

    def levels_named(self, field: str, price: str, size: str) -> list[Level]:
        """Return one side of a book written as objects."""
        return [_level(row.raw(price), row.raw(size), row.what, price) for row in self.parts(field)]

    def _rows(self, field: str) -> list[Any]:
        value = self._doc.get(field)
        if not isinstance(value, list):
            unreadable(self.what, field, value)
        return value


def message(text: str, *, what: str) -> Part:
    """Return the object of a message or an answer's body. Raises UnableToReadReport."""
    return Part(document(text), what=what)


def answer(response: Response, *, what: str) -> Part:
    """Return the object of a 2xx answer. Raises UnableToConnect, UnableToReadReport."""
    return Part(good(response), what=what)


def answers(response: Response, *, what: str) -> list[Part]:
    """Return the objects of a 2xx answer that is a list. Raises UnableToConnect, UnableToReadReport."""
    return parts_of(good(response), what=what)


def parts_of(value: object, *, what: str) -> list[Part]:
    """Return the objects of a list. Raises UnableToReadReport."""
    if not isinstance(value, list | tuple):
        unreadable(what, "the list", value)
    return list(_parts(value, what))


def _parts(rows: list[Any] | tuple[Any, ...], what: str) -> Iterator[Part]:
    for row in rows:
        yield Part(row, what=what)
