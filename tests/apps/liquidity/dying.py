"""A worker in a process of its own that kills itself at the point which `DIE_AT` names."""

from __future__ import annotations

import os
import signal
import threading
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
    told_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.set())
    worker.run()
    told_to_stop.wait()
    worker.stop()
