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
    own, every = venue.messages_per_s_max, limits.venue_messages_per_s_max
    if own is None or every is None:
        return every if own is None else own
    return min(own, every)


def _rate_used_up(name: str, limits: Limits, sending: Mapping[str, int], moment: Moment) -> bool:
    most = rate_of(venue=moment.state.venues[name], limits=limits)
    messages, ours = moment.state.venue_messages, sending.get(name, 0)
    # Some of what is counted may be of an earlier second by now.
    if most is None or messages.counts.get(name, 0) + ours < most:
        return False
    sent, _ = messages.lately(who=name, now_us=moment.now_us)
    return sent + ours >= most


def _fits(leg: Leg, terms: OrderTerms, limit: Decimal, currency: str, moment: Moment) -> bool:
    risk, instrument = moment.state.venue_risks.get(leg.venue, NOTHING), moment.state.instruments[terms.symbol]
    known = risk.symbols.get(terms.symbol)
    net, buys, sells = (known.net, known.buys, known.sells) if known else (ZERO, ZERO, ZERO)
    before = known.lots if known else ZERO
    lots = abs(net + buys + leg.quantity) if terms.side is Side.BUY else abs(net - sells - leg.quantity)
    if lots <= before:
        return True

    def rate(source: str) -> Decimal | None:
        return moment.rate(source=source, target=currency, gain=False)

    here = rate(instrument.quote)
    unit = None if here is None else instrument.contract_size * leg.limit_price * here
    worth = None if unit is None else risk.worth(into=currency, rate=rate, instrument=instrument, unit=unit, lots=lots)
    return worth is not None and worth <= limit
