"""Which tests of the core run which of its lines, so that a mutant is shown only to tests that could notice it.

Found by one run of the tests under coverage, kept in build/sight.json file by file: a test file is run again when it,
what the tests share, or the core has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "piggy" / "core"
KEPT = ROOT / "build" / "sight.json"
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "--hypothesis-profile=mutants")


class Sight:
    """The tests that ran a line, quickest first; seconds of CPU of each, as coverage saw them."""

    def __init__(self, *, known: dict[str, Any]) -> None:
        self.took: dict[str, float] = {}
        self._seen: dict[str, dict[int, set[str]]] = {}
        for part in known.values():
            self.took |= part["took"]
            for module, lines in part["lines"].items():
                for line, tests in lines.items():
                    self._seen.setdefault(module, {}).setdefault(int(line), set()).update(tests)
        self.quickest = sorted(self.took, key=lambda test: (self.took[test], test))

    def tests_of(self, *, module: str, lines: Iterable[int]) -> list[str]:
        """Return the tests that ran any of the lines; where none did (they run on import), all that ran the module."""
        seen = self._seen.get(module, {})
        tests = {test for line in lines for test in seen.get(line, ())}
        if not tests:
            tests = {test for line in seen for test in seen[line]}
        return sorted(tests, key=lambda test: (self.took[test], test))


def look() -> Sight:
    """Return what is kept, after running the test files of which nothing is known any more."""
    known: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    ground = _digest([*sorted(CORE.glob("*.py")), *_shared()])
    hashes = {str(file.relative_to(ROOT)): _digest([file]) + ground for file in _files()}
    known = {file: part for file, part in known.items() if hashes.get(file) == part["hash"]}
    stale = [file for file in hashes if file not in known]
    if stale:
        print(f"looking which lines {len(stale)} files of tests run", flush=True)
        known |= _run(stale, hashes)
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(known))
    return Sight(known=known)


def _files() -> list[Path]:
    return sorted((ROOT / "tests" / "core").glob("test_*.py"))


def _shared() -> list[Path]:
    return sorted(set((ROOT / "tests" / "core").glob("*.py")) - set(_files()))


def _digest(files: Iterable[Path]) -> str:
    told = hashlib.sha256()
    for file in files:
        told.update(file.read_bytes())
    return told.hexdigest()


def _run(files: list[str], hashes: dict[str, str]) -> dict[str, Any]:
    """Run the files in a child, as the core must not be imported here; its answer comes through a file."""
    KEPT.parent.mkdir(exist_ok=True)
    answer = KEPT.with_suffix(f".{os.getpid()}")
    child = os.fork()
    if child == 0:
        silence()
        answer.write_text(json.dumps(_measured(files, hashes)))
        os._exit(0)
    os.waitpid(child, 0)
    known: dict[str, Any] = json.loads(answer.read_text())
    answer.unlink()
    return known


def _measured(files: list[str], hashes: dict[str, str]) -> dict[str, Any]:
    watch = coverage.Coverage(data_file=None, include=[str(CORE / "*")], config_file=False)
    clock = Clock(watch)
    watch.start()
    pytest.main([*OPTIONS, *(str(ROOT / file) for file in files)], plugins=[clock])
    watch.stop()
    parts: dict[str, Any] = {file: {"hash": hashes[file], "took": {}, "lines": {}} for file in files}
    for test, seconds in clock.took.items():
        parts[test.split("::")[0]]["took"][test] = seconds
    data = watch.get_data()
    for measured in data.measured_files():
        for line, tests in data.contexts_by_lineno(measured).items():
            for test in filter(None, tests):
                lines = parts[test.split("::")[0]]["lines"].setdefault(Path(measured).stem, {})
                lines.setdefault(str(line), []).append(test)
    return parts


def silence() -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)


class Clock:
    """Tells coverage which test is running, and how long each took."""

    def __init__(self, watch: coverage.Coverage) -> None:
        self._watch = watch
        self.took: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._watch.switch_context(item.nodeid)
        start = time.process_time()
        yield
        self.took[item.nodeid] = time.process_time() - start


class Chosen:
    """Leaves of what was collected only the chosen tests, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )
