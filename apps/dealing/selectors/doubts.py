"""A leg in doubt, and every word of its venue about it, for whoever settles it by hand."""

from __future__ import annotations

from typing import Any

from apps.liquidity import selectors as liquidity
from apps.trading import selectors as trading
from piggy.core.money import plain


def what_the_venue_said(*, cl_ord_id: str) -> dict[str, Any]:
    """Return the leg as the desk has it, and what its venue said, oldest first; numbers are text, times UTC us."""
    leg = trading.leg_in_doubt(cl_ord_id=cl_ord_id)
    facts = {name: getattr(leg, name) for name in ("venue", "symbol", "side", "text")} if leg else {}
    lots = {name: plain(getattr(leg, name)) for name in ("quantity", "filled")} if leg else {}
    return {"leg": facts | lots, "reports": liquidity.said_of(cl_ord_id=cl_ord_id)}
