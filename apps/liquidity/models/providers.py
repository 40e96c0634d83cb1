"""Liquidity providers as the broker's staff set them up, and their names for our symbols."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from piggy.adapters.fix.config import DIALECTS, HEARTBEAT_S
from piggy.adapters.fix.numbers import UnableToReadHour, begun_by
from piggy.adapters.interface import ORDER_AGE_MS_MAX
from piggy.adapters.registry import KINDS
from piggy.core import accounts as core

FIX = "fix"
STEP = re.compile(r"(?=.*[1-9])\d{1,6}(\.\d{1,8})?", re.ASCII)
PORT = re.compile(r"[1-9]\d{0,4}", re.ASCII)
WORDS = re.compile(r"[ -~]*")
NAME_MAX = 20
NAME = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", "Use letters, digits, - and _.")
REST_URL = RegexValidator(r"^https?://[^\s/?#]+(/[^\s?#]*)?\Z", "An address that begins with https://.")
# A gateway that knows who may reach it is spoken to over a bare socket.
STREAM_URL = RegexValidator(
    r"^((wss?|https?)://[^\s/?#]+(/[^\s?#]*)?|tcp://[^\s/?#]+:\d+)\Z", "An address that begins with wss:// (or tcp://)."
)


def kinds() -> list[tuple[str, str]]:
    """Return every kind of venue that an adapter speaks to; a new one needs no migration."""
    return list(KINDS.items())


class LiquidityProvider(models.Model):
    """One LP of this broker, reached as its `kind` says; saving it through the services tells the engine."""

    class Stage(models.TextChoices):
        SHADOW = "shadow"  # Quoted, ranked and recorded, never sent an order.
        CANARY = "canary"  # Sent its percent of the orders that it would get.
        LIVE = "live"

    name = models.CharField(max_length=NAME_MAX, unique=True, validators=[NAME])
    version = models.PositiveIntegerField(default=0, editable=False)
    kind = models.CharField(max_length=20, default=FIX, choices=kinds)
    enabled = models.BooleanField(default=True, help_text="Off: logged out and no longer routed to.")
    host = models.CharField(max_length=200, default="127.0.0.1")
    port = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(65_535)], help_text="FIX only.")
    sender_comp_id = models.CharField(max_length=64, blank=True, help_text="FIX only.")
    target_comp_id = models.CharField(max_length=64, blank=True, help_text="FIX only.")
    username = models.CharField(max_length=64, blank=True)
    rest_url = models.CharField(max_length=200, blank=True, validators=[REST_URL], help_text="Empty: the venue's own.")
    stream_url = models.CharField(max_length=200, blank=True, validators=[STREAM_URL], help_text="As above.")
    account = models.CharField(max_length=64, blank=True, help_text="The account at the venue, where it has several.")
    settings = models.JSONField(
        default=dict, blank=True, help_text="What only this kind of venue asks for: texts by name."
    )
    dialect = models.CharField(max_length=20, default="standard", choices=[(name, name) for name in DIALECTS])
    heartbeat_s = models.PositiveIntegerField(default=HEARTBEAT_S, validators=[MinValueValidator(1)])
    order_age_ms_max = models.PositiveIntegerField(
        default=ORDER_AGE_MS_MAX, help_text="An order older than this when it could leave is refused, never sent."
    )
    priority = models.PositiveIntegerField(default=100, help_text="Lower is asked first among equals.")
    quote_age_ms_max = models.PositiveIntegerField(default=5_000, validators=[MinValueValidator(50)])
    answer_ms_max = models.PositiveIntegerField(
        default=5_000,
        validators=[MinValueValidator(100)],
        help_text="An order that it holds longer, as in a last look, is asked back; nothing else is sent meanwhile.",
    )
    messages_per_s_max = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="What its contract allows (P-14); empty: what the group's limits allow.",
    )
    commission_per_million = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(0), validators=[MinValueValidator(Decimal(0))]
    )
    stage = models.CharField(max_length=6, choices=Stage.choices, default=Stage.LIVE)
    canary_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=Decimal(5),
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
        help_text="How many percent of its orders a canary gets.",
    )
    staged_at = models.DateTimeField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """FIX needs its three names; other kinds need texts by name. Raises ValidationError."""
        super().clean()
        for field in ("port", "sender_comp_id", "target_comp_id") if self.kind == FIX else ():
            if not getattr(self, field):
                raise ValidationError({field: "A FIX session needs this."})
        if not isinstance(self.settings, dict) or not all(isinstance(text, str) for text in self.settings.values()):
            raise ValidationError({"settings": 'Texts by name, as {"name": "text"}.'})
        if self.kind == FIX:
            self._require_words()
        for field in ("drop_copy_port", "quotes_port"):
            if not PORT.fullmatch(self.settings.get(field, "1")):
                raise ValidationError({"settings": f"{field}: a port's number."})
        if self.settings.get("resets_at_logon", "yes") not in ("yes", "no"):
            raise ValidationError({"settings": "resets_at_logon: yes or no."})
        if agreed := self.settings.get("numbers_begin_at"):
            try:
                begun_by(agreed=agreed, now=datetime.now(UTC))
            except UnableToReadHour as error:
                raise ValidationError({"settings": f"numbers_begin_at: {error}."}) from error
        if self.settings.get("drop_copy") and len(self.name) >= NAME_MAX:
            raise ValidationError({"name": f"With a drop copy it has fewer than {NAME_MAX} letters."})
        if not STEP.fullmatch(self.settings.get("lot_step", "0.01")):
            raise ValidationError({"settings": 'lot_step: the smallest step in lots, as "0.01".'})

    def _require_words(self) -> None:
        """What goes into a field of FIX is one line of plain characters. Raises ValidationError."""
        own = {name: getattr(self, name) for name in ("sender_comp_id", "target_comp_id", "username", "account")}
        for name, text in (*own.items(), *self.settings.items()):
            if not WORDS.fullmatch(text):
                field = name if name in own else "settings"
                raise ValidationError({field: f"{name}: letters, digits, signs and blanks in one line."})

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"venue:{self.name}"

    def to_core(self) -> core.Venue:
        """Return the venue as routing sees it."""
        return core.Venue(
            name=self.name,
            enabled=self.enabled,
            priority=self.priority,
            quote_age_ms_max=self.quote_age_ms_max,
            answer_ms_max=self.answer_ms_max,
            messages_per_s_max=self.messages_per_s_max,
            symbols=tuple(self.symbols.filter(enabled=True).order_by("symbol").values_list("symbol", flat=True)),
            commission_per_million=self.commission_per_million,
            shadow=self.stage == self.Stage.SHADOW,
            canary_percent=self.canary_percent if self.stage == self.Stage.CANARY else None,
        )


class LpSymbol(models.Model):
    """Our symbol under the LP's name, and how many of its units one lot is."""

    provider = models.ForeignKey(LiquidityProvider, on_delete=models.CASCADE, related_name="symbols")
    symbol = models.CharField(max_length=40)
    venue_symbol = models.CharField(max_length=40)
    units_per_lot = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(100_000), validators=[MinValueValidator(Decimal("1e-10"))]
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name = "LP symbol"
        constraints = [
            models.UniqueConstraint(fields=["provider", "symbol"], name="liquidity_symbol_once"),
            models.UniqueConstraint(fields=["provider", "venue_symbol"], name="liquidity_venue_symbol_once"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} as {self.venue_symbol}"
