"""The step: decide, write, apply, tell. Nothing leaves the engine before the batch it came from is committed."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from piggy.core.answers import Answer
from piggy.core.commands import AnyCommand, Envelope
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, CommandRefused, Recorded
from piggy.engine.clock import Clock
from piggy.engine.journal import Journal, Row, occurred_at_us

log = logging.getLogger(__name__)

# Upper bounds of the histogram of decision times; the gate's promise is 1,000.
DECIDE_US = (100, 150, 200, 300, 400, 500, 700, 1_000, 2_000, 5_000, 10_000, 100_000)

# Made at decision time, for what depends on the desk as it then is (flat, reverse); a refusal is recorded as such.
CommandMaker = Callable[[Desk], AnyCommand | CommandRefused]


class UnableToApply(Exception):
    """An event could not be folded in: the desk in memory is worth nothing and is rebuilt from the log."""


@dataclass(slots=True)
class Item:
    """One command on its way through the loop; `respond` hears the answer after commit, None where deciding failed."""

    tenant: str
    envelope: Envelope
    respond: Callable[[Answer | None], None] | None = None
    make: CommandMaker | None = None
    entry_id: bytes | None = None
    redelivered: bool = False


@dataclass(slots=True)
class Done:
    """An item with what came of it; `answer` is None where deciding failed, `recorded` empty for a repeat."""

    item: Item
    answer: Answer | None
    recorded: list[Recorded]


@dataclass(slots=True)
class Figures:
    """What the loop has done since the process began; `decided` counts decisions by DECIDE_US, the last beyond all."""

    commands: int = 0
    events: int = 0
    batches: int = 0
    failed: int = 0
    commit_s: float = 0
    decide_s: float = 0
    decided: list[int] = field(default_factory=lambda: [0] * (len(DECIDE_US) + 1))

    def took(self, *, decide_s: float) -> None:
        """Count one decision."""
        self.decide_s += decide_s
        self.decided[bisect_left(DECIDE_US, decide_s * 1e6)] += 1


class Loop:
    """The one writer of its tenants' desks."""

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        batch_max: int,
        tell: Callable[[list[Done]], None],
        figures: Figures | None = None,
    ) -> None:
        self.desks: dict[str, Desk] = {}
        self.figures = figures or Figures()
        self._journal = journal
        self._clock = clock
        self._batch_max = batch_max
        self._tell = tell
        self._inbox: deque[Item] = deque()
        self._wake = asyncio.Event()

    @property
    def backlog(self) -> int:
        """How many items wait."""
        return len(self._inbox)

    def submit(self, *, item: Item) -> None:
        """Queue a command for the next batch."""
        self._inbox.append(item)
        self._wake.set()

    async def run(self) -> None:
        """Take batches until something breaks. Raises UnableToWrite or UnableToApply; then only the log is true."""
        while True:
            await self._wake.wait()
            if batch := self._take():
                try:
                    await self.step(batch=batch)
                except BaseException:
                    _abandon([*batch, *self._inbox])
                    self._inbox.clear()
                    raise
            if not self._inbox:
                self._wake.clear()

    async def step(self, *, batch: list[Item]) -> None:
        """Decide every item, commit all their events at once, then answer."""
        rows: dict[str, list[Row]] = {}
        done = [self._decide(item, rows) for item in batch]
        if rows:
            started_s = time.perf_counter()
            await self._journal.append(rows=rows)
            self.figures.commit_s += time.perf_counter() - started_s
            self.figures.batches += 1
            self.figures.events += sum(len(part) for part in rows.values())
        self.figures.commands += len(batch)
        self._tell(done)
        for each in done:
            if each.item.respond is not None:
                each.item.respond(each.answer)

    def _take(self) -> list[Item]:
        """Return the next batch; what comes again after a failure comes alone, so that it cannot spoil others."""
        batch: list[Item] = []
        while self._inbox and len(batch) < self._batch_max:
            if self._inbox[0].redelivered and batch:
                break
            item = self._inbox.popleft()
            batch.append(item)
            if item.redelivered:
                break
        return batch

    def _decide(self, item: Item, rows: dict[str, list[Row]]) -> Done:
        desk, envelope = self.desks.get(item.tenant), item.envelope
        if desk is None:
            return Done(item, None, [])
        answer = desk.answer(command_id=envelope.command_id, request_hash=envelope.request_hash)
        if answer is not None:
            return Done(item, answer, [])
        started_s = time.perf_counter()
        try:
            events = self._events(desk, item)
        except Exception:
            # The boundary of one command: deciding changed nothing, so the others go on without it.
            log.exception("command not decided", extra={"tenant": item.tenant, "command_id": envelope.command_id})
            self.figures.failed += 1
            return Done(item, None, [])
        self.figures.took(decide_s=time.perf_counter() - started_s)
        recorded = self._record(desk, item, events, rows)
        known = desk.answer_of(command_id=envelope.command_id) if recorded else None
        return Done(item, known or Answer(command_id=envelope.command_id), recorded)

    def _events(self, desk: Desk, item: Item) -> tuple[AnyEvent, ...]:
        command: AnyCommand | CommandRefused = item.make(desk) if item.make else item.envelope.command
        if isinstance(command, CommandRefused):
            return (command,)
        return desk.decide(command=command, command_id=item.envelope.command_id, now_us=self._clock.now_us())

    def _record(
        self, desk: Desk, item: Item, events: tuple[AnyEvent, ...], rows: dict[str, list[Row]]
    ) -> list[Recorded]:
        now_us, mono_ns = self._clock.now_us(), self._clock.mono_ns()
        seq = self._journal.tips[item.tenant].seq
        recorded = [
            Recorded(
                seq=seq + position + 1,
                command_id=item.envelope.command_id,
                position=position,
                principal=item.envelope.principal,
                request_hash=item.envelope.request_hash,
                occurred_at_us=occurred_at_us(event=event, recorded_at_us=now_us),
                recorded_at_us=now_us,
                recorded_mono_ns=mono_ns,
                event=event,
            )
            for position, event in enumerate(events)
        ]
        chained = rows.setdefault(item.tenant, []) if recorded else []
        for each in recorded:
            chained.append(self._journal.chain(tenant=item.tenant, recorded=each))
            try:
                desk.apply(recorded=each)
            except Exception as error:
                raise UnableToApply(f"{item.tenant}: event {each.seq} ({type(each.event).__name__})") from error
        return recorded


def _abandon(items: list[Item]) -> None:
    """Tell who waits here that nobody knows; entries of streams stay pending and come again."""
    for item in items:
        if item.respond is not None:
            item.respond(None)
