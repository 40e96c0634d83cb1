"""The demo's command: a removed broker stays so and keeps the venue from no start (T-22); no login is printed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.demo.management.commands import demo
from apps.demo.services import people


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


def test_what_the_demo_prints_holds_no_secret(
    acorn: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A start keeps it in a log that others on the machine may read; the file is for the owner's eyes."""

    def seed(*, broker: Any, **_: Any) -> list[people.Login]:
        client = f"{demo.catalogue.CLIENTS[0][0]}@{broker.schema}"
        return [people.Login(broker.schema, client, "a-password", "a-token", "otpauth://totp/a-key")]

    monkeypatch.setattr(demo, "become_owner", lambda: None)
    monkeypatch.setattr(demo, "is_gone", lambda **_: False)
    monkeypatch.setattr(demo.Command, "_create", lambda *_: None)
    monkeypatch.setattr(demo.seeding, "seed", seed)
    monkeypatch.setattr(people, "_path", lambda: tmp_path / people.FILE)
    demo.Command().handle()
    file, (printed, _) = tmp_path / people.FILE, capsys.readouterr()
    assert str(file) in printed
    assert [secret in printed for secret in ("a-password", "a-token", "a-key")] == [False] * 3
    assert "a-token" in file.read_text() and file.stat().st_mode & 0o777 == 0o600
