"""Clients over FIX: who may log on, what of the log each is told under which number, and what each asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import structlog
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction
from django.db.models import F

from apps.audit import selectors as audit
from apps.common.two_people import undecided
from apps.gateway import selectors
from apps.gateway.models import Asked, CopyCursor, FixClient, OrderCopy, PasswordChange, SentMessage
from piggy.adapters.fix_clients.outbound import TOLD, Copy, next_copy
from piggy.core.events import OrderAmended, OrderCancelled, Recorded

COPY_ROWS_MAX = 1_000
# Over another door an id may once have been longer than any that FIX could ask for: nobody looks for it.
CL_ORD_ID_KEPT = OrderCopy._meta.get_field("cl_ord_id").max_length
PASSWORD_CHARACTERS_MIN = 12
State = PasswordChange.State

log = structlog.get_logger(__name__)


class UnableToAdmit(Exception):
    """This session may not log on; the text is for our log and not for who asks."""


class UnableToSetPassword(Exception):
    """The password stays as it is; the message may be shown to staff."""


class LostSession(Exception):
    """Another process numbers this session's messages: this one must stop."""


class AskedBefore(NamedTuple):
    """The row of a ClOrdID, and whether it was used before."""

    row: Asked
    again: bool


def request_password(*, client: FixClient, password: str, by: Any) -> PasswordChange:
    """Write down what the session shall log on with, hashed, for a second person; an older open request is withdrawn.

    Raises UnableToSetPassword.
    """
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise UnableToSetPassword(f"password: at least {PASSWORD_CHARACTERS_MIN} characters.")
    change = PasswordChange(client=client, password=make_password(password), requested_by_id=by.pk)
    try:
        with transaction.atomic():
            waiting = PasswordChange.objects.filter(client=client, state=State.REQUESTED)
            waiting.update(state=State.WITHDRAWN, password="")
            change.save(force_insert=True)
    except IntegrityError as error:
        raise UnableToSetPassword("Somebody else asked for a change at this moment; look at theirs.") from error
    log.info("fix_password_requested", comp_id=client.comp_id, by=by.get_username())
    return change


def approve_password(*, change_id: Any, by: Any, at: datetime) -> FixClient:
    """Let the session log on with what was requested, as its second person. Raises UnableToSetPassword."""
    with transaction.atomic():
        change = _undecided(change_id, by)
        client = FixClient.objects.select_for_update().get(pk=change.client_id)
        client.password = change.password
        client.save(update_fields=["password", "changed_at"])
        _decide(change, State.APPROVED, by, at)
    log.info("fix_password_changed", comp_id=client.comp_id, by=by.get_username())
    return client


def reject_password(*, change_id: Any, by: Any, at: datetime) -> None:
    """Refuse a requested password as its second person. Raises UnableToSetPassword."""
    with transaction.atomic():
        _decide(_undecided(change_id, by), State.REJECTED, by, at)


def begin_here(*, tenant: str, client: FixClient) -> None:
    """Tell a new session nothing of what was before it."""
    with transaction.atomic():
        if not CopyCursor.objects.exists():
            CopyCursor.objects.create(pk=1)
    client.copied_seq = audit.seq_at(tenant=tenant, at_us=int(datetime.now(UTC).timestamp() * 1_000_000))
    client.save(update_fields=["copied_seq"])


def begin_anew(*, client: FixClient) -> None:
    """Start the session's numbers at 1, as agreed with the other side; what it was not told yet follows."""
    with transaction.atomic():
        client.sent.all().delete()
        FixClient.objects.filter(pk=client.pk).update(incoming=1, outgoing=1)


def admit(*, comp_id: str, password: str, address: str) -> FixClient:
    """Return the session that logs on. Raises UnableToAdmit; takes as long for a name that is nobody's."""
    client = FixClient.objects.select_related("user").filter(comp_id=comp_id).first()
    known = check_password(password, (client.password if client else "") or make_password(None))
    if client is None or not known:
        raise UnableToAdmit("no such session, or another password")
    if not client.enabled or (client.user is not None and not client.user.is_active):
        raise UnableToAdmit("it is not enabled")
    if client.sources and address not in client.sources:
        raise UnableToAdmit(f"not from {address}")
    return client


def note_incoming(*, client: FixClient, incoming: int) -> None:
    """Note that every message below `incoming` was dealt with."""
    FixClient.objects.filter(pk=client.pk, incoming__lt=incoming).update(incoming=incoming)


def number(*, client: FixClient, kind: str = "", body: str = "", count: int = 1, refuses: int | None = None) -> int:
    """Return the first number of `count` messages; with `kind` the text of the one is kept. Raises LostSession.

    `refuses` is the number of the client's message that the one refuses for good.
    """
    with transaction.atomic():
        taken = client.outgoing
        _advance(client, outgoing=taken + count, copied_seq=client.copied_seq)
        if kind:
            SentMessage.objects.create(
                client=client, number=taken, kind=kind, body=body, refuses=refuses, sent_at=datetime.now(UTC)
            )
    client.outgoing = taken + count
    return taken


