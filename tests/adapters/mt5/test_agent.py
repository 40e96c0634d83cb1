"""The bridge agent over a terminal of prepared answers: what it sends, what of a terminal's records is ours."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace as Row
from typing import Any

import pytest

from piggy.adapters.answers import is_doubtful
from piggy.adapters.interface import ReportKind, Response, UnableToReadReport
from piggy.adapters.mt4.terminal import Terminal as Mt4Terminal
from piggy.adapters.mt5 import inbound
from piggy.adapters.mt5.agent import MAGIC, Agent
from piggy.adapters.mt5.config import COMMENT_MAX
from piggy.adapters.mt5.outbound import client_id
from piggy.adapters.mt5.session import Mt5Session
from tests.adapters.mt5.test_mt5 import CONFIG, MARKETS, NOW_US, RESULT, SUBMIT
from tests.adapters.recorded import child_of, knowing, play

DEAL = {"ticket": 5, "order": 7, "symbol": "EURUSD", "type": 0, "volume": 1.0, "price": 1.1}
DEAL |= {"time_msc": 1, "commission": 0.0, "magic": MAGIC}
ORDER = {"ticket": 77, "state": 1, "volume_initial": 1.0, "volume_current": 1.0, "comment": "c1"}


class Terminal:
    """Answers what it was given by the function's name, else nothing, as a terminal that is not logged in."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def __getattr__(self, name: str) -> Any:
        found = self.given.get(name)
        return found if callable(found) else lambda *args, **more: found


class Cut:
    def account_info(self) -> Any:
        raise ConnectionError("cut")


def agent(home: Path, terminal: Any) -> Agent:
    return Agent(terminal=terminal, url="ws://x/agents/a/b", secret="s", ledger=home / "ledger")


def test_only_our_own_deals_in_the_symbol_are_told(tmp_path: Path) -> None:
    """INV-04: an account may be dealt in by hand, by others' experts, and is paid into: none of that is our fill."""
    others = [{"magic": 1}, {"symbol": "EURUSD.r"}, {"type": 2}, {"magic": 0}]
    every = [Row(**DEAL), *(Row(**(DEAL | more)) for more in others)]
    since: list[Any] = []

    def deals(start: Any, until: Any, *, group: str) -> Any:
        since.append(start.timestamp())
        return every

    one = agent(tmp_path, Terminal(history_deals_get=deals))
    status, told = one.answer(ask="trades", args={"name": "EURUSD", "since_s": -5})
    assert (status, [row["ticket"] for row in told], since) == (200, [5], [0])
    assert agent(tmp_path, Terminal()).answer(ask="trades", args={"name": "EURUSD", "since_s": 0}) == (200, [])


def test_an_order_is_found_by_its_ticket_and_without_one_by_its_comment_alone(tmp_path: Path) -> None:
    """A broker may overwrite the comment, and the answer to an order may never have come."""
    rows = [Row(**(ORDER | {"ticket": 78, "comment": "c2"})), Row(**(ORDER | {"comment": "[sl 1.2]"}))]

    def orders(*, ticket: int = 0) -> Any:
        return [row for row in rows if ticket in (0, row.ticket)]

    done = Row(retcode=10008, order=77, volume=1.0, comment="")
    one = agent(tmp_path, Terminal(order_send=done, orders_get=orders, history_orders_get=()))
    one.answer(ask="submit", args=SUBMIT)
    for _ in range(2):
        status, found = one.answer(ask="order", args={"client_id": "c1"})
        assert (status, found["ticket"], found["client_id"]) == (200, 77, "c1")
        one = agent(tmp_path, Terminal(orders_get=orders, history_orders_get=()))
    assert one.answer(ask="order", args={"client_id": "c2"})[1]["ticket"] == 78
    for nobody in ({"client_id": "c3"}, {"ticket": 79}, {}):
        assert one.answer(ask="order", args=nobody)[0] == 404
    ended = (Row(**(ORDER | {"ticket": 90, "state": 4, "comment": "c9"})),)
    past = agent(tmp_path, Terminal(history_orders_get=lambda *span, ticket=0: ended))
    assert past.answer(ask="order", args={"client_id": "c9"})[1]["ticket"] == 90
    assert past.answer(ask="order", args={"ticket": 90})[1]["state"] == 4
    assert agent(tmp_path, Terminal()).answer(ask="open_orders", args={"name": "EURUSD"}) == (200, [])


