"""The two servers every part of the broker needs, on this machine, for as long as somebody uses them."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from piggy.local import keys, processes, runtime
from piggy.local.postgres import APP, OWNER, SUPERUSER, Postgres
from piggy.local.valkey import Valkey

VALKEY = "valkey"
VALUES = "services.json"


def place_of(*, home: Path) -> Path:
    """Return where the servers of `home` have their data; where that is outside, its name is chosen once and kept.

    A name made of the path alone would hand a new home on the same path the data of the one that was deleted, whose
    passwords went with it. A copy of a home begins anew: it would end the servers of the one it is copied from.
    """
    values = keys.read(path=home / VALUES)
    if "seat" not in values:
        values["seat"] = runtime.seat_name(home=home) if values else secrets.token_hex(6)
        keys.write(path=home / VALUES, values=values)
    place = runtime.seat(home=home, account=runtime.identity(), name=values["seat"])
    if place == home:
        return place
    if _is_anothers(place, home, values["seat"]):
        (home / VALUES).unlink()
        return place_of(home=home)
    (place / "home").write_text(str(home))
    return place


def _is_anothers(place: Path, home: Path, seat: str) -> bool:
    """Whether the home that a seat was made for is still there, and is not this one under another path."""
    note = place / "home"
    of = Path(note.read_text()) if note.exists() else home
    return of.exists() and not of.samefile(home) and keys.read(path=of / VALUES).get("seat") == seat


class LocalServices:
    """PostgreSQL and Valkey under `home`; a context manager.

    Killed servers, a killed owner and stale pid files never stop the next start. While another living process runs
    the servers of the same home they are shared: `stop` then leaves them alone.
    `fast` gives up durability for speed; only for tests.
    """

    def __init__(
        self,
        home: Path,
        port_base: int | None = None,
        *,
        fast: bool = False,
        with_postgres: bool = True,
        with_valkey: bool = True,
    ) -> None:
        self.home = home.resolve()
        self.fast = fast
        self._wanted = {"postgres": with_postgres, "valkey": with_valkey}
        self.is_shared = False
        self._port_base = port_base
        self._postgres: Postgres | None = None
        self._valkey: Valkey | None = None

    @property
    def database_url(self) -> str:
        """The address for the broker's own role, which row-level security binds."""
        return self.postgres.url(role=APP)

    @property
    def owner_url(self) -> str:
        """The address for migrations."""
        return self.postgres.url(role=OWNER)

    @property
    def redis_url(self) -> str:
        """The address of streams, channels and caches."""
        return self.valkey.url

    @property
    def postgres(self) -> Postgres:
        """The running cluster."""
        assert self._postgres is not None, "the services are not started"
        return self._postgres

    @property
    def has_valkey(self) -> bool:
        """Whether the queue is the embedded one, and so nobody else's."""
        return self._wanted["valkey"]

    @property
    def valkey(self) -> Valkey:
        """The running Valkey."""
        assert self._valkey is not None, "the services are not started"
        return self._valkey

    def start(self) -> Self:
        """Bring both servers up; returns when both answer."""
        (self.home / "log").mkdir(parents=True, exist_ok=True)
        self._prepare()
        if self._owner_lives() and all(server.is_up() for _, server in self._servers()):
            self.is_shared = True
            return self
        self._choose_ports()
        try:
            for _, server in self._servers():
                server.start()
        except BaseException:
            self.stop()
            raise
        owner = {"pid": os.getpid(), "started_at": processes.started_at(os.getpid())}
        keys.replace(path=self._owner_file, text=json.dumps(owner))
        return self

    def stop(self) -> None:
        """End what this object started, the queue before the truth."""
        if self.is_shared:
            return
        for _, server in reversed(self._servers()):
            server.stop()
        self._owner_file.unlink(missing_ok=True)

    def revive(self) -> list[str]:
        """Start again whatever died since, on its old port; returns the names."""
        revived = []
        for name, server in self._servers():
            if server.child is not None and server.child.poll() is not None:
                server.start()
                revived.append(name)
        return revived

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _servers(self) -> list[tuple[str, Postgres | Valkey]]:
        """Return the wanted servers that are prepared, in the order they start."""
        both = (("postgres", self._postgres), ("valkey", self._valkey))
        return [(name, server) for name, server in both if server is not None and self._wanted[name]]

    @property
    def _owner_file(self) -> Path:
        return self.home / "services.owner"

    @property
    def _values_file(self) -> Path:
        return self.home / VALUES

    def _prepare(self) -> None:
        """Find the programs and a reachable place, and make the passwords on the first day."""
        account = runtime.identity()
        place = place_of(home=self.home)
        values = keys.read(path=self._values_file)
        for name in (SUPERUSER, OWNER, APP, VALKEY):
            values.setdefault(name, keys.password())
        keys.write(path=self._values_file, values=values)
        base = self._port_base
        self._postgres = Postgres(
            programs=runtime.postgres_bin(place=place, account=account),
            data=place / "postgres",
            log=self.home / "log" / "postgres.log",
            account=account,
            passwords={role: values[role] for role in (SUPERUSER, OWNER, APP)},
            port=base or int(values.get("postgres_port", 0)),
            fast=self.fast,
        )
        self._valkey = Valkey(
            program=runtime.valkey_server(place=place, account=account),
            data=place / "valkey",
            log=self.home / "log" / "valkey.log",
            account=account,
            password=values[VALKEY],
            port=base + 1 if base else int(values.get("valkey_port", 0)),
            fast=self.fast,
        )

    def _choose_ports(self) -> None:
        """Keep the ports of last time while they are free, so that addresses people noted stay true."""
        for _, server in self._servers():
            if not server.running():
                server.port = processes.free_port(wanted=server.port or None)
            elif not server.port:
                server.port = processes.free_port()
        ports = {"postgres_port": str(self.postgres.port), "valkey_port": str(self.valkey.port)}
        keys.write(path=self._values_file, values={**keys.read(path=self._values_file), **ports})

    def _owner_lives(self) -> bool:
        try:
            owner = json.loads(self._owner_file.read_text())
        except FileNotFoundError:
            return False
        return bool(owner["started_at"]) and processes.started_at(int(owner["pid"])) == owner["started_at"]
