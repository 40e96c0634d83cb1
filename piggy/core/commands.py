"""Commands: what somebody asks one tenant's desk to do. Frozen; the answer is events.

`Envelope` is what travels: the command with who asked, under which id, and a hash of the request body, so that a
repeat is answered with the first result and a changed body under the same id is a conflict.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, Group, Strategy, TradingState, Venue
from piggy.core.clearance import Calendar, Permissions
from piggy.core.command import Command as Command
from piggy.core.control_commands import ActOnLimits as ActOnLimits
from piggy.core.control_commands import ChangeLimits as ChangeLimits
from piggy.core.control_commands import ChangePhase as ChangePhase
from piggy.core.control_commands import ConfigureAuctions as ConfigureAuctions
from piggy.core.control_commands import ControlCommand
from piggy.core.control_commands import FlattenPositions as FlattenPositions
from piggy.core.control_commands import RecordDailyVolume as RecordDailyVolume
from piggy.core.control_commands import RecordLocate as RecordLocate
from piggy.core.control_commands import RecordVenueCancelReject as RecordVenueCancelReject
from piggy.core.control_commands import RevertLimits as RevertLimits
from piggy.core.control_commands import SignReview as SignReview
from piggy.core.dealer_commands import AnswerRequote as AnswerRequote
from piggy.core.dealer_commands import ClaimOrder as ClaimOrder
from piggy.core.dealer_commands import DealerCommand
from piggy.core.dealer_commands import FillByDealer as FillByDealer
from piggy.core.dealer_commands import PassOrderOn as PassOrderOn
from piggy.core.dealer_commands import RejectByDealer as RejectByDealer
from piggy.core.dealer_commands import RequoteOrder as RequoteOrder
from piggy.core.hedging import HedgePolicy
from piggy.core.instruments import Instrument
from piggy.core.leaving_commands import BringOrderBack as BringOrderBack
from piggy.core.leaving_commands import LeavingCommand
from piggy.core.leaving_commands import LetOrderGo as LetOrderGo
from piggy.core.leaving_commands import LetOrdersGo as LetOrdersGo
from piggy.core.leaving_commands import SkipNumbers as SkipNumbers
from piggy.core.limits import Limits
from piggy.core.margin import MarginSettings
from piggy.core.orders import OrderTerms, Side, TimeInForce
from piggy.core.position_commands import AskClose as AskClose
from piggy.core.position_commands import ClosePositions as ClosePositions
from piggy.core.position_commands import PositionCommand
from piggy.core.position_commands import SetExits as SetExits
from piggy.core.profiles import PriceProfile
from piggy.core.routing_rules import RoutingPolicy
from piggy.core.stress import OptionModel
from piggy.core.swaps import SwapFree, SwapRates
from piggy.core.venue_commands import RecordVenueAck as RecordVenueAck
from piggy.core.venue_commands import RecordVenueBust as RecordVenueBust
from piggy.core.venue_commands import RecordVenueCorrection as RecordVenueCorrection
from piggy.core.venue_commands import RecordVenueDone as RecordVenueDone
from piggy.core.venue_commands import RecordVenueDoubt as RecordVenueDoubt
from piggy.core.venue_commands import RecordVenueFill as RecordVenueFill
from piggy.core.venue_commands import RecordVenueReject as RecordVenueReject
from piggy.core.venue_commands import VenueCommand


class ConfigureInstrument(Command, frozen=True, kw_only=True):
    instrument: Instrument


class ConfigureGroup(Command, frozen=True, kw_only=True):
    """`limits` are those that a new group begins with; without any on record its orders are refused."""

    group: Group
    limits: Limits | None = None


class ConfigureAccount(Command, frozen=True, kw_only=True):
    """`clearance` is what its owner is cleared for at the start; it counts until anything else is on record."""

    account: Account
    clearance: Permissions | None = None


class ConfigureVenue(Command, frozen=True, kw_only=True):
    venue: Venue


class ConfigureStrategy(Command, frozen=True, kw_only=True):
    strategy: Strategy


class ConfigureLimits(Command, frozen=True, kw_only=True):
    """Replace the pre-trade limits of one group."""

    group: str
    limits: Limits


class ConfigurePricing(Command, frozen=True, kw_only=True):
    """Replace how `group` sees `symbol`, or every symbol without a profile of its own ('*')."""

    group: str
    symbol: str
    profile: PriceProfile


class ConfigureSwaps(Command, frozen=True, kw_only=True):
    """Replace the swap rates of one symbol."""

    rates: SwapRates


class ConfigureSwapFree(Command, frozen=True, kw_only=True):
    """Make a group swap-free on these terms; None: it pays swap again."""

    group: str
    terms: SwapFree | None


class ConfigureHedging(Command, frozen=True, kw_only=True):
    """Replace the hedging policy of one symbol or currency (its `key`)."""

    policy: HedgePolicy


class ApproveHedge(Command, frozen=True, kw_only=True):
    """A dealer lets a queued hedge go out."""

    hedge_id: str
    by: str


class RejectHedge(Command, frozen=True, kw_only=True):
    hedge_id: str
    by: str
    reason: str


class CoverByHand(Command, frozen=True, kw_only=True):
    """A dealer deals `quantity` lots for the house; without a side and a quantity, all of the symbol that is open."""

    symbol: str
    by: str
    reason: str
    side: Side | None = None
    quantity: Decimal | None = None


class ConfigureRouting(Command, frozen=True, kw_only=True):
    """Replace the tenant's routing rules and cost model."""

    policy: RoutingPolicy


