"""What single dealers look at closely: the ladder of a symbol, what a stop-out of an account would close.

The web process names them for some seconds in a sorted set; nobody else's screen costs the engine anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from piggy.core.desk import Desk
from piggy.core.execution import UnableToConvert
from piggy.core.money import ZERO
from piggy.core.orders import Side
from piggy.engine.desk_rows import Row, lots

LEVELS_MAX = 20
NAMES_MAX = 40
RESTING_MAX = 400
NAME = re.compile(r"^(depth|stopout):([A-Za-z0-9._:-]{1,60})\Z")


def focus_rows(*, desk: Desk, names: Iterable[str], now_us: int) -> dict[str, Row]:
    """Return one row for each name that can be shown; unknown symbols and accounts have none."""
    rows: dict[str, Row] = {}
    for name in list(names)[:NAMES_MAX]:
        found = NAME.match(name)
        if found is None:
            continue
        kind, key = found.groups()
        if kind == "depth" and key in desk.state.instruments:
            rows[name] = _depth(desk, key, now_us)
        elif kind == "stopout" and key in desk.state.accounts:
            rows[name] = _stop_out(desk, key, now_us)
    return rows


def _depth(desk: Desk, symbol: str, now_us: int) -> Row:
    digits = desk.state.instruments[symbol].lot_digits
    sides = {"bids": True, "asks": False}
    levels = {
        name: [
            {"venue": level.venue, "price": level.price, "size": lots(level.size, digits)}
            for level in desk.market.levels(symbol=symbol, bids=bids, now_us=now_us)[:LEVELS_MAX]
        ]
        for name, bids in sides.items()
    }
    book = {f"book_{name}": _resting(desk, symbol, Side.BUY if bids else Side.SELL) for name, bids in sides.items()}
    return {"symbol": symbol, **levels, **book}


def _resting(desk: Desk, symbol: str, side: Side) -> list[Row]:
    """Return clients' limit orders by price, best first, with how many orders make each level."""
    resting, digits = desk.state.resting.get(symbol), desk.state.instruments[symbol].lot_digits
    levels: dict[Decimal, list[Decimal]] = {}
    for at, (order_id, price) in enumerate(resting.best_first(side=side) if resting else ()):
        if at >= RESTING_MAX or (len(levels) >= LEVELS_MAX and price not in levels):
            break
        levels.setdefault(price, []).append(desk.state.orders[order_id].free)
    return [
        {"price": price, "size": lots(sum(sizes, ZERO), digits), "orders": len(sizes)}
        for price, sizes in levels.items()
    ]


def _stop_out(desk: Desk, account_id: str, now_us: int) -> Row:
    """Return the ladder as it would be now; `rungs` is empty while the account is above its stop-out."""
    try:
        plan = desk.stop_out_preview(account_id=account_id, now_us=now_us)
    except UnableToConvert as unable:
        return {"account_id": account_id, "text": str(unable), "rungs": [], "queued": []}
    if plan is None:
        return {"account_id": account_id, "text": "a position has no price", "rungs": [], "queued": []}
    return {
        "account_id": account_id,
        "text": "",
        "before": plan.before.level_percent,
        "after": plan.after.level_percent,
        "rungs": plan.rungs,
        "queued": plan.queued,
    }
