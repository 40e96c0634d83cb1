"""The door for clients over FIX: runs in the Celery worker that was started with --fix, where PIGGY_FIX_PORT says."""

from __future__ import annotations

from django.conf import settings

from apps.gateway.worker.door import Door

_running: list[Door] = []


def run() -> None:
    """Open the door; returns at once."""
    if settings.PIGGY_FIX_PORT:
        door = Door(host=settings.PIGGY_FIX_HOST, port=settings.PIGGY_FIX_PORT, certificate=settings.PIGGY_FIX_TLS)
        _running.append(door)
        door.start()


def stop() -> None:
    """Log every client out."""
    while _running:
        _running.pop().stop()
