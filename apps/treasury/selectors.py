from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet, Sum

from apps.treasury.models import Deposit, Posting, Withdrawal
from piggy.core import ledger
from piggy.core.house_events import SwapCharged, SwapRestated

ZERO = Decimal(0)
# Of an account's lines, whether they were booked before a time, and by what is on their other side.
TOTALS = """
select coalesce(entry.booked_at < %(since)s::timestamptz, false) as is_before, other.gl_account_id, -sum(mine.amount)
  from treasury_posting mine
  join treasury_posting other on other.entry_id = mine.entry_id and other.line = (mine.line # 1)
  join treasury_journalentry entry on entry.seq = mine.entry_id
 where mine.gl_account_id = %(gl)s and mine.owner = %(owner)s
   and (%(until)s::timestamptz is null or entry.booked_at < %(until)s::timestamptz)
 group by 1, 2
"""


def client_balance(*, account_id: str) -> Decimal:
    """Return what the broker owes an account, in its currency, from the ledger alone."""
    owed = Posting.objects.filter(gl_account_id=ledger.CLIENT_MONEY, owner=account_id).aggregate(sum=Sum("amount"))
    return -(owed["sum"] or ZERO)


def swaps_since(*, at: datetime) -> dict[str, Decimal]:
    """Return what the nights booked since `at` paid each account, below zero where it was charged, in its currency."""
    nights = [SwapCharged.__name__, SwapRestated.__name__]
    booked = Posting.objects.filter(
        gl_account_id=ledger.CLIENT_MONEY, entry__event_type__in=nights, entry__booked_at__gte=at
    )
    sums = booked.values("owner").annotate(sum=Sum("amount")).values_list("owner", "sum")
    return {account_id: -amount for account_id, amount in sums}


class Moved(NamedTuple):
    """What moved an account's money, in its currency: `amount` above zero came in, `balance` is what it left.

    `kind` is one of ledger.MOVED_BY.
    """

    id: int
    seq: int
    kind: str
    amount: Decimal
    balance: Decimal
    reference: str
    at: datetime


def movements_of(*, account_id: str) -> QuerySet[Posting]:
    """Return the lines of the ledger that moved what the broker owes an account."""
    return Posting.objects.filter(gl_account_id=ledger.CLIENT_MONEY, owner=account_id).select_related("entry")


def told(*, lines: Sequence[Posting]) -> list[Moved]:
    """Return lines of one account, newest first, as its owner reads them."""
    if not lines:
        return []
    others = Posting.objects.filter(entry_id__in={line.entry_id for line in lines})
    sides = {(entry, at): gl for entry, at, gl in others.values_list("entry_id", "line", "gl_account_id")}
    mine = movements_of(account_id=lines[0].owner)
    balance = -(mine.filter(id__lt=lines[-1].id).aggregate(sum=Sum("amount"))["sum"] or ZERO)
    # Beside those of a time stand others, where the clock was put back meanwhile.
    beside = mine.filter(id__gte=lines[-1].id, id__lte=lines[0].id).order_by("id")
    balances, found = {}, []
    for number, amount in beside.values_list("id", "amount"):
        balances[number] = balance = balance - amount
    for line in lines:
        kind = ledger.MOVED_BY[sides[line.entry_id, ledger.other_side(line=line.line)]]
        entry = line.entry
        found.append(Moved(line.id, entry.seq, kind, -line.amount, balances[line.id], entry.reference, entry.booked_at))
    return found


class Totals(NamedTuple):
    """An account's money over a time, in its currency: `closing` is `opening` with all that is `moved`, by kind."""

    opening: Decimal
    closing: Decimal
    moved: dict[str, Decimal]


def totals(*, account_id: str, since: datetime | None, until: datetime | None) -> Totals:
    """Return what an account had at `since` (None: before all), what moved it, and what it had right before `until`."""
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, {"gl": ledger.CLIENT_MONEY, "owner": account_id, "since": since, "until": until})
        rows = cursor.fetchall()
    opening = sum((amount for is_before, _, amount in rows if is_before), ZERO)
    moved: dict[str, Decimal] = {}
    for is_before, contra, amount in rows:
        if not is_before:
            kind = ledger.MOVED_BY[contra]
            moved[kind] = moved.get(kind, ZERO) + amount
    return Totals(opening, opening + sum(moved.values(), ZERO), moved)


def trial_balance() -> dict[tuple[str, str], Decimal]:
    """Return the sum of every (GL account, currency); per currency these sum to zero."""
    rows = Posting.objects.values("gl_account_id", "currency").annotate(sum=Sum("amount"))
    return {(row["gl_account_id"], row["currency"]): row["sum"] for row in rows}


def has_deposit(*, reference: str) -> bool:
    """Return whether a deposit of that reference was written down, decided or not."""
    return Deposit.objects.filter(reference=reference).exists()


def waiting_deposits() -> QuerySet[Deposit]:
    """Return the deposits that a second person has to decide, oldest first."""
    return Deposit.objects.filter(state=Deposit.State.REQUESTED).order_by("id")


def waiting_withdrawals() -> QuerySet[Withdrawal]:
    """Return the withdrawals that a second person has to decide, oldest first."""
    return Withdrawal.objects.filter(state=Withdrawal.State.REQUESTED).order_by("id")


def approved_withdrawals(*, command_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of the commands pay out a withdrawal whose outcome nobody noted yet."""
    waiting = Withdrawal.objects.filter(command_id__in=command_ids, state=Withdrawal.State.APPROVED)
    return {found for found in waiting.values_list("command_id", flat=True) if found is not None}
