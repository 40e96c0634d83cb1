"""What a dealer does about a client's open positions."""

from __future__ import annotations

from typing import Any

from apps.dealing.services.acting import Outcome, UnableToAct, Wish, first_outcome, perform
from apps.dealing.services.engine import require_confirmation, require_target
from apps.trading import selectors as trading
from piggy.core.commands import ClosePositions, SetExits
from piggy.core.position_commands import Which


def close_all(*, wish: Wish, account_id: str, symbol: str, which: Which, confirm: str) -> Outcome:
    """Close all that an account holds, or what of it is meant; the gate holds each close as the client's own.

    Raises UnableToAct where there is no such account or symbol.
    """
    require_target(scope="account", key=account_id)
    if symbol:
        require_target(scope="symbol", key=symbol)
    require_confirmation(given=confirm, expected=f"close {account_id}")
    command = ClosePositions(account_id=account_id, symbol=symbol, which=which, by=wish.by, reason=wish.reason)
    return perform(wish=wish, subject=f"account:{account_id}", command=command, waits=False)


def set_exits(*, wish: Wish, position_id: str, confirm: str, **exits: Any) -> Outcome:
    """Give a client's position other exits, as SetExits names them. Raises UnableToAct where there is none."""
    if done := first_outcome(wish=wish, waits=False):
        return done  # The position may be gone by now.
    account_id = trading.account_of_position(position_id=position_id)
    if account_id is None:
        raise UnableToAct("There is no such position.", code="POSITION_UNKNOWN", field="position_id")
    if not exits:
        raise UnableToAct("Give an exit that is to be otherwise.", code="INCOMPLETE", field="stop_loss")
    require_confirmation(given=confirm, expected=f"exits {position_id}")
    command = SetExits(account_id=account_id, position_id=position_id, **exits)
    return perform(wish=wish, subject=f"account:{account_id}", command=command, waits=False)
