"""Prices and symbols towards clients: who follows what he is told has the prices of now; the standard reads it."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from piggy.adapters.fix.messages import SOH
from piggy.adapters.fix_clients.config import LISTED_MAX, SUBSCRIPTIONS_MAX, SYMBOLS_MAX, Kind, Step, Terms
from piggy.adapters.fix_clients.inbound import UnableToTake
from piggy.adapters.fix_clients.market import Board, Said, listed
from piggy.core.market import ClientPrice
from tests.adapters.fix_clients.test_outbound import strict

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY")
STEP = Step(tick_size=Decimal("0.00001"), lot_step=Decimal("0.01"), lot_min=Decimal("0.10"), currency="USD")


def terms(*, symbols: tuple[str, ...] = SYMBOLS, accounts: tuple[str, ...] = ("A1",)) -> Terms:
    units = dict.fromkeys(symbols, Decimal(100_000))
    return Terms(kind=Kind.ORDERS, accounts=accounts, units=units, steps=dict.fromkeys(symbols, STEP))


def request(
    *symbols: str, name: str = "r1", kind: str = "1", update: str = "1", more: str = "", sides: str = "01"
) -> str:
    named = "".join(f"55={symbol}|" for symbol in symbols)
    types = "".join(f"269={side}|" for side in sides)
    head = f"8=FIX.4.4|9=0|35=V|34=2|262={name}|263={kind}|264=1|265={update}|267={len(sides)}|{types}"
    return f"{head}146={len(symbols)}|{named}{more}10=000|".replace("|", SOH)


def price(bid: str | None, ask: str | None, lots: str = "1") -> ClientPrice:
    sides = [Decimal(each) if each else None for each in (bid, ask)]
    return ClientPrice(sides[0], sides[1], Decimal(lots) if bid else Decimal(0), Decimal(lots) if ask else Decimal(0))


class Reader:
    """A client's own book, by nothing but what he is told: (symbol, side) -> (price, size)."""

    def __init__(self) -> None:
        self.book: dict[tuple[str, str], tuple[str, str]] = {}

    def read(self, said: list[Said]) -> None:
        for each in said:
            strict(each.body, each.kind)
            symbol, entry = "", {}
            for part in (*each.body.split(SOH), "269=-"):
                tag, _, value = part.partition("=")
                if tag == ("279" if each.kind == "X" else "269") or part == "269=-":
                    self._take(symbol, entry)
                    entry = {}
                if tag == "55":
                    symbol = value
                entry[tag] = value

    def _take(self, symbol: str, entry: dict[str, str]) -> None:
        if entry.get("269") not in ("0", "1"):
            return
        if entry.get("279") == "2" or entry.get("276") == "B":
            self.book.pop((symbol, entry["269"]), None)
        else:
            self.book[symbol, entry["269"]] = (entry["270"], entry["271"])


@pytest.mark.parametrize("update", ["0", "1"])
def test_whoever_follows_whole_books_or_changes_has_the_prices_of_now(update: str) -> None:
    luck, board, reader = random.Random(5), Board(terms=terms()), Reader()
    assert board.ask(request("EURUSD", "GBPUSD", update=update)) == []
    assert board.wanted == {("A1", "EURUSD"), ("A1", "GBPUSD")}
    for _ in range(200):
        told = {
            symbol: price(
                luck.choice([None, "1.1", "1.2"]), luck.choice([None, "1.3", "1.4"]), luck.choice(["1", "2.5"])
            )
            for symbol in luck.sample(SYMBOLS, k=luck.randint(1, 3))
        }
        said = board.take({"A1": told, "A2": {"EURUSD": price("9", "9")}})
        assert update == "1" or {each.kind for each in said} <= {"W"}
        reader.read(said)
        for symbol in set(told) & {"EURUSD", "GBPUSD"}:
            now = told[symbol]
            for side, at, lots in (("0", now.bid, now.bid_lots), ("1", now.ask, now.ask_lots)):
                expected = (str(at), f"{lots * 100_000:.0f}") if at is not None else None
                assert reader.book.get((symbol, side)) == expected
        assert board.take({"A1": told}) == [], "what has not changed is not told again"
    assert {symbol for symbol, _ in reader.book} <= {"EURUSD", "GBPUSD"}
    reader.read(board.withdraw())
    assert reader.book == {}, "nobody makes prices any more"
    board.ask(request(kind="2"))
    assert board.wanted == set()
    assert board.take({"A1": {"EURUSD": price("1", "2")}}) == []


def test_a_snapshot_is_one_book_of_each_symbol_and_then_no_more() -> None:
    board = Board(terms=terms())
    board.ask(request("EURUSD", name="follows"))
    board.take({"A1": {"EURUSD": price("1.1", "1.2")}})
    (known,) = board.ask(request("EURUSD", name="once", kind="0", sides="1"))
    assert known == Said("W", f"262=once{SOH}55=EURUSD{SOH}268=1{SOH}269=1{SOH}270=1.2{SOH}271=100000{SOH}")
    assert [each.kind for each in board.take({"A1": {"EURUSD": price("1.1", "1.3")}})] == ["X"], "only who follows"


