"""Profit and loss from the command line: the log to Parquet, tables out of it, brokers' statements against it."""

from __future__ import annotations

import csv
import getpass
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from apps.common.documents import safe_cell
from apps.reports import selectors, services
from apps.tenants.selectors import active_schemas
from apps.tenants.services import in_tenant
from piggy.core.money import plain, round_money

Row = tuple[str, ...]
PROFIT_HEADS = (
    "Date", "Account", "Group", "Symbol", "In", "Fills", "Dealt lots", "Holds lots",
    "Realised", "Swap", "Commission", "Markup", "Premium", "Floating", "Net",
)  # fmt: skip
SLIPPAGE_HEADS = ("Date", "Account", "Symbol", "In", "Fills", "Lots", "Spread", "Market", "Latency", "Markup", "Total")
BREAK_HEADS = ("Class", "Reference", "Symbol", "Ours", "Theirs", "Trade date", "Line", "State", "Owner", "Age")
DAYS_BACK = 7
DIFFERS = 3
SEQ_DIGITS_MAX = 19
# Columns of words; figures stand to the right.
WORDS = {"Date", "Account", "Group", "Symbol", "In", *BREAK_HEADS} - {"Line", "Age"}
WIDTH_PLAIN = 200
# A table is laid out as a whole, which of 200,000 rows takes minutes.
ROWS_SHOWN_MAX = 1_000


class Command(BaseCommand):
    help = "pnl export | show | reconcile STATEMENT.csv --venue LP, of one broker (--tenant) or of all."
    requires_system_checks: list[str] = []
    _begun = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The verbs and what they take."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("export", help="Add to the files what the event log holds beyond them; safe to repeat.")
        show = verbs.add_parser("show", help="Print profit and loss, or slippage, by date, account and symbol.")
        show.add_argument("what", nargs="?", choices=("profit", "slippage"), default="profit")
        show.add_argument("--since", type=_day, default=None, help="A business date; a week back.")
        show.add_argument("--until", type=_day, default=date.max)
        show.add_argument("--as-of", type=_seq, default=selectors.NO_END, help="As it was when the log ended there.")
        held = verbs.add_parser("reconcile", help="Hold an LP's statement against the log; exit 3 where they differ.")
        held.add_argument("statement", type=Path)
        held.add_argument("--venue", required=True)
        held.add_argument("--since", type=_day, default=None, help="Its first trade date, if not told.")
        held.add_argument("--until", type=_day, default=None, help="Its last, if not told.")
        for verb in (show, held):
            verb.add_argument("--csv", action="store_true", help=f"All of it; a table has {ROWS_SHOWN_MAX} rows.")
        for verb in verbs.choices.values():
            verb.add_argument("--tenant", default="", required=verb is held)
            verb.add_argument("--folder", type=Path, default=None, help="Where the files are; $PIGGY_HOME/pnl.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the verb for one broker or for each."""
        known = active_schemas()
        if options["tenant"] and options["tenant"] not in known:
            raise CommandError(f"There is no broker {options['tenant']!r}.", returncode=2)
        options["folder"] = options["folder"] or selectors.default_folder()
        if options.get("since") and options.get("until") and options["since"] > options["until"]:
            raise CommandError(f"--since {options['since']} is after --until {options['until']}.", returncode=2)
        failed = []
        for tenant in [options["tenant"]] if options["tenant"] else known:
            try:
                getattr(self, f"_{options['verb']}")(tenant, options)
            except selectors.NothingThere as error:
                self.stderr.write(f"{tenant}: {error}")
            except (*services.CAUSES, services.UnableToReadStatement) as error:
                failed.append(f"{tenant}: {error}")
        # One at the end, so that one broker's log keeps no other's from being looked at.
        if failed:
            raise CommandError("\n".join(failed), returncode=1)

    def _export(self, tenant: str, options: dict[str, Any]) -> None:
        made = services.export(tenant=tenant, folder=options["folder"])
        self.stdout.write(f"{tenant}: {made.events} events in {made.files} files, the log up to {made.seq}")

    def _reconcile(self, tenant: str, options: dict[str, Any]) -> None:
        with in_tenant(tenant):
            made = services.reconcile(
                tenant=tenant,
                venue=options["venue"],
                content=services.content_of(path=options["statement"]),
                file_name=options["statement"].name,
                folder=options["folder"],
                by=f"pnl of {getpass.getuser()}",
                at=timezone.now(),
                since=options["since"],
                until=options["until"],
            )
            rows = [_break(each) for each in made.breaks]
        run = made.run
        title = (
            f"{tenant}: {run.venue} {run.since} to {run.until}, {run.lines} lines against {run.ours} executions: "
            f"{run.breaks_new} new breaks, {run.breaks_known} known, {run.breaks_gone} gone"
        )
        self._print(tenant, title, BREAK_HEADS, rows, options)
        if rows:
            raise CommandError(f"{len(rows)} breaks stand.", returncode=DIFFERS)

    def _show(self, tenant: str, options: dict[str, Any]) -> None:
        with selectors.opened(folder=options["folder"], tenant=tenant, as_of=options["as_of"]) as log:
            last = log.last_date()
            until = min(options["until"], last)
            asked = {"since": options["since"] or until - timedelta(days=DAYS_BACK), "until": until}
            if options["what"] == "profit":
                found = map(_profit, selectors.profits(log=log, tenant=tenant, **asked))
                self._print(tenant, f"{tenant}: profit and loss as of event {log.seq}", PROFIT_HEADS, found, options)
            else:
                lost = map(_slippage, selectors.slippages(log=log, tenant=tenant, **asked))
                title = f"{tenant}: slippage against the arrival mid, above zero worse for the client"
                self._print(tenant, title, SLIPPAGE_HEADS, lost, options)

    def _print(self, tenant: str, title: str, heads: Row, rows: Iterable[Row], options: dict[str, Any]) -> None:
        if options["csv"]:
            # Of several brokers each row says whose it is: their accounts may be called the same.
            whose = () if options["tenant"] else (tenant,)
            writer = csv.writer(self.stdout)
            if not self._begun:
                writer.writerow([*("Broker" for _ in whose), *heads])
            self._begun = True
            writer.writerows([*whose, *map(_cell, heads, row)] for row in rows)
            return
        shown = Table(title=title, title_justify="left", row_styles=("", "dim"))
        for head in heads:
            shown.add_column(head, justify="left" if head in WORDS else "right", no_wrap=True)
        every = iter(rows)
        for row in islice(every, ROWS_SHOWN_MAX):
            shown.add_row(*row)
        out = StringIO()
        # What an LP writes is text: a bracket in it is no mark-up of ours.
        width = None if sys.stdout.isatty() else WIDTH_PLAIN
        Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(shown)
        self.stdout.write(out.getvalue())
        if more := sum(1 for _ in every):
            self.stdout.write(f"and {more} more; --csv prints all")


def _day(text: str) -> date:
    """Return a date that may be asked for, for the parser. Raises ArgumentTypeError."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no date as 2026-11-20") from error
    if not selectors.FIRST_DAY <= day <= selectors.LAST_DAY:
        raise ArgumentTypeError(f"{text!r} is not from {selectors.FIRST_DAY} to {selectors.LAST_DAY}")
    return day


def _seq(text: str) -> int:
    """Return the number of an event, for the parser. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= SEQ_DIGITS_MAX and 0 < int(text) <= selectors.NO_END):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {selectors.NO_END}")
    return int(text)


