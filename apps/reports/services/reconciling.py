"""Hold a statement against the log: breaks are opened, kept open, or closed as gone; every step leaves a note.

A run never changes what an earlier one wrote of itself. The same statement again finds the same breaks and opens none;
after a late correction on either side, what no longer differs is closed and says in which run it went (INV-22, INV-23).
What a person closed stays closed while it is told of the same day with the same figures, and opens anew with others.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from apps.liquidity import selectors as liquidity
from apps.reports.models import Break, BreakNote, Reconciliation, StatementFormat
from apps.reports.selectors.executions import FIRST_DAY, LAST_DAY, known_of, terms_of, venue_executions
from apps.reports.selectors.files import opened
from apps.reports.services.exporting import export
from apps.reports.services.statements import Statement, UnableToReadStatement, read
from apps.tenants.selectors import current_schema
from piggy.core import reconciliation as core
from piggy.core.money import round_money
from piggy.messaging.troubles import Troubles

AUTOMATIC = "automatic"
# As the table of breaks has room for.
REFERENCE_CHARACTERS, OCCURRENCES_MAX = 120, 32_767
# Nobody looks into more: such a file is of another LP, or written otherwise, and would be minutes under way.
BREAKS_MAX = 10_000
State, Act = Break.State, BreakNote.Act
Key = tuple[str, str, str, str, int]


class UnableToDecideBreak(Exception):
    """The break stays as it is; the message may be shown to staff."""


class Outcome(NamedTuple):
    """A run and all the breaks of its days that are not closed."""

    run: Reconciliation
    breaks: list[Break]


def reconcile(
    *,
    tenant: str,
    venue: str,
    content: bytes,
    file_name: str,
    folder: Path,
    by: str,
    at: datetime,
    since: date | None = None,
    until: date | None = None,
) -> Outcome:
    """Read a whole statement, bring the exported log up to date, and write down what differs, all of it or nothing.

    The days are the statement's own unless given. Raises UnableToReadStatement, and what `export` raises.
    """
    _require_written(file_name)
    terms = liquidity.venue_terms(venue=venue)
    if terms is None:
        raise UnableToReadStatement(f"there is no LP {venue}")
    named = StatementFormat.objects.filter(venue=venue).first() or StatementFormat(venue=venue)
    said = read(content=content, written=named, terms=terms)
    theirs = said.executions
    first, last = _days(said, since, until)
    holds = said.positions or said.balances
    export(tenant=tenant, folder=folder)
    with opened(folder=folder, tenant=tenant) as log:
        also = {*(line.reference for line in theirs), *(line.name for line in said.taken_back)}
        every = venue_executions(
            log=log,
            tenant=tenant,
            venue=venue,
            zone=named.zone,
            since=FIRST_DAY if holds else first,
            until=last,
            also=also,
            fee=terms.commission_per_million,
        )
        known_as = known_of(log=log, venue=venue, executions=theirs)
        symbols, seq = terms_of(log=log, tenant=tenant), log.seq
    ours = [line for line in every if line.reference and first <= line.traded_on <= last]
    # Of another day is what the statement dates otherwise, the last of a reference, not what had it before.
    away = {line.reference: line for line in every if line.reference in also}
    ours += [away[name] for name in sorted(away.keys() - {line.reference for line in ours})]
    tolerance = core.Tolerance(price=named.price_tolerance, fee=named.fee_tolerance)
    found = [
        *core.breaks(ours=ours, theirs=theirs, tolerance=tolerance, known_as=known_as),
        *_held([line for line in every if line.traded_on <= last], said, named, symbols, (first, last)),
    ]
    run = Reconciliation(
        venue=venue, file_name=file_name[:200], sha256=hashlib.sha256(content).hexdigest(), since=first, until=last,
        lines=len(theirs), ours=len(ours), seq=seq, by=by, at=at,
    )  # fmt: skip
    outcome = _write(run, found, _compared(said), {f"{core.BreakKind.CASH}:{name}" for name in said.stated_once()})
    _alert(venue=venue)
    return outcome


def _require_written(file_name: str) -> None:
    """Check that a name can be kept; a disk has them of any bytes. Raises UnableToReadStatement."""
    try:
        file_name.encode()
    except UnicodeEncodeError as error:
        raise UnableToReadStatement("the name of the file is not UTF-8; give it another") from error


def _days(said: Statement, since: date | None, until: date | None) -> tuple[date, date]:
    """Return the days that a statement is of: those given, else its own. Raises UnableToReadStatement."""
    first, last = (since, until) if since and until else said.days()
    first, last = since or first, until or last
    for day in (first, last):
        if not FIRST_DAY <= day <= LAST_DAY:
            raise UnableToReadStatement(f"{day} is not between {FIRST_DAY} and {LAST_DAY}")
    if first > last:
        raise UnableToReadStatement(f"its first day, {first}, is after its last, {last}")
    outside = next((line for line in said.executions if not first <= line.traded_on <= last), None)
    if outside:
        raise UnableToReadStatement(f"line {outside.line}: {outside.traded_on} is not in {first} to {last}")
    return first, last


def _compared(said: Statement) -> set[str]:
    """Return the kinds of breaks that a statement can say the end of: what it leaves out may differ still."""
    unsaid = {
        core.BreakKind.POSITION: not said.positions,
        core.BreakKind.CASH: not said.moved(),
        core.BreakKind.FEE: bool(said.executions) and all(line.fee is None for line in said.executions),
    }
    return {kind.value for kind in core.BreakKind if not unsaid.get(kind)}


def _held(
    every: list[core.Execution],
    said: Statement,
    named: StatementFormat,
    symbols: Callable[[str], tuple[Decimal, str]],
    days: tuple[date, date],
) -> Iterable[core.Break]:
    """Yield where the LP holds something else for us than all that it ever did adds up to."""
    since, until = days
    yield from core.held_breaks(
        kind=core.BreakKind.POSITION, ours=core.net_lots(executions=every), theirs=said.positions, stated_on=until
    )
    if stated := said.moved():
        moved, count = core.cash_moved(executions=every, since=since, terms=symbols)
        for line in said.money:
            # What an LP takes for a night is its own affair, and no deal of ours: as it says, or every swap is a break.
            moved[line.name] = moved.get(line.name, Decimal(0)) + line.amount
        yield from core.held_breaks(
            kind=core.BreakKind.CASH,
            ours={
                currency: round_money(amount=amount, currency=currency)
                for currency, amount in moved.items()
                if currency not in said.stated_once()
            },
            theirs=stated,
            stated_on=until,
            # Each of them may have been rounded, and its fee be another by as much as a fee may be.
            tolerance={currency: named.fee_tolerance * times for currency, times in count.items()},
        )


@transaction.atomic
def _write(run: Reconciliation, found: Iterable[core.Break], compared: set[str], unsaid: set[str]) -> Outcome:
    now = _numbered(found)
    with connection.cursor() as cursor:
        # Two runs of one LP take turns, else both would open the same breaks.
        cursor.execute("select pg_advisory_xact_lock(hashtext(current_schema() || %s))", [f":break:{run.venue}"])
    every = Break.objects.select_for_update(of=("self",)).select_related("found_in")
    mine = every.filter(venue=run.venue).exclude(state=State.CLOSED).order_by("id")
    # A break of a day out of this statement is another statement's, unless this one names it again.
    known = {_key(each): each for each in mine if _is_of(each, run) or _key(each) in now}
    fresh = now.keys() - known.keys()
    fresh -= _accepted(run.venue, {key: now[key] for key in fresh})
    gone = [
        key for key, each in known.items() if key not in now and each.kind in compared and each.reference not in unsaid
    ]
    run.breaks_new, run.breaks_known, run.breaks_gone = len(fresh), len(now) - len(fresh), len(gone)
    run.save()
    made = [_opened(run, now[key], key) for key in now if key in fresh]
    Break.objects.bulk_create(made)
    _note(made, Act.FOUND, f"in {run.file_name}, event {run.seq}", run.by, run.at)
    over = [known[key] for key in gone]
    Break.objects.filter(pk__in=[each.pk for each in over]).update(state=State.CLOSED, closed_at=run.at)
    _note(over, Act.GONE, f"no longer differs in {run.file_name}, event {run.seq}", AUTOMATIC, run.at)
    return Outcome(run, [*(each for key, each in known.items() if key in now), *made])


def _accepted(venue: str, fresh: dict[Key, core.Break]) -> set[Key]:
    """Return which of these a person has closed before, with these figures: nobody decides one fact twice.

    Of another day it is another fact: some LPs begin their references anew with each day, cash may differ each month by
    as much, and what is held may have come right in between.
    """
    names = {key[1] for key in fresh}
    decided = Break.objects.filter(
        venue=venue, state=State.CLOSED, reference__in=names, notes__act=Act.CLOSED
    ).distinct()
    known = {(_key(each), each.traded_on) for each in decided}
    return {key for key, each in fresh.items() if (key, each.traded_on) in known}


def _is_of(each: Break, run: Reconciliation) -> bool:
    """Can a run tell whether a break still stands? What an LP dates otherwise stands in its own day's statement."""
    home = each.found_in
    if home.since <= each.traded_on <= home.until:
        return run.since <= each.traded_on <= run.until
    return run.since <= home.since and home.until <= run.until


