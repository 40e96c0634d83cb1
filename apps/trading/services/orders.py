"""Orders for the desk. The rows are projections; what is asked goes to the engine and comes back as its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from apps.accounts import selectors as accounts
from apps.audit import selectors as audit
from apps.trading import selectors
from apps.trading.services import asking
from apps.trading.services.asking import UnableToTrade, ask, ask_beside, principal, through, told, unreached
from piggy.core.answers import Answer, Outlook, WhatIf
from piggy.core.commands import (
    AmendOrder,
    AnswerRequote,
    AskAmendment,
    AskOutlook,
    AskWhatIf,
    CancelOrder,
    Envelope,
    PlaceOrder,
    ReportConnection,
)
from piggy.core.orders import OrderTerms
from piggy.messaging.client import UnableToTell, command_id_of

# As many as are asked for in one go, and how long their list may take to show what the log holds.
CANCELS_MAX, SHOWN_S_MAX, LOOK_S = 500, 1.0, 0.02


class Cancels(NamedTuple):
    """What became of each order that was to be cancelled, None where it is not decided; `complete`: no other worked."""

    answers: list[tuple[str, Answer | None]]
    complete: bool


def place_order(
    *,
    tenant: str,
    user: Any,
    terms: OrderTerms,
    key: str,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
    source: str = "api",
) -> Answer | None:
    """Ask the desk to trade and return its answer after commit, None past `wait_s` seconds (it may still be done).

    The same (tenant, user, key) has one effect. Raises UnableToTrade, UnableToReachDesk.
    """
    if accounts.account_of(user=user, account_id=terms.account_id) is None:
        raise UnableToTrade("There is no such account.")
    return ask(
        tenant=tenant,
        command=PlaceOrder(terms=terms, source=source),
        command_id=order_command_id(tenant=tenant, user=user, key=key),
        user=user,
        request_hash=request_hash,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def what_if(*, tenant: str, user: Any, terms: OrderTerms, request_id: str, wait_s: float, now_us: int) -> WhatIf:
    """Ask the desk what an order would do to its account, and leave nothing of it anywhere.

    Raises UnableToTrade, UnableToReachDesk.
    """
    answer = ask_beside(
        tenant=tenant, user=user, account_id=terms.account_id, command=AskWhatIf(terms=terms), request_id=request_id,
        wait_s=wait_s, now_us=now_us,
    )  # fmt: skip
    return told(answer.what_if)


def amendment_what_if(
    *, tenant: str, user: Any, order_id: str, changes: Mapping[str, Any], request_id: str, wait_s: float, now_us: int
) -> Answer:
    """Ask the desk what other terms of the user's order would do, and change nothing; errors as what_if."""
    account_id = _account_of(user, order_id, "")
    change = AmendOrder(order_id=order_id, account_id=account_id, **changes)
    return ask_beside(
        tenant=tenant, user=user, account_id=account_id, command=AskAmendment(change=change), request_id=request_id,
        wait_s=wait_s, now_us=now_us,
    )  # fmt: skip


def outlook(*, tenant: str, user: Any, account_id: str, request_id: str, wait_s: float, now_us: int) -> Outlook:
    """Ask the desk how one of the user's accounts stands, and leave nothing of it anywhere.

    Raises UnableToTrade, UnableToReachDesk.
    """
    answer = ask_beside(
        tenant=tenant, user=user, account_id=account_id, command=AskOutlook(account_id=account_id),
        request_id=request_id, wait_s=wait_s, now_us=now_us,
    )  # fmt: skip
    return told(answer.outlook)


def cancel_command_id(*, tenant: str, user: Any, order_id: str, key: str) -> str:
    """Return the id under which the desk knows a cancel that a user asks for under `key`."""
    return command_id_of("api", tenant, principal(user), f"DELETE /orders/{order_id}", key)


def order_command_id(*, tenant: str, user: Any, key: str) -> str:
    """Return the id under which the desk knows the order that a user places under `key`."""
    return command_id_of("api", tenant, principal(user), "POST /orders", key)


def amend_command_id(*, tenant: str, user: Any, order_id: str, key: str) -> str:
    """Return the id under which the desk knows a change that a user asks for under `key`."""
    return command_id_of("api", tenant, principal(user), f"PATCH /orders/{order_id}", key)


