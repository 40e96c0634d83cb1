"""Many rows in one statement: INSERT or UPDATE from arrays. Several times as fast as rows of parameters.

Columns go over as arrays in the binary protocol; JSON columns as text that is JSON already, and the server makes
numbers out of their digits. Inside `unawaited` a statement is on its way while the next one is being made.
Inside `fitted` what no column could hold is written as far as it can be. An update that does not find its rows raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import psycopg
from django.db import connection
from django.db.models import AutoField, BigAutoField, Field, Model
from psycopg import sql

from apps.common.times import microseconds
from piggy.messaging import binary_arrays

# How a column of a type is sent; others go over as psycopg sends a list.
ARRAYS: dict[str, tuple[str, Callable[[Sequence[Any]], Any]]] = {
    "varchar": ("text", binary_arrays.texts_or_nulls),
    "text": ("text", binary_arrays.texts_or_nulls),
    "jsonb": ("text", binary_arrays.texts_or_nulls),
    "numeric": ("text", binary_arrays.texts_or_nulls),
    "bigint": ("bigint", binary_arrays.bigints),
    "integer": ("integer", binary_arrays.ints),
    "smallint": ("smallint", binary_arrays.smallints),
    "timestamp with time zone": (
        "timestamptz",
        lambda values: binary_arrays.timestamps([at if type(at) is int else microseconds(at) for at in values]),
    ),
}
# What a value of a nullable column is sent by: these know no NULL.
NEVER_NULL = ("bigint", "integer", "smallint", "timestamp with time zone")
CAST = ("jsonb", "numeric")

# PostgreSQL keeps no zero byte in a text.
NO_ZERO = str.maketrans("\0", "\ufffd")
ZERO_IN_JSON, NO_ZERO_IN_JSON = "\\u0000", "\\ufffd"

Pack = Callable[[Sequence[Any]], Any]
_fits: ContextVar[bool] = ContextVar("fits", default=False)
_unawaited: ContextVar[list[_Change] | None] = ContextVar("unawaited", default=None)


class UnableToFindRows(Exception):
    """Rows that were to change are not there; whoever goes on would lose what was to be in them."""


class Column(NamedTuple):
    """A column's attribute of a row, how it is sent, and what makes any value fit."""

    name: str
    pack: Pack
    fit: Callable[[Any], Any]


class Statement(NamedTuple):
    """SQL with a place for each column, and how to send each; whether it changes rows that must be there."""

    text: bytes
    columns: list[Column]
    changes: bool = False


class _Change(NamedTuple):
    """An update that was sent, and how many rows it must find."""

    cursor: Any
    rows: int

    def check(self) -> None:
        if self.cursor.rowcount != self.rows:
            raise UnableToFindRows(f"{self.rows} rows were to change, {self.cursor.rowcount} were there.")


def new(model: type[Model], /, **values: Any) -> Any:
    """Return a row for `insert` with the model's defaults: as an instance, made in a tenth of its time.

    Times may be integer UTC microseconds.
    """
    return SimpleNamespace(**{**_defaults(model), **values})


def insert(*, rows: Sequence[Any], model: type[Model] | None = None, repeatable: bool = False) -> None:
    """Insert `rows` of one model in one statement; `repeatable` leaves out those whose key is there already.

    With `model` a row is anything that has the model's columns as attributes: an instance takes far longer to make.
    """
    if rows:
        kind: Any = model or type(rows[0])
        _run(_insertion(kind, repeatable), rows)


def update(*, rows: Sequence[Model], names: Sequence[str]) -> None:
    """Set the fields `names` of `rows` (one model, found by primary key) in one statement.

    Raises UnableToFindRows, inside `unawaited` at its end.
    """
    if rows:
        _run(_change(type(rows[0]), tuple(names)), rows)


@contextmanager
def unawaited() -> Iterator[None]:
    """Send what is written in the block without waiting for each answer; whatever failed is raised at the end."""
    sent: list[_Change] = []
    token = _unawaited.set(sent)
    try:
        with connection.cursor(), connection.wrap_database_errors, connection.connection.pipeline():
            yield
    finally:
        _unawaited.reset(token)
    for change in sent:
        change.check()


@contextmanager
def fitted() -> Iterator[None]:
    """Cut texts to their columns, write zero bytes as U+FFFD and numbers too large as the largest that there is.

    For rows made of what cannot be refused any more; asking each value costs too much to do it always.
    """
    token = _fits.set(True)
    try:
        yield
    finally:
        _fits.reset(token)


