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
    """One symbol: signed lots held, lots that working orders may buy and sell, and the most, unsigned, it can come to.

    What a lot and all of it are `worth` is in the symbol's quote currency.
    """

    net: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    lots: Decimal = ZERO
    unit: Decimal = ZERO
    worth: Decimal = ZERO


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
        most, least = held + risk.buys, held - risk.sells
        risk.lots = most if most + least >= 0 else -least
        worth = risk.lots * risk.unit
        quote = instrument.quote
        self.sums[quote] = self.sums.get(quote, ZERO) + (worth - risk.worth)
        risk.worth = worth
        if not (most or least or risk.buys):
            del self.symbols[instrument.symbol]

    def lots_with(self, *, symbol: str, buys: Decimal = ZERO, sells: Decimal = ZERO) -> Decimal:
        """Return the most lots, unsigned, that a symbol can come to with so many more to buy or to sell."""
        known = self.symbols.get(symbol)
        if known is None:
            return buys if buys >= sells else sells
        most, least = known.net + known.buys + buys, known.net - known.sells - sells
        return most if most + least >= 0 else -least

    def worth(
        self,
        *,
        into: str,
        rate: Rate,
        instrument: Instrument | None = None,
        unit: Decimal = ZERO,
        lots: Decimal | None = None,
    ) -> Decimal | None:
        """Return the worth of all symbols in the currency `into`; `rate` turns another currency into it.

        A lot of `instrument` counts as worth `unit`, in the currency `into`, and so many `lots` of it count; without a
        number those that it can come to. None where a rate is missing.
        """
        mine = self.symbols.get(instrument.symbol) if instrument else None
        total = ZERO
        for currency, amount in self.sums.items():
            if mine is not None and instrument is not None and currency == instrument.quote:
                amount -= mine.worth
            if not amount:
                continue
            if currency == into:
                total += amount
                continue
            found = rate(currency)
            if found is None:
                return None
            total += amount * found
        if instrument is None:
            return total
        if lots is None:
            lots = mine.lots if mine else ZERO
        return total + lots * unit
