"""People at the desk in real browsers: the web process, somebody who speaks as the engine, sessions, a page each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Page, expect, sync_playwright

from apps.instruments import services as instruments
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.bench.desk_frames import FrameMaker
from piggy.bench.desk_ground import EngineVoice, WebProcess, seat_staff
from piggy.core.answers import Answer
from piggy.core.commands import Envelope
from tests.apps import records
from tests.apps.dealing.desk_floor import engine, symbol

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
GRIDSTACK = Path(__file__).resolve().parents[2] / "static/vendor/gridstack/gridstack-all.js"
AXE = GRIDSTACK.parents[1] / "axe/axe.min.js"
ROWS: dict[str, dict[str, Any]] = {
    "requests": {
        "O7": {
            "order_id": "O7",
            "account_id": "A1",
            "symbol": "EURUSD",
            "side": "buy",
            "type": "market",
            "quantity": "2.00",
            "requested": "1.08440",
            "current": "1.08447",
            "slippage_points": "7",
            "held_at": 1_700_000_000_000_000,
            "expires_at": 4_000_000_000_000_000,
            "passes_on": False,
            "claimed_by": "",
            "requote": None,
            "requotes": 0,
        }
    },
    "hedges": {
        "H000000001": {
            "kind": "hedge",
            "hedge_id": "H000000001",
            "symbol": "EURUSD",
            "side": "buy",
            "quantity": "4.00",
            "filled": "0.00",
            "state": "queued",
            "queued": True,
            "at": 1_700_000_000_000_000,
        }
    },
    "margin": {
        "A1": {
            "account_id": "A1",
            "group": "b-book",
            "level_percent": "62.5",
            "distance": "120.00",
            "equity": "620.00",
            "used_margin": "1000.00",
            "free_margin": "-380.00",
            "floating": "-380.00",
            "balance": "1000.00",
            "call_percent": "100",
            "stop_out_percent": "50",
            "called": True,
        }
    },
    "coverage": {
        "LP1:EURUSD": {
            "venue": "LP1",
            "symbol": "EURUSD",
            "net": "3.00",
            "passed_on": "1.00",
            "hedged": "2.00",
            "vwap": "1.08410",
            "mark": "1.08430",
            "floating": "40.00",
            "realised": "-12.50",
            "currency": "USD",
            "contract_size": "100000",
            "notional": "325290.00",
            "limit": "10",
        }
    },
    "states": {"symbol:GBPUSD": {"scope": "symbol", "key": "GBPUSD", "state": "halted", "by": "rick"}},
    "alerts": {
        "venue:LP1": {"key": "venue:LP1", "tone": "serious", "title": "LP1 is down", "text": "logged out", "since": 1}
    },
}

# What every test with a page needs to run at all.
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
    pytest.mark.skipif(not GRIDSTACK.exists(), reason="the browser files are not set up"),
]


def done(envelope: Envelope) -> Answer:
    return Answer(command_id=envelope.command_id)


def serve(*, log: Path) -> Iterator[WebProcess]:
    with WebProcess(log=log) as process:
        yield process


def listen(*, redis_server: Any, owner_sql: Any) -> Iterator[list[Envelope]]:
    """Speak as the engine, and yield what it was asked."""
    voice = EngineVoice(tenant="acorn", maker=FrameMaker())
    voice.maker.rows.update(ROWS)
    voice.begin()
    with in_tenant("acorn"):
        records.client()
        for name in ("AUDUSD", "EURUSD"):
            instruments.set_up_instrument(tenant="acorn", instrument=symbol(name), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
        records.leg_in_doubt()
    with engine(redis_server, owner_sql, done) as heard:
        yield heard


def sit_down(*, web: WebProcess) -> Iterator[Callable[[str], Page]]:
    """Open the desk as one of two dealers, a watcher or an admin; what the console said is in `page.said`."""
    roles = {"dora": "dealer", "rick": "dealer", "wanda": "watcher", "anna": "admin"}
    keys = {name: seat_staff(tenant="acorn", role=role, username=name) for name, role in roles.items()}

    def sit(name: str) -> Page:
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        cookie = {"name": "sessionid", "value": keys[name], "domain": "acorn.localhost", "path": "/"}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        said: list[str] = []
        page.said = said  # type: ignore[attr-defined]
        page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://acorn.localhost:{web.port}/desk/")
        expect(page.locator("[data-strip=connection]")).to_contain_text("Live")
        expect(page.locator("#grid-exposure .tabulator-row").first).to_be_visible()
        return page

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield sit
        browser.close()


def in_acorn(read: Callable[[], Any]) -> Any:
    """Read the tables from a thread of its own: the browser's driver has an event loop in this one."""

    def inside() -> Any:
        with in_tenant("acorn"):
            found = read()
        connection.close()
        return found

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


def serious_faults(page: Page, *, within: str = "html") -> list[str]:
    """What axe finds that keeps somebody out, in the whole page or in a part of it."""
    # Evaluated and not added to the page: the back office lets no script of another's in.
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("within => axe.run(document.querySelector(within), {resultTypes: ['violations']})", within)
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def asked(heard: list[Envelope]) -> list[str]:
    return [type(envelope.command).__name__ for envelope in heard if envelope.reply_to]


def fill_in(page: Page, **values: str) -> None:
    for name, value in values.items():
        field = page.locator(f"#action [name={name}]")
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.locator("#action [name=reason]").fill("because of the news")


def submit(page: Page) -> None:
    page.locator("#action [type=submit]").click()
