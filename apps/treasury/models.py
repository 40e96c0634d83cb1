"""Money coming in with two people, and the general ledger with two sides."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

DEPOSIT_MIN = Decimal("0.01")


class GlAccount(models.Model):
    """An account of the general ledger; `kind` says on which side it grows."""

    code = models.CharField(primary_key=True, max_length=40)
    kind = models.CharField(max_length=12)

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
        GlAccount, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    owner = models.CharField(max_length=60, blank=True)
    currency = models.CharField(max_length=10)
    amount = models.DecimalField(max_digits=28, decimal_places=10)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry", "line"], name="posting_once")]
        indexes = [models.Index(fields=["gl_account", "owner", "currency"], name="posting_balance")]

    def __str__(self) -> str:
        return f"{self.gl_account_id} {self.amount} {self.currency}"


class Deposit(models.Model):
    """Money that a client paid in; asked for by one person and approved by another."""

    class State(models.TextChoices):
        REQUESTED = "requested"
        APPROVED = "approved"
        REJECTED = "rejected"

    account_id = models.CharField(max_length=40, db_index=True)
    amount = models.DecimalField(
        max_digits=28, decimal_places=10, validators=[MinValueValidator(DEPOSIT_MIN, f"At least {DEPOSIT_MIN}.")]
    )
    currency = models.CharField(max_length=5)
    reference = models.CharField(max_length=100, unique=True, help_text="The bank's or payment provider's reference.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True) | ~models.Q(decided_by=models.F("requested_by")),
                name="deposit_four_eyes",
                violation_error_message="A deposit needs a second pair of eyes.",
            ),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="deposit_above_zero"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} to {self.account_id}"
