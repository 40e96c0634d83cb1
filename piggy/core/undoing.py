"""Undoing: what goes back with a client's fill besides the fill: its share of nights, and what the house made good."""

from __future__ import annotations

from piggy.core import events as ev
from piggy.core.correction_events import OrderFillBusted
from piggy.core.execution import Execution
from piggy.core.gifts import Gifts, Move, after_moves, given, owed
from piggy.core.money import ZERO
from piggy.core.nights import moved, without_lots
from piggy.core.position_folding import move_of
from piggy.core.positions import Life
from piggy.core.state import Order


def undo(*, order: Order, event: OrderFillBusted, life: Life, execution: Execution) -> None:
    """Take a fill back as `event` says, which leaves its position's `life`, and its share of the nights with it."""
    execution.take_back(order=order, event=event, life=life)
    position_id, lots = event.position_id, event.quantity - event.replaced
    before = execution.nights.get(position_id) or execution.moment.state.nights.get(position_id, ())
    after = without_lots(nights=before, side=event.side, lots=lots, at_us=event.place_at_us)
    execution.nights[position_id] = after
    account = execution.moment.account(event.account_id)
    for kind, amount in moved(before=before, after=after, currency=account.currency).items():
        execution.book_money(account=account, amount=amount)
        execution.events.append(
            ev.SwapRestated(
                account_id=account.account_id,
                position_id=position_id,
                symbol=event.symbol,
                fill_id=event.fill_id,
                kind=kind,
                amount=amount,
                currency=account.currency,
                place_seq=event.place_seq,
            )
        )


def make_good(*, execution: Execution) -> None:
    """Restate what the house had made good by what was taken back or dealt anew, and make good what is short now."""
    state, moves = execution.moment.state, dict[str, list[Move]]()
    for event in execution.events:
        if isinstance(event, OrderFillBusted | ev.SwapRestated | ev.OrderFilled):
            moves.setdefault(event.account_id, []).append(move_of(event=event, state=state))
    for account_id, mine in moves.items():
        _restate_gifts(account_id, after_moves(gifts=state.gifts.get(account_id, ()), moves=mine), execution)
        account = execution.moment.account(account_id)
        execution.write_off(account_id=account_id, amount=execution.book_money(account=account, amount=ZERO))


def _restate_gifts(account_id: str, gifts: Gifts, execution: Execution) -> None:
    protected, currency = execution.moment.is_protected(account_id), execution.moment.account(account_id).currency
    for place, seq in enumerate([gift.seq for gift in gifts]):
        more = owed(gift=gifts[place], protected=protected, currency=currency) - gifts[place].given
        execution.write_off(account_id=account_id, amount=more, gift_seq=seq)
        gifts = given(gifts=gifts, seq=seq, amount=more)
