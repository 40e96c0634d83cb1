"""What a gateway says: fields of its messages to quotes, reports and terms, read from their text. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from piggy.adapters import telling
from piggy.adapters.books import lots
from piggy.adapters.ibkr.config import (
    CLIENT_ID,
    ENDED,
    LAYOUTS,
    STATUSES,
    SUMMARY_TAGS,
    TIMEZONE,
    UNSET,
    WORKING,
    In,
    Meaning,
    meaning_of,
)
from piggy.adapters.interface import (
    Balance,
    Position,
    Reports,
    Response,
    Symbol,
    SymbolMapping,
    UnableToConnect,
    UnableToReadReport,
    VenueConfig,
)
from piggy.adapters.latest import Latest
from piggy.adapters.reading import Part, unreadable
from piggy.core.orders import Side

SEPARATOR = "\0"
FIRST = "01"
_SIDES = {"BOT": Side.BUY, "SLD": Side.SELL}
_TIMES = ("%Y%m%d-%H:%M:%S", "%Y%m%d %H:%M:%S")
Fields = dict[str, str]
NAMES = {kind.value: kind.name for kind in In}


def fields_of(*, text: str) -> Fields:
    """Return the fields of a message that matter, by name; `kind` is its number. Raises UnableToReadReport."""
    parts = text.split(SEPARATOR)
    try:
        return {"kind": parts[0]} | {name: parts[place] for name, place in LAYOUTS.get(parts[0], {}).items()}
    except IndexError as error:
        raise UnableToReadReport(f"message {parts[0][:20]} of {len(parts)} fields") from error


def part_of(fields: Fields) -> Part:
    """Return fields as they are read: a name that TWS gives to a number that it does not have is none."""
    kind = fields.get("kind", "")
    told = {name: "" if value in UNSET else value for name, value in fields.items()}
    return Part(told, what=f"TWS message {NAMES.get(kind, kind[:20])}")


def messages(*, response: Response) -> list[str]:
    """Return the messages that answer a question. Raises UnableToConnect, UnableToReadReport."""
    if not response.ok:
        raise UnableToConnect(f"{response.status}: {response.text[:200]}")
    try:
        return msgspec.json.decode(response.text, type=list[str])
    except msgspec.DecodeError as error:
        raise UnableToReadReport(f"TWS answer: {error}") from error


class Known:
    """What was learnt of contracts and orders: numbers are ours at the gateway, refs our ids of orders."""

    def __init__(self, *, config: VenueConfig) -> None:
        self.client_id = config.settings.get("client_id", CLIENT_ID)
        self.contracts: dict[str, SymbolMapping] = {}
        self._refs = Latest[str, str]()
        self._numbers = Latest[str, int]()
        self._mappings = Latest[str, SymbolMapping]()
        self._accepted = Latest[str, None]()
        self._told = Latest[str, str]()

    def learn(self, *, number: int, ref: str, mapping: SymbolMapping | None) -> None:
        """Note the number of an order."""
        self._refs[str(number)] = ref
        self._numbers[ref] = number
        if mapping is not None:
            self._mappings[ref] = mapping

    def hear_of(self, *, fields: Fields) -> None:
        """Note an open or ended order; only one of our own client's has a number that means anything here."""
        ref = fields["ref"]
        if fields.get("client") == self.client_id:
            self.learn(number=part_of(fields).whole("number"), ref=ref, mapping=self.contracts.get(fields["con_id"]))
        else:
            self._numbers.setdefault(ref, 0)

    def is_known(self, *, ref: str) -> bool:
        """Whether the gateway has, or had, an order of that name."""
        return ref in self._numbers

    def number_of(self, *, ref: str) -> int:
        """Return the order's number, 0 where it is not known."""
        return self._numbers.get(ref, 0)

    def ref_of(self, *, number: str) -> str:
        """Return our id of an order, empty for one that is not ours."""
        return self._refs.get(number, "")

    def lots(self, *, ref: str, units: Decimal) -> Decimal:
        """Return units of an order as lots. Raises UnableToReadReport."""
        if (mapping := self._mappings.get(ref)) is None:
            raise UnableToReadReport(f"order {ref} has no known contract")
        return lots(units=units, mapping=mapping)

    def accept(self, *, ref: str) -> None:
        """Note that the venue took the order: a refusal heard later is none of the order itself."""
        self._accepted[ref] = None

    def was_accepted(self, *, ref: str) -> bool:
        """Whether the venue took it."""
        return ref in self._accepted

    def executed(self, *, exec_id: str, ref: str) -> None:
        """Note whose an execution is, as its commission names it only."""
        self._told[exec_id] = ref

    def executed_by(self, *, exec_id: str) -> str:
        """Return the order of an execution, empty where it was not heard of."""
        return self._told.get(exec_id, "")


