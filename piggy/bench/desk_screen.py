"""One dealer's page in a headless Chromium during bench desk: how busy its main thread is, and what memory it keeps.

Where there is no Chromium or no playwright the bench goes on without; its figures then lack the page's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import msgspec

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

    def begin(self) -> None:
        """Note where the page's counters stand."""
        self._say(b"begin")

    def end(self) -> dict[str, object]:
        """Return the main thread's share of the time since `begin` in percent, and the heap then and now in MiB."""
        said = self._say(b"end")
        return dict(msgspec.json.decode(said)) if said else {}

    def _say(self, word: bytes) -> bytes:
        if self._child is None or self._child.poll() is not None:
            return b""
        assert self._child.stdin is not None, "piped"
        assert self._child.stdout is not None, "piped"
        self._child.stdin.write(word + b"\n")
        self._child.stdin.flush()
        said: bytes = self._child.stdout.readline()
        return said


def main(host: str, port: str, session_key: str) -> None:
    """Open the desk's page and answer "begin" and "end" with the browser's own counters."""
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
        begun: dict[str, float] = {}
        for line in sys.stdin:
            now = _counters(devtools)
            if line.strip() == "begin":
                begun = now
                print("{}", flush=True)
                continue
            busy = 100 * (now["TaskDuration"] - begun["TaskDuration"]) / (now["Timestamp"] - begun["Timestamp"])
            heap = f"{begun['JSHeapUsedSize'] / 2**20:.1f} -> {now['JSHeapUsedSize'] / 2**20:.1f}"
            shown = page.locator("#grid-orders .tabulator-row").count()
            told = {"page_main_thread_percent": round(busy), "page_heap_mib": heap, "page_orders_shown": shown}
            print(msgspec.json.encode(told).decode(), flush=True)


def _counters(devtools: Any) -> dict[str, float]:
    devtools.send("HeapProfiler.collectGarbage")
    return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}


if __name__ == "__main__":
    main(*sys.argv[1:4])
