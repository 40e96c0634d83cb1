"""Overnight: the rollover of a desk. Each position that was held at the rollover settles its nights, once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.conversion import UNCHANGED, Conversion
from piggy.core.moment import Moment
from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side
from piggy.core.positions import Position, held_since
from piggy.core.rollover import ONE_DAY, business_date, rollover_at_us
from piggy.core.state import State
from piggy.core.swaps import RATE_MAX, SwapFree, SwapRates, SwapUnit, nights_settled, rates_fault, swap_per_lot

Events = list[ev.AnyEvent]
Held = dict[Decimal, tuple[int, int]]  # Lots, with the nights that they were held and the first one's rollover.
CHARGES_PER_STEP_MAX = 5_000  # A large desk rolls over in several commands, so that orders are never kept waiting.
SWAP = "swap"
ADMIN_FEE = "admin_fee"


def configure_swaps(*, command: cmd.ConfigureSwaps, moment: Moment) -> Events:
    """Take a symbol's swap rates."""
    rates, state = command.rates, moment.state
    if rates.symbol not in state.instruments:
        return [ev.CommandRefused(code="SYMBOL_UNKNOWN", field="symbol", text=f"no symbol is called {rates.symbol}")]
    if fault := rates_fault(rates=rates):
        return [ev.CommandRefused(code="RATES_UNUSABLE", field="rates", text=fault)]
    return [] if state.swap_rates.get(rates.symbol) == rates else [ev.SwapsConfigured(rates=rates)]


def configure_swap_free(*, command: cmd.ConfigureSwapFree, moment: Moment) -> Events:
    """Make a group swap-free, or (None) let it pay swap again."""
    state, free = moment.state, command.terms
    if command.group not in state.groups:
        return [ev.CommandRefused(code="GROUP_UNKNOWN", field="group", text=f"no group is called {command.group}")]
    if free and not (free.fee_per_lot.is_finite() and 0 <= free.fee_per_lot <= RATE_MAX and free.grace_days >= 0):
        text = f"neither fee nor grace is below zero, nor a fee above {RATE_MAX}"
        return [ev.CommandRefused(code="TERMS_UNUSABLE", field="terms", text=text)]
    same = state.swap_free.get(command.group) == free
    return [] if same else [ev.SwapFreeConfigured(group=command.group, terms=free)]


def roll_over(*, command: cmd.RollOver, moment: Moment) -> Events:
    """Settle the nights of a business date, a limited number of positions at a time; the last step ends the date."""
    state, day, last = moment.state, command.business_date, moment.state.last_rollover
    if last is not None and day <= last:
        return []
    at_us = rollover_at_us(business_date=day)
    if last is None or day != last + ONE_DAY or moment.now_us < at_us:
        text = f"the last business date that ended is {last}"
        return [ev.CommandRefused(code="ROLLOVER_OUT_OF_TURN", field="business_date", text=text)]
    events: Events = []
    for position_id in sorted(state.positions.keys() - state.rolled):
        position = state.positions[position_id]
        if position.opened_at_us >= at_us:
            continue
        events += _settled(position=position, day=day, at_us=at_us, moment=moment)
        if len(events) >= CHARGES_PER_STEP_MAX:
            return events
    return [*events, ev.RolledOver(business_date=day, occurred_at_us=at_us)]


def foreseen(*, position: Position, moment: Moment) -> tuple[int, int, Decimal | None]:
    """Return when a position next settles a business date, for how many nights, and what that brings at prices of now.

    Below zero it is charged; no nights at a weekend or on a holiday. None where a price or a rate is missing.
    """
    day = business_date(at_us=moment.now_us)
    at_us = rollover_at_us(business_date=day)
    events = _settled(position=position, day=day, at_us=at_us, moment=moment)
    if any(isinstance(event, ev.SwapDeferred) for event in events):
        return at_us, sum(event.nights for event in events if isinstance(event, ev.SwapDeferred)), None
    charged = [event for event in events if isinstance(event, ev.SwapCharged)]
    return at_us, sum(event.nights for event in charged), sum((event.amount for event in charged), ZERO)


def rollover_due(*, state: State, now_us: int) -> cmd.RollOver | None:
    """Return the command for the first business date that has ended and was not rolled over yet."""
    if state.last_rollover is None:
        return None
    day = state.last_rollover + ONE_DAY
    at_us = rollover_at_us(business_date=day)
    return cmd.RollOver(business_date=day, at_us=at_us) if now_us >= at_us else None


