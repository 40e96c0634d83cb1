"""Marks: the desk's hot picture to Redis for the screens, conflated, each panel a snapshot and numbered deltas.

What an order did is told at once: its own rows, and the exposure of the symbols that it dealt. The small panels are
drawn five times a second; the market's, a row for each symbol that moved, as often as a small share of the engine's
time allows, a few symbols at a time, and what is news does not wait until all are drawn. While nobody listens the
whole is drawn for whoever opens a page next: once a second, of many brokers as often as a small share of time allows.
The desk is ahead of the log by the commit under way; where that fails the next desk draws everything anew from its log.
The snapshot key follows within a second: who reads it after subscribing reads again until it reaches what he heard.
What was told in between he cannot hear, so the summary, which comes last and each second, says how far all panels are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
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
from piggy.engine.desk_rows import Row, VenueWatch
from piggy.engine.desk_screen import CROWD_SHOWN as CROWD_SHOWN
from piggy.engine.desk_screen import ORDERS_KEPT, Screen
from piggy.engine.loop import Done
from piggy.engine.unkept import Unkept
from piggy.messaging import streams
from piggy.messaging.codec import MarketData

log = logging.getLogger(__name__)

FLUSH_S = 0.2
NEWS_S = 0.025
# News take at most one part of so many, too: with thousands of orders a second nobody sees each of them anyway.
NEWS_SHARE = 20
# Drawing takes at most one part of so many of the engine's time, and never so many symbols in one go.
DRAWING_SHARE = 5
MARKET_SHARE = 12
SYMBOLS_AT_ONCE = 25
# What nobody looks at takes at most one part of so many, and is never older than that: probes take silence for death.
UNSEEN_SHARE = 40
UNSEEN_S_MAX = 2.5
SNAPSHOT_S = 1.0
SECOND_NS = 1_000_000_000


class Marks:
    """Listens to what is committed and to what venues quote; sends frames every FLUSH_S."""

    def __init__(
        self, *, connection: redis.asyncio.Redis, desks: Mapping[str, Desk], clock: Clock, unkept: Unkept | None = None
    ) -> None:
        self._redis: Any = connection
        self._unkept = unkept or Unkept()
        self._desks = desks
        self._clock = clock
        self._screens: dict[str, Screen] = {}
        self._second_ns = self._spent_ns = self._unseen_due_ns = 0
        self._news = asyncio.Event()

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
                screen.take_note(desk=desk, touched=touched)
                self._news.set()

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
            began_ns, self._spent_ns = self._clock.mono_ns(), 0
            is_second = began_ns - self._second_ns >= SNAPSHOT_S * SECOND_NS
            if is_second:
                self._second_ns = began_ns
                for screen in self._screens.values():
                    screen.count_second()
            await self._look_who_listens()
            for tenant, desk in list(self._desks.items()):
                if self._screen(tenant).watched:
                    await self._sent(tenant, self._flush(tenant, desk, is_second=is_second))
            if began_ns >= self._unseen_due_ns:
                await self._draw_unseen(began_ns=began_ns)
            pause_ns = max(round(FLUSH_S * SECOND_NS), self._spent_ns * DRAWING_SHARE)
            await self._keep_telling(until_ns=began_ns + pause_ns)

    async def _draw_unseen(self, *, began_ns: int) -> None:
        """Draw what nobody listens to, and say when that is due again: not before it was worth so much time."""
        before_ns = self._spent_ns
        for tenant, desk in list(self._desks.items()):
            if not self._screen(tenant).watched:
                await self._sent(tenant, self._flush(tenant, desk, is_second=True))
        due_ns = max(round(SNAPSHOT_S * SECOND_NS), (self._spent_ns - before_ns) * UNSEEN_SHARE)
        self._unseen_due_ns = began_ns + min(due_ns, round(UNSEEN_S_MAX * SECOND_NS))

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
        """Send news until then: at once where there were none for a while, and never so often that they take much."""
        while (left_ns := until_ns - self._clock.mono_ns()) > 0 and is_wanted():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left_ns / SECOND_NS)
            self._news.clear()
            self._spent_ns = 0
            for tenant, desk in list(self._desks.items()):
                await self._sent(tenant, self._tell_news(tenant, desk))
            pause_s = max(NEWS_S, self._spent_ns * NEWS_SHARE / SECOND_NS)
            await pause(max(0.0, min(pause_s, (until_ns - self._clock.mono_ns()) / SECOND_NS)))

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Count the time that the block takes of the engine's; it waits for nothing."""
        began_ns = self._clock.spent_ns()
        try:
            yield
        finally:
            self._spent_ns += self._clock.spent_ns() - began_ns

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
        """Send what orders did since the last look; the snapshots follow within a second."""
        screen = self._screen(tenant)
        if not screen.watched or not screen.known or not (screen.orders or screen.crowd):
            return
        with self._drawing():
            at_us = self._clock.now_us()
            dealt, screen.dealt = screen.dealt, {}
            exposure = screen.panels["exposure"]
            rows = {symbol: self._exposure_row(desk, screen, symbol, at_us) for symbol in dealt}
            frames = screen.order_frames(desk=desk, at_us=at_us)
            if changed := exposure.change_some(rows):
                frames.append(exposure.frame(changed, snapshot=False, at_us=at_us))
                exposure.snapshot_due = True
        screen.told_ns = self._clock.mono_ns()
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
        with self._drawing():
            screen.margins.step(desk=desk)
        if not screen.known:
            await self._continue(tenant, desk, screen)
        if is_second:
            screen.all_due = True
            await self._value_margins(tenant, desk, screen)
        market = await self._draw_market(tenant, desk, screen) if self._is_due(screen) else {}
        with self._drawing():
            frames = self._frames(desk, screen, market, is_second=is_second)
            snapshots = self._snapshots(tenant, screen) if is_second else {}
        async with self._redis.pipeline(transaction=True) as pipe:
            for key, snapshot in snapshots.items():
                pipe.set(key, snapshot)
            for frame in frames:
                pipe.publish(streams.desk_channel(tenant=tenant), frame)
            focus = streams.focus_key(tenant=tenant)
            pipe.zremrangebyscore(focus, "-inf", self._clock.now_us() // 1_000_000)
            pipe.zrange(focus, 0, desk_focus.NAMES_MAX - 1)
            pipe.hgetall(streams.troubles_key(tenant=tenant))
            pipe.exists(*(streams.desk_snapshot_key(tenant=tenant, panel=name) for name in screen.panels))
            *_, names, troubles, kept = await pipe.execute()
        if kept < len(screen.panels):
            screen.all_snapshots_due()
        screen.focus = [name.decode() for name in names]
        said = {name.decode(): text.decode() for name, text in troubles.items()}
        screen.troubles = said | self._unkept.of(tenant=tenant)

    def _snapshots(self, tenant: str, screen: Screen) -> dict[str, bytes]:
        """Return the whole of each panel that changed, by its key."""
        due = [panel for panel in screen.panels.values() if panel.snapshot_due]
        for panel in due:
            panel.snapshot_due = False
        at_us = self._clock.now_us()
        return {
            streams.desk_snapshot_key(tenant=tenant, panel=panel.name): panel.frame(
                panel.rows, snapshot=True, at_us=at_us
            )
            for panel in due
        }

    async def _continue(self, tenant: str, desk: Desk, screen: Screen) -> None:
        """Go on after the numbers that screens already have; they see a snapshot first, for there may be a gap."""
        screen.all_due = True
        await self._draw_market(tenant, desk, screen)
        await self._value_margins(tenant, desk, screen)
        for name, rows in (self._small_rows(desk, screen) | self._slow_rows(desk, screen)).items():
            screen.panels[name].change(rows)
        for panel in screen.panels.values():
            key = streams.desk_snapshot_key(tenant=tenant, panel=panel.name)
            data = await self._redis.get(key)
            panel.seq = max(panel.seq, msgspec.json.decode(data)["seq"] if data else 0) + 1
            if panel.name == "orders" and not panel.rows:
                for order in list(desk.state.orders.values())[-ORDERS_KEPT:]:
                    panel.rows[order.order_id] = desk_rows.order_row(
                        order=order, instrument=desk.state.instruments.get(order.terms.symbol)
                    )
            frame = panel.frame(panel.rows, snapshot=True, at_us=self._clock.now_us())
            await self._redis.set(key, frame)
            await self._redis.publish(streams.desk_channel(tenant=tenant), frame)
        screen.known = True

    def _is_due(self, screen: Screen) -> bool:
        return self._clock.mono_ns() >= screen.market_due_ns

    def _frames(
        self, desk: Desk, screen: Screen, market: dict[str, dict[str, Row | None]], *, is_second: bool
    ) -> list[bytes]:
        """Return a frame of each panel that changed, those of `market` as they were drawn."""
        now = self._small_rows(desk, screen) | (self._slow_rows(desk, screen) if is_second else {})
        changed = market | {name: screen.panels[name].change(rows) for name, rows in now.items()}
        frames, at_us = [], self._clock.now_us()
        summary = changed.pop("summary")
        for name, rows in changed.items():
            if rows:
                frames.append(screen.panels[name].frame(rows, snapshot=False, at_us=at_us))
                screen.panels[name].snapshot_due = True
        frames += screen.order_frames(desk=desk, at_us=at_us)
        # The summary speaks every second also when nothing changed: silence means a dead engine.
        if summary or is_second:
            frames.append(screen.summary_frame(rows=summary, at_us=at_us))
        return frames

    def _exposure_row(self, desk: Desk, screen: Screen, symbol: str, now_us: int) -> Row:
        if symbol not in screen.costs:
            screen.costs[symbol] = desk_rows.costs_of(desk=desk, symbol=symbol)
        return desk_rows.exposure_row(desk=desk, symbol=symbol, costs=screen.costs[symbol], now_us=now_us)

    async def _draw_market(self, tenant: str, desk: Desk, screen: Screen) -> dict[str, dict[str, Row | None]]:
        """Draw the symbols that moved or dealt, every second all; return the rows that changed, by panel."""
        exposure, quotes = screen.panels["exposure"], screen.panels["quotes"]
        known, wanted = desk.state.instruments, list(screen.moved | screen.dealt.keys())
        if screen.all_due or not quotes.rows:
            wanted = list(known)
        screen.moved, screen.dealt, is_all, screen.all_due = set(), {}, screen.all_due, False
        names = desk.state.venues.keys() | screen.venues.keys()
        changed: dict[str, dict[str, Row | None]] = {"exposure": {}, "quotes": {}}
        before_ns = self._spent_ns
        for at in range(0, len(wanted), SYMBOLS_AT_ONCE):
            with self._drawing():
                now_us = self._clock.now_us()
                symbols = [symbol for symbol in wanted[at : at + SYMBOLS_AT_ONCE] if symbol in known]
                exposures = {symbol: self._exposure_row(desk, screen, symbol, now_us) for symbol in symbols}
                quoted = {
                    symbol: desk_rows.quotes_row(desk=desk, symbol=symbol, venues=names, now_us=now_us)
                    for symbol in symbols
                }
                changed["exposure"] |= exposure.change_some(exposures)
                changed["quotes"] |= quotes.change_some(quoted)
            await self._breathe(tenant, desk, screen)
        screen.market_due_ns = self._clock.mono_ns() + (self._spent_ns - before_ns) * MARKET_SHARE
        for name, rows in changed.items():
            held = screen.panels[name].rows
            for symbol in [symbol for symbol in held if is_all and symbol not in known]:
                del held[symbol]
                rows[symbol] = None
        # A deal that was told in between has newer rows than those that were drawn.
        return {name: {key: screen.panels[name].rows.get(key) for key in rows} for name, rows in changed.items()}

    async def _breathe(self, tenant: str, desk: Desk, screen: Screen) -> None:
        """Let orders pass, and tell what they did."""
        await pause(0)
        if self._clock.mono_ns() - screen.told_ns >= NEWS_S * SECOND_NS:
            await self._tell_news(tenant, desk)

    async def _value_margins(self, tenant: str, desk: Desk, screen: Screen) -> None:
        """Value all accounts at the prices of now, a few symbols at a time."""
        parts = screen.margins.value(desk=desk, moment=desk.moment(now_us=self._clock.now_us()))
        is_over = None
        while not is_over:
            with self._drawing():
                is_over = next(parts, True)
            await self._breathe(tenant, desk, screen)

    def _small_rows(self, desk: Desk, screen: Screen) -> dict[str, dict[str, Row]]:
        now_us = self._clock.now_us()
        venues = {name: screen.venues.get(name) or VenueWatch() for name in [*desk.state.venues, *screen.venues]}
        in_doubt = desk_rows.doubts(children=desk.state.open_children.values())
        exposures = screen.panels["exposure"].rows.values()
        summary = desk_rows.summary_row(desk=desk, exposures=exposures, orders_per_s=screen.orders_per_s, now_us=now_us)
        return {
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
            "coverage": desk_panels.coverage_rows(desk=desk, moment=moment),
        }
        troubles = dict(screen.troubles)
        if off_ms := self._clock.off_ms():
            troubles["clock"] = f"it was stepped by {off_ms} ms; no new orders until it is sane"
        alerts = desk_panels.alert_rows(
            desk=desk, panels=panels, before=screen.panels["alerts"].rows, now_us=now_us, troubles=troubles
        )
        return panels | {"alerts": alerts}
