"""Brokers from the command line, as the owner of the schemas."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.tenants import selectors, services
from apps.tenants.backend.roles import become_owner


class Command(BaseCommand):
    help = "tenant create <schema> --domain HOST ... | rename <schema> ... | move <schema> --to SHARD | list"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The verbs and what they take."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create")
        create.add_argument("schema")
        create.add_argument("--name", default="")
        create.add_argument("--domain", action="append", required=True, dest="domains")
        create.add_argument("--shard", default="main")
        create.add_argument("--colour-primary", default="#0ecb81")
        create.add_argument("--colour-accent", default="#3b82f6")
        create.add_argument("--logo-text", default="")
        create.add_argument("--if-absent", action="store_true", help="Do nothing when the broker exists.")
        move = verbs.add_parser("move")
        move.add_argument("schema")
        move.add_argument("--to", required=True, dest="target", help="The shard whose engine is to run its desk.")
        move.add_argument("--unserved", action="store_true", help="Also to a shard that no engine runs yet.")
        rename = verbs.add_parser("rename")
        rename.add_argument("schema")
        rename.add_argument("--name", default="")
        rename.add_argument("--domain", action="append", default=[], dest="domains", help="In the place of all it has.")
        verbs.add_parser("list")

    def handle(self, *args: Any, **options: Any) -> None:
        """Dispatch the verb."""
        become_owner()
        if options["verb"] == "list":
            for tenant in selectors.active_tenants():
                self.stdout.write(f"{tenant.schema_name}\t{tenant.name}\t{tenant.shard}")
            reasons = selectors.why_off()
            for tenant in selectors.switched_off():
                self.stdout.write(f"{tenant.schema_name}\t{tenant.name}\tOFF: {reasons[tenant.schema_name]}")
            return
        if options["verb"] == "move":
            self._move(options["schema"], options["target"], may_wait=options["unserved"])
            return
        if options["verb"] == "rename":
            self._rename(options["schema"], options["name"], options["domains"])
            return
        if options["if_absent"] and options["schema"] in selectors.active_schemas():
            self.stdout.write(f"{options['schema']} exists")
            return
        started_s = time.perf_counter()
        names = ("schema", "domains", "shard", "colour_primary", "colour_accent", "logo_text")
        try:
            services.create_tenant(name=options["name"] or options["schema"], **{name: options[name] for name in names})
        except services.UnableToCreateTenant as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['schema']} created ({time.perf_counter() - started_s:.1f} s)")

    def _rename(self, schema: str, name: str, domains: list[str]) -> None:
        try:
            services.rename_tenant(schema=schema, name=name, domains=domains)
        except services.UnableToRenameTenant as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{schema} renamed; within seconds every door knows it")

    def _move(self, schema: str, target: str, *, may_wait: bool) -> None:
        try:
            source = services.move_tenant(schema=schema, shard=target, may_wait=may_wait)
        except services.UnableToMoveTenant as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{schema} goes from shard {source} to {target}; its engine has it within seconds")