@pytest.mark.parametrize(
    ("text", "reason", "limit"),
    [
        (request("NOBODY"), "0", "NOBODY"),
        (request("EURUSD", name="taken"), "1", "in use"),
        (request(*[f"S{n}" for n in range(SYMBOLS_MAX + 1)]), "2", str(SYMBOLS_MAX)),
        (request(), "2", str(SUBSCRIPTIONS_MAX)),
        (request("EURUSD", kind="9"), "4", "0, 1 or 2"),
        (request("EURUSD").replace(f"264=1{SOH}", f"264=0{SOH}"), "5", "MarketDepth"),
        (request("EURUSD", update="2"), "6", "MDUpdateType"),
        (request("EURUSD", sides="02"), "8", "MDEntryType"),
    ],
)
def test_what_is_not_shown_is_refused_with_its_reason_and_its_limit(text: str, reason: str, limit: str) -> None:
    board = Board(terms=terms(symbols=(*SYMBOLS, *(f"S{n}" for n in range(SYMBOLS_MAX + 1)))))
    board.ask(request("GBPUSD", name="taken"))
    (refused,) = board.ask(text)
    assert refused.kind == "Y"
    values = strict(refused.body, "Y")
    assert values["281"] == reason
    assert limit in values["58"]
    assert board.wanted == {("A1", "GBPUSD")}


def test_a_session_follows_so_many_subscriptions_and_no_more() -> None:
    board = Board(terms=terms())
    for number in range(SUBSCRIPTIONS_MAX):
        assert board.ask(request("EURUSD", name=f"r{number}")) == []
    assert board.ask(request("EURUSD", name="too-many"))[0].kind == "Y"


def test_whose_prices_they_are_is_said_where_there_are_several() -> None:
    board = Board(terms=terms(accounts=("A1", "A2")))
    with pytest.raises(UnableToTake, match="1 is missing"):
        board.ask(request("EURUSD"))
    with pytest.raises(UnableToTake, match="no such account"):
        board.ask(request("EURUSD", more="1=A3|"))
    board.ask(request("EURUSD", more="1=A2|"))
    assert board.wanted == {("A2", "EURUSD")}


def test_each_account_is_told_its_own_prices_and_no_others() -> None:
    """Each group has its own markup; and what nobody asks for any more is not kept."""
    board = Board(terms=terms(accounts=("A1", "A2")))
    board.ask(request("EURUSD", name="r1", more="1=A1|"))
    board.ask(request("EURUSD", "GBPUSD", name="r2", more="1=A2|"))
    both = {"A1": {"EURUSD": price("1.1", "1.2"), "GBPUSD": price("7", "8")}, "A2": {"EURUSD": price("1.0", "1.3")}}
    said = board.take(both)
    assert [(each.body.split(SOH)[0], each.body.split(SOH)[4]) for each in said] == [
        ("262=r1", "270=1.1"), ("262=r2", "270=1"),
    ]  # fmt: skip
    assert set(board._latest) == {("A1", "EURUSD"), ("A2", "EURUSD")}
    board.ask(request(name="r1", kind="2"))
    assert [each.body.split(SOH)[0] for each in board.take({"A1": {"EURUSD": price("1.1", "1.4")}})] == []
    assert ("A1", "EURUSD") not in board._latest and {key[0] for key in board._shown} == {"r2"}
    assert [each.kind for each in board.withdraw()] == ["X"], "only what was shown is taken back"
    assert board.withdraw() == []


def test_the_last_symbol_that_a_session_may_follow_is_followed_and_one_more_is_not() -> None:
    names = tuple(f"S{number}" for number in range(SYMBOLS_MAX + 1))
    board = Board(terms=terms(symbols=names))
    assert board.ask(request(*names[:-1], name="r1")) == []
    assert board.ask(request(names[-1], name="r2"))[0].kind == "Y"
    assert Board(terms=terms()).ask(request("EURUSD", sides=""))[0].kind == "Y", "no side is none of both"


def test_all_that_may_be_traded_is_listed_in_parts_and_one_by_its_name() -> None:
    many = tuple(f"SYM{number}" for number in range(LISTED_MAX + 1))
    ask = "8=FIX.4.4|9=0|35=x|34=2|320=r1|559={0}|{1}10=000|"
    said = listed(text=ask.format("4", "").replace("|", SOH), terms=terms(symbols=many))
    values = [strict(each.body, "y") for each in said]
    assert [(each["320"], each["893"], each["146"], each["393"]) for each in values] == [
        ("r1", "N", str(LISTED_MAX), str(LISTED_MAX + 1)),
        ("r1", "Y", "1", str(LISTED_MAX + 1)),
    ]
    (one,) = listed(text=ask.format("0", "55=EURUSD|").replace("|", SOH), terms=terms())
    values = [strict(one.body, "y")]
    assert (values[0]["561"], values[0]["562"], values[0]["15"]) == ("1000", "10000", "USD")
    (none,) = listed(text=ask.format("0", "55=NOBODY|").replace("|", SOH), terms=terms())
    assert strict(none.body, "y")["560"] == "2"
