"""One dealer's page in a headless Chromium during bench desk: how busy its main thread is, and what memory it keeps.

Where there is no Chromium or no playwright the bench goes on without; its figures then lack the page's.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from piggy.bench import broker

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Screen:
    """The page in a process of its own, for the browser's driver wants an event loop to itself."""

    def __init__(self, *, host: str, port: int, session_key: str) -> None:
        self._asked = [host, str(port), session_key]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if CHROMIUM:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "piggy.bench.desk_screen", *self._asked],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child:
            self._child.kill()
            self._child.wait()

    def wait(self) -> None:
        """Return once the page is open."""
        self._say(b"wait")

    def begin(self) -> None:
        """Note where the page's counters stand."""
        self._say(b"begin")

    def look(self) -> None:
        """Note the page's memory of now, its garbage taken away."""
        self._say(b"look")

    def end(self) -> dict[str, object]:
        """Return the main thread's share of the time since `begin` in percent, and the memory then and now."""
        said = self._say(b"end")
        return dict(msgspec.json.decode(said)) if said else {}

    def cpu_s(self) -> float:
        """Return how long all the browser's processes have computed, 0 without one."""
        return 0.0 if self._child is None else _family_cpu_s(self._child.pid)

    def _say(self, word: bytes) -> bytes:
        if self._child is None or self._child.poll() is not None:
            return b""
        assert self._child.stdin is not None, "piped"
        assert self._child.stdout is not None, "piped"
        self._child.stdin.write(word + b"\n")
        self._child.stdin.flush()
        said: bytes = self._child.stdout.readline()
        return said


def gain_per_min(seen: list[tuple[float, float]]) -> float:
    """Return the slope a minute of what was seen at some seconds, by least squares; of fewer than two times 0."""
    if len({at_s for at_s, _ in seen}) < 2:
        return 0.0
    return round(60 * statistics.linear_regression(*zip(*seen, strict=True)).slope, 2)


class _Page:
    """The page's own counters, as the browser tells them."""

    def __init__(self, *, devtools: Any, page: Any) -> None:
        self._devtools, self._page = devtools, page
        self._seen: list[dict[str, float]] = []

    def begin(self) -> None:
        """Count from here; what garbage was before is not this run's."""
        self._devtools.send("HeapProfiler.collectGarbage")
        self._seen, self._cleaned_s = [], 0.0
        self._begun = self._counters()

    def look(self) -> None:
        """Note the memory that stays; the bench's cleaning is no work of the page's."""
        before = self._counters()
        self._devtools.send("HeapProfiler.collectGarbage")
        self._seen.append(self._counters())
        self._cleaned_s += self._seen[-1]["TaskDuration"] - before["TaskDuration"]

    def told(self) -> dict[str, object]:
        """Return shares of the time in percent, and the memory at the first and last look with its gain."""
        now, first, last = self._counters(), self._seen[0], self._seen[-1]
        took_s = now["Timestamp"] - self._begun["Timestamp"]
        parts = {"script": "ScriptDuration", "layout": "LayoutDuration", "style": "RecalcStyleDuration"}
        busy_s = now["TaskDuration"] - self._begun["TaskDuration"] - self._cleaned_s
        heap = [(each["Timestamp"], each["JSHeapUsedSize"] / 2**20) for each in self._seen]
        return {
            "page_main_thread_percent": round(100 * busy_s / took_s),
            **{
                f"page_{name}_percent": round(100 * (now[counter] - self._begun[counter]) / took_s)
                for name, counter in parts.items()
            },
            "page_heap_mib": f"{heap[0][1]:.1f} -> {heap[-1][1]:.1f}",
            "page_heap_mib_per_min": gain_per_min(heap),
            "page_nodes": f"{first['Nodes']:.0f} -> {last['Nodes']:.0f}",
            "page_listeners": f"{first['JSEventListeners']:.0f} -> {last['JSEventListeners']:.0f}",
            "page_orders": self._page.evaluate("desk.store.rows('orders').size"),
        }

    def _counters(self) -> dict[str, float]:
        return {each["name"]: each["value"] for each in self._devtools.send("Performance.getMetrics")["metrics"]}


def main(host: str, port: str, session_key: str) -> None:
    """Open the desk's page; answer "begin" and "look" with nothing and "end" with the browser's own counters."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context(viewport={"width": 1920, "height": 1080})
        context.add_cookies([{"name": "sessionid", "value": session_key, "domain": host, "path": "/"}])
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "timeTicks"})
        page.goto(f"http://{host}:{port}/desk/")
        watched = _Page(devtools=devtools, page=page)
        for line in sys.stdin:
            word = line.strip()
            if word == "begin":
                watched.begin()
            elif word == "look":
                watched.look()
            print(msgspec.json.encode(watched.told() if word == "end" else {}).decode(), flush=True)


def _family_cpu_s(pid: int) -> float:
    """Return the processor time of a process and of all below it, in s."""
    below: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            below += thread.read_text().split()
    return broker.cpu_s(pid=pid) + sum(_family_cpu_s(int(child)) for child in below)


if __name__ == "__main__":
    main(*sys.argv[1:4])
