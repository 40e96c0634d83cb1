"""Chaos on the real processes of a venue under flow: nothing acknowledged is lost, nothing doubled, all adds up.

`make chaos N=20` is the size for a build server, `SEED=7` another storm, `ONLY="kill -9 fix"` one trouble again and
again; what it did is printed as it goes.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from piggy.core.events import ChildOrderFilled, OrderDenied
from tests.flows.storm import Flow, assert_all_holds
from tests.flows.troubles import BACK_S_MAX, Troubles
from tests.flows.venue import RunningVenue, wait

CYCLES = int(os.environ.get("CHAOS_CYCLES", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
ONLY = os.environ.get("CHAOS_ONLY", "")

pytestmark = pytest.mark.timeout(400 + CYCLES * 120)


@pytest.mark.slow
def test_whatever_befalls_the_venue_nothing_is_lost_and_nothing_doubled(running: RunningVenue) -> None:
    """Every process of the venue is real. INV-01, INV-03, INV-04, INV-07, INV-09, INV-13, INV-25, INV-27.

    F-01, F-02, F-03, F-04, F-21, F-29.
    """
    chance = random.Random(SEED)
    flow = Flow(running=running, seed=SEED)
    longest_s = 0.0
    flow.start()
    try:
        for number, trouble in enumerate(Troubles(running=running, chance=chance).deck(count=CYCLES, only=ONLY), 1):
            time.sleep(chance.uniform(0.3, 2.0))
            began_s = time.monotonic()
            trouble.make()
            wait(running.is_ready, seconds=BACK_S_MAX, what=running.logs)
            took_s = time.monotonic() - began_s
            longest_s = max(longest_s, took_s)
            print(f"{number:3}/{CYCLES} {trouble.name}: over after {took_s:.1f} s, {len(flow.acknowledged)} answered")
        time.sleep(1)
    finally:
        flow.stop()
    assert len(flow.acknowledged) > 3 * CYCLES
    log = assert_all_holds(running, flow)
    verified = running.manage("log", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    fills = sum(isinstance(event, ChildOrderFilled) for event in log)
    denied = Counter(
        check.code
        for event in log
        if isinstance(event, OrderDenied)
        for check in event.verdict.checks
        if not check.passed
    )
    assert fills > CYCLES, f"the venue was really dealing; refused by {denied}"
    print(f"seed {SEED}: {len(flow.acknowledged)} orders answered, {len(log)} events, {fills} fills at LPs,", end=" ")
    print(f"longest trouble {longest_s:.1f} s, refused by {dict(denied)}, told to come again by {dict(flow.kept_out)}")
