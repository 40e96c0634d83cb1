"""Scorecards: how each venue serves, measured from its fills and quotes while it trades. Figures, not facts.

What a fill was worth later (markout) is the consolidated mid at 0.1, 1, 10, 60 and 300 s after it against the mid at
the fill, in basis points lost by us: above zero, the market went against what we had just dealt. Samples live in
memory and start anew with the engine; people's history is kept by apps/liquidity, which reads what is published here.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.desk import Desk
from piggy.core.events import ChildOrderAcknowledged, ChildOrderClosed, ChildOrderCreated, ChildOrderFilled, Recorded
from piggy.core.market import VenueState
from piggy.core.orders import Side
from piggy.engine.clock import Clock, is_wanted, pause
from piggy.engine.loop import Done
from piggy.messaging import streams

log = logging.getLogger(__name__)

HORIZONS_MS = (100, 1_000, 10_000, 60_000, 300_000)
LOOK_S = 0.02
PUBLISH_S = 1.0
SAMPLES_KEPT = 2_000
DELAYS_KEPT = 500
WAITING_MAX = 50_000
BPS, PER_BP = Decimal(10_000), 1_000_000  # Losses are summed as whole millionths of a basis point.
PLACES = Decimal("0.001")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A median and how many samples it is of; None of none."""

    p50: Decimal | None = None
    p95: Decimal | None = None
    samples: int = 0


class Markout(msgspec.Struct, frozen=True, kw_only=True):
    """The mean loss in basis points so long after a fill, its standard error, and the sample size."""

    after_ms: int
    mean_bps: Decimal | None = None
    error_bps: Decimal | None = None
    samples: int = 0


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """One venue. Ratios of 1; `up_percent` since the engine began; hold is from order to fill or refusal.

    `unread` counts what the venue wrote and nobody could read, since its worker began.
    """

    venue: str
    state: str
    up_percent: Decimal
    disconnects: int
    quote_age_ms: int | None
    unread: int
    orders: int
    fills: int
    rejects: int
    reject_rate: Decimal
    fill_ratio: Decimal
    rejects_in_a_row: int
    trading_state: str
    latency_ms: Figures
    hold_ms: Figures
    markouts: tuple[Markout, ...]
    cost_markout_bps: Decimal


class Sample:
    """The latest SAMPLES_KEPT whole numbers with their mean, kept up in step: the engine's loop must not wait."""

    __slots__ = ("_squares", "_sum", "values")

    def __init__(self) -> None:
        self.values: deque[int] = deque()
        self._sum = self._squares = 0

    def add(self, value: int) -> None:
        """Take one more and forget the oldest."""
        self.values.append(value)
        self._sum += value
        self._squares += value * value
        if len(self.values) > SAMPLES_KEPT:
            oldest = self.values.popleft()
            self._sum -= oldest
            self._squares -= oldest * oldest

    def mean(self) -> Decimal | None:
        """Return the mean, None of none."""
        return Decimal(self._sum) / len(self.values) if self.values else None

    def error(self) -> Decimal | None:
        """Return the standard error of the mean, None below two."""
        count = len(self.values)
        if count < 2:
            return None
        variance = (Decimal(self._squares) - Decimal(self._sum) ** 2 / count) / (count - 1)
        return (max(Decimal(0), variance) / count).sqrt()


@dataclass(slots=True)
class _Watch:
    """What was measured of one venue."""

    seconds: int = 0
    seconds_up: int = 0
    disconnects: int = 0
    was_up: bool = False
    latencies_us: deque[int] = field(default_factory=lambda: deque(maxlen=DELAYS_KEPT))
    holds_us: deque[int] = field(default_factory=lambda: deque(maxlen=DELAYS_KEPT))
    losses: dict[int, Sample] = field(default_factory=lambda: {after_ms: Sample() for after_ms in HORIZONS_MS})


