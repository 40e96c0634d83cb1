"""Events: what happened, in the past tense, frozen. An event that is not in the log never happened.

Every number that applying needs is in the event: `apply` reads no price and no clock. Quantities are lots, prices are
in the quote currency, money is in the account's currency unless a field says otherwise.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, Group, Strategy, TradingState, Venue
from piggy.core.cancel_events import ChildCancelRejected as ChildCancelRejected
from piggy.core.cancel_events import ChildCancelRequested as ChildCancelRequested
from piggy.core.child_events import ChildOrderAcknowledged as ChildOrderAcknowledged
from piggy.core.child_events import ChildOrderClosed as ChildOrderClosed
from piggy.core.child_events import ChildOrderCreated as ChildOrderCreated
from piggy.core.child_events import ChildOrderFilled as ChildOrderFilled
from piggy.core.child_events import ChildOrderInDoubt as ChildOrderInDoubt
from piggy.core.child_events import VenueReportSuspended as VenueReportSuspended
from piggy.core.control_events import AuctionsConfigured as AuctionsConfigured
from piggy.core.control_events import AuctionUncrossed as AuctionUncrossed
from piggy.core.control_events import CalendarConfigured as CalendarConfigured
from piggy.core.control_events import ClientConnectionChanged as ClientConnectionChanged
from piggy.core.control_events import ControlEvent
from piggy.core.control_events import DailyVolumeRecorded as DailyVolumeRecorded
from piggy.core.control_events import LimitsChanged as LimitsChanged
from piggy.core.control_events import LimitsReverted as LimitsReverted
from piggy.core.control_events import LimitUseChanged as LimitUseChanged
from piggy.core.control_events import LocateRecorded as LocateRecorded
from piggy.core.control_events import MarginConfigured as MarginConfigured
from piggy.core.control_events import OptionModelConfigured as OptionModelConfigured
from piggy.core.control_events import OrderShadowed as OrderShadowed
from piggy.core.control_events import OverrideGranted as OverrideGranted
from piggy.core.control_events import PermissionsConfigured as PermissionsConfigured
from piggy.core.control_events import PhaseChanged as PhaseChanged
from piggy.core.control_events import RestrictionsConfigured as RestrictionsConfigured
from piggy.core.control_events import ReviewSigned as ReviewSigned
from piggy.core.control_events import SymbolMarginChanged as SymbolMarginChanged
from piggy.core.control_events import ThrottleLatched as ThrottleLatched
from piggy.core.control_events import ThrottleReleased as ThrottleReleased
from piggy.core.conversion import ConversionLeg
from piggy.core.correction_events import CorrectionEvent
from piggy.core.dealer_events import DealerDecided as DealerDecided
from piggy.core.dealer_events import DealerEvent
from piggy.core.dealer_events import OrderClaimed as OrderClaimed
from piggy.core.dealer_events import OrderHeld as OrderHeld
from piggy.core.dealer_events import OrderRequoted as OrderRequoted
from piggy.core.expiry_events import ExpiryEvent
from piggy.core.expiry_events import OptionExpired as OptionExpired
from piggy.core.expiry_events import VenueSettled as VenueSettled
from piggy.core.house_events import HedgeApproved as HedgeApproved
from piggy.core.house_events import HedgeClosed as HedgeClosed
from piggy.core.house_events import HedgeFilled as HedgeFilled
from piggy.core.house_events import HedgeProposed as HedgeProposed
from piggy.core.house_events import HedgeSettled as HedgeSettled
from piggy.core.house_events import HedgingConfigured as HedgingConfigured
from piggy.core.house_events import HouseEvent
from piggy.core.house_events import RolledOver as RolledOver
from piggy.core.house_events import SwapCharged as SwapCharged
from piggy.core.house_events import SwapDeferred as SwapDeferred
from piggy.core.house_events import SwapFreeConfigured as SwapFreeConfigured
from piggy.core.house_events import SwapRestated as SwapRestated
from piggy.core.house_events import SwapsConfigured as SwapsConfigured
from piggy.core.house_events import VenueBooked as VenueBooked
from piggy.core.house_events import VenueBookOpened as VenueBookOpened
from piggy.core.instruments import Instrument
from piggy.core.leaving_events import LeavingEvent
from piggy.core.limits import Limits
from piggy.core.margin_events import MarginCalled as MarginCalled
from piggy.core.margin_events import MarginEvent
from piggy.core.margin_events import MarginRestored as MarginRestored
from piggy.core.margin_events import NegativeBalanceWrittenOff as NegativeBalanceWrittenOff
from piggy.core.margin_events import StoppedOut as StoppedOut
from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms, Side
from piggy.core.position_events import PositionsClosed as PositionsClosed
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.routing_rules import RoutingPolicy
from piggy.core.verdicts import Check as Check
from piggy.core.verdicts import Event as Event
from piggy.core.verdicts import RoutingDecision as RoutingDecision
from piggy.core.verdicts import VenueConsidered as VenueConsidered
from piggy.core.verdicts import Verdict as Verdict
from piggy.core.verdicts import told_checks as told_checks
from piggy.core.verdicts import told_decision as told_decision
from piggy.core.verdicts import told_to_client as told_to_client
from piggy.core.verdicts import told_verdict as told_verdict


class InstrumentConfigured(Event, frozen=True, kw_only=True):
    instrument: Instrument


class GroupConfigured(Event, frozen=True, kw_only=True):
    group: Group


class AccountConfigured(Event, frozen=True, kw_only=True):
    account: Account


class VenueConfigured(Event, frozen=True, kw_only=True):
    venue: Venue


class StrategyConfigured(Event, frozen=True, kw_only=True):
    strategy: Strategy


class LimitsConfigured(Event, frozen=True, kw_only=True):
    group: str
    limits: Limits


class PricingConfigured(Event, frozen=True, kw_only=True):
    """From now on `group` sees `symbol` ('*': every symbol without its own) as `profile` says."""

    group: str
    symbol: str
    profile: PriceProfile


class RoutingConfigured(Event, frozen=True, kw_only=True):
    policy: RoutingPolicy


class AccountScored(Event, frozen=True, kw_only=True):
    account_id: str
    score: Decimal


class VenueScored(Event, frozen=True, kw_only=True):
    venue: str
    markout_bps: Decimal


class TradingStateChanged(Event, frozen=True, kw_only=True):
    scope: str
    key: str
    state: TradingState
    reason: str
    by: str


class CommandRefused(Event, frozen=True, kw_only=True):
    """A command other than an order could not be carried out; state is unchanged. `reasons` are the gate's, if any."""

    code: str
    field: str
    text: str
    reasons: tuple[Check, ...] = ()


