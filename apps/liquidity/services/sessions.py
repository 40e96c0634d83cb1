"""What a FIX session's worker writes down: sequence numbers and messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection, transaction

from apps.liquidity.models import FixMessage, FixNumbers
from piggy.adapters.fix.numbers import Next

# Reports are handled in the LP's sequence: a later number is never replaced by an earlier one.
HEARD = "update liquidity_fixnumbers set incoming = %s, updated_at = now() where venue = %s and incoming < %s"


def session_lock(*, name: str) -> int:
    """Return the number of the PostgreSQL lock that whoever has the session of this name holds (tenant/venue)."""
    # 63 bits: positive as a bigint and in two halves alike.
    return int.from_bytes(hashlib.sha256(f"fix-session:{name}".encode()).digest()[:8], "big") >> 1


def drop_copy_numbers(*, venue: str) -> str:
    """Return under which name the numbers of an LP's drop copy are kept; none of an LP's may begin so."""
    return f"~{venue}"


@contextmanager
def unhurried() -> Iterator[None]:
    """Commit without waiting for the disk: for what may be lost with the machine's power, and is then found out anew.

    Whoever waits for the disk makes every order's own commit wait with him.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set local synchronous_commit to off")
        yield


def fix_numbers(*, venue: str, first: Next, since: datetime | None = None) -> Next:
    """Return the numbers of the LP's session, `first` where it never had any, and 1 where they are from before `since`.

    Of a session from before numbers were dated nobody knows, so it goes on.
    """
    now = datetime.now(UTC)
    row, _ = FixNumbers.objects.get_or_create(
        venue=venue, defaults={"incoming": first.incoming, "outgoing": first.outgoing, "begun_at": now}
    )
    if row.begun_at is None:
        FixNumbers.objects.filter(pk=row.pk).update(begun_at=now)
    elif since is not None and row.begun_at < since:
        row = begin_at_1(venue=venue)
    return Next(row.incoming, row.outgoing)


def begin_at_1(*, venue: str) -> FixNumbers:
    """Let both sides' numbers begin anew. What the LP said and we did not hear will not be sent again."""
    first = {"incoming": 1, "outgoing": 1, "begun_at": datetime.now(UTC)}
    row, _ = FixNumbers.objects.update_or_create(venue=venue, defaults=first)
    return row


def note_heard(*, venue: str, incoming: int) -> None:
    """Note that every message below `incoming` is kept, or was a quote; as durable as the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(HEARD, [incoming, venue, incoming])


def set_numbers_aside(*, venue: str, below: int) -> None:
    """Note that numbers below this one may be used. Committed on return."""
    FixNumbers.objects.filter(venue=venue, outgoing__lt=below).update(outgoing=below)


def close_numbers(*, venue: str, last: Next) -> None:
    """Note with which numbers a session that logged out begins again."""
    FixNumbers.objects.filter(venue=venue).update(incoming=last.incoming, outgoing=last.outgoing)


def keep_messages(*, venue: str, messages: Sequence[tuple[datetime, str, str]]) -> None:
    """Keep messages: when, which way, masked text."""
    rows = [FixMessage(venue=venue, at=at, way=way, text=text) for at, way, text in messages]
    with unhurried():
        FixMessage.objects.bulk_create(rows)
