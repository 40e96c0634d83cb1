"""The event log from the command line: checked, read, proven, and every projection made anew from it."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from apps.audit import selectors
from apps.common.times import microseconds
from apps.tenants.selectors import active_schemas, why_off
from apps.tenants.services import become_owner
from piggy.messaging import tree_heads, witness
from piggy.messaging.log_pages import UnableToRead

BAD = 3
USAGE = 2
DIGITS_MAX = 19
KEY_HEX = re.compile(r"[0-9a-f]{64}")
# What a verb may end with that is no fault of this program: said in one line.
BROKEN = (tree_heads.UnableToReadKey, witness.UnableToReadWitness)
EXPECTED = (UnableToRead, selectors.UnableToProve, *BROKEN, OSError, Error, psycopg.Error)


class Command(BaseCommand):
    help = "log verify | show | export | balance | heads | prove | dead | rebuild | accept, of one broker or of all."
    requires_system_checks: list[str] = []
    _part: Path | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The verbs and what they take."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="Check sequence, hashes and signed heads; names the first bad event.")
        verify.add_argument(
            "--key", type=_key, default="", help="The public key to trust, in hex; else this installation's own."
        )
        for name, text in (("show", "Print events as JSON."), ("export", "Write events as JSON lines.")):
            read = verbs.add_parser(name, help=text)
            read.add_argument("--after", type=_number, default=0)
            read.add_argument("--until", type=_number, default=selectors.NO_END)
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
        prove.add_argument("--seq", type=_number, required=True)
        prove.add_argument(
            "--later", type=_number, default=0, help="Prove the head of --seq to be the beginning of this."
        )
        accept = verbs.add_parser("accept", help="Go on with a log that lost its end, out of a backup: once, by name.")
        accept.add_argument("--by", required=True)
        accept.add_argument("--reason", required=True)
        rebuild = verbs.add_parser("rebuild", help="Empty the projections and make them again.")
        rebuild.add_argument("--name", default="")
        for name, verb in verbs.choices.items():
            verb.add_argument("--tenant", default="", required=name == "accept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Dispatch the verb, for one broker or for each."""
        verb = getattr(self, f"_{options['verb']}")
        try:
            if options["verb"] == "rebuild":
                become_owner()
            # A list, so that one bad log does not keep the others from being looked at.
            bad = [tenant for tenant in self._asked(options) if verb(tenant, options)]
            sys.stdout.flush()
            if self._part:
                # No file that came meanwhile is replaced, or added to, which would hold the same events twice.
                Path(options["output"]).open("x").close()
                self._part.replace(options["output"])
        except BrokenPipeError as error:
            # What is still to be flushed at the end must not be complained of a second time.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError("Whoever read this has stopped.", returncode=BAD) from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except EXPECTED as error:
            raise CommandError(str(error).strip() or repr(error), returncode=BAD) from error
        finally:
            if self._part:
                self._part.unlink(missing_ok=True)
        if bad:
            raise CommandError(f"not whole: {', '.join(bad)}", returncode=BAD)

    def _asked(self, options: dict[str, Any]) -> list[str]:
        """Return whose logs are meant; one that nobody serves is still a record, and is read where it is named."""
        known, off, named = active_schemas(), why_off(), options["tenant"]
        if named and named not in known and named not in off:
            raise CommandError(f"There is no broker {named!r}.", returncode=USAGE)
        if named in off and options["verb"] == "rebuild":
            raise CommandError(f"{named} is switched off: {off[named]}", returncode=BAD)
        asked = [named] if named else [*known, *(off if options["verb"] == "verify" else ())]
        for tenant in asked:
            if tenant in off:
                self.stderr.write(f"{tenant} is switched off: {off[tenant]}")
        return asked

    def _verify(self, tenant: str, options: dict[str, Any]) -> bool:
        home = Path(settings.PIGGY_HOME)
        trusted = options["key"] or tree_heads.public_key(key=tree_heads.signing_key(home=home))
        try:
            return self._is_bad(tenant, home, trusted)
        except (psycopg.ProgrammingError, witness.UnableToReadWitness) as error:
            # As where its schema could not be migrated: the others are looked at all the same.
            self.stdout.write(f"{tenant}: CANNOT BE READ: {str(error).strip()}")
            return True

    def _is_bad(self, tenant: str, home: Path, trusted: str) -> bool:
        began_s = time.perf_counter()
        found = selectors.verify(tenant=tenant, trusted=trusted)
        took = f"{found.events} events, {found.heads} signed heads, {time.perf_counter() - began_s:.1f} s"
        if found.bad_seq:
            self.stdout.write(f"{tenant}: FIRST BAD EVENT {found.bad_seq}: {found.text} ({took})")
            return True
        if gone := selectors.lost(tenant=tenant, home=home):
            self.stdout.write(f"{tenant}: WHOLE, BUT NOT ALL: {_told_lost(gone)} ({took})")
            return True
        self.stdout.write(f"{tenant}: whole ({took})")
        return False

    def _accept(self, tenant: str, options: dict[str, Any]) -> None:
        home = Path(settings.PIGGY_HOME)
        gone = selectors.lost(tenant=tenant, home=home)
        if gone is None:
            raise CommandError(f"The log of {tenant} has all that was acknowledged.", returncode=USAGE)
        said = selectors.accepting(tenant=tenant, gone=gone, by=options["by"], reason=options["reason"])
        witness.tell(home=home, said=said)
        self.stdout.write(
            f"{tenant}: goes on after event {said.log_seq}; {_told_lost(gone)}. No number that an order or hedge may"
            " have had will be given again. What venues did meanwhile they, and their statements, will tell."
        )

    def _show(self, tenant: str, options: dict[str, Any]) -> None:
        for row in _wanted(tenant, options):
            self.stdout.write(json.dumps(selectors.plain(row=row), indent=2, default=str))

    def _export(self, tenant: str, options: dict[str, Any]) -> None:
        if options["output"] == "-":
            for row in _wanted(tenant, options):
                sys.stdout.write(_line(tenant, row))
            return
        self._part = self._part or _beside(Path(options["output"]))
        with self._part.open("a", encoding="utf-8") as file:
            for row in _wanted(tenant, options):
                file.write(_line(tenant, row))

    def _balance(self, tenant: str, options: dict[str, Any]) -> None:
        # Of a log that goes on: what is told today as of its end is told as of that event for ever.
        seq = min(_seq(tenant, options["as_of"]), selectors.seq_end(tenant=tenant))
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
            raise CommandError(f"There is no projection {options['name']!r}.", returncode=USAGE)
        began_s = time.perf_counter()
        try:
            read = projector.rebuild(tenant=tenant, name=options["name"])
        except projector.UnableToProject as error:
            raise CommandError(str(error), returncode=BAD) from error
        self.stdout.write(f"{tenant}: rebuilt from {read} events in {time.perf_counter() - began_s:.1f} s")


