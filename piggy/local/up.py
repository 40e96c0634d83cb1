"""`manage.py up`: from nothing running to a live desk, and back on Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from piggy.local import checks, environment, processes, programs, schema
from piggy.local.postgres import UnableToStartPostgres
from piggy.local.services import LocalServices
from piggy.local.steps import elapsed_s, say
from piggy.local.supervisor import Supervisor, end_leftovers
from piggy.local.valkey import UnableToStartValkey

PYTHON = Path(sys.executable)
READY_S_MAX = 120.0
TICK_S = 0.25
TRY_AGAIN_S = 1.0
PORT_MAX = 65_535
# So many ports from one that is taken, and again, until all that a program opens are free.
MOVES_BY = 20


class UnableToStart(Exception):
    """The venue did not come up; the message says what stands in the way."""


def up(*, env: Mapping[str, str]) -> int:
    """Run the venue until a signal; returns the exit code."""
    place = environment.home(env=env)
    (place / "log").mkdir(parents=True, exist_ok=True)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    with only_one(place=place):
        end_leftovers(home=place)
        checks.addresses(env=env)
        services = LocalServices(place, with_postgres=not env.get("DATABASE_URL"), with_valkey=not env.get("REDIS_URL"))
        say("starting PostgreSQL and Valkey")
        try:
            services.start()
            whole = environment.complete(env=addressed(env=env, services=services), place=place)
            run(env=choose_ports(given=env, env=whole), place=place, services=services, stopped=stopped)
        finally:
            say("stopping PostgreSQL and Valkey")
            services.stop()
    say("everything is stopped")
    return 0


@contextmanager
def only_one(*, place: Path) -> Iterator[None]:
    """Hold the installation; the lock goes with the process, even by kill -9."""
    with (place / "up.pid").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UnableToStart(
                f"It is already running (process {file.read().strip()}); `manage.py down` stops it."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def addressed(*, env: Mapping[str, str], services: LocalServices) -> dict[str, str]:
    """Return `env` with the embedded servers' addresses where it names none."""
    whole = dict(env)
    if not whole.get("DATABASE_URL"):
        whole |= {"DATABASE_URL": services.database_url, "DATABASE_OWNER_URL": services.owner_url}
    if not whole.get("REDIS_URL"):
        whole["REDIS_URL"] = services.redis_url
    return whole


