"""Steps and bounds of a venue before anything leaves: at the bound it goes, past it it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.interface import Symbol, SymbolMapping, UnableToTranslate
from piggy.adapters.terms import check_notional, mismatches, price_of, units_of, wrong
from piggy.core.orders import Side

LOTS = SymbolMapping(symbol="EURUSD", venue_symbol="EUR_USD", units_per_lot=Decimal(1_000))
TERMS = Symbol(
    venue_symbol="EUR_USD", tick_size=Decimal("0.05"), unit_step=Decimal(10), units_min=Decimal(100),
    units_max=Decimal(2_000), notional_min=Decimal(500),
)  # fmt: skip


def terms(**more: Any) -> Symbol:
    names = {name: getattr(TERMS, name) for name in TERMS.__struct_fields__}
    return Symbol(**(names | more))


@pytest.mark.parametrize("lots", ["0.1", "0.11", "1", "2"])
def test_an_order_within_the_venues_bounds_is_said_in_its_units(lots: str) -> None:
    assert Decimal(units_of(lots=Decimal(lots), mapping=LOTS, terms=TERMS)) == Decimal(lots) * 1_000


@pytest.mark.parametrize(
    ("lots", "more"),
    [
        ("0.09", {}),
        ("2.01", {}),
        ("0.105", {}),
        ("1", {"tradable": False}),
        ("0", {}),
        ("-1", {"units_max": Decimal(0)}),
    ],
)
def test_an_order_past_the_venues_bounds_does_not_leave(lots: str, more: dict[str, Any]) -> None:
    with pytest.raises(UnableToTranslate):
        units_of(lots=Decimal(lots), mapping=LOTS, terms=terms(**more))


def test_a_bound_of_zero_is_none() -> None:
    free = terms(units_max=Decimal(0), units_min=Decimal(0), unit_step=Decimal(0))
    assert units_of(lots=Decimal("1234.567891"), mapping=LOTS, terms=free) == "1234567.891"
    assert units_of(lots=Decimal(1), mapping=LOTS, terms=None) == "1000"


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "1.1"), (Side.SELL, "1.15")])
def test_a_limit_between_two_ticks_is_never_made_worse(side: Side, price: str) -> None:
    """A buyer pays no more than he said, and a seller takes no less."""
    assert price_of(price=Decimal("1.12"), side=side, terms=TERMS) == price
    assert price_of(price=Decimal("1.15"), side=side, terms=TERMS) == "1.15"
    assert price_of(price=Decimal("1.12"), side=side, terms=terms(tick_size=Decimal(0))) == "1.12"
    assert price_of(price=Decimal("1.12"), side=side, terms=None) == "1.12"


def test_an_order_is_worth_at_least_what_the_venue_takes() -> None:
    check_notional(units="500", price="1", terms=TERMS)
    check_notional(units="1", price="1", terms=None)
    with pytest.raises(UnableToTranslate):
        check_notional(units="499", price="1", terms=TERMS)


def test_only_what_does_not_fit_is_kept_from_trading_and_only_that_is_said() -> None:
    sound = {"EUR_USD": LOTS}
    assert wrong(mappings=sound, symbols=(TERMS,), lot_step=Decimal("0.01")) == {}
    assert mismatches(mappings=sound, symbols=(TERMS,), lot_step=Decimal("0.01")) == []
    assert list(wrong(mappings=sound, symbols=(TERMS,), lot_step=Decimal("0.001"))) == ["EURUSD"]
    assert wrong(mappings=sound, symbols=(terms(unit_step=Decimal(0)),), lot_step=Decimal("0.001")) == {}
    shut = terms(tradable=False, units_min=Decimal(5_000))
    least = SymbolMapping(symbol="EURUSD", venue_symbol="EUR_USD", units_per_lot=Decimal(1_000), lot_min=Decimal(1))
    assert mismatches(mappings={"EUR_USD": least}, symbols=(shut,), lot_step=Decimal("0.01")) == [
        "EURUSD: EUR_USD is not tradable"
    ]
    for ours, theirs in (
        (Decimal(0), Decimal("0.05")),
        (Decimal("0.01"), Decimal(0)),
        (Decimal("0.1"), Decimal("0.05")),
    ):
        ticks = SymbolMapping(symbol="EURUSD", venue_symbol="EUR_USD", units_per_lot=Decimal(1_000), tick_size=ours)
        assert (
            mismatches(mappings={"EUR_USD": ticks}, symbols=(terms(tick_size=theirs),), lot_step=Decimal("0.01")) == []
        )
