"""The core decides about money: nothing but the standard library, msgspec and numpy, no clock, no chance, no float."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys

import pytest

from tests.house.tidy import ROOT, Source, sources

ALLOWED = {"piggy", "msgspec", "numpy", "__future__", *sys.stdlib_module_names}
BANNED = {"time", "random", "os", "secrets", "socket", "threading", "asyncio", "logging", "uuid", "sys", "pathlib"}
CLOCKS = {"now", "today", "utcnow", "time_ns", "monotonic"}
# Files whose numbers are measures and not money: statistics of feeds and option theory.
FLOAT_FREE = ("money", "ledger", "positions", "orders", "commands", "events", "accounts", "margin", "crossing", "desk")


def imports(source: Source) -> set[str]:
    names = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("source", sources("piggy/core"), ids=lambda source: source.name)
def test_a_core_module_is_pure(source: Source) -> None:
    assert imports(source) <= ALLOWED
    assert imports(source) & BANNED == set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            pytest.fail(f"{source.name}:{node.lineno} looks up the time")


def test_money_is_never_a_float() -> None:
    found = []
    for source in sources("piggy/core", "piggy/engine", "piggy/messaging"):
        strict = source.name.startswith("piggy/core/") and source.path.stem in FLOAT_FREE
        for node in ast.walk(source.tree):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
            written = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if (source.name.startswith("piggy/core/") and (called or written)) or (strict and called):
                found.append(f"{source.name}:{node.lineno}")
    assert found == []


def test_no_model_keeps_money_in_a_float() -> None:
    assert [source.name for source in sources("apps") if "FloatField" in source.text] == []


def test_the_root_package_is_empty() -> None:
    assert (ROOT / "piggy" / "__init__.py").read_text() == ""


def test_importing_the_core_loads_nothing_else() -> None:
    """In a process of its own, because import-linter does not see what a package's __init__ loads."""
    modules = [
        source.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for source in sources("piggy/core")
        if importlib.util.find_spec("numpy") or "numpy" not in source.text
    ]
    script = (
        f"import sys, importlib; [importlib.import_module(name) for name in {modules!r}];"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(shown.stdout.split())
    assert loaded & {"django", "celery", "redis", "psycopg", "quickfix", "channels", "rest_framework", "ccxt"} == set()
