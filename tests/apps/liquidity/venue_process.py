"""The worker of venues without FIX as its own process; `DIE_AT` names the point at which it kills itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def kills() -> dict[str, Any]:
    from piggy.adapters.driver import Driver
    from piggy.adapters.interface import Said
    from tests.apps.liquidity.dying import die

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

    return {
        "persisted, not sent": lambda: setattr(Driver, "place", die),
        "sent, answer not read": lambda: setattr(Driver, "_call", call_and_die),
        "one report committed": lambda: setattr(Driver, "tell", tell_and_die),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.apps.liquidity.dying import run

    run(kills)