def test_a_terminal_that_answers_nothing_does_not_end_its_bridge(tmp_path: Path) -> None:
    """Not logged in it gives None for an account; of an order that leaves open whether it lives."""
    one = agent(tmp_path, Terminal(last_error=(-10005, "IPC timeout")))
    assert one.answer(ask="cancel", args={"ticket": 7}) == (200, {"retcode": -10005, "comment": "IPC timeout"})
    assert one.answer(ask="book", args={"name": "EURUSD"})[0] == 404
    assert one.answer(ask="markets", args={"names": ["EURUSD"]}) == (200, [])
    assert one.answer(ask="positions", args={"names": ["EURUSD"]}) == (200, [])
    tick = agent(tmp_path, Terminal(symbol_info_tick=Row(bid=1.1, ask=1.2, time_msc=3)))
    assert tick.answer(ask="book", args={"name": "EURUSD"}) == (200, {"bid": 1.1, "ask": 1.2, "time_msc": 3})
    status, value = one.answer(ask="balance", args={})
    assert status == 500 and is_doubtful(Response(status=status, text=json.dumps(value)))
    with pytest.raises(ConnectionError):
        agent(tmp_path, Cut()).answer(ask="balance", args={})
    broken = agent(tmp_path, Terminal(order_send=Row(retcode=10009)))
    assert broken.answer(ask="submit", args=SUBMIT)[0] == 500
    assert broken.answer(ask="submit", args=SUBMIT)[0] == 409, "whatever became of it, it is not sent again"


@pytest.mark.parametrize("odd", [{"volume": 1.01}, {"order": 0}, {"volume": -1}])
def test_a_result_that_cannot_be_is_no_fill(odd: dict[str, Any]) -> None:
    """More than was asked, or of no order; the driver makes a doubt of it, which only a status ends."""
    session = knowing(Mt5Session(config=CONFIG), MARKETS)
    with pytest.raises(UnableToReadReport):
        play(session.submit(child=child_of("EURUSD"), now_us=NOW_US), [RESULT | {"retcode": 10009} | odd])


def test_an_order_that_was_only_placed_dealt_nothing_whatever_volume_it_says() -> None:
    session = knowing(Mt5Session(config=CONFIG), MARKETS)
    said, _ = play(session.submit(child=child_of("EURUSD"), now_us=NOW_US), [RESULT | {"retcode": 10008}])
    assert [one.report.kind for one in said] == [ReportKind.ACK]
    whole = Response(status=200, text=json.dumps(RESULT | {"retcode": 10009}))
    assert json.loads(inbound.unified(response=whole, asked="submit", config=CONFIG).text)["status"] == "closed"


def unified(asked: str, doc: Any) -> Any:
    return json.loads(
        inbound.unified(response=Response(status=200, text=json.dumps(doc)), asked=asked, config=CONFIG).text
    )


def test_an_order_in_the_terminal_is_read_as_far_as_it_makes_sense() -> None:
    row = {key: value for key, value in ORDER.items() if key != "comment"} | {"client_id": "c1"}
    assert unified("order", row)["filled"] == "0.0" and unified("order", row)["status"] == "open"
    assert [one["id"] for one in unified("open_orders", [row])] == ["77"]
    for odd in ({"volume_current": 1.01}, {"state": 42}):
        with pytest.raises(UnableToReadReport):
            unified("order", row | odd)
    for what, paid in (("trades", DEAL | {"type": 2}), ("positions", {"symbol": "EURUSD", "type": 2, "volume": 1.0})):
        with pytest.raises(UnableToReadReport, match="type"):
            unified(what, [paid])
    assert unified("cancel", {"retcode": 10009, "comment": ""}) == {}
    gone = Response(status=503, text="{}")
    assert inbound.unified(response=gone, asked="submit", config=CONFIG) is gone


def test_a_price_of_zero_is_none_and_both_sides_of_an_account_are_netted() -> None:
    book = unified("book", {"bid": 0.0, "ask": 1.2, "time_msc": 1})
    assert (book["bids"], [price for price, _ in book["asks"]]) == ([], ["1.2"])
    held = {"symbol": "EURUSD", "type": 0, "volume": 1.0, "price_open": 1.1}
    sold = held | {"type": 1, "volume": 3.0, "price_open": 1.3}
    for rows, side, lots, price in (
        ([held, sold], "short", "2.0", "1.3000000000"),
        ([held | {"volume": 5.0}, sold], "long", "2.0", "1.1000000000"),
        ([held | {"volume": 3.0}, sold], "short", "0.0", "0.0000000000"),
    ):
        found = unified("positions", rows)[0]
        assert (found["side"], found["contracts"], found["entryPrice"]) == (side, lots, price)


