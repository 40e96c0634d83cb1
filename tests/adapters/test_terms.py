"""Our symbols against what the venue says of its own: steps, least sizes and ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.interface import Symbol, SymbolMapping, UnableToTranslate
from piggy.adapters.terms import mismatches, terms_of

OURS = {"tick_size": "0.00001", "lot_step": "0.01", "lot_min": "0.01"}
THEIRS = {"tick_size": "0.00001", "unit_step": "1000", "units_min": "1000"}


def mapping(**changed: str) -> SymbolMapping:
    numbers: dict[str, Any] = {name: Decimal(text) for name, text in (OURS | changed).items()}
    return SymbolMapping(symbol="EURUSD", venue_symbol="EUR_USD", units_per_lot=Decimal(100_000), **numbers)


def terms(**changed: Any) -> Symbol:
    numbers: dict[str, Any] = {name: Decimal(text) for name, text in (THEIRS | changed).items() if name != "tradable"}
    return Symbol(venue_symbol="EUR_USD", tradable=changed.get("tradable", True), **numbers)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (mapping(), terms(), []),
        (mapping(), terms(tick_size="0.000005"), []),
        (mapping(lot_step="0.001"), terms(), ["EURUSD: a step of 100 is no multiple of 1000"]),
        (mapping(), terms(units_min="5000"), ["EURUSD: our least order of 1000 is below the venue's 5000"]),
        (
            mapping(),
            terms(tick_size="0.0001"),
            ["EURUSD: our tick of 0.00001 is no multiple of 0.0001: limits are rounded away from the market"],
        ),
        (mapping(), terms(tradable=False), ["EURUSD: EUR_USD is not tradable"]),
        (mapping(lot_step="0", lot_min="0", tick_size="0"), terms(unit_step="300"), [
            "EURUSD: a step of 1000 is no multiple of 300"
        ]),
    ],
)  # fmt: skip
def test_what_the_venue_does_not_bear_out_is_said(ours: SymbolMapping, theirs: Symbol, said: list[str]):
    assert mismatches(mappings={"EUR_USD": ours}, symbols=(theirs,), lot_step=Decimal("0.01")) == said


def test_a_symbol_that_the_venue_does_not_name_is_said_and_never_traded():
    found = mismatches(mappings={"EUR_USD": mapping()}, symbols=(), lot_step=Decimal("0.01"))
    assert found == ["EURUSD: the venue has no EUR_USD"]
    with pytest.raises(UnableToTranslate):
        terms_of(terms={}, mapping=mapping())
