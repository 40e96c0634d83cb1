"""INV-13: Redis is emptied under flow, again and again, and nothing acknowledged is lost or done twice."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.flows.test_killed_one_after_another import (
    Flow,
    assert_acknowledged_orders_are_kept,
    assert_lps_and_log_agree,
    exposure_differs,
)
from tests.flows.venue import RunningVenue, wait

# The nightly size is 100.
FLUSHES = int(os.environ.get("FLUSHES", "2"))

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
def test_inv_13_redis_emptied_under_flow_loses_and_doubles_nothing(running: RunningVenue) -> None:
    chance, wire = random.Random(13), running.redis()
    flow = Flow(running=running, seed=13)
    flow.start()
    try:
        for _ in range(FLUSHES):
            time.sleep(chance.uniform(0.8, 2.0))
            wire.flushall()
        time.sleep(1)
    finally:
        flow.stop()
    assert flow.strange == []
    assert len(flow.acknowledged) > 5
    wait(running.settled, seconds=60, what=lambda: f"{running.unsettled()}\n{running.logs()}")
    log = running.events()
    assert_acknowledged_orders_are_kept(running, flow, log)
    assert_lps_and_log_agree(running, log)
    wait(lambda: not exposure_differs(running, log), seconds=5, what=lambda: exposure_differs(running, log))
