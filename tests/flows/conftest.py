"""One venue for all stories of a worker; each story trades with accounts of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.flows.troubles import small_disk
from tests.flows.venue import RunningVenue


@pytest.fixture(scope="session")
def running() -> Iterator[RunningVenue]:
    """With CHAOS_DISK set its home has a disk of its own, that can be filled, where this user may mount one."""
    with ExitStack() as stack:
        venue = RunningVenue(home=stack.enter_context(small_disk()) if os.environ.get("CHAOS_DISK") else None)
        stack.callback(venue.clear_away)
        venue.start()
        yield venue
