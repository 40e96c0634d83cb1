"""A term's own steps: how it ends, and what it notes of a desk that it took."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from piggy.engine.clock import Clock
from piggy.engine.status import Status
from piggy.engine.term import Term
from tests.engine.conftest import running_engine
from tests.engine.ground import Ground


async def test_who_ends_takes_nothing_more_before_waiting_for_what_was_taken(ground: Ground, shard: str) -> None:
    """Else a stream that never pauses keeps it from ever being through, and what it took last is cut off."""
    term, steps = Term(config=ground.config(shard=shard), clock=Clock(), status=Status()), list[str]()

    async def step(name: str) -> None:
        steps.append(name)

    loop: Any = SimpleNamespace(close=lambda: steps.append("closed"), finished=lambda: step("finished"))
    dispatch: Any = SimpleNamespace(drained=lambda: step("drained"))
    term.loop, term._dispatch = loop, dispatch
    await term.drain()
    assert steps == ["closed", "finished", "drained"]
    assert (term.loop, term.status.state) == (None, "DRAINING"), "who asks meanwhile is sent to the next engine"


async def test_when_a_desk_was_taken_is_noted_by_both_clocks(ground: Ground, shard: str, tenant: str) -> None:
    """By it a handshake is refused that may have opened a socket at the engine before (handshakes.py)."""
    began_s, began_mono_s = int(time.time()), time.monotonic()
    async with running_engine(ground, shard) as term:
        utc_s, mono_s = term.status.taken_at_s[tenant]
    assert began_s <= utc_s <= time.time()
    assert began_mono_s <= mono_s <= time.monotonic()
