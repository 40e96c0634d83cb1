"""Folding what a client's fill, or its bust, does to what he holds: position, exposure, margin, turnover."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.accounts import PositionMode
from piggy.core.bust_commands import FillOnRecord
from piggy.core.correction_events import OrderFillBusted
from piggy.core.gifts import Held, Move, after_moves
from piggy.core.money import ZERO
from piggy.core.nights import FLAT_MAX, without_lots
from piggy.core.open_risk import OpenRisk
from piggy.core.orders import OrderTerms, Side
from piggy.core.positions import NOTHING, Booked, Fill, Life, Names, Position, filled, netted_id
from piggy.core.restating import Restated, dealt_back, without
from piggy.core.rollover import is_counted, month_of
from piggy.core.state import Exposure, Order, State

_BUY = Side.BUY
Dealing = ev.OrderFilled | OrderFillBusted | FillOnRecord


def move_position(*, state: State, event: ev.OrderFilled, at_us: int, seq: int, worked: Decimal) -> None:
    """Take a fill, event `seq`, into its position; `worked` of its lots were counted as a working order's."""
    at_us = event.place_at_us or at_us
    before = state.positions.get(event.position_id)
    contract_size = state.instruments[event.symbol].contract_size
    after = filled(
        position=before,
        account_id=event.account_id,
        symbol=event.symbol,
        position_id=event.position_id,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        contract_size=contract_size,
        book=event.book,
        at_us=at_us,
        margin_percent=event.margin_percent,
        news_lots=event.news_lots,
        news_percent=event.news_percent,
        news_until_us=event.news_until_us,
        ahead=event.ahead,
    ).position
    life = state.lives.get(event.position_id)
    if life is None:
        life = state.lives[event.position_id] = Life()
    fill = fill_of(event=event, at_us=at_us, seq=seq)
    life.take(fill=fill, before=before, after=after, contract_size=contract_size)
    margin = event.symbol_margin
    if margin is None:
        margin = event.margin_per_lot * after.lots if after else ZERO
    _hold(state, event, before, after, margin)
    _risk(state, event, before, after, worked)
    if event.place_seq:
        restate_gifts(state=state, event=event)
    if margin and event.news_lots:
        key = (event.account_id, event.symbol)
        state.news_until[key] = max(event.news_until_us, state.news_until.get(key, 0))


def restate_position(*, state: State, event: OrderFillBusted, client: Dealing, now_us: int) -> None:
    """Take a fill out of the position that it named, at `now_us`."""
    before = state.positions.get(event.position_id)
    life = state.lives.get(event.position_id)
    own = own_of(event.own_realised, event.own_realised_quote)
    seq = event.supersedes
    restated = taken_out(
        state=state, client=client, seq=seq, at_us=0, now_us=now_us, position=before, life=life, own=own
    )
    state.lives[event.position_id] = restated.life
    _hold(state, event, before, event.position, event.symbol_margin)
    _risk(state, event, before, event.position, ZERO)
    restate_gifts(state=state, event=event)
    if event.place_seq and (nights := state.nights.get(event.position_id)):
        lots = event.quantity - event.replaced
        state.nights[event.position_id] = without_lots(
            nights=nights, side=event.side, lots=lots, at_us=event.place_at_us
        )


def restate_gifts(*, state: State, event: ev.OrderFilled | OrderFillBusted | ev.SwapRestated) -> None:
    """Note what was different before each time that the house made something good."""
    if gifts := state.gifts.get(event.account_id):
        state.gifts[event.account_id] = after_moves(gifts=gifts, moves=[move_of(event=event, state=state)])


def move_of(*, event: ev.OrderFilled | OrderFillBusted | ev.SwapRestated, state: State) -> Move:
    """Return what an event makes different for what was made good after the fill that it deals anew or takes back."""
    if isinstance(event, ev.SwapRestated):
        return Move(event.place_seq, event.amount)
    size, rate = state.instruments[event.symbol].contract_size, event.conversion_rate
    lots, quote = event.side.sign * event.quantity, ZERO
    if isinstance(event, ev.OrderFilled):
        amount = event.realised - event.commission - event.premium
        held = Held(lots, -lots * event.price * size - event.realised_quote, rate)
        return Move(event.place_seq or state.seq, amount, event.position_id, held)
    if event.own_realised_quote is not None:
        quote = event.own_realised_quote + lots * event.price * size
    return Move(event.place_seq or event.supersedes, event.undone, event.position_id, Held(-lots, quote, rate))


