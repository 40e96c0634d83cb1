"""Marks: the desk's hot picture to Redis for the screens, conflated, each panel a snapshot and numbered deltas.

The whole is drawn five times a second, less often where that would cost the engine more than a fifth of its time. What
an order did is told in between, at once: its own rows, and the exposure of the symbols that it dealt. While nobody
listens it is drawn once a second, for whoever opens a page next.
The desk is ahead of the log by the commit under way; where that fails the next desk draws everything anew from its log.
The snapshot key is always at least as new as the last delta sent, so who reads it after subscribing misses nothing.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from piggy.core.correction_events import OrderFillBusted
from piggy.core.desk import Desk
from piggy.core.events import AccountConfigured, OrderFilled
from piggy.core.market import VenueQuote
from piggy.engine import desk_focus, desk_panels, desk_rows
from piggy.engine.clock import Clock, is_wanted, pause
from piggy.engine.desk_rows import Costs, Row, VenueWatch
from piggy.engine.loop import Done
from piggy.engine.margin_scan import MarginScan
from piggy.messaging import streams
from piggy.messaging.codec import MarketData

log = logging.getLogger(__name__)

FLUSH_S = 0.2
NEWS_S = 0.025
# News take at most one part of so many, too: with thousands of orders a second nobody sees each of them anyway.
NEWS_SHARE = 20
# Drawing takes at most one part of so many of the engine's time, and never so many symbols in one go.
DRAWING_SHARE = 5
SYMBOLS_AT_ONCE = 25
SNAPSHOT_S = 1.0
ORDERS_KEPT = 200
# So many changes in one flush are each seen; of more, the latest are.
CROWD_BEGINS = 100
CROWD_SHOWN = 50


@dataclass(slots=True)
class Panel:
    """One panel of one tenant: its rows as the screens have them and the number of its last frame."""

    name: str
    seq: int = 0
    rows: OrderedDict[str, Row] = field(default_factory=OrderedDict)
    snapshot_due: bool = True

    def change(self, rows: Mapping[str, Row]) -> dict[str, Row | None]:
        """Take the rows of now; return those that differ, None for one that is gone."""
        changed: dict[str, Row | None] = {key: row for key, row in rows.items() if self.rows.get(key) != row}
        changed.update(dict.fromkeys(self.rows.keys() - rows.keys()))
        if changed:
            self.rows = OrderedDict(rows)
        return changed

    def change_some(self, rows: Mapping[str, Row]) -> dict[str, Row | None]:
        """Take these rows and leave the others; return those that differ."""
        changed: dict[str, Row | None] = {key: row for key, row in rows.items() if self.rows.get(key) != row}
        self.rows.update({key: rows[key] for key in changed})
        return changed

    def frame(self, rows: Mapping[str, Row | None], *, snapshot: bool, at_us: int) -> bytes:
        """Return a frame; a delta takes the next number, a snapshot has that of the last delta in it."""
        self.seq += not snapshot
        frame = {"panel": self.name, "seq": self.seq, "snapshot": snapshot, "at_us": at_us, "rows": rows}
        return msgspec.json.encode(frame)


@dataclass(slots=True)
class Screen:
    """What one tenant's dealers see."""

    panels: dict[str, Panel] = field(default_factory=lambda: {name: Panel(name) for name in streams.PANELS})
    venues: dict[str, VenueWatch] = field(default_factory=dict)
    costs: dict[str, Costs] = field(default_factory=dict)
    orders: list[dict[str, Row]] = field(default_factory=list)
    rows_made: int = 0
    crowd: dict[str, None] = field(default_factory=dict)
    orders_seen: int = 0
    orders_per_s: int = 0
    known: bool = False
    watched: bool = True
    margins: MarginScan = field(default_factory=MarginScan)
    focus: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    dealt: dict[str, None] = field(default_factory=dict)


