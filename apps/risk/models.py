"""Money and margin of each account as the log tells it, and the record of margin calls. Never written by hand."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

ZERO = Decimal(0)


def _money() -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(max_digits=28, decimal_places=10, default=ZERO)


class AccountMargin(models.Model):
    """The parts of an account's equity that follow from events, in its currency; floating profit is the engine's."""

    account_id = models.CharField(primary_key=True, max_length=40)
    last_seq = models.BigIntegerField()
    currency = models.CharField(max_length=5)
    balance = _money()
    deposited = _money()
    withdrawn = _money()
    realised = _money()
    commission = _money()
    margin_called = models.BooleanField(default=False)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.account_id


class MarginCall(models.Model):
    """A margin call, the end of one, a stop-out or a write-off, as the engine recorded it."""

    seq = models.BigIntegerField(primary_key=True)
    account_id = models.CharField(max_length=40, db_index=True)
    kind = models.CharField(max_length=20)
    equity = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    used_margin = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    level_percent = models.DecimalField(max_digits=28, decimal_places=10, null=True)
    detail = models.JSONField(default=list)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.account_id}"
