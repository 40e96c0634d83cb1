"""The FIX worker: one session per (broker, LP) of this shard, in the Celery worker that was started with --fix."""

from __future__ import annotations

import sys

from apps.liquidity.worker.supervisor import Supervisor

# Quotes keep one thread busy for as long as they come; an order must not wait Python's usual 5 ms for its turn.
SWITCH_S = 0.0005

_running: list[Supervisor] = []


def run() -> None:
    """Start the sessions; returns at once, they connect by themselves."""
    sys.setswitchinterval(SWITCH_S)
    supervisor = Supervisor()
    _running.append(supervisor)
    supervisor.start()


def stop() -> None:
    """Log every session out and give the leases back."""
    while _running:
        _running.pop().stop()
