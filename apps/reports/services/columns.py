"""The columns of the exported log: what every event has, the numbers that some have, and the payload as it was hashed.

Lots and prices are decimal128(28, 10), money and rates decimal128(38, 18). An LP may quote and deal in finer steps: of
such a number the column has what people's tables have of it, rounded half to even, and the payload all of it. One that
is too large is refused. A column that an event has no field for is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException
from functools import cache
from typing import Any

from piggy.core.events import OrderAccepted, RoutingDecision
from piggy.core.rollover import business_date
from piggy.messaging.chain import Row

TEXT, LOTS, MONEY, AT = "string", "lots", "money", "at"

HEAD: tuple[tuple[str, str], ...] = (
    ("seq", "int64"),
    ("command_id", TEXT),
    ("position", "int16"),
    ("type", TEXT),
    ("version", "int16"),
    ("principal", TEXT),
    ("occurred_at", AT),
    ("recorded_at", AT),
    ("business_date", "date32"),
    ("hash", "hash"),
    ("payload", "bytes"),
)
# Taken from the event's field of that name, or from the terms of the order that it holds.
FIELDS: tuple[tuple[str, str], ...] = (
    ("supersedes", "int64"),
    ("order_id", TEXT),
    ("account_id", TEXT),
    ("group", TEXT),
    ("source", TEXT),
    ("symbol", TEXT),
    ("side", TEXT),
    ("book", TEXT),
    ("counterparty", TEXT),
    ("venue", TEXT),
    ("cl_ord_id", TEXT),
    ("hedge_id", TEXT),
    ("fill_id", TEXT),
    ("venue_fill_id", TEXT),
    ("position_id", TEXT),
    ("currency", TEXT),
    ("kind", TEXT),
    ("outcome", TEXT),
    ("quantity", LOTS),
    ("price", LOTS),
    ("raw_price", LOTS),
    ("limit_price", LOTS),
    ("bid", LOTS),
    ("ask", LOTS),
    ("benchmark_bid", LOTS),
    ("benchmark_ask", LOTS),
    ("arrival_bid", LOTS),
    ("arrival_ask", LOTS),
    ("conversion_rate", MONEY),
    ("realised", MONEY),
    ("realised_quote", MONEY),
    ("commission", MONEY),
    ("markup_revenue", MONEY),
    ("premium", MONEY),
    ("guarantee_cost", MONEY),
    ("amount", MONEY),
)
# Of the LP that routing put first when an order came.
FIRST: tuple[tuple[str, str], ...] = (("first_venue", TEXT), ("first_price", LOTS))


# Digits enough for any number that an event may hold before it is seen whether its column takes it.
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)


class UnableToTabulate(Exception):
    """An event holds a number or a text that its column cannot take; the message names event and column."""


@cache
def schema() -> Any:
    """Return the Arrow schema of an exported file."""
    # Arrow's import takes most of a second, which only an export should pay.
    import pyarrow as pa

    kinds = {
        TEXT: pa.string(),
        LOTS: pa.decimal128(28, 10),
        MONEY: pa.decimal128(38, 18),
        AT: pa.timestamp("us", tz="UTC"),
        "int64": pa.int64(),
        "int16": pa.int16(),
        "date32": pa.date32(),
        "hash": pa.binary(32),
        "bytes": pa.binary(),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in (*HEAD, *FIELDS, *FIRST)])


def table(*, rows: Sequence[Row]) -> Any:
    """Return rows of the log as an Arrow table of `schema`. Raises UnableToTabulate."""
    import pyarrow as pa

    heads = zip(*(_head(row) for row in rows), strict=True)
    events: list[Any] = [row.recorded.event for row in rows]
    terms = [getattr(event, "terms", None) for event in events]
    columns = {name: list(values) for (name, _), values in zip(HEAD, heads, strict=True)}
    for name, kind in FIELDS:
        columns[name] = [
            getattr(event, name, None) if held is None else getattr(event, name, getattr(held, name, None))
            for event, held in zip(events, terms, strict=True)
        ]
        if kind is TEXT:  # Of a setting that is a whole of its own, as a group, its payload tells.
            columns[name] = [value if isinstance(value, str) else None for value in columns[name]]
    first = [_first(event) for event in events]
    columns["first_venue"], columns["first_price"] = [each[0] for each in first], [each[1] for each in first]
    arrays = [_array(field.name, field.type, columns[field.name], rows) for field in schema()]
    return pa.Table.from_arrays(arrays, schema=schema())


def _head(row: Row) -> tuple[Any, ...]:
    recorded = row.recorded
    return (
        recorded.seq,
        recorded.command_id,
        recorded.position,
        row.type,
        row.version,
        recorded.principal,
        recorded.occurred_at_us,
        recorded.recorded_at_us,
        business_date(at_us=recorded.recorded_at_us),
        row.hash,
        row.payload,
    )


def _first(event: Any) -> tuple[str | None, Any]:
    if not isinstance(event, OrderAccepted):
        return None, None
    routing: RoutingDecision = event.routing
    best = next((seen for seen in routing.considered if seen.rank == 1), None)
    return (best.venue, best.price) if best else (None, None)


def _array(name: str, kind: Any, values: list[Any], rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    try:
        return _made(kind, values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError, DecimalException) as error:
        raise UnableToTabulate(f"event {_culprit(kind, values, rows)}, {name}: {error}") from error


def _made(kind: Any, values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid:
        if not pa.types.is_decimal(kind):
            raise
    # Seldom: most LPs deal in fewer digits than a column has.
    step = Decimal(1).scaleb(-kind.scale)
    return pa.array([None if value is None else value.quantize(step, context=WIDE) for value in values], kind)


def _culprit(kind: Any, values: list[Any], rows: Sequence[Row]) -> int:
    """Return the seq of the first row whose value is refused."""
    import pyarrow as pa

    for row, value in zip(rows, values, strict=True):
        try:
            _made(kind, [value])
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError, DecimalException):
            return row.recorded.seq
    return rows[0].recorded.seq
