"""What goes wrong next, on demand: each fault is armed by name for so many times, and used up as it happens."""

from __future__ import annotations

import threading
from enum import StrEnum


class Fault(StrEnum):
    """`CUT_BEFORE` breaks the connection before a request counts, `CUT_AFTER` before its answer leaves."""

    REJECT = "reject"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    REFUSE_CANCEL = "refuse_cancel"
    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    CLOCK = "clock"
    SKIP_DEPTH = "skip_depth"
    REPEAT_DEPTH = "repeat_depth"
    STALE_SNAPSHOT = "stale_snapshot"
    REPEAT_EVENT = "repeat_event"
    MUTE_EVENT = "mute_event"


class Faults:
    """Thread-safe; `happened` counts what was used up."""

    def __init__(self) -> None:
        self._armed: dict[Fault, int] = {}
        self.happened: dict[Fault, int] = {}
        self._lock = threading.Lock()

    def arm(self, fault: Fault, *, times: int = 1) -> None:
        """Let it happen the next `times` times that it can."""
        with self._lock:
            self._armed[fault] = self._armed.get(fault, 0) + times

    def disarm(self, fault: Fault) -> None:
        """Let it happen no more."""
        with self._lock:
            self._armed.pop(fault, None)

    @property
    def waiting(self) -> tuple[str, ...]:
        """What is armed and has not happened, in the order of its name."""
        with self._lock:
            return tuple(sorted(fault.value for fault, left in self._armed.items() if left))

    def take(self, fault: Fault) -> bool:
        """Return whether it happens now."""
        with self._lock:
            left = self._armed.get(fault, 0)
            if not left:
                return False
            self._armed[fault] = left - 1
            self.happened[fault] = self.happened.get(fault, 0) + 1
            return True