def assign(*, break_id: int, owner: Any, by: Any, at: datetime) -> Break:
    """Give a break to somebody. Raises UnableToDecideBreak where it is closed."""
    return _decide(break_id, Act.ASSIGNED, f"to {owner.get_username()}", by, at, owner=owner)


def explain(*, break_id: int, text: str, by: Any, at: datetime) -> Break:
    """Say why it differs; it stays until it is closed. Raises UnableToDecideBreak."""
    return _decide(break_id, Act.EXPLAINED, text, by, at, state=State.EXPLAINED)


def close(*, break_id: int, text: str, by: Any, at: datetime) -> Break:
    """Close a break for good, with the reason. Raises UnableToDecideBreak."""
    return _decide(break_id, Act.CLOSED, text, by, at, state=State.CLOSED, closed_at=at)


def _decide(break_id: int, act: str, text: str, by: Any, at: datetime, **changes: Any) -> Break:
    if not text.strip():
        raise UnableToDecideBreak("Say why.")
    with transaction.atomic():
        found = Break.objects.select_for_update().filter(pk=break_id).first()
        if found is None or found.state == State.CLOSED:
            raise UnableToDecideBreak("This break is closed, or there is none.")
        for name, value in changes.items():
            setattr(found, name, value)
        found.save()
        _note([found], act, text.strip(), by.get_username(), at)
    _alert(venue=found.venue)
    return found


