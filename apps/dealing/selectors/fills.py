"""Clients' fills as the desk sees them: the latest, those of a bad window, and what taking them back would move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection

from apps.common.times import microseconds
from piggy.core import positions
from piggy.core.bust_commands import FillOnRecord
from piggy.core.busting import FILLS_MAX
from piggy.core.events import NegativeBalanceWrittenOff, OrderFilled
from piggy.core.money import plain
from piggy.core.orders import Side
from piggy.messaging.upcasting import event_of

DEALS_MAX = 200
ZERO = Decimal(0)
CENT = Decimal("0.01")

STANDING = """f.quantity > 0 and not exists (
  select from trading_fill b where b.order_id = f.order_id and b.fill_id = f.fill_id and b.quantity < 0
)"""
LATEST = """
select seq, fill_id, order_id, account_id, symbol, side, quantity, price, raw_price, book, counterparty, realised,
       commission, markup_revenue, premium, guarantee_cost, reason, filled_at, position_id
from trading_fill order by seq desc limit %s
"""
# Asked of those orders only: beside LATEST the planner keeps ready all that was ever taken back, and reads every fill.
TAKEN_BACK = "select order_id, fill_id from trading_fill where order_id = any(%s) and quantity < 0"
IN_WINDOW = f"""
select f.seq from trading_fill f
where f.symbol = %(symbol)s and f.filled_at between %(since)s and %(until)s
  and (f.raw_price between %(price_from)s and %(price_to)s or f.price between %(price_from)s and %(price_to)s)
  and (%(venue)s = '' or f.counterparty = %(venue)s) and {STANDING}
order by f.seq limit %(rows)s
"""
# Two clients who met have fills of the same command at the same price, each naming the other's order.
OTHER_SIDES = f"""
select f.seq from trading_fill f join trading_fill m on m.seq = any(%s)
where m.book = 'CROSS' and f.book = 'CROSS' and f.order_id = m.counterparty and f.counterparty = m.order_id
  and f.quantity = m.quantity and f.raw_price = m.raw_price and f.filled_at = m.filled_at and {STANDING}
"""
# A command's events follow each other, from its first to the first one of the next. OFFSET keeps the parts apart, as in
# engine/recall.py: else all of the log is sorted.
EVENTS = """
with commands as materialized (select distinct seq - position as began from event_log where seq = any(%s)),
part as materialized (select began, coalesce(
  (select seq from event_log where seq > began and position = 0 order by seq limit 1), 9223372036854775807) as ended
  from commands)
select e.seq, e.version, e.payload, (extract(epoch from e.recorded_at) * 1000000)::bigint
from part cross join lateral (
  select * from event_log where seq >= began and seq < ended order by seq offset 0) as e
where e.type in ('OrderFilled', 'NegativeBalanceWrittenOff') order by e.seq
"""
HISTORY = """
select f.position_id, f.fill_id, f.side, f.quantity, f.price, f.book, f.conversion_rate, i.contract_size, a.currency
from trading_fill f join instruments_instrument i using (symbol) join accounts_account a using (account_id)
where f.account_id = any(%s) and f.position_id = any(%s) order by f.seq
"""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Where prices were bad: a symbol, an LP or '' for all, prices and times from and to, both included."""

    symbol: str
    price_from: Decimal
    price_to: Decimal
    since: datetime
    until: datetime
    venue: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a bust would take back, and whose money would move; `digest` names exactly these fills."""

    fills: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    digest: str
    too_many: bool = False


def deals() -> list[dict[str, Any]]:
    """Return the latest fills, newest first; decimals are text, times UTC microseconds."""
    with connection.cursor() as cursor:
        cursor.execute(LATEST, [DEALS_MAX])
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        cursor.execute(TAKEN_BACK, [[row["order_id"] for row in rows]])
        gone = set(cursor.fetchall())
    return [_told(row) | {"key": str(row["seq"]), "stands": _stands(row, gone)} for row in rows]


def _stands(row: dict[str, Any], gone: set[tuple[Any, ...]]) -> bool:
    return row["quantity"] > 0 and (row["order_id"], row["fill_id"]) not in gone


def fills_in(*, window: Window) -> list[FillOnRecord]:
    """Return the standing fills of a window with the other side of each that two clients made, oldest first."""
    asked = {name: getattr(window, name) for name in Window.__struct_fields__}
    with connection.cursor() as cursor:
        cursor.execute(IN_WINDOW, asked | {"rows": FILLS_MAX + 1})
        seqs = [seq for (seq,) in cursor.fetchall()]
    return fills_of(seqs=seqs)


def fills_of(*, seqs: Sequence[int]) -> list[FillOnRecord]:
    """Return these fills out of the log, with the other side of each that two clients made, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(OTHER_SIDES, [list(seqs)])
        wanted = {*seqs, *(seq for (seq,) in cursor.fetchall())}
        cursor.execute(EVENTS, [sorted(wanted)])
        rows = cursor.fetchall()
    found: dict[int, FillOnRecord] = {}
    latest = 0
    for seq, version, payload, at_us in rows:
        event = event_of(payload=bytes(payload), version=version)
        if isinstance(event, OrderFilled):
            latest = seq
            if seq in wanted:
                found[seq] = _on_record(event, seq=seq, at_us=at_us)
        elif isinstance(event, NegativeBalanceWrittenOff) and _made_good(found.get(latest), event):
            found[latest] = msgspec.structs.replace(found[latest], written_off=event.amount)
    return [found[seq] for seq in sorted(found)]


