"""Orders, fills and positions as people read them: projections of the event log, and the strategies that may trade.

Every projected row carries the seq of the last event folded into it, so that projecting again changes nothing.
Quantities are lots, prices in the quote currency, money in the account's currency.
"""

from __future__ import annotations

from decimal import Decimal

from django.contrib.postgres.indexes import BrinIndex
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models

from piggy.core import accounts as core
from piggy.core.commands import ConfigureStrategy
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side, TimeInForce, exit_of
from piggy.core.strategies import settings_fault

ZERO = Decimal(0)
SIDES = [(side.value, side.value) for side in Side]
STATES = [(state.value, state.value.replace("_", " ")) for state in OrderState]
TYPES = [(kind.value, kind.value.replace("_", " ")) for kind in OrderType]
TIMES_IN_FORCE = [(tif.value, tif.value.upper()) for tif in TimeInForce]


def _number(**options: object) -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(max_digits=28, decimal_places=10, **options)  # type: ignore[arg-type]


class Order(models.Model):
    """A client's order. `seq` is its first event, `routed_seq` that of its last routing decision, 0 where it has none.

    All its terms, every check of the gate and every venue considered stay in those events (selectors.decided). Of them
    `reasons` holds the checks that it did not pass, `best_venue` and `best_price` the routing's first choice, if any.
    `guaranteed_stop` was asked of its stop-loss, or where it has none of the order itself. `expires_at` is of what
    is good till a date.
    """

    order_id = models.CharField(primary_key=True, max_length=60)
    seq = models.BigIntegerField(unique=True)
    last_seq = models.BigIntegerField()
    account_id = models.CharField(max_length=40)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4, choices=SIDES)
    type = models.CharField(max_length=20, choices=TYPES)
    quantity = _number()
    limit_price = _number(null=True)
    stop_price = _number(null=True)
    guaranteed_stop = models.BooleanField(default=False)
    time_in_force = models.CharField(max_length=4, choices=TIMES_IN_FORCE)
    expires_at = models.DateTimeField(null=True)
    trailing_distance = _number(null=True)
    take_profit = _number(null=True)
    stop_loss = _number(null=True)
    state = models.CharField(max_length=20, choices=STATES)
    filled = _number(default=ZERO)
    notional = _number(default=ZERO)
    average_price = _number(default=ZERO)
    group = models.CharField(max_length=60, blank=True)
    mode = models.CharField(max_length=10, blank=True)
    source = models.CharField(max_length=80)
    principal = models.CharField(max_length=200)
    client_order_id = models.CharField(max_length=100, blank=True)
    routed_seq = models.BigIntegerField(default=0)
    reasons = models.JSONField(null=True)
    best_venue = models.CharField(max_length=40, blank=True)
    best_price = _number(null=True)
    text = models.TextField(blank=True)
    requote_price = _number(null=True)
    requote_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    # What was asked for; only on a row that selectors.with_terms gave it.
    terms: OrderTerms

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "-seq"], name="order_of_account"),
            models.Index(fields=["symbol", "-seq"], name="order_of_symbol"),
        ]

    def __str__(self) -> str:
        return self.order_id

    @property
    def leaves(self) -> Decimal:
        """Lots that may still be filled."""
        return ZERO if OrderState(self.state).final else self.quantity - self.filled

    @property
    def parent_order_id(self) -> str | None:
        """The entry that named this exit, None of any other order."""
        found = exit_of(terms=self.terms, source=self.source)
        return found[0] if found else None

    @property
    def exit(self) -> str | None:
        """Which exit this is, `take_profit` or `stop_loss`; None of any other order."""
        found = exit_of(terms=self.terms, source=self.source)
        return found[1] if found else None


class ChildOrder(models.Model):
    """One leg of an order at one venue."""

    cl_ord_id = models.CharField("ClOrdID", primary_key=True, max_length=100)
    last_seq = models.BigIntegerField()
    order_id = models.CharField(max_length=60, db_index=True)
    venue = models.CharField(max_length=40)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4, choices=SIDES)
    quantity = _number()
    limit_price = _number()
    time_in_force = models.CharField(max_length=4)
    attempt = models.PositiveIntegerField()
    state = models.CharField(max_length=20)
    filled = _number(default=ZERO)
    notional = _number(default=ZERO)
    venue_order_id = models.CharField(max_length=100, blank=True)
    code = models.CharField(max_length=60, blank=True)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.cl_ord_id


