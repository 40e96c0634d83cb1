"""F-09: two workers want one FIX session; when its holder is killed, the other takes over and doubles nothing."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from tests.apps.liquidity.test_worker import Engine, engine, lp_range, provider  # noqa: F401
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import LpRange, units

ASKED_IN_VAIN = (
    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    " and query like 'select pg_try_advisory_lock%' and state = 'idle'"
    " and pid not in (select pid from pg_locks where locktype = 'advisory' and granted)"
)


def test_f_09_two_workers_hold_one_session_in_turn_and_no_order_comes_twice(
    engine: Engine,  # noqa: F811
    provider: Any,  # noqa: F811
    lp_range: LpRange,  # noqa: F811
    tmp_path: Path,
) -> None:
    with ExitStack() as running:
        first = WorkerProcess(home=tmp_path)
        running.callback(first.kill)
        engine.order("f9-LP1-1")
        engine.wait(lambda: engine.settled("f9-LP1-1"), lives=first)
        second = WorkerProcess(home=tmp_path)
        running.callback(second.stop)
        engine.wait(has_asked_in_vain, lives=second)
        for number in range(2, 7):
            engine.order(f"f9-LP1-{number}")
        engine.wait(lambda: all(engine.settled(f"f9-LP1-{number}") for number in range(2, 7)), lives=first)
        assert logons(lp_range) == 1, "the second waits while the first has the session"
        first.kill()
        for number in range(7, 12):
            engine.order(f"f9-LP1-{number}")
        engine.wait(lambda: all(engine.settled(f"f9-LP1-{number}") for number in range(1, 12)), lives=second)
        assert logons(lp_range) >= 2
    truth = lp_range.truth("LP1")
    assert {order.received for order in truth.values()} == {1}
    for number in range(1, 12):
        told = engine.filled(f"f9-LP1-{number}")
        order = truth.get(("ACORN", f"f9-LP1-{number}"))
        assert units(str(told)) == (order.filled if order else 0), "what the LP filled is what the engine heard"


def has_asked_in_vain() -> bool:
    """Whether a worker has asked for the session and not got it; only the role itself sees what it asks."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return bool(connection.execute(ASKED_IN_VAIN).fetchone()[0])  # type: ignore[index]


def logons(the_range: LpRange) -> int:
    return sum("|35=A|" in line and " IN " in line for line in the_range.log("LP1").splitlines())
