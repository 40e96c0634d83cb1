"""A broker of a bench's own: durable servers beside the installation's, every migration, and a tenant made anew.

It touches nothing of a running desk. The servers' folder is kept, so that only the first bench waits for migrations.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from piggy.engine.config import EngineConfig
from piggy.local import environment, processes, schema
from piggy.local.services import LocalServices
from piggy.messaging import witness

PYTHON = Path(sys.executable)
START_S_MAX = 60.0
TENANT_VARIABLE = "PIGGY_BENCH_TENANT"
# What an installation says of itself must not reach the bench's own.
FOREIGN = ("PIGGY_", "DATABASE_", "REDIS_", "DJANGO_SETTINGS_MODULE", "TICKS", "FLOW")


class UnableToStand(Exception):
    """The bench's servers or programs did not come up; the message ends with what they said."""


class Broker:
    """A tenant on real servers; a context manager. Its schema is dropped at the end."""

    def __init__(self) -> None:
        self.home = environment.home(env=os.environ) / "bench"
        self.home.mkdir(parents=True, exist_ok=True)
        self.tenant = f"bench_{secrets.token_hex(4)}"
        self.tenants = [self.tenant]
        self.host = host_of(tenant=self.tenant)
        self.services = LocalServices(self.home)
        self.env: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.services.start()
        try:
            own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
            own |= {
                "DATABASE_URL": self.services.database_url,
                "DATABASE_OWNER_URL": self.services.owner_url,
                "REDIS_URL": self.services.redis_url,
                "PIGGY_SHARD": self.tenant,
            }
            self.env = environment.complete(env=own, place=self.home)
            self._migrate()
            self._create(self.tenant)
        except BaseException:
            self.services.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            with psycopg.connect(self.services.owner_url, autocommit=True) as owner:
                for tenant in self.tenants:
                    owner.execute("UPDATE public.tenants_tenant SET is_active = false WHERE schema_name = %s", [tenant])
                    owner.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(tenant)))
                    witness.path_of(home=self.home, tenant=tenant).unlink(missing_ok=True)
        finally:
            self.services.stop()

    def add_tenants(self, *, count: int) -> None:
        """Make `count` more tenants on the same shard; `tenants` has them all."""
        for number in range(count):
            tenant = f"{self.tenant}_{number}"
            self._create(tenant)
            self.tenants.append(tenant)

    def config(self) -> EngineConfig:
        """Return the settings of an engine of this tenant."""
        return EngineConfig.from_env(self.env)

    def manage(self, *arguments: str) -> None:
        """Run a management command as the owner. Raises schema.UnableToMigrate."""
        schema.manage(*arguments, env=self.env, python=PYTHON, log=self.home / "log" / "manage.log")

    @contextmanager
    def program(self, *arguments: str, ready: str = "", **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one of the broker's programs, as the app's role, while the block lasts; `ready` is a URL to wait for."""
        bound = {name: value for name, value in self.env.items() if name != "DATABASE_OWNER_URL"}
        log = self.home / "log" / f"{arguments[0].rpartition('.')[2]}.log"
        with log.open("wb") as output:
            # In a session of its own, as the supervisor starts it: that is what shares processors out (priority.py).
            child = subprocess.Popen(
                [str(PYTHON), "-m", *arguments],
                cwd=environment.ROOT,
                env=bound | env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            if ready:
                _wait(child, ready, log)
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait()

    def _create(self, tenant: str) -> None:
        self.manage("tenant", "create", tenant, "--domain", host_of(tenant=tenant), "--shard", self.tenant)

    def _migrate(self) -> None:
        wanted = schema.digest(patterns=schema.SCHEMA_SOURCES)
        if schema.state(owner_url=self.services.owner_url) != wanted:
            self.manage("setup_database")
            schema.put_state(owner_url=self.services.owner_url, text=wanted)


def host_of(*, tenant: str) -> str:
    """Return the domain of a bench's tenant."""
    return f"{tenant.replace('_', '-')}.localhost"


def measured_inside(
    *, name: str, seconds: float, scale: float, more: Mapping[str, int] | None = None
) -> dict[str, object]:
    """Run bench `name` again in a process whose environment is a broker of its own; returns its figures."""
    with Broker() as broker:
        asked = ["bench", name, "--seconds", str(seconds), "--scale", str(scale), "--json"]
        asked += [word for option, value in (more or {}).items() for word in (f"--{option}", str(value))]
        bound = {key: value for key, value in broker.env.items() if key != "DATABASE_OWNER_URL"}
        done = subprocess.run(
            [str(PYTHON), "manage.py", *asked],
            cwd=environment.ROOT,
            env=bound | {TENANT_VARIABLE: broker.tenant},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise UnableToStand(done.stderr.strip()[-2_000:])
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return {key: value for key, value in figures.items() if key not in ("bench", "machine")}


async def connect(*, config: EngineConfig) -> psycopg.AsyncConnection[Any]:
    """Open a connection as the app's role, each statement its own transaction, as the engine does."""
    return await psycopg.AsyncConnection.connect(config.database_url, autocommit=True)


def cpu_s(*, pid: int) -> float:
    """Return how long a process has computed, or 0 where the system does not tell."""
    return sum(_stat(pid)[11:13]) / os.sysconf("SC_CLK_TCK")


def family_cpu_s(*, pid: int) -> float:
    """Return the same of a process with its children, those that have ended too."""
    ticks = sum(_stat(pid)[11:15])
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            ticks += sum(_stat(int(child))[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """Return the numbers of /proc/PID/stat after the name and the state, none where there are none."""
    with contextlib.suppress(OSError):
        return [0, *map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1:])]
    return []


def free_port() -> int:
    """Return a port that nobody listens on."""
    return processes.free_port()


def busy_before() -> dict[str, object]:
    """Return the machine's load average, for a figure taken beside other work is worth less."""
    return {"load_average_1m": round(os.getloadavg()[0], 1)}


def _wait(child: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise UnableToStand("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
