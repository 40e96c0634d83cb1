"""Reports of LPs: kept as they came, once each, then told to the engine until it has recorded them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.liquidity import selectors
from apps.liquidity.models import VenueOrder, VenueReport
from apps.outbox.selectors import commands_in_log
from piggy.adapters import tracking
from piggy.adapters.interface import ReportKind
from piggy.adapters.interface import VenueReport as Report
from piggy.core.commands import AnyCommand, Envelope, RecordVenueFill
from piggy.messaging import codec
from piggy.messaging.client import Client, UnableToTell, command_id_of

RETELL_AFTER_S = 3
SWEEP_ROWS_MAX = 500
TOLD_MAX = 50

log = structlog.get_logger(__name__)


class Told(NamedTuple):
    """What a report led to: the envelope for the engine if any, and whether the LP should be asked for a status."""

    envelope: Envelope | None = None
    ask_status: bool = False


def record_report(*, tenant: str, venue: str, report: Report, raw: str, now_us: int) -> Told:
    """Keep a report and bring its order up to date, in one transaction; a repeat only counts. Committed on return."""
    with transaction.atomic():
        row, created = VenueReport.objects.get_or_create(
            venue=venue,
            key=report.key,
            defaults={"kind": report.kind, "cl_ord_id": report.cl_ord_id, "raw": raw, "note": report.text},
        )
        if not created:
            VenueReport.objects.filter(pk=row.pk).update(repeats=F("repeats") + 1)
            return Told()
        order = VenueOrder.objects.select_for_update().filter(venue=venue, cl_ord_id=report.cl_ord_id).first()
        command = tracking.take(order=order, report=report, venue=venue, now_us=now_us)
        if order is not None:
            order.save()
        ask = report.kind is ReportKind.DOUBT
        return Told(_keep_command(tenant, row, command) if command else None, ask)


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
    key = "parked:" + hashlib.sha256(raw.encode()).hexdigest()
    VenueReport.objects.get_or_create(
        venue=venue, key=key, defaults={"kind": "parked", "raw": raw, "note": error[:300]}
    )
    log.error("venue_message_parked", venue=venue, error=error)


def tell(*, tenant: str, told: Told) -> None:
    """Tell the engine now; where Redis is away the sweep does it later."""
    if told.envelope is None:
        return
    try:
        _client().tell(tenant=tenant, envelope=told.envelope)
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
    told_again = [row.pk for row in missing if row.kind not in (ReportKind.FILL, *tracking.RESTATING)]
    VenueReport.objects.filter(pk__in=told_again).update(told_count=F("told_count") + 1)
    return len(missing)


def _own(tenant: str, order: VenueOrder, kind: str, key: str, text: str, command: AnyCommand) -> Envelope:
    row = VenueReport.objects.create(venue=order.venue, key=key, kind=kind, cl_ord_id=order.cl_ord_id, note=text[:300])
    return _keep_command(tenant, row, command)


def _keep_command(tenant: str, row: VenueReport, command: AnyCommand) -> Envelope:
    if isinstance(command, RecordVenueFill):
        command_id = command_id_of("fill", tenant, row.venue, command.fill_id)
    else:
        command_id = command_id_of("report", tenant, row.venue, row.key)
    envelope = Envelope(command_id=command_id, command=command, principal=f"venue:{row.venue}")
    VenueReport.objects.filter(pk=row.pk).update(command_id=command_id, envelope=codec.encode(envelope))
    return envelope


@cache
def _client() -> Client:
    return Client(redis_url=settings.REDIS_URL)
