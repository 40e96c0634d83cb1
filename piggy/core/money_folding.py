"""Folding what payments, nights and hedges do to money and risk."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from piggy.core import events as ev
from piggy.core.events import Recorded
from piggy.core.gifts import GIFTS_MAX, Gift, Move, after_moves, given
from piggy.core.money import ZERO
from piggy.core.nights import Night, with_night
from piggy.core.orders import OrderState
from piggy.core.positions import filled
from piggy.core.protection import CREDIT, credit_left
from piggy.core.state import Hedge, State
from piggy.core.venue_books import VenueBook, take_settled

FINAL = {"rejected": OrderState.REJECTED, "filled": OrderState.FILLED}


def _credited(state: State, event: ev.AccountCredited, recorded: Recorded) -> None:
    _count_credit(state, event, event.amount)
    state.balances[event.account_id] = state.balances.get(event.account_id, ZERO) + event.amount
    state.references.add(event.reference)


def _count_credit(state: State, event: ev.AccountCredited | ev.AccountDebited, amount: Decimal) -> None:
    """Keep up what of a balance is credit, which the client can lose and not withdraw."""
    known, balance = state.credits.get(event.account_id, ZERO), state.balances.get(event.account_id, ZERO)
    if known or event.kind in CREDIT:
        left = credit_left(credit=known, balance=balance)
        state.credits[event.account_id] = max(ZERO, left + amount) if event.kind in CREDIT else left


def _debited(state: State, event: ev.AccountDebited, recorded: Recorded) -> None:
    _count_credit(state, event, -event.amount)
    state.balances[event.account_id] = state.balances.get(event.account_id, ZERO) - event.amount
    state.references.add(event.reference)


def _written_off(state: State, event: ev.NegativeBalanceWrittenOff, recorded: Recorded) -> None:
    balance, known = state.balances.get(event.account_id, ZERO), state.gifts.get(event.account_id, ())
    state.balances[event.account_id] = balance + event.amount
    if event.supersedes:
        state.gifts[event.account_id] = given(gifts=known, seq=event.supersedes, amount=event.amount)
    elif event.amount > 0:
        gift = Gift(seq=recorded.seq, balance=balance, given=event.amount)
        state.gifts[event.account_id] = (*known, gift)[-GIFTS_MAX:]
    elif mine := [gift.seq for gift in known if gift.given >= -event.amount]:
        # Of before it said which one: what a fill had brought about went back with it.
        state.gifts[event.account_id] = given(gifts=known, seq=mine[-1], amount=event.amount)


def _swaps(state: State, event: ev.SwapsConfigured, recorded: Recorded) -> None:
    state.swap_rates[event.rates.symbol] = event.rates
    state.config_version += 1


def _swap_free(state: State, event: ev.SwapFreeConfigured, recorded: Recorded) -> None:
    if event.terms is None:
        state.swap_free.pop(event.group, None)
    else:
        state.swap_free[event.group] = event.terms
    state.config_version += 1


def _swap_charged(state: State, event: ev.SwapCharged, recorded: Recorded) -> None:
    state.balances[event.account_id] = state.balances.get(event.account_id, ZERO) + event.amount
    state.rolled.add(event.position_id)
    state.swap_owed.pop(event.position_id, None)
    _count_night(state, event)


def _count_night(state: State, event: ev.SwapCharged) -> None:
    position, life = state.positions[event.position_id], state.lives.get(event.position_id)
    night = Night(
        since_us=event.since_us or event.occurred_at_us,
        until_us=event.occurred_at_us,
        side=position.side,
        lots=event.lots,
        held=event.lots,
        amount=event.amount,
        kind=event.kind,
    )
    state.nights[event.position_id] = with_night(
        nights=state.nights.get(event.position_id, ()),
        night=night,
        dealt_at_us=max((fill.at_us for fill in life.fills), default=0) if life else 0,
    )


def _swap_restated(state: State, event: ev.SwapRestated, recorded: Recorded) -> None:
    state.balances[event.account_id] = state.balances.get(event.account_id, ZERO) + event.amount
    if gifts := state.gifts.get(event.account_id):
        state.gifts[event.account_id] = after_moves(gifts=gifts, moves=[Move(event.place_seq, event.amount)])


def _swap_deferred(state: State, event: ev.SwapDeferred, recorded: Recorded) -> None:
    state.rolled.add(event.position_id)
    state.swap_owed[event.position_id] = event.owed or ((event.nights, event.occurred_at_us),)


def _rolled_over(state: State, event: ev.RolledOver, recorded: Recorded) -> None:
    state.last_rollover = event.business_date
    state.rolled.clear()


def _hedging(state: State, event: ev.HedgingConfigured, recorded: Recorded) -> None:
    state.hedge_policies[event.policy.key] = event.policy
    state.config_version += 1


def _hedge_proposed(state: State, event: ev.HedgeProposed, recorded: Recorded) -> None:
    state.hedges[event.hedge_id] = hedge = Hedge(
        hedge_id=event.hedge_id,
        key=event.key,
        symbol=event.symbol,
        side=event.side,
        quantity=event.quantity,
        approved=event.automatic,
        proposed_at_us=recorded.recorded_at_us,
    )
    state.hedge_count += 1
    state.stragglers.add(event.hedge_id)
    state.open_hedges.add(event.hedge_id)
    state.last_hedges[event.key] = event.hedge_id
    _count_pending(state, hedge, event.quantity)


def _hedge_approved(state: State, event: ev.HedgeApproved, recorded: Recorded) -> None:
    hedge = state.hedges[event.hedge_id]
    _count_pending(state, hedge, event.quantity - hedge.quantity)
    hedge.approved, hedge.quantity = True, event.quantity


def _hedge_filled(state: State, event: ev.HedgeFilled, recorded: Recorded) -> None:
    hedge, key = state.hedges[event.hedge_id], (event.venue, event.symbol)
    if not event.venue_booked:
        take_settled(books=state.venue_books, event=event, currency="")
    if not hedge.state.final:
        _count_pending(state, hedge, -event.quantity)
    hedge.filled += event.quantity
    position = filled(
        position=state.house_positions.pop(key, None),
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        contract_size=state.instruments[event.symbol].contract_size,
        account_id="house",
        symbol=event.symbol,
        position_id=f"{event.venue}:{event.symbol}",
    ).position
    if position is not None:
        state.house_positions[key] = position


def _hedge_closed(state: State, event: ev.HedgeClosed, recorded: Recorded) -> None:
    hedge = state.hedges[event.hedge_id]
    _count_pending(state, hedge, hedge.filled - hedge.quantity)
    hedge.state = FINAL.get(event.outcome, OrderState.CANCELLED)
    hedge.outcome, hedge.ended_at_us = event.outcome, recorded.recorded_at_us
    state.open_hedges.discard(event.hedge_id)


def _hedge_settled(state: State, event: ev.HedgeSettled, recorded: Recorded) -> None:
    state.hedges[event.hedge_id].settled = True


def _venue_booked(state: State, event: ev.VenueBooked, recorded: Recorded) -> None:
    """For the ledger: the state of the book follows from the execution itself."""


def _venue_book_opened(state: State, event: ev.VenueBookOpened, recorded: Recorded) -> None:
    book = state.venue_books[(event.venue, event.symbol)]
    state.venue_books[(event.venue, event.symbol)] = VenueBook(position=book.position)


def _count_pending(state: State, hedge: Hedge, lots: Decimal) -> None:
    before = state.hedge_pending.get(hedge.symbol, ZERO)
    state.hedge_pending[hedge.symbol] = before + hedge.side.sign * lots


MONEY_HANDLERS: dict[type, Callable[[State, Any, Recorded], None]] = {
    ev.AccountCredited: _credited,
    ev.AccountDebited: _debited,
    ev.NegativeBalanceWrittenOff: _written_off,
    ev.SwapsConfigured: _swaps,
    ev.SwapFreeConfigured: _swap_free,
    ev.SwapCharged: _swap_charged,
    ev.SwapDeferred: _swap_deferred,
    ev.SwapRestated: _swap_restated,
    ev.RolledOver: _rolled_over,
    ev.HedgingConfigured: _hedging,
    ev.HedgeProposed: _hedge_proposed,
    ev.HedgeApproved: _hedge_approved,
    ev.HedgeFilled: _hedge_filled,
    ev.HedgeClosed: _hedge_closed,
    ev.HedgeSettled: _hedge_settled,
    ev.VenueBooked: _venue_booked,
    ev.VenueBookOpened: _venue_book_opened,
}
