"""From a committed fill to a dealer's socket: venues tick, clients deal, a real engine and web process, many screens.

Everything shares this machine, the sockets' readers too. A fill's wait counts from when the engine stamped its command,
which is before the commit, until a socket has the order's row as filled. With a Chromium on PATH (and playwright) one
more screen is a real page, of which the main thread's work and the memory are told.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvloop
import websockets

from piggy.bench import broker
from piggy.bench.desk_ground import WebProcess, seat_staff, unseat_staff
from piggy.bench.desk_screen import Screen

SOCKETS, SYMBOLS, TICKS, ORDERS = 200, 500, 10_000, 50
SETTLE_S = 5.0
OPENING_AT_ONCE = 10


class UnableToMeasure(Exception):
    """A program of the bench did not come up, or no fill reached a socket."""


class _Order(msgspec.Struct):
    at: int
    state: str


class _Frame(msgspec.Struct):
    """What the bench reads of a frame: of orders all, of other panels only when it was made."""

    panel: str = ""
    snapshot: bool = False
    at_us: int = 0
    rows: msgspec.Raw = msgspec.Raw(b"{}")


_frames_of = msgspec.json.Decoder(_Frame | list[_Frame]).decode
_orders_of = msgspec.json.Decoder(dict[str, _Order | None]).decode


class Waits:
    """Waits in ms over all sockets: of fills since their command's stamp, of market frames since they were drawn."""

    def __init__(self) -> None:
        self.on = False
        self.fills: list[float] = []
        self.market: list[float] = []
        self.texts = self.bytes = 0

    def take(self, text: str, seen: set[str]) -> bool:
        """Note a text of one socket; tell whether it is a ping to answer."""
        found = _frames_of(text)
        now_ms = time.time_ns() / 1_000_000
        frames = found if isinstance(found, list) else [found]
        if self.on:
            self.texts, self.bytes = self.texts + 1, self.bytes + len(text)
        for frame in frames:
            if frame.panel == "orders" and not frame.snapshot:
                self._fills(_orders_of(frame.rows), seen, now_ms)
            elif self.on and frame.panel == "quotes" and not frame.snapshot:
                self.market.append(now_ms - frame.at_us / 1_000)
        return not frames[0].panel

    def _fills(self, rows: dict[str, _Order | None], seen: set[str], now_ms: float) -> None:
        for order_id, row in rows.items():
            if row is not None and row.state == "filled" and order_id not in seen:
                seen.add(order_id)
                if self.on:
                    self.fills.append(now_ms - row.at / 1_000)


def run(
    *,
    seconds: float,
    scale: float,
    sockets: int = SOCKETS,
    symbols: int = SYMBOLS,
    ticks: int = TICKS,
    orders: int = ORDERS,
) -> dict[str, object]:
    """Return p50_ms and p99_ms of fills over all sockets; `scale` multiplies sockets, ticks and orders."""
    asked = {"sockets": sockets, "symbols": symbols, "ticks": ticks, "orders": orders}
    schema = os.environ.get(broker.TENANT_VARIABLE, "")
    if not schema:
        return broker.measured_inside(name="desk", seconds=seconds, scale=scale, more=asked)
    sockets, ticks, orders = (max(1, round(each * scale)) for each in (sockets, ticks, orders))
    busy, username, waits = broker.busy_before(), f"bench-{time.time_ns()}", Waits()
    session_key = seat_staff(tenant=schema, role="dealer", username=username)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            _engine(Path(folder)) as engine,
            _load(schema, symbols, ticks, orders),
            WebProcess(log=Path(folder) / "web.log") as web,
            Screen(host=broker.host_of(tenant=schema), port=web.port, session_key=session_key) as screen,
        ):
            pids = {"engine": engine.pid, "web": web.pid}
            url = f"ws://{broker.host_of(tenant=schema)}:{web.port}/ws/desk/"
            lines = _Lines(url=url, session_key=session_key, waits=waits, screen=screen, pids=pids)
            more = uvloop.run(lines.listen(sockets=sockets, seconds=seconds))
    finally:
        unseat_staff(tenant=schema, username=username)
    if len(waits.fills) < 2:
        raise UnableToMeasure("No fill reached a socket.")
    return {
        "p50_ms": round(statistics.median(waits.fills), 2),
        "p99_ms": _p99(waits.fills),
        "sockets": sockets,
        "market_p99_ms": _p99(waits.market) if len(waits.market) > 1 else None,
        "texts_per_s": round(waits.texts / seconds),
        "mib_per_s": round(waits.bytes / seconds / 2**20, 1),
        "fills_seen": len(waits.fills),
        **more,
        "load": f"{sockets} sockets, {symbols} symbols, {ticks} ticks/s in, {orders} orders/s, {seconds:g} s",
        "runs": 1,
        **busy,
    }


