"""Bench lab: a recorded day of orders decided again as it was, and under a draft rule set."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from decimal import Decimal

from piggy.bench.broker import busy_before
from piggy.bench.lab_day import TENANT, Day
from piggy.core import commands as cmd
from piggy.core.accounts import BookMode
from piggy.core.desk import Desk
from piggy.core.routing_rules import Conditions, RoutingPolicy, RoutingRule
from piggy.engine.lab.again import Again, History
from piggy.engine.lab.drafted import Drafted
from piggy.messaging import tape
from piggy.messaging.tape import Begun

ORDERS = 100_000
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


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return seconds and orders_per_s of the draft's replay, and whether the unchanged one was equal.

    One core, one run of each; `scale` multiplies the orders and `seconds` is not used.
    """
    busy = busy_before()
    began = time.perf_counter()
    day = Day(orders=max(100, int(ORDERS * scale)))
    made_s = time.perf_counter() - began
    again = Again(desk=opening(day=day))
    again_s, _ = _timed(day, again.run)
    drafted = Drafted(desk=opening(day=day), changes=(cmd.ConfigureRouting(policy=DRAFT),), from_us=0)
    draft_s, draft_cpu_s = _timed(day, drafted.run)
    differing = sum(
        1
        for order_id, was in drafted.were.fates.items()
        if (would := drafted.would.fates.get(drafted.ids.get(order_id, ""))) is None or would.told() != was.told()
    )
    return {
        "seconds": round(draft_s, 2),
        "orders_per_s": round(drafted.orders / draft_s),
        "equal": again.equal,
        "cpu_s": round(draft_cpu_s, 2),
        "unchanged_s": round(again_s, 2),
        "differing": differing,
        "load": {
            "orders": again.orders,
            "commands": again.commands,
            "events": again.events,
            "quotes": again.quotes,
            "tape_bytes": sum(map(len, day.chunks)),
            "made_in_s": round(made_s, 1),
        },
        "runs": 1,
    } | busy


def opening(*, day: Day) -> Desk:
    """Return the desk as it was when the day began."""
    desk = Desk(tenant=TENANT)
    for row in day.rows[: day.opened]:
        desk.apply(recorded=row)
    first = tape.entries_of(body=day.chunks[0])[0]
    assert isinstance(first, Begun), first
    return tape.desk_at(state=desk.state, begun=first)


def _timed(day: Day, replay: Callable[..., None]) -> tuple[float, float]:
    log = History()
    gc.collect()
    gc.freeze()
    gc.disable()  # As the lab's own process does.
    began, began_cpu = time.perf_counter(), time.process_time()
    log.add(rows=day.rows[day.opened :])
    for body in day.chunks:
        replay(entries=tape.entries_of(body=body), log=log)
    gc.enable()
    return time.perf_counter() - began, time.process_time() - began_cpu
