"""Reading what comes back: JSON, venue times, and an answer that has to be a good one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from piggy.adapters.interface import Response, UnableToConnect, UnableToReadReport

US = 1_000_000
# A number with a point is read as it is written; a float would not be the venue's price.
_decoder = msgspec.json.Decoder(float_hook=Decimal)
# No JSON; nested without end; half a character; a number that is none.
_BROKEN = (msgspec.DecodeError, RecursionError, UnicodeError, ArithmeticError)
# The gate of a venue said no before its engine heard of the order.
_REFUSED_UNREAD = frozenset({401, 403, 404, 405, 411, 413, 414, 415, 418, 429, 431, 451})


def document(text: str) -> Any:
    """Return the JSON of an answer or message. Raises UnableToReadReport."""
    try:
        return _decoder.decode(text)
    except _BROKEN as error:
        raise UnableToReadReport(f"not JSON: {text[:80]!r}") from error


def fields_of(response: Response) -> dict[str, Any]:
    """Return an answer's JSON object, empty where it is none: for reading refusals of any shape."""
    try:
        doc = _decoder.decode(response.text)
    except _BROKEN:
        return {}
    return doc if isinstance(doc, dict) else {}


def good(response: Response) -> Any:
    """Return the JSON of a 2xx answer. Raises UnableToConnect, UnableToReadReport."""
    if not response.ok:
        raise UnableToConnect(f"HTTP {response.status}: {response.text[:200]}")
    return document(response.text)


def says_unknown(response: Response, *, words: tuple[str, ...]) -> bool:
    """Whether the venue itself says that there is no such thing: a 404 with one of its own fields.

    A page that is missing somewhere on the way must never settle an order as one that the venue never had.
    """
    return response.status == 404 and any(fields_of(response).get(word) for word in words)


def is_doubtful(response: Response) -> bool:
    """Whether an answer to an order leaves open if the order lives.

    No answer, the venue's own failure, a time-out or a redirection of something between us, or a refusal in no words
    of the venue's, unless by its number alone it came from the gate.
    """
    if response.ok:
        return False
    if not 400 <= response.status < 500 or response.status == 408:
        return True
    return response.status not in _REFUSED_UNREAD and not fields_of(response)


def at_us(stamp: str) -> int:
    """Return an RFC 3339 time, nanoseconds cut, in UTC microseconds. Raises ValueError."""
    whole, _, rest = stamp.partition(".")
    if not rest:
        found = datetime.fromisoformat(whole.replace("Z", "+00:00"))
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()) * US
    digits = len(rest) - len(rest.lstrip("0123456789"))
    zone = rest[digits:].replace("Z", "+00:00") or "+00:00"
    return int(datetime.fromisoformat(whole + zone).timestamp()) * US + int((rest[:digits] + "000000")[:6])


def stamp(at: int) -> str:
    """Return UTC microseconds as RFC 3339."""
    seconds, micros = divmod(at, US)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"
