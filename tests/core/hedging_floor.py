"""A trading floor whose house hedges, for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.hedging import HedgePolicy
from piggy.core.orders import Side
from tests.core.floor import SECOND_US, Floor

MINUTE_US = 60 * SECOND_US


def policy(**changes: Any) -> HedgePolicy:
    given_values: dict[str, Any] = {
        "key": "EURUSD",
        "symbol": "EURUSD",
        "threshold": Decimal(3),
        "target": Decimal(1),
        "band": Decimal("0.5"),
    }
    return HedgePolicy(**(given_values | changes))


class House(Floor):
    """A floor with a hedging policy and clients whose flow the house keeps."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(internal_cross=False)
        self.do(cmd.ConfigureHedging(policy=policy(**changes)))

    def clients_buy(self, lots: str, account_id: str = "b1", side: Side = Side.BUY) -> list[ev.AnyEvent]:
        """A minute later clients deal on fresh quotes, and the house does what is due; alerts are another story."""
        self.now_us += MINUTE_US
        self.quotes()
        self.place(account_id, side, lots)
        return [event for event in self.act() if not isinstance(event, ev.LimitUseChanged)]

    def doubt(self, leg: ev.ChildOrderCreated) -> list[ev.AnyEvent]:
        return self.do(
            cmd.RecordVenueDoubt(venue=leg.venue, cl_ord_id=leg.cl_ord_id, text="lost", occurred_at_us=self.now_us)
        )
