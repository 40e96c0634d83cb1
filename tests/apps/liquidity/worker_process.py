"""The FIX worker as its own process, so that it can be killed; `DIE_AT` names the point at which it kills itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class WorkerProcess:
    def __init__(self, *, home: Path, die_at: str = "", script: str = __file__) -> None:
        self._env = os.environ | {
            "PIGGY_HOME": str(home),
            "DIE_AT": die_at,
            "DJANGO_SETTINGS_MODULE": "piggy.settings.test",
        }
        self._path = home / f"worker-{die_at or 'well'}.log"
        self._log = self._path.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, script], env=self._env, cwd=ROOT, stdout=self._log, stderr=self._log
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        return self._path.read_text(errors="replace")[-2_000:]

    def wait_dead(self, timeout: float = 120) -> int:
        return self._process.wait(timeout=timeout)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        try:
            return self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def kills() -> dict[str, Any]:
    from apps.liquidity import services
    from piggy.adapters.fix.session import FixSession
    from tests.apps.liquidity.dying import die

    send = FixSession.send

    def send_or_die(self: FixSession, text: str) -> bool:
        if "\x0135=D\x01" in text:
            die()
        return send(self, text)

    def on_logon_and_die(self: FixSession, session_id: object) -> None:
        die()

    return {
        "persisted, not sent": lambda: setattr(FixSession, "send", send_or_die),
        "sent, not committed": lambda: setattr(services, "mark_sent", die),
        "report not committed": lambda: setattr(services, "record_reports", die),
        "in logon": lambda: setattr(FixSession, "onLogon", on_logon_and_die),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.apps.liquidity.dying import run

    run(kills)
