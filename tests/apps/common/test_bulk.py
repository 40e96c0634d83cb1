"""T-26: an update that finds no row raises; nobody is told that it was done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from apps.common import bulk
from apps.tenants.services import in_tenant
from apps.users.models import User

WAYS = (nullcontext, bulk.unawaited)


@pytest.mark.parametrize("way", WAYS)
def test_t_26_rows_that_are_there_change_and_one_that_is_not_undoes_all_of_it(
    acorn: Any, birch: Any, way: Callable[[], AbstractContextManager[None]]
) -> None:
    """Another broker's row is not there either."""
    with in_tenant("acorn"):
        people = [User.objects.create(username=name) for name in ("ann", "ben")]
        for person in people:
            person.first_name = "changed"
        with transaction.atomic(), way():
            bulk.update(rows=people, names=("first_name",))
        for person in people:
            person.first_name = "lost"
        User.objects.get(username="ben").delete()
        with pytest.raises(bulk.UnableToFindRows, match="2 rows were to change, 1"), transaction.atomic(), way():
            bulk.update(rows=people, names=("first_name",))
        assert User.objects.get().first_name == "changed"
    with in_tenant("birch"), pytest.raises(bulk.UnableToFindRows), transaction.atomic(), way():
        bulk.update(rows=people[:1], names=("first_name",))


def test_t_26_a_save_of_what_is_gone_raises(acorn: Any) -> None:
    with in_tenant("acorn"):
        person = User.objects.create(username="ann")
        User.objects.all().delete()
        with pytest.raises(DatabaseError):
            person.save(update_fields=["first_name"])
