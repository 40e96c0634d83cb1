"""Sizes, names and habits of every file; each test lists all its complaints."""

from __future__ import annotations

import ast
import re
import statistics

from tests.house.tidy import Source, sources

FILE_LINES_MAX, FUNCTION_LINES_MAX = 400, 60
FILE_LINES_MEDIAN_MAX = 120
NAMES_BANNED = {"utils.py", "helpers.py", "misc.py", "common.py"}  # A name that says nothing attracts everything.
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
OURS = ("piggy", "apps")
APP_FILES = {
    "__init__",
    "apps",
    "models",
    "selectors",
    "services",
    "api",
    "admin",
    "tasks",
    "consumers",
    "projections",
    "urls",
    "worker",
}
DOORS = {
    "core",
    "engine",
    "messaging",
    "adapters",
    "local",
}  # Where public functions take keywords and explain themselves.


def places(node: ast.AST, source: Source) -> str:
    return f"{source.name}:{getattr(node, 'lineno', 1)}"


def test_files_and_functions_are_small() -> None:
    long_files = [source.name for source in sources(*OURS, "tests") if source.text.count("\n") > FILE_LINES_MAX]
    long_functions = [
        f"{places(node, source)} {node.name}"
        for source in sources(*OURS, "tests")
        for node in source.functions()
        if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long_files + long_functions == []
    assert statistics.median(source.text.count("\n") for source in sources(*OURS)) <= FILE_LINES_MEDIAN_MAX


def test_no_file_is_a_junk_drawer() -> None:
    assert [source.name for source in sources(*OURS, "tests") if source.path.name in NAMES_BANNED] == []


def test_nothing_is_left_for_later() -> None:
    marks = [source.name for source in sources(*OURS) if LEFTOVERS.search(source.text)]
    assert marks == []


def test_no_star_imports_and_no_signal_receivers() -> None:
    found = []
    for source in sources(*OURS):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
                found.append(places(node, source))
        found += [
            f"{places(node, source)} {node.name}"
            for node in source.functions()
            if any("receiver" in ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list)
        ]
    assert found == []


def test_no_error_is_swallowed() -> None:
    """`except Exception` re-raises or logs; no `except` of any kind only passes."""
    found = []
    for source in sources(*OURS):
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            body = "\n".join(map(ast.unparse, node.body))
            names = ast.unparse(node.type) if node.type else "bare"
            broad = names == "bare" or re.search(r"\b(Base)?Exception\b", names)
            boundary = re.search(r"\braise\b|log|park|_exit", body)
            if (broad and not boundary) or body == "pass":
                found.append(f"{places(node, source)} except {names}: {body[:40]}")
    assert found == []


def test_every_public_thing_explains_itself() -> None:
    """Functions and classes that do something; a message or a list of names says by itself what it is."""
    missing = [
        f"{places(node, source)} {node.name}"
        for source in sources(*(f"piggy/{door}" for door in DOORS))
        for node in source.public()
        if not ast.get_docstring(node) and not _is_plain(node)
    ]
    assert missing == []


def _is_plain(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and not any(isinstance(part, ast.FunctionDef) for part in node.body)


def test_every_app_has_the_same_files() -> None:
    """apps.common carries what every app stands on, apps.tenants the wall between tenants; the others are alike."""
    strangers = [
        source.name
        for source in sources("apps")
        if source.path.parts[-3:-2] == ("apps",)
        and source.path.parent.name not in ("common", "tenants")
        and source.path.stem not in APP_FILES
    ]
    assert strangers == []


def test_every_module_says_what_it_is() -> None:
    silent = [source.name for source in sources("piggy") if source.text.strip() and not ast.get_docstring(source.tree)]
    assert silent == []


def test_public_functions_return_a_named_type() -> None:
    untyped = [
        f"{places(node, source)} {node.name}"
        for source in sources("piggy")
        for node in source.functions()
        if node.returns is None
    ]
    assert untyped == []
