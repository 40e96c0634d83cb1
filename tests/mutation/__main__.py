"""Mutation testing of the rules that decide about money: python -m tests.mutation [risk] [margin] [routing].

Every mutant is shown to the tests that run the changed statement (sight.py): first the noun's own, then the others of
tests/core that take less than half a second; in a process of its own, with the changed function in place of the old one
or, for what runs on import, the changed source; no file is touched. A mutant that no test notices survived: it is
listed, unless explained.py says why it changes nothing; then exit is 1.
What was found out is kept in build/mutants.json for as long as neither the mutant nor its tests change, so that a run
of a few minutes at a time comes to the end; --afresh forgets it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.abc
import importlib.util
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import django  # noqa: F401  What every child would import anyway is imported once, here; the core is not.
import hypothesis
import numpy as np  # noqa: F401
import psycopg  # noqa: F401
import pytest

from tests.mutation.exchange import on_stage, shown
from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.sight import OPTIONS, ROOT, Chosen, Sight, look, silence

GATE_TESTS = (
    "tests/core/test_risk_edges.py",
    "tests/core/test_risk_verdicts.py",
    "tests/core/test_oversight.py",
    "tests/core/test_risk.py",
)
OPEN_RISK_TESTS = ("tests/core/test_open_risk.py",)
MARGIN_TESTS = (
    "tests/core/test_margin_exact.py",
    "tests/core/test_margin.py",
    "tests/core/test_margin_cases.py",
    "tests/core/test_stopout.py",
)
NOUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "risk": dict.fromkeys(("risk", "gate", "controls_flow", "oversight"), GATE_TESTS)
    | {
        "controls_order": (*GATE_TESTS, "tests/core/test_order_types.py"),
        "limits": (*GATE_TESTS, "tests/core/test_limits_of_the_day.py"),
        "open_risk": OPEN_RISK_TESTS,
        "venue_room": (*OPEN_RISK_TESTS, "tests/core/test_venue_limits.py"),
        "gatekeeping": ("tests/core/test_desk_gate.py", "tests/core/test_desk.py", "tests/core/test_message_rate.py"),
    },
    "margin": dict.fromkeys(("margin", "stopout", "protection", "leverage_rules"), MARGIN_TESTS)
    | {
        "stopout_book": ("tests/core/test_stopout_book.py", *MARGIN_TESTS),
        "positions": ("tests/core/test_positions.py",),
        "conversion": ("tests/core/test_conversion.py",),
        "margining": ("tests/core/test_desk_margin.py", "tests/core/test_margin_on_the_desk.py"),
        "liquidation": ("tests/core/test_desk_stopout.py", "tests/core/test_many_stopped_out.py"),
        "margin_screen": ("tests/core/test_margin_screen.py", "tests/core/test_margin_watch.py"),
    },
    "routing": {
        "routing": (
            "tests/core/test_routing_records.py",
            "tests/core/test_routing.py",
            "tests/core/test_least_legs.py",
            "tests/core/test_hostile_orders.py",
            "tests/core/test_desk.py",
        ),
        "splitting": (
            "tests/core/test_least_legs.py",
            "tests/core/test_routing.py",
            "tests/core/test_turned_books.py",
            "tests/core/test_hostile_orders.py",
        ),
        "routing_rules": (
            "tests/core/test_routing.py",
            "tests/core/test_routing_lint.py",
            "tests/core/test_dealing.py",
        ),
        "ranking": ("tests/core/test_ranking.py", "tests/core/test_routing.py"),
    },
}
TEST_SECONDS_MAX = 120
OTHERS_SECONDS_MAX = 0.5
# Few examples, the same ones every time; what takes its size from the environment is small.
hypothesis.settings.register_profile("mutants", max_examples=25, database=None, deadline=None, derandomize=True)
os.environ |= {"SPLITS": "1000", "BOOK_COMMANDS": "50000"}
MEMORY = ROOT / "build" / "mutants.json"


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed source to whoever imports the module."""

    def __init__(self, *, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, f"<mutant of {self.module}>", "exec"), module.__dict__)


def killed(*, trial: Callable[[], int], seconds: float = TEST_SECONDS_MAX) -> bool:
    """Return whether a trial fails in a child of its own; one that never ends counts as failed."""
    child = os.fork()
    if child == 0:
        os._exit(trial())
    end, pause = time.monotonic() + seconds, 0.001
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            assert code != pytest.ExitCode.NO_TESTS_COLLECTED
            return code != pytest.ExitCode.OK
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _run(module: str, source: str, tests: Sequence[str]) -> int:
    """In the child: quiet, with the changed module, few examples, first failure ends it."""
    silence()
    sys.meta_path.insert(0, Changed(module=module, source=source))
    files = dict.fromkeys(str(ROOT / test.split("::")[0]) for test in tests)
    return int(pytest.main(["-x", *OPTIONS, *files], plugins=[Chosen(list(tests))]))


