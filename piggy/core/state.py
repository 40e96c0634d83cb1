"""State of one tenant's desk: what its events add up to (folding.py), and nothing that they do not say."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from piggy.core import events as ev
from piggy.core.accounts import Account, Group, Strategy, TradingState, Venue
from piggy.core.activity import Activity, DayResults, LastSecond
from piggy.core.answers import OrderView
from piggy.core.auctions import AuctionRules, CrossedAt, SymbolPhase
from piggy.core.clearance import Calendar, Locate, Override, Permissions
from piggy.core.correction_events import VenueReportParked
from piggy.core.events import Check, RoutingDecision
from piggy.core.expiry_events import OptionExpired
from piggy.core.gifts import Gift
from piggy.core.hedging import HedgePolicy
from piggy.core.instruments import Instrument
from piggy.core.limits import LimitChange, Limits
from piggy.core.margin import MarginSettings
from piggy.core.money import ZERO
from piggy.core.nights import Night
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderState, OrderTerms, OrderType, Side
from piggy.core.positions import Life, Position
from piggy.core.profiles import GuaranteedStops, PriceProfile
from piggy.core.resting import RestingOrders
from piggy.core.routing_rules import RoutingPolicy, VenueScore
from piggy.core.stress import OptionModel
from piggy.core.swaps import SwapFree, SwapRates
from piggy.core.venue_books import VenueBook
from piggy.core.waiting_stops import WaitingStops

_WORKING, _LIMIT = OrderState.WORKING, OrderType.LIMIT
_BECOMES_LIMIT = (OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED)  # Once touched, where it names a limit.
SUSPENDED_KEPT = ANSWERS_KEPT = 500  # Of reports that fit no order; of a venue's answers, to tell a reject storm by.
TRAIL_BYTES = 5  # Of a seq, in the trail of an order.
OUTCOMES_KEPT = 50  # A venue's reject rate looks at its latest answers only, so that it can recover.


@dataclass(slots=True)
class Order:
    """A client's order as far as events tell; `routed` are lots now living in venue orders, `legs` all it ever had.

    `trail` are the seqs of its own events, TRAIL_BYTES each; `times_gone` counts how often it left and came back.
    `guarantee` are the terms on which its stop, or that of its exits, is guaranteed. `came_back` are lots that venues
    were sent and did not deal: wherever they go next, they stay the A book's. `misses` are the legs in a row that came
    back with nothing done or refused, since its last fill; the last at `given_back_at_us`. `ahead`: see `lots_ahead`.
    What was made good for the day later than it came is so since `day_from_us`.
    """

    order_id: str
    terms: OrderTerms
    source: str
    group: str
    routing: RoutingDecision | None
    state: OrderState
    quantity: Decimal
    accepted_at_us: int
    seq: int
    margin_per_lot: Decimal = ZERO
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    routed: Decimal = ZERO
    commission: Decimal = ZERO
    commission_accrued: Decimal = ZERO
    fills: int = 0
    attempts: int = 0
    misses: int = 0
    given_back_at_us: int = 0
    triggered: bool = False
    shown: Decimal = ZERO
    reasons: tuple[Check, ...] = ()
    text: str = ""
    refused_by: frozenset[str] = frozenset()
    cancelling: str = ""
    ends_as: str = "cancelled"
    cancels_refused: int = 0
    legs: tuple[str, ...] = ()
    trail: bytes = b""
    touched_at_us: int = 0
    times_gone: int = 0
    guarantee: GuaranteedStops | None = None
    came_back: Decimal = ZERO
    ahead: Decimal = ZERO
    day_from_us: int = 0

    @property
    def leaves(self) -> Decimal:
        return ZERO if self.state.final else self.quantity - self.filled

    @property
    def guaranteed(self) -> bool:
        """Whether it is itself a guaranteed stop, and not the entry that is to have one."""
        return self.guarantee is not None and self.terms.stop_loss is None

    @property
    def free(self) -> Decimal:
        """Lots that are neither filled nor out at a venue."""
        return self.leaves - self.routed

    @property
    def average_price(self) -> Decimal:
        return self.notional / self.filled if self.filled else ZERO

    @property
    def rests(self) -> bool:
        """Whether it waits in the internal book at a limit price."""
        kind = self.terms.type
        limit = kind is _LIMIT or (self.triggered and kind in _BECOMES_LIMIT and self.terms.limit_price is not None)
        return limit and not self.state.final and self.state is not OrderState.WITH_DEALER

    def view(self) -> OrderView:
        return OrderView(
            order_id=self.order_id, terms=self.terms, state=self.state, filled=self.filled, leaves=self.leaves,
            average_price=self.average_price, group=self.group, source=self.source, reasons=self.reasons,
            routing=self.routing, text=self.text,
        )  # fmt: skip


@dataclass(slots=True)
class Held:
    """An order that waits for a dealer; `price` is what its client asked for, `requote` a firm offer not answered."""

    order_id: str
    price: Decimal
    held_at_us: int
    expires_at_us: int
    passes_on: bool
    claimed_by: str = ""
    claimed_until_us: int = 0
    requotes: int = 0
    requote: Decimal | None = None


@dataclass(slots=True)
class Hedge:
    """An order of the house; `approved` is False while it waits for a dealer, `settled` once it need not go on."""

    hedge_id: str
    key: str
    symbol: str
    side: Side
    quantity: Decimal
    approved: bool
    proposed_at_us: int
    state: OrderState = OrderState.WORKING
    filled: Decimal = ZERO
    routed: Decimal = ZERO
    attempts: int = 0
    refused_by: frozenset[str] = frozenset()
    outcome: str = ""
    ended_at_us: int = 0
    legs: tuple[str, ...] = ()
    trail: bytes = b""
    touched_at_us: int = 0
    times_gone: int = 0
    settled: bool = False


@dataclass(slots=True)
class Dealt:
    """An execution that stands at a venue, and the client's fill that it led to, if any; `at_us` is our time of it."""

    venue: ev.ChildOrderFilled
    seq: int
    client: ev.OrderFilled | None = None
    client_seq: int = 0
    at_us: int = 0


