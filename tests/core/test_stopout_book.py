"""The account while a stop-out is worked out: its moving sums are those of whoever adds everything up each time."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from piggy.core import stopout_book
from piggy.core.margin import holding_of, symbol_margin
from piggy.core.orders import Side
from piggy.core.positions import filled
from piggy.core.stopout import StopOutMode, ladder
from piggy.core.stopout_book import Book, OpenLine, line_floating
from tests.core.test_stopout import line

RATES = st.sampled_from(["1", "0.5", "0.8"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(["X", "Y", "Z"]), st.integers(1, 30), st.sampled_from(list(Side)), RATES, st.booleans(),
        st.integers(0, 2),
    ),
    min_size=1, max_size=7,
)  # fmt: skip

TAXED, SOLD = ("X", 10, Side.BUY, "0.5", False, 2), ("X", 4, Side.SELL, "0.8", False, 0)
OTHER = ("Y", 3, Side.BUY, "1", True, 0)


def made(number: int, symbol: str, tenths: int, side: Side, rate: str, is_fixed: bool, news: int) -> OpenLine:
    """Return a line whose lots are worth the same at every rate, or not, and may be taxed until time 5."""
    plain = line(f"p{number}", lots=str(D(tenths) / 10), now="90", side=side, symbol=symbol)
    taxed = msgspec.structs.replace(
        plain.position, news_lots=D(news) / 10, news_percent=D(20 + number) if news else D(0), news_until_us=5
    )
    value = D(1) if is_fixed else D(80 + number)
    return msgspec.structs.replace(plain, position=taxed, rate=D(rate), lot_value=value)


def naive_used(book: Book) -> D:
    """Return what the book's lines bind, by going through all of them."""
    total = D(0)
    for symbol in {each.position.symbol for each in book.lines.values()}:
        group = [each for each in book.lines.values() if each.position.symbol == symbol]
        if symbol in book.bound:
            total += book.bound[symbol]
            continue
        rate, worth, lots = book.rates.get(symbol), D(0), D(0)
        for each in group:
            value = each.lot_value
            if rate is not None and value != each.contract_size:
                value = value * rate / each.rate
            worth, lots = worth + each.position.lots * value, lots + each.position.lots
        held = holding_of(positions=[each.position for each in group], now_us=book.now_us)
        total += symbol_margin(holding=held, terms=group[0].terms, lot_value=worth / lots)
    return total


def take(book: Book, each: OpenLine, tenths: int) -> None:
    """Close tenths of a lot, or all of the line where that is less."""
    position = each.position
    lots = min(position.lots, D(tenths) / 10)
    left = filled(
        position=position, side=position.side.contra, quantity=lots, price=D(90), contract_size=D(1)
    ).position  # fmt: skip
    book.bound.pop(position.symbol, None)
    book.rates[position.symbol] = each.rate
    book.balance += 1
    book.swap(line=each, after=msgspec.structs.replace(each, position=left) if left else None)


@given(
    held=LINES, closes=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 30), st.booleans()), max_size=8),
    now_us=st.sampled_from([0, 5]), bound=st.sampled_from([{}, {"X": D(7)}]),
)  # fmt: skip
@example(held=[TAXED, SOLD, OTHER], closes=[(0, 5, False), (0, 5, True), (0, 9, True)], now_us=0, bound={"X": D(7)})
@example(held=[TAXED, SOLD], closes=[(0, 30, False), (0, 30, True), (0, 30, True)], now_us=5, bound={})
def test_the_sums_are_those_of_all_lines_whatever_is_closed_tried_and_undone(
    held: list[tuple[str, int, Side, str, bool, int]], closes: list[tuple[int, int, bool]], now_us: int,
    bound: dict[str, D],
) -> None:  # fmt: skip
    lines = [made(number, *each) for number, each in enumerate(held)]
    book = Book(lines=lines, balance=D(0), credit=D(0), currency="USD", now_us=now_us, bound=bound)
    for number, tenths, stays in closes:
        open_ = sorted(book.lines)
        if not open_:
            break
        each = book.lines[open_[number % len(open_)]]
        symbol, before = each.position.symbol, (book.used(), book.margin(), dict(book.bound), dict(book.rates))
        kept = book.remember(symbol=symbol)
        take(book, each, tenths)
        if not stays:
            book.put_back(line=each, before=kept)
            after = book.used(), book.margin(), dict(book.bound), dict(book.rates)
            assert after[2:] == before[2:] and after[1] == before[1] and abs(after[0] - before[0]) < D("1E-18")
        assert abs(book.used() - naive_used(book)) < D("1E-18")
        floats = sum((line_floating(line=one) for one in book.lines.values()), D(0))
        assert book.margin().floating == floats.quantize(D("0.01"))
        signed = [one.position.quantity for one in book.lines.values() if one.position.symbol == symbol]
        if signed:
            assert book.net_of(symbol=symbol) == sum(signed)
        assert book.trial().margin() == book.margin()
        left = [book.bound_by(symbol=name) for name in ("X", "Y", "Z")]
        assert abs(sum(left) - book.used()) < D("1E-18"), "and what is not open binds nothing"


@pytest.mark.parametrize("mode", StopOutMode)
@pytest.mark.parametrize("symbols", [1, 7])
def test_a_ladder_of_many_positions_looks_at_each_a_few_times(
    mode: StopOutMode, symbols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand positions on one account took nine seconds, in which the desk dealt for nobody."""
    looked = 0

    def counted(*, line: OpenLine) -> D:
        nonlocal looked
        looked += 1
        return line_floating(line=line)

    monkeypatch.setattr(stopout_book, "line_floating", counted)
    lines = [line(f"p{n:03d}", lots="1", now=str(90 + n % 7), symbol=f"S{n % symbols}") for n in range(200)]
    steps = ladder(lines=lines, balance=D(0), currency="USD", level_percent=D(50), now_us=0, mode=mode)
    assert len(steps.rungs) == 200 and looked < 30 * len(lines)


@settings(max_examples=30)
@given(held=LINES, equity=st.integers(-20, 200))
def test_a_ladder_ends_where_its_own_rungs_lead(held: list[tuple[str, int, Side, str, bool, int]], equity: int) -> None:
    """The preview's last rung tells the level that the account has after it."""
    lines = [made(number, *each) for number, each in enumerate(held)]
    floats = sum((line_floating(line=each) for each in lines), D(0))
    steps = ladder(lines=lines, balance=D(equity) / 10 - floats, currency="USD", level_percent=D(50), now_us=0)
    if steps.rungs:
        assert steps.rungs[-1].level_after == steps.after.level_percent
