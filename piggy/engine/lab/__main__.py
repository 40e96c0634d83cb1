"""python -m piggy.engine.lab TENANT: a Request as JSON on stdin; lines of JSON on stdout, the last one the result.

A process of its own: it may take minutes of one core, and whoever asked for it ends it by ending the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import msgspec
import psycopg

from piggy.engine.lab import running
from piggy.engine.priority import give_way
from piggy.engine.recovery import UnableToRead
from piggy.messaging.tape import UnableToReadTape

NICE = 10
PROGRESS_STEP = 0.01
REFUSALS = (running.UnableToReplay, UnableToReadTape, UnableToRead, psycopg.Error)


def say(*, message: object) -> None:
    """Write one line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


class Progress:
    """Says how far it is, seldom enough to cost nothing."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, part: float) -> None:
        if part - self._said >= PROGRESS_STEP:
            self._said = part
            say(message={"progress": round(part, 3)})


async def _run(tenant: str, request: running.Request) -> None:
    async with await _connect(tenant) as connection, await _connect(tenant) as log_connection:
        source = running.Source(
            connection=connection,
            log_connection=log_connection,
            context_key=bytes.fromhex(os.environ["PIGGY_CONTEXT_KEY"]),
            tenant=tenant,
        )
        figures, rows = await running.run(source=source, request=request, progress=Progress())
        for row in rows:
            say(message={"difference": row})
        say(message={"result": figures})


async def _connect(tenant: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        os.environ["DATABASE_URL"], autocommit=True, application_name=f"piggy-lab-{tenant}"
    )


def main() -> int:
    """Run once; returns 2 where the request cannot be read, 3 where the replay cannot be made."""
    give_way(nice=NICE)
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=running.Request)
    except msgspec.ValidationError as error:
        say(message={"error": str(error)})
        return 2
    try:
        asyncio.run(_run(sys.argv[1], request))
    except REFUSALS as error:
        say(message={"error": str(error)})
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
