"""LPs' statements held against our own record: how each writes them, every run, and every break with its history."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from piggy.core.reconciliation import BreakKind

ZERO = Decimal(0)
COLUMNS_NEEDED = ("reference", "symbol", "quantity", "price", "traded_at")
# `order`: our id of the order. `kind`: what the line is, an execution unless it is one of the words below.
COLUMNS_ALSO = ("side", "fee", "order", "kind")
# A choice, for who types a tab into a form goes on to its next field.
DELIMITERS = [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")]
KINDS = [(kind.value, kind.value.replace("_", " ")) for kind in BreakKind]


def _columns() -> dict[str, str]:
    # Every column that is named has to be in the file, so what may be missing is left to whoever knows the LP.
    return {name: name for name in ("reference", "symbol", "side", "quantity", "price", "traded_at")}


def _buys() -> list[str]:
    return ["buy", "b", "1"]


def _sells() -> list[str]:
    return ["sell", "s", "2"]


def _positions() -> list[str]:
    return ["position"]


def _balances() -> list[str]:
    return ["balance"]


def _cancels() -> list[str]:
    return ["cancel", "cancelled", "canceled", "bust", "busted"]


def _money() -> list[str]:
    return ["swap", "rollover", "financing", "interest"]


class StatementFormat(models.Model):
    """How one LP writes its statements. Data, so that another LP needs no code."""

    venue = models.CharField(max_length=20, unique=True, help_text="The LP's name, as under Liquidity providers.")
    columns = models.JSONField(
        default=_columns,
        help_text="What each of our fields is called in the first line; fee, order and kind may be left out, and side "
        "where the sign of the quantity says it.",
    )
    delimiter = models.CharField(max_length=1, default=",", choices=DELIMITERS)
    encoding = models.CharField(max_length=20, default="utf-8-sig")
    decimal_mark = models.CharField(max_length=1, default=".", choices=[(".", "1,000.5"), (",", "1.000,5")])
    time_format = models.CharField(max_length=60, default="%Y-%m-%d %H:%M:%S", help_text="As Python's strptime.")
    time_zone = models.CharField(max_length=60, default="UTC", help_text="Of the times, and so of the trade dates.")
    buy_words = models.JSONField(default=_buys)
    sell_words = models.JSONField(default=_sells)
    position_words = models.JSONField(
        default=_positions,
        help_text="Kinds of lines with what is held at the end: symbol, and quantity with its sign or its side.",
    )
    balance_words = models.JSONField(
        default=_balances,
        help_text="Kinds of lines with a balance: currency under symbol, amount under quantity; the first and the last "
        "of a currency count.",
    )
    money_words = models.JSONField(
        default=_money,
        help_text="Kinds of lines with what moved a balance beside the deals: currency under symbol, amount with its "
        "sign under quantity. Taken as the LP says it, for only the LP knows.",
    )
    cancel_words = models.JSONField(
        default=_cancels,
        help_text="Kinds of lines that take the execution of their reference back, wherever it stands in the file.",
    )
    in_units = models.BooleanField(default=False, help_text="Quantities are units of the LP's symbol, not lots.")
    price_tolerance = models.DecimalField(
        max_digits=28, decimal_places=10, default=ZERO, validators=[MinValueValidator(ZERO)]
    )
    fee_tolerance = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal("0.01"), validators=[MinValueValidator(ZERO)]
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"Statements of {self.venue}"

    def clean(self) -> None:
        """Refuse what no file could be read by. Raises ValidationError naming the field."""
        faults: dict[str, str] = {}
        columns: Any = self.columns
        if not isinstance(columns, dict) or not all(isinstance(name, str) and name for name in columns.values()):
            faults["columns"] = 'Column names by field: {"reference": "ExecID", …}.'
        elif missing := [name for name in COLUMNS_NEEDED if name not in columns]:
            faults["columns"] = f"Needs a column for {', '.join(missing)}."
        elif strange := [name for name in columns if name not in (*COLUMNS_NEEDED, *COLUMNS_ALSO)]:
            faults["columns"] = f"There is no field {', '.join(strange)}."
        for field in ("buy_words", "sell_words", "position_words", "balance_words", "money_words", "cancel_words"):
            words: Any = getattr(self, field)
            if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
                faults[field] = 'A list of words: ["Buy", "B"].'
        if self.time_zone not in available_timezones():
            faults["time_zone"] = "A name as Europe/London."
        try:
            # Python has codecs that make no text, and "undefined".
            "Aa1".encode(self.encoding).decode(self.encoding)
        except (LookupError, UnicodeError):
            faults["encoding"] = "A name as utf-8 or cp1252."
        if faults:
            raise ValidationError(faults)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the statement's times."""
        return ZoneInfo(self.time_zone)


class Reconciliation(models.Model):
    """One run of a statement against the log up to event `seq`; a later run is a row of its own."""

    venue = models.CharField(max_length=20)
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    since = models.DateField()
    until = models.DateField()
    lines = models.PositiveIntegerField()
    ours = models.PositiveIntegerField()
    seq = models.BigIntegerField()
    breaks_new = models.PositiveIntegerField()
    breaks_known = models.PositiveIntegerField()
    breaks_gone = models.PositiveIntegerField()
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("add", "view")

    def __str__(self) -> str:
        return f"{self.venue} {self.since} to {self.until}"


class Break(models.Model):
    """One difference between an LP and us, with an owner until somebody explains and closes it."""

    class State(models.TextChoices):
        OPEN = "open"
        EXPLAINED = "explained"
        CLOSED = "closed"

    venue = models.CharField(max_length=20)
    kind = models.CharField(max_length=15, choices=KINDS)
    reference = models.CharField(max_length=120)
    occurrence = models.PositiveSmallIntegerField(default=1)
    symbol = models.CharField(max_length=40)
    ours = models.CharField(max_length=200, blank=True)
    theirs = models.CharField(max_length=200, blank=True)
    traded_on = models.DateField()
    line = models.PositiveIntegerField(default=0)
    found_in = models.ForeignKey(Reconciliation, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        permissions = (
            ("assign_break", "Can give a break to somebody"),
            ("explain_break", "Can explain a break"),
            ("close_break", "Can close a break"),
        )
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "kind", "reference", "ours", "theirs", "occurrence"],
                condition=~models.Q(state="closed"),
                name="reports_break_open_once",
            )
        ]
        indexes = [models.Index(fields=["venue", "traded_on"], name="reports_break_period")]

    def __str__(self) -> str:
        return f"{self.venue} {self.get_kind_display()} {self.reference}"


class BreakNote(models.Model):
    """What happened to a break, by whom and why; the database refuses to change or delete one."""

    class Act(models.TextChoices):
        FOUND = "found"
        ASSIGNED = "assigned"
        EXPLAINED = "explained"
        CLOSED = "closed"
        GONE = "gone"

    of = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="notes")
    act = models.CharField(max_length=10, choices=Act.choices)
    text = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.act} by {self.by}"
