"""Events of correction: a venue takes an execution back or restates it. What was recorded stays; these supersede it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from piggy.core.commands import RecordVenueBust, RecordVenueCorrection
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.core.positions import Position
from piggy.core.verdicts import Event


class Place(NamedTuple):
    """Where a fill that is dealt anew stands: in that of event `seq` of `at_us`, after that month's `turnover`."""

    seq: int = 0
    at_us: int = 0
    turnover: Decimal | None = None


ITS_OWN = Place()


class VenueFillBusted(Event, frozen=True, kw_only=True):
    """An execution at a venue no longer stands; after a correction one of the id `corrected_by` follows, else ''.

    `venue_booked` is as in ChildOrderFilled.
    """

    order_id: str
    cl_ord_id: str
    venue: str
    fill_id: str
    report_id: str
    corrected_by: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    text: str
    occurred_at_us: int
    venue_booked: bool = False


class OrderFillBusted(Event, frozen=True, kw_only=True):
    """A client's fill is taken back: `position` is what he holds without it, None when flat.

    `side`, `quantity` and prices are the fill's. `realised` and `realised_quote` are added to what was booked,
    `commission` and `premium` are given back, `markup_revenue` and `guarantee_cost` undone, all at the rate of the
    fill. `by` is whoever took it back, '' where a venue did; then margin and news fields and `filled_at_us` are the
    fill's own, and `batch` links busts. The fill had booked `own_realised` and stood in the place of event `place_seq`
    of `place_at_us`, its own or that of the first it corrects; `replaced` lots are dealt anew there. None and 0 in
    events of before these were told: such a bust moved no swaps. `venue_booked` is as in OrderFilled. `ahead` are the
    fill's own (`lots_ahead`).
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
    cl_ord_id: str
    venue_fill_id: str
    position_id: str
    position: Position | None
    realised: Decimal
    realised_quote: Decimal
    commission: Decimal
    commission_accrued: Decimal
    markup_revenue: Decimal
    conversion_rate: Decimal
    symbol_margin: Decimal = ZERO
    margin_per_lot: Decimal = ZERO
    reason: str = ""
    by: str = ""
    batch: str = ""
    margin_percent: Decimal = ZERO
    news_lots: Decimal = ZERO
    news_percent: Decimal = ZERO
    news_until_us: int = 0
    filled_at_us: int = 0
    premium: Decimal = ZERO
    guarantee_cost: Decimal = ZERO
    own_realised: Decimal | None = None
    own_realised_quote: Decimal | None = None
    place_seq: int = 0
    place_at_us: int = 0
    replaced: Decimal = ZERO
    venue_booked: bool = False
    ahead: Decimal = ZERO

    @property
    def undone(self) -> Decimal:
        """What the fill itself had brought its account, taken back; `realised` also restates those that stand."""
        realised = self.realised if self.own_realised is None else -self.own_realised
        return realised + self.commission + self.premium


class HedgeFillBusted(Event, frozen=True, kw_only=True):
    """A venue took back what it filled the house; `realised` is added to the house's profit, in the quote currency."""

    hedge_id: str
    fill_id: str
    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    currency: str
    occurred_at_us: int
    venue_booked: bool = False


class VenueReportParked(Event, frozen=True, kw_only=True):
    """A bust or correction of an execution that nobody has told us of yet: applied when it comes (F-16)."""

    report: RecordVenueBust | RecordVenueCorrection
    parked_at_us: int


CorrectionEvent = VenueFillBusted | OrderFillBusted | HedgeFillBusted | VenueReportParked
