"""A recorded book of 500 levels, said in every venue's own words with messages lost and repeated, ends as recorded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from zipfile import ZipFile

import pytest

from piggy.adapters.ibkr.config import TICKERS
from piggy.adapters.interface import UnableToConnect
from piggy.adapters.registry import session_of
from piggy.simulator.ibkr import _changes
from piggy.simulator.quotes import Rung
from piggy.simulator.toy import MAPPING
from tests.adapters.recorded import FOLDER, config_of, play

ARCHIVE = FOLDER.parent / "books" / "xrpusdt-ob500.data.zip"
NOW_US = 1_733_011_200_000_000
STAMP = "2024-12-01T00:00:00.000Z"
Sides = tuple[dict[str, str], dict[str, str]]
Levels = list[tuple[str, str]]


def recording() -> Iterator[dict[str, Any]]:
    if not ARCHIVE.exists():
        pytest.skip("recorded books (../shared/data/books) are not here")
    with ZipFile(ARCHIVE) as files:
        yield from map(json.loads, files.read(files.namelist()[0]).decode().splitlines())


def best(sides: Sides, levels: int) -> tuple[Levels, Levels]:
    """Return bids and asks, best first."""
    bids, asks = (sorted(side.items(), key=lambda row: Decimal(row[0])) for side in sides)
    return bids[::-1][:levels], asks[:levels]


class Binance:
    """Diffs numbered as either market numbers them; a snapshot mends what is lost."""

    depth = 20

    def __init__(self, kind: str) -> None:
        self.session: Any = session_of(config=config_of(kind, {"XRPUSD": ("XRPUSDT", "1")}))
        self._chained = kind == "binance_usdm"
        self._last = 100

    def texts(self, data: dict[str, Any], sides: Sides) -> list[tuple[str, str]]:
        before, self._last = self._last, self._last + 3
        doc = {
            "e": "depthUpdate",
            "E": 1,
            "s": "XRPUSDT",
            "u": self._last,
            "pu": before,
            "b": data["b"],
            "a": data["a"],
        }
        doc["U"] = self._last if self._chained else before + 1
        return [("market", json.dumps({"stream": "x", "data": doc}))]

    def answers(self, sides: Sides) -> list[Any]:
        bids, asks = best(sides, 1_000)
        return [{"lastUpdateId": self._last, "bids": bids, "asks": asks}]


class Oanda:
    """Every price is a whole book: nothing is lost but for the moment."""

    depth = 20

    def __init__(self, kind: str) -> None:
        self.session: Any = session_of(config=config_of(kind, {"XRPUSD": ("XRP_USD", "1")}))

    def texts(self, data: dict[str, Any], sides: Sides) -> list[tuple[str, str]]:
        rows = [[{"price": price, "liquidity": int(size)} for price, size in side] for side in best(sides, 20)]
        doc = {"type": "PRICE", "instrument": "XRP_USD", "time": STAMP, "tradeable": True, "status": "tradeable"}
        return [("prices", json.dumps(doc | {"bids": rows[0], "asks": rows[1]}))]


class Alpaca:
    """Every quote is the whole best level."""

    depth = 1

    def __init__(self, kind: str) -> None:
        config = config_of(kind, {"XRPUSD": ("XRP", "1")}, settings={"quote_units": "1"})
        self.session: Any = session_of(config=config)

    def texts(self, data: dict[str, Any], sides: Sides) -> list[tuple[str, str]]:
        (bid, asks) = best(sides, 1)
        row = f'"bp":{bid[0][0]},"bs":{bid[0][1]},"ap":{asks[0][0]},"as":{asks[0][1]},"t":"{STAMP}"'
        return [("quotes", f'[{{"T":"q","S":"XRP",{row}}}]')]


class Ibkr:
    """Rows by their place; a gateway that lost some says so, and sends them all anew."""

    depth = 20

    def __init__(self, kind: str) -> None:
        self.session: Any = session_of(config=config_of(kind, {"XRPUSD": ("XRP CRYPTO PAXOS USD", "1")}))
        self.session._tickers[TICKERS] = "XRP CRYPTO PAXOS USD"
        self._shown: list[list[Rung]] = [[], []]

    def texts(self, data: dict[str, Any], sides: Sides) -> list[tuple[str, str]]:
        now = [[Rung(Decimal(price), Decimal(size)) for price, size in side] for side in best(sides, self.depth)[::-1]]
        before, self._shown = self._shown, now
        return [
            ("gateway", "\0".join(map(str, (12, 1, TICKERS, place, operation, side, rung.price, rung.size))))
            for side in (0, 1)
            for place, operation, rung in _changes(before[side], now[side])
        ]

    def lost(self) -> list[tuple[str, str]]:
        self._shown = [[], []]
        return [("gateway", f"4\x002\x00{TICKERS}\x00317\x00RESET\x00")]


class Polled:
    """Books are asked for; an answer that fails changes nothing."""

    depth = 20

    def __init__(self, kind: str) -> None:
        settings = {"exchange": "binance", "mapping": MAPPING.read_text()}
        mappings = {"XRPUSD": ("XRPUSDT", "1")}
        self.session: Any = session_of(config=config_of(kind, mappings, settings=settings))
        self._named = kind == "generic"

    def texts(self, data: dict[str, Any], sides: Sides) -> list[tuple[str, str]]:
        return []

    def answers(self, sides: Sides) -> list[Any]:
        bids, asks = best(sides, 500)
        if not self._named:
            return [{"bids": bids, "asks": asks, "timestamp": 1}]
        rows = [[{"p": price, "q": size} for price, size in side] for side in (bids, asks)]
        return [{"data": {"buyers": rows[0], "sellers": rows[1]}}]


class Terminal(Polled):
    """The best prices of a terminal, which names no sizes."""

    depth = 1

    def answers(self, sides: Sides) -> list[Any]:
        (bids, asks) = best(sides, 1)
        return [{"bid": Decimal(bids[0][0]), "ask": Decimal(asks[0][0]), "time_msc": 1}]


VENUES: dict[str, Callable[[str], Any]] = {
    "binance": Binance, "binance_usdm": Binance, "oanda": Oanda, "alpaca": Alpaca, "ibkr": Ibkr, "ccxt": Polled,
    "generic": Polled, "mt5": Terminal, "mt4": Terminal,
}  # fmt: skip


@pytest.mark.parametrize("kind", VENUES)
def test_whatever_is_lost_or_repeated_the_book_ends_as_it_was_recorded(kind: str) -> None:
    venue, chance, sides = VENUES[kind](kind), random.Random(kind), ({}, {})
    messages = list(recording())
    for number, message in enumerate(messages):
        for side, name in zip(sides, ("b", "a"), strict=True):
            for price, size in message["data"][name]:
                side.pop(price, None)
                if size != "0":
                    side[price] = size
        luck = 1.0 if number == len(messages) - 1 else chance.random()
        _tell(venue, message["data"], sides, luck)
    quote = venue.session.all_quotes()[0]
    bids, asks = best(sides, venue.depth)
    shown = [[level.price for level in side[: venue.depth]] for side in (quote.bids, quote.asks)]
    assert shown == [[Decimal(price) for price, _ in side] for side in (bids, asks)]
    if not isinstance(venue, Terminal):
        sizes = [[level.size for level in side[: venue.depth]] for side in (quote.bids, quote.asks)]
        assert sizes == [[Decimal(size) for _, size in side] for side in (bids, asks)]


def _tell(venue: Any, data: dict[str, Any], sides: Sides, luck: float) -> None:
    """Say a message, not at all (below 0.3) or twice (below 0.4); mend what the session calls a gap."""
    texts = venue.texts(data, sides)
    if isinstance(venue, Polled):
        _poll(venue, sides, lost=luck < 0.3)
    elif luck < 0.3:
        texts = venue.lost() if isinstance(venue, Ibkr) else []
    elif luck < 0.4 and not isinstance(venue, Ibkr):
        texts = texts * 2
    for stream, text in texts:
        heard = venue.session.hear(stream=stream, text=text, now_us=NOW_US)
        for symbol in heard.gaps:
            play(venue.session.resync(symbol=symbol, now_us=NOW_US), venue.answers(sides))


def _poll(venue: Polled, sides: Sides, *, lost: bool) -> None:
    if lost:
        with pytest.raises(UnableToConnect):
            play(venue.session.resync(symbol="XRPUSD", now_us=NOW_US), [(503, {})])
    else:
        play(venue.session.resync(symbol="XRPUSD", now_us=NOW_US), _plain(venue.answers(sides)))


def _plain(answers: list[Any]) -> list[Any]:
    return json.loads(json.dumps(answers, default=str))