def preview(*, fills: Sequence[FillOnRecord]) -> Preview:
    """Return what taking `fills` back would do to each account: lots that go, cash that comes at the recorded rates."""
    return Preview(
        fills=[_plain(fill) for fill in fills],
        accounts=_accounts(fills),
        digest=digest_of(fills=fills),
        too_many=len(fills) > FILLS_MAX,
    )


def digest_of(*, fills: Iterable[FillOnRecord]) -> str:
    """Return 16 hex digits that name exactly these fills."""
    return hashlib.sha256(",".join(str(fill.seq) for fill in fills).encode()).hexdigest()[:16]


def _made_good(fill: FillOnRecord | None, event: NegativeBalanceWrittenOff) -> bool:
    return fill is not None and fill.account_id == event.account_id and event.amount > 0


def _on_record(event: OrderFilled, *, seq: int, at_us: int) -> FillOnRecord:
    told = {name: getattr(event, name) for name in FillOnRecord.__struct_fields__ if hasattr(event, name)}
    return FillOnRecord(seq=seq, at_us=at_us, **told)


def _accounts(fills: Sequence[FillOnRecord]) -> list[dict[str, Any]]:
    realised = _realised_without(fills)
    sums: dict[str, dict[str, Any]] = {}
    for fill in fills:
        row = sums.setdefault(
            fill.account_id, {"account_id": fill.account_id, "fills": 0, "lots": ZERO, "commission": ZERO, "back": ZERO}
        )
        row["fills"] += 1
        row["lots"] += fill.side.sign * fill.quantity
        row["commission"] += fill.commission + fill.premium
        row["back"] -= fill.written_off
    for position_id, amount in realised.items():
        owner = next(fill for fill in fills if fill.position_id == position_id)
        sums[owner.account_id]["back"] += amount
    return [
        {
            "account_id": row["account_id"],
            "fills": row["fills"],
            "lots": plain(row["lots"]),
            "commission": plain(row["commission"].quantize(CENT)),
            "cash": plain((row["back"] + row["commission"]).quantize(CENT)),
        }
        for row in sorted(sums.values(), key=lambda row: row["account_id"])
    ]


def _realised_without(fills: Sequence[FillOnRecord]) -> dict[str, Decimal]:
    """Return by position what its realised profit would be more without these fills, in the account's currency."""
    gone = {fill.fill_id for fill in fills}
    histories: dict[str, list[positions.Fill]] = {}
    terms: dict[str, tuple[Decimal, str]] = {}
    with connection.cursor() as cursor:
        names = [list({getattr(fill, name) for fill in fills}) for name in ("account_id", "position_id")]
        cursor.execute(HISTORY, names)
        rows = cursor.fetchall()
    busted = {fill_id for _, fill_id, _, quantity, *_ in rows if quantity < 0}
    for position_id, fill_id, side, quantity, price, book, rate, contract_size, currency in rows:
        if fill_id not in busted:
            fill = positions.Fill(
                fill_id=fill_id, side=Side(side), quantity=quantity, price=price, book=book, rate=rate
            )
            histories.setdefault(position_id, []).append(fill)
            terms[position_id] = (contract_size, currency)
    return {
        position_id: _realised([fill for fill in history if fill.fill_id not in gone], *terms[position_id])
        - _realised(history, *terms[position_id])
        for position_id, history in histories.items()
    }


def _realised(fills: Iterable[positions.Fill], contract_size: Decimal, currency: str) -> Decimal:
    return positions.booked(fills=fills, contract_size=contract_size, currency=currency)


def _plain(fill: FillOnRecord) -> dict[str, Any]:
    return {
        "seq": fill.seq,
        "at": fill.at_us,
        "fill_id": fill.fill_id,
        "account_id": fill.account_id,
        "side": fill.side.value,
        "quantity": plain(fill.quantity),
        "price": plain(fill.price),
        "book": fill.book,
        "counterparty": fill.counterparty,
    }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    at_us = microseconds(row.pop("filled_at"))
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in row.items()} | {"at": at_us}
