"""F-09: two workers want one FIX session; when its holder is killed, the other takes over and doubles nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.apps.liquidity.test_worker import Engine, engine, lp_range, provider  # noqa: F401
from tests.apps.liquidity.worker_process import WorkerProcess
from tests.simulator.lp_range import LpRange, units


def test_f_09_two_workers_hold_one_session_in_turn_and_no_order_comes_twice(
    engine: Engine,  # noqa: F811
    provider: Any,  # noqa: F811
    lp_range: LpRange,  # noqa: F811
    tmp_path: Path,
) -> None:
    first = WorkerProcess(home=tmp_path)
    engine.order("f9-LP1-1")
    engine.wait(lambda: engine.settled("f9-LP1-1"), seconds=60)
    second = WorkerProcess(home=tmp_path)
    try:
        for number in range(2, 7):
            engine.order(f"f9-LP1-{number}")
            time.sleep(0.3)
        assert logons(lp_range) == 1, "the second waits while the first has the session"
        first.kill()
        for number in range(7, 12):
            engine.order(f"f9-LP1-{number}")
        engine.wait(lambda: all(engine.settled(f"f9-LP1-{number}") for number in range(1, 12)), seconds=60)
        assert logons(lp_range) >= 2
    finally:
        first.kill()
        second.stop()
    truth = lp_range.truth("LP1")
    assert {order.received for order in truth.values()} == {1}
    for number in range(1, 12):
        told = engine.filled(f"f9-LP1-{number}")
        order = truth.get(("ACORN", f"f9-LP1-{number}"))
        assert units(str(told)) == (order.filled if order else 0), "what the LP filled is what the engine heard"


def logons(the_range: LpRange) -> int:
    return sum("|35=A|" in line and " IN " in line for line in the_range.log("LP1").splitlines())
