"""What an LP trades, in its own words: SecurityList (35=y), which comes in parts, as the terms of each symbol."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.messages import SOH
from piggy.adapters.fix.sense import DIGITS_MAX, size_of
from piggy.adapters.interface import Symbol, UnableToReadReport

VALID = "0"
# Of the message, wherever an engine that sorts by tag puts them.
_HEADS = ("320", "322", "393", "560", "893")
_NONE = Decimal(0)


class Listing:
    """One LP's answer to one request; a part that answers another request is none of it."""

    def __init__(self, *, config: SessionConfig, request_id: str) -> None:
        self.request_id = request_id
        self._tag = config.dialect.symbol_tag
        self._found: list[Symbol] = []

    def take(self, text: str) -> tuple[Symbol, ...] | None:
        """Take a part; return every symbol once the last one came, nothing before. Raises UnableToReadReport."""
        heads, entries = _parts(text)
        if heads.get("320") != self.request_id:
            return None
        if heads.get("560", VALID) != VALID:
            raise UnableToReadReport(f"SecurityRequestResult (560) {heads['560']}: {heads.get('58', '')}")
        try:
            self._found += [self._symbol(entry) for entry in entries]
        except (KeyError, ValueError, InvalidOperation) as error:
            raise UnableToReadReport(f"{type(error).__name__} {error}") from error
        return None if heads.get("893") == "N" else tuple(self._found)

    def _symbol(self, entry: dict[str, str]) -> Symbol:
        digits = entry.get("1008", "")
        tick = size_of(entry["969"]) if entry.get("969") else Decimal(1).scaleb(-_digits(digits)) if digits else _NONE
        return Symbol(
            venue_symbol=entry[self._tag],
            tick_size=tick,
            unit_step=size_of(entry.get("561") or "0"),
            units_min=size_of(entry.get("562") or "0"),
            units_max=size_of(entry.get("1140") or "0"),
        )


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= DIGITS_MAX):
        raise ValueError(f"{text[:40]} digits")
    return int(text)


def _parts(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the fields of the message and those of each symbol; an entry begins with its Symbol (55)."""
    heads: dict[str, str] = {}
    entries: list[dict[str, str]] = []
    for part in text.split(SOH):
        tag, _, value = part.partition("=")
        if tag == "55":
            entries.append({tag: value})
        elif entries and tag not in _HEADS:
            entries[-1][tag] = value
        else:
            heads[tag] = value
    return heads, entries
