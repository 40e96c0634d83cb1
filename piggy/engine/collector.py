"""The garbage collector, kept away from the desks: what they hold lives on and has no cycles, and there is much of it.

Left alone, the collector walks through every order there ever was, for a second and more, while clients wait.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG_MAX = 10_000
# Looking costs a few microseconds for each order since the last time, all in one go: of a busy second that is a pause
# of twenty milliseconds and more.
FREEZE_S = 0.1
NEVER = 1_000_000


async def keep_young() -> None:
    """Every FREEZE_S look through what is new, then set all that is left aside for good; runs until cancelled."""
    with young_only():
        while True:
            set_aside()
            await asyncio.sleep(FREEZE_S)


@contextmanager
def young_only() -> Iterator[None]:
    """Within, the collector looks by itself only at what was made lately."""
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_MAX, 5, NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def set_aside() -> None:
    """Look through what is new, then leave what is left of it alone for good."""
    gc.collect(1)
    gc.freeze()
