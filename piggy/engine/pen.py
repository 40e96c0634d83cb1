"""Prepared statements on one connection, all sent at once and one transaction: what a commit costs beside its rows.

Straight on libpq, for what psycopg does around it takes half a millisecond of a thread that has better things to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format

_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Statement(NamedTuple):
    """SQL with $1, $2 …, and the type of each; `name` is unique on the connection."""

    name: bytes
    text: bytes
    types: tuple[int, ...]


class Pen:
    """Writes over a connection that nothing else uses meanwhile; it must be in autocommit."""

    def __init__(self, *, connection: psycopg.AsyncConnection[Any]) -> None:
        assert connection.autocommit, "the statements between two syncs are the transaction"
        self._link = connection.pgconn
        self._prepared: set[bytes] = set()

    async def write(self, asked: Sequence[tuple[Statement, Sequence[bytes]]]) -> list[int]:
        """Run statements with their parameters (binary) as one transaction; return how many rows each concerned.

        Raises psycopg.Error, and then nothing of it is kept.
        """
        link = self._link
        expected: list[bytes] = []
        link.enter_pipeline_mode()
        for statement, values in asked:
            if statement.name not in self._prepared and statement.name not in expected:
                link.send_prepare(statement.name, statement.text, statement.types)
                expected.append(statement.name)
            link.send_query_prepared(statement.name, values, [Format.BINARY] * len(values), Format.BINARY)
            expected.append(b"")
        link.pipeline_sync()
        results = await self._results()
        link.exit_pipeline_mode()
        failed = next((result for result in results if result.status not in _DONE), None)
        if failed is not None:
            raise _error_of(failed)
        self._prepared.update(filter(None, expected))
        return [result.command_tuples or 0 for result, name in zip(results, expected, strict=True) if not name]

    async def _results(self) -> list[Any]:
        """Return one result a message, up to the sync."""
        link = self._link
        found: list[Any] = []
        while True:
            unsent = link.flush()
            if unsent or link.is_busy():
                await self._ready(unsent=bool(unsent))
                link.consume_input()
                continue
            result = link.get_result()
            if result is None:
                # It stands between two results, and after the last that a lost connection will ever give.
                if link.status != ConnStatus.OK:
                    raise psycopg.OperationalError("the connection is lost")
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return found
            found.append(result)

    async def _ready(self, *, unsent: bool) -> None:
        loop, socket = asyncio.get_running_loop(), self._link.socket
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(socket, _wake, ready)
        if unsent:
            loop.add_writer(socket, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(socket)
            if unsent:
                loop.remove_writer(socket)


def _error_of(result: Any) -> psycopg.Error:
    """Return the error as psycopg itself would raise it, by its state."""
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    try:
        kind: type[psycopg.Error] = psycopg.errors.lookup(state)
    except KeyError:
        kind = psycopg.OperationalError
    return kind(result.error_message.decode(errors="replace").strip())


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
