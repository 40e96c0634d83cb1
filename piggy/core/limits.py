"""Limits of the pre-trade gate. A limit that is not set (None) refuses; none may be negative or not a number.

Volumes are lots, values and exposures are in the account's currency, percents are of 100, names end in their unit.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import Group
from piggy.core.activity import SECONDS_KEPT
from piggy.core.instruments import AssetClass

WINDOWS = ("window_s", "executions_window_s")
# Limits that a group's own settings say, each with its name there.
OF_THE_GROUP = {
    "order_value_max": "order_notional_max",
    "orders_open_max": "open_orders_max",
    "slippage_bps_max": "slippage_bps_max",
}
ALERT_PERCENTS = (Decimal(50), Decimal(80), Decimal(100))  # P-27.
# The name travels in ValueError so that a decoder reports it as a bad message and not as a crash.


class UnableToSetLimit(ValueError):
    """A limit was negative, infinite or not a number."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit that an order is held against; `version` is that of the group's settings."""

    version: int = 1
    order_value_max: Decimal | None = None
    order_volume_max_lots: Decimal | None = None
    collar_percent: dict[AssetClass, Decimal] = {}
    collar_age_ms_max: int | None = None
    slippage_bps_max: Decimal | None = None
    price_age_ms_max: int | None = None
    close_on_stale_price: bool = False
    window_value_max: Decimal | None = None
    window_s: int = 60
    duplicate_window_ms: int | None = None
    account_messages_per_s_max: int | None = None
    tenant_messages_per_s_max: int | None = None
    venue_messages_per_s_max: int | None = None
    executions_max: int | None = None
    executions_window_s: int = 60
    rejects_consecutive_max: int | None = None
    rejects_percent_max: Decimal | None = None
    position_net_max_lots: Decimal | None = None
    position_gross_max_lots: Decimal | None = None
    orders_open_max: int | None = None
    exposure_account_max: Decimal | None = None
    exposure_tenant_max: Decimal | None = None
    exposure_venue_max: Decimal | None = None
    exposure_firm_max: Decimal | None = None
    loss_daily_account_max: Decimal | None = None
    loss_daily_tenant_max: Decimal | None = None
    volume_share_percent_max: Decimal | None = None
    locate_required: frozenset[AssetClass] = frozenset({AssetClass.SHARE})
    disconnect_grace_s: int = 30
    alert_percents: tuple[Decimal, ...] = ALERT_PERCENTS

    def __post_init__(self) -> None:
        for name in NUMBERS:
            value = getattr(self, name)
            if value is not None and not _usable(value):
                raise UnableToSetLimit(f"{name}: {value} is no limit; write 0 or more")
        for name in WINDOWS:
            if not 1 <= getattr(self, name) <= SECONDS_KEPT:
                raise UnableToSetLimit(f"{name}: from 1 to {SECONDS_KEPT} seconds")
        if not all(_usable(percent) for percent in self.collar_percent.values()):
            raise UnableToSetLimit("collar_percent: write 0 or more for each class")
        if not all(_usable(percent) and percent > 0 for percent in self.alert_percents):
            raise UnableToSetLimit("alert_percents: write numbers above 0")

    @classmethod
    def retail_defaults(
        cls,
        *,
        order_volume_max_lots: Decimal | None = None,
        position_net_max_lots: Decimal | None = None,
        position_gross_max_lots: Decimal | None = None,
        exposure_max: Decimal | None = None,
        loss_daily_account_max: Decimal | None = None,
        loss_daily_tenant_max: Decimal | None = None,
    ) -> Limits:
        """Return the defaults of P-01 to P-30; those that have none must be given, for unset refuses.

        `exposure_max` stands for account, tenant, venue and firm alike.
        """
        return cls(
            order_value_max=Decimal(250_000),
            order_volume_max_lots=order_volume_max_lots,
            collar_percent=dict(COLLAR_PERCENT),
            collar_age_ms_max=3_000,
            slippage_bps_max=Decimal(50),
            price_age_ms_max=3_000,
            window_value_max=Decimal(1_000_000),
            duplicate_window_ms=1_000,
            account_messages_per_s_max=10,
            tenant_messages_per_s_max=200,
            venue_messages_per_s_max=200,
            executions_max=50,
            rejects_consecutive_max=20,
            rejects_percent_max=Decimal(50),
            position_net_max_lots=position_net_max_lots,
            position_gross_max_lots=position_gross_max_lots,
            orders_open_max=200,
            exposure_account_max=exposure_max,
            exposure_tenant_max=exposure_max,
            exposure_venue_max=exposure_max,
            exposure_firm_max=exposure_max,
            loss_daily_account_max=loss_daily_account_max,
            loss_daily_tenant_max=loss_daily_tenant_max,
            volume_share_percent_max=Decimal(5),
        )

    def for_group(self, *, group: Group) -> Limits:
        """Return these limits with what the group sets for itself."""
        own = {name: getattr(group, theirs) for name, theirs in OF_THE_GROUP.items()}
        return msgspec.structs.replace(self, version=group.version, **own)


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """P-28: an intraday change of limits; from `reverts_at_us`, by the end of the day, the group's own hold again.

    It stands for what differs in `after` from `before`, with `whole` also where the group's settings say it.
    """

    before: Limits
    after: Limits
    reason: str
    asked_by: str
    approved_by: str
    from_us: int
    reverts_at_us: int
    whole: bool = False

    def over(self, *, own: Limits) -> Limits:
        """Return what orders are held against while this lasts: a group's `own` limits now, but for what it changes."""
        before, after = msgspec.structs.asdict(self.before), msgspec.structs.asdict(self.after)
        changed = {name: value for name, value in after.items() if value != before[name]}
        left_out = [name for name in OF_THE_GROUP if not self.whole or after[name] is None]
        for name in ("version", *left_out):
            changed.pop(name, None)
        return msgspec.structs.replace(own, **changed)


COLLAR_PERCENT = {
    AssetClass.FX_MAJOR: Decimal(1),
    AssetClass.FX_MINOR: Decimal(2),
    AssetClass.GOLD: Decimal(3),
    AssetClass.INDEX_MAJOR: Decimal(3),
    AssetClass.INDEX_MINOR: Decimal(3),
    AssetClass.COMMODITY: Decimal(5),
    AssetClass.SHARE: Decimal(10),
    AssetClass.CRYPTO: Decimal(10),
    AssetClass.OPTION: Decimal(50),
}
NUMBERS = tuple(
    field.name
    for field in msgspec.structs.fields(Limits)
    if field.name not in ("version", "alert_percents", "collar_percent", "close_on_stale_price", "locate_required")
)


def _usable(value: Decimal | int) -> bool:
    return Decimal(value).is_finite() and value >= 0


# What set-up gives a new group: the documented retail defaults, with room for a whole desk. The gate never falls back
# on it, and what a group's own settings say is not in it, so that neither hides a limit that nobody set.
HOUSE_LIMITS = msgspec.structs.replace(
    Limits.retail_defaults(
        order_volume_max_lots=Decimal(1_000),
        position_net_max_lots=Decimal(5_000),
        position_gross_max_lots=Decimal(10_000),
        exposure_max=Decimal(1_000_000_000),
        loss_daily_account_max=Decimal(1_000_000),
        loss_daily_tenant_max=Decimal(10_000_000),
    ),
    order_value_max=None,
    orders_open_max=None,
    slippage_bps_max=None,
)
UNSET_LIMITS = Limits()
