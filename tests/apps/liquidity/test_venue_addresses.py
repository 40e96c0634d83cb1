"""Where a venue may be said to be, and what its worker is told of our symbols there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.liquidity.models import LiquidityProvider, RoutingRule
from apps.liquidity.models.providers import NAME_MAX, STREAM_URL


@pytest.mark.parametrize("address", ["wss://stream.venue.example/ws", "http://127.0.0.1:80", "tcp://gateway:4001"])
def test_a_stream_is_reached_over_the_web_or_a_gateways_socket(address: str) -> None:
    STREAM_URL(address)


@pytest.mark.parametrize("address", ["tcp://gateway", "tcp://gateway:4001/x", "file:///etc/passwd", "ftp://venue:21"])
def test_nothing_else_is_an_address(address: str) -> None:
    with pytest.raises(ValidationError):
        STREAM_URL(address)


@pytest.mark.parametrize("settings", [["url"], "url", {"port": 443}, {"url": None}])
def test_what_else_is_said_of_a_venue_are_texts_by_name(settings: Any) -> None:
    with pytest.raises(ValidationError, match="Texts by name"):
        LiquidityProvider(name="OAN1", kind="oanda", settings=settings).clean()


def test_a_drop_copy_has_a_name_of_its_own_that_still_fits() -> None:
    names = {"kind": "fix", "port": 9101, "sender_comp_id": "A", "target_comp_id": "B", "settings": {"drop_copy": "DC"}}
    LiquidityProvider(name="L" * (NAME_MAX - 1), **names).clean()
    with pytest.raises(ValidationError, match="fewer than 20 letters"):
        LiquidityProvider(name="L" * NAME_MAX, **names).clean()
    for field in ("port", "sender_comp_id", "target_comp_id"):
        with pytest.raises(ValidationError, match="needs this"):
            LiquidityProvider(name="LP1", **names | {field: None}).clean()


@pytest.mark.parametrize("field", ["accounts", "groups", "symbols"])
@pytest.mark.parametrize("value", ["EURUSD", {"EURUSD": 1}, [1], ["EURUSD", None]])
def test_whom_a_routing_rule_is_for_is_a_list_of_texts(field: str, value: Any) -> None:
    """A text is read letter by letter, and would be a rule for nobody."""
    RoutingRule(**{field: ["EURUSD"]}).clean()
    with pytest.raises(ValidationError) as refused:
        RoutingRule(**{field: value}).clean()
    assert list(refused.value.message_dict) == [field]


def test_a_mapping_is_checked_by_what_our_own_instrument_deals_in(acorn: Any, as_tenant: Any) -> None:
    from apps.instruments.models import Instrument
    from apps.liquidity import selectors, services
    from apps.liquidity.models import LpSymbol

    with as_tenant("acorn"):
        Instrument.objects.filter(symbol="EURUSD").delete()
        size = {"contract_size": 100_000, "price_digits": 4, "tick_size": Decimal("0.0001"), "lot_step": Decimal("0.1")}
        Instrument.objects.create(symbol="EURUSD", asset_class="forex", base="EUR", quote="USD", **size)
        row = LiquidityProvider(name="OAN1", kind="oanda")
        services.save_provider(tenant="acorn", provider=row, by="test")
        for ours in ("EURUSD", "UNKNOWN"):
            LpSymbol.objects.create(provider=row, symbol=ours, venue_symbol=f"{ours}_X", units_per_lot=100_000)
        known, unknown = selectors.venue_configs(tenant="acorn")["OAN1"].symbols
    assert (known.tick_size, known.lot_step, known.lot_min) == (Decimal("0.0001"), Decimal("0.1"), Decimal("0.01"))
    assert (unknown.tick_size, unknown.lot_step) == (0, 0)


@pytest.mark.parametrize("step", ["0", "-1", "1e3", "", "0.000"])
def test_the_step_that_symbols_are_checked_with_is_a_number_of_lots(step: str) -> None:
    from apps.liquidity.models import LiquidityProvider

    named = {"port": 1, "sender_comp_id": "A", "target_comp_id": "B"}
    LiquidityProvider(name="LP1", settings={"lot_step": "0.10"}, **named).clean()
    with pytest.raises(ValidationError, match="lot_step"):
        LiquidityProvider(name="LP1", settings={"lot_step": step}, **named).clean()
