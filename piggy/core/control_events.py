"""Events of control: margin settings, clearances, overrides and latches; part of the log as those of events.py are."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from piggy.core.auctions import AuctionPhase, AuctionRules
from piggy.core.clearance import Calendar, Locate, Override, Permissions
from piggy.core.limits import LimitChange
from piggy.core.margin import MarginSettings
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms
from piggy.core.stress import OptionModel
from piggy.core.verdicts import Event, RoutingDecision, Verdict


class MarginConfigured(Event, frozen=True, kw_only=True):
    """From the next fill on, `group` is margined in `symbol` ('*': every symbol without its own) as `settings` say."""

    group: str
    symbol: str
    settings: MarginSettings


class OrderShadowed(Event, frozen=True, kw_only=True):
    """What would have become of an order: its verdict and, where it passed, its routing and fills; nothing did."""

    terms: OrderTerms
    source: str
    verdict: Verdict
    routing: RoutingDecision | None = None
    filled: Decimal = ZERO
    average_price: Decimal = ZERO


class OptionModelConfigured(Event, frozen=True, kw_only=True):
    model: OptionModel


class SymbolMarginChanged(Event, frozen=True, kw_only=True):
    """A news window ended: the account's margin in the symbol is `margin` again, in its currency."""

    account_id: str
    symbol: str
    margin: Decimal


class PermissionsConfigured(Event, frozen=True, kw_only=True):
    account_id: str
    permissions: Permissions


class RestrictionsConfigured(Event, frozen=True, kw_only=True):
    """P-04: the whole restricted list of a scope (firm, tenant or client); `key` is the owner for a client, else ''."""

    scope: str
    key: str
    symbols: frozenset[str]


class CalendarConfigured(Event, frozen=True, kw_only=True):
    calendar: Calendar


class OverrideGranted(Event, frozen=True, kw_only=True):
    """P-26: one order is let through: `key` is the hash of its terms, or its id where it is to be amended."""

    override: Override
    key: str


class ThrottleLatched(Event, frozen=True, kw_only=True):
    """P-15: the account traded too often in its window; only a person opens it again."""

    account_id: str


class ThrottleReleased(Event, frozen=True, kw_only=True):
    account_id: str
    by: str
    reason: str


class ClientConnectionChanged(Event, frozen=True, kw_only=True):
    """P-29: a client session that asked for cancel on disconnect dropped off, or is back."""

    account_id: str
    connected: bool
    occurred_at_us: int


class DailyVolumeRecorded(Event, frozen=True, kw_only=True):
    """P-21: what the whole market dealt in a symbol on a business date, in lots."""

    symbol: str
    business_date: date
    lots: Decimal


class LocateRecorded(Event, frozen=True, kw_only=True):
    """P-23: the account may borrow these lots of the symbol until then; none any more where they are 0."""

    account_id: str
    symbol: str
    locate: Locate
    by: str


class ReviewSigned(Event, frozen=True, kw_only=True):
    """P-30: the yearly review of controls; `due_at_us` is when the next one must have been signed."""

    signed_by: str
    reference: str
    due_at_us: int


class LimitsChanged(Event, frozen=True, kw_only=True):
    """P-28: a group's limits for part of a day."""

    group: str
    change: LimitChange


class LimitsReverted(Event, frozen=True, kw_only=True):
    """P-28: a change is over, by its time or by a person; the group's own limits hold again."""

    group: str


class LimitUseChanged(Event, frozen=True, kw_only=True):
    """P-27: the use of a limit reached `level_percent` of it (50, 80, 100), or fell below what it had reached.

    `raised` tells an alert from its end; `text` says what is limited.
    """

    account_id: str
    code: str
    level_percent: Decimal
    raised: bool
    value: Decimal
    limit: Decimal
    text: str


class ExposureUseChanged(Event, frozen=True, kw_only=True):
    """P-27 of P-19: what the tenant, the firm or a venue has open reached `level_percent` of a group's limit of that,
    or fell below what it had reached.

    `scope` is tenant, firm or venue, `key` the venue's name, else ''. `value` and `limit` (None: there is none any
    more) are in `currency`, which accounts of `group` have.
    """

    scope: str
    key: str
    group: str
    currency: str
    level_percent: Decimal
    raised: bool
    value: Decimal
    limit: Decimal | None
    code: str = "P-19"


class AuctionsConfigured(Event, frozen=True, kw_only=True):
    rules: AuctionRules


class PhaseChanged(Event, frozen=True, kw_only=True):
    """A symbol's call began or ended, or it opened or closed; `by` is empty where the desk did it itself."""

    symbol: str
    phase: AuctionPhase
    ends_at_us: int | None
    reason: str
    by: str


class AuctionUncrossed(Event, frozen=True, kw_only=True):
    """A call was matched at one price; its fills follow. `surplus` above nothing is of buyers, in lots."""

    symbol: str
    price: Decimal
    lots: Decimal
    surplus: Decimal


ControlEvent = (
    AuctionUncrossed
    | AuctionsConfigured
    | PhaseChanged
    | CalendarConfigured
    | ClientConnectionChanged
    | DailyVolumeRecorded
    | ExposureUseChanged
    | LimitUseChanged
    | LimitsChanged
    | LimitsReverted
    | LocateRecorded
    | MarginConfigured
    | OptionModelConfigured
    | OrderShadowed
    | OverrideGranted
    | PermissionsConfigured
    | RestrictionsConfigured
    | ReviewSigned
    | SymbolMarginChanged
    | ThrottleLatched
    | ThrottleReleased
)
