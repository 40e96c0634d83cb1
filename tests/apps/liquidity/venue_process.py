"""The worker of venues without FIX as its own process; `DIE_AT` names the point at which it kills itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from apps.liquidity import services, worker
    from piggy.adapters.driver import Driver
    from piggy.adapters.interface import Said

    def die(*_args: object, **_kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    call = Driver._call

    def call_and_die(self: Driver, request: Any, wait_s: float) -> Any:
        answer = call(self, request, wait_s)
        if request.places_order:
            die()
        return answer

    def tell_and_die(self: Driver, reports: tuple[Said, ...]) -> None:
        for said in reports:
            self._listener.on_said(said=said)
            die()

    point = os.environ["DIE_AT"]
    if point == "before persist":
        services.claim_order = die
    elif point == "persisted, not sent":
        Driver.place = die
    elif point == "sent, answer not read":
        Driver._call = call_and_die
    elif point == "report not committed":
        services.record_report = die
    elif point == "one report committed":
        Driver.tell = tell_and_die
    elif point == "committed, not told":
        services.tell_all = die
    signal.signal(signal.SIGTERM, lambda *_: None)
    worker.run()
    signal.pause()
    worker.stop()


if __name__ == "__main__":
    main()