class Marks:
    """Listens to what is committed and to what venues quote; sends frames every FLUSH_S."""

    def __init__(self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], clock: Clock) -> None:
        self._redis: Any = connection
        self._desks = desks
        self._clock = clock
        self._screens: dict[str, Screen] = {}
        self._second_ns = 0

    def heard(self, done: list[Done]) -> None:
        """Take note of committed events: every change of an order becomes a row, positions are summed anew."""
        for each in done:
            if not each.recorded:
                continue
            desk, screen = self._desks.get(each.item.tenant), self._screen(each.item.tenant)
            if desk is None:
                continue
            touched: dict[str, None] = {}
            for recorded in each.recorded:
                event = recorded.event
                if isinstance(event, OrderFilled | OrderFillBusted):
                    screen.costs.pop(event.symbol, None)
                    screen.dealt[event.symbol] = None
                if isinstance(event, AccountConfigured):
                    screen.margins.forget(account_id=event.account.account_id)
                elif account_id := getattr(event, "account_id", ""):
                    screen.margins.forget(account_id=account_id)
                order_id = getattr(event, "order_id", "")
                if order_id in desk.state.orders:
                    touched[order_id] = None
            if touched:
                _take_note(desk, screen, touched)

    def saw(self, tenant: str, batch: list[MarketData]) -> None:
        """Take note of a venue's quotes and states."""
        screen = self._screen(tenant)
        venues = screen.venues
        for each in batch:
            watch = venues.setdefault(each.venue, VenueWatch())
            if isinstance(each, VenueQuote):
                screen.moved.add(each.symbol)
                watch.quotes += 1
                watch.quoted_at_us = max(watch.quoted_at_us, each.received_at_us)
            else:
                watch.status = each

    async def run(self) -> None:
        """Send frames for ever; while Redis is away the picture grows and the next frames carry it."""
        while is_wanted():
            began_ns = self._clock.mono_ns()
            is_second = began_ns - self._second_ns >= SNAPSHOT_S * 1_000_000_000
            if is_second:
                self._second_ns = began_ns
            await self._look_who_listens()
            for tenant, desk in list(self._desks.items()):
                if is_second or self._screen(tenant).watched:
                    await self._sent(tenant, self._flush(tenant, desk, is_second=is_second))
            took_s = (self._clock.mono_ns() - began_ns) / 1_000_000_000
            await self._keep_telling(until_ns=began_ns + round(max(FLUSH_S, took_s * DRAWING_SHARE) * 1_000_000_000))

    async def _look_who_listens(self) -> None:
        """Ask Redis whose frames anybody has subscribed to; where it does not answer, take it that all are watched."""
        tenants = list(self._desks)
        try:
            found = await self._redis.pubsub_numsub(*(streams.desk_channel(tenant=each) for each in tenants))
            listeners = [count for _, count in found]
        except (RedisError, OSError) as error:
            log.info("nobody knows who listens", extra={"error": str(error)})
            listeners = [1] * len(tenants)
        for tenant, count in zip(tenants, listeners, strict=True):
            self._screen(tenant).watched = count > 0

    async def _keep_telling(self, *, until_ns: int) -> None:
        """Send news until then, as often as they take little of the engine's time."""
        pause_s = NEWS_S
        while (began_ns := self._clock.mono_ns()) < until_ns:
            await pause(min(pause_s, (until_ns - began_ns) / 1_000_000_000))
            began_ns = self._clock.mono_ns()
            for tenant, desk in list(self._desks.items()):
                await self._sent(tenant, self._tell_news(tenant, desk))
            pause_s = max(NEWS_S, (self._clock.mono_ns() - began_ns) * NEWS_SHARE / 1_000_000_000)

    async def _sent(self, tenant: str, sending: Awaitable[None]) -> None:
        try:
            await sending
        except (RedisError, OSError) as error:
            self._screen(tenant).known = False
            log.warning("desk frames not sent", extra={"tenant": tenant, "error": str(error)})
        except Exception:
            # A picture that cannot be drawn must never stop the trading that it shows.
            self._screen(tenant).known = False
            log.exception("desk frames not drawn", extra={"tenant": tenant})

    async def _tell_news(self, tenant: str, desk: Desk) -> None:
        """Send what orders did since the last look; the snapshots follow with the next whole picture."""
        screen = self._screen(tenant)
        if not screen.watched or not screen.known or not (screen.orders or screen.crowd):
            return
        at_us = self._clock.now_us()
        dealt, screen.dealt = screen.dealt, {}
        exposure = screen.panels["exposure"]
        rows = {symbol: self._exposure_row(desk, screen, symbol, at_us) for symbol in dealt}
        frames = _order_frames(desk, screen, at_us=at_us)
        if changed := exposure.change_some(rows):
            frames.append(exposure.frame(changed, snapshot=False, at_us=at_us))
            exposure.snapshot_due = True
        async with self._redis.pipeline(transaction=False) as pipe:
            for frame in frames:
                pipe.publish(streams.desk_channel(tenant=tenant), frame)
            await pipe.execute()

    def _screen(self, tenant: str) -> Screen:
        screen = self._screens.get(tenant)
        if screen is None:
            screen = self._screens[tenant] = Screen()
        return screen

    async def _flush(self, tenant: str, desk: Desk, *, is_second: bool) -> None:
        screen = self._screen(tenant)
        screen.margins.step(desk=desk)
        if not screen.known:
            await self._continue(tenant, desk, screen)
        if is_second:
            _count_second(screen)
        frames = await self._frames(desk, screen, is_second=is_second)
        async with self._redis.pipeline(transaction=True) as pipe:
            for panel in screen.panels.values():
                if panel.snapshot_due or is_second:
                    key = streams.desk_snapshot_key(tenant=tenant, panel=panel.name)
                    pipe.set(key, panel.frame(panel.rows, snapshot=True, at_us=self._clock.now_us()))
                    panel.snapshot_due = False
            for frame in frames:
                pipe.publish(streams.desk_channel(tenant=tenant), frame)
            focus = streams.focus_key(tenant=tenant)
            pipe.zremrangebyscore(focus, "-inf", self._clock.now_us() // 1_000_000)
            pipe.zrange(focus, 0, desk_focus.NAMES_MAX - 1)
            screen.focus = [name.decode() for name in (await pipe.execute())[-1]]

    async def _continue(self, tenant: str, desk: Desk, screen: Screen) -> None:
        """Go on after the numbers that screens already have; they see a snapshot first, for there may be a gap."""
        drawn = await self._rows(desk, screen, whole=True) | self._slow_rows(desk, screen)
        for panel in screen.panels.values():
            data = await self._redis.get(streams.desk_snapshot_key(tenant=tenant, panel=panel.name))
            panel.seq = max(panel.seq, msgspec.json.decode(data)["seq"] if data else 0) + 1
            if panel.name == "orders" and not panel.rows:
                for order in list(desk.state.orders.values())[-ORDERS_KEPT:]:
                    panel.rows[order.order_id] = desk_rows.order_row(
                        order=order, instrument=desk.state.instruments.get(order.terms.symbol)
                    )
            elif panel.name != "orders":
                panel.change(drawn[panel.name])
            await self._redis.publish(
                streams.desk_channel(tenant=tenant), panel.frame(panel.rows, snapshot=True, at_us=self._clock.now_us())
            )
            panel.snapshot_due = True
        screen.known = True

    async def _frames(self, desk: Desk, screen: Screen, *, is_second: bool) -> list[bytes]:
        frames = []
        now = await self._rows(desk, screen, whole=is_second) | (self._slow_rows(desk, screen) if is_second else {})
        at_us = self._clock.now_us()
        for name, rows in now.items():
            panel = screen.panels[name]
            changed = panel.change(rows)
            # The summary speaks every second also when nothing changed: silence means a dead engine.
            if changed or (name == "summary" and is_second):
                frames.append(panel.frame(changed, snapshot=False, at_us=at_us))
                panel.snapshot_due = True
        return frames + _order_frames(desk, screen, at_us=at_us)

    def _exposure_row(self, desk: Desk, screen: Screen, symbol: str, now_us: int) -> Row:
        if symbol not in screen.costs:
            screen.costs[symbol] = desk_rows.costs_of(desk=desk, symbol=symbol)
        return desk_rows.exposure_row(desk=desk, symbol=symbol, costs=screen.costs[symbol], now_us=now_us)

    async def _rows(self, desk: Desk, screen: Screen, *, whole: bool) -> dict[str, dict[str, Row]]:
        """Draw what changes by the second; unless the `whole` is wanted, of symbols those that moved or dealt."""
        exposures, quotes = (dict(screen.panels[name].rows) for name in ("exposure", "quotes"))
        wanted = [*desk.state.instruments] if whole or not quotes else [*(screen.moved | screen.dealt.keys())]
        screen.moved, screen.dealt = set(), {}
        names = [*desk.state.venues, *screen.venues]
        for at, symbol in enumerate(wanted):
            if symbol not in desk.state.instruments:
                continue
            now_us = self._clock.now_us()
            exposures[symbol] = self._exposure_row(desk, screen, symbol, now_us)
            quotes[symbol] = desk_rows.quotes_row(desk=desk, symbol=symbol, venues=names, now_us=now_us)
            if at % SYMBOLS_AT_ONCE == SYMBOLS_AT_ONCE - 1:
                await pause(0)
        now_us = self._clock.now_us()
        venues = {name: screen.venues.get(name) or VenueWatch() for name in [*desk.state.venues, *screen.venues]}
        in_doubt = desk_rows.doubts(children=desk.state.open_children.values())
        summary = desk_rows.summary_row(
            desk=desk, exposures=exposures.values(), orders_per_s=screen.orders_per_s, now_us=now_us
        )
        return {
            "exposure": exposures,
            "quotes": quotes,
            "venues": {
                name: desk_rows.venue_row(
                    desk=desk, venue=name, watch=watch, in_doubt=in_doubt.get(name, 0), now_us=now_us
                )
                for name, watch in venues.items()
            },
            "summary": {"desk": summary},
            "requests": desk_panels.request_rows(desk=desk, moment=desk.moment(now_us=now_us)),
            "focus": desk_focus.focus_rows(desk=desk, names=screen.focus, now_us=now_us),
        }

    def _slow_rows(self, desk: Desk, screen: Screen) -> dict[str, dict[str, Row]]:
        now_us = self._clock.now_us()
        moment = desk.moment(now_us=now_us)
        panels = {
            "hedges": desk_panels.hedge_rows(desk=desk, moment=moment),
            "margin": screen.margins.shown(desk=desk, moment=moment),
            "doubts": desk_panels.doubt_rows(desk=desk),
            "states": desk_panels.state_rows(desk=desk),
        }
        alerts = desk_panels.alert_rows(desk=desk, panels=panels, before=screen.panels["alerts"].rows, now_us=now_us)
        return panels | {"alerts": alerts}


def _order_frames(desk: Desk, screen: Screen, *, at_us: int) -> list[bytes]:
    """Return a frame of each batch of orders that changed, every change in its turn."""
    orders, waiting, frames = screen.panels["orders"], screen.orders, []
    if screen.crowd:
        shown = [order_id for order_id in screen.crowd if order_id in orders.rows]
        latest = CROWD_SHOWN if screen.watched else ORDERS_KEPT
        waiting.append(_order_rows(desk, dict.fromkeys([*shown, *list(screen.crowd)[-latest:]])))
    screen.orders, screen.crowd, screen.rows_made = [], {}, 0
    for touched in waiting:
        orders.rows.update(touched)
        frames.append(orders.frame(touched, snapshot=False, at_us=at_us))
        orders.snapshot_due = True
    while len(orders.rows) > ORDERS_KEPT:
        orders.rows.popitem(last=False)
    return frames


def _take_note(desk: Desk, screen: Screen, touched: dict[str, None]) -> None:
    """Make rows at once, so that every change is seen; in a crowd, or unseen, leave it to the next flush.

    Nobody reads thousands of rows a second, and making them would keep orders waiting.
    """
    screen.orders_seen += len(touched)
    if screen.crowd or screen.rows_made >= CROWD_BEGINS or not screen.watched:
        for order_id in touched:
            screen.crowd.pop(order_id, None)
        screen.crowd.update(touched)
        return
    screen.rows_made += len(touched)
    rows, waiting = _order_rows(desk, touched), screen.orders
    # An order that is in the frame being filled begins the next, so no change is lost.
    if waiting and waiting[-1].keys().isdisjoint(rows):
        waiting[-1].update(rows)
    else:
        waiting.append(rows)


def _order_rows(desk: Desk, order_ids: Iterable[str]) -> dict[str, Row]:
    orders, instruments = desk.state.orders, desk.state.instruments
    return {
        order_id: desk_rows.order_row(order=order, instrument=instruments.get(order.terms.symbol))
        for order_id in order_ids
        if (order := orders.get(order_id))
    }


def _count_second(screen: Screen) -> None:
    screen.orders_per_s, screen.orders_seen = screen.orders_seen, 0
    for watch in screen.venues.values():
        watch.quotes_per_s, watch.quotes = watch.quotes, 0
