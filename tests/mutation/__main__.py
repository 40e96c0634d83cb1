"""Mutation testing of the rules that decide about money: python -m tests.mutation [risk] [margin] [routing].

Every mutant runs the noun's own tests in a process of its own that imports the changed source; no file is touched. A
mutant that no test notices survived: it is listed, unless explained.py says why it changes nothing; then exit is 1.
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
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import django  # noqa: F401  What every child would import anyway is imported once, here; the core is not.
import hypothesis
import numpy as np  # noqa: F401
import psycopg  # noqa: F401
import pytest

from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
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
    },
    "margin": dict.fromkeys(("margin", "stopout", "protection", "leverage_rules"), MARGIN_TESTS)
    | {"positions": ("tests/core/test_positions.py",), "conversion": ("tests/core/test_conversion.py",)},
    "routing": {
        "routing": (
            "tests/core/test_routing_records.py",
            "tests/core/test_routing.py",
            "tests/core/test_hostile_orders.py",
            "tests/core/test_desk.py",
        )
    },
}
TEST_SECONDS_MAX = 120
MEMORY = ROOT / "build" / "mutants.json"


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed source to whoever imports the module."""

    def __init__(self, *, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, f"<mutant of {self.module}>", "exec"), module.__dict__)


def killed(*, module: str, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Return whether some test notices the mutant; one that never ends counts as noticed."""
    child = os.fork()
    if child == 0:
        os._exit(_run(module, mutant.source, tests))
    end = time.monotonic() + TEST_SECONDS_MAX
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _run(module: str, source: str, tests: Sequence[str]) -> int:
    """In the child: quiet, with the changed module, few examples, first failure ends it."""
    os.environ["SPLITS"] = "1000"
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    hypothesis.settings.register_profile("mutants", max_examples=25, database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    sys.meta_path.insert(0, Changed(module=module, source=source))
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "--hypothesis-profile=mutants"]
    return int(pytest.main([*options, *(str(ROOT / test) for test in tests)]))


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
    for test in tests:
        told.update((ROOT / test).read_bytes())
    return told.hexdigest()


def survey(*, noun: str, end: float, seed: int, memory: Memory) -> tuple[int, int, list[str]]:
    """Return how many mutants were tried and there are, and the survivors that nobody explained."""
    every: list[tuple[str, Mutant]] = []
    for name in NOUNS[noun]:
        source = (ROOT / "piggy" / "core" / f"{name}.py").read_text()
        every += [(name, mutant) for mutant in mutants_of(source=source)]
    random.Random(seed).shuffle(every)
    survivors: list[str] = []
    tried = 0
    for name, mutant in every:
        tests = NOUNS[noun][name]
        key = key_of(mutant=mutant, tests=tests)
        dead = memory.was_killed(key=key)
        if dead is None:
            if time.monotonic() > end:
                continue
            dead = killed(module=f"piggy.core.{name}", mutant=mutant, tests=tests)
            memory.keep(key=key, killed=dead)
        tried += 1
        text = f"{name} {mutant.what}"
        if not dead and not any(known in text for known in EXPLAINED):
            survivors.append(text)
            print(f"survived: {text}", flush=True)
    return tried, len(every), survivors


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("nouns", nargs="*", default=list(NOUNS), help=", ".join(NOUNS))
    parser.add_argument("--seconds", type=float, default=3_600, help="stop after this long, a share for each noun")
    parser.add_argument("--seed", type=int, default=7, help="which mutants come first when time is short")
    parser.add_argument("--afresh", action="store_true", help="forget what earlier runs found out")
    chosen = parser.parse_args(arguments)
    if chosen.afresh:
        MEMORY.unlink(missing_ok=True)
    memory, left = Memory(path=MEMORY), 0
    for noun in chosen.nouns:
        end = time.monotonic() + chosen.seconds / len(chosen.nouns)
        tried, total, survivors = survey(noun=noun, end=end, seed=chosen.seed, memory=memory)
        more = "" if tried == total else "; run it again to go on"
        print(f"{noun}: {tried} of {total} mutants tried, {len(survivors)} survived unexplained{more}", flush=True)
        left += len(survivors)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
