"""What a tenant lets its clients trade; the row that the engine's copy is made from."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from apps.common.times import microseconds, moment
from piggy.core import instruments as core
from piggy.core.commands import ConfigureInstrument
from piggy.core.quotefilter import QuoteFilter

# What open positions are counted in stays as it was first written.
FIXED = ("base", "quote", "contract_size", "price_digits", "lot_digits")
POSITIVE = MinValueValidator(Decimal("0.0000000001"), "This must be above 0.")


class Instrument(models.Model):
    """One symbol. `version` grows with every change; quantities are lots of `contract_size` units."""

    symbol = models.CharField(
        max_length=40, unique=True, validators=[RegexValidator(r"^[A-Z0-9.\-]+$", "Use A-Z, 0-9, dot and dash.")]
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    asset_class = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in core.AssetClass])
    base = models.CharField(max_length=10)
    quote = models.CharField(max_length=10)
    contract_size = models.DecimalField(max_digits=28, decimal_places=10, validators=[POSITIVE])
    price_digits = models.PositiveSmallIntegerField(validators=[MaxValueValidator(10)])
    tick_size = models.DecimalField(max_digits=28, decimal_places=10, validators=[POSITIVE])
    lot_digits = models.PositiveSmallIntegerField(default=2, validators=[MaxValueValidator(8)])
    lot_min = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal("0.01"), validators=[POSITIVE])
    lot_max = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal(100), validators=[POSITIVE])
    lot_step = models.DecimalField(max_digits=28, decimal_places=10, default=Decimal("0.01"), validators=[POSITIVE])
    margin_percent = models.DecimalField(
        max_digits=10, decimal_places=4, default=Decimal(5), validators=[POSITIVE, MaxValueValidator(Decimal(100))]
    )
    tradable = models.BooleanField(default=True)
    option_underlying = models.CharField(max_length=40, blank=True)
    option_kind = models.CharField(
        max_length=4, blank=True, choices=[(kind.value, kind.value) for kind in core.OptionKind]
    )
    option_strike = models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True)
    option_expires_at = models.DateTimeField(null=True, blank=True)
    cross_first = models.CharField(max_length=40, blank=True)
    cross_second = models.CharField(max_length=40, blank=True)
    cross_kind = models.CharField(
        max_length=8, blank=True, choices=[(kind.value, kind.value) for kind in core.CrossKind]
    )
    # Which quotes are not believed at once; blank in all three, the house's own filter says.
    filter_spike_bps_max = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    filter_reference_age_ms_max = models.PositiveIntegerField(null=True, blank=True)
    filter_good_ticks = models.PositiveIntegerField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(lot_min__lte=models.F("lot_max")),
                name="instrument_lot_bounds",
                violation_error_message="lot_min must not be above lot_max.",
            )
        ]

    def __str__(self) -> str:
        return self.symbol

    def clean(self) -> None:
        """Refuse steps and option terms that do not fit together, naming the field."""
        errors: dict[str, str] = {}
        if None not in (self.lot_step, self.lot_min) and self.lot_min % self.lot_step:
            errors["lot_min"] = f"lot_min must be a multiple of lot_step {self.lot_step}."
        if None not in (self.tick_size, self.price_digits) and self.tick_size < Decimal(1).scaleb(-self.price_digits):
            errors["tick_size"] = f"tick_size must be at least one point of {self.price_digits} digits."
        is_option = self.asset_class == core.AssetClass.OPTION
        terms = (self.option_underlying, self.option_kind, self.option_strike, self.option_expires_at)
        if is_option != all(terms) or (not is_option and any(terms)):
            errors["option_strike"] = "An option needs all four option fields, anything else none of them."
        legs = (self.cross_first, self.cross_second, self.cross_kind)
        if any(legs) and not all(legs):
            errors["cross_kind"] = "A cross needs all three cross fields, anything else none of them."
        quotes = (self.filter_spike_bps_max, self.filter_reference_age_ms_max, self.filter_good_ticks)
        if None in quotes and any(each is not None for each in quotes):
            errors["filter_good_ticks"] = "A filter of quotes needs all three fields, or none of them."
        if errors:
            raise ValidationError(errors)

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"instrument:{self.symbol}"

    def to_command(self) -> ConfigureInstrument:
        """Return what the engine is told."""
        return ConfigureInstrument(instrument=self.to_core())

    def take(self, *, instrument: core.Instrument) -> None:
        """Say what the engine's copy says. Raises ValidationError where that changes what is FIXED of a known one."""
        names = set(core.Instrument.__struct_fields__) - {"symbol", "option", "cross", "quote_filter", "asset_class"}
        moved = [name for name in FIXED if self.pk and getattr(self, name) != getattr(instrument, name)]
        if moved:
            stays = {name: [f"This stays {getattr(self, name)}: positions are counted in it."] for name in moved}
            raise ValidationError(stays)
        for name in names:
            setattr(self, name, getattr(instrument, name))
        self.asset_class, option = instrument.asset_class.value, instrument.option
        self.option_underlying = option.underlying if option else ""
        self.option_kind = option.kind.value if option else ""
        self.option_strike = option.strike if option else None
        self.option_expires_at = moment(option.expires_at_us) if option else None
        cross = instrument.cross
        self.cross_first, self.cross_second = (cross.first, cross.second) if cross else ("", "")
        self.cross_kind = cross.kind.value if cross else ""
        quotes = instrument.quote_filter
        self.filter_spike_bps_max = quotes.spike_bps_max if quotes else None
        self.filter_reference_age_ms_max = quotes.reference_age_ms_max if quotes else None
        self.filter_good_ticks = quotes.good_ticks if quotes else None

    def quote_filter(self) -> QuoteFilter | None:
        """Return what says which quotes of the symbol are not believed at once, None for the house's own."""
        spike, age_ms, ticks = self.filter_spike_bps_max, self.filter_reference_age_ms_max, self.filter_good_ticks
        if spike is None or age_ms is None or ticks is None:
            return None
        return QuoteFilter(spike_bps_max=spike, reference_age_ms_max=age_ms, good_ticks=ticks)

    def to_core(self) -> core.Instrument:
        """Return the engine's copy of this row."""
        option = None
        if self.option_strike is not None and self.option_expires_at is not None:
            option = core.OptionTerms(
                underlying=self.option_underlying,
                kind=core.OptionKind(self.option_kind),
                strike=self.option_strike.normalize(),
                expires_at_us=microseconds(self.option_expires_at),
            )
        cross = None
        if self.cross_kind:
            kind = core.CrossKind(self.cross_kind)
            cross = core.CrossTerms(first=self.cross_first, second=self.cross_second, kind=kind)
        return core.Instrument(
            symbol=self.symbol,
            asset_class=core.AssetClass(self.asset_class),
            base=self.base,
            quote=self.quote,
            contract_size=self.contract_size,
            price_digits=self.price_digits,
            tick_size=self.tick_size,
            lot_digits=self.lot_digits,
            lot_min=self.lot_min,
            lot_max=self.lot_max,
            lot_step=self.lot_step,
            margin_percent=self.margin_percent,
            tradable=self.tradable,
            option=option,
            cross=cross,
            quote_filter=self.quote_filter(),
        )
