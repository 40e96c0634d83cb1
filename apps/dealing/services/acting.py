"""One action: its audit entry, its effect and its command in one transaction, then the engine's answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import transaction

from apps.dealing.models import DeskAction
from apps.outbox import selectors as outbox
from apps.outbox.services import tell_engine
from apps.tenants.selectors import database_identity
from apps.trading.selectors import engine_is_running
from piggy.core.answers import Answer
from piggy.core.commands import AnyCommand, Envelope
from piggy.core.money import plain
from piggy.core.position_events import ON_ITS_WAY, PositionClose, PositionsClosed
from piggy.messaging import codec
from piggy.messaging.client import Client, UnableToTell, command_id_of

ANSWER_WAIT_S = 3.0
# What acts on a price is not told again later than this: the market has moved on.
FRESH_S_MAX = 30.0
# Of positions that stayed open, so many say why where a dealer reads it; all of them are in the log.
KEPT_TOLD = 5

log = structlog.get_logger(__name__)


class UnableToAct(Exception):
    """Nothing was done; `code`, `field` and the message may be shown to the dealer."""

    def __init__(self, message: str, *, code: str, field: str = "") -> None:
        super().__init__(message)
        self.code, self.field = code, field


class UnableToReachDesk(Exception):
    """The engine or Redis is away. Ask again under the same key: it is done at most once."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants what, why, and under which idempotency key; `body` is what was sent."""

    tenant: str
    by: str
    kind: str
    key: str
    reason: str
    body: dict[str, Any]
    now: datetime

    @property
    def hash(self) -> str:
        """SHA-256 of the wish, so that another one under the same key is noticed."""
        text = json.dumps([self.kind, self.reason, self.body], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an action: done, refused (why is in `code` and `text`), or unheard: no answer yet."""

    action: int
    kind: str
    state: str
    code: str = ""
    text: str = ""
    order_id: str = ""
    order_state: str = ""
    repeated: bool = False


def perform(
    *,
    wish: Wish,
    subject: str,
    command: AnyCommand | None = None,
    effect: Callable[[DeskAction], None] | None = None,
    waits: bool = True,
) -> Outcome:
    """Do it once: note it, take its effect, tell the engine; a repeat under the same key hears the first outcome.

    A command that `waits` reaches the engine whenever that is back; any other acts on prices and is dropped where the
    engine is away. Raises UnableToAct, UnableToReachDesk; then no entry is left.
    """
    if command is not None and not waits and not engine_is_running(tenant=wish.tenant):
        raise UnableToReachDesk("The desk is starting or recovering; nothing was taken.")
    with transaction.atomic():
        action, is_new = _noted(wish=wish, subject=subject, command=command)
        if is_new and effect is not None:
            effect(action)
        if is_new and command is not None and waits:
            tell_engine(
                tenant=wish.tenant,
                command=command,
                reference=f"desk:{action.pk}",
                version=wish.key,
                by=wish.by,
                command_id=str(action.command_id),
            )
    if action.command_id is None:
        return Outcome(action=action.pk, kind=action.kind, state="done", repeated=not is_new)
    if not is_new and not waits and _is_stale(action, wish.now):
        return Outcome(action=action.pk, kind=action.kind, state="unheard", text="Too late to tell it.", repeated=True)
    return _outcome(action=action, answer=_ask(tenant=wish.tenant, action=action), repeated=not is_new)


def first_outcome(*, wish: Wish, waits: bool = True) -> Outcome | None:
    """Return what became of the wish where its key was used before, None for a new one. Raises as perform."""
    known = DeskAction.objects.filter(by=wish.by, key=wish.key).exists()
    return perform(wish=wish, subject="", waits=waits) if known else None


def _noted(*, wish: Wish, subject: str, command: AnyCommand | None) -> tuple[DeskAction, bool]:
    values: dict[str, Any] = {
        "kind": wish.kind,
        "subject": subject,
        "reason": wish.reason,
        "body": wish.body,
        "request_hash": wish.hash,
        "at": wish.now,
    }
    action, is_new = DeskAction.objects.get_or_create(by=wish.by, key=wish.key, defaults=values | _told(wish, command))
    if action.request_hash != wish.hash:
        raise UnableToAct("This key was used for something else.", code="KEY_REUSED", field="Idempotency-Key")
    return action, is_new


def _told(wish: Wish, command: AnyCommand | None) -> dict[str, Any]:
    if command is None:
        return {}
    command_id = command_id_of("desk", wish.tenant, wish.by, wish.kind, wish.key)
    envelope = Envelope(command_id=command_id, command=command, principal=wish.by)
    return {"command_id": command_id, "payload": codec.encode(envelope)}


def _ask(*, tenant: str, action: DeskAction) -> Answer | None:
    envelope = codec.decode_envelope(bytes(action.payload))
    try:
        return _client().ask(tenant=tenant, envelope=envelope, wait_s=ANSWER_WAIT_S)
    except UnableToTell as error:
        raise UnableToReachDesk(str(error)) from error


def _outcome(*, action: DeskAction, answer: Answer | None, repeated: bool) -> Outcome:
    if answer is None:
        log.warning("desk_action_unheard", action=action.pk, kind=action.kind)
        return Outcome(action=action.pk, kind=action.kind, state="unheard", repeated=repeated)
    refused, order = answer.refused, answer.order
    if refused is None and answer.closed is not None:
        state, text = _of_closes(answer.closed)
        return Outcome(action=action.pk, kind=action.kind, state=state, text=text, repeated=repeated)
    reasons = "; ".join(check.text or check.code for check in order.reasons) if order else ""
    return Outcome(
        action=action.pk,
        kind=action.kind,
        state="refused" if refused or reasons else "done",
        code=refused.code if refused else order.reasons[0].code if order and order.reasons else "",
        text=refused.text if refused else reasons or (order.text if order else ""),
        order_id=order.order_id if order else "",
        order_state=order.state.value if order else "",
        repeated=repeated,
    )


def _of_closes(closed: PositionsClosed) -> tuple[str, str]:
    """Return what became of positions that were to be closed at once: how many, and the first that were not, with why.

    It is refused where nothing at all was dealt or sent.
    """
    kept = [each for each in closed.closes if each.reasons and each.reasons[0].code != ON_ITS_WAY]
    told = [_of_kept(each) for each in kept[:KEPT_TOLD]]
    if len(kept) > KEPT_TOLD:
        told.append(f"and {len(kept) - KEPT_TOLD} more")
    if closed.left:
        told.append(f"{closed.left} are left: ask again")
    sent = len(closed.closes) - len(kept)
    count = f"{sent} of {len(closed.closes)} positions closed or on their way" if closed.closes else "nothing to close"
    is_refused = kept and not sent and not any(each.filled for each in kept)
    return "refused" if is_refused else "done", "; ".join([count, *told])


def _of_kept(close: PositionClose) -> str:
    """Return why a position stays, and how much of it does not."""
    part = f"{plain(close.filled)} of {plain(close.lots)} lots closed, then " if close.filled else ""
    return f"{close.position_id} {close.symbol}: {part}{close.reasons[0].text}"


def _is_stale(action: DeskAction, now: datetime) -> bool:
    assert action.command_id is not None, "only what was told can be late"
    is_late = (now - action.at).total_seconds() > FRESH_S_MAX
    return is_late and action.command_id not in outbox.commands_in_log(command_ids=[action.command_id])


@cache
def _client() -> Client:
    return Client(redis_url=settings.REDIS_URL, identity=database_identity)
