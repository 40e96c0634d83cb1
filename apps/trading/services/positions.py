"""Open positions for the desk: their exits, and all of an account's closed at once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from apps.accounts import selectors as accounts
from apps.trading import selectors
from apps.trading.services.asking import UnableToTrade, ask, ask_beside, principal
from piggy.core.answers import Answer
from piggy.core.commands import AskClose, ClosePositions, SetExits
from piggy.core.position_commands import Which
from piggy.messaging.client import command_id_of


def set_exits(
    *,
    tenant: str,
    user: Any,
    position_id: str,
    exits: Mapping[str, Any],
    key: str,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
) -> Answer | None:
    """Ask for other exits of an open position, named as SetExits names them; answers and errors as place_order."""
    account_id = _account_of(user, position_id)
    return ask(
        tenant=tenant,
        command=SetExits(account_id=account_id, position_id=position_id, **exits),
        command_id=command_id_of("api", tenant, principal(user), f"PATCH /positions/{position_id}", key),
        user=user,
        request_hash=request_hash,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def close_all(
    *,
    tenant: str,
    user: Any,
    account_id: str,
    symbol: str,
    which: Which,
    after: str,
    key: str,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
) -> Answer | None:
    """Ask for all that the user's account holds to be closed at once, or what of it is meant; else as place_order.

    `after` is the position behind which to begin, '' for the first.
    """
    if accounts.account_of(user=user, account_id=account_id) is None:
        raise UnableToTrade("There is no such account.")
    return ask(
        tenant=tenant,
        command=ClosePositions(account_id=account_id, symbol=symbol, which=which, after=after),
        command_id=command_id_of("api", tenant, principal(user), f"POST /accounts/{account_id}/close-all", key),
        user=user,
        request_hash=request_hash,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def close_what_if(
    *, tenant: str, user: Any, position_id: str, lots: Decimal | None, request_id: str, wait_s: float, now_us: int
) -> Answer:
    """Ask the desk what a close of the user's position would do, and close nothing; errors as what_if."""
    account_id = _account_of(user, position_id)
    return ask_beside(
        tenant=tenant, user=user, account_id=account_id, request_id=request_id, wait_s=wait_s, now_us=now_us,
        command=AskClose(account_id=account_id, position_id=position_id, lots=lots),
    )  # fmt: skip


def _account_of(user: Any, position_id: str) -> str:
    """Return the account of the user's own position."""
    position = selectors.positions_of(user=user).filter(position_id=position_id).first()
    if position is None:
        raise UnableToTrade("There is no such position.")
    return position.account_id
