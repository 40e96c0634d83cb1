"""Events of the house: nights settled, its own risk covered. Part of the log like every event of events.py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from piggy.core.conversion import ConversionLeg
from piggy.core.hedging import HedgePolicy
from piggy.core.orders import Side
from piggy.core.swaps import SwapFree, SwapRates
from piggy.core.verdicts import Event


class SwapsConfigured(Event, frozen=True, kw_only=True):
    rates: SwapRates


class SwapFreeConfigured(Event, frozen=True, kw_only=True):
    group: str
    terms: SwapFree | None


class HedgingConfigured(Event, frozen=True, kw_only=True):
    policy: HedgePolicy


class SwapCharged(Event, frozen=True, kw_only=True):
    """A position settled its nights; `amount` above zero is paid to the client. `kind` is swap or admin_fee.

    `per_lot` and night, in the account's currency over `conversion_rate`, which the quotes `conversion` made.
    `occurred_at_us` is the rollover, `since_us` the first one of the nights where it is another.
    """

    account_id: str
    position_id: str
    symbol: str
    business_date: date
    kind: str
    nights: int
    lots: Decimal
    per_lot: Decimal
    price: Decimal | None
    conversion_rate: Decimal
    amount: Decimal
    currency: str
    occurred_at_us: int
    conversion: tuple[ConversionLeg, ...] = ()
    since_us: int = 0


class SwapRestated(Event, frozen=True, kw_only=True):
    """What nights come to without a fill that is taken back: `amount` is given back, below zero: taken back.

    `kind` is swap or admin_fee; `place_seq` is the event in whose place the fill stood.
    """

    account_id: str
    position_id: str
    symbol: str
    fill_id: str
    kind: str
    amount: Decimal
    currency: str
    place_seq: int


class SwapDeferred(Event, frozen=True, kw_only=True):
    """The nights could not be priced or converted; the next rollover settles them too.

    `owed` are they with the rollover of each (UTC microseconds), whose holder and lots count; () all with this one's.
    """

    account_id: str
    position_id: str
    symbol: str
    business_date: date
    nights: int
    text: str
    occurred_at_us: int
    owed: tuple[tuple[int, int], ...] = ()


class RolledOver(Event, frozen=True, kw_only=True):
    """Every position has settled the business date."""

    business_date: date
    occurred_at_us: int


class HedgeProposed(Event, frozen=True, kw_only=True):
    """The house would deal `quantity` lots to cover itself; queued for a dealer unless `automatic`.

    `risk` is what was open, in the unit of the policy `key`: lots of a symbol or units of a currency. `by` is the
    dealer who covered by hand, '' where a policy did.
    """

    hedge_id: str
    key: str
    version: int
    symbol: str
    side: Side
    quantity: Decimal
    risk: Decimal
    automatic: bool
    text: str
    by: str = ""


class HedgeApproved(Event, frozen=True, kw_only=True):
    """A dealer sent it out; `quantity` is what the risk still called for."""

    hedge_id: str
    quantity: Decimal
    by: str


class HedgeFilled(Event, frozen=True, kw_only=True):
    """A venue filled the house; `realised` is the profit on what it had hedged there, in the quote currency.

    `venue_booked`: what the venue owes is booked with its own execution (venue_books.py).
    """

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


class HedgeClosed(Event, frozen=True, kw_only=True):
    """Nothing of the hedge is left; `outcome` is filled, short, unfilled, withdrawn or rejected (by a dealer)."""

    hedge_id: str
    outcome: str
    filled: Decimal
    by: str
    text: str


class HedgeSettled(Event, frozen=True, kw_only=True):
    """A hedge that ended short need not go on: the `risk` (in its policy's unit) is within the band of the target."""

    hedge_id: str
    risk: Decimal


class VenueBooked(Event, frozen=True, kw_only=True):
    """What the house's account in `symbol` at a venue made by the execution or bust `fill_id`, in the quote currency.

    It names no order, for it tells of all clients together.
    """

    venue: str
    symbol: str
    fill_id: str
    result: Decimal
    currency: str


class VenueBookOpened(Event, frozen=True, kw_only=True):
    """From now on the house's account in `symbol` at a venue is booked by executions.

    `result` is what all those of before made, in the quote `currency`; `settled`, by currency, what clients' fills and
    hedges had booked against the venue in its place.
    """

    venue: str
    symbol: str
    result: Decimal
    currency: str
    settled: tuple[tuple[str, Decimal], ...] = ()


HouseEvent = (
    HedgeApproved
    | HedgeClosed
    | HedgeFilled
    | HedgeProposed
    | HedgeSettled
    | HedgingConfigured
    | RolledOver
    | SwapCharged
    | SwapDeferred
    | SwapFreeConfigured
    | SwapRestated
    | SwapsConfigured
    | VenueBooked
    | VenueBookOpened
)
