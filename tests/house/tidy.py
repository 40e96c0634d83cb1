"""Reads the sources as trees, so that the rules of the house can be asked of them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def public(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
        """Yield the module's public functions and classes."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                yield node


@cache
def repository() -> tuple[Path, ...]:
    """Return every file of the project: what git tracks, and what it would."""
    shown = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return tuple(ROOT / name for name in shown.split("\0") if name and (ROOT / name).is_file())


def sources(*folders: str) -> list[Source]:
    """Return the Python files under these folders, migrations left out."""
    return [
        _parsed(path)
        for path in repository()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in {Path(folder).parts[0] for folder in folders}
        and any(path.is_relative_to(ROOT / folder) for folder in folders)
        and "migrations" not in path.parts
    ]


@cache
def _parsed(path: Path) -> Source:
    text = path.read_text()
    return Source(path=path, text=text, tree=ast.parse(text))
