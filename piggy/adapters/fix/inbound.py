"""What an LP says: FIX text to reports and quotes in the desk's words. Pure: it sends, stores and times nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from piggy.adapters.fix.config import Dialect, FillRule, SessionConfig
from piggy.adapters.fix.messages import SOH, at_us, fields, happened_at_us, order_id_of
from piggy.adapters.fix.refresh import Refresher
from piggy.adapters.fix.refusals import REJECTS, REPLACE_REFUSED, REPLACED, cancelled_id, refused
from piggy.adapters.fix.sense import ENDING, FILLS, check, meant, size_of
from piggy.adapters.interface import ReportKind, SymbolMapping, UnableToReadReport, VenueReport
from piggy.core.commands import (
    AnyCommand,
    RecordVenueAck,
    RecordVenueBust,
    RecordVenueCancelReject,
    RecordVenueCorrection,
    RecordVenueDone,
    RecordVenueDoubt,
    RecordVenueFill,
    RecordVenueReject,
)
from piggy.core.market import Level, VenueQuote
from piggy.core.money import plain
from piggy.core.orders import Side

_RESTATING = frozenset("HG")  # Trade cancel and trade correct.
_OF_A_REQUEST = frozenset("456CE")
# Replaced, stopped, suspended, calculated, restated, triggered, and what is pending.
_PASSING = frozenset("5679ABDEJKL")
# What an order may be by 39; while its cancel or replacement is pending it works.
_STANDINGS = dict.fromkeys("01A5679DE", "working") | {"2": "filled"} | dict.fromkeys("348BC", "ended")
_SIDES = {"1": Side.BUY, "2": Side.SELL}
_DUPLICATE_ORDER, _UNKNOWN_ORDER, _ANSWERS_REPLACE = "6", "5", "2"
# The order is being cancelled already, or this very request came twice.
_CANCEL_UNDER_WAY = ("3", "6")
_TEXT_MAX = 200
# 8, 9 and 35 come first, in this order.
_MASS_QUOTE = "35=i"
# Of a MassQuote's entry: side, where its price may be, where its size is.
_QUOTED = (("0", ("132", "188"), "134"), ("1", ("133", "190"), "135"))
_REFRESH, HEAD_CHARACTERS = f"{SOH}35=X{SOH}", 32
# What a symbol shows now comes again and again, and is made once; what it showed an hour ago does not.
LEVELS_KEPT_EACH = 200
# Of one symbol: the deepest books have some hundreds, so an LP with more takes nothing away.
ENTRIES_MAX = 1_000
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)")


class UnknownSymbol(UnableToReadReport):
    """The LP speaks of a symbol that none of ours is mapped to: how many lots that are cannot be known."""


def read_report(*, text: str, config: SessionConfig) -> VenueReport:
    """Return what an ExecutionReport, an OrderCancelReject or the reject of a request of ours says.

    An empty field is one left out. Raises UnableToReadReport; UnknownSymbol for one of a symbol that is not mapped.
    """
    values = {tag: value for tag, value in fields(text).items() if value}
    try:
        if values["35"] == "8":
            return _execution(values, config)
        if values["35"] == "9":
            return _cancel_reject(values, config)
        if values["35"] in REJECTS:
            return refused(values=values, venue=config.venue)
    except (KeyError, ValueError, InvalidOperation) as error:
        raise UnableToReadReport(f"{type(error).__name__} {error}") from error
    raise UnableToReadReport(f"A message of type {values['35']} is no report: {values.get('58', '')}")


def _execution(values: dict[str, str], config: SessionConfig) -> VenueReport:
    values = meant(values=values, dialect=config.dialect)
    check(values=values, dialect=config.dialect)
    exec_type = values["150"]
    named = values["41"] if values.get("41") and exec_type in _OF_A_REQUEST else values.get("11", "")
    # While a cancel is under way some name it even on a fill.
    cl_ord_id = order_id_of(cl_ord_id=cancelled_id(cancel_id=named))
    if exec_type in FILLS:
        return _fill(values, config, cl_ord_id)
    if exec_type in _RESTATING:
        return _restated(values, config, cl_ord_id)
    text = values.get("58", "")[:_TEXT_MAX]
    happened_us = happened_at_us(values=values)
    key = f"{exec_type}:{cl_ord_id}:{values.get('17', values['34'])}"
    filled = _lots(values.get("14", "0"), config, values)
    if exec_type == "I":
        # Its ExecID is 0, as a status is no execution: only its number tells one answer from the next.
        key = f"I:{cl_ord_id}:{values.get('122') or values['52']}:{values['34']}"
        return _status(values, key, cl_ord_id, filled)
    command: AnyCommand | None = None
    kind = ReportKind.IGNORED
    if exec_type == "0":
        kind = ReportKind.ACK
        command = RecordVenueAck(
            venue=config.venue, cl_ord_id=cl_ord_id, venue_order_id=values.get("37", ""), occurred_at_us=happened_us
        )
    elif exec_type == "8" and values.get("103") == _DUPLICATE_ORDER:
        # The LP refuses a second copy; the first may well live there. Only a status answer may say otherwise.
        kind = ReportKind.DOUBT
        command = RecordVenueDoubt(
            venue=config.venue, cl_ord_id=cl_ord_id, text="the LP saw this id twice", occurred_at_us=happened_us
        )
    elif exec_type == "8" and not filled:
        kind = ReportKind.REJECT
        command = RecordVenueReject(
            venue=config.venue, cl_ord_id=cl_ord_id, code=values.get("103", ""), text=text, occurred_at_us=happened_us
        )
    elif exec_type in ENDING:
        # A refusal of an order that had dealt ends it with what was dealt, heard of or not.
        kind = ReportKind.DONE
        command = RecordVenueDone(
            venue=config.venue, cl_ord_id=cl_ord_id, filled=filled, text=text, occurred_at_us=happened_us
        )
    elif exec_type not in _PASSING:
        raise UnableToReadReport(f"150={exec_type[:8]} is no ExecType.")
    standing = REPLACED if exec_type == "5" else ""
    return VenueReport(
        kind=kind, key=key, cl_ord_id=cl_ord_id, command=command, cumulative=filled, standing=standing, text=text
    )


def _fill(values: dict[str, str], config: SessionConfig, cl_ord_id: str) -> VenueReport:
    quantity, price = _dealt(values, config)
    fill_id = _fill_id(values, config.dialect)
    command = RecordVenueFill(
        venue=config.venue,
        cl_ord_id=cl_ord_id,
        venue_order_id=values.get("37", ""),
        fill_id=fill_id,
        symbol=_mapping(values, config).symbol,
        side=_SIDES[values["54"]],
        quantity=quantity,
        price=price,
        occurred_at_us=happened_at_us(values=values),
    )
    cumulative = _lots(values.get("14", "0"), config, values)
    return VenueReport(
        kind=ReportKind.FILL, key=f"F:{fill_id}", cl_ord_id=cl_ord_id, command=command, cumulative=cumulative
    )


def _dealt(values: dict[str, str], config: SessionConfig) -> tuple[Decimal, Decimal]:
    """Return lots and price of an execution."""
    quantity = _lots(values["32"], config, values)
    price = size_of(next((values[tag] for tag in config.dialect.fill_price_tags if values.get(tag)), "0"))
    if quantity <= 0 or price <= 0:
        raise UnableToReadReport(f"A fill of {quantity} lots at {price} cannot be.")
    return quantity, price


def _restated(values: dict[str, str], config: SessionConfig, cl_ord_id: str) -> VenueReport:
    """Read a bust (150=H) or a correction (150=G) of the execution that 19 names."""
    if config.dialect.fill_rule is not FillRule.EXEC_ID:
        raise UnableToReadReport("This LP's ExecIDs do not name one fill each, so a person must say which is meant.")
    exec_type, ref, report_id = values["150"], values["19"], values["17"]
    if report_id == ref:  # Some repeat the old id; it must not look like a repeat of the fill.
        report_id = f"{report_id}/{exec_type}"
    named = {"venue": config.venue, "cl_ord_id": cl_ord_id, "report_id": report_id, "ref_fill_id": ref}
    happened_us, text = happened_at_us(values=values), values.get("58", "")[:_TEXT_MAX]
    command: AnyCommand
    if exec_type == "H":
        kind = ReportKind.BUST
        command = RecordVenueBust(text=text, occurred_at_us=happened_us, **named)
    else:
        kind = ReportKind.CORRECTION
        quantity, price = _dealt(values, config)
        command = RecordVenueCorrection(
            symbol=_mapping(values, config).symbol,
            side=_SIDES[values["54"]],
            quantity=quantity,
            price=price,
            text=text,
            occurred_at_us=happened_us,
            **named,
        )
    cumulative = _lots(values["14"], config, values)
    key = f"{exec_type}:{report_id}"
    return VenueReport(kind=kind, key=key, cl_ord_id=cl_ord_id, command=command, cumulative=cumulative, text=text)


def _fill_id(values: dict[str, str], dialect: Dialect) -> str:
    if dialect.fill_rule is FillRule.EXEC_ID:
        return values["17"]
    if dialect.fill_rule is FillRule.EXEC_ID_AND_CUMULATIVE:
        return f"{values['17']}/{values['14']}"
    return f"{values['37']}/{values['14']}"


def _status(values: dict[str, str], key: str, cl_ord_id: str, filled: Decimal) -> VenueReport:
    status = values["39"]
    standing = _STANDINGS[status]
    if status == "8" and (values.get("103") == _UNKNOWN_ORDER or values.get("37", "NONE") in ("NONE", "0")):
        standing = "unknown"
    return VenueReport(
        kind=ReportKind.STATUS,
        key=key,
        cl_ord_id=cl_ord_id,
        cumulative=filled,
        standing=standing,
        text=values.get("58", "")[:_TEXT_MAX],
    )


def _cancel_reject(values: dict[str, str], config: SessionConfig) -> VenueReport:
    text = values.get("58", "")[:_TEXT_MAX]
    cl_ord_id, key = order_id_of(cl_ord_id=values["41"]), f"9:{values['11']}:{values['34']}"
    if values.get("434") == _ANSWERS_REPLACE:  # The order works on as it was, and nobody asked for its end.
        return VenueReport(kind=ReportKind.IGNORED, key=key, cl_ord_id=cl_ord_id, standing=REPLACE_REFUSED, text=text)
    if values.get("102") in _CANCEL_UNDER_WAY:  # The first request counts, and its answer is still to come.
        return VenueReport(kind=ReportKind.IGNORED, key=key, cl_ord_id=cl_ord_id, text=text)
    command = RecordVenueCancelReject(
        venue=config.venue, cl_ord_id=cl_ord_id, text=text, occurred_at_us=happened_at_us(values=values)
    )
    return VenueReport(kind=ReportKind.UNCANCEL, key=key, cl_ord_id=cl_ord_id, command=command, text=text)


def _mapping(values: dict[str, str], config: SessionConfig) -> SymbolMapping:
    name = values[config.dialect.symbol_tag]
    mapping = config.from_venue.get(name)
    if mapping is None:
        raise UnknownSymbol(f"{config.venue} reports symbol {name}, which is not mapped.")
    return mapping


def _lots(units: str, config: SessionConfig, values: dict[str, str]) -> Decimal:
    return _plain_lots(units, _mapping(values, config)) if size_of(units) else Decimal(0)


def _plain_lots(units: str, mapping: SymbolMapping) -> Decimal:
    # Dividing by 1E+5 keeps five decimals, and every text about the lots would carry their zeros.
    return Decimal(plain(Decimal(units) / mapping.units_per_lot))


class _SymbolBook:
    __slots__ = ("at", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, tuple[str, str, str]] = {}
        self.at = ""


class MarketDataBook:
    """One session's quotes, entry by entry, keyed by MDEntryID as a Delete carries nothing else."""

    def __init__(self, *, config: SessionConfig) -> None:
        self._venue = config.venue
        self._symbol_tag = config.dialect.symbol_tag
        self._mappings = config.from_venue
        self._spot_units = {m.venue_symbol: str(config.dialect.spot_lots * m.units_per_lot) for m in config.symbols}
        self._books: dict[str, _SymbolBook] = {name: _SymbolBook() for name in self._mappings}
        self._names = {mapping.symbol: name for name, mapping in self._mappings.items()}
        self._levels: dict[tuple[str, str, str], Level] = {}
        self._refresher = Refresher(
            books=self._books,
            ours={name: mapping.symbol for name, mapping in self._mappings.items()},
            spot_units=self._spot_units,
            symbol_tag=config.dialect.symbol_tag,
            entries_max=ENTRIES_MAX,
        )
        self._quoted: dict[str, str] = {}
        # What could not be used, in words, until its reader takes it out.
        self.faults: list[str] = self._refresher.faults
        self.taken = 0

    def clear(self) -> None:
        """Forget every quote: the session ended."""
        for book in self._books.values():
            book.entries.clear()
        self._quoted.clear()

    def apply(self, text: str) -> set[str]:
        """Take a snapshot or refresh (35=W, X); return which of our symbols changed. Raises UnableToReadReport."""
        try:
            if _REFRESH in text[:HEAD_CHARACTERS]:
                changed, count = self._refresher.take(text)
                self.taken += count
                return changed
            parts = text.split(SOH)
            return self._mass_quote(parts) if parts[2] == _MASS_QUOTE else self._snapshot(parts)
        except (KeyError, ValueError, IndexError) as error:
            raise UnableToReadReport(f"{type(error).__name__} {error}") from error

    def quote(self, *, symbol: str, received_at_us: int) -> VenueQuote:
        """Return the venue's whole book of one of our symbols, best first, one level a price."""
        name = self._names[symbol]
        book = self._books[name]
        bids: list[Level] = []
        asks: list[Level] = []
        for side, price, size in book.entries.values():
            level = self._levels.get((name, price, size)) or self._level(name, price, size)
            (bids if side == "0" else asks).append(level)
        bids.sort(key=_price, reverse=True)
        asks.sort(key=_price)
        return VenueQuote(
            venue=self._venue,
            symbol=symbol,
            bids=tuple(bids),
            asks=tuple(asks),
            venue_at_us=_said_at_us(book.at, received_at_us),
            received_at_us=received_at_us,
        )

    def _level(self, name: str, price: str, size: str) -> Level:
        if len(self._levels) >= LEVELS_KEPT_EACH * len(self._mappings):
            self._levels.clear()
        level = Level(price=Decimal(price), size=_plain_lots(size, self._mappings[name]))
        self._levels[name, price, size] = level
        return level

    def _snapshot(self, parts: list[str]) -> set[str]:
        heads: dict[str, str] = {}
        rest = iter(parts)
        for part in rest:
            tag, _, value = part.partition("=")
            if tag == "268":
                break
            heads[tag] = value
        name = heads[self._symbol_tag]
        book = self._books[name]
        book.entries.clear()
        book.at = heads["52"]
        found = _entries(rest, "269")
        self.taken += len(found)
        for number, entry in enumerate(found):
            # As a refresh names an entry without an id, so that it finds the snapshot's; a second at a price is apart.
            spare_id = f"{entry['269']}@{entry.get('270', '')}"
            self._put(name, book, entry, f"{spare_id}.{number}" if spare_id in book.entries else spare_id)
        return {self._mappings[name].symbol}

    def _mass_quote(self, parts: list[str]) -> set[str]:
        """Take two-sided quotes (35=i), keyed by QuoteEntryID; a side that is not said stays, one of 0 is withdrawn."""
        changed = set()
        sent_at = next((part[3:] for part in parts if part.startswith("52=")), "")
        # Without any, its first field begins no quote.
        first = next((number for number, part in enumerate(parts) if part.startswith("299=")), 0)
        for entry in _entries(parts[first:], "299"):
            name = self._quoted.get(entry["299"], "") if self._symbol_tag not in entry else entry[self._symbol_tag]
            book = self._books[name]
            if len(self._quoted) >= ENTRIES_MAX * len(self._books):
                self._quoted.clear()
            book.at, self._quoted[entry["299"]] = sent_at, name
            for side, price_tags, size_tag in _QUOTED:
                price = next((entry[tag] for tag in price_tags if tag in entry), "")
                if price:
                    size = {"271": entry[size_tag]} if size_tag in entry else {}
                    self._put(name, book, {"278": f"{entry['299']}.{side}", "269": side, "270": price, **size}, "")
                    self.taken += 1
            changed.add(self._mappings[name].symbol)
        return changed

    def _put(self, name: str, book: _SymbolBook, entry: dict[str, str], spare_id: str) -> None:
        key = entry.get("278", spare_id)
        known = book.entries.get(key)
        price = entry.get("270") or (known[1] if known else "0")
        size = entry.get("271") or (known[2] if known else self._spot_units[name])
        if "272" in entry and "273" in entry:
            book.at = f"{entry['272']}-{entry['273']}"
        if nonsense := not (_NUMBER.fullmatch(price) and _NUMBER.fullmatch(size)):
            self.faults.append(f"{name}: no price and size are {price[:40]} and {size[:40]}")
        # 276=B is a quote that may not be hit; some LPs withdraw with price or size 0.
        if nonsense or entry.get("276") == "B" or not price.strip("-0.") or not size.strip("-0."):
            book.entries.pop(key, None)
        elif entry["269"] in ("0", "1"):
            book.entries[key] = (entry["269"], price, size)
            if len(book.entries) > ENTRIES_MAX:
                book.entries.clear()
                self.faults.append(f"{name}: more than {ENTRIES_MAX} entries and none taken away: all dropped")


def _entries(parts: Iterable[str], first_tag: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = []
    for part in parts:
        tag, _, value = part.partition("=")
        if tag == first_tag:
            entry: dict[str, str] = {}
            entries.append(entry)
        if tag == "10" or not tag:
            break
        if not entries:
            raise ValueError(f"a group that begins with {tag[:8]} in place of {first_tag}")
        entry[tag] = value
    return entries


def _said_at_us(stamp: str, received_at_us: int) -> int:
    """Return when the LP says that it was, or when it came where it says no time or nonsense."""
    try:
        return at_us(stamp) if stamp else received_at_us
    except (ValueError, OverflowError):
        return received_at_us


def _price(level: Level) -> Decimal:
    return level.price
