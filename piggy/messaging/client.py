"""The only door in: commands to a tenant's engine, and market data from its workers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
import redis

from piggy.core.answers import Answer
from piggy.core.commands import Envelope
from piggy.messaging import codec, lanes, streams
from piggy.messaging.identity import command_id_of as command_id_of
from piggy.messaging.installation import Claim, UnableToShare

# The Redis client gives up on a silent connection after five seconds; who waits longer asks again.
WAIT_S_MAX = 4.0
LOOK_S = 1.0

# How Redis refuses to write: what it has on disk cannot grow, or what it has in memory may not.
NO_ROOM = ("MISCONF", "OOM", "command not allowed when used memory")


class UnableToTell(Exception):
    """The command is not on the stream, or nobody knows whether it is: ask again under the same command id."""


class UnableToStore(UnableToTell):
    """The stream has no room, on disk or in memory; the command is not on it."""


class UnableToUnderstand(UnableToTell):
    """The engine answered in words that this program does not know, as while only one of both is of a newer version."""


class Client:
    """A synchronous, thread-safe door to the engines behind one Redis.

    Who says `identity`, which database ours is, tells nothing to the engines of another installation.
    """

    def __init__(self, *, redis_url: str, identity: Callable[[], str] | None = None) -> None:
        self._identity = identity
        self._claim: Claim | None = None
        self._look_at_s = 0.0
        self._redis_url = redis_url
        self._redis = redis.Redis.from_url(redis_url, socket_connect_timeout=2, health_check_interval=30)

    def ask(self, *, tenant: str, envelope: Envelope, wait_s: float) -> Answer | None:
        """Send a command and return its answer after commit, or None past `wait_s` seconds (it may still be done).

        Raises UnableToTell where Redis is away, UnableToUnderstand where the answer is none that is known here.
        """
        asked = _with_reply(envelope)
        self.tell(tenant=tenant, envelope=asked)
        return self._answer(tenant=tenant, envelope=asked, until_s=time.monotonic() + wait_s)

    def ask_all(self, *, tenant: str, envelopes: Sequence[Envelope], wait_s: float) -> list[Answer | None]:
        """Send commands in one round trip; return what `ask` does for each, `wait_s` being for all. Raises alike."""
        asked = [_with_reply(each) for each in envelopes]
        self.tell_all(tenant=tenant, envelopes=asked)
        until_s = time.monotonic() + wait_s
        return [self._answer(tenant=tenant, envelope=each, until_s=until_s) for each in asked]

    def _answer(self, *, tenant: str, envelope: Envelope, until_s: float) -> Answer | None:
        key = streams.reply_key(tenant=tenant, request_id=envelope.reply_to)
        try:
            while (left_s := until_s - time.monotonic()) > 0:
                if reply := self._redis.blpop([key], timeout=max(0.01, min(left_s, WAIT_S_MAX))):
                    return codec.decode_answer(cast("tuple[bytes, bytes]", reply)[1])
        except redis.RedisError as error:
            raise UnableToTell(f"The answer could not be read: {error}") from error
        except msgspec.DecodeError as error:
            raise UnableToUnderstand(f"The answer is none that is known here: {error}") from error
        return None

    def tell(self, *, tenant: str, envelope: Envelope) -> None:
        """Put a command on its lane of the tenant's desk and return. Raises UnableToTell where Redis is away."""
        self._require_ours()
        try:
            key = lanes.key_of(tenant=tenant, command=envelope.command)
            self._redis.xadd(key, _entry(codec.encode(envelope)))
        except redis.RedisError as error:
            kind = UnableToStore if str(error).startswith(NO_ROOM) else UnableToTell
            raise kind(f"The command could not be sent: {error}") from error

    def tell_all(self, *, tenant: str, envelopes: Sequence[Envelope]) -> None:
        """Put commands on their lanes in one round trip, in their order. Raises UnableToTell as `tell` does."""
        self._require_ours()
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for envelope in envelopes:
                    pipe.xadd(lanes.key_of(tenant=tenant, command=envelope.command), _entry(codec.encode(envelope)))
                pipe.execute()
        except redis.RedisError as error:
            raise UnableToTell(f"The commands could not be sent: {error}") from error

    def publish_market_data(self, *, tenant: str, batch: list[codec.MarketData]) -> None:
        """Send quotes and venue states to the engine; lost where nobody listens. Raises UnableToTell."""
        try:
            self._redis.publish(streams.quotes_channel(tenant=tenant), codec.encode(batch))
        except redis.RedisError as error:
            raise UnableToTell(f"Market data could not be sent: {error}") from error

    def want_prices(self, *, tenant: str, pairs: Iterable[tuple[str, str]], now_s: float) -> None:
        """Ask the engine for the own prices of clients for a while, by account and symbol. Raises UnableToTell."""
        until = now_s + streams.CLIENT_PRICES_LIFE_S
        wanted: dict[Any, Any] = {f"{account_id}|{symbol}": until for account_id, symbol in pairs}
        try:
            if wanted:
                self._redis.zadd(streams.client_prices_wanted_key(tenant=tenant), wanted)
        except redis.RedisError as error:
            raise UnableToTell(f"Prices could not be asked for: {error}") from error

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()
        if self._claim is not None:
            self._claim.close()

    def _require_ours(self) -> None:
        """Look at most once a second whose the Redis is. Raises UnableToTell."""
        if self._identity is None or time.monotonic() < self._look_at_s:
            return
        if self._claim is None:
            self._claim = Claim(redis_url=self._redis_url, identity=self._asked())
        try:
            self._claim.look()
        except UnableToShare as error:
            raise UnableToTell(str(error)) from error
        self._look_at_s = time.monotonic() + LOOK_S

    def _asked(self) -> str:
        assert self._identity is not None, "only who says whose it is looks"
        try:
            return self._identity()
        except Exception as error:
            # Whatever its database is asked with: a command that is not on the stream is one that was not told.
            raise UnableToTell(f"The database does not say which it is: {error}") from error


def _with_reply(envelope: Envelope) -> Envelope:
    return msgspec.structs.replace(envelope, reply_to=envelope.reply_to or uuid.uuid4().hex)


def _entry(data: bytes) -> dict[Any, Any]:
    return {streams.FIELD: data}
