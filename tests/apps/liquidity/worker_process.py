"""The FIX worker as its own process, so that it can be killed; `DIE_AT` names the point at which it kills itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class WorkerProcess:
    def __init__(self, *, home: Path, die_at: str = "", script: str = __file__) -> None:
        self._env = os.environ | {
            "PIGGY_HOME": str(home),
            "DIE_AT": die_at,
            "DJANGO_SETTINGS_MODULE": "piggy.settings.test",
        }
        self._log = (home / f"worker-{die_at or 'well'}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, script], env=self._env, cwd=ROOT, stdout=self._log, stderr=self._log
        )

    def wait_dead(self, timeout: float = 30) -> int:
        return self._process.wait(timeout=timeout)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from apps.liquidity import services, worker
    from piggy.adapters.fix.session import FixSession

    def die(*_args: object, **_kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    send = FixSession.send

    def send_or_die(self: FixSession, text: str) -> bool:
        if "\x0135=D\x01" in text:
            die()
        return send(self, text)

    def on_logon_and_die(self: FixSession, session_id: object) -> None:
        die()

    point = os.environ["DIE_AT"]
    if point == "before persist":
        services.claim_order = die
    elif point == "persisted, not sent":
        FixSession.send = send_or_die
    elif point == "sent, not committed":
        services.mark_sent = die
    elif point == "report not committed":
        services.record_reports = die
    elif point == "committed, not told":
        services.tell_all = die
    elif point == "in logon":
        FixSession.onLogon = on_logon_and_die
    signal.signal(signal.SIGTERM, lambda *_: None)
    worker.run()
    signal.pause()
    worker.stop()


if __name__ == "__main__":
    main()
