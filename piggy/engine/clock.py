"""The engine's clock: UTC microseconds for people, monotonic nanoseconds for order, and the gap between them."""

from __future__ import annotations

import asyncio
import time

STEP_MS_MAX = 100


class Clock:
    """Both times of one machine. A UTC clock that is stepped shows as a change against the monotonic one."""

    def __init__(self) -> None:
        self._offset_us = self.now_us() - self.mono_ns() // 1_000

    def now_us(self) -> int:
        """Return UTC in microseconds since 1970."""
        return time.time_ns() // 1_000

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds; comparable only within one boot of the machine."""
        return time.monotonic_ns()

    def step_ms(self) -> int:
        """Return by how many milliseconds UTC was stepped since the last call, 0 while within STEP_MS_MAX."""
        offset_us = self.now_us() - self.mono_ns() // 1_000
        step_ms = (offset_us - self._offset_us) // 1_000
        self._offset_us = offset_us
        return step_ms if abs(step_ms) > STEP_MS_MAX else 0


def is_wanted() -> bool:
    """Tell whether the running task may go on. The Redis client swallows a cancellation now and then, so loops ask."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()


async def pause(seconds: float) -> None:
    """Sleep, but end a task whose cancellation was turned into an error on its way here."""
    if not is_wanted():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)
