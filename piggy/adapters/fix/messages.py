"""FIX text: splitting it, masking it, keeping it readable in a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

SOH = "\x01"
# Password, new password, raw data (some venues put a signature there).
SECRET_TAGS = ("554", "925", "96")
MARKET_DATA = ("W", "X", "i")
_NOT_KEPT = ("35=0", "35=W", "35=X", "35=i", "35=y")


def fields(text: str) -> dict[str, str]:
    """Return tag -> value of a message; of a repeated tag the last one, of a part without a tag nothing."""
    return dict(part.split("=", 1) for part in text.split(SOH) if "=" in part)


def masked(text: str) -> str:
    """Return the message with `|` between fields and every secret replaced by stars."""
    parts = text.rstrip(SOH).split(SOH)
    return "|".join(f"{part.partition('=')[0]}=***" if _secret(part) else part for part in parts)


def at_us(stamp: str) -> int:
    """Return a FIX UTCTimestamp (yyyymmdd-HH:MM:SS[.fraction]) in UTC microseconds. Raises ValueError."""
    if not stamp.isascii():
        raise ValueError("digits of another script")
    whole, _, fraction = stamp.partition(".")
    date, _, time = whole.partition("-")
    at = datetime(
        int(date[:4]), int(date[4:6]), int(date[6:8]), int(time[:2]), int(time[3:5]), int(time[6:8]), tzinfo=UTC
    )
    return int(at.timestamp()) * 1_000_000 + int((fraction + "000000")[:6])


def happened_at_us(*, values: dict[str, str]) -> int:
    """Return when what a message tells happened (UTC microseconds), else when it was sent for the first time.

    Raises ValueError, KeyError.
    """
    return at_us(values.get("60") or (values.get("43") == "Y" and values.get("122")) or values["52"])


def stamp(at_us: int) -> str:
    """Return UTC microseconds as a FIX UTCTimestamp in milliseconds."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H:%M:%S}.{micros // 1_000:03d}"


def change_id(*, cl_ord_id: str, change: int) -> str:
    """Return the ClOrdID of an order's change by that number, the order's own for 0."""
    return f"{cl_ord_id}-R{change}" if change else cl_ord_id


def order_id_of(*, cl_ord_id: str) -> str:
    """Return the order's own ClOrdID, whichever of its changes is named."""
    own, mark, change = cl_ord_id.rpartition("-R")
    return own if mark and change.isdigit() else cl_ord_id


def message(kind: str, body: str) -> str:
    """Return text that QuickFIX completes: it sets length, checksum, counterparties and sequence number."""
    return f"8=FIX.4.4{SOH}9=0{SOH}35={kind}{SOH}{body}10=000{SOH}"


class MessageLog:
    """Every message but quotes, heartbeats and lists of symbols, one a line, secrets masked; `journal` hears it too."""

    def __init__(self, *, path: Path, journal: Callable[[str, str], None] | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = journal
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def write(self, way: str, text: str) -> None:
        """Append one message with the time and which way it went."""
        parts = text.split(SOH, 3)
        if len(parts) > 2 and parts[2] in _NOT_KEPT:
            return
        line = masked(text)
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{datetime.now(UTC):%Y%m%d-%H:%M:%S.%f} {way} {line}\n")
        if self._journal is not None:
            self._journal(way.strip(), line)

    def close(self) -> None:
        """Close the file; later messages are dropped."""
        with self._lock:
            self._file.close()


def _secret(part: str) -> bool:
    return part.partition("=")[0] in SECRET_TAGS
