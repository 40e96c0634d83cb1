"""Groups, clients and trading accounts: the rows that the engine's copies are made from."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from piggy.core import accounts as core
from piggy.core.clearance import Permissions
from piggy.core.commands import ConfigureAccount, ConfigureGroup
from piggy.core.limits import HOUSE_LIMITS

MARKUP_POINTS_MAX = 1_000
LEVERAGE_MAX = Decimal(500)
OPEN_ORDERS_MAX = 10_000
SLIPPAGE_BPS_MAX = Decimal(1_000)
PERCENT_MAX = Decimal(1_000)
VENUES_MAX = 20
# What names a group and counts its changes; the rest of the core's struct may be changed.
NAMED = ("name", "version")
NAME = RegexValidator(r"^[a-z0-9][a-z0-9-]*$", "Use a-z, 0-9 and dashes.")


def _between(lowest: Decimal | int, highest: Decimal | int) -> list[MinValueValidator | MaxValueValidator]:
    return [
        MinValueValidator(lowest, f"This must be at least {lowest}."),
        MaxValueValidator(highest, f"This must be at most {highest}."),
    ]


class Group(models.Model):
    """Settings that a set of accounts shares; `version` grows with every change and is recorded on each order."""

    name = models.CharField(max_length=60, unique=True, validators=[NAME])
    version = models.PositiveIntegerField(default=0, editable=False)
    book_mode = models.CharField(
        max_length=5,
        default="B",
        choices=[(mode.value, mode.value) for mode in core.BookMode],
        help_text="A: passed to the best LP. B: kept, filled on the consolidated book. MIXED: both. Closing follows the"
        " book of its open.",
    )
    a_book_percent = models.DecimalField(
        max_digits=7,
        decimal_places=4,
        default=Decimal(100),
        validators=_between(0, 100),
        help_text="MIXED: the part passed to the best LP; the rest is kept.",
    )
    bid_markup_points = models.IntegerField(
        default=0,
        validators=_between(0, MARKUP_POINTS_MAX),
        help_text="Lowers the bid; 6 points of EURUSD are 0.00006.",
    )
    ask_markup_points = models.IntegerField(
        default=0, validators=_between(0, MARKUP_POINTS_MAX), help_text="Raises the ask."
    )
    commission_per_lot = models.DecimalField(
        max_digits=28,
        decimal_places=10,
        default=Decimal(0),
        validators=_between(0, 1_000),
        help_text="In the account's currency, on each side.",
    )
    leverage_max = models.DecimalField(
        max_digits=8,
        decimal_places=2,
        default=Decimal(30),
        validators=_between(1, LEVERAGE_MAX),
        help_text="The cap of the client's category holds where it is lower.",
    )
    margin_call_percent = models.DecimalField(
        max_digits=8,
        decimal_places=2,
        default=Decimal(100),
        validators=_between(1, PERCENT_MAX),
        help_text="Equity in percent of used margin.",
    )
    stop_out_percent = models.DecimalField(
        max_digits=8, decimal_places=2, default=Decimal(50), validators=_between(1, PERCENT_MAX)
    )
    negative_balance_protection = models.BooleanField(default=True)
    internal_cross = models.BooleanField(default=True)
    order_notional_max = models.DecimalField(
        max_digits=28, decimal_places=2, default=Decimal(250_000), validators=_between(1, 10**12)
    )
    open_orders_max = models.PositiveIntegerField(default=200, validators=_between(1, OPEN_ORDERS_MAX))
    slippage_bps_max = models.DecimalField(
        max_digits=8, decimal_places=2, default=Decimal(50), validators=_between(0, SLIPPAGE_BPS_MAX)
    )
    stop_out_mode = models.CharField(
        max_length=5,
        default=core.StopOutMode.SMART.value,
        choices=[(mode.value, mode.value) for mode in core.StopOutMode],
        help_text="Smart: the largest loser is closed first. Fair: every position gives the same share.",
    )
    stop_out_inclusive = models.BooleanField(default=False, help_text="Whether the stop-out's own percent is one.")
    stop_out_quorum = models.PositiveSmallIntegerField(
        default=1, validators=_between(1, VENUES_MAX), help_text="So many LPs agree on a price before anyone is closed."
    )
    stop_out_band_bps = models.DecimalField(
        max_digits=8,
        decimal_places=2,
        default=Decimal(50),
        validators=_between(0, SLIPPAGE_BPS_MAX),
        help_text="They agree within so much.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stop_out_percent__lt=models.F("margin_call_percent")),
                name="group_stop_out_below_call",
                violation_error_message="stop_out_percent must be below margin_call_percent.",
            ),
            models.CheckConstraint(
                condition=models.Q(a_book_percent__gte=0, a_book_percent__lte=100),
                name="group_a_book_percent",
                violation_error_message="a_book_percent must be between 0 and 100.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a stop-out at or above the margin call."""
        stop_out, call = self.stop_out_percent, self.margin_call_percent
        if None not in (stop_out, call) and stop_out >= call:
            raise ValidationError({"stop_out_percent": f"This must be below margin_call_percent {call}."})

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"group:{self.name}"

    def to_command(self) -> ConfigureGroup:
        """Return what the engine is told."""
        return ConfigureGroup(group=self.to_core(), limits=HOUSE_LIMITS)

    def take(self, *, group: core.Group) -> None:
        """Say what the engine's copy says, but for name and version."""
        for name in set(core.Group.__struct_fields__) - set(NAMED):
            value = getattr(group, name)
            setattr(self, name, value.value if isinstance(value, StrEnum) else value)

    def to_core(self) -> core.Group:
        """Return the engine's copy of this row."""
        return core.Group(
            name=self.name,
            version=self.version,
            book_mode=core.BookMode(self.book_mode),
            a_book_percent=self.a_book_percent,
            bid_markup_points=self.bid_markup_points,
            ask_markup_points=self.ask_markup_points,
            commission_per_lot=self.commission_per_lot,
            leverage_max=self.leverage_max,
            margin_call_percent=self.margin_call_percent,
            stop_out_percent=self.stop_out_percent,
            negative_balance_protection=self.negative_balance_protection,
            internal_cross=self.internal_cross,
            order_notional_max=self.order_notional_max,
            open_orders_max=self.open_orders_max,
            slippage_bps_max=self.slippage_bps_max,
            stop_out_mode=core.StopOutMode(self.stop_out_mode),
            stop_out_inclusive=self.stop_out_inclusive,
            stop_out_quorum=self.stop_out_quorum,
            stop_out_band_bps=self.stop_out_band_bps,
        )


