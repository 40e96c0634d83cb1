"""The embedded Valkey: an append-only file, no eviction, a password, loopback only."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from piggy.local import keys, processes
from piggy.local.processes import Identity

START_S_MAX = 60.0
STOP_STEPS = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
MEMORY_POLICY = "noeviction"  # Streams are queues of orders: rather refuse a write than forget one.


class UnableToStartValkey(Exception):
    """Valkey did not come up; the message ends with what it said."""


@dataclass(slots=True, kw_only=True)
class Valkey:
    """One server with its append-only file in `data`."""

    program: Path
    data: Path
    log: Path
    account: Identity
    password: str
    port: int
    fast: bool = False
    child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address with the password; database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def running(self) -> list[int]:
        """Return every server process on this folder."""
        return processes.at_home_in(directory=self.data, program=self.program.name)

    def is_up(self) -> bool:
        """Tell whether the server answers and has read its file."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def start(self) -> None:
        """Run the server after ending what a killed run left on the same files."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.account.owns(self.data)
        if left := self.running():
            processes.stop(pids=left, steps=STOP_STEPS)
        with self.log.open("ab") as output:
            self.child = processes.spawn(
                argv=[str(self.program), str(self._configuration())],
                identity=self.account,
                cwd=self.data,
                output=output.fileno(),
                death_signal=signal.SIGTERM,
            )
        until = time.monotonic() + START_S_MAX
        while not self.is_up():
            if self.child.poll() is not None or time.monotonic() > until:
                words = self.log.read_text(errors="replace")[-1_000:]
                raise UnableToStartValkey(f"Valkey did not start, see {self.log}:\n{words}")
            time.sleep(0.03)

    def stop(self) -> None:
        """Write the file out and end."""
        if self.child is None:
            return
        processes.stop(pids=[self.child.pid], steps=STOP_STEPS)
        self.child.wait()
        self.child = None

    def _configuration(self) -> Path:
        """Write the settings into a private file: a password among the arguments could be read by everybody."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "no" if self.fast else "everysec",
            "save": '""',
            "maxmemory-policy": MEMORY_POLICY,
            "daemonize": "no",
        }
        path = self.data / "valkey.conf"
        keys.replace(path=path, text="".join(f"{name} {value}\n" for name, value in settings.items()))
        self.account.owns(path)
        return path
