"""Sequence numbers of a session, kept where neither a crash nor a lost machine loses them.

The number expected next may be kept late: what came since is sent again and counts once. The number used next may never
be kept late, for an LP takes a number used twice as a fault; so some are set aside before they are used. A session that
ended without saying so begins after those: the LP asks for the hole and is answered with a gap fill.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

SET_ASIDE = 200


class Next(NamedTuple):
    """The sequence numbers expected next from the LP and used next by us."""

    incoming: int = 1
    outgoing: int = 1


class Numbers(Protocol):
    """Where a session's numbers are kept. Both return only once the answer is durable."""

    def begin(self) -> Next: ...

    def set_aside(self, *, below: int) -> None:
        """No later session may begin to send below this number."""


def of_file_store(*, home: Path) -> Next:
    """Return the numbers that an earlier version left in QuickFIX's own store, else the first ones."""
    for path in sorted((home / "store").glob("*.seqnums")):
        outgoing, _, incoming = path.read_text().partition(":")
        if outgoing.strip().isdigit() and incoming.strip().isdigit():
            return Next(int(incoming), int(outgoing))
    return Next()
