"""The build of the gate: another rule, another name; the same rule the same name in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from piggy.core.builds import build_of
from piggy.core.risk import GATE_BUILD

RULE = """
LIMIT = 5
WORDS = frozenset({"alpha", "beta", "gamma"})
lower = 1

def rule(value):
    return [each for each in (value,) if each <= LIMIT and each not in {"alpha", "beta", "gamma"}]
"""


def build(source: str) -> str:
    made: dict[str, Any] = {}
    exec(source, made)  # A rule as a module would hold it.
    return build_of(namespaces=(made,))


@pytest.mark.parametrize(
    ("before", "after"),
    [("<=", "<"), ("LIMIT = 5", "LIMIT = 6"), ("beta", "delta"), ("def rule", "def ruler"), ("LIMIT and", "WORDS and")],
)
def test_another_rule_is_another_build(before: str, after: str) -> None:
    assert build(RULE) != build(RULE.replace(before, after))


def test_what_is_no_rule_does_not_change_it() -> None:
    """Neither a comment nor a thing that is no constant of it."""
    assert build(RULE) == build(RULE.replace("lower = 1", "lower = 2  # spare"))


def test_the_gate_has_the_same_build_in_another_process() -> None:
    """Sets of words stand in another order there."""
    told = subprocess.run(
        [sys.executable, "-c", "from piggy.core.risk import GATE_BUILD; print(GATE_BUILD)"],
        env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == GATE_BUILD
    assert len(GATE_BUILD) == 12
