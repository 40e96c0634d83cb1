"""The FIX worker: one session per (broker, LP) of this shard, in the Celery worker that was started with --fix."""

from __future__ import annotations

from apps.liquidity.worker.supervisor import Supervisor

_running: list[Supervisor] = []


def run() -> None:
    """Start the sessions; returns at once, they connect by themselves."""
    supervisor = Supervisor()
    _running.append(supervisor)
    supervisor.start()


def stop() -> None:
    """Log every session out and give the leases back."""
    while _running:
        _running.pop().stop()