class Memory:
    """Which mutants were killed (True) or lived, by a hash of the mutant and of the tests it was shown to."""

    def __init__(self, *, path: Path) -> None:
        self._path = path
        self._known: dict[str, bool] = json.loads(path.read_text()) if path.exists() else {}

    def was_killed(self, *, key: str) -> bool | None:
        return self._known.get(key)

    def keep(self, *, key: str, killed: bool) -> None:
        self._known[key] = killed
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps(self._known))


def key_of(*, mutant: Mutant, tests: Sequence[str]) -> str:
    told = hashlib.sha256(mutant.source.encode())
    for file in sorted({test.split("::")[0] for test in tests}):
        told.update((ROOT / file).read_bytes())
    return told.hexdigest()


@dataclass(frozen=True, slots=True)
class Hunt:
    """One run: what is known, and until when it may find out more."""

    sight: Sight
    memory: Memory
    end: float
    items: dict[str, pytest.Item] | None = None  # Collected tests, while code is exchanged rather than imported.

    def noticed(self, *, name: str, mutant: Mutant, own: Sequence[str]) -> bool | None:
        """Return whether a test notices the mutant, the noun's own tests first; None where nobody looked yet."""
        seeing = self.sight.tests_of(module=name, lines=mutant.lines)
        # What runs on import is seen also by a test of the noun that only reads it.
        asked = seeing if mutant.path else self.sight.quickest
        first = [test for test in asked if test.split("::")[0] in own]
        others = [test for test in seeing if test not in set(first) and self.sight.took[test] < OTHERS_SECONDS_MAX]
        for tests in filter(None, (first, others)):
            key = key_of(mutant=mutant, tests=tests)
            dead = self.memory.was_killed(key=key)
            if dead is None and time.monotonic() < self.end and bool(mutant.path) == (self.items is not None):
                dead = self._tried(f"piggy.core.{name}", mutant, tests)
                self.memory.keep(key=key, killed=dead)
            if dead is not False:
                return dead
        return False

    def _tried(self, module: str, mutant: Mutant, tests: list[str]) -> bool:
        if self.items is None:
            return killed(trial=lambda: _run(module, mutant.source, tests))
        items = [self.items[test] for test in tests]
        seconds = 20 + 10 * sum(self.sight.took[test] for test in tests)
        return killed(trial=lambda: shown(module=module, mutant=mutant, tests=items), seconds=seconds)


def mutants(*, noun: str, seed: int) -> list[tuple[str, Mutant]]:
    every: list[tuple[str, Mutant]] = []
    for name in NOUNS[noun]:
        source = (ROOT / "piggy" / "core" / f"{name}.py").read_text()
        every += [(name, mutant) for mutant in mutants_of(source=source)]
    random.Random(seed).shuffle(every)
    return every


def survey(*, noun: str, seed: int, hunt: Hunt) -> int:
    """Print each mutant that lives unexplained, and how many were tried; return how many live so."""
    every = mutants(noun=noun, seed=seed)
    tried = explained = survived = 0
    for name, mutant in every:
        dead = hunt.noticed(name=name, mutant=mutant, own=NOUNS[noun][name])
        text = f"{name} {mutant.what}"
        tried += dead is not None
        if dead is False and any(known in text for known in EXPLAINED):
            explained += 1
        elif dead is False:
            survived += 1
            print(f"survived: {text}", flush=True)
    more = "" if tried == len(every) else f" (a sample, seed {seed}; run it again to go on)"
    lived = f"{explained} live for a reason, {survived} survived unexplained"
    print(f"{noun}: {tried} of {len(every)} mutants tried{more}, {lived}", flush=True)
    return survived


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("nouns", nargs="*", default=list(NOUNS), help=", ".join(NOUNS))
    parser.add_argument("--seconds", type=float, default=3_600, help="stop after this long, a share for each noun")
    parser.add_argument("--seed", type=int, default=7, help="which mutants come first when time is short")
    parser.add_argument("--afresh", action="store_true", help="forget what earlier runs found out")
    chosen = parser.parse_args(arguments)
    if chosen.afresh:
        MEMORY.unlink(missing_ok=True)
    start, sight = time.monotonic(), look()

    def exchange(items: dict[str, pytest.Item]) -> None:
        for number, noun in enumerate(chosen.nouns, start=1):
            end = start + 0.9 * chosen.seconds * number / len(chosen.nouns)
            hunt = Hunt(sight=sight, memory=Memory(path=MEMORY), end=end, items=items)
            for name, mutant in mutants(noun=noun, seed=chosen.seed):
                hunt.noticed(name=name, mutant=mutant, own=NOUNS[noun][name])

    on_stage(work=exchange)
    hunt = Hunt(sight=sight, memory=Memory(path=MEMORY), end=start + chosen.seconds)
    return 1 if sum([survey(noun=noun, seed=chosen.seed, hunt=hunt) for noun in chosen.nouns]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
