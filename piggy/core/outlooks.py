"""Outlook: how an account stands now, what the next rollover brings, and at which prices it would be stopped out.

The price is found with the very sums that the desk watches the account by: what it holds is valued anew at a price that
did not come yet, while all other prices, and what it binds, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, Decimal

import msgspec

from piggy.core.answers import Brink, Close, HeldPosition, Outlook
from piggy.core.commands import AskOutlook
from piggy.core.conversion import Touch
from piggy.core.events import AnyEvent
from piggy.core.execution import Execution, UnableToConvert
from piggy.core.funds import HUNDRED, Funds, closing_price, position_profit, stop_out_percent
from piggy.core.liquidation import stop_out_plan
from piggy.core.margin import below
from piggy.core.moment import Moment
from piggy.core.money import ZERO
from piggy.core.overnight import foreseen
from piggy.core.positions import Position

# Of more, or of what else is held with options, nobody waits for the sums: the engine deals meanwhile.
POSITIONS_MAX, SYMBOLS_MAX, CLOSES_MAX = 100, 12, 20
TIMES_MAX = 10  # How far up a price is looked for.
THIRD = 3


def outlook(*, account_id: str, moment: Moment) -> Outlook | None:
    """Return how the account stands, its positions in order of their ids; None where there is no such account."""
    state = moment.state
    account = state.accounts.get(account_id)
    if account is None or account.group not in state.groups:
        return None
    group, funds = state.groups[account.group], moment.funds(account_id)
    held = [state.positions[position_id] for position_id in sorted(state.positions_of.get(account_id, ()))]
    return Outlook(
        account_id=account_id,
        currency=account.currency,
        balance=funds.balance,
        credit=state.credits.get(account_id, ZERO),
        used_margin=funds.used_margin,
        reserved_margin=funds.reserved,
        maintenance_margin=funds.maintenance,
        floating=funds.floating if funds.priced else None,
        equity=funds.equity if funds.priced else None,
        free_margin=funds.free_margin if funds.priced else None,
        level_percent=funds.level_percent if funds.priced else None,
        margin_call_percent=group.margin_call_percent,
        stop_out_percent=stop_out_percent(account=account, group=group),
        stop_out_mode=group.stop_out_mode,
        margin_called=account_id in state.margin_called,
        positions=tuple(_held(position=position, moment=moment) for position in held),
        brinks=_brinks(account_id=account_id, held=held, funds=funds, moment=moment),
    )


def ask(*, command: AskOutlook, moment: Moment) -> list[AnyEvent]:
    """Decide nothing: the question is answered beside the log (`outlook`)."""
    return []


def _held(*, position: Position, moment: Moment) -> HeldPosition:
    state, marks = moment.state, moment.marks
    settles_at_us, nights, swap = foreseen(position=position, moment=moment)
    return HeldPosition(
        position_id=position.position_id,
        symbol=position.symbol,
        quantity=position.quantity,
        average_price=position.average_price,
        close_price=closing_price(state=state, position=position, marks=marks),
        floating=position_profit(state=state, position=position, marks=marks, pairs=moment.pairs),
        settles_at_us=settles_at_us,
        nights=nights,
        swap=swap,
    )


def _brinks(*, account_id: str, held: Sequence[Position], funds: Funds, moment: Moment) -> tuple[Brink, ...]:
    """Return a brink for each symbol that has one."""
    symbols = sorted({position.symbol for position in held})
    if not funds.priced or len(held) > POSITIONS_MAX or len(symbols) > SYMBOLS_MAX or moment.option_margin(account_id):
        return ()
    found = (_brink(account_id=account_id, symbol=symbol, held=held, funds=funds, moment=moment) for symbol in symbols)
    return tuple(brink for brink in found if brink is not None)


def _brink(*, account_id: str, symbol: str, held: Sequence[Position], funds: Funds, moment: Moment) -> Brink | None:
    """Return where the account would be stopped out if `symbol` alone moved; None where that is out of reach."""
    account, group, instrument = moment.account(account_id), moment.group_of(account_id), moment.instrument(symbol)
    bar, tick, mark = stop_out_percent(account=account, group=group), instrument.tick_size, moment.marks[symbol]
    # Whatever is converted may be so by this very symbol.
    moving = [
        each for each in held if symbol == each.symbol or moment.instrument(each.symbol).quote != account.currency
    ]
    rest = funds.equity - _profit(moving, moment)

    def equity(ticks: int) -> Decimal:
        return rest + _profit(moving, _moved(moment, symbol, ticks * tick))

    def is_low(worth: Decimal) -> bool:
        return below(equity=worth, used=funds.used_margin, level_percent=bar, inclusive=group.stop_out_inclusive)

    gain = equity(1) - funds.equity
    if not gain:
        return None
    sign = -1 if gain > 0 else 1
    count = int(mark.bid / tick) - 1 if gain > 0 else int(mark.ask * (TIMES_MAX - 1) / tick)
    ticks = first_tick(
        count=count, equity=lambda at: equity(sign * at), is_low=is_low, bound=funds.used_margin * bar / HUNDRED
    )
    if ticks is None:
        return None
    there = _moved(moment, symbol, sign * ticks * tick)
    falls = [each for each in held if each.symbol == symbol and (each.quantity > 0) == (gain > 0)]
    price = closing_price(state=moment.state, position=falls[0], marks=there.marks) if falls else None
    return Brink(symbol=symbol, price=price, closes=_closes(account_id, there) if len(held) <= CLOSES_MAX else None)


def first_tick(
    *, count: int, equity: Callable[[int], Decimal], is_low: Callable[[Decimal], bool], bound: Decimal
) -> int | None:
    """Return the fewest ticks, at most `count`, after which an equity that falls with every tick is low.

    None where it never is. Where it would cross `bound` in a line is looked at first, for most go in a line.
    """
    low, high, looks = 0, count, 0
    above, under = equity(low), equity(high)
    if is_low(above):
        return low
    if not is_low(under):
        return None
    while high - low > 1:
        looks += 1
        middle = (low + high) // 2
        if looks % THIRD:
            guess = low + int(((high - low) * (above - bound) / (above - under)).to_integral_value(ROUND_CEILING))
            middle = max(low + 1, min(guess, high - 1))
        if is_low(here := equity(middle)):
            high, under = middle, here
        else:
            low, above = middle, here
    return high


def _profit(positions: Sequence[Position], moment: Moment) -> Decimal:
    """Return the floating profit of positions that all have a price, in the account's currency."""
    marks, pairs = moment.marks, moment.pairs
    found = (position_profit(state=moment.state, position=each, marks=marks, pairs=pairs) for each in positions)
    return sum((profit for profit in found if profit is not None), ZERO)


def _moved(moment: Moment, symbol: str, by: Decimal) -> Moment:
    """Return the moment with both sides of one symbol's price moved."""
    bid, ask, at_us = moment.marks[symbol]
    marks = {**moment.marks, symbol: Touch(bid + by, ask + by, at_us)}
    return msgspec.structs.replace(moment, marks=marks, rates={})


def _closes(account_id: str, there: Moment) -> tuple[Close, ...]:
    """Return what a stop-out would close there, nothing while nobody would deal."""
    try:
        steps = stop_out_plan(account_id=account_id, execution=Execution(moment=there))
    except UnableToConvert:
        return ()
    rungs = steps.rungs if steps else ()
    return tuple(Close(position_id=rung.position_id, quantity=rung.quantity, price=rung.price) for rung in rungs)
