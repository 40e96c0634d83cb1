"""The engine's figures in Prometheus' text form."""

from __future__ import annotations

from itertools import accumulate

from piggy.engine.figures import DECIDE_US, Figures
from piggy.engine.status import Status


def text(*, status: Status, backlog: int, connections: int) -> str:
    """Return every figure with its type, one sample a line."""
    figures = status.figures
    samples = (
        ("piggy_engine_active", "gauge", int(status.state == "ACTIVE")),
        ("piggy_engine_fencing_token", "gauge", status.token),
        ("piggy_engine_tenants_halted", "gauge", len(status.halted)),
        ("piggy_engine_storage_full", "gauge", int(status.storage.is_full)),
        ("piggy_engine_unkept", "gauge", len(status.unkept.names())),
        ("piggy_engine_venues_unreconciled", "gauge", len(status.unreconciled)),
        ("piggy_engine_backlog_commands", "gauge", backlog),
        ("piggy_engine_edge_connections", "gauge", connections),
        ("piggy_engine_commands_total", "counter", figures.commands),
        ("piggy_engine_commands_failed_total", "counter", figures.failed),
        ("piggy_engine_events_total", "counter", figures.events),
        ("piggy_engine_commits_total", "counter", figures.batches),
        ("piggy_engine_commit_seconds_total", "counter", round(figures.commit_s, 6)),
        ("piggy_engine_clock_steps_total", "counter", status.clock_steps),
    )
    return "".join(f"# TYPE {name} {kind}\n{name} {value}\n" for name, kind, value in samples) + _decisions(figures)


def _decisions(figures: Figures) -> str:
    """Return the histogram of how long a decision takes, its buckets cumulative."""
    name = "piggy_engine_decide_seconds"
    bounds = [*(f"{bound_us / 1e6:g}" for bound_us in DECIDE_US), "+Inf"]
    counts = list(accumulate(figures.decided))
    lines = [f'{name}_bucket{{le="{bound}"}} {count}\n' for bound, count in zip(bounds, counts, strict=True)]
    lines += [f"{name}_sum {round(figures.decide_s, 6)}\n", f"{name}_count {counts[-1]}\n"]
    return f"# TYPE {name} histogram\n{''.join(lines)}"
