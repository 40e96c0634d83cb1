"""A snapshot's version covers every module that the fold imports."""

from __future__ import annotations

import ast
from pathlib import Path

from piggy.engine import fold_version
from piggy.engine.fold_version import FOLD, PACKAGE


def parsed(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found += [f"{PACKAGE}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            found.append(str(node.module))
    return found


def test_what_is_read_as_lines_is_what_a_parser_finds() -> None:
    modules = fold_version._with_imports(FOLD)
    assert len(modules) > 50
    for name in modules:
        path = fold_version._source(name)
        if path.suffix == ".py":
            assert sorted(fold_version._imports(path)) == sorted(parsed(path)), name


def test_imports_in_each_form_are_found(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(
        "from piggy.core import funds, margin as other\n"
        "from piggy.core import (\n    swaps,\n    stress,\n)\n"
        "from piggy.core.money import ZERO\n"
        "from piggy.core.orders import (\n    Side,\n)\n"
        "import decimal\n"
        "def later():\n    from piggy.core.events import Event\n"
    )
    wanted = [f"{PACKAGE}.{name}" for name in ("funds", "margin", "swaps", "stress", "money", "orders", "events")]
    assert fold_version._imports(path) == wanted
