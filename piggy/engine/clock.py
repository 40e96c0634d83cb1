"""The engine's clock: UTC microseconds for people, monotonic nanoseconds for order, and the gap between them."""

from __future__ import annotations

import asyncio
import time

STEP_MS_MAX = 100
QUIET_S = 10
# Two times are of one moment if no more than this passed around them; a thread set aside between them reads again.
APART_NS_MAX = 1_000_000
READS_MAX = 5


class Clock:
    """Both times of one machine. A UTC clock that is stepped shows as a change against the monotonic one (INV-20).

    It is trusted again once it is back, or has run QUIET_S on without another step: somebody set it right.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._trusted_us = self._latest_us = self._offset_us()
        self._stepped_at_ns = 0

    def now_us(self) -> int:
        """Return UTC in microseconds since 1970."""
        return time.time_ns() // 1_000

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds; comparable only within one boot of the machine."""
        return time.monotonic_ns()

    def spent_ns(self) -> int:
        """Return the processor time of this thread: what others take of a busy machine does not count."""
        return time.thread_time_ns()

    def off_ms(self) -> int:
        """Return how far UTC is from where it would be without steps, 0 while that is within STEP_MS_MAX."""
        offset_us = self._offset_us()
        if abs(offset_us - self._latest_us) > STEP_MS_MAX * 1_000:
            self.steps += 1
            self._stepped_at_ns = self.mono_ns()
        self._latest_us = offset_us
        off_ms = (offset_us - self._trusted_us) // 1_000
        if abs(off_ms) > STEP_MS_MAX and self.mono_ns() - self._stepped_at_ns < QUIET_S * 1_000_000_000:
            return off_ms
        # What is within bounds is slewed, and followed.
        self._trusted_us = offset_us
        return 0

    def _offset_us(self) -> int:
        """Return UTC less monotonic, of the closest of a few readings: a pause between the two is not a step."""
        apart_ns, offset_us = self._read()
        for _ in range(READS_MAX - 1):
            if apart_ns <= APART_NS_MAX:
                break
            apart_ns, offset_us = min((apart_ns, offset_us), self._read())
        return offset_us

    def _read(self) -> tuple[int, int]:
        before_ns, utc_us, after_ns = self.mono_ns(), self.now_us(), self.mono_ns()
        return after_ns - before_ns, utc_us - before_ns // 1_000


def is_wanted() -> bool:
    """Tell whether the running task may go on. The Redis client swallows a cancellation now and then, so loops ask."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()


async def pause(seconds: float) -> None:
    """Sleep, but end a task whose cancellation was turned into an error on its way here."""
    if not is_wanted():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)