def read(*, text: str, known: Known, config: VenueConfig, now_us: int) -> Reports:
    """Return what a message says of an order; `known` learns from it. Raises UnableToReadReport."""
    fields = fields_of(text=text)
    part = part_of(fields)
    if fields["kind"] == In.OPEN_ORDER:
        if fields["ref"]:
            known.hear_of(fields=fields)
    elif fields["kind"] == In.ORDER_STATUS:
        return _status(part, known, config, now_us, text)
    elif fields["kind"] == In.EXECUTION:
        return _executed(part, known, config, text)
    elif fields["kind"] == In.ERROR:
        return _error(part, known, config, now_us, text)
    elif fields["kind"] == In.COMMISSION:
        return _commission(part, known, text)
    return ()


def _status(part: Part, known: Known, config: VenueConfig, now_us: int, raw: str) -> Reports:
    ref = known.ref_of(number=part.name("number")) if part.raw("client") == known.client_id else ""
    if not ref:
        return ()
    status = part.word("status", STATUSES)
    names: dict[str, Any] = {"venue": config.venue, "client_id": ref, "at_us": now_us, "raw": raw}
    if status in WORKING or status == "Filled":
        perm_id = part.name("perm_id")
        known.accept(ref=ref)
        return (telling.ack(venue_order_id=perm_id, **names),)
    if status in ENDED:
        return (telling.done(cumulative=known.lots(ref=ref, units=part.size("filled")), how=status, **names),)
    return ()


def _executed(part: Part, known: Known, config: VenueConfig, raw: str) -> Reports:
    mapping = known.contracts.get(part.name("con_id"))
    if mapping is None:
        raise UnableToReadReport(f"{config.venue} executed contract {part.name('con_id')}, which is not mapped.")
    exec_id, perm_id = part.name("exec_id"), part.name("perm_id")
    base, _, number = exec_id.rpartition(".")
    if not base or not number.isdecimal():
        unreadable(part.what, "exec_id", exec_id)
    first, ref = f"{base}.{FIRST}", part.name_or("ref", f"order-{perm_id}")
    names: dict[str, Any] = {
        "venue": config.venue,
        "client_id": ref,
        "cumulative": lots(units=part.size("cumulative"), mapping=mapping),
        "at_us": _time(part, config),
        "raw": raw,
    }
    dealt: dict[str, Any] = {
        "symbol": mapping.symbol,
        "side": part.word("side", _SIDES),
        "lots": lots(units=part.size("units"), mapping=mapping),
        "price": part.number("price"),
    }
    known.executed(exec_id=exec_id, ref=ref)
    restates: dict[str, Any] = {"report_id": exec_id, "ref_fill_id": first, "text": "restated by the venue"}
    if int(number) > int(FIRST) and not dealt["lots"]:
        return (telling.bust(**restates, **names),)
    # Of an execution made while we were away this may be all that is heard; one heard before counts once.
    fill = telling.fill(fill_id=first, venue_order_id=perm_id, **dealt, **names)
    if int(number) <= int(FIRST):
        return (fill,)
    return (fill, telling.correction(**restates, **dealt, **names))


