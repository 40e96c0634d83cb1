"""Entry: to which venues new risk may go. After a start to none, until what was under way there is known again.

A venue is closed until its worker says, in this term of the engine, that it is ready and knows what became of every
order, and the desk itself has no leg there that is in doubt or unanswered. Closing what is open passes all the while.
"""

from __future__ import annotations

from piggy.core.market import VenueState, VenueStatus
from piggy.core.state import State

CLOSED = "not reconciled since the engine began"


class Entry:
    """`closed` are the names of the venues that take nothing new yet; no event, as quotes are none."""

    def __init__(self) -> None:
        self.closed: set[str] = set()

    def close(self, *, state: State) -> None:
        """Close every venue that orders go to; who makes a desk from its log does so before it decides."""
        self.closed = {venue.name for venue in state.venues.values() if venue.enabled and not venue.shadow}

    def hear(self, *, status: VenueStatus, state: State) -> None:
        """Open a venue whose worker says that all is known, where the desk knows it too."""
        if status.venue not in self.closed or status.state is not VenueState.READY or status.unreconciled:
            return
        legs = (child for child in state.open_children.values() if child.created.venue == status.venue)
        if all(child.acknowledged and not child.in_doubt for child in legs):
            self.closed.discard(status.venue)
