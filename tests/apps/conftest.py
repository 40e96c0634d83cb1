"""Whatever a test of the records does, the next one is the broker's own role again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def still_the_broker_s_own_role() -> Iterator[None]:
    """A command that becomes the owner of the schemas does so for its whole process, and nothing binds the owner."""
    before = connection.settings_dict
    kept = {**before, "OPTIONS": dict(before["OPTIONS"])}
    yield
    if connection.settings_dict["USER"] != kept["USER"]:
        connection.close()
        connection.settings_dict.update(kept)
