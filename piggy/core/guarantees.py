"""Guaranteed stops: an exit that fills at exactly its stop price, whatever the market did; the house bears the rest.

A client asks for it on an order's stop-loss, or on a stop order that only reduces. The premium is charged when the
stop is filled and not before: so do IG, and OANDA, whose API gives premium and least distance per unit of price
(v20, GuaranteedStopLossOrderEntryData). It is the one of the day that the guarantee was given.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, PositionMode
from piggy.core.auctions import AuctionPhase
from piggy.core.events import Check
from piggy.core.gate import UNSET, GateContext
from piggy.core.instruments import Instrument
from piggy.core.moment import Moment
from piggy.core.money import ZERO, plain, round_money
from piggy.core.orders import OrderTerms, OrderType, TimeInForce
from piggy.core.profiles import GuaranteedStops
from piggy.core.state import Order, State

CODE = "GUARANTEED_STOP"
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
_OF_THE_STOP = ("guaranteed_stop", "limit_price", "stop_price", "stop_loss")
_DEALS_NOW = (OrderType.MARKET, OrderType.LIMIT)


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What a fill at a guaranteed stop moves beside its profit, in the account's currency.

    `premium` is the client's, `cost` what the house gives over the market's price; below nothing where that was better.
    """

    premium: Decimal
    cost: Decimal


def judged(*, context: GateContext, moment: Moment, replaces: Order | None) -> tuple[Check, GuaranteedStops | None]:
    """Return whether the stop of an order before the gate may be guaranteed, and on which terms.

    What is changed keeps its premium; a change that leaves the stop and adds no lots is not asked about again.
    """
    terms, point = context.terms, context.instrument.point
    if replaces is not None and (context.eases or _only_less(terms, replaces)):
        return _passed(), replaces.guarantee
    if fault := _fault(terms):
        return _refused(fault), None
    offer = _offer(terms, moment)
    if offer is None or not offer.offered:
        return _refused(f"guaranteed stops of {terms.symbol}: {UNSET if offer is None else 'not offered'}"), None
    if not _is_quoted(context, moment):
        return _refused("a stop is guaranteed only while its market is open and quoted"), None
    distance = _distance(terms, moment)
    if distance is None or distance < offer.distance_points_min * point:
        told = "" if distance is None else plain(distance / point)
        return _refused("the guaranteed stop is too near the market", told, plain(offer.distance_points_min)), None
    if terms.stop_loss is None and (free := _free_lots(context, moment, replaces)) < context.open_lots:
        text = "more lots would be guaranteed than the position has"
        return _refused(text, plain(context.open_lots), plain(free)), None
    given = replaces.guarantee if replaces is not None and replaces.guarantee is not None else offer
    return _passed(plain(distance / point), plain(offer.distance_points_min)), given


def may_enter(*, order: Order, moment: Moment) -> bool:
    """Return whether an entry may deal now: not while its guaranteed stop would be too near, or reached already.

    It waits: a market that jumped past both prices would have the house buy the position back at a loss at once.
    """
    guarantee, terms = order.guarantee, order.terms
    if guarantee is None or terms.stop_loss is None:
        return True
    distance = _from_market(terms, moment)
    point = moment.instrument(terms.symbol).point
    return distance is not None and distance >= guarantee.distance_points_min * point


def settlement(
    *,
    order: Order,
    instrument: Instrument,
    lots: Decimal,
    price: Decimal,
    market: Decimal,
    rate: Decimal,
    account: Account,
) -> Settlement:
    """Return what `lots` at the guaranteed `price` cost each side, when the client's market was `market`.

    `rate` is the account's money for one unit of the symbol's quote currency.
    """
    assert order.guarantee is not None, "only a guaranteed stop deals past the market"
    premium = order.guarantee.premium_points * instrument.point
    given = order.terms.side.sign * (market - price)
    return Settlement(
        premium=round_money(amount=instrument.notional(lots=lots, price=premium) * rate, currency=account.currency),
        cost=round_money(amount=instrument.notional(lots=lots, price=given) * rate, currency=account.currency),
    )


