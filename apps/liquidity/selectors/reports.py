"""What venues said, as it was kept."""

from __future__ import annotations

from typing import Any

from apps.common.times import microseconds
from apps.liquidity.models import VenueReport

REPORTS_MAX = 50
RAW_MAX = 500


def said_of(*, cl_ord_id: str) -> list[dict[str, Any]]:
    """Return the latest of what a venue said of one order, oldest first: at (UTC us), kind, key, note, raw."""
    rows = VenueReport.objects.filter(cl_ord_id=cl_ord_id).order_by("-id")[:REPORTS_MAX]
    return [
        {
            "at": microseconds(row.received_at),
            "kind": row.kind,
            "key": row.key,
            "note": row.note,
            "raw": row.raw.replace("\x01", "|")[:RAW_MAX],
        }
        for row in reversed(rows)
    ]


def fill_is_known(*, venue: str, fill_id: str) -> bool:
    """Return whether a venue's execution of that id was kept."""
    return VenueReport.objects.filter(venue=venue, key=fill_key(fill_id=fill_id)).exists()


def fill_key(*, fill_id: str) -> str:
    """Return the key of the report of an execution."""
    return f"F:{fill_id}"
