"""Messages that nobody could carry out: kept in a table of their tenant with their payload, for a person (F-24)."""

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg import sql

from piggy.engine.config import EngineConfig
from piggy.engine.context import TenantContext
from piggy.engine.journal import make_durable

PUT: LiteralString = """
INSERT INTO {schema}.dead_letter (stream, entry, payload, reason, deliveries, buried_at)
VALUES (%(stream)s, %(entry)s, %(payload)s, %(reason)s, %(deliveries)s, clock_timestamp())
ON CONFLICT (stream, entry) DO NOTHING
"""


class DeadLetters:
    """Opens a connection for each, for they are few; what is not kept stays on its stream and comes again."""

    def __init__(self, *, config: EngineConfig) -> None:
        self._config = config

    async def bury(self, *, tenant: str, stream: str, entry: str, payload: bytes, reason: str, deliveries: int) -> None:
        """Keep a message; once, however often it is buried. Raises psycopg.Error."""
        async with await psycopg.AsyncConnection.connect(
            self._config.database_url, autocommit=True, connect_timeout=5
        ) as connection:
            # Its entry leaves the stream when this is committed.
            await make_durable(connection=connection)
            async with connection.transaction():
                await TenantContext(connection=connection, key=self._config.context_key).enter(tenant=tenant)
                await connection.execute(
                    sql.SQL(PUT).format(schema=sql.Identifier(tenant)),
                    {"stream": stream, "entry": entry, "payload": payload, "reason": reason, "deliveries": deliveries},
                )
