"""What every venue looks like from inside: the words of a report, an order as its worker knows it, and the session.

A session is a pure state machine. What needs the venue's answer is a generator (`Steps`): it yields requests, is given
their responses and returns what they mean, so that a recorded answer tests it and one driver runs it for every venue.
"""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from piggy.core.commands import AnyCommand
from piggy.core.events import ChildOrderCreated
from piggy.core.market import VenueQuote
from piggy.core.orders import Side

NOT_KNOWN_TO_VENUE = "UNKNOWN_AT_VENUE"
ORDER_AGE_MS_MAX = 2_000
TEXT_MAX = 200
T = TypeVar("T")


class UnableToReadReport(Exception):
    """The message is not something a venue may say; keep it as it came, for a person to look at."""


class UnableToTranslate(Exception):
    """The order cannot be said in the venue's words (symbol, step, minimum); nothing was sent."""


class UnableToSend(Exception):
    """The order cannot have reached the venue; nothing of it lives there."""


class UnableToConnect(Exception):
    """The venue refused the session or answered nonsense; the driver tries again later."""


class ReportKind(StrEnum):
    """`STATUS` answers a question of ours; `UNCANCEL` refuses a cancel; `IGNORED` changes nothing (pending states).

    `PARKED` is one of many things told at once that nobody can read: it is kept for a person, the others count.
    """

    ACK = "ack"
    FILL = "fill"
    REJECT = "reject"
    DONE = "done"
    DOUBT = "doubt"
    BUST = "bust"
    CORRECTION = "correction"
    STATUS = "status"
    UNCANCEL = "uncancel"
    IGNORED = "ignored"
    PARKED = "parked"


class VenueReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report of an LP. `key` is unique at the venue; `cumulative` is lots filled in all, as the LP says.

    `standing` of a status answer is working, filled, ended or unknown.
    """

    kind: ReportKind
    key: str
    cl_ord_id: str
    command: AnyCommand | None = None
    cumulative: Decimal = Decimal(0)
    standing: str = ""
    text: str = ""


class Said(NamedTuple):
    """A report and the venue's own text that it was read from."""

    report: VenueReport
    raw: str


Reports = tuple[Said, ...]


class SymbolMapping(msgspec.Struct, frozen=True, kw_only=True):
    """Our symbol, the venue's name for it, and how many venue units one lot is.

    `tick_size`, `lot_step` and `lot_min` are what our own instrument deals in, 0 where that is not known.
    """

    symbol: str
    venue_symbol: str
    units_per_lot: Decimal
    tick_size: Decimal = Decimal(0)
    lot_step: Decimal = Decimal(0)
    lot_min: Decimal = Decimal(0)


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One account of one tenant at a venue without FIX; empty addresses mean the venue's own, `depth` is in levels.

    `settings` is what only this kind of venue asks for, as its config.py says.
    """

    tenant: str
    venue: str
    kind: str
    symbols: tuple[SymbolMapping, ...]
    rest_url: str = ""
    stream_url: str = ""
    key: str = ""
    secret: str = ""
    account: str = ""
    settings: dict[str, str] = {}
    credential_version: int = 0
    depth: int = 20
    order_age_ms_max: int = ORDER_AGE_MS_MAX

    def __repr__(self) -> str:
        return f"VenueConfig({self.tenant}/{self.venue} {self.kind} {self.rest_url})"

    @property
    def to_venue(self) -> dict[str, SymbolMapping]:
        """Mappings by our symbol."""
        return {mapping.symbol: mapping for mapping in self.symbols}

    @property
    def from_venue(self) -> dict[str, SymbolMapping]:
        """Mappings by the venue's symbol."""
        return {mapping.venue_symbol: mapping for mapping in self.symbols}

    def mapping_of(self, *, symbol: str) -> SymbolMapping:
        """Return the mapping of our symbol. Raises UnableToTranslate."""
        if (mapping := self.to_venue.get(symbol)) is None:
            raise UnableToTranslate(f"{self.venue} has no symbol for {symbol}.")
        return mapping

    def mapping_from(self, *, name: str) -> SymbolMapping:
        """Return the mapping of the venue's symbol. Raises UnableToReadReport."""
        if (mapping := self.from_venue.get(name)) is None:
            raise UnableToReadReport(f"{self.venue} reports symbol {name}, which is not mapped.")
        return mapping


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the worker has it; quantities in lots, `client_id` is what the venue knows it by."""

    cl_ord_id: str
    client_id: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: str = "ioc"
    filled: Decimal = Decimal(0)
    created_at_us: int = 0


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of one of its symbols; steps and bounds in its own units. A zero is no bound."""

    venue_symbol: str
    tick_size: Decimal
    unit_step: Decimal
    units_min: Decimal = Decimal(0)
    units_max: Decimal = Decimal(0)
    notional_min: Decimal = Decimal(0)
    tradable: bool = True