@dataclass(slots=True)
class Child:
    """A leg at a venue; `dealt` by fill id, `superseded` says which fill stands for one ('': none), by `reports`."""

    created: ev.ChildOrderCreated
    seq: int
    created_at_us: int
    filled: Decimal = ZERO
    acknowledged: bool = False
    closed: bool = False
    in_doubt: bool = False
    venue_order_id: str = ""
    filled_at_venue: Decimal | None = None
    cancel: ev.ChildCancelRequested | None = None
    dealt: dict[str, Dealt] = field(default_factory=dict)
    superseded: dict[str, str] = field(default_factory=dict)
    reports: tuple[str, ...] = ()

    @property
    def leaves(self) -> Decimal:
        return ZERO if self.closed else self.created.quantity - self.filled

    @property
    def filled_before_busts(self) -> Decimal:
        """The lots that the venue had dealt before it took any back or changed one."""
        if not self.superseded:
            return self.filled
        changes = set(self.superseded.values())
        return sum((each.venue.quantity for fill_id, each in self.dealt.items() if fill_id not in changes), ZERO)

    @property
    def asked_back(self) -> bool:
        """Whether the venue was asked to end it so that its lots can be worked elsewhere."""
        return self.cancel is not None and self.cancel.keeps_order

    @property
    def differs(self) -> bool:
        """Whether the venue said how many lots were done in the end, and those are not the ones we know of."""
        return not self.closed and self.filled_at_venue not in (None, self.filled)


