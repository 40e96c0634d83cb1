"""Whether PostgreSQL has room for what is written. While it has none, new orders are kept out (F-21).

What makes a desk safer is tried all the while. Of what is kept out one command, when it first comes, is let through now
and then: if it is written, so is everything from then on. Nobody has to say so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg

from piggy.core.answers import STORAGE_FULL, Answer
from piggy.core.events import CommandRefused

log = logging.getLogger(__name__)

TEXT = "There is no room to record orders; cancels are still taken. Try again with the same id."
TRY_S = 2.0
# A quota, and a limit on the size of files, have no state of their own.
SIGNS = ("No space left on device", "quota exceeded", "File too large", "could not extend file")


class Storage:
    """One of an engine process, over all its terms.

    `is_away` says that the last write failed through PostgreSQL, whatever was to be written, and none succeeded since.
    """

    def __init__(self, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self.is_full = self.is_away = False
        self._now_s = now_s
        self._try_at_s = 0.0

    def refused(self, error: psycopg.Error) -> None:
        """PostgreSQL did not write; say so aloud if that was for want of room."""
        self.is_away = isinstance(error, psycopg.OperationalError)
        if not wants_room(error):
            return
        if not self.is_full:
            log.critical("storage is full", extra={"error": str(error)})
        self.is_full = True
        self._try_at_s = self._now_s() + TRY_S

    def wrote(self) -> None:
        """Something was written."""
        self.is_away = False
        if self.is_full:
            log.warning("storage has room again")
            self.is_full = False

    def keeps_out(self) -> bool:
        """Return whether a new order is not to be tried now; where False is told while full, this one is the try."""
        if not self.is_full:
            return False
        now_s = self._now_s()
        if now_s < self._try_at_s:
            return True
        self._try_at_s = now_s + TRY_S
        return False


def not_taken(*, command_id: str) -> Answer:
    """Return what is answered to a command that was kept out; it is not in the log."""
    return Answer(command_id=command_id, refused=CommandRefused(code=STORAGE_FULL, field="", text=TEXT))


def wants_room(error: BaseException | None) -> bool:
    """Tell whether a statement failed because a disk, a quota or a file is full; PostgreSQL's error, not Django's."""
    return isinstance(error, psycopg.errors.DiskFull) or any(sign in str(error) for sign in SIGNS)
