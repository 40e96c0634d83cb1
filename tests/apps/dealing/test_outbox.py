"""F-23: a slow reader is conflated or dropped, and never more than its queue behind."""

from __future__ import annotations

import asyncio

from apps.dealing.consumers.outbox import LAG_S_MAX, MARKET, MARKET_TEXTS_MAX, ORDER_TEXTS_MAX, Outbox


class Reader:
    def __init__(self) -> None:
        self.now_s = 0.0
        panels = ("orders", "quotes", "venues")
        self.outbox = Outbox(snapshot_of=lambda panel: f"whole {panel}", now_s=lambda: self.now_s, panels=panels)

    def read(self, count: int) -> list[str]:
        async def take() -> list[str]:
            return [await asyncio.wait_for(self.outbox.next(), 60) for _ in range(count)]

        return asyncio.run(take())


def test_frames_leave_in_the_order_they_came() -> None:
    reader = Reader()
    for text in ("one", "two", "three"):
        reader.outbox.put(lane=MARKET, text=text)
    assert reader.read(3) == ["one", "two", "three"]


def test_market_data_too_far_behind_becomes_one_snapshot_a_panel_and_orders_stay() -> None:
    reader = Reader()
    reader.outbox.put(lane="orders", text="order")
    for number in range(MARKET_TEXTS_MAX + 1):
        reader.outbox.put(lane=MARKET, text=f"quote {number}")
    assert reader.read(3) == ["whole quotes", "whole venues", "order"]
    reader.outbox.put(lane=MARKET, text="next")
    assert reader.read(1) == ["next"]
    assert not reader.outbox.too_slow()


def test_orders_are_never_conflated_so_a_reader_who_loses_them_is_dropped() -> None:
    reader = Reader()
    for number in range(ORDER_TEXTS_MAX):
        reader.outbox.put(lane="orders", text=f"order {number}")
    assert not reader.outbox.too_slow()
    reader.outbox.put(lane="orders", text="one too many")
    assert reader.outbox.too_slow()


def test_a_reader_five_seconds_behind_is_too_slow() -> None:
    reader = Reader()
    reader.outbox.put(lane="orders", text="order")
    reader.now_s = LAG_S_MAX + 0.1
    assert reader.outbox.too_slow()


def test_a_snapshot_goes_before_what_waits() -> None:
    reader = Reader()
    reader.outbox.put(lane="orders", text="order")
    reader.outbox.resync(panels=["orders"])
    assert reader.read(2) == ["whole orders", "order"]


def test_a_finished_frame_is_written_at_once_where_nothing_waits_and_nothing_is_ever_overtaken() -> None:
    """The line takes frames now and then; whatever it does, the texts leave in the order they came."""

    async def story() -> tuple[list[str], int]:
        line: list[str] = []
        free = [True]

        def write(frame: bytes) -> bool:
            if free[0]:
                line.append(frame.decode())
            return free[0]

        outbox = Outbox(snapshot_of=str, now_s=lambda: 0.0, write=write)

        async def send() -> None:
            while True:
                line.append(await outbox.next())
                await asyncio.sleep(0)

        outbox.put(lane="orders", text="0", frame=b"0")
        assert line == [], "who joins is told everything else first"
        writer = asyncio.create_task(send())
        at_once = 0
        for number in range(1, 100):
            free[0] = number % 5 != 0
            before = len(line)
            outbox.put(lane="orders", text=str(number), frame=str(number).encode())
            at_once += len(line) - before
            for _ in range(9 if number % 3 == 0 else 0):
                await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while len(line) < 100:
                await asyncio.sleep(0)
        writer.cancel()
        return line, at_once

    line, at_once = asyncio.run(story())
    assert line == [str(number) for number in range(100)]
    assert at_once > 20
