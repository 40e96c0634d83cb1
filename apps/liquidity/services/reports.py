"""Reports of LPs: kept as they came, once each, then told to the engine until it has recorded them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from msgspec import structs

from apps.liquidity import selectors
from apps.liquidity.models import VenueOrder, VenueReport
from apps.liquidity.services.denials import keep_denial
from apps.liquidity.services.sessions import drop_copy_numbers, note_heard
from apps.outbox.selectors import commands_in_log
from apps.tenants.selectors import database_identity
from piggy.adapters import tracking
from piggy.adapters.fix.messages import SOH
from piggy.adapters.interface import ReportKind
from piggy.adapters.interface import VenueReport as Report
from piggy.core.commands import AnyCommand, Envelope, RecordVenueBust, RecordVenueCorrection, RecordVenueFill
from piggy.core.money import plain
from piggy.messaging import codec
from piggy.messaging.client import Client, UnableToTell, command_id_of

RETELL_AFTER_S = 3
SWEEP_ROWS_MAX = 500
TOLD_MAX = 50
# Of FIX: length, checksum, number, PossDup, times of sending.
OF_SENDING = ("9", "10", "34", "43", "52", "122")
NOTE_MAX = 300
# One round trip for what is nearly always new; a repeat is counted by the same statement (its row is then not new).
INSERT_REPORT = """
with report as (
  insert into liquidity_venuereport
    (venue, key, kind, cl_ord_id, raw, note, repeats, command_id, envelope, told_count, received_at)
  values (%s, %s, %s, %s, %s, %s, 0, %s, %s, 0, now())
  on conflict (venue, key) do update set repeats = liquidity_venuereport.repeats + 1
  returning id, xmax = 0 as is_new
), ordered as (
  select id, state, quantity, filled, doubts, symbol, side from liquidity_venueorder
   where venue = %s and cl_ord_id = %s for update
)
select report.id, report.is_new, ordered.* from report left join ordered on true
"""
UPDATE_ORDER = """
update liquidity_venueorder set state = %s, filled = %s, doubts = %s, updated_at = now() where id = %s
"""

log = structlog.get_logger(__name__)
Fact = RecordVenueFill | RecordVenueBust | RecordVenueCorrection


class Told(NamedTuple):
    """What a report led to: the envelope for the engine if any, and the order whose status is to be asked for.

    `unmatched` says why the execution in it cannot be one of ours, the first time that it comes.
    """

    envelope: Envelope | None = None
    ask_about: str = ""
    unmatched: str = ""


class Heard(NamedTuple):
    """A message of an LP with its sequence number; `report` is what it says, None where nobody can read it.

    `unmatched` says why the execution in a message that cannot be read cannot be one of ours.
    """

    number: int
    raw: str
    report: Report | None
    error: str = ""
    unmatched: str = ""


def record_report(*, tenant: str, venue: str, report: Report, raw: str, now_us: int) -> Told:
    """Keep a report and bring its order up to date, in one transaction; a repeat only counts. Committed on return."""
    with transaction.atomic():
        return _record(tenant, venue, report, raw, now_us)


def record_reports(*, tenant: str, venue: str, heard: Sequence[Heard], now_us: int) -> list[Told]:
    """Keep what an LP said, in its order, and that it was heard: one transaction, committed on return.

    An execution that cannot be ours leaves a denial to be sent (denials.py), one however often it comes.
    """
    with transaction.atomic():
        told = []
        for each in heard:
            if each.report is None:
                park_report(venue=venue, raw=each.raw, error=each.error)
                told.append(Told(unmatched=each.unmatched))
            else:
                told.append(_record(tenant, venue, each.report, each.raw, now_us))
            if why := told[-1].unmatched:
                keep_denial(venue=venue, raw=each.raw, why=why)
        note_heard(venue=venue, incoming=max(each.number for each in heard) + 1)
    return told


def record_copies(*, tenant: str, venue: str, heard: Sequence[Heard], now_us: int) -> list[Told]:
    """Keep what an LP repeats on its drop copy as if the order session had said it; committed on return.

    What both say counts once. Nobody is told DontKnowTrade: the LP only copies what it said elsewhere.
    """
    with transaction.atomic():
        told = []
        for each in heard:
            if each.report is None:
                park_report(venue=venue, raw=each.raw, error=f"drop copy: {each.error}")
            else:
                told.append(_record(tenant, venue, each.report, each.raw, now_us)._replace(unmatched=""))
        note_heard(venue=drop_copy_numbers(venue=venue), incoming=max(each.number for each in heard) + 1)
    return told


def _record(tenant: str, venue: str, report: Report, raw: str, now_us: int) -> Told:
    report = _named_as_kept(venue, report)
    # All but answers to our own questions say by themselves what the desk is to be told.
    is_answer = report.kind is ReportKind.STATUS
    envelope = None if is_answer or report.command is None else _envelope(tenant, venue, report.key, report.command)
    row_id, order = _insert(venue=venue, report=report, raw=raw, envelope=envelope)
    if row_id is None:
        first = _first(venue, report)
        if isinstance(first, RecordVenueFill) and (other := tracking.of_another_day(report=report, first=first)):
            return _record(tenant, venue, other, raw, now_us)
        _compare(venue, report, first, raw)
        return Told()
    if order is None and (found := tracking.stray(report=report, venue=venue, now_us=now_us)):
        # However often its status comes, it is told once.
        return Told(_envelope(tenant, venue, f"stray:{report.cl_ord_id}", found))
    unmatched = tracking.unmatched(order=order, report=report)
    command = tracking.take(order=order, report=report, venue=venue, now_us=now_us)
    if order is not None:
        with connection.cursor() as cursor:
            cursor.execute(UPDATE_ORDER, [order.state, order.filled, order.doubts, order.pk])
    if is_answer and command is not None:
        envelope = _keep_command(tenant, VenueReport(pk=row_id, venue=venue, key=report.key), command)
    # A cancel that came too late, or an id that came twice: what became of the order is the answer to that.
    asks = report.kind in (ReportKind.DOUBT, ReportKind.UNCANCEL)
    return Told(envelope, report.cl_ord_id if asks else "", unmatched)


def _named_as_kept(venue: str, report: Report) -> Report:
    """Return a restatement with the id under which the execution that it names was kept, if that is another."""
    command = report.command
    if not isinstance(command, RecordVenueBust | RecordVenueCorrection):
        return report
    rows = VenueReport.objects.filter(venue=venue, cl_ord_id=report.cl_ord_id, kind=ReportKind.FILL)
    marked = f"{selectors.fill_key(fill_id=command.ref_fill_id)}@day"
    key = rows.filter(key__startswith=marked).values_list("key", flat=True).first()
    if key is None:
        return report
    fill_id = key.removeprefix(selectors.fill_key(fill_id=""))
    return structs.replace(report, command=structs.replace(command, ref_fill_id=fill_id))


def _first(venue: str, report: Report) -> Fact | None:
    """Return what was kept of an execution, or of what restates one, when it came first."""
    if not isinstance(report.command, Fact):
        return None
    kept = VenueReport.objects.filter(venue=venue, key=report.key).values_list("envelope", flat=True)[0]
    first = codec.decode_envelope(bytes(kept)).command if kept else None
    return first if isinstance(first, Fact) else None


def _compare(venue: str, report: Report, first: Fact | None, raw: str) -> None:
    """Keep an execution that comes again and says something else, for a person; the first stands (F-35)."""
    now = report.command
    if first is None or not isinstance(now, Fact) or _said(first) == _said(now):
        return
    park_report(venue=venue, raw=raw, error=f"execution {report.key} was {_said(first)}, now {_said(now)}")


def _said(fact: Fact) -> str:
    """Return what an execution or a restatement is, but for when it was."""
    if isinstance(fact, RecordVenueBust):
        return f"the end of {fact.ref_fill_id} of {fact.cl_ord_id}"
    quantity, price = plain(fact.quantity), plain(fact.price)
    instead = "" if isinstance(fact, RecordVenueFill) else f" for {fact.ref_fill_id}"
    return f"{fact.side.value} {quantity} {fact.symbol} at {price} of {fact.cl_ord_id}{instead}"


def _insert(*, venue: str, report: Report, raw: str, envelope: Envelope | None) -> tuple[int | None, VenueOrder | None]:
    """Write a report with what the engine is to be told of it; return its id and its order, locked.

    Where the report is known already there is no id, and one more repeat.
    """
    command_id = envelope.command_id if envelope else None
    values = [venue, report.key, report.kind, report.cl_ord_id, raw, report.text[:NOTE_MAX], command_id]
    with connection.cursor() as cursor:
        cursor.execute(INSERT_REPORT, [*values, codec.encode(envelope) if envelope else None, venue, report.cl_ord_id])
        row_id, is_new, *found = cursor.fetchone()
    if found[0] is None:
        return (row_id if is_new else None), None
    pk, state, quantity, filled, doubts, symbol, side = found
    order = VenueOrder(
        pk=pk,
        venue=venue,
        cl_ord_id=report.cl_ord_id,
        symbol=symbol,
        side=side,
        state=state,
        quantity=quantity,
        filled=filled,
        doubts=doubts,
    )
    return (row_id if is_new else None), order


def record_doubt(*, tenant: str, order: VenueOrder, text: str, now_us: int) -> Told:
    """Note that nobody knows what became of an open order, once until something settles it."""
    with transaction.atomic():
        order = VenueOrder.objects.select_for_update().get(pk=order.pk)
        command = tracking.doubt(order=order, text=text, now_us=now_us)
        if command is None:
            return Told()
        order.save()
        return Told(_own(tenant, order, "doubt", f"doubt:{order.cl_ord_id}:{order.doubts}", text, command))


def record_refusal(*, tenant: str, order: VenueOrder, text: str, now_us: int) -> Told:
    """Note that we never sent an order; nothing of it lives anywhere."""
    with transaction.atomic():
        order = VenueOrder.objects.select_for_update().get(pk=order.pk)
        command = tracking.refuse(order=order, text=text, now_us=now_us)
        order.save()
        return Told(_own(tenant, order, "refused", f"refused:{order.cl_ord_id}", text, command))


def park_report(*, venue: str, raw: str, error: str) -> None:
    """Keep a message that nobody could read, for a person to look at."""
    raw = raw.replace("\0", "\ufffd")  # PostgreSQL keeps no zero byte in a text.
    key = "parked:" + hashlib.sha256(SOH.join(_lasting(raw)).encode()).hexdigest()
    VenueReport.objects.get_or_create(
        venue=venue, key=key, defaults={"kind": "parked", "raw": raw, "note": error[:300]}
    )
    log.error("venue_message_parked", venue=venue, error=error)


def _lasting(raw: str) -> list[str]:
    """Return the parts of a message that are the same when it is sent again."""
    return [part for part in raw.split(SOH) if part.partition("=")[0] not in OF_SENDING]


def tell(*, tenant: str, told: Told) -> None:
    """Tell the engine now; where Redis is away the sweep does it later."""
    tell_all(tenant=tenant, told=[told])


def tell_all(*, tenant: str, told: Sequence[Told]) -> None:
    """As `tell`, all in one round trip, so that the engine may record them in one commit."""
    envelopes = [each.envelope for each in told if each.envelope is not None]
    if not envelopes:
        return
    try:
        _client().tell_all(tenant=tenant, envelopes=envelopes)
    except UnableToTell as error:
        log.warning("report_waits_for_redis", tenant=tenant, error=str(error))


def sweep(*, tenant: str, now: datetime) -> int:
    """Tell again what the engine has not recorded, note what it has; return how many were told again."""
    before = now - timedelta(seconds=RETELL_AFTER_S)
    rows = list(selectors.untold_reports().filter(received_at__lt=before, told_count__lt=TOLD_MAX)[:SWEEP_ROWS_MAX])
    if not rows:
        return 0
    recorded = commands_in_log(command_ids=[row.command_id for row in rows if row.command_id])
    VenueReport.objects.filter(command_id__in=recorded).update(heard_at=now)
    missing = [row for row in rows if row.command_id not in recorded]
    for row in missing:
        assert row.envelope is not None
        _client().tell(tenant=tenant, envelope=codec.decode_envelope(bytes(row.envelope)))
    # Fills and what restates them are told for ever; of the rest the desk may have had nothing to record.
    told_again = [row.pk for row in missing if row.kind not in selectors.FACTS]
    VenueReport.objects.filter(pk__in=told_again).update(told_count=F("told_count") + 1)
    return len(missing)


def _own(tenant: str, order: VenueOrder, kind: str, key: str, text: str, command: AnyCommand) -> Envelope:
    row = VenueReport.objects.create(venue=order.venue, key=key, kind=kind, cl_ord_id=order.cl_ord_id, note=text[:300])
    return _keep_command(tenant, row, command)


def _keep_command(tenant: str, row: VenueReport, command: AnyCommand) -> Envelope:
    envelope = _envelope(tenant, row.venue, row.key, command)
    VenueReport.objects.filter(pk=row.pk).update(command_id=envelope.command_id, envelope=codec.encode(envelope))
    return envelope


def _envelope(tenant: str, venue: str, key: str, command: AnyCommand) -> Envelope:
    if isinstance(command, RecordVenueFill):
        command_id = command_id_of("fill", tenant, venue, command.fill_id)
    else:
        command_id = command_id_of("report", tenant, venue, key)
    return Envelope(command_id=command_id, command=command, principal=f"venue:{venue}")


@cache
def _client() -> Client:
    return Client(redis_url=settings.REDIS_URL, identity=database_identity)
