"""Logons that do not last: somebody else may be logged on in our name, which is for a person to find out (F-09)."""

from __future__ import annotations

import re

from piggy.adapters.fix.messages import fields
from piggy.adapters.fix.numbers import Next

# A logon that lasted so long was one; so many in a row that did not are no coincidence.
LASTED_S_MIN = 10.0
FAILED_MAX = 3
ALREADY = re.compile(
    r"already\W+(logged|connected|active|established|in use|open)|(duplicate|multiple)\W+(session|log)", re.IGNORECASE
)


class Logons:
    """The logons of one session; seconds are of any clock that never steps."""

    def __init__(self) -> None:
        self._failed = 0
        self._since_s: float | None = None
        self._alarm = ""
        self._before = Next()

    def asks(self, *, numbers: Next) -> None:
        """A Logon of ours leaves, with the numbers that are next."""
        self._before = numbers._replace(outgoing=numbers.outgoing + 1)

    def forgotten(self, *, text: str) -> Next | None:
        """Return the numbers to go on with where the LP's Logon forgets them (141=Y), and with them what we missed."""
        return self._before if self._before.incoming > 1 and fields(text).get("141") == "Y" else None

    def ready(self, *, now_s: float) -> None:
        """Orders may leave from now on."""
        self._since_s = now_s

    def told(self, *, reason: str) -> None:
        """Take what the LP said as it logged us out."""
        if ALREADY.search(reason):
            self._alarm = f"the LP says that we are logged on already: {reason}"

    def ended(self, *, now_s: float) -> None:
        """The line is cut, or the LP would not take our Logon; it is tried again."""
        self._failed = 0 if self._has_lasted(now_s) else self._failed + 1
        if self._failed >= FAILED_MAX and (not self._alarm or self._alarm.startswith("the LP cut")):
            self._alarm = f"the LP cut us off at {self._failed} logons in a row; is somebody logged on in our name?"
        self._since_s = None

    def alarm(self, *, now_s: float) -> str:
        """Return what a person must see, '' while all is well."""
        if self._has_lasted(now_s):
            self._alarm = ""
        return self._alarm

    def _has_lasted(self, now_s: float) -> bool:
        return self._since_s is not None and now_s - self._since_s >= LASTED_S_MIN
