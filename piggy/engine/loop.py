"""The step: decide, write, apply, tell. Nothing leaves the engine before the batch it came from is committed.

While one batch is being committed the next is decided, on a desk that is ahead of the log by that much. Answers leave
in the order of the log, each after its own commit; where a commit fails the desk goes, and nobody has heard of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from piggy.core.answers import Answer
from piggy.core.asking import told
from piggy.core.commands import AnyCommand, Envelope
from piggy.core.desk import Desk
from piggy.core.events import AnyEvent, CommandRefused, Recorded
from piggy.engine.clock import Clock
from piggy.engine.figures import Figures
from piggy.engine.journal import Journal, Row, UnableToWrite, occurred_at_us
from piggy.engine.lines import Lines
from piggy.engine.precedence import NEW_RISK, URGENT
from piggy.engine.storage import Storage, not_taken
from piggy.engine.tape import Reel

log = logging.getLogger(__name__)

# Deciding pauses after this long: who serves the sockets is the same thread, and a commit needs it twice.
SLICE_S = 0.002
# While more waits a batch grows for so long at least: a commit costs as much as two orders, whatever is in it.
GROW_S = 0.004
# So many commands are not kept waiting for the disk to be through with those before them.
WIDE = 100
SETTLED_S = 0.002

# The key of a stream and the id of an entry in it.
Place = tuple[str, bytes]
# Made when it is decided, at that time (UTC microseconds), for what depends on the desk as it then is (flat, reverse);
# a refusal is recorded as such.
CommandMaker = Callable[[Desk, int], AnyCommand | CommandRefused]


class UnableToApply(Exception):
    """An event could not be folded in: the desk in memory is worth nothing and is rebuilt from the log."""


@dataclass(slots=True)
class Item:
    """One command on its way through the loop; `respond` hears the answer after commit, None where deciding failed.

    `entry_key` and `entry_id` say which stream entry it came in, if any.
    """

    tenant: str
    envelope: Envelope
    respond: Callable[[Answer | None], None] | None = None
    make: CommandMaker | None = None
    entry_key: str = ""
    entry_id: bytes | None = None
    redelivered: bool = False
    looked_up: bool = False

    @property
    def brings_risk(self) -> bool:
        """Whether it may open what was not there."""
        return self.make is not None or type(self.envelope.command) in NEW_RISK


@dataclass(slots=True)
class Done:
    """An item with what came of it; `answer` is None where deciding failed, `recorded` empty for a repeat."""

    item: Item
    answer: Answer | None
    recorded: list[Recorded]


@dataclass(slots=True, eq=False)
class Batch:
    """What was decided together: one commit, then every answer."""

    done: list[Done] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    opened_s: float = field(default_factory=time.perf_counter)


class Loop:
    """The one writer of its tenants' desks. `blameless` is what its end, or that of one before, was no fault of."""

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        batch_max: int,
        tell: Callable[[list[Done]], None],
        figures: Figures | None = None,
        look_up: Callable[[Item], None] | None = None,
        is_behind: Callable[[Item], bool] = lambda _: False,
        slice_s: float = SLICE_S,
        reels: Mapping[str, Reel] | None = None,
        storage: Storage | None = None,
        blameless: set[Place] | None = None,
    ) -> None:
        self.desks: dict[str, Desk] = {}
        self.storage = storage or Storage()
        self.blameless: set[Place] = blameless if blameless is not None else set()
        self.figures = figures or Figures()
        self._journal = journal
        self._clock = clock
        self._batch_max = batch_max
        self._tell = tell
        self._look_up, self._is_behind = look_up, is_behind
        self._slice_s = slice_s
        self._reels = reels if reels is not None else {}
        self._inbox: Lines[Item] = Lines()
        self._urgent: Lines[Item] = Lines()
        self._held: Lines[Item] | None = None
        self._left: set[str] = set()
        self._wake = asyncio.Event()
        self._untold: deque[Batch] = deque()
        self._decided = self._told = 0
        self._is_closed = False

    @property
    def backlog(self) -> int:
        """How many items wait, those of the urgent lane not counted."""
        return len(self._inbox) + len(self._held or ())

    @property
    def is_holding(self) -> bool:
        """Whether what brings new risk is kept until `release`."""
        return self._held is not None

    def is_full(self, *, tenant: str, places: int) -> bool:
        """Whether a tenant has as much waiting as it may of so many places, which all that wait share alike."""
        waiting = self._inbox.waiting(tenant=tenant) + (self._held.waiting(tenant=tenant) if self._held else 0)
        return waiting >= self._inbox.share(tenant=tenant, of=places)

    def submit(self, *, item: Item) -> None:
        """Queue a command for the next batch; one that cannot wait goes past all that can.

        One whose answer only the log may still know is looked up there first, and what may not overtake it follows.
        """
        if self._is_closed:
            if item.respond is not None:
                item.respond(None)
            return
        if self._look_up is not None and not item.looked_up:
            desk = self.desks.get(item.tenant)
            known = desk is None or not desk.perhaps_forgotten(command_id=item.envelope.command_id)
            if not known or self._is_behind(item):
                self._look_up(item)
                return
        if self._is_kept_out(item):
            return
        if self._held is not None and item.brings_risk:
            self._held.append(item)
            return
        urgent = item.make is None and type(item.envelope.command) in URGENT
        (self._urgent if urgent else self._inbox).append(item)
        self._wake.set()

    def take(self, *, tenant: str, desk: Desk) -> None:
        """Decide for a tenant from now on."""
        self.desks[tenant] = desk
        self._left.discard(tenant)

    def drop(self, *, tenant: str) -> None:
        """Decide no more for a tenant that another engine has: what is not committed yet nobody hears."""
        if self.desks.pop(tenant, None) is not None:
            log.info("tenant left the shard", extra={"tenant": tenant})
        self._left.add(tenant)

    def hold(self) -> None:
        """Keep what brings new risk until `release`; all else is decided."""
        self._held = Lines()

    def release(self) -> None:
        """Take what was held, in its order."""
        held, self._held = self._held, None
        self._inbox.extend(held or ())
        self._wake.set()

    async def run(self) -> None:
        """Take batches until something breaks. Raises UnableToWrite or UnableToApply; then only the log is true."""
        commits: deque[asyncio.Task[None]] = deque()
        batch: Batch | None = None
        try:
            while True:
                if self._may_grow(batch):
                    batch = batch or self._open()
                    self._decide_slice(batch)
                while commits and commits[0].done():
                    commits.popleft().result()
                if batch is not None and self._may_commit(batch, len(commits)):
                    before = commits[-1] if commits else None
                    commits.append(asyncio.create_task(self._commit(batch, before)))
                    commits[-1].add_done_callback(lambda _: self._wake.set())
                    batch = None
                if self._may_grow(batch):
                    # Sockets and the running commit get their turn; the batch grows until that commit is through.
                    await asyncio.sleep(0)
                else:
                    self._wake.clear()
                    await self._wake.wait()
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, UnableToWrite):
                # It was something that was asked: what comes again counts (Intake).
                self.storage.is_away = False
            for commit in commits:
                commit.cancel()
            await asyncio.gather(*commits, return_exceptions=True)
            self._abandon()
            raise

    async def step(self, *, batch: list[Item]) -> None:
        """Decide every item, commit all their events at once, then answer."""
        decided = self._open()
        for item in batch:
            if not self._is_put_off(item):
                decided.done.append(self._decide(item, decided.rows))
        await self._commit(decided)

    def close(self) -> None:
        """Take nothing more: who waits here hears at once that nobody knows, entries of streams come again."""
        self._is_closed = True

    async def finished(self) -> None:
        """Return when all that was taken before `close` is committed and told."""
        while self._urgent or self._inbox or self._told < self._decided:
            await asyncio.sleep(SETTLED_S)

    async def settled(self) -> None:
        """Return when all that is decided at this moment is committed and told."""
        decided = self._decided
        while self._told < decided:
            await asyncio.sleep(SETTLED_S)

    def _open(self) -> Batch:
        batch = Batch()
        self._untold.append(batch)
        self._decided += 1
        return batch

    def _may_grow(self, batch: Batch | None) -> bool:
        """Whether anything waits that may join; what comes again after a failure comes alone and spoils no others."""
        lane = self._urgent or self._inbox
        if not lane or batch is None:
            return bool(lane)
        last = batch.done[-1].item.redelivered if batch.done else False
        return len(batch.done) < self._batch_max and not (lane.first().redelivered or last)

    def _may_commit(self, batch: Batch, running: int) -> bool:
        """Whether the batch need not grow on; beside a commit under way only a wide one goes, if there is a pen."""
        if running:
            return running < self._journal.pens and len(batch.done) >= WIDE
        return not self._may_grow(batch) or time.perf_counter() - batch.opened_s >= GROW_S

    def _decide_slice(self, batch: Batch) -> None:
        """Decide what waits, for one slice of time or until the batch is full."""
        until_s = time.perf_counter() + self._slice_s
        while True:
            item = (self._urgent or self._inbox).popleft()
            if not self._is_put_off(item):
                # Noted before it is decided, for an error there must not forget who asked.
                batch.done.append(Done(item, None, []))
                batch.done[-1] = self._decide(item, batch.rows)
            if not self._may_grow(batch) or time.perf_counter() > until_s:
                return

    def _is_kept_out(self, item: Item) -> bool:
        """Whether there is no room for a new order. It hears that at once, for a term may not last until its turn."""
        desk = self.desks.get(item.tenant)
        if not self.storage.is_full or desk is None or not item.brings_risk:
            return False
        envelope = item.envelope
        is_known = desk.answer(command_id=envelope.command_id, request_hash=envelope.request_hash) is not None
        # What was tried, and ended a term, the next does not try: its sender would wait for as long as there is none.
        if is_known or not (item.redelivered or self.storage.keeps_out()):
            return False
        self._tell([Done(item, answer := not_taken(command_id=envelope.command_id), [])])
        if item.respond is not None:
            item.respond(answer)
        return True

    def _is_put_off(self, item: Item) -> bool:
        """Whether orders that left must come back first: whoever looks in the log brings them, and the item again."""
        desk = self.desks.get(item.tenant)
        if self._look_up is None or item.make is not None or desk is None:
            return False
        if not desk.missed(command=item.envelope.command):
            return False
        self._look_up(item)
        return True

    async def _commit(self, batch: Batch, before: asyncio.Task[None] | None = None) -> None:
        if not batch.rows and before is not None:
            # The journal keeps those in order that it hears of.
            await asyncio.wait([before])
            before.result()
        if batch.rows:
            started_s = time.perf_counter()
            for tenant in await self._journal.append(rows=batch.rows):
                self.drop(tenant=tenant)
            self.figures.commit_s += time.perf_counter() - started_s
            self.figures.batches += 1
            self.figures.events += sum(len(part) for part in batch.rows.values())
        if self._left:
            batch.done = [Done(each.item, None, []) if each.item.tenant in self._left else each for each in batch.done]
        self.figures.commands += len(batch.done)
        told = self._untold.popleft()
        assert told is batch, "batches are told in the order in which they were decided"
        self._told += 1
        self._tell(batch.done)
        for each in batch.done:
            if each.item.respond is not None:
                each.item.respond(each.answer)

    def _abandon(self) -> None:
        """Tell who waits here, and who comes later, that nobody knows; entries of streams stay and come again."""
        # The term ends a moment after this, and until then is known as the one that takes commands.
        self.close()
        untold = [each for batch in self._untold for each in batch.done]
        # What was decided and changes nothing, and nobody has heard of, ended nothing.
        unchanged = (each.item for each in untold if each.answer is not None and not each.recorded)
        self.blameless.update((item.entry_key, item.entry_id) for item in unchanged if item.entry_id is not None)
        for item in (*(each.item for each in untold), *self._urgent, *self._inbox, *(self._held or ())):
            if item.respond is not None:
                item.respond(None)
        for waiting in (self._untold, self._urgent, self._inbox):
            waiting.clear()

    def _decide(self, item: Item, rows: dict[str, list[Row]]) -> Done:
        desk, envelope = self.desks.get(item.tenant), item.envelope
        if desk is None:
            return Done(item, None, [])
        answer = desk.answer(command_id=envelope.command_id, request_hash=envelope.request_hash)
        if answer is not None:
            rows.setdefault(item.tenant, [])
            return Done(item, answer, [])
        started_s = time.perf_counter()
        try:
            events, command, at_us = self._events(desk, item)
            beside = told(command_id=envelope.command_id, command=command, desk=desk, now_us=at_us)
        except Exception:
            # The boundary of one command: deciding changed nothing, so the others go on without it.
            log.exception("command not decided", extra={"tenant": item.tenant, "command_id": envelope.command_id})
            self.figures.failed += 1
            return Done(item, None, [])
        self.figures.took(decide_s=time.perf_counter() - started_s)
        recorded = self._record(desk, item, events, rows)
        if (reel := self._reels.get(item.tenant)) is not None:
            reel.heard(command=command, at_us=at_us, recorded=recorded)
        return Done(item, (desk.answer_of(command_id=envelope.command_id) if recorded else None) or beside, recorded)

    def _events(self, desk: Desk, item: Item) -> tuple[tuple[AnyEvent, ...], AnyCommand | None, int]:
        """Return what comes of the item, what was decided (None: nothing was) and when."""
        now_us = self._clock.now_us()
        command: AnyCommand | CommandRefused = item.make(desk, now_us) if item.make else item.envelope.command
        if isinstance(command, CommandRefused):
            return (command,), None, now_us
        if type(command) in NEW_RISK and (off_ms := self._clock.off_ms()):
            text = f"the clock was stepped by {off_ms} ms; no new orders until it is sane"
            return (CommandRefused(code="CLOCK_STEPPED", field="", text=text),), None, now_us
        events = desk.decide(command=command, command_id=item.envelope.command_id, now_us=now_us)
        return events, command, now_us

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
        # That nothing changes only that desk may tell others that is still the one to know (Journal.append).
        is_heard = item.entry_id is not None or item.make is not None
        chained = rows.setdefault(item.tenant, []) if recorded or is_heard else []
        for each in recorded:
            chained.append(self._journal.chain(tenant=item.tenant, recorded=each))
            try:
                desk.apply(recorded=each)
            except Exception as error:
                raise UnableToApply(f"{item.tenant}: event {each.seq} ({type(each.event).__name__})") from error
        return recorded
