"""One venue for all stories of a worker; each story trades with accounts of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.flows.troubles import small_disk
from tests.flows.venue import RunningVenue

# What a page is to show it shows at last; Playwright's own five seconds are the speed of an idle machine.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def running() -> Iterator[RunningVenue]:
    """With CHAOS_DISK set its home has a disk of its own, that can be filled, where this user may mount one."""
    with ExitStack() as stack:
        venue = RunningVenue(home=stack.enter_context(small_disk()) if os.environ.get("CHAOS_DISK") else None)
        stack.callback(venue.clear_away)
        venue.start()
        yield venue


# What the stories with a page need imports models, which this file is read too early for.
@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.flows import desk_people

    yield from desk_people.serve(log=tmp_path_factory.mktemp("web") / "web.log")


@pytest.fixture
def heard(acorn: Any, redis_server: Any, owner_sql: Any) -> Iterator[Any]:
    from tests.flows import desk_people

    yield from desk_people.listen(redis_server=redis_server, owner_sql=owner_sql)


@pytest.fixture
def desk(web: Any, heard: Any) -> Iterator[Any]:
    from tests.flows import desk_people

    yield from desk_people.sit_down(web=web)
