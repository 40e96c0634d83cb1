"""What may be traded at an LP now: what it lists, against our mapping of it, and whether its market is open.

A symbol whose mapping the LP's own list does not bear out is not traded there: a wrong size is worse than none.
"""

from __future__ import annotations

import logging

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.listing import Listing
from piggy.adapters.fix.messages import fields
from piggy.adapters.interface import TEXT_MAX, Symbol, UnableToReadReport, UnableToTranslate
from piggy.adapters.terms import mismatches, wrong

log = logging.getLogger(__name__)

NOT_LISTED = "the LP lists no symbols, so that their sizes are unchecked"
# TradSesStatus (340): halted, open, closed, pre-open, pre-close.
_OPEN, _SHUT = ("2", "5"), {"1": "halted", "3": "closed", "4": "not open yet"}


class Tradables:
    """One session's; used on QuickFIX's thread, read on others."""

    def __init__(self, *, config: SessionConfig) -> None:
        self._config = config
        self._listing: Listing | None = None
        self._listed: dict[str, Symbol] = {}
        self.blocked: dict[str, str] = {}
        self.shut = ""
        self.text = ""

    @property
    def waits(self) -> bool:
        """Whether the LP was asked for its list and has not said all of it."""
        return self._listing is not None

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """What the LP lists, under its own names."""
        return tuple(self._listed.values())

    def ask(self, *, request_id: str) -> str:
        """Return the question for the LP's list; '' where it has none."""
        self.shut, self.text = "", ""
        if not self._config.dialect.security_list:
            self._go_unchecked()
            return ""
        self._listing = Listing(config=self._config, request_id=request_id)
        return outbound.security_list_request(request_id=request_id, config=self._config)

    def is_asked(self, *, request_id: str) -> bool:
        """Whether the answer to this very question is awaited."""
        return self._listing is not None and self._listing.request_id == request_id

    def take(self, text: str) -> None:
        """Take a part of the list; with the last one the mapping is checked. Raises UnableToReadReport."""
        if self._listing is None:
            return
        try:
            found = self._listing.take(text)
        except UnableToReadReport:
            self.give_up()
            raise
        if found is None:
            return
        self._listing = None
        self._listed = {symbol.venue_symbol: symbol for symbol in found}
        config = self._config
        self.blocked = wrong(mappings=config.from_venue, symbols=found, lot_step=config.lot_step)
        for symbol, why in self.blocked.items():
            log.error("symbol mapping is wrong", extra={"venue": config.venue, "symbol": symbol, "why": why})
        named = [f"{symbol}: {why}" for symbol, why in self.blocked.items()]
        told = mismatches(mappings=config.from_venue, symbols=found, lot_step=config.lot_step)
        lines = [f"not traded: {', '.join(named)}"] if named else []
        self.text = "; ".join([*lines, *(each for each in told if each not in named)])[:TEXT_MAX]

    def forget(self) -> None:
        """The session ended: no answer will come any more."""
        self._listing = None

    def give_up(self) -> None:
        """The LP does not answer: go on with what it listed before, else unchecked."""
        self._listing = None
        if not self._listed:
            self._go_unchecked()

    def hear_session(self, text: str) -> bool:
        """Take a TradingSessionStatus (35=h); return whether the market opened or shut with it."""
        values = fields(text)
        status, before = values.get("340", ""), self.shut
        if status in _OPEN:
            self.shut = ""
        elif status in _SHUT:
            self.shut = f"the LP's market is {_SHUT[status]}"
        return self.shut != before

    def terms_of(self, *, symbol: str) -> Symbol | None:
        """Return what the LP says of our symbol, None where it says nothing. Raises UnableToTranslate."""
        if why := self.shut or self.blocked.get(symbol, ""):
            raise UnableToTranslate(f"{symbol} is not traded at {self._config.venue}: {why}")
        mapping = self._config.to_venue.get(symbol)
        return self._listed.get(mapping.venue_symbol) if mapping else None

    def _go_unchecked(self) -> None:
        self.text = NOT_LISTED
        log.warning("symbols unchecked", extra={"venue": self._config.venue})
