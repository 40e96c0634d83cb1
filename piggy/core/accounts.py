"""Accounts and the groups whose settings they share."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec

MS_MAX = 86_400_000  # A day.
MARKUP_POINTS_MAX = 1_000_000_000
# Beyond these a setting means nothing, and exact arithmetic runs out of digits.
SETTING_MAX, COMMISSION_MAX = Decimal(10) ** 15, Decimal(1_000_000)


class BookMode(StrEnum):
    """How a group's flow is handled: passed to the best LP, kept, or split."""

    A = "A"
    B = "B"
    MIXED = "MIXED"


class PositionMode(StrEnum):
    NETTING = "netting"
    HEDGING = "hedging"


class ClientCategory(StrEnum):
    RETAIL = "retail"
    PROFESSIONAL = "professional"
    ELIGIBLE_COUNTERPARTY = "eligible_counterparty"


class TradingState(StrEnum):
    """P-01; the strictest of firm, tenant, group, account, symbol and LP wins."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"
    KILLED = "killed"


class StopOutMode(StrEnum):
    """SMART: the largest loser first. FAIR: every position gives the same share."""

    SMART = "smart"
    FAIR = "fair"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that a set of accounts shares; `version` grows with every change and is recorded on each order.

    Nobody is stopped out of a symbol unless `stop_out_quorum` venues agree on its price within `stop_out_band_bps`.
    Margin is called at `margin_call_percent` and restored at 105 % of it (liquidation.py).
    """

    name: str
    version: int = 1
    book_mode: BookMode = BookMode.B
    a_book_percent: Decimal = Decimal(100)
    bid_markup_points: int = 0
    ask_markup_points: int = 0
    commission_per_lot: Decimal = Decimal(0)
    leverage_max: Decimal = Decimal(30)
    margin_call_percent: Decimal = Decimal(100)
    stop_out_percent: Decimal = Decimal(50)
    negative_balance_protection: bool = True
    internal_cross: bool = True
    order_notional_max: Decimal = Decimal(250_000)  # P-07's own default; more is a decision.
    open_orders_max: int = 200
    slippage_bps_max: Decimal = Decimal(50)
    stop_out_mode: StopOutMode = StopOutMode.SMART
    stop_out_inclusive: bool = False
    stop_out_quorum: int = 1
    stop_out_band_bps: Decimal = Decimal(50)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One trading account. `owner_id` is the beneficial owner, whom self-trade prevention looks at.

    `category_evidence` names what shows that a client who is not retail may be treated so, of which day.
    """

    account_id: str
    group: str
    owner_id: str
    currency: str
    category: ClientCategory = ClientCategory.RETAIL
    position_mode: PositionMode = PositionMode.NETTING
    open: bool = True
    category_evidence: str = ""
    category_evidenced_on: date | None = None


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A liquidity provider as routing sees it; lower `priority` is asked first among equals.

    A `shadow` venue is quoted, ranked and recorded, and never sent an order; with `canary_percent` it is sent so many
    percent of the orders that it would get. A leg that has not ended after `answer_ms_max` is asked back.
    `messages_per_s_max` is what its contract allows (P-14); without it the group's limit holds.
    """

    name: str
    enabled: bool = True
    priority: int = 100
    quote_age_ms_max: int = 5_000
    answer_ms_max: int = 5_000
    symbols: tuple[str, ...] = ()
    commission_per_million: Decimal = Decimal(0)
    shadow: bool = False
    canary_percent: Decimal | None = None
    messages_per_s_max: int | None = None


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """A signal source that may trade one account by webhook.

    Its secret is derived from the installation's signal key and `key_version`, so none is stored; the previous version
    stays valid while `previous_key_valid` is set, until `previous_key_until_us` at the latest, which the desk sets.
    One signal opens at most `quantity_max` lots; what it closes is not counted, for a close is never too large.
    A signal that expects another position than there is waits `wait_ms_max` for it and is then refused. `loss_day_max`
    is in the account's currency. What a `shadow` strategy signals is decided and recorded, and never dealt.
    """

    strategy_id: str
    account_id: str
    enabled: bool = True
    key_version: int = 1
    previous_key_valid: bool = False
    quantity_max: Decimal = Decimal(10)
    sources: tuple[str, ...] = ()
    previous_key_until_us: int = 0
    position_lots_max: Decimal | None = None
    loss_day_max: Decimal | None = None
    wait_ms_max: int = 0
    shadow: bool = False


def group_fault(*, group: Group) -> tuple[str, str] | None:
    """Return (field, what is wrong) of settings that no order could be judged by, None for good ones."""
    for name in _GROUP_NUMBERS:
        number: Decimal = getattr(group, name)
        if not (number.is_finite() and 0 <= number <= SETTING_MAX):
            return name, f"{name} is from 0 to {SETTING_MAX}"
    if group.commission_per_lot > COMMISSION_MAX:
        return "commission_per_lot", f"commission_per_lot is from 0 to {COMMISSION_MAX}"
    if group.leverage_max < 1:
        return "leverage_max", "a leverage is at least 1"
    if group.a_book_percent > 100:
        return "a_book_percent", "a_book_percent is from 0 to 100"
    for name in ("bid_markup_points", "ask_markup_points"):
        if abs(getattr(group, name)) > MARKUP_POINTS_MAX:
            return name, f"{name} is from -{MARKUP_POINTS_MAX} to {MARKUP_POINTS_MAX}"
    if group.open_orders_max < 0:
        return "open_orders_max", "open_orders_max is not below nothing"
    return None


def venue_fault(*, venue: Venue) -> tuple[str, str] | None:
    """Return (field, what is wrong) of terms that no venue could be ranked by, None for good ones."""
    if not (venue.commission_per_million.is_finite() and 0 <= venue.commission_per_million <= COMMISSION_MAX):
        return "commission_per_million", f"commission_per_million is from 0 to {COMMISSION_MAX}"
    canary = venue.canary_percent
    if canary is not None and not (canary.is_finite() and 0 <= canary <= 100):
        return "canary_percent", "canary_percent is from 0 to 100"
    if venue.messages_per_s_max is not None and venue.messages_per_s_max < 0:
        return "messages_per_s_max", "messages_per_s_max is not below nothing"
    for name in ("quote_age_ms_max", "answer_ms_max"):
        if not 0 <= getattr(venue, name) <= MS_MAX:
            return name, f"{name} is from 0 to {MS_MAX} milliseconds"
    return None


_GROUP_NUMBERS = (
    "a_book_percent",
    "commission_per_lot",
    "leverage_max",
    "margin_call_percent",
    "stop_out_percent",
    "order_notional_max",
    "slippage_bps_max",
    "stop_out_band_bps",
)