def _time(part: Part, config: VenueConfig) -> int:
    try:
        return at_us(text=part.name("time"), zone=config.settings.get("timezone", TIMEZONE))
    except (ValueError, KeyError, OverflowError):
        unreadable(part.what, "time", part.raw("time"))


def _error(part: Part, known: Known, config: VenueConfig, now_us: int, raw: str) -> Reports:
    ref, code = known.ref_of(number=part.name("number")), part.whole("code")
    meaning = meaning_of(code=code)
    if not ref or meaning in (Meaning.NOTICE, Meaning.KEPT):
        return ()
    names: dict[str, Any] = {"venue": config.venue, "client_id": ref, "at_us": now_us, "raw": raw}
    text = f"{code} {part.name_or('text', '')}"
    if meaning is Meaning.REFUSED and not known.was_accepted(ref=ref):
        return (telling.reject(code=str(code), text=text, **names),)
    return (telling.doubt(text=text, **names),)


def _commission(part: Part, known: Known, raw: str) -> Reports:
    exec_id, amount = part.name("exec_id"), part.number_or("amount", Decimal(0))
    ref = known.executed_by(exec_id=exec_id)
    if not ref or not amount:
        return ()
    text = f"fee {amount:f} {part.name_or('currency', '')}"
    return (telling.note(client_id=ref, what=f"fee {exec_id}", text=text, at_us=0, raw=raw),)


def standing(*, status: str, ended: bool = False) -> str:
    """Return working, filled or ended; what is among ended orders works no more, whatever its state is called."""
    if status == "Filled":
        return "filled"
    return "ended" if ended or status in ENDED else "working"


def at_us(*, text: str, zone: str) -> int:
    """Return a time of the gateway, `20260105-14:30:00` in UTC or with a zone behind it. Raises ValueError."""
    day_and_time, _, named = text.replace("  ", " ").partition(" ")
    if named:
        clock, _, named = named.partition(" ")
        day_and_time = f"{day_and_time} {clock}"
    for form, there in ((_TIMES[0], UTC), (_TIMES[1], ZoneInfo(named or zone))):
        try:
            return int(datetime.strptime(day_and_time, form).replace(tzinfo=there).timestamp()) * 1_000_000
        except ValueError:
            continue
    raise ValueError(f"no time: {text!r}")


def symbol(*, fields: Fields, venue_symbol: str) -> Symbol:
    """Return the terms of one contract. Raises UnableToReadReport."""
    part, zero = part_of(fields), Decimal(0)
    return Symbol(
        venue_symbol=venue_symbol,
        tick_size=part.size("tick"),
        unit_step=part.number_or("step", zero),
        units_min=part.number_or("least", zero),
    )


def positions(*, texts: Iterable[str], known: Known, config: VenueConfig) -> tuple[Position, ...]:
    """Return positions of mapped contracts in our account. Raises UnableToReadReport."""
    found = []
    for text in texts:
        row = part_of(fields_of(text=text))
        mapping = known.contracts.get(row.name_or("con_id", ""))
        if mapping is not None and row.name("account") == config.account and row.number("units"):
            held = lots(units=row.number("units"), mapping=mapping)
            found.append(Position(mapping.symbol, held, row.number("average")))
    return tuple(found)


def balances(*, texts: Iterable[str], config: VenueConfig) -> tuple[Balance, ...]:
    """Return cash and available funds of our account, by currency. Raises UnableToReadReport."""
    found: dict[str, dict[str, Decimal]] = {}
    for text in texts:
        row = part_of(fields_of(text=text))
        if row.raw("account") == config.account and row.name("tag") in SUMMARY_TAGS:
            found.setdefault(row.name("currency"), {})[row.name("tag")] = row.number("value")
    total, free = SUMMARY_TAGS
    return tuple(Balance(name, row.get(total, Decimal(0)), row.get(free, Decimal(0))) for name, row in found.items())
