"""A seeded day of a made-up broker, through the engine's own loop and its recorder: a tape, and the log beside it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, BookMode, Group, Venue
from piggy.core.clearance import Permissions
from piggy.core.commands import AnyCommand, Envelope
from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.market import Level, VenueQuote
from piggy.core.orders import OrderTerms, OrderType, Side, TimeInForce
from piggy.engine.clock import Clock
from piggy.engine.journal import Row, chained
from piggy.engine.loop import Done, Item, Loop
from piggy.engine.tape import Reel
from piggy.messaging import codec, tape
from piggy.messaging.chain import EVENT_VERSION, Tip
from piggy.messaging.identity import command_id_of

TENANT = "bench"
START_US = 1_700_000_000_000_000
STEP_US = 861_000
SYMBOLS = {"EURUSD": "1.10", "GBPUSD": "1.27", "AUDUSD": "0.66", "NZDUSD": "0.61"}
CLEARED = Permissions.granted()
VENUES = ("LP1", "LP2", "LP3")
GROUPS = {"a": BookMode.A, "b": BookMode.B, "mixed": BookMode.MIXED}
POINT = Decimal("0.00001")
CHUNK_ENTRIES = 20_000
LATENCY_US = 3_000


class DayClock(Clock):
    """A clock that stands where the day is."""

    at_us = START_US

    def now_us(self) -> int:
        """Return the day's time."""
        return self.at_us

    def mono_ns(self) -> int:
        """Return the same in nanoseconds."""
        return self.at_us * 1_000


class Pen:
    """The journal's part that needs no database: rows are kept in memory, each as it is written and as it was."""

    def __init__(self) -> None:
        self.tips = {TENANT: Tip()}
        self.rows: list[Recorded] = []
        self.chained: list[Row] = []

    def chain(self, *, tenant: str, recorded: Recorded) -> Row:
        """Return the row that follows, and keep it."""
        tip = self.tips[tenant]
        row = chained(recorded, type(recorded.event).__name__, EVENT_VERSION, codec.encode(recorded.event), tip.hash)
        tip.seq, tip.hash = recorded.seq, row.hash
        self.rows.append(recorded)
        self.chained.append(row)
        return row

    def opened(self) -> None:
        """All rows of the opening are there, and the day begins."""

    async def append(self, *, rows: dict[str, list[Row]]) -> set[str]:
        """Rows are kept as they are chained."""
        return set()