@cache
def _insertion(model: Any, repeatable: bool) -> Statement:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField | BigAutoField)]
    # Side by side in the list, for the same in FROM is written down as a table first.
    statement = sql.SQL("insert into {table} ({columns}) select {values}{end}")
    return _made(
        statement.format(
            table=sql.Identifier(model._meta.db_table),
            columns=_joined(_column(field) for field in fields),
            values=_joined(_cast(sql.SQL("unnest({})").format(_array(field)), field) for field in fields),
            end=sql.SQL(" on conflict do nothing" if repeatable else ""),
        ),
        fields,
    )


@cache
def _change(model: Any, names: tuple[str, ...]) -> Statement:
    key = model._meta.pk
    fields: list[Any] = [key, *(model._meta.get_field(name) for name in names)]
    statement = sql.SQL(
        "update {table} as t set {changes} from (select {values} from unnest({arrays}) as v({columns})) as v"
        " where t.{key} = v.{key}"
    )
    return _made(
        statement.format(
            table=sql.Identifier(model._meta.db_table),
            changes=_joined(sql.SQL("{column} = v.{column}").format(column=_column(field)) for field in fields[1:]),
            values=_joined(
                sql.SQL("{} as {}").format(_cast(sql.SQL("v.{}").format(_column(field)), field), _column(field))
                for field in fields
            ),
            arrays=_joined(_array(field) for field in fields),
            columns=_joined(_column(field) for field in fields),
            key=_column(key),
        ),
        fields,
    )._replace(changes=True)


def _made(statement: sql.Composed, fields: Sequence[Any]) -> Statement:
    columns = [Column(field.attname, _sending(field)[1], _fitting(field)) for field in fields]
    return Statement(statement.as_bytes(None), columns)


def _run(statement: Statement, rows: Sequence[Any]) -> None:
    if _fits.get():
        values = [column.pack([column.fit(getattr(row, column.name)) for row in rows]) for column in statement.columns]
    else:
        values = [pack([getattr(row, name) for row in rows]) for name, pack, _ in statement.columns]
    with connection.cursor():  # Opens the connection and puts the tenant's context on it.
        cursor = psycopg.Cursor(connection.connection)
        binary_arrays.register(adapters=cursor.adapters)
        with connection.wrap_database_errors:
            cursor.execute(statement.text, values)
        if statement.changes:
            change, sent = _Change(cursor, len({row.pk for row in rows})), _unawaited.get()
            change.check() if sent is None else sent.append(change)


def _fitting(field: Any) -> Callable[[Any], Any]:
    kind = _type(field).split("(")[0]
    if kind == "numeric":
        most = Decimal((0, (9,) * field.max_digits, -field.decimal_places))
        return lambda value: _bounded(value, most)
    if kind == "jsonb":
        return lambda value: value.replace(ZERO_IN_JSON, NO_ZERO_IN_JSON) if isinstance(value, str) else value
    if kind in ("varchar", "text"):
        return lambda value: value.translate(NO_ZERO)[: field.max_length] if isinstance(value, str) else value
    return lambda value: value


def _bounded(value: Any, most: Decimal) -> Any:
    if not isinstance(value, Decimal):
        return value
    return max(-most, min(most, value)) if value.is_finite() else most


def _sending(field: Field[Any, Any]) -> tuple[str, Pack]:
    kind = _type(field).split("(")[0]
    if kind not in ARRAYS or (field.null and kind in NEVER_NULL):
        return kind, list
    return ARRAYS[kind]


def _array(field: Field[Any, Any]) -> sql.Composable:
    return sql.SQL("%b::{}[]").format(sql.SQL(_sending(field)[0]))  # type: ignore[arg-type]


def _cast(value: sql.Composable, field: Field[Any, Any]) -> sql.Composable:
    kind = _type(field).split("(")[0]
    return sql.SQL("{}::{}").format(value, sql.SQL(kind)) if kind in CAST else value  # type: ignore[arg-type]


def _type(field: Field[Any, Any]) -> str:
    return str(field.rel_db_type(connection) if field.is_relation else field.db_type(connection))


@cache
def _defaults(model: Any) -> dict[str, Any]:
    fields = model._meta.concrete_fields
    assert not any(field.has_default() and callable(field.default) for field in fields), (
        "a default that is made anew cannot be shared"
    )
    return {field.attname: field.get_default() for field in fields if not isinstance(field, AutoField | BigAutoField)}


def _column(field: Any) -> sql.Identifier:
    return sql.Identifier(field.column)


def _joined(parts: Any) -> sql.Composed:
    return sql.SQL(", ").join(parts)