class Scorecards:
    """Listens to what is committed; looks at the desks' own market when a fill comes of age."""

    def __init__(self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], clock: Clock) -> None:
        self._redis: Any = connection
        self._desks = desks
        self._clock = clock
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._sent_ns: dict[tuple[str, str], int] = {}
        self._waiting: list[tuple[int, int, str, str, str, int, int, Decimal]] = []
        self._count = 0

    def heard(self, done: list[Done]) -> None:
        """Take note of committed legs, answers and fills."""
        now_us = self._clock.now_us()
        for each in done:
            for recorded in each.recorded:
                self._note(each.item.tenant, recorded, now_us)

    async def run(self) -> None:
        """Look at fills that come of age and publish the cards once a second, for ever."""
        published_ns = 0
        while is_wanted():
            self.look(now_us=self._clock.now_us())
            if self._clock.mono_ns() - published_ns >= PUBLISH_S * 1e9:
                published_ns = self._clock.mono_ns()
                await self._publish()
            await pause(LOOK_S)

    def look(self, *, now_us: int) -> None:
        """Take the markout of every fill whose time has come; without a two-sided market there is no sample."""
        while self._waiting and self._waiting[0][0] <= now_us:
            _, _, tenant, venue, symbol, after_ms, sign, mid = heapq.heappop(self._waiting)
            desk = self._desks.get(tenant)
            later = desk.market.mid(symbol=symbol, now_us=now_us) if desk else None
            if later is not None:
                self._watch(tenant, venue).losses[after_ms].add(int(sign * (mid - later) / mid * BPS * PER_BP))

    def cards(self, *, tenant: str, now_us: int) -> tuple[Scorecard, ...]:
        """Return every venue's card as it stands."""
        desk = self._desks[tenant]
        return tuple(self._card(tenant, desk, venue, now_us) for venue in sorted(desk.state.venues))

    def _note(self, tenant: str, recorded: Recorded, now_us: int) -> None:
        event: Any = recorded.event
        if isinstance(event, ChildOrderCreated):
            self._sent_ns[tenant, event.cl_ord_id] = recorded.recorded_mono_ns
            return
        if not isinstance(event, ChildOrderAcknowledged | ChildOrderFilled | ChildOrderClosed):
            return
        desk = self._desks.get(tenant)
        child = desk.state.children.get(event.cl_ord_id) if desk else None
        sent_ns = self._sent_ns.get((tenant, event.cl_ord_id))
        if desk is None or child is None or sent_ns is None:
            return  # Sent before this engine began: how long it took is not known.
        watch = self._watch(tenant, child.created.venue)
        took_us = (recorded.recorded_mono_ns - sent_ns) // 1_000
        if isinstance(event, ChildOrderAcknowledged):
            watch.latencies_us.append(took_us)
            return
        watch.holds_us.append(took_us)
        if isinstance(event, ChildOrderFilled):
            self._await_markouts(tenant, desk, event, now_us)
        if child.leaves == 0:
            self._sent_ns.pop((tenant, event.cl_ord_id), None)

    def _await_markouts(self, tenant: str, desk: Desk, fill: ChildOrderFilled, now_us: int) -> None:
        mid = desk.market.mid(symbol=fill.symbol, now_us=now_us)
        if not mid or len(self._waiting) >= WAITING_MAX:
            return
        sign = 1 if fill.side is Side.BUY else -1
        for after_ms in HORIZONS_MS:
            self._count += 1
            due_us = now_us + after_ms * 1_000
            heapq.heappush(self._waiting, (due_us, self._count, tenant, fill.venue, fill.symbol, after_ms, sign, mid))

    def _card(self, tenant: str, desk: Desk, venue: str, now_us: int) -> Scorecard:
        watch, status = self._watch(tenant, venue), desk.statuses.get(venue)
        record, score = desk.state.venue_records.get(venue), desk.state.scores.get(venue)
        switched = desk.state.trading_states.get(("venue", venue))
        return Scorecard(
            venue=venue,
            state=status.state.value if status else "unknown",
            up_percent=_share(watch.seconds_up, watch.seconds),
            disconnects=watch.disconnects,
            quote_age_ms=_quote_age_ms(desk, venue, now_us),
            unread=status.unread if status else 0,
            orders=record.orders if record else 0,
            fills=record.fills if record else 0,
            rejects=record.rejects if record else 0,
            reject_rate=score.reject_rate if score else Decimal(0),
            fill_ratio=score.fill_ratio if score else Decimal(1),
            rejects_in_a_row=record.rejects_in_a_row if record else 0,
            trading_state=switched.value if switched else "active",
            latency_ms=_figures(watch.latencies_us),
            hold_ms=_figures(watch.holds_us),
            markouts=tuple(_markout(after_ms, losses) for after_ms, losses in watch.losses.items()),
            cost_markout_bps=desk.state.markouts.get(venue, Decimal(0)),
        )

    async def _publish(self) -> None:
        now_us = self._clock.now_us()
        for tenant, desk in list(self._desks.items()):
            for venue in desk.state.venues:
                self._count_second(self._watch(tenant, venue), desk, venue)
            try:
                cards = {"at_us": now_us, "venues": self.cards(tenant=tenant, now_us=now_us)}
                await self._redis.set(streams.scorecards_key(tenant=tenant), msgspec.json.encode(cards))
            except (RedisError, OSError) as error:
                log.warning("scorecards not sent", extra={"tenant": tenant, "error": str(error)})

    def _count_second(self, watch: _Watch, desk: Desk, venue: str) -> None:
        status = desk.statuses.get(venue)
        is_up = status is not None and status.state is VenueState.READY
        watch.seconds += 1
        watch.seconds_up += is_up
        watch.disconnects += watch.was_up and not is_up
        watch.was_up = is_up

    def _watch(self, tenant: str, venue: str) -> _Watch:
        return self._watches.setdefault((tenant, venue), _Watch())


def _quote_age_ms(desk: Desk, venue: str, now_us: int) -> int | None:
    """Return how old the venue's freshest quote is."""
    quotes = (desk.market.quote_of(venue=venue, symbol=symbol) for symbol in desk.state.instruments)
    latest = max((quote.received_at_us for quote in quotes if quote), default=None)
    return None if latest is None else max(0, (now_us - latest) // 1_000)


def _figures(samples_us: deque[int]) -> Figures:
    if not samples_us:
        return Figures()
    ordered = sorted(samples_us)
    p50, p95 = (Decimal(ordered[min(len(ordered) - 1, len(ordered) * part // 100)]).scaleb(-3) for part in (50, 95))
    return Figures(p50=p50, p95=p95, samples=len(ordered))


def _markout(after_ms: int, losses: Sample) -> Markout:
    mean, error = (
        None if value is None else (value / PER_BP).quantize(PLACES) for value in (losses.mean(), losses.error())
    )
    return Markout(after_ms=after_ms, mean_bps=mean, error_bps=error, samples=len(losses.values))


def _share(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01")) if whole else Decimal(0)
