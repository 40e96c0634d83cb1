"""What the clock of background work promises: one beat speaks, and another follows soon where it was killed."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock

from piggy.celery import app

FOLLOWS_S_MAX = 15


def test_a_beat_that_was_killed_is_followed_within_seconds(redis_server: Any) -> None:
    """F-01 of the beat: its lock outlives it, and until that has run out nothing is due."""
    killed, follows = (RedBeatScheduler(app=app, lazy=True) for _ in range(2))
    assert max(killed.lock_timeout, 1) + follows.max_interval <= FOLLOWS_S_MAX
    acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=killed))
    try:
        assert 0 < redis_server.pttl(killed.lock.name) <= FOLLOWS_S_MAX * 1_000
        # The rest of its life, in a moment.
        redis_server.pexpire(killed.lock.name, 50)
        began_s = time.monotonic()
        acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=follows))
        assert time.monotonic() - began_s < follows.max_interval + 1
        with pytest.raises(Exception, match="lock"):
            killed.lock.extend(5)
    finally:
        redis_server.delete(killed.lock.name)
