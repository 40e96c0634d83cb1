"""Stop-out: which positions go, how many lots of each, at which price, and what the account looks like after.

A close moves floating profit into the balance, so equity stays but for its commission, and used margin falls: the
level rises with every rung.
Until something of a symbol is closed it binds what it did; what is left is then bound at the rate of the close.
Of positions that hedge each other a close may bind more than it frees: no more goes than lowers what is bound, and what
lowers nothing goes only after everything else.
A line whose price is stale or without a quorum is never closed on it; it waits for its first good tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_UP, Decimal

import msgspec

from piggy.core.accounts import StopOutMode as StopOutMode
from piggy.core.commissions import charge, chargeable
from piggy.core.margin import AccountMargin
from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side
from piggy.core.positions import filled
from piggy.core.stopout_book import Book
from piggy.core.stopout_book import OpenLine as OpenLine
from piggy.core.stopout_book import line_floating as line_floating

TWO = Decimal(2)
BPS = Decimal(10_000)


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One close of the ladder; `realised`, before the `commission`, is in the account's currency.

    `level_after` is None when nothing is used.
    """

    position_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    realised: Decimal
    level_after: Decimal | None
    commission: Decimal = ZERO


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """The closes in their order, the positions that wait for a good price, and the account before and after."""

    before: AccountMargin
    after: AccountMargin
    rungs: tuple[Rung, ...] = ()
    queued: tuple[str, ...] = ()


def ladder(
    *,
    lines: Sequence[OpenLine],
    balance: Decimal,
    currency: str,
    level_percent: Decimal,
    now_us: int,
    credit: Decimal = ZERO,
    mode: StopOutMode = StopOutMode.SMART,
    partial: bool = True,
    inclusive: bool = False,
    turnover: Decimal = ZERO,
    bound: Mapping[str, Decimal] = {},
) -> Ladder:
    """Return the closes that bring the account back to `level_percent`; empty when the level is not reached.

    `partial` closes only the lots it takes; otherwise whole positions, one after another, until the level holds. The
    same call on prices that did not happen yet is the preview. `turnover` is what tiers of commission begin from,
    `bound` what symbols bind now, as it was booked.
    """
    book = Book(
        lines=lines, balance=balance, credit=credit, currency=currency, now_us=now_us, turnover=turnover, bound=bound
    )
    before = book.margin()
    if not book.is_low(level_percent=level_percent, inclusive=inclusive):
        return Ladder(before=before, after=before)
    queued = tuple(sorted(line.position.position_id for line in lines if not line.trusted))
    if mode is StopOutMode.FAIR:
        rungs = _fair(book, level_percent, inclusive)
    else:
        rungs = _smart(book, level_percent, inclusive, partial)
    after = book.margin()
    waiting = queued if book.is_low(level_percent=level_percent, inclusive=inclusive) else ()
    return Ladder(before=before, after=after, rungs=tuple(rungs), queued=waiting)


def quorum(*, mids: Sequence[Decimal], needed: int, band_bps: Decimal) -> bool:
    """Return whether at least `needed` live sources agree: their mids lie within `band_bps` of the median."""
    if len(mids) < needed or not mids:
        return False
    ordered = sorted(mids)
    half = len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / TWO
    return sum(abs(mid - median) * BPS <= band_bps * median for mid in ordered) >= needed


def _smart(book: Book, level: Decimal, inclusive: bool, partial: bool) -> list[Rung]:
    rungs: list[Rung] = []
    for in_any_case in (False, True):
        trusted = [line for line in book.lines.values() if line.trusted]
        losers = sorted(trusted, key=lambda line: (line_floating(line=line), line.position.position_id))
        for line in losers:
            if not book.is_low(level_percent=level, inclusive=inclusive):
                return rungs
            lots = line.position.lots
            if partial:
                lots = _fewest_lots(book, line, level, inclusive, in_any_case)
            if lots:
                rungs.append(_close(book, line, lots))
    return rungs


