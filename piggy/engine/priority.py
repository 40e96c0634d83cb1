"""Who goes first where there are more tasks than processors: an order before what people look at a moment later."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Linux only, and only where the kernel shares processors out by session (kernel.sched_autogroup_enabled).
AUTOGROUP = Path("/proc/self/autogroup")


def give_way(*, nice: int) -> None:
    """Let this process yield to those of less niceness (0 to 19; 19 yields most).

    Linux may share processors out by session first, and by niceness within a session only: the supervisor starts every
    program in a session of its own, where its niceness alone says nothing to the others. So who leads a session makes
    that yield too; who does not would slow down whoever started it. See sched(7), "The autogroup feature".
    """
    os.nice(nice)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(nice))