def taken_out(
    *,
    state: State,
    client: Dealing,
    seq: int,
    at_us: int,
    now_us: int,
    position: Position | None,
    life: Life | None,
    own: Booked | None,
) -> Restated:
    """Return a client's `position` as it is at `now_us` without a fill of his, event `seq` of the log at `at_us`."""
    restated = without(
        life=life or Life(),
        gone=fill_of(event=client, at_us=now_us, seq=seq),
        position=position,
        contract_size=state.instruments[client.symbol].contract_size,
        names=Names(client.account_id, client.symbol, client.position_id),
        currency=state.accounts[client.account_id].currency,
        own=own,
    )
    held = restated.position
    if held is None or not any(fill.at_us == held.opened_at_us for fill in dealt_back(life=restated.life)):
        return restated
    # What is dealt back was not there before, so no night is charged late for it; but a client's days of grace begin
    # when he had it. Of what is left open by a fill that opened nobody remembers the time.
    began_us = at_us if own is None or own.quote else now_us
    held = msgspec.structs.replace(held, opened_at_us=position.opened_at_us if position else began_us)
    return restated._replace(position=held)


def closable(*, state: State, terms: OrderTerms) -> Decimal:
    """Return the signed lots that an order with these terms could close now."""
    netting = state.accounts[terms.account_id].position_mode is PositionMode.NETTING
    named = netted_id(account_id=terms.account_id, symbol=terms.symbol) if netting else terms.position_id or ""
    position = state.positions.get(named)
    return position.quantity if position else ZERO


def own_of(realised: Decimal | None, realised_quote: Decimal | None) -> Booked | None:
    """Return what a fill had booked; None where that was not told."""
    if realised is None or realised_quote is None:
        return None
    return Booked(realised, realised_quote)


def fill_of(*, event: Dealing, at_us: int, seq: int) -> Fill:
    """Return a fill as the history of its position keeps it."""
    return Fill(
        fill_id=event.fill_id,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        book=event.book,
        at_us=at_us,
        margin_percent=event.margin_percent,
        news_lots=event.news_lots,
        news_percent=event.news_percent,
        news_until_us=event.news_until_us,
        rate=event.conversion_rate,
        seq=seq,
        ahead=event.ahead if isinstance(event, ev.OrderFilled) else ZERO,
    )


def worth_of(*, state: State, event: ev.OrderFilled | OrderFillBusted) -> Decimal:
    """Return what a fill was worth in the account's currency, as turnover counts it."""
    return state.instruments[event.symbol].notional(lots=event.quantity, price=event.price) * event.conversion_rate


def count_turnover(*, state: State, event: ev.OrderFilled, at_us: int) -> None:
    """Add a fill to what the account dealt in the calendar month of `at_us`, if it stands in that."""
    if not is_counted(place_at_us=event.place_at_us, at_us=at_us):
        return
    worth, month = worth_of(state=state, event=event), month_of(at_us=at_us)
    before, turnover = state.turnover.get(event.account_id, (month, ZERO))
    state.turnover[event.account_id] = (month, turnover + worth if before == month else worth)


def reserve(*, state: State, order: Order, lots: Decimal) -> None:
    """Keep margin for `lots` more of a working order, and count them as if filled; below zero gives them back."""
    bind(state=state, order=order, lots=lots)
    work(state=state, order=order, lots=lots)


def bind(*, state: State, order: Order, lots: Decimal) -> None:
    """Keep margin for `lots` more of a working order."""
    account_id = order.terms.account_id
    state.reserved[account_id] = state.reserved.get(account_id, ZERO) + order.margin_per_lot * lots


