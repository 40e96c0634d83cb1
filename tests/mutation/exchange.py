"""Shows mutants to tests that are collected already: a child gets the changed code in place of a function's own.

Whoever holds the function, under whatever name, then runs the changed code, so nothing is imported again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType

import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.sight import OPTIONS, ROOT, silence

Verdicts = Callable[[dict[str, pytest.Item]], None]


class Stage:
    """Instead of running what was collected, gives it to `work`."""

    def __init__(self, work: Verdicts) -> None:
        self._work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._work({item.nodeid: item for item in session.items})
        return True


def on_stage(*, work: Verdicts) -> None:
    """Call `work` with every test of the core, in a child: the core is imported there and must not be here."""
    child = os.fork()
    if child == 0:
        silence()
        pytest.main([*OPTIONS, str(ROOT / "tests" / "core")], plugins=[Stage(work)])
        os._exit(0)
    os.waitpid(child, 0)


def shown(*, module: str, mutant: Mutant, tests: list[pytest.Item]) -> int:
    """Return 1 as soon as a test fails with the changed code, else 0; for a child, whose code it changes."""
    function = _function(module, mutant.path)
    function.__code__ = _code(compile(mutant.source, function.__code__.co_filename, "exec"), mutant.path)
    for test in tests:
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=None)
        if test.session.testsfailed:
            return 1
    return 0


def _function(module: str, path: tuple[str, ...]) -> FunctionType:
    found: object = sys.modules[module]
    for name in path:
        found = vars(found)[name]
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, staticmethod | classmethod):
        found = found.__func__
    assert isinstance(found, FunctionType), path
    return found


def _code(code: CodeType, path: tuple[str, ...]) -> CodeType:
    for name in path:
        code = next(part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name)
    return code
