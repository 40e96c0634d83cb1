"""F-23: a slow reader is conflated or dropped, and never more than its queue behind."""

from __future__ import annotations

import asyncio

from apps.dealing.consumers.outbox import FRAMES_PER_PANEL_MAX, LAG_S_MAX, ORDER_FRAMES_MAX, Outbox


class Reader:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.outbox = Outbox(snapshot_of=lambda panel: f"whole {panel}", now_s=lambda: self.now_s)

    def read(self, count: int) -> list[str]:
        async def take() -> list[str]:
            return [await asyncio.wait_for(self.outbox.next(), 1) for _ in range(count)]

        return asyncio.run(take())


def test_frames_leave_in_the_order_they_came() -> None:
    reader = Reader()
    for text in ("one", "two", "three"):
        reader.outbox.put(panel="quotes", text=text)
    assert reader.read(3) == ["one", "two", "three"]


def test_market_data_too_far_behind_becomes_one_snapshot() -> None:
    reader = Reader()
    reader.outbox.put(panel="venues", text="venue")
    for number in range(FRAMES_PER_PANEL_MAX + 5):
        reader.outbox.put(panel="quotes", text=f"quote {number}")
    assert reader.read(2) == ["whole quotes", "venue"]
    reader.outbox.put(panel="quotes", text="next")
    assert reader.read(1) == ["next"]
    assert not reader.outbox.too_slow()


def test_orders_are_never_conflated_so_a_reader_who_loses_them_is_dropped() -> None:
    reader = Reader()
    for number in range(ORDER_FRAMES_MAX):
        reader.outbox.put(panel="orders", text=f"order {number}")
    assert not reader.outbox.too_slow()
    reader.outbox.put(panel="orders", text="one too many")
    assert reader.outbox.too_slow()


def test_a_reader_five_seconds_behind_is_too_slow() -> None:
    reader = Reader()
    reader.outbox.put(panel="orders", text="order")
    reader.now_s = LAG_S_MAX + 0.1
    assert reader.outbox.too_slow()


def test_a_wish_for_a_snapshot_drops_what_it_holds_already() -> None:
    reader = Reader()
    reader.outbox.put(panel="orders", text="order")
    reader.outbox.resync(panels=["orders"])
    assert reader.read(1) == ["whole orders"]
