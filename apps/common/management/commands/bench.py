"""Run one measurement of piggy/bench and print its figures."""

from __future__ import annotations

import json
import math
import os
import platform
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

LOADS = ("sockets", "symbols", "ticks", "orders", "tenants", "events")

SECONDS_MAX, SCALE_MAX, COUNT_MAX = 86_400.0, 1_000.0, 1_000_000_000


class Command(BaseCommand):
    help = "Measure: bench <name> [--seconds S] [--scale X] [--json]; the names are the files of piggy/bench."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name, length, size and form."""
        parser.add_argument("name")
        parser.add_argument("--seconds", type=_up_to(SECONDS_MAX), default=10.0)
        parser.add_argument("--scale", type=_up_to(SCALE_MAX), default=1.0)
        parser.add_argument("--json", action="store_true")
        for name in LOADS:
            parser.add_argument(f"--{name}", type=_count, help="Of the bench that has such a load.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Dispatch to piggy.bench.<name>.run."""
        name = options["name"]
        known = names()
        if name not in known:
            raise CommandError(f"There is no bench {name!r}; there are {', '.join(known)}.", returncode=2)
        run = import_module(f"piggy.bench.{name}").run
        loads = {load: options[load] for load in LOADS if options[load] is not None}
        if unknown := loads.keys() - signature(run).parameters.keys():
            raise CommandError(f"Bench {name} has no {', '.join(sorted(unknown))}.", returncode=2)
        figures = run(seconds=options["seconds"], scale=options["scale"], **loads)
        result = {"bench": name, **figures, "machine": machine()}
        if options["json"]:
            self.stdout.write(json.dumps(result, default=str))
            return
        width = max(len(key) for key in result)
        for key, value in result.items():
            self.stdout.write(f"{key:<{width}}  {value}")


def names() -> list[str]:
    """Return the benches: those files of piggy/bench that measure, and are no part of another."""
    folder = Path(import_module("piggy.bench").__path__[0])
    return sorted(path.stem for path in folder.glob("*.py") if "\ndef run(" in path.read_text())


def _up_to(most: float) -> Callable[[str], float]:
    """Return what reads a number above 0 and at most `most`, for the parser; it raises ArgumentTypeError."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number <= most:
            raise ArgumentTypeError(f"{text!r} is not a number above 0 and at most {most:g}")
        return number

    return read


def _count(text: str) -> int:
    """Return a whole number, for the parser. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(COUNT_MAX)) + 1 and int(text) <= COUNT_MAX):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {COUNT_MAX}")
    return int(text)


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
