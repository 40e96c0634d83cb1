"""What the fields of a body are beside their types: how people write them, and what they count."""

from __future__ import annotations

import types
import typing
from typing import Any

# Minutes that people write as a time: of the week, of the day.
OF_WEEK, OF_DAY = ("opens", "closes", "from_minute", "to_minute"), ("start_minute", "end_minute")
# What a name ends in says what it counts.
UNITS = {
    "_percent": "percent",
    "_bps": "basis points",
    "_bps_per_s": "basis points per second",
    "_lots": "lots",
    "lots_min": "lots",
    "lots_max": "lots",
    "_ms": "milliseconds",
    "_s": "seconds",
    "_points": "points",
    "_points_min": "points",
    "_us": "UTC, as 2026-12-31 13:30",
    "from_minute": "as Mon 22:00, UTC",
    "to_minute": "as Fri 22:00, UTC; Sun 24:00 is the end",
    "_minute": "as 22:00, in its own zone",
    "_minutes": "minutes",
    "_turnover": "account currency a month",
    "_per_lot": "per lot",
    "contract_size": "units a lot",
    "lot_step": "lots",
    "leverage_max": "to one",
    "notional_max": "account currency",
    "weekdays": "as Mon, Fri",
    "weekday": "0 Monday to 6 Sunday",
    "opens": "as Mon 22:00, local",
    "closes": "as Fri 22:00, local; Sun 24:00 is the end",
    "holidays": "local dates, as 2026-12-25",
    "timezone": "IANA name, as Europe/London",
    "zone": "IANA name, as Europe/London",
    "priority": "lower is asked first",
    "category_evidence": "the document, and where it is kept",
    "category_evidenced_on": "its date, as 2026-12-25",
}


def unit(*, name: str) -> str:
    """Return what a field counts, or how it is written; nothing where its name says it all."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def bare(kind: Any) -> Any:
    """Return a type without the None that it may also be."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
    return kind
