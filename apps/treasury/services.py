from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.accounts import selectors as accounts
from apps.outbox.services import tell_engine
from apps.treasury.models import Deposit
from piggy.core.commands import CreditAccount


class UnableToRequestDeposit(Exception):
    """Nothing was written; the message names the field and may be shown to staff."""


class UnableToDecideDeposit(Exception):
    """The deposit stays as it is; the message may be shown to staff."""


def request_deposit(*, account_id: str, amount: Decimal, currency: str, reference: str, by: Any) -> Deposit:
    """Note that money came in; nothing is booked until another person approves it.

    Raises UnableToRequestDeposit for a foreign currency or unknown account, ValidationError naming other fields.
    """
    expected = accounts.currencies_of(account_ids={account_id}).get(account_id)
    if expected is None:
        raise UnableToRequestDeposit(f"account_id: there is no account {account_id}.")
    if currency != expected:
        raise UnableToRequestDeposit(f"currency: account {account_id} is kept in {expected}, not {currency}.")
    deposit = Deposit(
        account_id=account_id, amount=amount, currency=currency, reference=reference, requested_by_id=by.pk
    )
    deposit.full_clean(exclude=["requested_by", "decided_by", "decided_at"])
    deposit.save()
    return deposit


def approve_deposit(*, tenant: str, deposit_id: int, by: Any, at: datetime) -> Deposit:
    """Approve a requested deposit as its second person; in the same transaction the engine is told to credit it.

    Raises UnableToDecideDeposit where it is decided already or `by` asked for it.
    """
    with transaction.atomic():
        deposit = _undecided(deposit_id=deposit_id, by=by)
        deposit.state, deposit.decided_by_id, deposit.decided_at = Deposit.State.APPROVED, by.pk, at
        deposit.save()
        reference = f"deposit:{deposit.pk}"
        tell_engine(
            tenant=tenant,
            command=CreditAccount(account_id=deposit.account_id, amount=deposit.amount, reference=reference),
            reference=reference,
            version="1",
            by=by.get_username(),
        )
    return deposit


def reject_deposit(*, deposit_id: int, by: Any, at: datetime) -> Deposit:
    """Refuse a requested deposit as its second person. Raises UnableToDecideDeposit as approval does."""
    with transaction.atomic():
        deposit = _undecided(deposit_id=deposit_id, by=by)
        deposit.state, deposit.decided_by_id, deposit.decided_at = Deposit.State.REJECTED, by.pk, at
        deposit.save()
    return deposit


def _undecided(*, deposit_id: int, by: Any) -> Deposit:
    deposit = Deposit.objects.select_for_update().filter(pk=deposit_id).first()
    if deposit is None or deposit.state != Deposit.State.REQUESTED:
        raise UnableToDecideDeposit("This deposit is decided already, or there is none.")
    if deposit.requested_by_id == by.pk:
        raise UnableToDecideDeposit("A deposit needs a second pair of eyes.")
    return deposit
