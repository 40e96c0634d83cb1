"""Open risk: what an account, the house and each venue have open in all symbols together, kept up event by event.

A symbol counts with the most lots that it can come to: what is held, and what orders may still deal the worse way. Its
worth is those lots at the price of the latest deal or order there, for the fold has no quotes; whoever asks converts
the sums at live rates, and values the symbol of the order in hand at its live price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from piggy.core.instruments import Instrument
from piggy.core.money import ZERO

Rate = Callable[[str], Decimal | None]


@dataclass(slots=True)
class SymbolRisk:
    """One symbol: signed lots held, lots that working orders may buy and sell, what a lot and all of it are worth.

    Both worths are in the symbol's quote currency.
    """

    net: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    unit: Decimal = ZERO
    worth: Decimal = ZERO

    @property
    def lots(self) -> Decimal:
        """The most lots, unsigned, that it can come to."""
        most, least = self.net + self.buys, self.net - self.sells
        return most if most + least >= 0 else -least


@dataclass(slots=True)
class OpenRisk:
    """All that one holder has open, by symbol, and its worth summed by quote currency."""

    symbols: dict[str, SymbolRisk] = field(default_factory=dict)
    sums: dict[str, Decimal] = field(default_factory=dict)

    def move(
        self,
        *,
        instrument: Instrument,
        net: Decimal = ZERO,
        buys: Decimal = ZERO,
        sells: Decimal = ZERO,
        price: Decimal | None = None,
    ) -> None:
        """Add signed lots to what is held and to what may still be dealt; `price` is that of the deal or order."""
        risk = self.symbols.get(instrument.symbol)
        if risk is None:
            risk = self.symbols[instrument.symbol] = SymbolRisk()
        held = risk.net = risk.net + net
        if buys:
            risk.buys += buys
        if sells:
            risk.sells += sells
        if price is not None:
            risk.unit = instrument.contract_size * price
        # As `lots` has it; every order and fill comes through here.
        most, least = held + risk.buys, held - risk.sells
        worth = (most if most + least >= 0 else -least) * risk.unit
        quote = instrument.quote
        self.sums[quote] = self.sums.get(quote, ZERO) + (worth - risk.worth)
        risk.worth = worth
        if not (most or least or risk.buys):
            del self.symbols[instrument.symbol]

    def lots_of(self, *, symbol: str) -> Decimal:
        """Return the most lots, unsigned, that a symbol can come to."""
        risk = self.symbols.get(symbol)
        return risk.lots if risk else ZERO

    def worth(self, *, into: str, rate: Rate, besides: Instrument | None = None) -> Decimal | None:
        """Return the worth in the currency `into` of all symbols but `besides`; `rate` turns another currency into it.

        None where a rate is missing.
        """
        left = self.symbols.get(besides.symbol) if besides else None
        total = ZERO
        for currency, amount in self.sums.items():
            if left is not None and besides is not None and currency == besides.quote:
                amount -= left.worth
            if not amount:
                continue
            if currency == into:
                total += amount
                continue
            found = rate(currency)
            if found is None:
                return None
            total += amount * found
        return total
