"""Undoing: what goes back with a client's fill besides the fill: its share of nights, and what the house made good."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.bust_commands import FillOnRecord
from piggy.core.commissions import Charge
from piggy.core.correction_events import OrderFillBusted, Place
from piggy.core.execution import Execution
from piggy.core.gifts import Gifts, Move, after_moves, given, owed
from piggy.core.money import ZERO
from piggy.core.nights import moved, without_lots
from piggy.core.position_folding import move_of, own_of, taken_out, worth_of
from piggy.core.positions import ahead_in
from piggy.core.refunds import commission_back
from piggy.core.rollover import is_counted

# What a bust says as the fill did, and what besides where no leg says it.
_SAME = (
    *("order_id", "account_id", "fill_id", "symbol", "side", "quantity", "price", "raw_price", "book", "counterparty"),
    *("cl_ord_id", "venue_fill_id", "position_id", "commission_accrued", "markup_revenue", "premium"),
    *("guarantee_cost", "conversion_rate"),
)
_OWN = ("margin_percent", "news_lots", "news_percent", "news_until_us")


def place_of(*, fill: FillOnRecord | ev.OrderFilled, seq: int, at_us: int) -> Place:
    """Return the place that a fill of event `seq` at `at_us` stands in: its own as a rule."""
    return Place(fill.place_seq or seq, fill.place_at_us or at_us, fill.turnover)


def take_back(
    *,
    fill: FillOnRecord | ev.OrderFilled,
    seq: int,
    at_us: int,
    reason: str,
    execution: Execution,
    by: str = "",
    batch: str = "",
    replaced: Decimal = ZERO,
) -> None:
    """Reverse a client's fill of event `seq` at the rate it was booked at; `replaced` lots are dealt anew there.

    Its share of the nights goes back with it. `by` is whoever takes it back, '' where its venue did.
    """
    moment = execution.moment
    restated = taken_out(
        state=moment.state,
        client=fill,
        seq=seq,
        at_us=at_us,
        now_us=moment.now_us,
        position=execution.position(fill.position_id),
        life=execution.life(position_id=fill.position_id),
        own=own_of(fill.realised, fill.realised_quote),
    )
    order, place = moment.state.orders[fill.order_id], place_of(fill=fill, seq=seq, at_us=at_us)
    gone = Charge(fill.commission_accrued, fill.commission)
    event = OrderFillBusted(
        supersedes=seq,
        **{name: getattr(fill, name) for name in _SAME},
        position=restated.position,
        realised=restated.realised,
        realised_quote=restated.realised_quote,
        commission=commission_back(order=order, lots=fill.quantity, gone=gone, execution=execution),
        reason=reason,
        by=by,
        batch=batch,
        own_realised=fill.realised,
        own_realised_quote=fill.realised_quote,
        place_seq=place.seq,
        place_at_us=place.at_us,
        replaced=replaced,
        venue_booked=fill.book == "A",
        ahead=ahead_in(life=execution.life(position_id=fill.position_id), fill_id=fill.fill_id),
    )
    if by:
        # What a venue takes back is still with the leg that dealt it; of what a person does, this is all there is.
        told = {name: getattr(fill, name) for name in _OWN}
        event = msgspec.structs.replace(event, filled_at_us=at_us, **told)
    # Of a month that is over nothing is counted any more; of this one, what is dealt anew is not charged on top of it.
    counts = is_counted(place_at_us=place.at_us, at_us=moment.now_us)
    turned = worth_of(state=moment.state, event=event) if counts else ZERO
    execution.take_back(order=order, event=event, life=restated.life, turned=turned)
    _give_nights_back(event=event, execution=execution)


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


def _give_nights_back(*, event: OrderFillBusted, execution: Execution) -> None:
    """Undo a fill's share of the nights that its position settled."""
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
