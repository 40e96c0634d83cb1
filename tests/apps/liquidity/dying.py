"""A worker in a process of its own that kills itself at the point which `DIE_AT` names."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

Kills = dict[str, Callable[[], None]]


def die(*_args: object, **_kwargs: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(kills: Callable[[], Kills]) -> None:
    """Work until terminated; `kills` says, once Django is set up, what is deadly at which point besides the usual."""
    import django

    django.setup()
    from apps.liquidity import services, worker

    usual: Kills = {
        "before persist": lambda: setattr(services, "claim_order", die),
        "report not committed": lambda: setattr(services, "record_report", die),
        "committed, not told": lambda: setattr(services, "tell_all", die),
        "": lambda: None,
    }
    (usual | kills())[os.environ["DIE_AT"]]()
    signal.signal(signal.SIGTERM, lambda *_: None)
    worker.run()
    signal.pause()
    worker.stop()