class AccountCredited(Event, frozen=True, kw_only=True):
    account_id: str
    amount: Decimal
    currency: str
    reference: str
    kind: str


class AccountDebited(Event, frozen=True, kw_only=True):
    account_id: str
    amount: Decimal
    currency: str
    reference: str
    kind: str


class OrderDenied(Event, frozen=True, kw_only=True):
    """Refused by us, before any venue heard of it."""

    order_id: str
    terms: OrderTerms
    source: str
    verdict: Verdict


class OrderAccepted(Event, frozen=True, kw_only=True):
    """The desk took the order. `book_mode` is what a later close follows.

    `conversion_rate` is the account's money for one unit of the symbol's quote currency at that moment: a fill that
    comes while nothing quotes, as after a restart, is booked at it. `arrival_bid` and `arrival_ask` are the last best
    prices of then, before markup: what slippage is measured from. `guarantee` are the terms that hold for its stop.
    """

    order_id: str
    terms: OrderTerms
    source: str
    group: str
    verdict: Verdict
    routing: RoutingDecision
    margin_reserved: Decimal = ZERO
    notional: Decimal = ZERO
    conversion_rate: Decimal | None = None
    arrival_bid: Decimal | None = None
    arrival_ask: Decimal | None = None
    guarantee: GuaranteedStops | None = None


class OrderRerouted(Event, frozen=True, kw_only=True):
    """A venue gave (part of) the order back, or a resting order was touched, and routing decided anew."""

    order_id: str
    routing: RoutingDecision


