from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet, Sum

from apps.treasury.models import Deposit, Posting, Withdrawal
from piggy.core import ledger
from piggy.core.house_events import SwapCharged, SwapRestated

ZERO = Decimal(0)


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