def report_connection(*, tenant: str, account_id: str, connected: bool, key: str, now_us: int) -> None:
    """Tell the desk that a client who asked for cancel on disconnect dropped off, or is back.

    Raises UnableToReachDesk; the desk hears of it when it is back.
    """
    envelope = Envelope(
        command_id=command_id_of("connection", tenant, account_id, key),
        command=ReportConnection(account_id=account_id, connected=connected),
        principal="gateway",
        sent_at_us=now_us,
    )
    try:
        asking.client().tell(tenant=tenant, envelope=envelope)
    except UnableToTell as error:
        raise unreached(tenant, error) from error


def cancel_order(
    *,
    tenant: str,
    user: Any,
    order_id: str,
    key: str,
    request_id: str,
    wait_s: float,
    now_us: int,
    account_id: str = "",
) -> Answer | None:
    """Ask the desk to cancel what is left of an order; answers and errors as place_order.

    With `account_id`, one of the user's, an order need not be shown yet: the desk looks whether it is that account's.
    """
    return ask(
        tenant=tenant,
        command=CancelOrder(order_id=order_id, account_id=_account_of(user, order_id, account_id)),
        command_id=cancel_command_id(tenant=tenant, user=user, order_id=order_id, key=key),
        user=user,
        request_hash=order_id,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def cancel_all(
    *,
    tenant: str,
    user: Any,
    account_id: str,
    symbol: str | None,
    key: str,
    request_id: str,
    wait_s: float,
    now_us: int,
) -> Cancels:
    """Ask the desk to cancel all orders of the user's account, or those in one symbol, that work now; exits stay.

    Each is the same command that a single cancel under `key` is. Errors as place_order.
    """
    if accounts.account_of(user=user, account_id=account_id) is None:
        raise UnableToTrade("There is no such account.")
    is_shown = _is_shown(tenant)
    rows = selectors.orders_to_cancel(account_id=account_id, symbol=symbol)
    found = list(rows.values_list("order_id", flat=True)[: CANCELS_MAX + 1])
    envelopes = [
        Envelope(
            command_id=cancel_command_id(tenant=tenant, user=user, order_id=order_id, key=key),
            command=CancelOrder(order_id=order_id, account_id=account_id),
            principal=principal(user),
            request_hash=order_id,
            request_id=request_id,
            sent_at_us=now_us,
        )
        for order_id in found[:CANCELS_MAX]
    ]
    within_s = min(wait_s, asking.WAIT_S_MAX)
    answers = through(tenant, lambda desk: desk.ask_all(tenant=tenant, envelopes=envelopes, wait_s=within_s))
    return Cancels(list(zip(found, answers, strict=False)), is_shown and len(found) <= CANCELS_MAX)


def answer_requote(
    *,
    tenant: str,
    user: Any,
    order_id: str,
    accept: bool,
    key: str,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
) -> Answer | None:
    """Take or decline the price that a dealer offered; answers and errors as place_order."""
    order = selectors.order_of(user=user, order_id=order_id)
    if order is None:
        raise UnableToTrade("There is no such order.")
    return ask(
        tenant=tenant,
        command=AnswerRequote(order_id=order_id, account_id=order.account_id, accept=accept),
        command_id=command_id_of("api", tenant, principal(user), f"POST /orders/{order_id}/requote", key),
        user=user,
        request_hash=request_hash,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def amend_order(
    *,
    tenant: str,
    user: Any,
    order_id: str,
    changes: Mapping[str, Any],
    key: str,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
    account_id: str = "",
) -> Answer | None:
    """Ask for other terms of a working order, named as AmendOrder names them; answers and errors as place_order."""
    return ask(
        tenant=tenant,
        command=AmendOrder(order_id=order_id, account_id=_account_of(user, order_id, account_id), **changes),
        command_id=amend_command_id(tenant=tenant, user=user, order_id=order_id, key=key),
        user=user,
        request_hash=request_hash,
        request_id=request_id,
        wait_s=wait_s,
        now_us=now_us,
    )


def _account_of(user: Any, order_id: str, account_id: str) -> str:
    """Return the account of the user's own order, or `account_id` where that is one of the user's."""
    if account_id:
        owned = accounts.account_of(user=user, account_id=account_id)
        if owned is not None:
            return owned.account_id
    elif (order := selectors.order_of(user=user, order_id=order_id)) is not None:
        return order.account_id
    raise UnableToTrade("There is no such order.")


def _is_shown(tenant: str) -> bool:
    """Wait a while until the tables show all orders that the log holds now; return whether they do."""
    end, until_s = audit.seq_end(tenant=tenant), time.monotonic() + SHOWN_S_MAX
    while audit.seq_end(tenant=tenant) - audit.not_projected(tenant=tenant, name="trading") < end:
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_S)
    return True
