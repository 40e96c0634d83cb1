"""FIX sessions that clients and regulators open with us: who they are, how far each is, and what each was told."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from apps.common.two_people import Request, four_eyes
from piggy.adapters.fix_clients.config import Kind

COMP_ID = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", "Use letters, digits, - and _.")


class FixClient(models.Model):
    """One session. Its TargetCompID is the broker's schema name in capitals, its SenderCompID is `comp_id`.

    `password` is a hash, as we only compare; '' lets nobody in. `copied_seq` is the last event numbered for it.
    """

    comp_id = models.CharField(max_length=40, unique=True, validators=[COMP_ID])
    kind = models.CharField(max_length=10, choices=[(k.value, k.value.replace("_", " ")) for k in Kind])
    enabled = models.BooleanField(default=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose accounts it may trade or hear of.",
    )
    every_account = models.BooleanField(default=False, help_text="A drop copy of all accounts, as for a regulator.")
    accounts = models.JSONField(default=list, blank=True, help_text="None: all accounts of the user.")
    in_lots = models.BooleanField(default=False, help_text="Quantities in lots; else in units of the base currency.")
    cancel_on_disconnect = models.BooleanField(default=False)
    sources = models.JSONField(default=list, blank=True, help_text="Addresses that it may come from; none means any.")
    password = models.CharField(max_length=200, editable=False, blank=True)
    incoming = models.BigIntegerField(default=1, editable=False)
    outgoing = models.BigIntegerField(default=1, editable=False)
    copied_seq = models.BigIntegerField(default=0, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "FIX client"

    def __str__(self) -> str:
        return self.comp_id

    def clean(self) -> None:
        """Orders are somebody's; a list is a list of texts. Raises ValidationError."""
        super().clean()
        if self.kind == Kind.ORDERS and (self.user_id is None or self.every_account):
            raise ValidationError({"user": "A session that trades needs one user, and only that user's accounts."})
        if self.user_id is None and not self.every_account and not self.accounts:
            raise ValidationError({"accounts": "Whose reports? Name a user, accounts, or every account."})
        for field in ("accounts", "sources"):
            value = getattr(self, field)
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ValidationError({field: 'A list of texts, as ["A1"].'})


class PasswordChange(Request):
    """A session's new password, hashed, that waits for a second person; the hash is forgotten once it is decided."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey(FixClient, on_delete=models.CASCADE, related_name="password_changes")
    password = models.CharField(max_length=200, editable=False, blank=True)

    class Meta:
        verbose_name = "FIX password change"
        constraints = [
            four_eyes("gateway_password_four_eyes"),
            models.UniqueConstraint(
                fields=["client"], condition=models.Q(state="requested"), name="gateway_password_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.client} password"


class OrderCopy(models.Model):
    """What one event made of one order, as clients are told it (adapters/fix_clients/outbound.Copy), by that event."""

    seq = models.BigIntegerField(primary_key=True)
    account_id = models.CharField(max_length=40)
    order_id = models.CharField(max_length=60)
    cl_ord_id = models.CharField("ClOrdID", max_length=100)
    facts = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "seq"], name="gateway_copy_of_account"),
            models.Index(fields=["order_id", "-seq"], name="gateway_copy_of_order"),
            models.Index(fields=["cl_ord_id", "-seq"], name="gateway_copy_by_client_id"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} {self.seq}"


class CopyCursor(models.Model):
    """How far the log has been copied; one row."""

    seq = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.seq)


class SentMessage(models.Model):
    """What a session was told under one number: the report of an event, or, where no event says it, a text of ours.

    `refuses` is the client's message that it ends: should that come again, it is not to be taken.
    """

    client = models.ForeignKey(FixClient, on_delete=models.CASCADE, related_name="sent")
    number = models.BigIntegerField()
    copy_seq = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=2, default="8")
    body = models.TextField(blank=True)
    refuses = models.BigIntegerField(null=True)
    sent_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "number"], name="gateway_number_once")]
        indexes = [
            models.Index(
                fields=["client", "refuses"], condition=models.Q(refuses__isnull=False), name="gateway_refused_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.client_id} {self.number}"


class Asked(models.Model):
    """A ClOrdID that a client used, written before the desk hears of it; `command_id` is what the desk knows it by."""

    client = models.ForeignKey(FixClient, on_delete=models.CASCADE, related_name="asked")
    cl_ord_id = models.CharField("ClOrdID", max_length=64)
    kind = models.CharField(max_length=1, choices=[("D", "order"), ("F", "cancel"), ("G", "replacement")])
    order_id = models.CharField(max_length=60, blank=True)
    request_hash = models.CharField(max_length=64)
    command_id = models.UUIDField(db_index=True)
    asked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "cl_ord_id"], name="gateway_asked_once")]
        indexes = [models.Index(fields=["order_id"], name="gateway_asked_of_order")]

    def __str__(self) -> str:
        return self.cl_ord_id
