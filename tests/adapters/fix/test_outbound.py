"""What we say to an LP is of the standard: its own dictionary reads it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import quickfix as fix

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import SessionConfig
from piggy.adapters.fix.dictionary import installed_path
from piggy.adapters.fix.messages import SOH, fields
from piggy.adapters.fix_clients.session import frame
from piggy.adapters.interface import SymbolMapping
from piggy.core.events import ChildOrderCreated
from piggy.core.orders import Side

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
    dictionary = fix.DataDictionary(str(installed_path()))
    dictionary.validate(fix.Message(raw, dictionary, True))
    return values


def test_orders_changes_and_questions_are_of_the_standard() -> None:
    order = strict(outbound.new_order(child=CHILD, config=CONFIG, at_us=AT_US))
    assert (order["11"], order["54"], order["38"], order["44"]) == ("O1-LP1-1", "2", "150000", "1.1000")
    named = {"cl_ord_id": CHILD.cl_ord_id, "symbol": "EURUSD", "side": Side.SELL, "config": CONFIG}
    cancel = strict(outbound.cancel(quantity=CHILD.quantity, at_us=AT_US, attempt=2, **named))
    assert (cancel["41"], cancel["11"]) == ("O1-LP1-1", "O1-LP1-1-C2")
    assert strict(outbound.status_request(**named))["35"] == "H"
    replaced = strict(outbound.replace(child=CHILD, new_id="O1-LP1-1-R1", config=CONFIG, at_us=AT_US))
    assert (replaced["35"], replaced["41"], replaced["11"], replaced["38"]) == (
        "G", "O1-LP1-1", "O1-LP1-1-R1", "150000",
    )  # fmt: skip
    assert strict(outbound.mass_quote_ack(quote_id="q1"))["117"] == "q1"
