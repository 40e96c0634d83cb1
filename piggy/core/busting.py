"""Busting: a person takes clients' fills back, as after a bad price, or deals one anew at another price.

The fill stays in the log and an event of its own supersedes it. Lots taken back are not dealt again: an order that
still works becomes smaller by them. What an LP did stands until the LP says otherwise (corrections.py), so of the A
book the house keeps the LP's side.
"""

from __future__ import annotations

from decimal import Decimal

from piggy.core import events as ev
from piggy.core.aftermath import settled
from piggy.core.bust_commands import BustCommand, BustFills, CorrectFill, FillOnRecord
from piggy.core.execution import Execution
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.positions import Fill
from piggy.core.pricing import at_least_as_good
from piggy.core.quotefilter import PRICE_MAX
from piggy.core.state import Dealt, Order, State
from piggy.core.undoing import make_good, place_of, take_back

Events = list[ev.AnyEvent]
FILLS_MAX = 500


def bust_fills(*, command: BustFills, moment: Moment) -> Events:
    """Take the fills back, the latest first, or refuse them all."""
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who takes fills back, and why, is recorded")]
    if not 0 < len(command.fills) <= FILLS_MAX:
        return [_refused("FILLS_UNUSABLE", "fills", f"from 1 to {FILLS_MAX} fills at once")]
    if len({fill.fill_id for fill in command.fills}) < len(command.fills):
        return [_refused("FILLS_UNUSABLE", "fills", "a fill is named twice")]
    execution = Execution(moment=moment)
    for fill in sorted(command.fills, key=lambda fill: -fill.seq):
        if wrong := _misfit(fill, moment.state) or _alone(fill, command.fills):
            return [wrong]
        _take_back(fill, command, execution, batch=command.batch)
        order = moment.state.orders[fill.order_id]
        _end_exits(order=order, fill=fill, execution=execution)
        if not order.state.final:
            execution.reduce(order=order, lots=fill.quantity, reason=command.reason)
    make_good(execution=execution)
    return settled(execution=execution)


def correct_fill(*, command: CorrectFill, moment: Moment) -> Events:
    """Take the fill back and give its lots at the other price; never outside of the order's own limit."""
    fill, state = command.fill, moment.state
    if not (command.by and command.reason):
        return [_refused("REASON_MISSING", "reason", "who corrects a fill, and why, is recorded")]
    if wrong := _misfit(fill, state):
        return [wrong]
    if fill.book == "CROSS":
        return [_refused("CROSSED", "fill", "two clients met at this price: bust both sides instead")]
    order, tick = state.orders[fill.order_id], moment.instrument(fill.symbol).tick_size
    if not (command.price.is_finite() and ZERO < command.price <= PRICE_MAX) or command.price % tick:
        return [_refused("PRICE_INVALID", "price", f"a price above nothing, in steps of {tick}")]
    if command.price == fill.price:
        return [_refused("PRICE_INVALID", "price", "that is the price it has")]
    if order.guaranteed:
        return [_refused("GUARANTEED_STOP", "price", f"its stop is guaranteed at {order.terms.stop_price}")]
    limit = order.terms.limit_price
    if limit is not None and not at_least_as_good(price=command.price, limit=limit, side=fill.side):
        return [_refused("WORSE_THAN_LIMIT", "price", f"the client's limit is {limit}")]
    execution = Execution(moment=moment)
    _take_back(fill, command, execution, replaced=fill.quantity)
    execution.fill(
        order=order,
        quantity=fill.quantity,
        raw=command.price - (fill.price - fill.raw_price),
        price=command.price,
        book=fill.book,
        counterparty=fill.counterparty,
        reason=f"{fill.fill_id} corrected by {command.by}: {command.reason}",
        place=place_of(fill=fill, seq=fill.seq, at_us=fill.at_us),
    )
    make_good(execution=execution)
    return settled(execution=execution)


def _take_back(
    fill: FillOnRecord, command: BustCommand, execution: Execution, *, batch: str = "", replaced: Decimal = ZERO
) -> None:
    take_back(
        fill=fill,
        seq=fill.seq,
        at_us=fill.at_us,
        reason=command.reason,
        by=command.by,
        batch=batch,
        replaced=replaced,
        execution=execution,
    )


def _end_exits(*, order: Order, fill: FillOnRecord, execution: Execution) -> None:
    """The exits that this fill brought about have nothing left to protect."""
    group = fill.fill_id.replace(f"{order.order_id}-", f"{order.order_id}/")
    for order_id in sorted(execution.moment.state.oco.get((fill.account_id, group), ())):
        exit_ = execution.moment.state.orders[order_id]
        if not exit_.routed and execution.leaves(exit_) > 0:
            execution.reduce(order=exit_, lots=fill.quantity, reason="its entry was taken back")


def _misfit(fill: FillOnRecord, state: State) -> ev.CommandRefused | None:
    """Say what of the fill is not as the desk knows it."""
    order = state.orders.get(fill.order_id)
    known = order is not None and (order.terms.account_id, order.terms.symbol, order.terms.side) == (
        fill.account_id,
        fill.symbol,
        fill.side,
    )
    if order is not None and (fill.fill_id in state.busted or _gone_at_venue(fill, state)):
        return _refused("ALREADY_BUSTED", "fills", f"{fill.fill_id} was taken back before")
    if order is None or not known or not 0 < fill.quantity <= order.filled:
        return _refused("FILL_UNKNOWN", "fills", f"there is no such fill: {fill.fill_id}")
    if any((each.side, each.price) != (fill.side, fill.price) for each in _in_life(fill, state)):
        return _refused("FILL_UNKNOWN", "fills", f"{fill.fill_id} is not as the desk has it")
    return None


def _in_life(fill: FillOnRecord, state: State) -> list[Fill]:
    life = state.lives.get(fill.position_id)
    return [each for each in life.fills if each.fill_id == fill.fill_id] if life else []


def _gone_at_venue(fill: FillOnRecord, state: State) -> bool:
    child = state.children.get(fill.cl_ord_id)
    dealt: Dealt | None = child.dealt.get(fill.venue_fill_id) if child else None
    return dealt is not None and (dealt.client is None or dealt.client.fill_id != fill.fill_id)


def _alone(fill: FillOnRecord, fills: tuple[FillOnRecord, ...]) -> ev.CommandRefused | None:
    """Two clients who met are undone together: the house was never between them."""
    if fill.book != "CROSS":
        return None
    same: tuple[str, Decimal, Decimal] = (fill.order_id, fill.quantity, fill.raw_price)
    if any((each.counterparty, each.quantity, each.raw_price) == same for each in fills):
        return None
    return _refused("OTHER_SIDE_MISSING", "fills", f"{fill.fill_id} met {fill.counterparty}: name both")


def _refused(code: str, field: str, text: str) -> ev.CommandRefused:
    return ev.CommandRefused(code=code, field=field, text=text)
