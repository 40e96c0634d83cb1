"""The form of a routing rule says its times as the engine reads them: minutes of the UTC week, or windows of a zone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apps.policies import selectors, services
from apps.policies.admin.body import gathered, nodes_of
from apps.policies.models import STRUCTS, Kind, Policy
from apps.policies.services import save_draft
from apps.tenants.services import in_tenant
from tests.apps import records
from tests.apps.policies.test_policies import inputs

ROUTING = STRUCTS[Kind.ROUTING]
WINDOW = {"weekdays": [0, 4], "start_minute": 1_335, "end_minute": 90, "zone": "America/New_York"}


def body(**conditions: Any) -> dict[str, Any]:
    return {"rules": [{"name": "night", "priority": 1, "book_mode": "A", "conditions": conditions}]}


def shown(given: dict[str, Any]) -> dict[str, str]:
    found = inputs(nodes_of(struct=ROUTING, body=given, path="body"))
    return {path.removeprefix("body-rules-0-conditions-"): value for path, value in found.items() if value}


@pytest.mark.parametrize(
    ("minutes", "texts"), [((7_080, 8_520), ("Fri 22:00", "Sat 22:00")), ((0, 10_080), ("Mon 00:00", "Sun 24:00"))]
)
def test_a_minute_of_the_week_is_shown_with_its_day_and_read_back(
    minutes: tuple[int, int], texts: tuple[str, str]
) -> None:
    """Shown without its day, it would be written back as another time by whoever changes something else."""
    given = body(from_minute=minutes[0], to_minute=minutes[1])
    found = shown(given)
    assert (found["from_minute"], found["to_minute"]) == texts
    sent = inputs(nodes_of(struct=ROUTING, body=given, path="body"))
    assert gathered(struct=ROUTING, data=sent, path="body") == given


def test_the_form_says_in_which_zone_its_times_are() -> None:
    (rules,) = [node for node in nodes_of(struct=ROUTING, body={}, path="body") if node["field"] == "rules"]
    (conditions,) = [node for node in rules["rows"][0] if node["field"] == "conditions"]
    units = {node["field"]: node.get("unit") for node in conditions["nodes"]}
    assert units["from_minute"] == "as Mon 22:00, UTC" and units["to_minute"].startswith("as Fri 22:00, UTC")


@pytest.fixture
def broker(acorn: Any, redis_server: Any) -> Iterator[None]:
    with in_tenant("acorn"):
        records.client()
        yield


def test_windows_are_written_in_the_form(broker: None) -> None:
    given = body(windows=[WINDOW])
    found = shown(given)
    assert (found["windows-0-weekdays"], found["windows-0-start_minute"], found["windows-0-zone"]) == (
        "Mon, Fri", "22:15", "America/New_York"
    )  # fmt: skip
    sent = inputs(nodes_of(struct=ROUTING, body=given, path="body"))
    assert gathered(struct=ROUTING, data=sent, path="body") == given
    made = save_draft(policy=Policy(kind=Kind.ROUTING, body=given, reason="nights"), by="dora")
    assert made.to_core().rules[0].conditions.windows[0].start_minute == 1_335 and not selectors.findings(policy=made)


@pytest.mark.parametrize(
    ("name", "time", "said"),
    [
        ("from_minute", "22:00", "write a time, as Mon 22:00, not “22:00”."),
        ("windows.0.start_minute", "Fri 22:00", "write a time, as 22:00, not “Fri 22:00”."),
    ],
)
def test_a_time_of_the_week_has_its_day_and_one_of_the_day_has_none(
    broker: None, name: str, time: str, said: str
) -> None:
    """Whoever writes 22:00 seldom means Mondays alone."""
    cells = {"rules.0.name": "night", "rules.0.priority": "1", "rules.0.book_mode": "A"}
    rest = {"windows.0.weekdays": "Mon", "windows.0.start_minute": "21:00", "windows.0.end_minute": "23:00"}
    week = {"from_minute": "Mon 21:00", "to_minute": "Fri 23:00"}
    cells |= {f"rules.0.conditions.{each}": value for each, value in (rest | week | {name: time}).items()}
    text = ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"
    with pytest.raises(services.UnableToImport) as refused:
        services.bring(kind=Kind.ROUTING, text=text, by="dora", reason="nights")
    assert [tuple(each) for each in refused.value.faults] == [(2, f"rules.0.conditions.{name}", said)]
