"""Every kind of order by every door: the API, the dealer's ticket and, where FIX 4.4 has a word for it, a FIX session.

What a body says is what a desk accepts; the same wish is the same terms whoever writes it down.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from apps.dealing.api import serializers as dealing
from apps.trading.api import serializers as trading
from piggy.adapters.fix_clients.config import Kind, Terms
from piggy.adapters.fix_clients.inbound import NewOrder, read
from piggy.core.commands import PlaceOrder
from piggy.core.events import OrderAccepted
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.core.floor import Floor

BODY = {"account_id": "b1", "symbol": "EURUSD", "side": "buy", "quantity": "1"}
LATER, LATER_FIX = "2023-11-14T23:00:00Z", "20231114-23:00:00"  # The floor's day is 14 November 2023.
LIMIT = {"type": "limit", "limit_price": "1.09"}
SESSION = Terms(kind=Kind.ORDERS, accounts=("b1",), units={"EURUSD": Decimal(100_000)})
SAID = {"35": "D", "11": "c", "55": "EURUSD", "54": "1", "38": "100000", "59": "1", "60": "20231114-22:00:00"}
# What a body says besides, and how FIX says it: None where FIX 4.4 cannot.
KINDS: dict[str, tuple[dict[str, Any], dict[str, str] | None]] = {
    "market": ({}, {"40": "1"}),
    "market with a bound of its own": ({"limit_price": "1.10012"}, {"40": "1", "44": "1.10012"}),
    "limit": (LIMIT, {"40": "2", "44": "1.09"}),
    "stop": ({"type": "stop", "stop_price": "1.11"}, {"40": "3", "99": "1.11"}),
    "stop limit": (
        {"type": "stop_limit", "stop_price": "1.11", "limit_price": "1.111"},
        {"40": "4", "99": "1.11", "44": "1.111"},
    ),
    "trailing stop": ({"type": "trailing_stop", "trailing_distance": "0.005"}, {"40": "P", "18": "a", "211": "0.005"}),
    "market if touched": ({"type": "market_if_touched", "stop_price": "1.09"}, {"40": "J", "99": "1.09"}),
    "brackets": (LIMIT | {"take_profit": "1.1", "stop_loss": "1.08"}, None),
    "one cancels the other": (LIMIT | {"oco_group": "pair"}, None),
    "for the day": (LIMIT | {"time_in_force": "day"}, {"40": "2", "44": "1.09", "59": "0"}),
    "till a time": (
        LIMIT | {"time_in_force": "gtd", "expires_at": LATER},
        {"40": "2", "44": "1.09", "59": "6", "126": LATER_FIX},
    ),
    "immediate or cancel": ({"time_in_force": "ioc"}, {"40": "1", "59": "3"}),
    "fill or kill": ({"time_in_force": "fok"}, {"40": "1", "59": "4"}),
    "post only": (LIMIT | {"post_only": True}, {"40": "2", "44": "1.09", "18": "6"}),
    "reduce only": (LIMIT | {"side": "sell", "reduce_only": True}, {"54": "2", "40": "2", "44": "1.09", "18": "E"}),
    "iceberg": (LIMIT | {"display_quantity": "0.2"}, {"40": "2", "44": "1.09", "111": "20000"}),
    "minimum quantity": (LIMIT | {"minimum_quantity": "0.5"}, {"40": "2", "44": "1.09", "110": "50000"}),
    "all or none": (LIMIT | {"all_or_none": True}, {"40": "2", "44": "1.09", "18": "G"}),
    **{f"self-trade prevention: {mode}": (LIMIT | {"stp": mode.value}, None) for mode in SelfTradePrevention},
}


def by_api(body: dict[str, Any]) -> OrderTerms:
    given = trading.OrderIn(data=body)
    given.is_valid(raise_exception=True)
    return given.terms()


def by_ticket(body: dict[str, Any]) -> OrderTerms:
    given = dealing.OrderIn(data=body | {"reason": "the client called", "confirm": "x"})
    given.is_valid(raise_exception=True)
    terms = given.validated_data["terms"]
    assert isinstance(terms, OrderTerms)
    return terms


def by_fix(values: dict[str, str]) -> OrderTerms:
    request = read(values=SAID | values, terms=SESSION)
    assert isinstance(request, NewOrder)
    return msgspec.structs.replace(request.terms, client_order_id="")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_order_is_the_same_by_every_door_and_a_desk_accepts_it(kind: str) -> None:
    body, values = KINDS[kind]
    terms = by_api(BODY | body)
    assert by_ticket(BODY | body) == terms
    if values is not None:
        assert by_fix(values) == terms
    floor = Floor()
    floor.place("b1", Side.BUY, "2")
    floor.now_us += 2_000_000
    floor.requote()
    (accepted, *_) = floor.do(PlaceOrder(terms=terms))
    assert isinstance(accepted, OrderAccepted), accepted
    assert msgspec.structs.replace(accepted.terms, stop_price=terms.stop_price) == terms


def test_what_is_tried_is_every_type_force_and_mode() -> None:
    """A new one is asked for by every door, or this fails."""
    tried = [by_api(BODY | body) for body, _ in KINDS.values()]
    assert {terms.type for terms in tried} == set(OrderType)
    assert {terms.time_in_force for terms in tried} == set(TimeInForce)
    assert {terms.stp for terms in tried} == set(SelfTradePrevention)
    set_somewhere = {name for terms in tried for name in msgspec.structs.asdict(terms) if getattr(terms, name)}
    elsewhere = {"client_order_id", "tag", "position_id", "guaranteed_stop"}
    assert set_somewhere | elsewhere == set(OrderTerms.__struct_fields__)


def test_a_dealer_closes_a_position_of_a_hedging_account_by_its_name() -> None:
    body = BODY | {"side": "sell", "reduce_only": True, "position_id": "O000000001"}
    assert by_ticket(body) == by_api(body)
    assert by_ticket(body).position_id == "O000000001"
