"""The disk's own stalls are told apart from what the engine makes people wait for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from piggy.bench.disk import DiskWatch, Stall, apart_from, stalled_percent


def test_who_waited_for_the_disk_or_behind_those_who_did_is_left_out() -> None:
    stalls = [Stall(10.0, 10.3), Stall(20.0, 20.01)]
    requests = {
        "before": (9.0, 5.0),
        "into it": (9.99, 300.0),
        "within": (10.1, 200.0),
        "behind": (10.5, 90.0),
        "worked off": (10.61, 4.0),
        "behind a short one": (20.03, 3.0),
        "after": (20.06, 2.0),
    }
    due_s, latencies_ms = zip(*requests.values(), strict=True)
    kept = apart_from(stalls=stalls, due_s=due_s, latencies_ms=latencies_ms, drain_s_min=0.04)
    assert kept == [5.0, 4.0, 2.0]
    assert apart_from(stalls=[], due_s=due_s, latencies_ms=latencies_ms, drain_s_min=0.04) == list(latencies_ms)


def test_a_slow_request_that_no_stall_explains_is_kept() -> None:
    assert apart_from(stalls=[Stall(5.0, 5.1)], due_s=[1.0, 6.0], latencies_ms=[900.0, 900.0], drain_s_min=0.04) == [
        900.0,
        900.0,
    ]


def test_the_share_of_a_time_counts_what_lies_in_it() -> None:
    stalls = [Stall(0.0, 2.0), Stall(9.5, 12.0)]
    assert stalled_percent(stalls=stalls, began_s=1.0, ended_s=11.0) == pytest.approx(25.0)
    assert stalled_percent(stalls=[], began_s=1.0, ended_s=11.0) == 0


def test_every_write_that_takes_long_is_noted(tmp_path: Path) -> None:
    began_s = time.perf_counter()
    with DiskWatch(directory=tmp_path, stall_ms=0) as disk:
        while len(disk.stalls) < 3:
            time.sleep(0.01)
    found = disk.between(began_s=began_s, ended_s=time.perf_counter())
    assert found == disk.stalls and all(began < ended for began, ended in found)
    assert disk.between(began_s=0, ended_s=began_s) == []
    assert list(tmp_path.iterdir()) == [], "the file is gone"
