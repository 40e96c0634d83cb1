"""Requests that one person writes down and another decides: who, when, and what became of them, the same everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import models


class Request(models.Model):
    """What waits for a second person; whoever decided it is never whoever asked, which the database holds to."""

    class State(models.TextChoices):
        REQUESTED = "requested"
        APPROVED = "approved"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"  # By a newer request.

    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def decide(self, *, state: str, by: Any, at: datetime) -> None:
        """Say who decided it, how and when; nothing is saved."""
        self.state, self.decided_by_id, self.decided_at = state, by.pk, at


Made = TypeVar("Made", bound=Request)


def four_eyes(name: str, **more: Any) -> models.CheckConstraint:
    """Return the constraint of that name by which nobody decides what they asked for."""
    condition = models.Q(decided_by__isnull=True) | ~models.Q(decided_by=models.F("requested_by"))
    return models.CheckConstraint(condition=condition, name=name, **more)


def undecided(*, model: type[Made], pk: Any, by: Any, refusal: type[Exception]) -> Made:
    """Return a request, locked, for `by` to decide as its second person; raises `refusal` where that cannot be."""
    row = model._default_manager.select_for_update().filter(pk=pk).first()
    if row is None or row.state != Request.State.REQUESTED:
        raise refusal("This is decided already, or there is none.")
    if row.requested_by_id == by.pk:
        raise refusal(f"A {model._meta.verbose_name} needs a second pair of eyes.")
    return row