class Position(NamedTuple):
    """Our symbol and signed lots, long positive."""

    symbol: str
    lots: Decimal
    average_price: Decimal


class Balance(NamedTuple):
    """What the venue holds for us in one currency."""

    currency: str
    total: Decimal
    available: Decimal


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to ask a venue. `weight` counts against its budget; `places_order` marks what must never go twice."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: str = ""
    weight: int = 1
    label: str = ""
    places_order: bool = False

    def __repr__(self) -> str:
        # Headers and bodies carry keys, and what is raised may be shown with its locals.
        return f"Request({self.method} {self.label or self.url.partition('?')[0]})"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's answer; names of headers are in lower case.

    `status` 0 is none, and `text` says what broke; `left` is False where nothing can have arrived.
    """

    status: int
    text: str = ""
    headers: dict[str, str] = {}
    left: bool = True

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


Steps = Generator[Request, Response, T]


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream to keep open. `hello` is said when it opens; `lines` is HTTP with a JSON text a line.

    A stream silent for `silence_s_max` seconds is dead; 0 leaves that to the socket's own pings.
    """

    name: str
    url: str
    headers: dict[str, str] = {}
    hello: tuple[str, ...] = ()
    lines: bool = False
    silence_s_max: float = 30.0

    def __repr__(self) -> str:
        # What is said first is often a password, and some addresses are tickets.
        return f"Stream({self.name})"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a message meant: reports, texts to answer with, symbols whose book has a gap, or why to start anew."""

    reports: Reports = ()
    say: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    down: str = ""


class BudgetRule(NamedTuple):
    """At most `limit` weight in any `window_s` seconds; `orders` counts only requests that place orders."""

    limit: int
    window_s: float
    orders: bool = False


NOTHING = Heard()


class VenueSession(Protocol):
    """One account at one venue. No method does IO, sleeps or reads a clock."""

    config: VenueConfig
    budget: tuple[BudgetRule, ...]

    def client_id(self, *, cl_ord_id: str) -> str:
        """Return the id under which the venue will know the order: always the same one for the same order."""

    def connect(self, *, now_us: int) -> Steps[tuple[Stream, ...]]:
        """Agree on clocks, check symbols, get tickets; return the streams. Raises UnableToConnect."""

    def hear(self, *, stream: str, text: str, now_us: int) -> Heard:
        """Take one message of a stream. Raises UnableToReadReport; the driver parks the text."""

    @property
    def settled(self) -> bool:
        """Whether the streams are greeted and every book is whole, so that orders may go."""

    def resync(self, *, symbol: str, now_us: int) -> Steps[None]:
        """Make the book of our `symbol` whole again."""

    def tend(self, *, now_us: int) -> Steps[Reports]:
        """Do what is due (keep-alives, clock, polling); called about once a second."""

    def lost(self) -> None:
        """The streams are gone: withdraw every quote and forget sequence numbers."""

    def submit(self, *, child: ChildOrderCreated, now_us: int) -> Steps[Reports]:
        """Place the order. No report at all means that it was refused before it left: UnableToTranslate is raised."""

    def cancel(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Ask for the end of an order."""

    def replace(self, *, order: Order, quantity: Decimal, limit_price: Decimal, now_us: int) -> Steps[Reports]:
        """Ask for another quantity and limit under the same client id where the venue can, else UnableToTranslate."""

    def status(self, *, order: Order, now_us: int) -> Steps[Reports]:
        """Return missing fills first, then one STATUS report."""

    def fills(self, *, since_us: int, now_us: int) -> Steps[Reports]:
        """Return every fill since an instant, oldest first."""

    def open_orders(self, *, now_us: int) -> Steps[tuple[str, ...]]:
        """Return the client ids of everything that works at the venue."""

    def symbols(self, *, now_us: int) -> Steps[tuple[Symbol, ...]]:
        """Return the terms of the mapped symbols."""

    def positions(self, *, now_us: int) -> Steps[tuple[Position, ...]]:
        """Return what the venue thinks we hold."""

    def balances(self, *, now_us: int) -> Steps[tuple[Balance, ...]]:
        """Return what the venue holds for us."""

    def changed_quotes(self) -> list[VenueQuote]:
        """Return the books that changed since the last call, one a symbol."""

    def all_quotes(self) -> list[VenueQuote]:
        """Return every whole book."""

    @property
    def unread(self) -> tuple[int, str]:
        """How much market data was dropped because nobody could read it, and why the last of it was."""
