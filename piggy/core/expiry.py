"""Expiry: an option whose time is over ends in cash. Its orders end, and all that is held of it is settled.

It is settled at its intrinsic value, fixed once, at the first price of the underlying from the expiry on that may be
trusted: so buyer, writer, house and venue get the same price, in however many steps, and what a venue reports late
gets it too. Closes are the desk's own orders: they pass no gate, pay nothing and go nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from piggy.core import events as ev
from piggy.core import venue_cancels
from piggy.core.accounts import TradingState
from piggy.core.auctions import CALLS
from piggy.core.closing import closing_terms
from piggy.core.execution import Execution
from piggy.core.expiry_events import OptionExpired, VenueSettled
from piggy.core.instruments import OptionKind, OptionTerms, has_expired
from piggy.core.margining import positions_in
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.orders import EXPIRY, SelfTradePrevention, Side
from piggy.core.positions import Position, close_split, floating
from piggy.core.risk import verdict_on
from piggy.core.routing import waiting
from piggy.core.standing import phase_of
from piggy.core.state import Order, proposed_order
from piggy.core.venue_books import opened, settled_at

Expired = Mapping[str, OptionExpired]
POSITIONS_PER_STEP_MAX = 300
OPTIONS_PER_STEP_MAX = 500
LOOK_EVERY_US = 100_000
REASON = "the option expired"
HOUSE = "house"
_STOPPED = (TradingState.HALTED, TradingState.KILLED)


class ExpiryWatch:
    """Asks now and then whether an option is to be settled; no later than one expires."""

    def __init__(self) -> None:
        self._from_us = self._until_us = 0

    def is_due(self, *, of: Mapping[str, Collection[str]], moment: Moment) -> bool:
        """Return whether `expire` has something to do; `of` are all options there are, by underlying."""
        now_us = moment.now_us
        if self._from_us <= now_us < self._until_us:
            return False
        symbols = [symbol for written in of.values() for symbol in written]
        if _newly_expired(symbols, moment) or _settles(moment):
            return True
        terms = (moment.instrument(symbol).option for symbol in symbols if symbol not in moment.state.expired)
        ends = (option.expires_at_us for option in terms if option)
        self._from_us, self._until_us = now_us, min((now_us + LOOK_EVERY_US, *ends))
        return False


def intrinsic(*, option: OptionTerms, underlying_price: Decimal, tick: Decimal) -> Decimal:
    """Return what exercise brings per unit, in quote currency, cut to the tick: zero out of the money."""
    worth = underlying_price - option.strike
    worth = worth if option.kind is OptionKind.CALL else -worth
    return max(ZERO, worth) // tick * tick


def expire(*, execution: Execution) -> None:
    """End what works in options that expired and settle what is held of them, a limited number at a time."""
    moment, state = execution.moment, execution.moment.state
    options = (symbol for symbol, instrument in state.instruments.items() if instrument.option)
    fresh = _newly_expired(options, moment)[:OPTIONS_PER_STEP_MAX]
    if fresh:
        _end_orders(frozenset(fresh), execution)
    said = [_priced(symbol, moment) or _unpriced(symbol, moment) for symbol in fresh]
    said += _newly_priced(moment)[:OPTIONS_PER_STEP_MAX]
    execution.events += said
    expired = {**state.expired, **{event.symbol: event for event in said}}
    left = POSITIONS_PER_STEP_MAX
    for position, event in _held(expired, moment):
        lots = _free(position, execution)
        if lots > 0:
            _settle(position, lots, event, execution)
            left -= 1
        if not left:
            break
    execution.events += _at_venues(expired, moment)


def _settles(moment: Moment) -> bool:
    """Return whether anything of an option that expired before is to be done now."""
    expired, execution = moment.state.expired, Execution(moment=moment)
    if not expired:
        return False
    if any(_free(position, execution) > 0 for position, _ in _held(expired, moment)):
        return True
    return bool(_at_venues(expired, moment) or _newly_priced(moment))


def _newly_expired(symbols: Collection[str] | Iterator[str], moment: Moment) -> list[str]:
    state, now_us = moment.state, moment.now_us
    over = (symbol for symbol in symbols if symbol not in state.expired)
    return sorted(symbol for symbol in over if has_expired(instrument=state.instruments[symbol], now_us=now_us))


def _newly_priced(moment: Moment) -> list[OptionExpired]:
    """Return the options that waited for a price of their underlying, with it."""
    waits = sorted(symbol for symbol, event in moment.state.expired.items() if event.price is None)
    return [event for symbol in waits if (event := _priced(symbol, moment))]


def _unpriced(symbol: str, moment: Moment) -> OptionExpired:
    option = _terms(symbol, moment)
    return OptionExpired(symbol=symbol, underlying=option.underlying, expires_at_us=option.expires_at_us)


def _terms(symbol: str, moment: Moment) -> OptionTerms:
    option = moment.instrument(symbol).option
    assert option is not None, "nothing else expires"
    return option


def _priced(symbol: str, moment: Moment) -> OptionExpired | None:
    """Return the option with what it is settled at, None while its underlying has no price that may be trusted."""
    option = _terms(symbol, moment)
    price = _underlying_price(symbol, option.underlying, moment)
    if price is None:
        return None
    return OptionExpired(
        symbol=symbol,
        underlying=option.underlying,
        expires_at_us=option.expires_at_us,
        underlying_price=price,
        price=intrinsic(option=option, underlying_price=price, tick=moment.instrument(symbol).tick_size),
    )


def _underlying_price(symbol: str, underlying: str, moment: Moment) -> Decimal | None:
    """Return the live mid of an underlying that is not halted, agreed on by as many venues as its holders' groups ask.

    A call is no market; past the last one of a day, what venues still quote is one.
    """
    state = moment.state
    if state.trading_states.get(("symbol", underlying)) in _STOPPED:
        return None
    if phase_of(state=state, symbol=underlying) in CALLS:
        return None
    names = {state.accounts[account_id].group for account_id in state.holders.get(symbol, ())}
    for group in (state.groups[name] for name in names):
        if group.stop_out_quorum > 1 and not moment.market.trusted(
            symbol=underlying, now_us=moment.now_us, k=group.stop_out_quorum, band_bps=group.stop_out_band_bps
        ):
            return None
    return moment.market.mid(symbol=underlying, now_us=moment.now_us)


def _end_orders(symbols: frozenset[str], execution: Execution) -> None:
    """End every order in the options; legs at venues, the house's own too, are asked to end first."""
    moment, state = execution.moment, execution.moment.state
    asked = {event.order_id for event in execution.events if isinstance(event, ev.ChildCancelRequested)}
    working = sorted(order_id for orders in state.open_orders.values() for order_id in orders)
    orders = (state.orders[order_id] for order_id in working if order_id not in asked)
    over: list[Order] = [order for order in orders if order.terms.symbol in symbols and execution.leaves(order) > 0]
    venue_cancels.end(orders=over, outcome="expired", reason=REASON, execution=execution)
    for symbol in sorted(symbols):
        execution.events += venue_cancels.recall_hedges(symbol=symbol, reason=REASON, moment=moment)