def _break(row: Any) -> Row:
    days = (timezone.now() - row.opened_at).days
    owner = row.owner.get_username() if row.owner else "nobody"
    return (
        row.get_kind_display(), row.reference, row.symbol, row.ours, row.theirs, row.traded_on.isoformat(),
        str(row.line or ""), row.state, owner, f"{days} d",
    )  # fmt: skip


def _profit(row: selectors.Profit) -> Row:
    amounts = (row.realised, row.swap, row.commission, row.markup, row.premium, row.floating, row.net)
    return (
        row.day.isoformat(), row.account_id, row.group, row.symbol, row.currency, str(row.fills),
        plain(row.dealt), plain(row.lots), *(_money(amount, row.currency) for amount in amounts),
    )  # fmt: skip


def _slippage(row: selectors.Slippage) -> Row:
    fills = f"{row.fills}*" if row.blind else str(row.fills)
    amounts = (*row.money.values(), row.total)
    return (
        row.day.isoformat(), row.account_id, row.symbol, row.currency, fills, plain(row.lots),
        *(_money(amount, row.currency) for amount in amounts),
    )  # fmt: skip


def _cell(head: str, text: str) -> str:
    """Return a cell of CSV: figures without marks between thousands, words that no spreadsheet takes for a formula."""
    return safe_cell(text=text) if head in WORDS else text.replace(",", "")


def _money(amount: Decimal | None, currency: str) -> str:
    return "no price" if amount is None else f"{round_money(amount=amount, currency=currency):,f}"