class ScoreAccount(Command, frozen=True, kw_only=True):
    """A new markout score of an account, in basis points against the house; routing rules may look at it."""

    account_id: str
    score: Decimal


class ScoreVenue(Command, frozen=True, kw_only=True):
    """A venue's measured markout, in basis points lost after its fills; the cost model may look at it."""

    venue: str
    markout_bps: Decimal


class SetTradingState(Command, frozen=True, kw_only=True):
    """Change a trading state; `scope` is one of supervising.SCOPES, `key` its name or '' for firm and tenant.

    A `suspends` is the platform's: it never opens what is stricter already, and ends all that works but what only
    reduces (F-33).
    """

    scope: str
    key: str
    state: TradingState
    reason: str
    by: str
    cancel_working: bool = True
    suspends: bool = False


class ConfigureMargin(Command, frozen=True, kw_only=True):
    """Replace how `group` is margined in `symbol`, or in every symbol without settings of its own ('*')."""

    group: str
    symbol: str
    settings: MarginSettings


class ConfigureOptionModel(Command, frozen=True, kw_only=True):
    model: OptionModel


class ConfigurePermissions(Command, frozen=True, kw_only=True):
    account_id: str
    permissions: Permissions


class ConfigureRestrictions(Command, frozen=True, kw_only=True):
    """Replace a restricted list; `scope` is firm, tenant or client, `key` the beneficial owner for a client."""

    scope: str
    key: str
    symbols: frozenset[str]


class ConfigureCalendar(Command, frozen=True, kw_only=True):
    calendar: Calendar


class GrantOverride(Command, frozen=True, kw_only=True):
    """Let a denied order, asked again in the same terms, or the amendment of a working one, through `codes` once."""

    order_id: str
    codes: frozenset[str]
    reason: str
    requested_by: str
    authorised_by: str
    expires_at_us: int


class ReleaseThrottle(Command, frozen=True, kw_only=True):
    account_id: str
    by: str
    reason: str


class ReportConnection(Command, frozen=True, kw_only=True):
    """From the edge: a client session that asked for cancel on disconnect dropped off, or is back."""

    account_id: str
    connected: bool


class CreditAccount(Command, frozen=True, kw_only=True):
    """Money came in; sent by the treasury's outbox. `reference` is its row, booked once."""

    account_id: str
    amount: Decimal
    reference: str
    kind: str = "deposit"