def _held(expired: Expired, moment: Moment) -> Iterator[tuple[Position, OptionExpired]]:
    """Yield the positions of options whose settlement price is known, in an order that never differs."""
    state = moment.state
    for symbol in sorted(expired):
        if expired[symbol].price is None:
            continue
        for account_id in sorted(state.holders.get(symbol, ())):
            held = positions_in(state=state, account_id=account_id, symbol=symbol)
            for position in sorted(held, key=lambda each: each.position_id):
                yield position, expired[symbol]


def _free(position: Position, execution: Execution) -> Decimal:
    """Return the lots to settle now; those on their way out at a venue wait for its answer, all for a rate."""
    moment, account = execution.moment, execution.moment.account(position.account_id)
    left = execution.position(position.position_id)
    quote = moment.instrument(position.symbol).quote
    if left is None or moment.exchange(source=quote, target=account.currency, gain=False) is None:
        return ZERO
    return left.lots - execution.under_way(position=left)


def _settle(position: Position, lots: Decimal, event: OptionExpired, execution: Execution) -> None:
    """Close the lots at the settlement price, each part against the book that it was opened in."""
    moment, price = execution.moment, event.price
    assert price is not None, "what has no price yet waits"
    group, order_id = moment.group_of(position.account_id), execution.new_order_id()
    text = f"expired: settled at {price}, underlying {event.underlying_price}"
    # What is settled meets nobody.
    terms = closing_terms(position=position, lots=lots, tag=EXPIRY, stp=SelfTradePrevention.CANCEL_NEWEST)
    verdict = verdict_on(
        order_id=order_id,
        terms=terms,
        at_us=moment.now_us,
        config_version=moment.state.config_version,
        checks=(ev.Check(code="EXPIRY", passed=True, text=text),),
    )
    routing = waiting(group=group, text=text)
    execution.events.append(
        ev.OrderAccepted(
            order_id=order_id, terms=terms, source=EXPIRY, group=group.name, verdict=verdict, routing=routing
        )
    )
    order = proposed_order(
        order_id=order_id, terms=terms, source=EXPIRY, group=group.name, at_us=moment.now_us, seq=moment.state.seq
    )
    for book, part in close_split(position=position, quantity=lots).items():
        counterparty = _venue_of(position, moment) if book == "A" else HOUSE
        execution.fill(
            order=order, quantity=part, raw=price, price=price, book=book, counterparty=counterparty, reason=text
        )


def _venue_of(position: Position, moment: Moment) -> str:
    """Return the venue that holds most of what covers the position: it pays what the client gets."""
    state, sign = moment.state, position.side.sign
    nets = {venue: sign * state.venue_nets.get((venue, position.symbol), ZERO) for venue in sorted(state.venues)}
    return max(nets, key=nets.__getitem__)


def _at_venues(expired: Expired, moment: Moment) -> list[VenueSettled | ev.VenueBookOpened]:
    """Return the settlement of what venues hold for the house of options whose settlement price is known."""
    state, settled = moment.state, list[VenueSettled | ev.VenueBookOpened]()
    for venue, symbol in sorted({*state.venue_nets, *state.house_positions}):
        price = expired[symbol].price if symbol in expired else None
        net, held = state.venue_nets.get((venue, symbol), ZERO), state.house_positions.get((venue, symbol))
        if price is None or not (net or held):
            continue
        instrument = moment.instrument(symbol)
        size = instrument.contract_size
        event = VenueSettled(
            venue=venue,
            symbol=symbol,
            side=Side.SELL if net > 0 else Side.BUY,
            quantity=abs(net),
            price=price,
            realised=floating(position=held, bid=price, ask=price, contract_size=size) if held else ZERO,
            currency=instrument.quote,
            occurred_at_us=moment.now_us,
        )
        settled += opened(venue=venue, books=state.venue_books, instrument=instrument)
        settled.append(settled_at(event=event, books=state.venue_books, contract_size=size))
    return settled
