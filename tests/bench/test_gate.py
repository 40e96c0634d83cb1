"""The gate's bench decides what it says: routed orders, each through every check."""

from __future__ import annotations

from piggy.bench import gate


def test_every_order_is_routed_and_timed() -> None:
    figures = gate.run(seconds=0.1, scale=0.01)
    assert 0 < float(str(figures["decide_p50_us"])) <= float(str(figures["decide_p99_us"]))
    assert int(str(figures["runs"])) >= gate.RUNS_MIN


def test_what_is_open_stays_below_its_limits_at_full_size() -> None:
    most = gate.POSITIONS * gate.LOTS * 100_000 * 2
    assert gate.LIMITS.exposure_firm_max is not None and most < gate.LIMITS.exposure_firm_max
