"""What dealers did at the desk, changes that end by themselves, and how each dealer has laid the page out."""

from __future__ import annotations

from django.conf import settings
from django.db import models

MINUTES_MAX = 1_440


class DeskAction(models.Model):
    """One thing a dealer did, and why; written in the transaction that does it, and never changed (append-only).

    `payload` is the command as it was told to the engine, empty where only the broker's own tables changed.
    """

    key = models.CharField(max_length=100)
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    body = models.JSONField()
    request_hash = models.CharField(max_length=64)
    command_id = models.UUIDField(null=True)
    payload = models.BinaryField(default=b"")
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["by", "key"], name="desk_action_once")]
        indexes = [models.Index(fields=["subject", "-id"], name="desk_action_of_subject")]
        permissions = [
            ("watch_desk", "Can watch the dealing desk"),
            ("stop_trading", "Can halt, reduce, kill and reopen"),
            ("deal_for_client", "Can place orders for clients"),
            ("cancel_for_client", "Can cancel clients' orders"),
            ("answer_request", "Can answer orders that wait for a dealer"),
            ("deal_for_house", "Can hedge and flatten by hand"),
            ("decide_hedge", "Can approve and reject queued hedges"),
            ("change_terms", "Can change routing and spread for a while"),
            ("change_limits", "Can ask for other limits for a while"),
            ("approve_change", "Can approve another's change of limits"),
            ("bust_fill", "Can take fills back and correct them"),
            ("flatten_clients", "Can close what a stopped scope still holds"),
            ("run_market", "Can begin and end calls"),
            ("keep_records", "Can record locates and daily volumes"),
            ("ask_override", "Can ask to let a denied order through"),
            ("grant_override", "Can let a denied order through and release a throttle"),
            ("settle_doubt", "Can say, and settle after another, how a leg in doubt ended"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class TimedChange(models.Model):
    """Other terms of a group for some minutes; what the fields were before is put back when the time is over."""

    class State(models.TextChoices):
        ASKED = "asked"
        LIVE = "live"
        ENDED = "ended"
        REJECTED = "rejected"

    action = models.OneToOneField(DeskAction, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)
    group = models.CharField(max_length=60)
    before = models.JSONField(default=dict)
    after = models.JSONField()
    minutes = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices)
    asked_by = models.CharField(max_length=150)
    approved_by = models.CharField(max_length=150, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)
    live_at = models.DateTimeField(null=True)
    reverts_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "group"],
                name="timed_change_one_at_a_time",
                condition=models.Q(state__in=["asked", "live"]),
            ),
            models.CheckConstraint(
                condition=models.Q(minutes__gte=1, minutes__lte=MINUTES_MAX), name="timed_change_minutes"
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="change-limits") | ~models.Q(approved_by=models.F("asked_by")),
                name="timed_change_of_limits_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.group}"


class DeskLayout(models.Model):
    """Where a dealer's panels are and what else the page remembers."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    layout = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"layout of {self.user_id}"