class Fill(models.Model):
    """A client's fill, one per OrderFilled event; a bust adds a row of minus its lots and money (OrderFillBusted).

    At a guaranteed stop the client paid `premium`, and the house gave `guarantee_cost` over the market's price.
    """

    seq = models.BigIntegerField(primary_key=True)
    fill_id = models.CharField(max_length=120)
    order_id = models.CharField(max_length=60, db_index=True)
    account_id = models.CharField(max_length=40)
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4, choices=SIDES)
    quantity = _number()
    price = _number()
    raw_price = _number()
    book = models.CharField(max_length=5)
    counterparty = models.CharField(max_length=60, blank=True)
    realised = _number()
    commission = _number()
    markup_revenue = _number()
    premium = _number(default=ZERO)
    guarantee_cost = _number(default=ZERO)
    conversion_rate = models.DecimalField(max_digits=38, decimal_places=18)
    position_id = models.CharField(max_length=100)
    reason = models.TextField(blank=True)
    filled_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "-seq"], name="fill_of_account"),
            BrinIndex(fields=["filled_at"], name="fill_in_time"),
        ]

    def __str__(self) -> str:
        return self.fill_id


class Position(models.Model):
    """Signed lots of one symbol in one account; a flat one stays as history with quantity 0."""

    position_id = models.CharField(primary_key=True, max_length=100)
    last_seq = models.BigIntegerField()
    account_id = models.CharField(max_length=40)
    symbol = models.CharField(max_length=40)
    quantity = _number()
    cost = _number()
    a_lots = _number(default=ZERO)
    cross_lots = _number(default=ZERO)
    b_lots = _number(default=ZERO)
    realised = _number(default=ZERO)
    margin = _number(default=ZERO)
    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account_id", "symbol"], name="position_of_account")]

    def __str__(self) -> str:
        return self.position_id

    @property
    def average_price(self) -> Decimal:
        """The volume-weighted open price; 0 when flat."""
        return self.cost / self.quantity if self.quantity else ZERO


class Strategy(models.Model):
    """A signal source that may trade one account by webhook; its secret is derived, never stored."""

    strategy_id = models.CharField(max_length=60, unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*$")])
    version = models.PositiveIntegerField(default=0, editable=False)
    account_id = models.CharField(max_length=40)
    enabled = models.BooleanField(default=True)
    key_version = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    previous_key_valid = models.BooleanField(default=False)
    quantity_max = models.DecimalField(
        max_digits=28, decimal_places=10, default=Decimal(10), validators=[MinValueValidator(Decimal("0.0000000001"))]
    )
    sources = models.JSONField(
        default=list, blank=True, help_text="Addresses that signals may come from; none means any."
    )
    position_lots_max = models.DecimalField(
        max_digits=28, decimal_places=10, null=True, blank=True, help_text="Lots in one symbol, either way."
    )
    loss_day_max = models.DecimalField(
        max_digits=28,
        decimal_places=10,
        null=True,
        blank=True,
        help_text="In the account's currency; past it only what reduces is taken.",
    )
    wait_ms_max = models.PositiveIntegerField(
        default=0, help_text="How long a signal waits for the position that it expects; 0 refuses it at once."
    )
    shadow = models.BooleanField(default=False, help_text="Decide and record what it signals, and deal nothing.")

    class Meta:
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.strategy_id

    def clean(self) -> None:
        """Refuse what the desk would refuse, by its field."""
        sources: object = self.sources
        if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
            raise ValidationError({"sources": 'A list of texts, as ["192.0.2.1", "198.51.100.0/24"].'})
        if fault := settings_fault(strategy=self.to_core()):
            raise ValidationError({fault[0]: fault[1]})

    @property
    def reference(self) -> str:
        """The name of this row in the outbox."""
        return f"strategy:{self.strategy_id}"

    def to_command(self) -> ConfigureStrategy:
        """Return what the engine is told."""
        return ConfigureStrategy(strategy=self.to_core())

    def to_core(self) -> core.Strategy:
        """Return the engine's copy of this row."""
        return core.Strategy(
            strategy_id=self.strategy_id,
            account_id=self.account_id,
            enabled=self.enabled,
            key_version=self.key_version,
            previous_key_valid=self.previous_key_valid,
            quantity_max=self.quantity_max,
            sources=tuple(self.sources),
            position_lots_max=self.position_lots_max,
            loss_day_max=self.loss_day_max,
            wait_ms_max=self.wait_ms_max,
            shadow=self.shadow,
        )