def _alert(*, venue: str) -> None:
    """Show the dealers how many breaks with an LP nobody has explained."""
    count = Break.objects.filter(venue=venue, state=State.OPEN).count()
    text = f"{count} breaks that nobody has explained; see the back office" if count else ""
    troubles = Troubles(redis_url=settings.REDIS_URL, name=f"statement of {venue}")
    troubles.say(tenant=current_schema(), text=text)


def _numbered(found: Iterable[core.Break]) -> dict[Key, core.Break]:
    """Return breaks by key; of several that say the same each is one more occurrence. Raises UnableToReadStatement."""
    times: Counter[tuple[str, str, str, str]] = Counter()
    numbered: dict[Key, core.Break] = {}
    for each in found:
        # An LP may give longer ids than anybody reads; of two with one beginning each has its own occurrence.
        said = (each.kind.value, each.reference[:REFERENCE_CHARACTERS], each.ours, each.theirs)
        times[said] += 1
        if times[said] > OCCURRENCES_MAX:
            raise UnableToReadStatement(
                f"line {each.line}: {said[1]} says the same more than {OCCURRENCES_MAX} times; is it a statement?"
            )
        numbered[*said, times[said]] = each
    if len(numbered) > BREAKS_MAX:
        raise UnableToReadStatement(
            f"it differs in {len(numbered)} breaks, at most {BREAKS_MAX} are kept of a statement; is it of this LP?"
        )
    return numbered


def _key(each: Break) -> Key:
    return (each.kind, each.reference, each.ours, each.theirs, each.occurrence)


def _opened(run: Reconciliation, each: core.Break, key: Key) -> Break:
    return Break(
        venue=run.venue, kind=each.kind.value, reference=key[1], occurrence=key[-1], symbol=each.symbol,
        ours=each.ours, theirs=each.theirs, traded_on=each.traded_on, line=each.line, found_in=run, opened_at=run.at,
    )  # fmt: skip


def _note(rows: Iterable[Break], act: str, text: str, by: str, at: datetime) -> None:
    BreakNote.objects.bulk_create([BreakNote(of=each, act=act, text=text[:500], by=by, at=at) for each in rows])
