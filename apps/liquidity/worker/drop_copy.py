"""An LP's drop copy: a session on which it repeats what it reports, and on which nothing is ever asked or sent.

What it says goes the way of the order session's reports (F-35): the same execution is the same fill whoever tells it
first, one that our order session lost is told to the desk, and one told otherwise is kept beside it for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog

from apps.liquidity import services
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.inbound import read_report
from piggy.adapters.fix.messages import fields
from piggy.adapters.fix.numbers import Next
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import UnableToReadReport
from piggy.core.market import VenueStatus

FIRST = Next(1, 1)

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Durably(Protocol):
    """Does work in the broker's schema until the database has it."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


class DropCopy:
    """One drop copy session; `durably` and `tell` are its link's, so that both sessions keep reports in one line."""

    def __init__(self, *, config: SessionConfig, durably: Durably, tell: Callable[[list[services.Told]], None]) -> None:
        assert config.listens, "a drop copy asks for nothing"
        self._tenant, self._venue = config.tenant, config.venue
        self._numbers = services.drop_copy_numbers(venue=config.venue)
        self._durably, self._tell = durably, tell
        self.session = FixSession(config=config, listener=self, numbers=self)

    def start(self) -> None:
        """Connect and listen."""
        self.session.start()

    def stop(self) -> None:
        """Log out; what was heard is kept already."""
        self.session.stop()

    def begin(self) -> Next:
        """Return the numbers with which the session begins: what was said while we were away is resent."""
        since = self.session.config.numbers_since
        return self._durably(lambda: services.fix_numbers(venue=self._numbers, first=FIRST, since=since))

    def set_aside(self, *, below: int) -> None:
        """Let the session use numbers below this one."""
        self._durably(lambda: services.set_numbers_aside(venue=self._numbers, below=below))

    def on_state(self, *, status: VenueStatus) -> None:
        """Tell the log; orders do not depend on it."""
        log.info("drop_copy_session", tenant=self._tenant, venue=self._venue, state=status.state, text=status.text)

    def on_report(self, *, text: str) -> None:
        """Keep what the LP repeats and tell what was new; blocks until it is durable."""
        number = int(fields(text)["34"])
        try:
            heard = services.Heard(number, text, read_report(text=text, config=self.session.config))
        except UnableToReadReport as error:
            heard = services.Heard(number, text, None, str(error))
        told = self._durably(
            lambda: services.record_copies(tenant=self._tenant, venue=self._venue, heard=[heard], now_us=wall_us())
        )
        self._tell(told)

    def on_parked(self, *, text: str, error: str) -> None:
        """Keep a message that nobody could read."""
        self._durably(lambda: services.park_report(venue=self._venue, raw=text, error=f"drop copy: {error}"))
