"""What a measurement or a simulation is not asked for: refused before it begins, by name and limit."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps.common.management.commands.bench import names

NAMED = {
    "matching",
    "gate",
    "margin",
    "quotes",
    "options",
    "orders",
    "log",
    "replay",
    "projector",
    "failover",
    "fix",
    "desk",
}


def test_every_bench_is_found_and_no_part_of_one() -> None:
    assert set(names()) > NAMED and not {"clients", "callers", "opening", "__init__"} & set(names())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("bench", "clients"), "There is no bench 'clients'; there are capacity, desk, "),
        (("bench", "__init__"), "There is no bench '__init__'"),
        (("bench", "gate", "--orders", "3"), "Bench gate has no orders."),
        (("bench", "quotes", "--seconds", "nan"), "--seconds: 'nan' is not a number above 0 and at most 86400"),
        (("bench", "quotes", "--seconds", "inf"), "'inf' is not a number above 0 and at most 86400"),
        (("bench", "matching", "--scale", "-1"), "--scale: '-1' is not a number above 0 and at most 1000"),
        (("bench", "margin", "--scale", "0"), "'0' is not a number above 0"),
        (("bench", "log", "--events", "-5"), "--events: '-5' is not a whole number from 0 to 1000000000"),
        (("bench", "log", "--tenants", "9" * 20), "is not a whole number from 0 to 1000000000"),
        (("sim", "--hours", "nan"), "--hours: 'nan' is not a number above 0 and at most 1000"),
        (("sim", "--hours", "-1"), "--hours: '-1' is not a number above 0 and at most 1000"),
        (("sim", "--seeds", "0"), "--seeds: '0' is not a whole number from 1 to 1000000"),
    ],
)
def test_what_cannot_be_measured_or_lived_through_is_refused_by_name_and_limit(
    asked: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError) as refused:
        call_command(*asked)
    assert says in str(refused.value)