def number_copies(*, client: FixClient, rows_max: int) -> list[tuple[int, Copy]]:
    """Give numbers to the reports that the session has not been told, oldest first. Raises LostSession."""
    accounts = selectors.accounts_of(client=client)
    rows = OrderCopy.objects.filter(seq__gt=client.copied_seq).order_by("seq")
    found = list((rows if accounts is None else rows.filter(account_id__in=accounts))[:rows_max])
    if not found:
        return []
    first, last, now = client.outgoing, found[-1].seq, datetime.now(UTC)
    with transaction.atomic():
        _advance(client, outgoing=first + len(found), copied_seq=last)
        SentMessage.objects.bulk_create(
            SentMessage(client=client, number=number, copy_seq=row.seq, sent_at=now)
            for number, row in enumerate(found, start=first)
        )
    client.outgoing, client.copied_seq = first + len(found), last
    return [(number, selectors.copy_of(row)) for number, row in enumerate(found, start=first)]


def copy_log(*, tenant: str) -> int:
    """Copy what orders became since the last call, in one transaction with how far the log was read; return events."""
    with transaction.atomic():
        cursor = CopyCursor.objects.select_for_update().first()
        if cursor is None:
            return 0
        read = [row.recorded for row in audit.events(tenant=tenant, after=cursor.seq, until=cursor.seq + COPY_ROWS_MAX)]
        if not read:
            return 0
        copies = _copies([each for each in read if isinstance(each.event, TOLD)])
        OrderCopy.objects.bulk_create(
            OrderCopy(
                seq=copy.seq,
                account_id=copy.account_id,
                order_id=copy.order_id,
                cl_ord_id=copy.cl_ord_id[:CL_ORD_ID_KEPT],
                facts=msgspec.msgpack.encode(copy),
            )
            for copy in copies
        )
        CopyCursor.objects.filter(pk=cursor.pk).update(seq=read[-1].seq)
    return len(read)


def note_asked(*, client: FixClient, cl_ord_id: str, kind: str, body: str, command_id: str) -> AskedBefore:
    """Write down a ClOrdID before the desk hears of it. Committed on return."""
    row, is_new = Asked.objects.get_or_create(
        client=client,
        cl_ord_id=cl_ord_id,
        defaults={"kind": kind, "request_hash": hashlib.sha256(body.encode()).hexdigest(), "command_id": command_id},
    )
    return AskedBefore(row, not is_new)


def note_order(*, asked: Asked, order_id: str) -> None:
    """Note which order a cancel or replacement is about."""
    asked.order_id = order_id
    asked.save(update_fields=["order_id"])


def _copies(read: Sequence[Recorded]) -> list[Copy]:
    events: list[Any] = [each.event for each in read]
    latest = selectors.last_copies(order_ids=[event.order_id for event in events])
    asked = _asked_names(read)
    made = []
    for each in read:
        event: Any = each.event
        copy = next_copy(previous=latest.get(event.order_id), recorded=each, cl_ord_id=asked.get(each.seq, ""))
        if copy is not None:
            latest[copy.order_id] = copy
            made.append(copy)
    return made


def _asked_names(read: Sequence[Recorded]) -> dict[int, str]:
    """Return under which ClOrdID each replacement or cancel was asked for, by the seq of what came of it."""
    named = [each for each in read if isinstance(each.event, OrderAmended | OrderCancelled)]
    if not named:
        return {}
    by_command = {
        str(row.command_id): row.cl_ord_id for row in Asked.objects.filter(command_id__in=[e.command_id for e in named])
    }
    # A venue's answer ends an order under a command of its own: then it is the order's last cancel that is answered.
    cancels: dict[str, str] = dict(
        Asked.objects.filter(kind="F", order_id__in=[e.event.order_id for e in named if hasattr(e.event, "order_id")])
        .order_by("id")
        .values_list("order_id", "cl_ord_id")
    )
    found = {}
    for each in named:
        name = by_command.get(each.command_id, "")
        if not name and isinstance(each.event, OrderCancelled):
            name = cancels.get(each.event.order_id, "")
        found[each.seq] = name
    return found


def _undecided(change_id: Any, by: Any) -> PasswordChange:
    return undecided(model=PasswordChange, pk=change_id, by=by, refusal=UnableToSetPassword)


def _decide(change: PasswordChange, state: str, by: Any, at: datetime) -> None:
    change.decide(state=state, by=by, at=at)
    change.password = ""
    change.save()


def _advance(client: FixClient, *, outgoing: int, copied_seq: int) -> None:
    """The number is the fence: who has fallen behind it has lost the session to another process."""
    same = FixClient.objects.filter(pk=client.pk, outgoing=client.outgoing, copied_seq=client.copied_seq)
    if not same.update(outgoing=outgoing, copied_seq=copied_seq, changed_at=F("changed_at")):
        raise LostSession(f"{client.comp_id} is numbered elsewhere")