@dataclass(slots=True)
class Exposure:
    """One symbol across all clients and venues; signed lots, long positive."""

    client_long: Decimal = ZERO
    client_short: Decimal = ZERO
    client_cost: Decimal = ZERO
    a_net: Decimal = ZERO
    b_net: Decimal = ZERO
    cross_net: Decimal = ZERO
    venue_net: Decimal = ZERO
    venue_cash: Decimal = ZERO
    realised: Decimal = ZERO
    positions: int = 0

    @property
    def client_net(self) -> Decimal:
        return self.client_long - self.client_short

    @property
    def uncovered(self) -> Decimal:
        """Client lots that no venue covers; the house is short these."""
        return self.client_net - self.venue_net


@dataclass(slots=True)
class VenueRecord:
    """What events tell of a venue: its latest answers (True for a reject), shares filled, and delays in ms."""

    orders: int = 0
    fills: int = 0
    rejects: int = 0
    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=OUTCOMES_KEPT))
    shares: deque[Decimal] = field(default_factory=lambda: deque(maxlen=OUTCOMES_KEPT))
    delays_ms: deque[Decimal] = field(default_factory=lambda: deque(maxlen=OUTCOMES_KEPT))
    answers: deque[tuple[int, bool]] = field(default_factory=lambda: deque(maxlen=ANSWERS_KEPT))
    rejects_in_a_row: int = 0


@dataclass(slots=True)
class State:
    """Everything a tenant's desk knows that is true."""

    tenant: str
    seq: int = 0
    config_version: int = 0
    order_count: int = 0
    hedge_count: int = 0
    blocks_gone: int = 0
    stragglers: set[str] = field(default_factory=set)
    ended_late: dict[str, int] = field(default_factory=dict)
    skipped: list[tuple[str, int, int]] = field(default_factory=list)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    venues: dict[str, Venue] = field(default_factory=dict)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    effective_limits: dict[str, Limits] = field(default_factory=dict)
    profiles: dict[tuple[str, str], PriceProfile] = field(default_factory=dict)
    turnover: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    activity: dict[str, Activity] = field(default_factory=dict)
    results_today: DayResults = field(default_factory=DayResults)
    messages: LastSecond = field(default_factory=LastSecond)
    venue_messages: LastSecond = field(default_factory=LastSecond)
    trading_states: dict[tuple[str, str], TradingState] = field(default_factory=dict)
    balances: dict[str, Decimal] = field(default_factory=dict)
    references: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    open_orders: dict[str, set[str]] = field(default_factory=dict)
    resting: dict[str, RestingOrders] = field(default_factory=dict)
    auction_rules: dict[str, AuctionRules] = field(default_factory=dict)
    phases: dict[str, SymbolPhase] = field(default_factory=dict)
    crossed_at: dict[str, CrossedAt] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    stops: dict[str, WaitingStops] = field(default_factory=dict)
    expiring: set[str] = field(default_factory=set)
    guaranteed: dict[str, set[str]] = field(default_factory=dict)
    oco: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    open_children: dict[str, Child] = field(default_factory=dict)
    awaited: dict[str, dict[str, int]] = field(default_factory=dict)
    venue_fills: set[tuple[str, str]] = field(default_factory=set)
    busted: set[str] = field(default_factory=set)
    parked: dict[tuple[str, str], VenueReportParked] = field(default_factory=dict)
    venue_records: dict[str, VenueRecord] = field(default_factory=dict)
    scores: dict[str, VenueScore] = field(default_factory=dict)
    scores_version: int = 0
    markouts: dict[str, Decimal] = field(default_factory=dict)
    markout_scores: dict[str, Decimal] = field(default_factory=dict)
    policy: RoutingPolicy | None = None
    positions: dict[str, Position] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    positions_of: dict[str, set[str]] = field(default_factory=dict)
    holders: dict[str, set[str]] = field(default_factory=dict)
    margins: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    news_until: dict[tuple[str, str], int] = field(default_factory=dict)
    margin_settings: dict[tuple[str, str], MarginSettings] = field(default_factory=dict)
    option_models: dict[str, OptionModel] = field(default_factory=dict)
    expired: dict[str, OptionExpired] = field(default_factory=dict)
    permissions: dict[str, Permissions] = field(default_factory=dict)
    restrictions: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    throttled: set[str] = field(default_factory=set)
    daily_volumes: dict[str, dict[date, Decimal]] = field(default_factory=dict)
    volume_averages: dict[str, Decimal] = field(default_factory=dict)
    locates: dict[tuple[str, str], dict[str, Locate]] = field(default_factory=dict)
    review_due_at_us: int | None = None
    limit_changes: dict[str, LimitChange] = field(default_factory=dict)
    alert_levels: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    exposure_alerts: dict[tuple[str, str, str, str], Decimal] = field(default_factory=dict)
    disconnected: dict[str, int] = field(default_factory=dict)
    stopped_by: dict[tuple[str, str], str] = field(default_factory=dict)
    used_margin: dict[str, Decimal] = field(default_factory=dict)
    reserved: dict[str, Decimal] = field(default_factory=dict)
    rates: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    exposure: dict[str, Exposure] = field(default_factory=dict)
    account_risks: dict[str, OpenRisk] = field(default_factory=dict)
    venue_risks: dict[str, OpenRisk] = field(default_factory=dict)
    house_risk: OpenRisk = field(default_factory=OpenRisk)
    grown_at_seq: dict[str, int] = field(default_factory=dict)
    credits: dict[str, Decimal] = field(default_factory=dict)
    margin_called: set[str] = field(default_factory=set)
    hedge_policies: dict[str, HedgePolicy] = field(default_factory=dict)
    hedges: dict[str, Hedge] = field(default_factory=dict)
    open_hedges: set[str] = field(default_factory=set)
    last_hedges: dict[str, str] = field(default_factory=dict)
    hedge_pending: dict[str, Decimal] = field(default_factory=dict)
    house_positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    venue_nets: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    venue_books: dict[tuple[str, str], VenueBook] = field(default_factory=dict)
    swap_rates: dict[str, SwapRates] = field(default_factory=dict)
    swap_free: dict[str, SwapFree] = field(default_factory=dict)
    last_rollover: date | None = None
    rolled: set[str] = field(default_factory=set)
    swap_owed: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    nights: dict[str, tuple[Night, ...]] = field(default_factory=dict)
    nights_of_flat: dict[str, int] = field(default_factory=dict)
    gifts: dict[str, tuple[Gift, ...]] = field(default_factory=dict)
    suspended: list[ev.VenueReportSuspended] = field(default_factory=list)
    suspended_before: int = 0