class _Lines:
    """All the sockets of a run."""

    def __init__(self, *, url: str, session_key: str, waits: Waits, screen: Screen, pids: dict[str, int]) -> None:
        self._url, self._key, self._waits = url, session_key, waits
        self._screen, self._pids = screen, pids

    async def listen(self, *, sockets: int, seconds: float) -> dict[str, object]:
        """Open them all, settle, then measure; return what the processes and the page cost."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)
        lines = await asyncio.gather(*(self._open(gate) for _ in range(sockets)))
        tasks = [asyncio.create_task(self._read(line)) for line in lines]
        await asyncio.sleep(SETTLE_S)
        before = {name: broker.cpu_s(pid=pid) for name, pid in self._pids.items()}
        memory = {name: _memory_mib(pid) for name, pid in self._pids.items()}
        await asyncio.to_thread(self._screen.begin)
        self._waits.on = True
        await asyncio.sleep(seconds)
        self._waits.on = False
        page = await asyncio.to_thread(self._screen.end)
        lost = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not lost, f"{lost} of {sockets} sockets were lost under way"
        cost: dict[str, object] = {}
        for name, pid in self._pids.items():
            cost[f"{name}_cpu_percent"] = round(100 * (broker.cpu_s(pid=pid) - before[name]) / seconds)
            cost[f"{name}_memory_mib"] = f"{memory[name]} -> {_memory_mib(pid)}"
        return cost | page

    async def _open(self, gate: asyncio.Semaphore) -> websockets.ClientConnection:
        origin = self._url.replace("ws://", "http://").removesuffix("/ws/desk/")
        async with gate:
            return await websockets.connect(
                self._url,
                host="127.0.0.1",
                origin=websockets.Origin(origin),
                additional_headers={"Cookie": f"sessionid={self._key}"},
                proxy=None,
                max_size=None,
                compression=None,
            )

    async def _read(self, line: websockets.ClientConnection) -> None:
        seen: set[str] = set()
        async for text in line:
            assert isinstance(text, str), "the desk speaks text"
            if self._waits.take(text, seen):
                await line.send('{"action":"pong","at_us":0}')


@contextmanager
def _engine(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = dict(os.environ) | {"PIGGY_EDGE_PORT": str(broker.free_port())}
    with (folder / "engine.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", "piggy.engine"], env=env, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(20)


@contextmanager
def _load(*words: object) -> Iterator[None]:
    asked = [sys.executable, "-m", "piggy.bench.desk_load", *(str(word) for word in words)]
    child = subprocess.Popen(asked, stdout=subprocess.PIPE, env=dict(os.environ))
    try:
        assert child.stdout is not None, "piped"
        if child.stdout.readline().strip() != b"ready":
            raise UnableToMeasure("The load did not begin: the engine took no accounts.")
        yield
    finally:
        child.kill()
        child.wait()


def _memory_mib(pid: int) -> int:
    """Return how much of a process is in memory, 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def _p99(waits: list[float]) -> float:
    return round(statistics.quantiles(waits, n=100)[-1], 2)