def work(*, state: State, order: Order, lots: Decimal, price: Decimal | None = None) -> None:
    """Count `lots` more of a working order as if they were filled (P-19); one that only reduces counts for nothing."""
    terms = order.terms
    if terms.reduce_only or not lots:
        return
    instrument = state.instruments[terms.symbol]
    buys, sells = (lots, ZERO) if terms.side is _BUY else (ZERO, lots)
    risk_of(risks=state.account_risks, name=terms.account_id).move(
        instrument=instrument, buys=buys, sells=sells, price=price
    )
    state.house_risk.move(instrument=instrument, buys=buys, sells=sells, price=price)


def risk_of(*, risks: dict[str, OpenRisk], name: str) -> OpenRisk:
    """Return what an account or a venue has open, the same from its first on."""
    found = risks.get(name)
    if found is None:
        found = risks[name] = OpenRisk()
    return found


def _hold(
    state: State,
    event: ev.OrderFilled | OrderFillBusted,
    before: Position | None,
    after: Position | None,
    margin: Decimal,
) -> None:
    exposure = state.exposure[event.symbol]
    _count_exposure(exposure, before, -1)
    _count_exposure(exposure, after, 1)
    exposure.realised += event.realised_quote
    _bind(state, event, margin)
    if after is None:
        _forget_position(state, event)
    else:
        state.positions[event.position_id] = after
        state.nights_of_flat.pop(event.position_id, None)
        state.positions_of.setdefault(event.account_id, set()).add(event.position_id)
        state.holders.setdefault(event.symbol, set()).add(event.account_id)


def _risk(
    state: State,
    event: ev.OrderFilled | OrderFillBusted,
    before: Position | None,
    after: Position | None,
    worked: Decimal,
) -> None:
    held, holds = before.quantity if before else ZERO, after.quantity if after else ZERO
    instrument = state.instruments[event.symbol]
    buys, sells = (-worked, ZERO) if event.side is _BUY else (ZERO, -worked)
    price = event.price if isinstance(event, ev.OrderFilled) else None
    for risk in (risk_of(risks=state.account_risks, name=event.account_id), state.house_risk):
        risk.move(instrument=instrument, net=holds - held, buys=buys, sells=sells, price=price)
    if abs(holds) > abs(held) or holds * held < 0:
        state.grown_at_seq[event.position_id] = state.seq


def _bind(state: State, event: ev.OrderFilled | OrderFillBusted, margin: Decimal) -> None:
    key = (event.account_id, event.symbol)
    state.used_margin[event.account_id] = state.used_margin.get(event.account_id, ZERO) + (
        margin - state.margins.pop(key, ZERO)
    )
    if margin:
        state.margins[key] = margin


def _forget_position(state: State, event: ev.OrderFilled | OrderFillBusted) -> None:
    state.positions.pop(event.position_id, None)
    life = state.lives.pop(event.position_id, None)
    if life is not None and life.loose != NOTHING:
        state.lives[event.position_id] = Life(loose=life.loose)
    if event.position_id in state.nights:
        _keep_nights(state, event.position_id)
    state.grown_at_seq.pop(event.position_id, None)
    state.swap_owed.pop(event.position_id, None)
    mine = state.positions_of.get(event.account_id, set())
    mine.discard(event.position_id)
    if not any(state.positions[held].symbol == event.symbol for held in mine):
        state.holders.get(event.symbol, set()).discard(event.account_id)
        state.news_until.pop((event.account_id, event.symbol), None)


def _keep_nights(state: State, position_id: str) -> None:
    """Keep the nights of a position that is over, and forget those that have been over for the longest."""
    state.nights_of_flat[position_id] = state.seq
    if len(state.nights_of_flat) > FLAT_MAX:
        # Many at a time, so that they are seldom sorted.
        for oldest in sorted(state.nights_of_flat, key=state.nights_of_flat.__getitem__)[: FLAT_MAX // 4]:
            del state.nights_of_flat[oldest]
            del state.nights[oldest]


def _count_exposure(exposure: Exposure, position: Position | None, sign: int) -> None:
    if position is None:
        return
    signed = sign * position.side.sign
    exposure.positions += sign
    exposure.client_cost += sign * position.cost
    exposure.a_net += signed * position.a_lots
    exposure.b_net += signed * position.b_lots
    exposure.cross_net += signed * position.cross_lots
    if position.quantity > 0:
        exposure.client_long += sign * position.quantity
    else:
        exposure.client_short -= sign * position.quantity
