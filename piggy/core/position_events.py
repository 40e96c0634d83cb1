"""Events about what was asked of an account's positions at once."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.money import ZERO
from piggy.core.orders import OrderState
from piggy.core.position_commands import Which
from piggy.core.verdicts import Check, Event

# Why no order was made for a position: others have all of it on its way out.
ON_ITS_WAY = "ON_ITS_WAY"


class PositionClose(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one position: the order that closes `lots` of it, as the request left it, or why there is none.

    `average_price` is 0 until something is filled; `reasons` say why it was denied, ended or never made.
    """

    position_id: str
    symbol: str
    order_id: str = ""
    lots: Decimal = ZERO
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    state: OrderState = OrderState.DENIED
    reasons: tuple[Check, ...] = ()


class PositionsClosed(Event, frozen=True, kw_only=True):
    """An account's positions were asked to be closed at once; of `left` more nothing was done.

    It is the one message that all these orders are (P-14). Where that was one too many, `refused` says so and nothing
    was done.
    """

    account_id: str
    symbol: str
    which: Which
    by: str
    reason: str
    closes: tuple[PositionClose, ...] = ()
    left: int = 0
    refused: tuple[Check, ...] = ()

    @property
    def is_begun(self) -> bool:
        """Whether any of it was taken on."""
        return any(close.state is not OrderState.DENIED for close in self.closes)

    @property
    def reasons(self) -> tuple[Check, ...]:
        """Why nothing at all was closed; empty where something was, or there was nothing to close."""
        if self.is_begun:
            return ()
        return self.refused or next((close.reasons for close in self.closes if close.order_id), ())
