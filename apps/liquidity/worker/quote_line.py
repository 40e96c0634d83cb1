"""The session on which an LP quotes, where the one that takes orders says no prices; nothing else is said there.

Its numbers begin anew with each logon, so nothing of it is kept. While it or the other is down every book is empty.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.session import FixSession
from piggy.core.market import VenueState, VenueStatus

log = structlog.get_logger(__name__)


class QuoteLine:
    """One LP's; `turned` is called when it comes up or goes down, `park` keeps what nobody could read."""

    def __init__(self, *, config: SessionConfig, turned: Callable[[], None], park: Callable[[str, str], None]) -> None:
        assert config.only_quotes, "orders have a session of their own"
        self._tenant, self._venue = config.tenant, config.venue
        self._turned, self._park = turned, park
        self.session = FixSession(config=config, listener=self)

    @property
    def trouble(self) -> str:
        """Why there are no prices, '' while it is up."""
        status = self.session.status()
        return "" if status.state is VenueState.READY else f"no prices: {status.text}"

    def on_state(self, *, status: VenueStatus) -> None:
        """Let people see it; orders go by what is quoted."""
        log.info("quote_session", tenant=self._tenant, venue=self._venue, state=status.state, text=status.text)
        self._turned()

    def on_report(self, *, text: str) -> None:
        """A report does not belong here, and an order of it may be ours: a person looks."""
        self._park(text, "quotes: a report on the session that quotes")

    def on_parked(self, *, text: str, error: str) -> None:
        """Keep a message that nobody could read."""
        self._park(text, f"quotes: {error}")
