"""Venue room: which legs would take a venue past the exposure that a group's limits allow there (P-19)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, Side
from piggy.core.routing import Leg

FULL = "its exposure limit is reached"
NOTHING = OpenRisk()


def full_venues(*, legs: Iterable[Leg], terms: OrderTerms, moment: Moment) -> dict[str, str]:
    """Return the venues that have no room for their leg, each with why; what makes a venue's risk smaller fits."""
    account = moment.account(terms.account_id)
    limit = moment.state.effective_limits[account.group].exposure_venue_max
    if limit is None:
        return {}
    return {leg.venue: FULL for leg in legs if not _fits(leg, terms, limit, account.currency, moment)}


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
