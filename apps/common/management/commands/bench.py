"""Run one measurement of piggy/bench and print its figures."""

from __future__ import annotations

import json
import os
import platform
from argparse import ArgumentParser
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any

from django.core.management.base import BaseCommand, CommandError

LOADS = ("sockets", "symbols", "ticks", "orders", "tenants", "events")


class Command(BaseCommand):
    help = "Measure: bench <name> [--seconds S] [--scale X] [--json]; the names are the files of piggy/bench."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name, length, size and form."""
        parser.add_argument("name")
        parser.add_argument("--seconds", type=float, default=10.0)
        parser.add_argument("--scale", type=float, default=1.0)
        parser.add_argument("--json", action="store_true")
        for name in LOADS:
            parser.add_argument(f"--{name}", type=int, help="Of the bench that has such a load.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Dispatch to piggy.bench.<name>.run."""
        name = options["name"]
        if not name.isidentifier() or find_spec(f"piggy.bench.{name}") is None:
            raise CommandError(f"There is no bench {name!r}.", returncode=2)
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


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