class DebitAccount(Command, frozen=True, kw_only=True):
    account_id: str
    amount: Decimal
    reference: str
    kind: str = "withdrawal"


class PlaceOrder(Command, frozen=True, kw_only=True):
    """Ask the desk to trade; the answer is OrderAccepted and what follows, or OrderDenied.

    In `shadow` it is OrderShadowed instead, and nothing follows.
    """

    terms: OrderTerms
    source: str = "api"
    shadow: bool = False


class AskWhatIf(Command, frozen=True, kw_only=True):
    """What would an order with these terms do to its account? It decides nothing and leaves nothing in the log."""

    terms: OrderTerms


class AskAmendment(Command, frozen=True, kw_only=True):
    """What would a change of a working order do to its account? Decides nothing, leaves nothing, as AskWhatIf."""

    change: AmendOrder


class AskOutlook(Command, frozen=True, kw_only=True):
    """How does an account stand, and where would it be stopped out? It decides nothing and leaves nothing in the log.

    A name that is no account's is told nothing.
    """

    account_id: str


class CancelOrder(Command, frozen=True, kw_only=True):
    order_id: str
    account_id: str
    reason: str = "asked by the client"


class AmendOrder(Command, frozen=True, kw_only=True):
    """Change a working order; what is not given stays. A take-profit or stop-loss of None is taken off.

    A time to expire alone makes the order good till then; a stop that is to trail at another distance does so from the
    market as it is now, unless a stop price comes with it.
    """

    order_id: str
    account_id: str
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_distance: Decimal | None = None
    time_in_force: TimeInForce | None = None
    expires_at_us: int | None = None
    take_profit: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    stop_loss: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    guaranteed_stop: bool | None = None


class ActOnPrices(Command, frozen=True, kw_only=True):
    """The engine's own: prices of `symbols` moved, so fill touched orders, call margin, stop out.

    `accounts` are those whose turn it is to be looked at; None looks at every holder that must be.
    """

    symbols: tuple[str, ...]
    accounts: tuple[str, ...] | None = None


class ActOnTime(Command, frozen=True, kw_only=True):
    """The engine's own: time passed, so expire orders and act on what is overdue."""


class ActOnExposure(Command, frozen=True, kw_only=True):
    """The engine's own: the house's risk is past a threshold, or a proposed hedge is no longer needed."""


class RollOver(Command, frozen=True, kw_only=True):
    """The engine's own: the business date ended at `at_us`, so settle its nights; repeated until the date is done."""

    business_date: date
    at_us: int


AnyCommand = (
    ConfigureInstrument
    | ConfigureGroup
    | ConfigureAccount
    | ConfigureVenue
    | ConfigureStrategy
    | ConfigureLimits
    | ConfigurePricing
    | ConfigureSwaps
    | ConfigureSwapFree
    | ConfigureHedging
    | ApproveHedge
    | RejectHedge
    | CoverByHand
    | ConfigureRouting
    | ScoreAccount
    | ScoreVenue
    | ConfigureMargin
    | ConfigureOptionModel
    | ConfigurePermissions
    | ConfigureRestrictions
    | ConfigureCalendar
    | GrantOverride
    | ReleaseThrottle
    | ReportConnection
    | SetTradingState
    | CreditAccount
    | DebitAccount
    | PlaceOrder
    | AskWhatIf
    | AskOutlook
    | AskAmendment
    | CancelOrder
    | AmendOrder
    | PositionCommand
    | ActOnPrices
    | ActOnTime
    | ActOnExposure
    | RollOver
    | ControlCommand
    | DealerCommand
    | VenueCommand
    | LeavingCommand
)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A command on its way. `command_id` is a UUID in text; `request_hash` is SHA-256 hex of the body as received."""

    command_id: str
    command: AnyCommand
    principal: str
    request_hash: str = ""
    request_id: str = ""
    reply_to: str = ""
    sent_at_us: int = 0
