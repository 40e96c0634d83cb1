"""Events of expiry: an option's time is over, and what venues hold of it for the house is settled in cash."""

from __future__ import annotations

from decimal import Decimal

from piggy.core.orders import Side
from piggy.core.verdicts import Event


class OptionExpired(Event, frozen=True, kw_only=True):
    """The option is dealt no more. Without a price of its underlying yet it is said again once there is one.

    Then all of it is settled at `price`, its intrinsic value at `underlying_price`, in however many steps.
    """

    symbol: str
    underlying: str
    expires_at_us: int
    underlying_price: Decimal | None = None
    price: Decimal | None = None


class VenueSettled(Event, frozen=True, kw_only=True):
    """A venue settled what it held of an option for the house, as if `quantity` lots were dealt to `side` at `price`.

    `realised` is the profit on what the house had hedged there, in the quote currency; what was dealt there for
    clients is theirs. `result` is that on all that the house's account there held; None of before it was told.
    """

    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    currency: str
    occurred_at_us: int
    result: Decimal | None = None


ExpiryEvent = OptionExpired | VenueSettled
