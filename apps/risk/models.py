"""Money and margin of each account as the log tells it, the record of margin calls, and the limits of each group."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from piggy.core.commands import ConfigureLimits
from piggy.core.instruments import AssetClass
from piggy.core.limits import COLLAR_PERCENT, HOUSE_LIMITS, OF_THE_GROUP, WINDOWS, Limits
from piggy.core.money import plain

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
    premiums = _money()
    swaps = _money()
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


class DepreciationNotice(models.Model):
    """A retail client's position lost another tenth of its initial value (2017/565 Art 62(2)).

    `initial` and `value` are in `currency`, the account's. The client is told when his program fetches it; who tells
    him in another way says so.
    """

    account_id = models.CharField(max_length=40)
    position_id = models.CharField(max_length=100)
    symbol = models.CharField(max_length=40)
    opened_at = models.DateTimeField()
    percent = models.PositiveIntegerField()
    initial = models.DecimalField(max_digits=28, decimal_places=10)
    value = models.DecimalField(max_digits=28, decimal_places=10)
    currency = models.CharField(max_length=5)
    price = models.DecimalField(max_digits=28, decimal_places=10)
    at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    told_by = models.CharField(max_length=200, blank=True)

    class Meta:
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["position_id", "opened_at", "percent"], name="risk_notice_once")]
        indexes = [models.Index(fields=["account_id", "-id"], name="risk_notice_of_account")]

    def __str__(self) -> str:
        return f"{self.symbol} of {self.account_id} lost {self.percent} %"


class LossShare(models.Model):
    """How many retail accounts that dealt from `since` to `measured_at` lost money: what the risk warning must say."""

    # One a business day, however many workers are told to measure at once (F-26).
    day = models.DateField(unique=True, null=True, editable=False)
    since = models.DateTimeField()
    measured_at = models.DateTimeField()
    accounts = models.PositiveIntegerField()
    losing = models.PositiveIntegerField()

    class Meta:
        default_permissions = ("view",)
        get_latest_by = "measured_at"

    def __str__(self) -> str:
        return f"{self.losing} of {self.accounts} accounts lost money"


def _amount(default: Decimal | None, text: str = "") -> models.DecimalField:  # type: ignore[type-arg]
    # No limit may be empty: to the gate, a limit that is not set refuses every order.
    return models.DecimalField(
        max_digits=28, decimal_places=10, default=default, validators=[MinValueValidator(0)], help_text=text
    )


def _short(value: Any) -> Any:
    """Return a number without the zeros that fill its column up."""
    return Decimal(plain(value)) if isinstance(value, Decimal) else value


def _count(default: int | None, text: str = "") -> models.PositiveIntegerField:  # type: ignore[type-arg]
    return models.PositiveIntegerField(default=default, help_text=text)


def default_collars() -> dict[str, str]:
    """Return how far a price may be from the mid by asset class, in percent, as the house has it."""
    return {kind.value: str(percent) for kind, percent in COLLAR_PERCENT.items()}


def default_located() -> list[str]:
    """Return the asset classes whose short sale needs a locate, as the house has it."""
    return sorted(kind.value for kind in HOUSE_LIMITS.locate_required)


def default_alerts() -> list[str]:
    """Return the percents of a limit's use that alert, as the house has it."""
    return [str(percent) for percent in HOUSE_LIMITS.alert_percents]


class ControlsReview(models.Model):
    """A yearly review of the controls, as somebody certified it (P-30); while none holds, nobody trades."""

    reference = models.CharField(max_length=120, help_text="The document that was signed.")
    signed_by = models.CharField(max_length=150, editable=False)
    signed_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ("-signed_at",)

    def __str__(self) -> str:
        return f"{self.reference}, signed by {self.signed_by}"