def _settled(*, position: Position, day: date, at_us: int, moment: Moment) -> Events:
    """Return what a position settles: one charge for all its nights, or two where it grew since the earlier ones."""
    state = moment.state
    rates = state.swap_rates.get(position.symbol)
    if rates is None:
        return []
    nights, life = nights_settled(rates=rates, business_date=day), state.lives.get(position.position_id)
    nights += state.swap_owed.get(position.position_id, ())
    held: Held = {}
    owed: list[tuple[int, int]] = []
    for number, since_us in nights:
        if lots := held_since(position=position, life=life, at_us=since_us):
            known, first_us = held.get(lots, (0, since_us))
            held[lots] = (known + number, min(first_us, since_us))
            owed.append((number, since_us))
    free = state.swap_free.get(state.accounts[position.account_id].group)
    if not held:
        return []
    if free is None:
        charges = _swaps(position=position, day=day, at_us=at_us, held=held, rates=rates, moment=moment)
        # Each night waits with its own rollover: what is bought before it is settled owes nothing of it.
        return [msgspec.structs.replace(e, owed=tuple(owed)) if isinstance(e, ev.SwapDeferred) else e for e in charges]
    return _admin_fees(position=position, day=day, at_us=at_us, held=held, free=free, moment=moment)


def _swaps(*, position: Position, day: date, at_us: int, held: Held, rates: SwapRates, moment: Moment) -> Events:
    """Return what `held` pays or brings."""
    instrument, account = moment.instrument(position.symbol), moment.account(position.account_id)
    mark = moment.marks.get(position.symbol)
    price = None if mark is None else (mark.bid if position.side is Side.BUY else mark.ask)
    each = swap_per_lot(rates=rates, instrument=instrument, side=position.side, price=price)
    exchange: Conversion | None = UNCHANGED
    if each is not None and rates.unit is not SwapUnit.CURRENCY:
        exchange = moment.exchange(source=instrument.quote, target=account.currency, gain=each > 0)
    if each is None or exchange is None:
        deferred = ev.SwapDeferred(
            account_id=account.account_id,
            position_id=position.position_id,
            symbol=position.symbol,
            business_date=day,
            nights=sum(nights for nights, _ in held.values()),
            text="no price" if each is None else f"no rate from {instrument.quote} to {account.currency}",
            occurred_at_us=at_us,
        )
        return [deferred]
    return _charges(
        position=position, day=day, at_us=at_us, held=held, kind=SWAP, per_lot=each, price=price, exchange=exchange,
        moment=moment,
    )  # fmt: skip


def _admin_fees(*, position: Position, day: date, at_us: int, held: Held, free: SwapFree, moment: Moment) -> Events:
    """Return what a swap-free account pays for `held` once its days of grace are over."""
    held_days = (day - business_date(at_us=position.opened_at_us)).days + 1
    if held_days <= free.grace_days:
        return []
    return _charges(
        position=position, day=day, at_us=at_us, held=held, kind=ADMIN_FEE, per_lot=-free.fee_per_lot, price=None,
        exchange=UNCHANGED, moment=moment,
    )  # fmt: skip


def _charges(
    *,
    position: Position,
    day: date,
    at_us: int,
    held: Held,
    kind: str,
    per_lot: Decimal,
    price: Decimal | None,
    exchange: Conversion,
    moment: Moment,
) -> Events:
    """Return a charge for each of `held` that comes to anything, at `per_lot` and night, over `exchange`."""
    currency, events = moment.account(position.account_id).currency, list[ev.AnyEvent]()
    for lots, (nights, since_us) in held.items():
        amount = round_money(amount=per_lot * exchange.rate * nights * lots, currency=currency)
        if not amount:
            continue
        charged = ev.SwapCharged(
            account_id=position.account_id,
            position_id=position.position_id,
            symbol=position.symbol,
            business_date=day,
            kind=kind,
            nights=nights,
            lots=lots,
            per_lot=per_lot,
            price=price,
            conversion_rate=exchange.rate,
            conversion=exchange.legs,
            amount=amount,
            currency=currency,
            occurred_at_us=at_us,
            since_us=since_us if since_us != at_us else 0,
        )
        events.append(charged)
    return events
