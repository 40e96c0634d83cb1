"""What screens are told: every change of an order in its turn, never more orders than shown, never an older number."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from piggy.core import commands as cmd
from piggy.core.commands import Envelope
from piggy.core.orders import Side
from piggy.engine import exposure
from piggy.engine.clock import Clock
from piggy.engine.desk_screen import ORDERS_KEPT, Screen
from piggy.engine.loop import Done, Item
from tests.core.floor import EURUSD, Floor

PAIRS = ["EURUSD", *(f"S{number:02}USD" for number in range(9))]


class Wire:
    """Stands for Redis: keeps what is published, and gives others a turn whenever it is waited for."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool) -> Any:
        yield self

    def publish(self, _channel: str, frame: bytes) -> Any:
        self.frames.append(json.loads(frame))
        return Turn()

    def get(self, *_words: Any) -> Any:
        return Turn()

    set = zremrangebyscore = zrange = get

    async def pubsub_numsub(self, *channels: str) -> list[tuple[str, int]]:
        return [(channel, 1) for channel in channels]

    async def execute(self) -> list[list[bytes]]:
        await asyncio.sleep(0)
        return [[]]


class Turn:
    """Awaited by one caller and dropped by another, as the commands of a pipeline are."""

    def __await__(self) -> Any:
        return asyncio.sleep(0).__await__()


class StoppedClock(Clock):
    def __init__(self, floor: Floor) -> None:
        super().__init__()
        self._floor = floor

    def now_us(self) -> int:
        return self._floor.now_us if hasattr(self, "_floor") else super().now_us()


class Watcher:
    """Folds frames as a page does."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.seqs: dict[str, int] = {}

    def take(self, frame: dict[str, Any]) -> None:
        panel = frame["panel"]
        if frame["snapshot"]:
            self.rows[panel] = {}
        else:
            assert frame["seq"] == self.seqs[panel] + 1, "a gap"
        self.seqs[panel] = frame["seq"]
        for key, row in frame["rows"].items():
            if row is None:
                self.rows[panel].pop(key, None)
            else:
                self.rows[panel][key] = row


def test_a_screen_that_only_hears_deltas_never_has_more_orders_than_the_desk_shows() -> None:
    floor, screen, watcher = Floor(), Screen(), Watcher()
    watcher.rows["orders"], watcher.seqs["orders"] = {}, 0
    made: list[str] = []
    for batch in (1, 150, 30, ORDERS_KEPT + 70, 3):
        for _ in range(batch):
            floor.place("b1", Side.BUY, "0.01")
        touched = dict.fromkeys(list(floor.desk.state.orders)[len(made) :])
        made += touched
        screen.take_note(desk=floor.desk, touched=touched)
        for frame in screen.order_frames(desk=floor.desk, at_us=1):
            watcher.take(json.loads(frame))
        shown = list(watcher.rows["orders"])
        assert shown == list(screen.panels["orders"].rows)
        assert set(shown) <= set(made[-ORDERS_KEPT:])
    assert watcher.seqs["orders"] == screen.panels["orders"].seq


class Desk:
    """A floor that deals and quotes at random while its marks are drawn a pair at a time."""

    def __init__(self, seed: int) -> None:
        self.chance, self.floor, self.wire = random.Random(seed), Floor(), Wire()
        for symbol in PAIRS[1:]:
            self.floor.do(cmd.ConfigureInstrument(instrument=replace(EURUSD, symbol=symbol, base=symbol[:3])))
        clock = StoppedClock(self.floor)
        self.marks = exposure.Marks(connection=self.wire, desks={"acorn": self.floor.desk}, clock=clock)  # type: ignore[arg-type]

    def quote(self) -> None:
        symbol, shift = self.chance.choice(PAIRS), self.chance.randrange(90)
        self.floor.quote("LP1", f"1.10{shift:03}", f"1.10{shift + 5:03}", symbol=symbol)
        heard = self.floor.desk.market.quote_of(venue="LP1", symbol=symbol)
        assert heard is not None
        self.marks.saw("acorn", [heard])

    def deal(self) -> None:
        before = len(self.floor.log)
        self.floor.place("b1", Side.BUY, "0.1")
        item = Item("acorn", Envelope(command_id="c", command=cmd.ActOnTime(), principal="test"))
        self.marks.heard([Done(item, None, self.floor.log[before:])])

    async def live(self, turns: int) -> None:
        running = asyncio.create_task(self.marks.run())
        for _ in range(turns):
            self.chance.choice((self.quote, self.quote, self.deal))()
            await asyncio.sleep(self.chance.choice((0, 0, 0, 0.002)))
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_deal_told_while_the_market_is_drawn_is_never_followed_by_an_older_number(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SYMBOLS_AT_ONCE", 2), ("NEWS_S", 0.0005), ("FLUSH_S", 0.01), ("MARKET_SHARE", 1)):
        monkeypatch.setattr(exposure, name, value)
    desk, watcher = Desk(seed), Watcher()
    await desk.live(turns=300)
    longs = 0.0
    for frame in desk.wire.frames:
        watcher.take(frame)
        if frame["panel"] == "exposure" and "EURUSD" in frame["rows"]:
            told = float(frame["rows"]["EURUSD"]["client_long"])
            assert told >= longs, "everybody only buys"
            longs = told
    panels = desk.marks._screen("acorn").panels
    for name in ("exposure", "quotes", "orders"):
        drawn = json.loads(panels[name].frame(panels[name].rows, snapshot=True, at_us=0))["rows"]
        assert watcher.rows[name] == drawn, name
    assert longs == float(desk.floor.desk.state.exposure["EURUSD"].client_long) > 5
    assert len(watcher.rows["orders"]) > 50
    told = [[quote["venue"] for quote in row["venues"]] for row in watcher.rows["quotes"].values()]
    assert all(len(set(venues)) == len(venues) for venues in told)
