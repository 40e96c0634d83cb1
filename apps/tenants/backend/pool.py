"""Connections of the pool: how long one waits for its server, and what happens to it between two borrowers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

# The server itself ends every statement after 30 s (settings); who hears nothing for longer speaks to nobody.
SILENCE_S_MAX = 35.0
# DISCARD ALL takes no time, and few threads return every connection.
RETURN_S_MAX = 5.0
LOOK_S = 0.1

_silence_s: ContextVar[float] = ContextVar("silence_s", default=SILENCE_S_MAX)
T = TypeVar("T")


@contextmanager
def patience(*, seconds: float) -> Iterator[None]:
    """Within the block each statement of this thread waits so long for its server, and then raises OperationalError."""
    token = _silence_s.set(seconds)
    try:
        yield
    finally:
        _silence_s.reset(token)


class Patient(psycopg.Connection[object]):
    """Gives up a server that is stopped, or whose line is cut: the kernel still takes what is sent to either."""

    def wait(self, gen: PQGen[T], interval: float = LOOK_S, timeout: float | None = None) -> T:
        """Wait for what `gen` asks of the server. Raises psycopg.OperationalError; the connection is then closed."""
        try:
            return super().wait(gen, interval, _silence_s.get() if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # The answer may still come, and would be taken for that of the next statement.
            self.pgconn.finish()
            raise psycopg.OperationalError("the database does not answer") from error


def discard_all(connection: psycopg.Connection[object]) -> None:
    """Forget every session setting, the tenant's context and search path first of all.

    psycopg's pool hands an idle connection on as it is, so without this the next borrower would read as the last one.
    """
    connection.autocommit = True
    with patience(seconds=RETURN_S_MAX):
        connection.execute("DISCARD ALL")
