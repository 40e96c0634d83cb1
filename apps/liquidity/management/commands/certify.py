"""Certify an adapter against its venue's simulator: its whole pack, a report, exit status 1 on a failure."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Certify a venue: certify VENUE [--json] | certify --list. Needs no database and no network."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which venue, and the form of the report."""
        parser.add_argument("venue", nargs="?", default="")
        parser.add_argument("--list", action="store_true", help="Name the venues and their scenarios.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the pack of piggy.simulator.certification, which apps may not import."""
        pack = import_module("piggy.simulator.certification.pack")
        if options["list"]:
            for name, scenarios in sorted(pack.PACKS.items()):
                self.stdout.write(f"{name}: {' '.join(scenario.__name__ for scenario in scenarios)}")
            return
        venue = options["venue"]
        told = (lambda result: None) if options["json"] else self._tell
        try:
            with tempfile.TemporaryDirectory(prefix="piggy-certify-") as home:
                results = pack.certify(venue=venue, home=Path(home), told=told)
        except pack.UnableToCertify as error:
            raise CommandError(str(error), returncode=2) from error
        failed = [result for result in results if not result.passed]
        if options["json"]:
            rows = [result._asdict() for result in results]
            self.stdout.write(json.dumps({"venue": venue, "passed": not failed, "scenarios": rows}))
        else:
            self.stdout.write(f"{venue}: {len(results) - len(failed)} of {len(results)} scenarios passed")
        if failed:
            raise CommandError(f"{venue} is not certified.", returncode=1)

    def _tell(self, result: Any) -> None:
        mark = "pass" if result.passed else "FAIL"
        self.stdout.write(f"{mark}  {result.name:<24} {result.seconds:6.2f} s  {result.text}")