class Client(models.Model):
    """A person or firm that trades; `reference` is the beneficial owner whom self-trade prevention looks at."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    kyc_approved = models.BooleanField("KYC approved", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Account(models.Model):
    """One trading account of a client; its id is what orders and events name."""

    account_id = models.CharField(
        max_length=40, unique=True, validators=[RegexValidator(r"^[A-Za-z0-9-]+$", "Use letters, digits and dashes.")]
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=5, validators=[RegexValidator(r"^[A-Z]{3,5}$", "Use an ISO 4217 code.")])
    category = models.CharField(
        max_length=30,
        default=core.ClientCategory.RETAIL.value,
        choices=[(kind.value, kind.value) for kind in core.ClientCategory],
    )
    category_evidence = models.CharField(
        max_length=300,
        blank=True,
        help_text="What shows that a client who is not retail may be treated so: the document, and where it is kept.",
    )
    category_evidenced_on = models.DateField(null=True, blank=True, help_text="The date of that document.")
    position_mode = models.CharField(
        max_length=10, default="netting", choices=[(mode.value, mode.value) for mode in core.PositionMode]
    )
    open = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.account_id

    def clean(self) -> None:
        """Refuse a client who is not retail without the evidence and its date (G-13)."""
        if self.category == core.ClientCategory.RETAIL.value:
            return
        needed = f"A client who is {self.category.replace('_', ' ')} needs this."
        faults = {name: needed for name in ("category_evidence", "category_evidenced_on") if not getattr(self, name)}
        if self.category_evidenced_on and self.category_evidenced_on > timezone.now().date():
            faults["category_evidenced_on"] = "Evidence cannot be of a day to come."
        if faults:
            raise ValidationError(faults)

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"account:{self.account_id}"

    def to_command(self) -> ConfigureAccount:
        """Return what the engine is told."""
        return ConfigureAccount(account=self.to_core(), clearance=self.clearance)

    @property
    def clearance(self) -> Permissions | None:
        """What its client is cleared for until compliance says otherwise; nothing before identity is established."""
        return Permissions.granted() if self.client.kyc_approved else None

    def to_core(self) -> core.Account:
        """Return the engine's copy of this row; nobody trades whose identity is not, or no more, established (P-02)."""
        return core.Account(
            account_id=self.account_id,
            group=self.group.name,
            owner_id=self.client.reference,
            currency=self.currency,
            category=core.ClientCategory(self.category),
            category_evidence=self.category_evidence,
            category_evidenced_on=self.category_evidenced_on,
            position_mode=core.PositionMode(self.position_mode),
            open=self.open and self.client.kyc_approved,
        )
