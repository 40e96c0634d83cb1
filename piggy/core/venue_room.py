"""Room: what account, house and venues have open with an order (P-19), and which legs a venue has no room for.

That is for its exposure (P-19) or for its message rate (P-14).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from piggy.core.accounts import Venue
from piggy.core.limits import Limits
from piggy.core.margin import lot_value
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, Side
from piggy.core.routing import Leg
from piggy.core.state import State

FULL = "its exposure limit is reached"
BUSY = "its message rate is used up"
NOTHING = OpenRisk()


class Opened(NamedTuple):
    """What would be open with an order, in its account's currency, all that works counted as dealt; None: not known.

    The house is all that one desk knows of its firm. `venue` is that which would have least, one where it fits if any.
    """

    account: Decimal | None
    house: Decimal | None
    venue: Decimal | None


def opened_by(
    *, terms: OrderTerms, lots: Decimal, before: Decimal, unit: Decimal, currency: str, moment: Moment
) -> Opened:
    """Return what so many `lots` of an order would leave open, each worth `unit`; `before` of them work already.

    What it closes, or works the other way, is set off as a fill would set it off.
    """
    state, instrument = moment.state, moment.state.instruments[terms.symbol]
    limit = moment.limits(group=state.accounts[terms.account_id].group).exposure_venue_max
    more = ZERO if terms.reduce_only else lots - before

    def rate(source: str) -> Decimal | None:
        return moment.rate(source=source, target=currency, gain=False)

    def worth(risk: OpenRisk | None, added: Decimal) -> Decimal | None:
        risk = risk or NOTHING
        together = _lots_with(risk, terms, added)
        return risk.worth(into=currency, rate=rate, instrument=instrument, unit=unit, lots=together)

    account, house = worth(state.account_risks.get(terms.account_id), more), worth(state.house_risk, more)
    least, unknown = None, False
    for name, venue in state.venues.items():
        if not venue.enabled or venue.shadow:
            continue
        # What an amendment gives back is at no venue.
        found = worth(state.venue_risks.get(name), lots)
        if found is None:
            unknown = True
        elif limit is not None and found <= limit:
            return Opened(account, house, found)
        else:
            least = found if least is None else min(least, found)
    return Opened(account, house, least if unknown or least is not None else ZERO)


def full_venues(
    *, legs: Iterable[Leg], terms: OrderTerms, opens: bool, sending: Mapping[str, int], moment: Moment
) -> dict[str, str]:
    """Return the venues that have no room for their leg, each with why; what makes a venue's risk smaller fits.

    `sending` are the legs of each venue that this command sends already. A close waits for no rate: it only reduces.
    """
    account = moment.account(terms.account_id)
    limits = moment.limits(group=account.group)
    limit, found = limits.exposure_venue_max, {}
    for leg in legs:
        if opens and _rate_used_up(leg.venue, limits, sending, moment):
            found[leg.venue] = BUSY
        elif limit is not None and not _fits(leg, terms, limit, account.currency, moment):
            found[leg.venue] = FULL
    return found


def least_sent(*, state: State, limits: Limits, now_us: int) -> int:
    """Return how many orders the venue that has most room was sent in the last second (P-14).

    One that is at the rate of its own contract counts as one that is at the limit.
    """
    counts, over = state.venue_messages.counts, state.venue_messages.over(now_us=now_us)
    least, most = None, limits.venue_messages_per_s_max or 0
    for name, venue in state.venues.items():
        if not venue.enabled or venue.shadow:
            continue
        sent = counts.get(name, 0) - over.get(name, 0)
        if not sent:
            return 0
        if venue.messages_per_s_max is not None and sent >= venue.messages_per_s_max:
            sent = max(sent, most)
        least = sent if least is None else min(least, sent)
    return least or 0


def busy_venues(*, sending: Mapping[str, int], moment: Moment) -> dict[str, str]:
    """Return the venues whose own contract lets nothing more be sent this second, each with why (P-14)."""
    known = moment.state.venues.items()
    return {name: BUSY for name, venue in known if _is_used_up(name, venue.messages_per_s_max, sending, moment)}


def rate_of(*, venue: Venue, limits: Limits) -> int | None:
    """Return how many messages a second a venue may be sent: its contract's number, and no more than the group's."""
    own, every = venue.messages_per_s_max, limits.venue_messages_per_s_max
    if own is None or every is None:
        return every if own is None else own
    return min(own, every)


def _rate_used_up(name: str, limits: Limits, sending: Mapping[str, int], moment: Moment) -> bool:
    return _is_used_up(name, rate_of(venue=moment.state.venues[name], limits=limits), sending, moment)


def _is_used_up(name: str, most: int | None, sending: Mapping[str, int], moment: Moment) -> bool:
    messages, ours = moment.state.venue_messages, sending.get(name, 0)
    # Some of what is counted may be of an earlier second by now.
    if most is None or messages.counts.get(name, 0) + ours < most:
        return False
    sent, _ = messages.lately(who=name, now_us=moment.now_us)
    return sent + ours >= most


def _lots_with(risk: OpenRisk, terms: OrderTerms, lots: Decimal) -> Decimal:
    if terms.side is Side.BUY:
        return risk.lots_with(symbol=terms.symbol, buys=lots)
    return risk.lots_with(symbol=terms.symbol, sells=lots)


def _fits(leg: Leg, terms: OrderTerms, limit: Decimal, currency: str, moment: Moment) -> bool:
    risk, instrument = moment.state.venue_risks.get(leg.venue, NOTHING), moment.state.instruments[terms.symbol]
    lots = _lots_with(risk, terms, leg.quantity)
    if lots <= risk.lots_with(symbol=terms.symbol):
        return True

    def rate(source: str) -> Decimal | None:
        return moment.rate(source=source, target=currency, gain=False)

    if (here := rate(instrument.quote)) is None:
        return False
    unit = lot_value(instrument=instrument, price=leg.limit_price, rate=here, account_currency=currency)
    worth = risk.worth(into=currency, rate=rate, instrument=instrument, unit=unit, lots=lots)
    return worth is not None and worth <= limit