class OrderFilled(Event, frozen=True, kw_only=True):
    """A client's fill. `book` is A, B or CROSS; `raw_price` is before markup; `maker`: it rested and another came.

    `commission_accrued` is exact and before the plan's minimum, `commission` is what is booked.
    `symbol_margin` is what all the account holds of the symbol binds afterwards, `margin_per_lot` that by its lots.
    `realised` is in the account's currency at `conversion_rate` per unit of quote currency, of the quotes `conversion`.
    At a guaranteed stop the client pays `premium`, and the house gives `guarantee_cost` over the market's price.
    `written_off` is what the house makes good right after it, as it leaves the account flat and below zero.
    `turnover` is what the account had dealt before it in that month, where its commission goes by that.
    `venue_booked`: of the A book, what its LP owes is booked with the LP's own executions (venue_books.py).
    One that is dealt anew stands in the place of event `place_seq`, of `place_at_us`, as if it had been dealt then.
    `ahead` are lots by which the B book of an order that turns round is ahead of its A book, or is given back.
    """

    order_id: str
    account_id: str
    fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    raw_price: Decimal
    book: str
    counterparty: str
    leaves: Decimal
    realised: Decimal
    realised_quote: Decimal
    commission: Decimal
    conversion_rate: Decimal
    position_id: str
    margin_per_lot: Decimal
    conversion: tuple[ConversionLeg, ...] = ()
    reason: str = ""
    benchmark_bid: Decimal | None = None
    benchmark_ask: Decimal | None = None
    markup_revenue: Decimal = ZERO
    commission_accrued: Decimal = ZERO
    symbol_margin: Decimal | None = None
    margin_percent: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO
    news_until_us: int = 0
    cl_ord_id: str = ""
    venue_fill_id: str = ""
    maker: bool = False
    premium: Decimal = ZERO
    guarantee_cost: Decimal = ZERO
    written_off: Decimal = ZERO
    place_seq: int = 0
    place_at_us: int = 0
    venue_booked: bool = False
    turnover: Decimal | None = None
    ahead: Decimal = ZERO


class OrderAmended(Event, frozen=True, kw_only=True):
    """A change that was asked for carries the gate's `verdict` on the terms after it; the desk's own has none.

    `notional` is what it adds to the value that the account ordered, in the account's currency (P-12), and
    `margin_reserved` what all that is left of it binds from now on; None where each lot goes on binding the same.
    Where more than quantity, limit and stop changed, `terms` are all of them after it, and `guarantee` is what holds
    for its stop then.
    """

    order_id: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    keeps_priority: bool
    verdict: Verdict | None = None
    notional: Decimal = ZERO
    margin_reserved: Decimal | None = None
    terms: OrderTerms | None = None
    guarantee: GuaranteedStops | None = None


class AmendmentDenied(Event, frozen=True, kw_only=True):
    """A change of an order that did not pass the gate, or passed and could not be; the order stays as it was."""

    order_id: str
    account_id: str
    terms: OrderTerms
    verdict: Verdict


class OrderTriggered(Event, frozen=True, kw_only=True):
    """A stop or touched order became active at a price of the consolidated book."""

    order_id: str
    bid: Decimal
    ask: Decimal
    stop_price: Decimal | None


class OrderCancelled(Event, frozen=True, kw_only=True):
    """What was left of the order is gone; `outcome` is cancelled, expired or rejected."""

    order_id: str
    outcome: str
    leaves: Decimal
    reason: str


AnyEvent = (
    InstrumentConfigured
    | GroupConfigured
    | AccountConfigured
    | VenueConfigured
    | StrategyConfigured
    | LimitsConfigured
    | PricingConfigured
    | RoutingConfigured
    | AccountScored
    | VenueScored
    | TradingStateChanged
    | CommandRefused
    | AccountCredited
    | AccountDebited
    | OrderDenied
    | OrderAccepted
    | OrderRerouted
    | ChildOrderCreated
    | ChildOrderAcknowledged
    | ChildOrderFilled
    | ChildOrderClosed
    | ChildOrderInDoubt
    | ChildCancelRequested
    | ChildCancelRejected
    | VenueReportSuspended
    | OrderFilled
    | OrderAmended
    | AmendmentDenied
    | OrderTriggered
    | OrderCancelled
    | PositionsClosed
    | ControlEvent
    | DealerEvent
    | HouseEvent
    | MarginEvent
    | CorrectionEvent
    | LeavingEvent
    | ExpiryEvent
)


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as the log holds it; times are UTC microseconds, `recorded_mono_ns` is the engine's monotonic clock."""

    seq: int
    command_id: str
    position: int
    principal: str
    request_hash: str
    occurred_at_us: int
    recorded_at_us: int
    recorded_mono_ns: int
    event: AnyEvent
