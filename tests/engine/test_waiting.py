"""A signal that overtook the one it follows waits for it, in order, and never longer than it may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from piggy.engine import waiting
from piggy.engine.waiting import Waiting


@pytest.fixture
async def held() -> AsyncIterator[Waiting]:
    made = Waiting()
    task = asyncio.create_task(made.watch())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_goes_as_soon_as_it_is_due_and_those_together_in_their_order(held: Waiting) -> None:
    open_, gone = asyncio.Event(), []
    for number in range(3):
        held.hold(tenant="acorn", wait_ms=60_000, is_due=open_.is_set, go=lambda number=number: gone.append(number))
    await asyncio.sleep(0.05)
    assert gone == []
    open_.set()
    async with asyncio.timeout(20):
        while len(gone) < 3:
            await asyncio.sleep(0.005)
    assert gone == [0, 1, 2]
    assert len(held) == 0


async def test_it_goes_when_its_time_is_up(held: Waiting) -> None:
    began, gone = time.monotonic(), asyncio.Event()
    held.hold(tenant="acorn", wait_ms=80, is_due=lambda: False, go=gone.set)
    async with asyncio.timeout(20):
        await gone.wait()
    assert time.monotonic() - began >= 0.08


async def test_where_too_many_wait_the_next_goes_at_once(held: Waiting, monkeypatch: Any) -> None:
    monkeypatch.setattr(waiting, "HELD_MAX", 0)
    gone = asyncio.Event()
    held.hold(tenant="acorn", wait_ms=60_000, is_due=lambda: False, go=gone.set)
    assert gone.is_set()


async def test_f_32_whose_signals_take_every_place_loses_them_to_nobody_else(held: Waiting, monkeypatch: Any) -> None:
    monkeypatch.setattr(waiting, "HELD_MAX", 4)
    gone: list[str] = []

    def hold(tenant: str, *, is_due: bool = False) -> None:
        held.hold(tenant=tenant, wait_ms=60_000, is_due=lambda: is_due, go=lambda: gone.append(tenant))

    for _ in range(3):
        hold("acorn")
    hold("acorn", is_due=True)
    hold("acorn")
    assert gone == ["acorn"], "the fifth"
    hold("birch"), hold("birch")
    assert gone == ["acorn"], "another's wait all the same"
    hold("birch")
    assert gone == ["acorn", "birch"], "and have their share of places"
    async with asyncio.timeout(20):
        while len(gone) < 3:
            await asyncio.sleep(0.005)
    assert (gone[-1], len(held)) == ("acorn", 5), "the one that was due"


async def test_a_place_that_was_let_go_is_free_again(held: Waiting, monkeypatch: Any) -> None:
    monkeypatch.setattr(waiting, "HELD_MAX", 1)
    for _ in range(3):
        gone = asyncio.Event()
        held.hold(tenant="acorn", wait_ms=20, is_due=lambda: False, go=gone.set)
        assert not gone.is_set(), "it waits"
        async with asyncio.timeout(20):
            await gone.wait()
