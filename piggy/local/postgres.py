"""The embedded PostgreSQL: made by initdb, run as our child, restarted whatever was killed before."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from piggy.local import keys, processes
from piggy.local.processes import Identity

SUPERUSER, OWNER, APP, DATABASE = "postgres", "piggy_owner", "piggy_app", "piggy"
START_S_MAX = 90.0  # Recovery after a kill -9 under load reads at most max_wal_size again.
STOP_STEPS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
ORPHAN_STEPS = ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))
CONNECTIONS_MAX = 200
MIB = 2**20
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # A socket's path is limited to 107 bytes and homes may be deep; loopback is not.
    "max_connections": str(CONNECTIONS_MAX),
    # A page that is first changed after a checkpoint goes into the WAL whole, so checkpoints are few; kept segments
    # need not be filled with zeros again.
    "max_wal_size": "2GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "password_encryption": "scram-sha-256",
}
SETTINGS_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "autovacuum": "off"}


def buffers_mib(*, memory_mib: int) -> int:
    """Return PostgreSQL's own cache: an eighth of the machine's memory, 128 MiB to 1 GiB.

    Ids of commands come in no order, so that each new one changes any page of the log's index of them. What does not
    fit costs appending a third at 10 million events with 256 MiB (`bench log --events 10000000`).
    """
    return min(max(memory_mib // 8, 128), 1_024)


class UnableToStartPostgres(Exception):
    """PostgreSQL did not come up; the message ends with what it said."""


@dataclass(slots=True, kw_only=True)
class Postgres:
    """One cluster in `data`; passwords by role name."""

    programs: Path
    data: Path
    log: Path
    account: Identity
    passwords: dict[str, str]
    port: int
    fast: bool = False
    child: subprocess.Popen[bytes] | None = None

    def url(self, *, role: str, database: str = DATABASE) -> str:
        """Return the address for one role."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def running(self) -> list[int]:
        """Return every process of this cluster, orphans of a killed one included."""
        return processes.at_home_in(directory=self.data, program="postgres")

    def is_up(self) -> bool:
        """Tell whether the cluster answers to our superuser."""
        return self._silence() is None

    def start(self) -> None:
        """Make the cluster if there is none, run it, and see to the roles and the database."""
        if not self.data.exists():
            self._create()
        self._clear_away()
        with self.log.open("ab") as output:
            self.child = processes.spawn(
                argv=[str(self.programs / "postgres"), "-D", str(self.data), *self._options()],
                identity=self.account,
                cwd=self.data,
                output=output.fileno(),
                death_signal=signal.SIGINT,
            )
        self._wait()
        self._see_to_roles()

    def stop(self) -> None:
        """Shut down cleanly; harder when it takes too long."""
        if self.child is None:
            return
        processes.stop(pids=[self.child.pid], steps=STOP_STEPS)
        self.child.wait()
        self.child = None

    def _create(self) -> None:
        """Run initdb into a folder that is renamed when whole, so that an interrupted one is simply made again."""
        half, phrase = self.data.with_name("postgres.part"), self.data.with_name("postgres.phrase")
        shutil.rmtree(half, ignore_errors=True)
        keys.replace(path=phrase, text=self.passwords[SUPERUSER])
        half.mkdir(mode=0o700)
        for path in (half, phrase):
            self.account.owns(path)
        arguments = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        arguments += ["--data-checksums", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256"]
        arguments += [f"--username={SUPERUSER}", f"--pwfile={phrase}", *(["--no-sync"] if self.fast else [])]
        with self.log.open("ab") as output:
            child = processes.spawn(
                argv=[str(self.programs / "initdb"), f"--pgdata={half}", *arguments],
                identity=self.account,
                output=output.fileno(),
                death_signal=signal.SIGKILL,
            )
        failed = child.wait()
        phrase.unlink()
        if failed:
            raise UnableToStartPostgres(f"initdb failed:\n{self._last_words()}")
        half.rename(self.data)

    def _clear_away(self) -> None:
        """End what a killed run left, then the pid file it left.

        A dead postmaster's busy backends hold the shared memory and stop the next start; so does a pid file whose
        number now belongs to something else.
        """
        if left := self.running():
            processes.stop(pids=left, steps=ORPHAN_STEPS)
        elif not Path("/proc").exists() and self._pid_file_is_ours():
            return
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file_is_ours(self) -> bool:
        """Leave the pid file to PostgreSQL's own check where processes cannot be listed by folder."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return processes.is_alive(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
        return False

    def _options(self) -> list[str]:
        memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB
        settings = SETTINGS | {"shared_buffers": f"{buffers_mib(memory_mib=memory_mib)}MB", "port": str(self.port)}
        settings |= SETTINGS_FAST if self.fast else {}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _wait(self) -> None:
        assert self.child is not None
        until = time.monotonic() + START_S_MAX
        while (silence := self._silence()) is not None:
            if "password authentication failed" in silence:
                raise UnableToStartPostgres(
                    f"The database in {self.data} was made under other passwords than this installation's: bring back"
                    " the services.json that it was made with, or move the database away to begin anew."
                )
            if self.child.poll() is not None or time.monotonic() > until:
                raise UnableToStartPostgres(f"PostgreSQL did not start, see {self.log}:\n{self._last_words()}")
            time.sleep(0.05)

    def _silence(self) -> str | None:
        """Return why the cluster does not answer to our superuser; None where it does."""
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError as error:
            return str(error)
        return None

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1_000:]

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(role=SUPERUSER, database=database), autocommit=True, connect_timeout=5)

    def _see_to_roles(self) -> None:
        """Make the two roles and the database; neither role may ever step around row-level security."""
        with self._connect("postgres") as connection:
            present = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            for role, power in ((OWNER, "CREATEDB"), (APP, "NOCREATEDB")):
                verb = sql.SQL("ALTER" if role in present else "CREATE")
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE {} PASSWORD {}").format(
                        verb, sql.Identifier(role), sql.SQL(power), sql.Literal(self.passwords[role])
                    )
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
                )


def kill_hard(*, cluster: Postgres) -> None:
    """Kill every process of the cluster at once, as a power cut would; for tests of recovery."""
    for pid in cluster.running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
