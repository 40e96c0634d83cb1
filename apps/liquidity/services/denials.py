"""Executions that an LP reports and that cannot be ours: denied to it, once, and kept for a person."""

from __future__ import annotations

from datetime import datetime

import structlog

from apps.liquidity.models import VenueReport
from piggy.adapters.fix.messages import fields

DENIAL = "denial"
KEY_MAX = 200

log = structlog.get_logger(__name__)


def keep_denial(*, venue: str, raw: str, why: str) -> None:
    """Write down that the execution in `raw` is to be denied; `why` is a word of adapters/tracking."""
    values = fields(raw)
    # Not by its text: one that is sent again has another time and perhaps another number.
    key = ":".join((DENIAL, *(values.get(tag, "") for tag in ("37", "11", "17", "14"))))[:KEY_MAX]
    _, is_new = VenueReport.objects.get_or_create(
        venue=venue, key=key, defaults={"kind": DENIAL, "raw": raw, "note": why}
    )
    if is_new:
        log.error("venue_execution_unknown", venue=venue, why=why)


def denials(*, venue: str) -> list[VenueReport]:
    """Return what was not denied to the LP yet, oldest first."""
    return list(VenueReport.objects.filter(venue=venue, kind=DENIAL, heard_at__isnull=True).order_by("id"))


def note_denied(*, denial: VenueReport, at: datetime) -> bool:
    """Note that a denial leaves, before it does: it leaves once. Return whether it is the caller's to send."""
    return bool(VenueReport.objects.filter(pk=denial.pk, heard_at__isnull=True).update(heard_at=at))


def take_denial_back(*, denial: VenueReport) -> None:
    """Note that it did not leave."""
    VenueReport.objects.filter(pk=denial.pk).update(heard_at=None)