def parent_of(*, state: State, order_id: str) -> Order | Hedge:
    """Return whose leg it is: a client's order, or a hedge of the house."""
    return state.orders.get(order_id) or state.hedges[order_id]


def activity_of(*, state: State, account_id: str) -> Activity:
    """Return what counts an account's orders and fills, the same from its first on."""
    found = state.activity.get(account_id)
    if found is None:
        found = state.activity[account_id] = Activity()
    return found


def record_of(*, state: State, venue: str) -> VenueRecord:
    """Return a venue's record, the same from its first event on."""
    found = state.venue_records.get(venue)
    if found is None:
        found = state.venue_records[venue] = VenueRecord()
    return found


def accepted_order(*, event: ev.OrderAccepted, at_us: int, seq: int) -> Order:
    """Return the order that `event` brings to life."""
    terms, routing = event.terms, event.routing
    order = Order(event.order_id, terms, event.source, event.group, routing, _WORKING, terms.quantity, at_us, seq)
    order.margin_per_lot = event.margin_reserved / terms.quantity
    order.shown, order.text, order.guarantee = terms.display_quantity or ZERO, routing.text, event.guarantee
    return order


def proposed_order(*, order_id: str, terms: OrderTerms, source: str, group: str, at_us: int, seq: int) -> Order:
    """Return an order as it would be if it were accepted, before it is known where it goes."""
    order = Order(order_id, terms, source, group, None, _WORKING, terms.quantity, at_us, seq)
    order.shown = terms.display_quantity or ZERO
    return order
