"""What a command has done so far on top of the state, before any of it is true: every sum begins at nothing."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.commissions import Charge
from piggy.core.nights import Nights
from piggy.core.positions import Life, Position
from piggy.core.state import Order


class SoFar:
    """By order: lots filled, sent out, come back, owed ahead and taken off, its fills and charges; by account: money.

    Every order makes one, so each mapping is a display: a call of its type would take ten times as long.
    """

    def __init__(self) -> None:
        self._filled: dict[str, Decimal] = {}
        self._fills: dict[str, int] = {}
        self._routed: dict[str, Decimal] = {}
        self._came_back: dict[str, Decimal] = {}
        self._ahead: dict[str, Decimal] = {}
        self._reduced: dict[str, Decimal] = {}
        self._cancelled: set[str] = set()
        self._orders: dict[str, Order] = {}
        self._positions: dict[str, Position | None] = {}
        self._lives: dict[str, Life | None] = {}
        self._balances: dict[str, Decimal] = {}
        self._charges: dict[str, Charge] = {}
        self._turnover: dict[str, Decimal] = {}
        self._created = 0
        self.sent_to: dict[str, int] = {}
        self.called: set[str] = set()
        self.ending: set[str] = set()
        self.nights: dict[str, Nights] = {}
        self.kept: dict[str, Decimal] = {}
