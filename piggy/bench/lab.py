"""Bench lab: a recorded day of orders decided again under a draft rule set and, beside it, as it was.

Each replay is a process of its own, as the admin runs them, and reads the day as the lab reads a tenant's.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from piggy.bench.broker import busy_before
from piggy.bench.lab_day import TENANT, Day
from piggy.bench.lab_recording import File, recording
from piggy.core import commands as cmd
from piggy.core.accounts import BookMode
from piggy.core.desk import Desk
from piggy.core.routing_rules import Conditions, RoutingPolicy, RoutingRule
from piggy.engine.lab import running
from piggy.messaging import tape
from piggy.messaging.tape import Begun

ORDERS = 100_000
EVER_US = 2**62
KIB_OF_MIB = 1_024
DRAFT = RoutingPolicy(
    version=2,
    rules=(
        RoutingRule(
            name="large",
            priority=1,
            book_mode=BookMode.A,
            conditions=Conditions(groups=("b",), symbols=("EURUSD",), lots_min=Decimal(3)),
        ),
    ),
)


class Replayed(NamedTuple):
    """What a replay found, what it took in wall and in processor seconds, and its memory at the most (MiB)."""

    figures: dict[str, Any]
    wall_s: float
    cpu_s: float
    memory_mib: int


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return seconds and orders_per_s of the draft's replay, and whether the unchanged one beside it was equal.

    One run of each on a core of its own; `scale` multiplies the orders and `seconds` is not used.
    """
    busy = busy_before()
    began = time.perf_counter()
    path, events, tape_bytes = recording(orders=max(100, int(ORDERS * scale)))
    made_s = time.perf_counter() - began
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as processes:
        drafting = processes.submit(replayed, path=path, changes=(cmd.ConfigureRouting(policy=DRAFT),))
        checking = processes.submit(replayed, path=path, changes=())
        draft, check = drafting.result(), checking.result()
    return {
        "seconds": round(draft.wall_s, 2),
        "orders_per_s": round(draft.figures["orders"] / draft.wall_s),
        "equal": check.figures["equal"],
        "cpu_s": round(draft.cpu_s, 2),
        "unchanged_s": round(check.wall_s, 2),
        "unchanged_cpu_s": round(check.cpu_s, 2),
        "differing": draft.figures["differing"],
        "memory_mib": draft.memory_mib,
        "load": {
            "orders": check.figures["orders"],
            "commands": check.figures["commands"],
            "events": events,
            "quotes": check.figures["quotes"],
            "tape_bytes": tape_bytes,
            "made_or_found_in_s": round(made_s, 1),
            "beside": "the unchanged replay, on the other core",
        },
        "runs": 1,
    } | busy


def replayed(*, path: Path, changes: Iterable[cmd.AnyCommand]) -> Replayed:
    """Replay a kept day as the lab's own process does, from its first read to its figures."""
    request = running.Request(from_us=0, until_us=EVER_US, changes=tuple(changes))
    source = File(path=path)
    began, began_cpu = time.perf_counter(), time.process_time()
    figures, _ = asyncio.run(running.run(source=source, request=request, progress=lambda part: None))
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_OF_MIB
    return Replayed(figures, wall_s, cpu_s, memory_mib)


def opening(*, day: Day) -> Desk:
    """Return the desk as it was when the day began."""
    desk = Desk(tenant=TENANT)
    for row in day.rows[: day.opened]:
        desk.apply(recorded=row)
    first = tape.entries_of(body=day.chunks[0])[0]
    assert isinstance(first, Begun), first
    return tape.desk_at(state=desk.state, begun=first)
