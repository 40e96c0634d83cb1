"""Money coming in and going out with two people, and the general ledger with two sides."""

from __future__ import annotations

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models

from apps.common.two_people import Request, four_eyes
from piggy.core.money import plain

AMOUNT_MIN = Decimal("0.01")


class GlAccount(models.Model):
    """An account of the general ledger; `kind` says on which side it grows."""

    code = models.CharField(primary_key=True, max_length=40)
    kind = models.CharField(max_length=12)

    class Meta:
        verbose_name = "ledger account"

    def __str__(self) -> str:
        return self.code


class JournalEntry(models.Model):
    """What one event moved; its postings sum to zero per currency, which the database checks."""

    seq = models.BigIntegerField(primary_key=True)
    event_type = models.CharField(max_length=60)
    reference = models.CharField(max_length=200, blank=True)
    booked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "journal entries"

    def __str__(self) -> str:
        return f"{self.seq} {self.event_type}"


class Posting(models.Model):
    """One line of an entry: debit above zero, credit below. `owner` is the trading account or venue behind it."""

    # A trigger checks what both name once a statement; the indexes below begin with them.
    entry = models.ForeignKey(
        JournalEntry, on_delete=models.PROTECT, related_name="postings", db_constraint=False, db_index=False
    )
    line = models.PositiveSmallIntegerField()
    gl_account = models.ForeignKey(
        GlAccount,
        verbose_name="ledger account",
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    owner = models.CharField(max_length=60, blank=True)
    currency = models.CharField(max_length=10)
    amount = models.DecimalField(max_digits=28, decimal_places=10)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry", "line"], name="posting_once")]
        indexes = [models.Index(fields=["gl_account", "owner", "currency"], name="posting_balance")]

    def __str__(self) -> str:
        return f"{self.gl_account_id} {plain(self.amount)} {self.currency}"


class Movement(Request):
    """Money of a client that comes in or goes out: asked for by one person and approved by another."""

    account_id = models.CharField(max_length=40, db_index=True)
    amount = models.DecimalField(
        max_digits=28, decimal_places=10, validators=[MinValueValidator(AMOUNT_MIN, f"At least {AMOUNT_MIN}.")]
    )
    currency = models.CharField(max_length=5)
    reference = models.CharField(max_length=100, unique=True, help_text="The bank's or payment provider's reference.")

    class Meta:
        abstract = True


class Deposit(Movement):
    """Money that a client paid in."""

    class Meta:
        constraints = [
            four_eyes("deposit_four_eyes", violation_error_message="A deposit needs a second pair of eyes."),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="deposit_above_zero"),
        ]

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency} to {self.account_id}"


class Withdrawal(Movement):
    """Money that a client is paid out. Approved is told to the engine, which books it or refuses what is not free.

    Only what is booked is paid: `note` is why the engine refused.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        APPROVED = "approved"
        BOOKED = "booked"
        REFUSED = "refused"  # By the engine.
        REJECTED = "rejected"  # By the second person.

    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    reason = models.CharField(max_length=500)
    command_id = models.UUIDField(null=True, editable=False, unique=True)
    note = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        constraints = [
            four_eyes("withdrawal_four_eyes"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="withdrawal_above_zero"),
        ]

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency} from {self.account_id}"

    @property
    def confirmation(self) -> str:
        """What its second person types, as nothing takes a booked one back."""
        return f"pay {plain(self.amount)} {self.currency}"
