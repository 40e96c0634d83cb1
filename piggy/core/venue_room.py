"""Venue room: which legs would take a venue past the exposure that is allowed there (P-19), or past its rate (P-14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from piggy.core.accounts import Venue
from piggy.core.limits import Limits
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, Side
from piggy.core.routing import Leg

FULL = "its exposure limit is reached"
BUSY = "its message rate is used up"
NOTHING = OpenRisk()


def full_venues(
    *, legs: Iterable[Leg], terms: OrderTerms, opens: bool, sending: Mapping[str, int], moment: Moment
) -> dict[str, str]:
    """Return the venues that have no room for their leg, each with why; what makes a venue's risk smaller fits.

    `sending` are the legs of each venue that this command sends already. A close waits for no rate: it only reduces.
    """
    account = moment.account(terms.account_id)
    limits = moment.state.effective_limits[account.group]
    limit, found = limits.exposure_venue_max, {}
    for leg in legs:
        if opens and _rate_used_up(leg.venue, limits, sending, moment):
            found[leg.venue] = BUSY
        elif limit is not None and not _fits(leg, terms, limit, account.currency, moment):
            found[leg.venue] = FULL
    return found


def rate_of(*, venue: Venue, limits: Limits) -> int | None:
    """Return how many messages a second a venue may be sent: its contract's number, and no more than the group's."""
    known = [most for most in (venue.messages_per_s_max, limits.venue_messages_per_s_max) if most is not None]
    return min(known, default=None)


def _rate_used_up(name: str, limits: Limits, sending: Mapping[str, int], moment: Moment) -> bool:
    most = rate_of(venue=moment.state.venues[name], limits=limits)
    sent, _ = moment.state.venue_messages.lately(who=name, now_us=moment.now_us)
    return most is not None and sent + sending.get(name, 0) >= most


def _fits(leg: Leg, terms: OrderTerms, limit: Decimal, currency: str, moment: Moment) -> bool:
    risk, instrument = moment.state.venue_risks.get(leg.venue, NOTHING), moment.state.instruments[terms.symbol]
    known = risk.symbols.get(terms.symbol)
    net, buys, sells = (known.net, known.buys, known.sells) if known else (ZERO, ZERO, ZERO)
    before = known.lots if known else ZERO
    lots = abs(net + buys + leg.quantity) if terms.side is Side.BUY else abs(net - sells - leg.quantity)
    if lots <= before:
        return True
    rate = moment.rate(source=instrument.quote, target=currency, gain=False)
    others = risk.worth(
        into=currency, rate=lambda each: moment.rate(source=each, target=currency, gain=False), besides=instrument
    )
    if rate is None or others is None:
        return False
    return others + instrument.notional(lots=lots, price=leg.limit_price) * rate <= limit
