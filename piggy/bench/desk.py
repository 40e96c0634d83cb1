"""From a committed fill to a dealer's socket: venues tick, clients deal, a real engine and web process, many screens.

Everything shares this machine, the sockets' readers too. A fill's wait counts from when the engine stamped its command,
which is before the commit, until a socket has the order's row as filled. With a Chromium on PATH (and playwright) one
more screen is a real page, of which the main thread's work and the memory are told. Memory is looked at all along, and
told as what it gains in a minute: over half an hour (--seconds 1800) that is whether it is flat.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from piggy.bench import broker
from piggy.bench.desk_ground import WebProcess, seat_staff, sign_in_again, unseat_staff
from piggy.bench.desk_lines import Line, Waits
from piggy.bench.desk_load import symbols_of
from piggy.bench.desk_screen import Screen, gain_per_min

SOCKETS, SYMBOLS, TICKS, ORDERS = 200, 500, 10_000, 50
SETTLE_S = 5.0
OPENING_AT_ONCE = 10
LOOKS, LOOK_S_MIN = 12, 5.0
# So many rows of a panel are in sight on a large screen.
IN_SIGHT = 16


class UnableToMeasure(Exception):
    """A program of the bench did not come up, or no fill reached a socket."""


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
    keys = sign_in_again(tenant=schema, username=username, times=sockets)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            _engine(Path(folder)) as engine,
            _load(schema, symbols, ticks, orders) as load,
            WebProcess(log=Path(folder) / "web.log") as web,
            Screen(host=broker.host_of(tenant=schema), port=web.port, session_key=session_key) as screen,
        ):
            pids = {"engine": engine.pid, "web": web.pid, "load": load.pid, "sockets": os.getpid()}
            costs = _Costs(pids=pids, screen=screen)
            host, in_sight = broker.host_of(tenant=schema), symbols_of(symbols)[:IN_SIGHT]
            lines = _Lines(host=host, port=web.port, waits=waits, in_sight=in_sight)
            more = uvloop.run(lines.listen(session_keys=keys, seconds=seconds, costs=costs))
            said = [line for log in sorted(Path(folder).glob("*.log")) for line in log.read_text().splitlines()[-20:]]
    finally:
        unseat_staff(tenant=schema, username=username)
    if len(waits.fills) < 2:
        raise UnableToMeasure("\n".join([f"Of {waits.texts} texts none told a fill.", *said]))
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

    def __init__(self, *, host: str, port: int, waits: Waits, in_sight: Sequence[str]) -> None:
        self._host, self._port, self._waits, self._in_sight = host, port, waits, in_sight

    async def listen(self, *, session_keys: list[str], seconds: float, costs: _Costs) -> dict[str, object]:
        """Open one for each session, settle, then measure; return what the processes and the page cost."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)
        lines = await asyncio.gather(*(self._open(gate, key) for key in session_keys))
        await asyncio.to_thread(costs.wait)
        await asyncio.sleep(SETTLE_S)
        await asyncio.to_thread(costs.begin)
        self._waits.on = True
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, max(LOOK_S_MIN, seconds / LOOKS)))
            await asyncio.to_thread(costs.look)
        self._waits.on = False
        told = await asyncio.to_thread(costs.end)
        lost = [line.closed for line in lines if line.closed]
        for line in lines:
            line.close()
        if lost:
            raise UnableToMeasure(f"{len(lost)} of {len(lines)} sockets were lost under way: {lost[0]}")
        return told

    async def _open(self, gate: asyncio.Semaphore, session_key: str) -> Line:
        async with gate:
            who = {"host": self._host, "session_key": session_key}
            line = Line(port=self._port, waits=self._waits, in_sight=self._in_sight, **who)
            await asyncio.get_running_loop().create_connection(lambda: line, "127.0.0.1", self._port)
            await line.opened
            return line


class _Costs:
    """What the processes and the page use: processor time in percent of one, memory and what it gains in a minute."""

    def __init__(self, *, pids: dict[str, int], screen: Screen) -> None:
        self._pids, self._screen = pids, screen
        self._memory: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}

    def wait(self) -> None:
        """Wait until the page is open."""
        self._screen.wait()

    def begin(self) -> None:
        """Note where everything stands."""
        self._screen.begin()
        self._began_s = time.monotonic()
        self._cpu_s = {name: broker.cpu_s(pid=pid) for name, pid in self._pids.items()}
        self._screen_cpu_s = self._screen.cpu_s()
        self.look()

    def look(self) -> None:
        """Note the memory of now."""
        for name, pid in self._pids.items():
            self._memory[name].append((time.monotonic(), _memory_mib(pid)))
        self._screen.look()

    def end(self) -> dict[str, object]:
        """Return the figures."""
        took_s = time.monotonic() - self._began_s
        told: dict[str, object] = {}
        for name, pid in self._pids.items():
            told[f"{name}_cpu_percent"] = round(100 * (broker.cpu_s(pid=pid) - self._cpu_s[name]) / took_s)
        for name in ("engine", "web"):
            seen = self._memory[name]
            told[f"{name}_memory_mib"] = f"{seen[0][1]:.1f} -> {seen[-1][1]:.1f}"
            told[f"{name}_memory_mib_per_min"] = gain_per_min(seen)
        page = self._screen.end()
        if page:
            told["browser_cpu_percent"] = round(100 * (self._screen.cpu_s() - self._screen_cpu_s) / took_s)
        return told | page


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
def _load(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    asked = [sys.executable, "-m", "piggy.bench.desk_load", *(str(word) for word in words)]
    child = subprocess.Popen(asked, stdout=subprocess.PIPE, env=dict(os.environ))
    try:
        assert child.stdout is not None, "piped"
        if child.stdout.readline().strip() != b"ready":
            raise UnableToMeasure("The load did not begin: the engine took no accounts.")
        yield child
    finally:
        child.kill()
        child.wait()


def _memory_mib(pid: int) -> float:
    """Return how much of a process is in memory, 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def _p99(waits: list[float]) -> float:
    return round(statistics.quantiles(waits, n=100)[-1], 2)
