"""What we say to an LP is of the standard: its own dictionary reads it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import quickfix as fix
from msgspec import structs

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import DIALECTS, SessionConfig
from piggy.adapters.fix.messages import SOH, fields, order_id_of
from piggy.adapters.fix_clients.session import frame
from piggy.adapters.interface import SymbolMapping, UnableToTranslate
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side
from tests.adapters.fix_clients.test_outbound import standard

CONFIG = SessionConfig(
    tenant="acorn",
    venue="LP1",
    host="",
    port=1,
    sender_comp_id="ACORN",
    target_comp_id="LP1",
    home=Path("unused"),
    symbols=(SymbolMapping(symbol="EURUSD", venue_symbol="EUR/USD", units_per_lot=Decimal(100_000)),),
)
CHILD = ChildOrderCreated(
    order_id="O1",
    cl_ord_id="O1-LP1-1",
    venue="LP1",
    symbol="EURUSD",
    side=Side.SELL,
    quantity=Decimal("1.50"),
    limit_price=Decimal("1.1000"),
    time_in_force="gtc",
    attempt=1,
)
AT_US = 1_700_000_000_000_000


def strict(text: str) -> dict[str, str]:
    values = fields(text)
    body = text.split(f"35={values['35']}{SOH}", 1)[1].rsplit("10=", 1)[0]
    raw = frame(kind=values["35"], number=2, sender="A", target="B", sent="20260101-00:00:00", body=body).decode()
    dictionary = standard()
    dictionary.validate(fix.Message(raw, dictionary, True))
    return values


def test_orders_changes_and_questions_are_of_the_standard() -> None:
    order = strict(outbound.new_order(child=CHILD, config=CONFIG, at_us=AT_US))
    assert (order["11"], order["54"], order["38"], order["44"]) == ("O1-LP1-1", "2", "150000", "1.1")
    named = {"cl_ord_id": CHILD.cl_ord_id, "symbol": "EURUSD", "side": Side.SELL, "config": CONFIG}
    cancel = strict(outbound.cancel(quantity=CHILD.quantity, at_us=AT_US, attempt=2, **named))
    assert (cancel["41"], cancel["11"]) == ("O1-LP1-1", "O1-LP1-1-C2")
    assert strict(outbound.status_request(**named))["35"] == "H"
    replaced = strict(outbound.replace(child=CHILD, change=1, config=CONFIG, at_us=AT_US))
    assert (replaced["35"], replaced["41"], replaced["11"], replaced["38"]) == (
        "G", "O1-LP1-1", "O1-LP1-1-R1", "150000",
    )  # fmt: skip
    assert strict(outbound.mass_quote_ack(quote_id="q1"))["117"] == "q1"


def test_an_order_names_the_account_that_it_is_booked_to_where_the_lp_keeps_several() -> None:
    assert "1" not in fields(outbound.new_order(child=CHILD, config=CONFIG, at_us=AT_US))
    several = structs.replace(CONFIG, account="FX 7")
    assert strict(outbound.new_order(child=CHILD, config=several, at_us=AT_US))["1"] == "FX 7"
    assert strict(outbound.replace(child=CHILD, change=1, config=several, at_us=AT_US))["1"] == "FX 7"


def test_what_we_ask_about_and_deny_is_of_the_standard() -> None:
    listed = strict(outbound.security_list_request(request_id="r1", config=CONFIG))
    assert (listed["320"], listed["559"]) == ("r1", "4")
    assert strict(outbound.mass_status_request(request_id="m1"))["585"] == "7"
    execution = SOH.join(
        ["35=8", "37=V1", "17=E7", "11=nobody", "55=EUR/USD", "54=2", "38=5", "32=5", "31=1.1", "150=F", ""]
    )
    for why, reason in (("unknown_symbol", "A"), ("wrong_symbol", "A"), ("wrong_side", "B"), ("overfill", "C"),
                        ("unknown_order", "D")):  # fmt: skip
        denied = strict(outbound.dont_know(text=execution, why=why))
        assert (denied["37"], denied["17"], denied["127"], denied["32"]) == ("V1", "E7", reason, "5")


def test_each_change_names_the_one_before_it_that_was_taken() -> None:
    second = strict(outbound.replace(child=CHILD, change=3, latest=1, config=CONFIG, at_us=AT_US))
    assert (second["41"], second["11"]) == ("O1-LP1-1-R1", "O1-LP1-1-R3"), "its second change was refused"
    assert {order_id_of(cl_ord_id=each) for each in (second["41"], second["11"], "O1-LP1-1")} == {"O1-LP1-1"}
    assert order_id_of(cl_ord_id="O1-R2D2-1") == "O1-R2D2-1"


def test_no_order_that_is_all_or_nothing_goes_where_it_would_rest() -> None:
    """cTrader ignores 59: it would work such an order until it is cancelled, and fill it in parts."""
    ctrader = structs.replace(CONFIG, dialect=DIALECTS["ctrader"])
    whole = structs.replace(CHILD, time_in_force="fok")
    with pytest.raises(UnableToTranslate, match="all or nothing"):
        outbound.new_order(child=whole, config=ctrader, at_us=AT_US)
    assert "59" not in fields(outbound.new_order(child=CHILD, config=ctrader, at_us=AT_US))
    assert fields(outbound.new_order(child=whole, config=CONFIG, at_us=AT_US))["59"] == "4"