def test_an_id_that_just_fits_a_comment_is_left_as_it_is() -> None:
    assert client_id(cl_ord_id="x" * COMMENT_MAX) == "x" * COMMENT_MAX
    assert client_id(cl_ord_id="x" * (COMMENT_MAX + 1)) != "x" * COMMENT_MAX


class Mt4(Mt4Terminal):
    """The files' other side: rows by the first word of a question, and what was asked."""

    def __init__(self, home: Path, **rows: Any) -> None:
        super().__init__(folder=home)
        self.rows, self.asked = rows, []

    def _ask(self, *words: str) -> list[tuple[str, ...]]:
        self.asked.append(words)
        found = self.rows.get("_".join(words[:2]), self.rows.get(words[0], []))
        return list(found)


POOL = [
    ("1", "0", "1.0", "EURUSD", "c1", "1.1", "5000", str(MAGIC), "0"),
    ("2", "1", "2.0", "EURUSD", "c2", "1.2", "6000", str(MAGIC), "0"),
    ("3", "2", "1.0", "EURUSD", "c3", "1.0", "7000", str(MAGIC), "0"),
    ("4", "0", "1.0", "XAUUSD", "c4", "1.9", "8000", str(MAGIC), "0"),
]


@pytest.mark.parametrize(
    ("side", "force", "kind"), [("buy", "ioc", "0"), ("sell", "fok", "1"), ("buy", "gtc", "2"), ("sell", "gtc", "3")]
)
def test_metatrader_4_is_asked_for_the_side_that_was_meant(side: str, force: str, kind: str, tmp_path: Path) -> None:
    there = Mt4(tmp_path, send=[("0", "9", "1.0")])
    _, done = agent(tmp_path, there).answer(ask="submit", args=SUBMIT | {"side": side, "force": force})
    assert there.asked[0][:4] == ("send", "EURUSD", kind, "1.0")
    assert (done["retcode"], done["volume"]) == ((10008, 0.0) if force == "gtc" else (10009, 1.0))


def test_metatrader_4_tells_what_was_dealt_in_part_and_what_was_refused(tmp_path: Path) -> None:
    for answer, told in (
        (("0", "9", "0.4"), (10010, 0.4)),
        (("134", "0", "0"), (134, 0.0)),
        (("0", "9", "0"), (10009, 0.0)),
    ):
        (tmp_path / "ledger").unlink(missing_ok=True)
        _, done = agent(tmp_path, Mt4(tmp_path, send=[answer])).answer(ask="submit", args=SUBMIT)
        assert (done["retcode"], done["volume"]) == told


def test_metatrader_4_keeps_symbols_kinds_and_times_apart(tmp_path: Path) -> None:
    """Its one list holds what works, what is held and what others hold: a pending order is no fill (INV-04)."""
    there = Mt4(tmp_path, orders_open=POOL, orders_closed=[("9", "3", *POOL[2][2:]), ("8", "1", *POOL[1][2:])])
    one = agent(tmp_path, there)
    told = one.answer(ask="trades", args={"name": "EURUSD", "since_s": 5})[1]
    assert [(row["ticket"], row["type"]) for row in told] == [(1, 0), (2, 1), (8, 1)]
    assert [row["ticket"] for row in one.answer(ask="trades", args={"name": "EURUSD", "since_s": 6})[1]] == [2, 8]
    assert [row["ticket"] for row in one.answer(ask="open_orders", args={"name": "EURUSD"})[1]] == [3]
    assert one.answer(ask="open_orders", args={"name": "XAUUSD"})[1] == []
    held = one.answer(ask="positions", args={"names": ["XAUUSD"]})[1]
    assert [(row["symbol"], row["type"]) for row in held] == [("XAUUSD", 0)]
    for ticket, state, left in ((1, 4, 0.0), (3, 1, 1.0), (9, 2, 1.0), (8, 4, 0.0)):
        found = one.answer(ask="order", args={"ticket": ticket})[1]
        assert (found["ticket"], found["state"], found["volume_current"]) == (ticket, state, left)
    assert one.answer(ask="order", args={"ticket": 7})[0] == 404
    quiet = Mt4(tmp_path)
    assert (quiet.symbol_info_tick("EURUSD"), quiet.account_info().currency) == (None, "")
    assert Decimal(str(Mt4(tmp_path, tick=[("1.1", "1.2", "5")]).symbol_info_tick("EURUSD").bid)) == Decimal("1.1")