def _fair(book: Book, level: Decimal, inclusive: bool) -> list[Rung]:
    """Close the same share of every trusted position, in hundredths, the smallest share that suffices."""
    trusted = sorted((line for line in book.lines.values() if line.trusted), key=lambda line: line.position.position_id)

    def enough(percent: int) -> bool:
        trial = book.trial()
        for line in trusted:
            _take(trial, line, _share(line, percent))
        return not trial.is_low(level_percent=level, inclusive=inclusive)

    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return [_close(book, line, _share(line, high)) for line in trusted]


def _share(line: OpenLine, percent: int) -> Decimal:
    steps = (line.position.lots * percent / 100 / line.lot_step).to_integral_value(rounding=ROUND_UP)
    return min(line.position.lots, steps * line.lot_step)


def _fewest_lots(book: Book, line: OpenLine, level: Decimal, inclusive: bool, in_any_case: bool) -> Decimal:
    """Return the fewest lots of `line` that bring the level back.

    Where none do, those that leave least bound, which may be none; `in_any_case` all of them.
    """
    whole, symbol = line.position.lots, line.position.symbol
    bound = {ZERO: book.bound_by(symbol=symbol)}

    def enough(lots: Decimal) -> bool:
        before = book.remember(symbol=symbol)
        _take(book, line, lots)
        bound[lots], is_low = book.bound_by(symbol=symbol), book.is_low(level_percent=level, inclusive=inclusive)
        book.put_back(line=line, before=before)
        return not is_low

    ends = (whole,) if in_any_case else _turning(book, line)
    low = 0
    for end in ends:
        high = int((end / line.lot_step).to_integral_value(rounding=ROUND_UP))
        if enough(end):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if enough(middle * line.lot_step) else (middle, high)
            return min(whole, high * line.lot_step)
        low = high
    if in_any_case:
        return whole
    return min(bound, key=lambda lots: (bound[lots], lots))


def _turning(book: Book, line: OpenLine) -> tuple[Decimal, ...]:
    """Return the lots up to which, one after the other, closing binds ever less or ever more."""
    whole = line.position.lots
    net = book.net_of(symbol=line.position.symbol) * line.position.side.sign
    return (net, whole) if 0 < net < whole else (whole,)


def _close(book: Book, line: OpenLine, lots: Decimal) -> Rung:
    """Close `lots` of a line in the book and return the rung."""
    position = line.position
    realised, cost = _take(book, line, lots)
    return Rung(
        position_id=position.position_id,
        symbol=position.symbol,
        side=position.side.contra,
        quantity=lots,
        price=line.close_price,
        realised=realised,
        level_after=book.margin().level_percent,
        commission=cost,
    )


def _take(book: Book, line: OpenLine, lots: Decimal) -> tuple[Decimal, Decimal]:
    """Take `lots` of a line out of the book; return what they realise and what closing them costs."""
    position = line.position
    fold = filled(
        position=position,
        side=position.side.contra,
        quantity=lots,
        price=line.close_price,
        contract_size=line.contract_size,
        book=position.book,
    )
    realised = round_money(amount=fold.realised_quote * line.rate, currency=book.currency)
    cost = _commission(book, line, lots)
    book.balance += realised - cost
    book.bound.pop(position.symbol, None)
    book.rates[position.symbol] = line.rate
    book.swap(line=line, after=msgspec.structs.replace(line, position=fold.position) if fold.position else None)
    return realised, cost


def _commission(book: Book, line: OpenLine, lots: Decimal) -> Decimal:
    """Return what closing `lots` is charged, an order of its own, and count it as turnover."""
    if line.plan is None:
        return ZERO
    worth = line.contract_size * line.close_price * line.rate
    paying = chargeable(plan=line.plan, opened=ZERO, closed=lots)
    cost = charge(
        plan=line.plan, lots=paying, notional=paying * worth, turnover=book.turnover, accrued=ZERO, charged=ZERO,
        currency=book.currency,
    )  # fmt: skip
    book.turnover += lots * worth
    return cost.due
