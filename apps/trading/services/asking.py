"""Asking the desk for a user: under whose id, for how long, and never a desk that nobody runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import structlog
from django.conf import settings

from apps.accounts import selectors as accounts
from apps.tenants.selectors import database_identity
from apps.trading import selectors
from piggy.core.answers import Answer
from piggy.core.commands import AnyCommand, Envelope
from piggy.messaging.client import Client, UnableToStore, UnableToTell, UnableToUnderstand

WAIT_S_MAX = 10
AWAY = "The desk cannot be reached now. Ask again under the same key."
UPDATED = "The desk is being updated: its answer cannot be read here yet. Ask again, an order under the same key."

log = structlog.get_logger(__name__)
Told = TypeVar("Told")


class UnableToTrade(Exception):
    """The user has no such account or order, whether or not another user has."""


class UnableToReachDesk(Exception):
    """The engine or Redis is away. Whether the command was taken is unknown: ask again under the same key."""


class UnableToRecord(UnableToReachDesk):
    """There is no room to write; nothing was taken."""


def ask(
    *,
    tenant: str,
    command: AnyCommand,
    command_id: str,
    user: Any,
    request_hash: str,
    request_id: str,
    wait_s: float,
    now_us: int,
) -> Answer | None:
    envelope = Envelope(
        command_id=command_id,
        command=command,
        principal=principal(user),
        request_hash=request_hash,
        request_id=request_id,
        sent_at_us=now_us,
    )
    within_s = min(wait_s, WAIT_S_MAX)
    return through(tenant, lambda desk: desk.ask(tenant=tenant, envelope=envelope, wait_s=within_s))


def ask_beside(*, tenant: str, user: Any, account_id: str, command: AnyCommand, **call: Any) -> Answer:
    """Ask about an account of the user's what changes nothing, so that it may be asked anew under another id."""
    if accounts.account_of(user=user, account_id=account_id) is None:
        raise UnableToTrade("There is no such account.")
    answer = ask(
        tenant=tenant, command=command, command_id=str(uuid.uuid4()), user=user, request_hash="", **call
    )  # fmt: skip
    return told(answer)


def told(answer: Told | None) -> Told:
    if answer is None:
        raise UnableToReachDesk("The desk did not answer in time.")
    return answer


def through(tenant: str, ask: Callable[[Client], Told]) -> Told:
    # An order that waited on the stream for a dead engine would trade at a price that nobody asked for.
    if not selectors.engine_is_running(tenant=tenant):
        raise UnableToReachDesk("The desk is starting or recovering; nothing was taken.")
    try:
        return ask(client())
    except UnableToStore as error:
        raise UnableToRecord("There is no room to record orders. Try again under the same key.") from error
    except UnableToTell as error:
        raise unreached(tenant, error) from error


def unreached(tenant: str, error: UnableToTell) -> UnableToReachDesk:
    """What stands in the way, and on which server, is for who runs it; a client is told to ask again."""
    log.warning("desk_not_reached", tenant=tenant, error=str(error))
    return UnableToReachDesk(UPDATED if isinstance(error, UnableToUnderstand) else AWAY)


def principal(user: Any) -> str:
    return f"user:{user.pk}"


@cache
def client() -> Client:
    return Client(redis_url=settings.REDIS_URL, identity=database_identity)
