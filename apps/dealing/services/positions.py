"""What a dealer does about a client's open positions."""

from __future__ import annotations

from apps.dealing.services.acting import Outcome, Wish, perform
from apps.dealing.services.engine import require_confirmation, require_target
from piggy.core.commands import ClosePositions
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
