"""From a published frame to a dealer's socket: many sockets on one real web process, frames at the engine's rhythm."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import msgspec
import websockets

from piggy.bench import broker
from piggy.bench.desk_frames import FrameMaker
from piggy.bench.desk_ground import EngineVoice, WebProcess, seat_staff, unseat_staff

SOCKETS = 50
SYMBOLS = 50
FRAMES_PER_S = 5
ORDERS_PER_S = 10
SETTLE_S = 2.0
OPENING_AT_ONCE = 10


class _Stamp(msgspec.Struct):
    """What the bench reads of a message; everything else is skipped."""

    panel: str = ""
    snapshot: bool = False
    at_us: int = 0


_stamp_of = msgspec.json.Decoder(_Stamp).decode


def run(*, seconds: float, scale: float) -> dict[str, object]:
    """Return p50_ms and p99_ms from a frame's making to its arrival at a socket, over all sockets and frames."""
    schema = os.environ.get(broker.TENANT_VARIABLE, "")
    if not schema:
        return broker.measured_inside(name="desk", seconds=seconds, scale=scale)
    sockets = max(1, round(SOCKETS * scale))
    host = broker.host_of(tenant=schema)
    username = f"bench-{time.time_ns()}"
    session_key = seat_staff(tenant=schema, role="dealer", username=username)
    voice = EngineVoice(tenant=schema, maker=FrameMaker(symbols=SYMBOLS))
    voice.begin()
    try:
        with tempfile.TemporaryDirectory() as folder, WebProcess(log=Path(folder) / "web.log") as web:
            voice.run(frames_per_s=FRAMES_PER_S, symbols=SYMBOLS, orders_per_s=ORDERS_PER_S)
            url = f"ws://{host}:{web.port}/ws/desk/"
            waits_ms = asyncio.run(_listen(url=url, session_key=session_key, sockets=sockets, seconds=seconds))
    finally:
        voice.stop()
        unseat_staff(tenant=schema, username=username)
    waits_ms.sort()
    load = f"{sockets} sockets, {SYMBOLS} symbols x {FRAMES_PER_S} frames/s x 4 panels + {ORDERS_PER_S} orders/s"
    return {
        "p50_ms": _percentile(waits_ms, 50),
        "p99_ms": _percentile(waits_ms, 99),
        "sockets": sockets,
        "messages": len(waits_ms),
        "load": load,
        "runs": 1,
    }


async def _listen(*, url: str, session_key: str, sockets: int, seconds: float) -> list[float]:
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    opened = asyncio.Event()
    waits_ms: list[float] = []
    missing = sockets

    async def listen() -> None:
        nonlocal missing
        async with gate:
            line = await _open(url, session_key)
        missing -= 1
        if not missing:
            opened.set()
        async for text in line:
            stamp = _stamp_of(text)
            if not stamp.panel:
                await line.send('{"action":"pong","at_us":0}')
            elif not stamp.snapshot and measuring:
                waits_ms.append(time.time_ns() / 1_000_000 - stamp.at_us / 1_000)

    measuring = False
    tasks = [asyncio.create_task(listen()) for _ in range(sockets)]
    await asyncio.wait_for(opened.wait(), 60)
    await asyncio.sleep(SETTLE_S)
    measuring = True
    await asyncio.sleep(seconds)
    measuring = False
    lost = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not lost, f"{lost} of {sockets} sockets were lost under way"
    return waits_ms


async def _open(url: str, session_key: str) -> websockets.ClientConnection:
    origin = url.replace("ws://", "http://").removesuffix("/ws/desk/")
    cookie = {"Cookie": f"sessionid={session_key}"}
    return await websockets.connect(
        url, host="127.0.0.1", origin=websockets.Origin(origin), additional_headers=cookie, proxy=None, max_size=None
    )


def _percentile(ordered: list[float], percent: int) -> float:
    assert ordered, "no frame arrived"
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)
