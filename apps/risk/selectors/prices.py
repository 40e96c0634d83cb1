"""What open positions are worth: the desk's live quotes as the engine last told them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import redis
from django.conf import settings

from piggy.messaging import streams

# Nobody is told of a loss at a price that may no longer hold.
QUOTE_AGE_MS_MAX = 60_000
FRAME_AGE_US_MAX = 60_000_000
PIVOT = "USD"

_redis = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)


class Quotes:
    """Bids and asks by symbol at `now_us`; what is older than a minute is not there."""

    def __init__(self, *, tenant: str, now_us: int) -> None:
        found: Any = _redis.get(streams.desk_snapshot_key(tenant=tenant, panel="quotes"))
        frame: dict[str, Any] = msgspec.json.decode(found) if found else {"rows": {}, "at_us": 0}
        is_fresh = now_us - frame["at_us"] <= FRAME_AGE_US_MAX
        self._rows: dict[str, dict[str, Any]] = {
            symbol: row
            for symbol, row in (frame["rows"] if is_fresh else {}).items()
            if row.get("bid") and row.get("ask") and (row.get("age_ms") or 0) <= QUOTE_AGE_MS_MAX
        }

    def closing(self, *, symbol: str, quantity: Decimal) -> Decimal | None:
        """Return what a position of signed lots would close at before markup, None without a live price."""
        row = self._rows.get(symbol)
        return Decimal(row["bid"] if quantity > 0 else row["ask"]) if row else None

    def rate(self, *, source: str, target: str) -> Decimal | None:
        """Return units of `target` for one of `source` at the mids, through USD; None where a leg has no live price."""
        if source == target:
            return Decimal(1)
        sold, bought = self._in_pivot(source), self._in_pivot(target)
        return sold / bought if sold and bought else None

    def _in_pivot(self, currency: str) -> Decimal | None:
        if currency == PIVOT:
            return Decimal(1)
        direct, inverse = self._mid(f"{currency}{PIVOT}"), self._mid(f"{PIVOT}{currency}")
        return direct or (1 / inverse if inverse else None)

    def _mid(self, symbol: str) -> Decimal | None:
        row = self._rows.get(symbol)
        return (Decimal(row["bid"]) + Decimal(row["ask"])) / 2 if row else None
