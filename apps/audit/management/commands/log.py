"""The event log from the command line: checked, read, proven, and every projection made anew from it."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.audit import selectors
from apps.common.times import microseconds
from apps.tenants.selectors import active_schemas
from apps.tenants.services import become_owner
from piggy.messaging import tree_heads
from piggy.messaging.log_pages import UnableToRead

BAD = 3


class Command(BaseCommand):
    help = "log verify | show | export | balance | heads | prove | dead | rebuild, of one broker (--tenant) or of all."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The verbs and what they take."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="Check sequence, hashes and signed heads; names the first bad event.")
        verify.add_argument("--key", default="", help="The public key to trust, in hex; else this installation's own.")
        for name, text in (("show", "Print events as JSON."), ("export", "Write events as JSON lines.")):
            read = verbs.add_parser(name, help=text)
            read.add_argument("--after", type=int, default=0)
            read.add_argument("--until", type=int, default=selectors.NO_END)
            read.add_argument("--type", default="")
            read.add_argument("--order", default="")
            if name == "export":
                read.add_argument("--output", default="-")
        balance = verbs.add_parser("balance", help="Print the trial balance as it was, late corrections included.")
        for verb in (read, verbs.choices["show"], balance):
            verb.add_argument("--as-of", default="", help="A seq or an ISO time: what was true then, nothing later.")
        verbs.add_parser("dead", help="Print messages that nobody could carry out.")
        verbs.add_parser("heads", help="Print every signed head as a line of JSON.")
        prove = verbs.add_parser("prove", help="Print the proof that an event is in the log, or one head in another.")
        prove.add_argument("--seq", type=int, required=True)
        prove.add_argument("--later", type=int, default=0, help="Prove the head of --seq to be the beginning of this.")
        rebuild = verbs.add_parser("rebuild", help="Empty the projections and make them again.")
        rebuild.add_argument("--name", default="")
        for verb in verbs.choices.values():
            verb.add_argument("--tenant", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Dispatch the verb, for one broker or for each."""
        if options["verb"] == "rebuild":
            become_owner()
        known = active_schemas()
        if options["tenant"] and options["tenant"] not in known:
            raise CommandError(f"There is no broker {options['tenant']!r}.", returncode=2)
        verb = getattr(self, f"_{options['verb']}")
        try:
            # A list, so that one bad log does not keep the others from being looked at.
            bad = [tenant for tenant in ([options["tenant"]] if options["tenant"] else known) if verb(tenant, options)]
        except (UnableToRead, selectors.UnableToProve, OSError) as error:
            raise CommandError(str(error), returncode=BAD) from error
        if bad:
            raise CommandError(f"not whole: {', '.join(bad)}", returncode=BAD)

    def _verify(self, tenant: str, options: dict[str, Any]) -> bool:
        home = Path(settings.PIGGY_HOME)
        trusted = options["key"] or tree_heads.public_key(key=tree_heads.signing_key(home=home))
        began_s = time.perf_counter()
        found = selectors.verify(tenant=tenant, trusted=trusted)
        took = f"{found.events} events, {found.heads} signed heads, {time.perf_counter() - began_s:.1f} s"
        if found.bad_seq:
            self.stdout.write(f"{tenant}: FIRST BAD EVENT {found.bad_seq}: {found.text} ({took})")
            return True
        self.stdout.write(f"{tenant}: whole ({took})")
        return False

    def _show(self, tenant: str, options: dict[str, Any]) -> None:
        for told in _wanted(tenant, options):
            self.stdout.write(json.dumps(told, indent=2, default=str))

    def _export(self, tenant: str, options: dict[str, Any]) -> None:
        if options["output"] == "-":
            for told in _wanted(tenant, options):
                sys.stdout.write(json.dumps({"tenant": tenant, **told}, default=str) + "\n")
            return
        with Path(options["output"]).open("a", encoding="utf-8") as file:
            for told in _wanted(tenant, options):
                file.write(json.dumps({"tenant": tenant, **told}, default=str) + "\n")

    def _balance(self, tenant: str, options: dict[str, Any]) -> None:
        seq = _seq(tenant, options["as_of"])
        for line in selectors.trial_balance(tenant=tenant, seq=seq):
            self.stdout.write(json.dumps({"tenant": tenant, "as_of": seq, **line}))

    def _dead(self, tenant: str, options: dict[str, Any]) -> None:
        for told in selectors.dead_letters(tenant=tenant):
            self.stdout.write(json.dumps({"tenant": tenant, **told}, default=str))

    def _heads(self, tenant: str, options: dict[str, Any]) -> None:
        for head in selectors.signed_heads(tenant=tenant):
            self.stdout.write(json.dumps(selectors.told(head=head)))

    def _prove(self, tenant: str, options: dict[str, Any]) -> None:
        if options["later"]:
            proof = selectors.consistency(tenant=tenant, seq=options["seq"], later=options["later"])
        else:
            proof = selectors.inclusion(tenant=tenant, seq=options["seq"])
        self.stdout.write(json.dumps(proof, indent=2))

    def _rebuild(self, tenant: str, options: dict[str, Any]) -> None:
        # The projector knows every app's projections; apps know only their own.
        projector = import_module("piggy.projector")
        if options["name"] and options["name"] not in projector.projections():
            raise CommandError(f"There is no projection {options['name']!r}.", returncode=2)
        began_s = time.perf_counter()
        read = projector.rebuild(tenant=tenant, name=options["name"])
        self.stdout.write(f"{tenant}: rebuilt from {read} events in {time.perf_counter() - began_s:.1f} s")


def _wanted(tenant: str, options: dict[str, Any]) -> Any:
    if options["as_of"]:
        found = selectors.as_of(tenant=tenant, seq=_seq(tenant, options["as_of"]))
    else:
        found = selectors.events(tenant=tenant, after=options["after"], until=options["until"])
    for row in found:
        event = row.recorded.event
        is_type = options["type"] in ("", row.type)
        if is_type and options["order"] in ("", getattr(event, "order_id", "")):
            yield selectors.plain(row=row)


def _seq(tenant: str, text: str) -> int:
    """Return the seq that `text` names: itself, where the log ended at a time with its zone, or its end now."""
    if not text:
        return selectors.NO_END
    if text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is neither a seq nor a time.", returncode=2) from error
    if at.tzinfo is None:
        raise CommandError(f"{text!r} has no zone; write …Z or …+00:00.", returncode=2)
    return selectors.seq_at(tenant=tenant, at_us=microseconds(at))
