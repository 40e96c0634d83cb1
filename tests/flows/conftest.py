"""One venue for all stories of a worker; each story trades with accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.venue import RunningVenue


@pytest.fixture(scope="session")
def running() -> Iterator[RunningVenue]:
    venue = RunningVenue()
    try:
        venue.start()
        yield venue
    finally:
        venue.clear_away()