def stops_of(*, state: State, account_id: str, symbol: str, position_id: str | None = None) -> list[Order]:
    """Return the guaranteed stops that stand for a position of an account in a symbol, or for any; the oldest first."""
    netting = state.accounts[account_id].position_mode is PositionMode.NETTING
    mine = [state.orders[order_id] for order_id in sorted(state.guaranteed.get(account_id, ()))]
    # A netting account has one position in the symbol, and its stops need not name it.
    return [
        stop
        for stop in mine
        if stop.terms.symbol == symbol and (netting or position_id in (None, stop.terms.position_id))
    ]


def _only_less(terms: OrderTerms, replaces: Order) -> bool:
    """Whether the stop that is guaranteed already stays, and stands for no more lots."""
    before = replaces.terms
    same = all(getattr(terms, name) == getattr(before, name) for name in _OF_THE_STOP)
    waits = terms.time_in_force is before.time_in_force or terms.time_in_force not in _AT_ONCE
    return same and waits and terms.quantity <= replaces.quantity


def _fault(terms: OrderTerms) -> str:
    if terms.stop_loss is not None:
        return "what only reduces has no stop-loss to be guaranteed" if terms.reduce_only else ""
    if terms.type is not OrderType.STOP or not terms.reduce_only:
        return "a guaranteed stop is a stop-loss, or a stop order that only reduces"
    bounded = terms.limit_price is not None or terms.minimum_quantity is not None
    if terms.time_in_force in _AT_ONCE or terms.all_or_none or bounded:
        return "a guaranteed stop waits for its price, and then deals altogether, at no other"
    return ""


def _offer(terms: OrderTerms, moment: Moment) -> GuaranteedStops | None:
    """Return what the most specific profile that says anything of guaranteed stops says."""
    profiles = moment.profiles(account_id=terms.account_id, symbol=terms.symbol)
    return next((each.guaranteed_stops for each in profiles if each.guaranteed_stops is not None), None)


def _is_quoted(context: GateContext, moment: Moment) -> bool:
    phase, oldest = moment.state.phases.get(context.terms.symbol), context.limits.price_age_ms_max
    traded = context.session_open and (phase is None or phase.phase is AuctionPhase.CONTINUOUS)
    return traded and context.age_ms is not None and oldest is not None and context.age_ms <= oldest


def _distance(terms: OrderTerms, moment: Moment) -> Decimal | None:
    """Return how far the stop is, in price: an exit's from the price that reaches it, another's from its entry.

    An entry deals at its own price or at the market's; the one that is nearer to the stop counts.
    """
    found = [_from_market(terms, moment)] if terms.stop_loss is None or terms.type in _DEALS_NOW else []
    if terms.stop_loss is not None and terms.type is not OrderType.MARKET:
        own = (terms.limit_price, terms.stop_price)
        found += [terms.side.sign * (price - terms.stop_loss) for price in own if price is not None]
    known = [each for each in found if each is not None]
    return min(known) if known and len(known) == len(found) else None


def _from_market(terms: OrderTerms, moment: Moment) -> Decimal | None:
    """Return how far the stop is from where the client could deal now; None off quotes, and where it is reached."""
    leaving = terms.side if terms.stop_loss is None else terms.side.contra
    stop = terms.stop_price if terms.stop_loss is None else terms.stop_loss
    out = moment.street_price(account_id=terms.account_id, symbol=terms.symbol, side=leaving, lots=terms.quantity)
    if out is None or stop is None or leaving.sign * (stop - out) <= 0:
        return None
    if terms.stop_loss is None:
        return leaving.sign * (stop - out)
    entry = moment.street_price(account_id=terms.account_id, symbol=terms.symbol, side=terms.side, lots=terms.quantity)
    return None if entry is None else terms.side.sign * (entry - stop)


def _free_lots(context: GateContext, moment: Moment, replaces: Order | None) -> Decimal:
    """Return the lots of the position to be left that no other guaranteed stop stands for."""
    terms = context.terms
    held = context.position_net if context.closable is None else context.closable
    state = moment.state
    stops = stops_of(state=state, account_id=terms.account_id, symbol=terms.symbol, position_id=terms.position_id)
    stood = sum((stop.leaves for stop in stops), ZERO)
    return abs(held) - stood + (replaces.leaves if replaces is not None else ZERO)


def _passed(value: str = "", limit: str = "") -> Check:
    return Check(code=CODE, passed=True, value=value, limit=limit)


def _refused(text: str, value: str = "", limit: str = "") -> Check:
    return Check(code=CODE, passed=False, value=value, limit=limit, text=text)