class Day:
    """`rows` is the log (`chained` as it is written), `chunks` the tape of `orders` orders, one after the other.

    There are `accounts` in each group. One order in five is a limit order, none without `limits`; `ticks` quotes of
    any symbol come with each order. A `pen` of one's own may keep the log elsewhere.
    """

    def __init__(
        self,
        *,
        orders: int,
        seed: int = 7,
        accounts: int = 60,
        ticks: int = 1,
        limits: bool = True,
        pen: Pen | None = None,
    ) -> None:
        self.chunks: list[bytes] = []
        self.rows: list[Recorded] = []
        self.chained: list[Row] = []
        self._random = random.Random(seed)
        self._orders, self._ticks, self._limits = orders, ticks, limits
        self._accounts = [f"{group}{number}" for group in GROUPS for number in range(accounts)]
        self._clock, self._pen = DayClock(), pen or Pen()
        self._mids = {symbol: Decimal(price) for symbol, price in SYMBOLS.items()}
        self._resting: list[tuple[str, str]] = []
        self._commands = 0
        self.desk = Desk(tenant=TENANT)
        asyncio.run(self._make())

    async def _make(self) -> None:
        reels: dict[str, Reel] = {}
        self._loop = Loop(
            journal=self._pen,  # type: ignore[arg-type]
            clock=self._clock,
            batch_max=500,
            tell=self._told,
            slice_s=math.inf,
            reels=reels,
        )
        self._loop.desks[TENANT] = self.desk
        self._answers: list[AnyCommand] = []
        for command in self._opening():
            await self._do(command)
        self.opened = self._pen.tips[TENANT].seq
        self._pen.opened()
        self._reel = reels[TENANT] = Reel(desk=self.desk, seq=self.opened, at_us=self._clock.at_us)
        for symbol in SYMBOLS:
            for venue in VENUES:
                self._quote(symbol, venue)
        for number in range(self._orders):
            await self._step(number)
        self._cut()
        self.desk.on_marks = None
        self.rows, self.chained = self._pen.rows, self._pen.chained

    async def _step(self, number: int) -> None:
        self._clock.at_us += STEP_US
        symbol = self._random.choice(list(SYMBOLS))
        for _ in range(self._ticks):
            self._quote(self._random.choice(list(SYMBOLS)), self._random.choice(VENUES))
        for venue in VENUES:
            self._quote(symbol, venue)
        for command in self.desk.due(now_us=self._clock.at_us):
            await self._do(command, principal="engine")
        await self._do(self._order(number, symbol))
        if self._resting and self._random.random() < 0.08:
            order_id, account_id = self._resting.pop(self._random.randrange(len(self._resting)))
            await self._do(cmd.CancelOrder(order_id=order_id, account_id=account_id))
        self._clock.at_us += LATENCY_US
        while self._answers:
            await self._do(self._answers.pop(0))
        if len(self._reel.entries) >= CHUNK_ENTRIES:
            self._cut()
            self._reel.begin(seq=self._pen.tips[TENANT].seq, at_us=self._clock.at_us)

    def _cut(self) -> None:
        self.chunks.append(tape.pressed(entries=self._reel.entries))
        self._reel.entries = []

    async def _do(self, command: AnyCommand, *, principal: str = "day") -> None:
        self._commands += 1
        command_id = command_id_of("day", str(self._commands))
        await self._loop.step(
            batch=[Item(TENANT, Envelope(command_id=command_id, command=command, principal=principal))]
        )

    def _told(self, done: list[Done]) -> None:
        for each in done:
            for row in each.recorded:
                if isinstance(row.event, ev.ChildOrderCreated):
                    self._answers += self._answered(row.event)
                elif isinstance(row.event, ev.OrderAccepted) and row.event.terms.type is OrderType.LIMIT:
                    self._resting.append((row.event.order_id, row.event.terms.account_id))

    def _answered(self, leg: ev.ChildOrderCreated) -> Iterator[AnyCommand]:
        """What the venue says: mostly a fill at its quote, now and then a refusal or half of it."""
        draw, at_us = self._random.random(), self._clock.at_us + LATENCY_US
        known: dict[str, Any] = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "occurred_at_us": at_us}
        if draw < 0.02:
            yield cmd.RecordVenueReject(**known, code="99", text="last look")
            return
        yield cmd.RecordVenueAck(**known, venue_order_id=f"V{leg.cl_ord_id}")
        quote = self.desk.market.quote_of(venue=leg.venue, symbol=leg.symbol)
        side = () if quote is None else quote.asks if leg.side is Side.BUY else quote.bids
        price = side[0].price if side else leg.limit_price
        lots = leg.quantity if draw > 0.05 or leg.quantity < Decimal("0.1") else leg.quantity - Decimal("0.05")
        yield cmd.RecordVenueFill(
            **known,
            venue_order_id=f"V{leg.cl_ord_id}",
            fill_id=f"F{leg.cl_ord_id}",
            symbol=leg.symbol,
            side=leg.side,
            quantity=lots,
            price=price,
        )
        if lots < leg.quantity:
            yield cmd.RecordVenueDone(**known, filled=lots, text="immediate or cancel")

    def _order(self, number: int, symbol: str) -> AnyCommand:
        draw = self._random.random()
        account = self._accounts[number % len(self._accounts)]
        side = self._random.choice((Side.BUY, Side.SELL))
        lots = Decimal(self._random.randrange(1, 40)) / 10
        terms: dict[str, Any] = {"account_id": account, "symbol": symbol, "side": side, "quantity": lots}
        if self._limits and draw < 0.2:
            away = POINT * self._random.randrange(-20, 40)
            limit = (self._mids[symbol] - side.sign * away).quantize(POINT)
            terms |= {"type": OrderType.LIMIT, "limit_price": limit, "time_in_force": TimeInForce.GTC}
        return cmd.PlaceOrder(terms=OrderTerms(**terms))

    def _quote(self, symbol: str, venue: str) -> None:
        draw = self._random
        mid = self._mids[symbol] = self._mids[symbol] + POINT * draw.randrange(-3, 4)
        half, place = POINT * draw.randrange(2, 9), VENUES.index(venue)
        # No two venues ever quote the same size, so that price and size alone rank them.
        size = Decimal(draw.randrange(1, 50) * len(VENUES) + place)
        quote = VenueQuote(
            venue=venue,
            symbol=symbol,
            bids=(Level(mid - half, size), Level(mid - 3 * half, size * 2)),
            asks=(Level(mid + half, size), Level(mid + 3 * half, size * 2)),
            venue_at_us=self._clock.at_us,
            received_at_us=self._clock.at_us,
        )
        self._reel.quoted(codec.encode([quote]))
        self.desk.quote(quote=quote)

    def _opening(self) -> Iterator[AnyCommand]:
        yield cmd.SignReview(signed_by="bench", reference="bench", signed_at_us=START_US)
        for symbol in SYMBOLS:
            yield cmd.ConfigureInstrument(instrument=_instrument(symbol))
        for name, mode in GROUPS.items():
            group = Group(
                name=name,
                book_mode=mode,
                a_book_percent=Decimal(40),
                bid_markup_points=2,
                ask_markup_points=2,
                order_notional_max=Decimal(10_000_000),
            )
            yield cmd.ConfigureGroup(group=group, limits=HOUSE_LIMITS)
        for place, name in enumerate(VENUES, 1):
            yield cmd.ConfigureVenue(
                venue=Venue(
                    name=name, priority=place, quote_age_ms_max=600_000, commission_per_million=Decimal(5 * place)
                )
            )
        for account_id in self._accounts:
            group_name = account_id.rstrip("0123456789")
            account = Account(account_id=account_id, group=group_name, owner_id=account_id, currency="USD")
            yield cmd.ConfigureAccount(account=account, clearance=CLEARED)
            yield cmd.CreditAccount(account_id=account_id, amount=Decimal(1_000_000), reference=f"r{account_id}")


def _instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.FX_MAJOR,
        base=symbol[:3],
        quote="USD",
        contract_size=Decimal(100_000),
        price_digits=5,
        tick_size=POINT,
        margin_percent=Decimal("3.33"),
    )