def _beside(path: Path) -> Path:
    """Return a new file beside `path`, to become it once all is written. Raises OSError where there is one."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    return Path(name)


def _told_lost(gone: witness.Seen) -> str:
    at = datetime.fromtimestamp(gone.seen_at_us // 1_000_000, UTC)
    return f"event {gone.seq} was acknowledged by {at:%Y-%m-%d %H:%M:%S} UTC and is not in it, nor what it leads to"


def _wanted(tenant: str, options: dict[str, Any]) -> Any:
    asked = {"tenant": tenant, "after": options["after"], "until": options["until"]}
    if options["as_of"]:
        found = selectors.as_of(seq=_seq(tenant, options["as_of"]), **asked)
    else:
        found = selectors.events(**asked)
    for row in found:
        event = row.recorded.event
        is_type = options["type"] in ("", row.type)
        if is_type and options["order"] in ("", getattr(event, "order_id", "")):
            yield row


def _line(tenant: str, row: Any) -> str:
    return json.dumps({"tenant": tenant, **selectors.provable(row=row)}, default=str) + "\n"


def _number(text: str) -> int:
    """Return a whole number that a seq may be, for the parser. Raises ArgumentTypeError."""
    if not _is_number(text):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {selectors.NO_END}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= DIGITS_MAX and int(text) <= selectors.NO_END


def _key(text: str) -> str:
    """Return a public key in hex, for the parser. Raises ArgumentTypeError."""
    if text and not KEY_HEX.fullmatch(text.lower()):
        raise ArgumentTypeError(f"{text!r} is not a public key of 64 hexadecimal digits")
    return text.lower()


def _seq(tenant: str, text: str) -> int:
    """Return the seq that `text` names: itself, where the log ended at a time with its zone, or its end now."""
    if not text:
        return selectors.NO_END
    if _is_number(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is neither a seq nor a time.", returncode=USAGE) from error
    if at.tzinfo is None:
        raise CommandError(f"{text!r} has no zone; write …Z or …+00:00.", returncode=USAGE)
    return selectors.seq_at(tenant=tenant, at_us=microseconds(at))
