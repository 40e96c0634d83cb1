"""Committed events -> journal entries, by the rules of piggy.core.ledger alone. Repeatable: one entry per seq."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from apps.accounts import selectors as accounts
from apps.common import bulk
from apps.treasury import selectors, services
from apps.treasury.models import JournalEntry, Posting
from piggy.core import ledger
from piggy.core.correction_events import OrderFillBusted
from piggy.core.events import AccountDebited, CommandRefused, OrderFilled, Recorded
from piggy.core.house_events import SwapCharged

TABLES = (JournalEntry, Posting)


class EntryRow(NamedTuple):
    """A journal entry's columns; `booked_at` in UTC microseconds."""

    seq: int
    event_type: str
    reference: str
    booked_at: int


class PostingRow(NamedTuple):
    """A posting's columns."""

    entry_id: int
    line: int
    gl_account_id: str
    owner: str
    currency: str
    amount: Decimal


class UnableToBook(Exception):
    """An event names an account that the tenant's tables do not know, so its currency is unknown."""


def project(*, tenant: str, batch: Sequence[Recorded]) -> Iterator[None]:
    """Book `batch` (rising seq, inside the caller's transaction); events already booked are skipped."""
    mine = [recorded for recorded in batch if type(recorded.event) in ledger.RULES]
    seqs = [recorded.seq for recorded in mine]
    booked = set(JournalEntry.objects.filter(seq__any_of=seqs).values_list("seq", flat=True)) if mine else set()
    currencies = _currencies(mine) if mine else {}
    settled = _settled(batch)
    yield
    for command_id, refusal in settled.items():
        services.settle_withdrawal(command_id=command_id, refusal=refusal)
    entries, lines = [], []
    for recorded in mine:
        if recorded.seq not in booked:
            entry, postings = _entry(recorded, currencies)
            entries.append(entry)
            lines.extend(postings)
    bulk.insert(rows=entries, model=JournalEntry)
    bulk.insert(rows=lines, model=Posting)


def _settled(batch: Sequence[Recorded]) -> dict[UUID, str]:
    """Return which withdrawals the engine booked (''), or why it refused them, by command."""
    outcomes: dict[UUID, str] = {}
    for recorded in batch:
        event = recorded.event
        if isinstance(event, AccountDebited | CommandRefused):
            refusal = event.text or event.code if isinstance(event, CommandRefused) else ""
            outcomes[UUID(recorded.command_id)] = refusal
    # Anybody's command may be refused, and many are where a client is mad; few are withdrawals.
    asked = selectors.approved_withdrawals(command_ids=outcomes.keys()) if outcomes else set()
    return {command_id: refusal for command_id, refusal in outcomes.items() if command_id in asked}


def _entry(recorded: Recorded, currencies: dict[str, str]) -> tuple[EntryRow, list[PostingRow]]:
    event = recorded.event
    account_id: str = getattr(event, "account_id", "")
    lines = ledger.postings(event=event, currency=currencies.get(account_id, ""))
    entry = EntryRow(
        seq=recorded.seq,
        event_type=type(event).__name__,
        reference=_reference(event),
        booked_at=recorded.recorded_at_us,
    )
    return entry, [
        PostingRow(recorded.seq, number, line.gl_account, line.owner, line.currency, line.amount)
        for number, line in enumerate(lines)
    ]


def _reference(event: Any) -> str:
    """Return by what else an entry is known: its fill, its payment, or the position and nights of a swap."""
    if isinstance(event, SwapCharged):
        return f"{event.position_id} {event.business_date}, nights: {event.nights}"
    return getattr(event, "fill_id", "") or getattr(event, "reference", "")


def _currencies(batch: Sequence[Recorded]) -> dict[str, str]:
    events = [recorded.event for recorded in batch]
    filled = {event.account_id for event in events if isinstance(event, OrderFilled | OrderFillBusted)}
    found = accounts.currencies_of(account_ids=filled)
    if missing := filled - found.keys():
        raise UnableToBook(f"No such account: {', '.join(sorted(missing))}.")
    return found
