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
from piggy.core.commissions import Commission, charge, chargeable
from piggy.core.margin import AccountMargin, MarginTerms, account_margin, below, holding_of, symbol_margin
from piggy.core.money import ZERO, round_money
from piggy.core.orders import Side
from piggy.core.positions import Position, filled, floating

TWO = Decimal(2)
BPS = Decimal(10_000)


class OpenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A position with what closing it needs: the price a close gets now (after a gap, the gap price), account currency
    per quote currency, one lot's worth in account currency as it was opened, its margin terms, whether the price may be
    trusted, and the commission plan of a close."""

    position: Position
    close_price: Decimal
    rate: Decimal
    contract_size: Decimal
    lot_step: Decimal
    lot_value: Decimal
    terms: MarginTerms
    trusted: bool = True
    plan: Commission | None = None


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


class Book(msgspec.Struct, kw_only=True):
    """The account while the ladder is worked out; `bound` is the margin of symbols of which nothing was closed.

    `rates` are those of the latest close in each of the other symbols.
    """

    lines: dict[str, OpenLine]
    balance: Decimal
    credit: Decimal
    currency: str
    now_us: int
    turnover: Decimal = ZERO
    bound: dict[str, Decimal] = {}
    rates: dict[str, Decimal] = {}

    def trial(self) -> Book:
        """Return a copy to try closes on."""
        return msgspec.structs.replace(self, lines=dict(self.lines), bound=dict(self.bound), rates=dict(self.rates))

    def margin(self) -> AccountMargin:
        """Return the account's margin with what is still open."""
        floating_, used = self._sums()
        return account_margin(
            balance=self.balance, credit=self.credit, floating=floating_, used=used, currency=self.currency
        )

    def is_low(self, *, level_percent: Decimal, inclusive: bool = False) -> bool:
        """Return whether the account is below its level, by sums that nobody rounded: as it is watched."""
        floating_, used = self._sums()
        equity = self.balance + self.credit + floating_
        return below(equity=equity, used=used, level_percent=level_percent, inclusive=inclusive)

    def _sums(self) -> tuple[Decimal, Decimal]:
        lines = list(self.lines.values())
        total = sum((line_floating(line=line) for line in lines), ZERO)
        return total, used_margin(lines=lines, now_us=self.now_us, bound=self.bound, rates=self.rates)

    def bound_by(self, *, symbol: str) -> Decimal:
        """Return what the open lines of one symbol bind, unrounded."""
        lines = [line for line in self.lines.values() if line.position.symbol == symbol]
        return used_margin(lines=lines, now_us=self.now_us, bound=self.bound, rates=self.rates)


def line_floating(*, line: OpenLine) -> Decimal:
    """Return the open profit of a line in the account's currency, unrounded."""
    price = line.close_price
    return floating(position=line.position, bid=price, ask=price, contract_size=line.contract_size) * line.rate


def used_margin(
    *, lines: Sequence[OpenLine], now_us: int, bound: Mapping[str, Decimal], rates: Mapping[str, Decimal] = {}
) -> Decimal:
    """Return the margin that the lines bind, netted per symbol, unrounded; of some it is known (`bound`).

    A symbol is bound at its rate of `rates`, at that of its lines where it has none.
    """
    by_symbol: dict[str, list[OpenLine]] = {}
    for line in lines:
        by_symbol.setdefault(line.position.symbol, []).append(line)
    return sum(
        (
            bound[symbol]
            if symbol in bound
            else symbol_margin(
                holding=holding_of(positions=[line.position for line in group], now_us=now_us),
                terms=group[0].terms,
                lot_value=_lot_value(group, rates.get(symbol)),
            )
            for symbol, group in by_symbol.items()
        ),
        ZERO,
    )


def _lot_value(group: Sequence[OpenLine], rate: Decimal | None) -> Decimal:
    """Return what a lot of these lines of one symbol is worth at what they were opened at, as margin has it."""
    first = group[0]
    if len(group) == 1 and rate in (None, first.rate):
        return first.lot_value
    total = lots = ZERO
    for line in group:
        value = line.lot_value
        if rate not in (None, line.rate) and not _is_fixed(line):
            value = value * rate / line.rate
        total += line.position.lots * value
        lots += line.position.lots
    return total / lots


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
    open_ = {line.position.position_id: line for line in lines}
    book = Book(
        lines=open_,
        balance=balance,
        credit=credit,
        currency=currency,
        now_us=now_us,
        turnover=turnover,
        bound=dict(bound),
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
    tried = {ZERO: book}

    def enough(lots: Decimal) -> bool:
        tried[lots] = trial = book.trial()
        _take(trial, line, lots)
        return not trial.is_low(level_percent=level, inclusive=inclusive)

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
    return min(tried, key=lambda lots: (tried[lots].bound_by(symbol=symbol), lots))


def _turning(book: Book, line: OpenLine) -> tuple[Decimal, ...]:
    """Return the lots up to which, one after the other, closing binds ever less or ever more."""
    whole, symbol = line.position.lots, line.position.symbol
    held = (each.position.quantity for each in book.lines.values() if each.position.symbol == symbol)
    net = sum(held, ZERO) * line.position.side.sign
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
    if fold.position is None:
        del book.lines[position.position_id]
    else:
        book.lines[position.position_id] = msgspec.structs.replace(line, position=fold.position)
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


def _is_fixed(line: OpenLine) -> bool:
    """Return whether a lot is worth the same at every price and rate, as it is in its base currency."""
    return line.lot_value == line.contract_size
