"""The whole venue as `make run` starts it, for the stories: its addresses, its people, its processes, its truths."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx
import msgspec
import psycopg
import redis
from django_otp.oath import totp
from psycopg import sql

from piggy.core.events import AnyEvent, told_decision
from piggy.local import keys, processes
from piggy.messaging import codec
from piggy.projector import projections
from piggy.simulator import truth
from piggy.simulator.config import LpConfig
from tests.simulator.lp_range import free_ports

ROOT = Path(__file__).resolve().parents[2]
START_S_MAX, KILL_S_MAX = 300.0, 20.0
# How long an authenticator shows a code, and when each showed its last one that somebody used.
CODE_S = 30
_used: dict[str, int] = {}
SERVERS = {"postgres": "postgres", "valkey": "valkey-server"}
# Small books: an order of eight lots is more than any one of them shows.
LPS = (
    LpConfig(name="LP1", spread=Decimal(1), depth=3, level_lots=Decimal(1), latency_ms=4, seed=1),
    LpConfig(name="LP2", spread=Decimal("1.3"), depth=3, level_lots=Decimal(1), latency_ms=8, seed=2),
    LpConfig(name="LP3", spread=Decimal("1.8"), depth=2, level_lots=Decimal(1), latency_ms=15, seed=3),
)


class Login(NamedTuple):
    name: str
    password: str
    token: str
    authenticator: str

    @property
    def code(self) -> str:
        """The six digits that this person's authenticator shows now; of one already used, the next ones.

        A code is good for one login, and the stories of a worker share their people.
        """
        import base64

        while _used.get(self.authenticator) == (step := int(time.time()) // CODE_S):
            time.sleep(0.2)
        _used[self.authenticator] = step
        secret = parse_qs(urlsplit(self.authenticator).query)["secret"][0]
        return f"{totp(base64.b32decode(secret + '=' * (-len(secret) % 8))):06d}"


class RunningVenue:
    """`manage.py up` in a home of its own, on free ports."""

    def __init__(self, *, lps: tuple[LpConfig, ...] = LPS, home: Path | None = None) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="piggy-flows-"))
        # What the venue says of itself is kept elsewhere: its own disk may be full.
        self._told = Path(tempfile.mkdtemp(prefix="piggy-flows-said-"))
        if home is not None:
            # LPs keep their books somewhere else altogether.
            (self._told / "simulator").mkdir()
            (home / "simulator").symlink_to(self._told / "simulator")
        self.web_port, self.edge_port = processes.free_port(), processes.free_port()
        # Nothing of the tests' own servers and keys: this venue makes its own.
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PIGGY_", "DATABASE_", "REDIS_"))
        }
        self._env = {
            **kept,
            "PIGGY_HOME": str(self.home),
            "PIGGY_ENV": "test",
            "DJANGO_SETTINGS_MODULE": "piggy.settings.test",
            "FLOW": "0",
            "PIGGY_LPS": msgspec.json.encode(lps).decode(),
            "PIGGY_WEB_PORT": str(self.web_port),
            "PIGGY_EDGE_PORT": str(self.edge_port),
            "PIGGY_LP_PORT_BASE": str(free_ports(len(lps))),
        }
        self._up: subprocess.Popen[bytes] | None = None

    @property
    def said(self) -> str:
        return (self._told / "up.log").read_text()

    def start(self) -> None:
        """Return as soon as `up` says that the desk is live."""
        with (self._told / "up.log").open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self._env, stdout=output, stderr=output
            )
        wait(
            lambda: "The desk is live" in self.said or self._up.poll() is not None, seconds=START_S_MAX, what=self.logs
        )
        assert self._up.poll() is None, self.said

    def stop(self) -> float:
        """Press Ctrl-C; return the seconds until everything had ended."""
        assert self._up is not None
        began_s = time.monotonic()
        self._up.send_signal(signal.SIGINT)
        self._up.wait(60)
        return time.monotonic() - began_s

    def clear_away(self) -> None:
        if self._up is not None and self._up.poll() is None:
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self._told, ignore_errors=True)

    def pids(self, name: str) -> list[int]:
        """Every process of a program or a server: what it started is in its group."""
        first = self.pid(name)
        group = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if first in (int(entry.name), int(stat[1]), int(stat[2])):
                group.append(int(entry.name))
        return group

    def pid(self, name: str) -> int:
        """The process id of a program, or of the server's first process."""
        if name not in SERVERS:
            noted = json.loads((self.home / "processes.json").read_text())
            return next(entry["pid"] for entry in noted if entry["name"] == name)
        port = keys.read(path=self.home / "services.json")[f"{name}_port"]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                comm, words = (entry / "comm").read_text().strip(), (entry / "cmdline").read_text()
            except OSError:
                continue
            if comm == SERVERS[name] and port in words:
                return int(entry.name)
        raise AssertionError(f"{name} does not run")

    def kill(self, name: str) -> int:
        """End a process at once and return its id; one that has just ended by itself is first waited for."""
        until_s = time.monotonic() + KILL_S_MAX
        while True:
            pid = self.pid(name)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                assert time.monotonic() < until_s, f"{name} ended and was not started again\n{self.logs()}"
                time.sleep(0.05)
            else:
                return pid

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.web_port}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def logins(self, tenant: str = "acorn") -> dict[str, Login]:
        rows = [line.split() for line in (self.home / "logins.txt").read_text().splitlines()]
        return {row[1].split("@")[0]: Login(*row[1:]) for row in rows if len(row) == 5 and row[0] == tenant}

    def web(self, login: str | None = None, tenant: str = "acorn") -> httpx.Client:
        """A client of the broker's domain, as a client of the broker if `login` is one."""
        headers = {"Host": f"{tenant}.localhost:{self.web_port}"}
        if login:
            headers["Authorization"] = f"Token {self.logins(tenant)[login].token}"
        return httpx.Client(base_url=f"http://127.0.0.1:{self.web_port}", headers=headers, timeout=20)

    def edge(self, tenant: str = "acorn") -> httpx.Client:
        headers = {"Host": f"{tenant}.localhost"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.edge_port}", headers=headers, timeout=20)

    def order(self, login: str, *, key: str = "", **body: str) -> httpx.Response:
        with self.web(login) as web:
            return place(web, key=key or uuid.uuid4().hex, **body)

    def rows(self, query: str, tenant: str = "acorn") -> list[tuple[Any, ...]]:
        """What the database's superuser sees, past row-level security."""
        url = urlsplit(self._env_of("DATABASE_URL"))
        password = keys.read(path=self.home / "services.json")["postgres"]
        whole = urlunsplit(url._replace(netloc=f"postgres:{password}@{url.hostname}:{url.port}"))
        with psycopg.connect(whole, autocommit=True) as connection:
            connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(tenant)))
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self._env_of("REDIS_URL"))

    def events(self, tenant: str = "acorn") -> list[AnyEvent]:
        rows = self.rows("select payload from event_log order by seq", tenant)
        return [codec.decode_event(bytes(payload)) for (payload,) in rows]

    def routing(self, order_id: str, tenant: str = "acorn") -> dict[str, Any]:
        """Where an order last went and why, with the names of the fields."""
        of = f"select routed_seq from trading_order where order_id = '{order_id}'"
        ((payload,),) = self.rows(f"select payload from event_log where seq = ({of})", tenant)
        event: Any = codec.decode_event(bytes(payload))
        return dict(msgspec.json.decode(msgspec.json.encode(told_decision(decision=event.routing))))

    def truth(self, lp: str, tenant: str = "acorn") -> dict[str, truth.TruthOrder]:
        """What an LP knows of this broker's orders, by ClOrdID."""
        found = truth.read(path=self.home / "simulator" / lp / truth.FILE_NAME)
        return {order.cl_ord_id: order for (owner, _), order in found.items() if owner == tenant.upper()}

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the installation, as its operator would."""
        return subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self._env, capture_output=True, text=True, check=False
        )

    def messages(self, lp: str) -> str:
        return (self.home / "simulator" / lp / "messages.log").read_text()

    def unsettled(self, tenant: str = "acorn") -> list[tuple[Any, ...]]:
        """What is not at rest: open at an LP, open at the desk, or not yet projected."""
        return self.rows(
            "select 'at the LP', cl_ord_id, state, filled from liquidity_venueorder"
            " where state not in ('done', 'refused')"
            " union all select 'at the desk', cl_ord_id, state, filled from trading_childorder"
            " where state in ('sent', 'working', 'partially_filled', 'in_doubt')"
            " union all select 'not projected', name, '', c.seq from projection_cursor c"
            " where c.seq < (select max(seq) from event_log)"
            # One that has projected nothing yet has no row.
            " union all select 'projections begun', count(*)::text, '', 0 from projection_cursor"
            f" having count(*) < {len(projections())}",
            tenant,
        )

    def settled(self, tenant: str = "acorn") -> bool:
        return not self.unsettled(tenant)

    def logs(self) -> str:
        parts = [
            f"== {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in (self.home / "log").glob("*.log")
        ]
        return "\n".join([self.said[-1500:], *parts])

    def signal_key(self) -> bytes:
        return bytes.fromhex(self._env_of("PIGGY_SIGNAL_KEY"))

    def _env_of(self, name: str) -> str:
        lines = [line for file in ("local.env", "secrets.env") for line in (self.home / file).read_text().splitlines()]
        return next(line.split("=", 1)[1] for line in lines if line.startswith(f"{name}="))


def place(web: httpx.Client, *, key: str, **body: str) -> httpx.Response:
    return web.post("/api/v1/orders", json=body, headers={"Idempotency-Key": key, "Prefer": "wait=5"})


def wait(condition: Callable[[], Any], *, seconds: float = 20.0, what: Callable[[], object] = str) -> None:
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s, what()
        time.sleep(0.05)
