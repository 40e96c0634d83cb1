"""Commands about open positions; asked like those of commands.py."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from piggy.core.command import Command


class SetExits(Command, frozen=True, kw_only=True):
    """Give all of an open position a take-profit or a stop-loss, another one, or none (None); what is unset stays.

    Its stop is at a price, or trails the market at a distance: the one takes the other's place, and a stop-loss of None
    takes off either. `guaranteed_stop` is asked of the stop at a price; None leaves what is guaranteed as it is.
    """

    account_id: str
    position_id: str
    take_profit: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    stop_loss: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    trailing_distance: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    guaranteed_stop: bool | None = None


class Which(StrEnum):
    """Which positions: by what closing them now would bring, before commission; what brings nothing is only of ALL."""

    ALL = "all"
    PROFITABLE = "profitable"
    LOSING = "losing"


class ClosePositions(Command, frozen=True, kw_only=True):
    """Close what an account holds, of one `symbol` or of all (''), at the market; `by` is a dealer, '' the client.

    Of more than can be closed at once those behind the position `after` are meant, by id: what is refused each time
    keeps nobody from the others.
    """

    account_id: str
    symbol: str = ""
    which: Which = Which.ALL
    by: str = ""
    reason: str = ""
    after: str = ""


class AskClose(Command, frozen=True, kw_only=True):
    """What would a close of so many `lots` of a position (None: all) bring? It decides and leaves nothing."""

    account_id: str
    position_id: str
    lots: Decimal | None = None


PositionCommand = SetExits | ClosePositions | AskClose
