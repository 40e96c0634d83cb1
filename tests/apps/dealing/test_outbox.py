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
            return [await asyncio.wait_for(self.outbox.next(), 1) for _ in range(count)]

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
