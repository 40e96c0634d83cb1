"""Exposure: what clients hold, in which book, what venues hold for us, and what is in doubt. Kept up fill by fill.

Lots per symbol and per group; currency legs and values need prices and are worked out on demand. A venue order of
unknown outcome may have filled or not, so `uncovered_worst` takes whichever leaves more risk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from piggy.core.instruments import Instrument
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position

Mids = Callable[[str], Decimal | None]


@dataclass(slots=True)
class SymbolExposure:
    """One symbol, in lots: clients long and short (both unsigned), nets signed from the clients' side."""

    client_long: Decimal = ZERO
    client_short: Decimal = ZERO
    long_cost: Decimal = ZERO
    short_cost: Decimal = ZERO
    a_net: Decimal = ZERO
    b_net: Decimal = ZERO
    cross_net: Decimal = ZERO
    venue_net: Decimal = ZERO
    doubt_buy: Decimal = ZERO
    doubt_sell: Decimal = ZERO
    positions: int = 0

    @property
    def client_net(self) -> Decimal:
        return self.client_long - self.client_short

    @property
    def gross(self) -> Decimal:
        return self.client_long + self.client_short

    @property
    def long_vwap(self) -> Decimal | None:
        return self.long_cost / self.client_long if self.client_long else None

    @property
    def short_vwap(self) -> Decimal | None:
        return self.short_cost / self.client_short if self.client_short else None

    @property
    def uncovered(self) -> Decimal:
        """The house's open risk: what clients hold that no venue holds for us."""
        return self.client_net - self.venue_net

    @property
    def uncovered_worst(self) -> Decimal:
        """The largest open risk that the orders in doubt could turn out to leave."""
        known = self.uncovered
        return max((known, known - self.doubt_buy, known + self.doubt_sell), key=abs)

    def count(self, *, position: Position | None, times: int) -> None:
        """Add (`times` 1) or take away (-1) one position."""
        if position is None:
            return
        self.positions += times
        sign = times if position.quantity > 0 else -times
        self.a_net += sign * position.a_lots
        self.b_net += sign * position.b_lots
        self.cross_net += sign * position.cross_lots
        if position.quantity > 0:
            self.client_long += times * position.quantity
            self.long_cost += times * position.cost
        else:
            self.client_short -= times * position.quantity
            self.short_cost -= times * position.cost


@dataclass(slots=True)
class ExposureBook:
    """Exposure of a tenant by symbol, and of each group by symbol."""

    symbols: dict[str, SymbolExposure] = field(default_factory=dict)
    groups: dict[tuple[str, str], SymbolExposure] = field(default_factory=dict)

    def moved(self, *, symbol: str, group: str, before: Position | None, after: Position | None) -> None:
        """A fill turned position `before` into `after` (None: flat)."""
        for exposure in (self._symbol(symbol), self.groups.setdefault((group, symbol), SymbolExposure())):
            exposure.count(position=before, times=-1)
            exposure.count(position=after, times=1)

    def covered(self, *, symbol: str, side: Side, quantity: Decimal) -> None:
        """A venue filled `quantity` lots for us."""
        self._symbol(symbol).venue_net += side.sign * quantity

    def doubted(self, *, symbol: str, side: Side, quantity: Decimal) -> None:
        """The outcome of `quantity` lots at a venue became unknown; negative when it was settled."""
        exposure = self._symbol(symbol)
        if side is Side.BUY:
            exposure.doubt_buy += quantity
        else:
            exposure.doubt_sell += quantity

    def group_symbols(self, *, group: str) -> dict[str, SymbolExposure]:
        """Return one group's exposure by symbol."""
        return {symbol: exposure for (name, symbol), exposure in self.groups.items() if name == group}

    def _symbol(self, symbol: str) -> SymbolExposure:
        return self.symbols.setdefault(symbol, SymbolExposure())


def currency_legs(
    *, exposures: Mapping[str, SymbolExposure], instruments: Mapping[str, Instrument], mids: Mids
) -> dict[str, Decimal]:
    """Return the house's worst open risk by currency, in units: long EURUSD is long EUR and short USD.

    A symbol without a price counts in its base alone: half a truth is better than none. No risk, no entry.
    """
    legs: dict[str, Decimal] = {}
    for symbol, exposure in exposures.items():
        instrument = instruments[symbol]
        units = exposure.uncovered_worst * instrument.contract_size
        legs[instrument.base] = legs.get(instrument.base, ZERO) + units
        mid = mids(symbol)
        if mid is not None:
            legs[instrument.quote] = legs.get(instrument.quote, ZERO) - units * mid
    return {currency: amount for currency, amount in legs.items() if amount}


def notional(*, pairs: Iterable[tuple[SymbolExposure, Decimal]], gross: bool) -> Decimal:
    """Return the value of exposures, each with the worth of one lot: clients' gross, or the house's worst open risk."""
    total = ZERO
    for exposure, lot_value in pairs:
        total += (exposure.gross if gross else abs(exposure.uncovered_worst)) * lot_value
    return total
