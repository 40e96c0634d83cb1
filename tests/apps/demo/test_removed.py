"""A demo broker that was removed stays so, and keeps the venue from no start (T-22)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apps.demo.management.commands import demo


@pytest.mark.parametrize(
    ("gone", "made"), [((), ["acorn", "birch"]), (("acorn",), ["birch"]), (("acorn", "birch"), [])]
)
def test_a_demo_broker_that_was_removed_is_not_made_again(
    gone: tuple[str, ...], made: list[str], acorn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []
    examples: list[str] = []

    def seed(*, broker: Any, **_: Any) -> list[Any]:
        client = f"{demo.catalogue.CLIENTS[0][0]}@{broker.schema}"
        return [SimpleNamespace(broker=broker.schema, login=client, token="t")]

    def write_logins(*, example: str, **_: Any) -> str:
        examples.append(example)
        return ""

    monkeypatch.setattr(demo, "become_owner", lambda: None)
    monkeypatch.setattr(demo, "is_gone", lambda schema: schema in gone)
    monkeypatch.setattr(demo.Command, "_create", lambda _, broker: created.append(broker.schema))
    monkeypatch.setattr(demo.seeding, "seed", seed)
    monkeypatch.setattr(demo.people, "write_logins", write_logins)
    demo.Command().handle()
    assert created == made
    assert [f"http://{made[0]}.localhost" in example for example in examples] == [True] * bool(made)
