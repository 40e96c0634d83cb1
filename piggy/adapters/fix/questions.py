"""What we ask of an LP beside orders, prices first of all, and what is left to ask where it will not answer.

Some LPs take a request for one symbol only, and refuse it whole where one of its symbols is none of theirs. So all are
asked for at once, and one by one where that was refused: a symbol that an LP does not quote costs nobody the others.
"""

from __future__ import annotations

from collections.abc import Collection

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.messages import fields
from piggy.adapters.fix.refusals import BUSINESS_REJECT

PRICES, STATUS = "V", "H"
# BusinessRejectReason and SessionRejectReason of a type of message that the LP does not take at all.
_UNSUPPORTED, _NO_TYPE = "3", "11"


class Questions:
    """One session's, since its logon."""

    def __init__(self, *, config: SessionConfig) -> None:
        self._config = config
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._refused: set[tuple[str, str]] = set()
        self._untaken: set[str] = set()

    def begin(self) -> None:
        """A new logon: what was asked before is forgotten, and so is what was refused."""
        self._wanted.clear()
        self._refused.clear()
        self._untaken.clear()

    def prices(self, *, request_id: str, blocked: Collection[str]) -> list[str]:
        """Return the request for the prices of every symbol but the `blocked`, none where that leaves nothing."""
        symbols = tuple(each.symbol for each in self._config.symbols if each.symbol not in blocked)
        return [self._request(request_id, symbols)] if symbols else []

    def apart(self, *, request_id: str) -> list[str]:
        """Return what to ask in place of a refused request for several symbols: each for itself. Else nothing."""
        symbols = self._wanted.pop(request_id, ())
        if len(symbols) < 2:
            return []
        return [self._request(f"{request_id}-{at}", (symbol,)) for at, symbol in enumerate(symbols, 1)]

    def is_taken(self, *, kind: str) -> bool:
        """Whether the LP takes messages of this type; it does until it says otherwise."""
        return kind not in self._untaken

    def refused(self, *, kind: str, text: str) -> bool:
        """Note that a question was rejected; return whether for the first time for that reason: people see it once."""
        values = fields(text)
        is_business = values.get("35") == BUSINESS_REJECT
        reason = values.get("380" if is_business else "373", "")
        if reason == (_UNSUPPORTED if is_business else _NO_TYPE):
            self._untaken.add(kind)
        is_first = (kind, reason) not in self._refused
        self._refused.add((kind, reason))
        return is_first

    def _request(self, request_id: str, symbols: tuple[str, ...]) -> str:
        self._wanted[request_id] = symbols
        return outbound.market_data_request(symbols=symbols, request_id=request_id, config=self._config)
