"""Whose Redis it is: streams and channels are named after brokers alone, and a broker's name is no secret.

Two installations behind one server, as a copy of a live one for tests under its settings, would carry out each other's
orders and hear each other's fills. So the first one puts the identity of its database there, and any other takes
nothing. It is that of the cluster: a copy of its rows in another has another.
"""

from __future__ import annotations

from typing import Any, LiteralString

import redis

KEY = "piggy:installation"
IDENTITY: LiteralString = "SELECT system_identifier || '/' || current_database() FROM pg_control_system()"
TIMEOUT_S = 2.0


class UnableToShare(Exception):
    """The Redis is another installation's; the message says what to do."""


class Claim:
    """One process's look at whose the Redis is; `identity` is what IDENTITY returned."""

    def __init__(self, *, redis_url: str, identity: str) -> None:
        self._identity = identity
        self._was_refused = False
        self._redis: Any = redis.Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
        )
        # What is published is heard in every database of a server, so there is one claim for all of them.
        self._redis.connection_pool.connection_kwargs["db"] = 0

    def look(self) -> None:
        """Claim the Redis where nobody has; of one that is away nobody takes anything. Raises UnableToShare.

        Who was refused once claims nothing any more: when the server is emptied it is its owner's turn.
        """
        try:
            found = self._redis.get(KEY)
            if found is None and not self._was_refused:
                self._redis.set(KEY, self._identity, nx=True)
                found = self._redis.get(KEY)
        except redis.RedisError:
            return
        if found is not None:
            self._was_refused = found != self._identity
        if self._was_refused:
            raise UnableToShare(
                f"The Redis at REDIS_URL is that of another installation, of the database {found}, and this one's is"
                f" {self._identity}: they would carry out each other's orders. Give each a server of its own. If the"
                f" other is no more, or became this one by an upgrade or a restore, `DEL {KEY}` in database 0 of that"
                " server and start again."
            )

    def take(self) -> None:
        """Claim the Redis whoever had it: it is known to be ours. Raises redis.RedisError."""
        self._redis.set(KEY, self._identity)

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()
