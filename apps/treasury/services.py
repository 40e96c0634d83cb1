from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.accounts import selectors as accounts
from apps.common.two_people import undecided
from apps.outbox.services import tell_engine
from apps.treasury.models import Deposit, Withdrawal
from piggy.core.commands import CreditAccount, DebitAccount

OF_THE_DECISION = ["requested_by", "decided_by", "decided_at"]
NOTE_MAX = 200


class UnableToRequestDeposit(Exception):
    """Nothing was written; the message names the field and may be shown to staff."""


class UnableToDecideDeposit(Exception):
    """The deposit stays as it is; the message may be shown to staff."""


class UnableToRequestWithdrawal(Exception):
    """Nothing was written; the message names the field and may be shown to staff."""


class UnableToDecideWithdrawal(Exception):
    """The withdrawal stays as it is; the message may be shown to staff."""


def request_deposit(*, account_id: str, amount: Decimal, currency: str, reference: str, by: Any) -> Deposit:
    """Note that money came in; nothing is booked until another person approves it.

    Raises UnableToRequestDeposit for a foreign currency or unknown account, ValidationError naming other fields.
    """
    if fault := misnamed(account_id=account_id, currency=currency):
        raise UnableToRequestDeposit(fault)
    deposit = Deposit(
        account_id=account_id, amount=amount, currency=currency, reference=reference, requested_by_id=by.pk
    )
    deposit.full_clean(exclude=OF_THE_DECISION)
    deposit.save()
    return deposit


def approve_deposit(*, tenant: str, deposit_id: int, by: Any, at: datetime) -> Deposit:
    """Approve a requested deposit as its second person; in the same transaction the engine is told to credit it.

    Raises UnableToDecideDeposit where it is decided already or `by` asked for it.
    """
    with transaction.atomic():
        deposit = undecided(model=Deposit, pk=deposit_id, by=by, refusal=UnableToDecideDeposit)
        deposit.decide(state=Deposit.State.APPROVED, by=by, at=at)
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
        deposit = undecided(model=Deposit, pk=deposit_id, by=by, refusal=UnableToDecideDeposit)
        deposit.decide(state=Deposit.State.REJECTED, by=by, at=at)
        deposit.save()
    return deposit


def request_withdrawal(
    *, account_id: str, amount: Decimal, currency: str, reference: str, reason: str, by: Any
) -> Withdrawal:
    """Note that a client is to be paid; nothing is booked until another person approves it and the engine agrees.

    Raises UnableToRequestWithdrawal for a foreign currency or unknown account, ValidationError naming other fields.
    """
    if fault := misnamed(account_id=account_id, currency=currency):
        raise UnableToRequestWithdrawal(fault)
    withdrawal = Withdrawal(
        account_id=account_id,
        amount=amount,
        currency=currency,
        reference=reference,
        reason=reason,
        requested_by_id=by.pk,
    )
    withdrawal.full_clean(exclude=[*OF_THE_DECISION, "command_id"])
    withdrawal.save()
    return withdrawal


def approve_withdrawal(*, tenant: str, withdrawal_id: int, confirm: str, by: Any, at: datetime) -> Withdrawal:
    """Approve a requested withdrawal as its second person; in the same transaction the engine is told to debit it.

    The engine refuses what is not free: `settle` says which. Raises UnableToDecideWithdrawal where it is decided
    already, `by` asked for it, or `confirm` does not repeat it.
    """
    with transaction.atomic():
        withdrawal = undecided(model=Withdrawal, pk=withdrawal_id, by=by, refusal=UnableToDecideWithdrawal)
        if confirm.strip().lower() != withdrawal.confirmation.lower():
            raise UnableToDecideWithdrawal(f'Confirm with "{withdrawal.confirmation}".')
        reference = f"withdrawal:{withdrawal.pk}"
        told = tell_engine(
            tenant=tenant,
            command=DebitAccount(account_id=withdrawal.account_id, amount=withdrawal.amount, reference=reference),
            reference=reference,
            version="1",
            by=by.get_username(),
            reason=withdrawal.reason,
        )
        withdrawal.decide(state=Withdrawal.State.APPROVED, by=by, at=at)
        withdrawal.command_id = told.command_id
        withdrawal.save()
    return withdrawal


def reject_withdrawal(*, withdrawal_id: int, by: Any, at: datetime) -> Withdrawal:
    """Refuse a requested withdrawal as its second person. Raises UnableToDecideWithdrawal as approval does."""
    with transaction.atomic():
        withdrawal = undecided(model=Withdrawal, pk=withdrawal_id, by=by, refusal=UnableToDecideWithdrawal)
        withdrawal.decide(state=Withdrawal.State.REJECTED, by=by, at=at)
        withdrawal.save()
    return withdrawal


def settle_withdrawal(*, command_id: UUID, refusal: str) -> None:
    """Note what the log says of an approved withdrawal: booked, or why the engine refused it; repeatable."""
    state = Withdrawal.State.REFUSED if refusal else Withdrawal.State.BOOKED
    told = Withdrawal.objects.filter(command_id=command_id, state=Withdrawal.State.APPROVED)
    told.update(state=state, note=refusal[:NOTE_MAX])


def misnamed(*, account_id: str, currency: str) -> str:
    """Return what is wrong with an account or its currency as "field: text", nothing where both are right."""
    expected = accounts.currencies_of(account_ids={account_id}).get(account_id)
    if expected is None:
        return f"account_id: there is no account {account_id}."
    return "" if currency == expected else f"currency: account {account_id} is kept in {expected}, not {currency}."
