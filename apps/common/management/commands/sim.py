"""Live through the deterministic world once for each seed and check every rule at its end."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError

# Apps know nothing of the range; the command only starts it, as `bench` does.
WORLD = "piggy.simulator.world"
SEEDS_MAX, HOURS_MAX = 1_000_000, 1_000.0


class Command(BaseCommand):
    help = (
        "Simulate: sim --seed N [--hours H] [--seeds K] [--busy]; "
        "the same seed gives the same trace, a broken rule exits 1."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The first seed, how many, and how long trouble lasts in simulated hours."""
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--seeds", type=_seeds, default=1)
        parser.add_argument("--hours", type=_hours, default=None)
        parser.add_argument("--busy", action="store_true", help="every kind of order, and the broker's people")

    def handle(self, *args: Any, **options: Any) -> None:
        """One line a seed; broken ones are named together at the end."""
        run, store = import_module(f"{WORLD}.run"), import_module(f"{WORLD}.store")
        hours = options["hours"] if options["hours"] is not None else run.TROUBLE_S / 3_600
        broken = []
        for seed in range(options["seed"], options["seed"] + options["seeds"]):
            began_s = time.monotonic()
            try:
                found = run.live(seed=seed, hours=hours, busy=options["busy"])
            except (run.RuleBroken, store.LogIsBroken) as error:
                broken.append(seed)
                self.stdout.write(f"BROKEN {error}")
                continue
            met = ", ".join(f"{name} {times}" for name, times in sorted(found.trouble.items()))
            self.stdout.write(
                f"seed {seed}  trace {found.trace[:16]}  {found.events} events, {found.fills} fills at LPs, "
                f"{found.repeats} repeats, {found.terms} engine terms, {found.old_tokens_refused} old tokens refused, "
                f"{found.snapshots[0]} snapshots read, {found.snapshots[1]} spoilt, "
                f"{found.simulated_s:.0f} s in {time.monotonic() - began_s:.1f} s  [{met}]"
            )
        if broken:
            raise CommandError(f"Rules were broken by seeds {broken}; put them into tests/simulator/broken_seeds.txt.")


def _seeds(text: str) -> int:
    """Return how many seeds, for the parser: none would prove nothing and look like it. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(SEEDS_MAX)) and 0 < int(text) <= SEEDS_MAX):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {SEEDS_MAX}")
    return int(text)


def _hours(text: str) -> float:
    """Return hours of trouble, for the parser. Raises ArgumentTypeError."""
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= HOURS_MAX:
        raise ArgumentTypeError(f"{text!r} is not a number above 0 and at most {HOURS_MAX:g}")
    return hours