class GroupLimits(models.Model):
    """The pre-trade limits of a group beside those on the group itself; effective on its next order.

    Volumes are lots; values, exposures and losses are in the account's currency.
    """

    group = models.OneToOneField("accounts.Group", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(default=0, editable=False)
    order_volume_max_lots = _amount(HOUSE_LIMITS.order_volume_max_lots, "P-08: lots of one order.")
    collar_percent = models.JSONField(
        default=default_collars, help_text="P-09: how far a price may be from the mid, in percent by asset class."
    )
    collar_age_ms_max = _count(HOUSE_LIMITS.collar_age_ms_max, "P-09: age of the mid.")
    price_age_ms_max = _count(HOUSE_LIMITS.price_age_ms_max, "P-11: age of the price that an order trades at.")
    close_on_stale_price = models.BooleanField(default=False, help_text="P-11: let reductions through all the same.")
    window_value_max = _amount(HOUSE_LIMITS.window_value_max, "P-12: value of all orders within the window.")
    window_s = _count(HOUSE_LIMITS.window_s, "P-12: seconds.")
    duplicate_window_ms = _count(HOUSE_LIMITS.duplicate_window_ms, "P-13: the same order again within this time.")
    account_messages_per_s_max = _count(HOUSE_LIMITS.account_messages_per_s_max, "P-14.")
    tenant_messages_per_s_max = _count(HOUSE_LIMITS.tenant_messages_per_s_max, "P-14.")
    venue_messages_per_s_max = _count(HOUSE_LIMITS.venue_messages_per_s_max, "P-14.")
    executions_max = _count(HOUSE_LIMITS.executions_max, "P-15: executions within the window.")
    executions_window_s = _count(HOUSE_LIMITS.executions_window_s, "P-15: seconds.")
    rejects_consecutive_max = _count(HOUSE_LIMITS.rejects_consecutive_max, "P-16: rejects in a row.")
    rejects_percent_max = _amount(HOUSE_LIMITS.rejects_percent_max, "P-16: percent rejected within 30 s.")
    position_net_max_lots = _amount(HOUSE_LIMITS.position_net_max_lots, "P-18: one account in one symbol.")
    position_gross_max_lots = _amount(HOUSE_LIMITS.position_gross_max_lots, "P-18: one account in one symbol.")
    exposure_account_max = _amount(HOUSE_LIMITS.exposure_account_max, "P-19.")
    exposure_tenant_max = _amount(HOUSE_LIMITS.exposure_tenant_max, "P-19.")
    exposure_venue_max = _amount(HOUSE_LIMITS.exposure_venue_max, "P-19.")
    exposure_firm_max = _amount(HOUSE_LIMITS.exposure_firm_max, "P-19.")
    loss_daily_account_max = _amount(HOUSE_LIMITS.loss_daily_account_max, "P-20.")
    loss_daily_tenant_max = _amount(HOUSE_LIMITS.loss_daily_tenant_max, "P-20.")
    volume_share_percent_max = _amount(HOUSE_LIMITS.volume_share_percent_max, "P-21: percent of the daily volume.")
    locate_required = models.JSONField(default=default_located, help_text="P-23: asset classes shorted with a locate.")
    alert_percents = models.JSONField(default=default_alerts, help_text="P-27: use of a limit that calls for the desk.")
    disconnect_grace_s = _count(HOUSE_LIMITS.disconnect_grace_s, "Seconds before orders of a lost session end.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "group limits as told"

    def __str__(self) -> str:
        return f"limits of {self.group}"

    def clean(self) -> None:
        """Refuse a collar of no asset class, or one that is no percent."""
        try:
            self.to_core()
        except (ValueError, ArithmeticError, AttributeError, TypeError) as error:
            if named := [name for name in WINDOWS if str(error).startswith(name)]:
                raise ValidationError({named[0]: str(error)}) from error
            message = f"Write percents by asset class ({', '.join(kind.value for kind in AssetClass)}) as text."
            raise ValidationError({"collar_percent": message}) from error

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"limits:{self.group.name}"

    def to_command(self) -> ConfigureLimits:
        """Return what the engine is told."""
        return ConfigureLimits(group=self.group.name, limits=self.to_core())

    def to_core(self) -> Limits:
        """Return the engine's copy of this row."""
        names = [field.name for field in self._meta.fields if field.name in Limits.__struct_fields__]
        values = {name: _short(getattr(self, name)) for name in names}
        values["collar_percent"] = {AssetClass(kind): Decimal(text) for kind, text in self.collar_percent.items()}
        values["locate_required"] = frozenset(AssetClass(kind) for kind in self.locate_required)
        values["alert_percents"] = tuple(Decimal(text) for text in self.alert_percents)
        values |= {name: getattr(HOUSE_LIMITS, name) for name in OF_THE_GROUP}
        return Limits(**values)

    def take(self, *, limits: Limits) -> None:
        """Say what `limits` says, but for what is the group's own."""
        for name in {field.name for field in self._meta.fields} & set(Limits.__struct_fields__) - {"version"}:
            setattr(self, name, getattr(limits, name))
        self.collar_percent = {kind.value: str(percent) for kind, percent in limits.collar_percent.items()}
        self.locate_required = sorted(kind.value for kind in limits.locate_required)
        self.alert_percents = [str(percent) for percent in limits.alert_percents]