def choose_ports(*, given: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with free ports, no two programs at one: what was asked for must be free, what was not may move."""
    chosen, widths = dict(env), _widths(env)
    held = {name: _ports(env, name, width) for name, width in widths.items() if given.get(name)}
    for name, width in widths.items():
        wanted = _ports(env, name, width)
        others = {port for other, ports in held.items() if other != name for port in ports}
        if not _are_free(wanted, others):
            if given.get(name):
                raise UnableToStart(f"Port {wanted[0]} ({name}) is taken by another program; choose another.")
            later = (range(first, first + width) for first in range(wanted[0] + MOVES_BY, 65_000, MOVES_BY))
            moved = next(ports for ports in later if _are_free(ports, others))
            say(f"port {wanted[0]} is taken by another program: {name} is {moved[0]} this time")
            chosen[name], wanted = str(moved[0]), moved
        held[name] = wanted
    return chosen


def _widths(env: Mapping[str, str]) -> dict[str, int]:
    """Return how many ports, one after the other, are opened from the one that each variable names."""
    doors = max(1, len(programs.shards(env)))
    clients = {"PIGGY_FIX_PORT": 1} if env.get("PIGGY_FIX_PORT", "0") != "0" else {}
    return {"PIGGY_WEB_PORT": 1, "PIGGY_EDGE_PORT": doors, "PIGGY_LP_PORT_BASE": len(environment.LPS), **clients}


def _ports(env: Mapping[str, str], name: str, width: int) -> range:
    first = int(env[name]) if env[name].isdecimal() else 0
    if not 1 <= first <= PORT_MAX - width + 1:
        raise UnableToStart(f"{name} must be between 1 and {PORT_MAX - width + 1}; it is {env[name]!r}.")
    return range(first, first + width)


def _are_free(ports: range, others: Container[int]) -> bool:
    return all(port not in others and processes.port_is_free(port) for port in ports)


def run(*, env: dict[str, str], place: Path, services: LocalServices, stopped: threading.Event) -> None:
    """Check, migrate, seed, start the programs and look after them until `stopped`."""
    checks.queue(url=env["REDIS_URL"])
    checks.roles(app_url=env["DATABASE_URL"], owner_url=env["DATABASE_OWNER_URL"])
    if env["PIGGY_ENV"] != "test":
        checks.durable(url=env["DATABASE_URL"])
    checks.own_queue(redis_url=env["REDIS_URL"], database_url=env["DATABASE_URL"], is_embedded=services.has_valkey)
    environment.remember(env=env, place=place)
    try:
        prepare(env=env, place=place, stopped=stopped)
    except schema.Stopped as error:
        say(str(error))
        return
    # The programs never see the owner's password: whoever takes one over is still bound by row-level security.
    bound = {name: value for name, value in env.items() if name != "DATABASE_OWNER_URL"}
    keeper = Supervisor(
        programs=programs.of(env=bound, python=PYTHON), env=bound, home=place, cwd=environment.ROOT, say=say
    )
    try:
        say("starting the venue")
        keeper.start()
        wait_until_ready(env=bound, keeper=keeper, services=services, stopped=stopped)
        if not stopped.is_set():
            announce(env=bound, place=place)
        look_after(keeper=keeper, services=services, stopped=stopped)
    finally:
        say("stopping the venue")
        keeper.stop()


def prepare(*, env: Mapping[str, str], place: Path, stopped: threading.Event) -> None:
    """Migrate and seed when the code's schema or demo is not what the database was last brought to."""
    owner = env["DATABASE_OWNER_URL"]
    sources = {"schema": schema.SCHEMA_SOURCES, "demo": schema.DEMO_SOURCES}
    wanted = [f"{name} {schema.digest(patterns=patterns)}" for name, patterns in sources.items()]
    done = schema.state(owner_url=owner).split("; ")
    log = place / "log" / "migrate.log"
    if wanted[0] not in done:
        say("migrating the database as its owner (the first time up to a minute: public, the template, every tenant)")
        schema.manage("setup_database", env=env, python=PYTHON, log=log, stopped=stopped)
        if any(done):
            # An engine's log from before this version may lack what this one asks for, as who is cleared to trade.
            say("telling the engine what the tables say")
            schema.manage("sync_engine", env=env, python=PYTHON, log=log, stopped=stopped)
        if off := schema.switched_off(owner_url=owner):
            # The others run; the next start tries these again.
            for each in off:
                say(each)
            return
        schema.put_state(owner_url=owner, text=wanted[0])
    if wanted != done or not (place / "logins.txt").exists():
        say("seeding the demo tenants acorn and birch")
        schema.manage("demo", env=env, python=PYTHON, log=log, stopped=stopped)
        schema.put_state(owner_url=owner, text="; ".join(wanted))


def look_after(*, keeper: Supervisor, services: LocalServices, stopped: threading.Event) -> None:
    """Restart whatever dies until `stopped`; what cannot start, as on a full disk, is tried again and again (F-21)."""
    while not stopped.wait(TICK_S):
        try:
            for name in services.revive():
                say(f"{name} was killed and runs again")
            keeper.tick()
        except (UnableToStartPostgres, UnableToStartValkey, OSError) as error:
            say(f"not started again yet: {error}")
            stopped.wait(TRY_AGAIN_S)


def wait_until_ready(
    *, env: Mapping[str, str], keeper: Supervisor, services: LocalServices, stopped: threading.Event
) -> None:
    """Wait until the web process says that all parts answer; raises UnableToStart with what it said last."""
    until, said = time.monotonic() + READY_S_MAX, "nothing"
    while not stopped.wait(TICK_S):
        services.revive()
        keeper.tick()
        ready, said = _ask_ready(int(env["PIGGY_WEB_PORT"]))
        if ready:
            return
        if time.monotonic() > until:
            raise UnableToStart(f"The venue is not ready after {READY_S_MAX:.0f} s; /readyz says: {said}")


def _ask_ready(port: int) -> tuple[bool, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": f"acorn.localhost:{port}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return True, answer.read().decode()
    except urllib.error.HTTPError as error:
        return False, error.read().decode(errors="replace")[:500]
    except OSError as error:
        return False, str(error)


def announce(*, env: Mapping[str, str], place: Path) -> None:
    """Print addresses, logins and one order as a curl line."""
    port = env["PIGGY_WEB_PORT"]
    lines = ["", f"The desk is live after {elapsed_s():.0f} s.", ""]
    for tenant in environment.TENANTS:
        lines.append(f"  http://{tenant}.localhost:{port}/desk/   http://{tenant}.localhost:{port}/admin/")
    lines += [f"  fast door for signals: http://127.0.0.1:{env['PIGGY_EDGE_PORT']}", ""]
    logins = place / "logins.txt"
    if logins.exists():
        lines += [*excerpt(text=logins.read_text().replace(":8000/", f":{port}/")), f"  all logins: {logins}", ""]
    lines += [f"Logs: {place / 'log'}. Ctrl-C stops everything.", ""]
    print("\n".join(lines), flush=True)


def excerpt(*, text: str) -> list[str]:
    """Return what fits on a screen: the dealers, one client, how to get a code, and the order."""
    notes = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]
    people = [line for line in text.splitlines() if not line.startswith("#")]
    shown = [line.split("otpauth:")[0].rstrip(" -") for line in people if " dealer@" in line or " alice@acorn" in line]
    return [f"  {line}" for line in (*shown, *notes)]
