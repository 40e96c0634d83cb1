"""A broker's desk without its engine: staff with a second factor, and somebody who answers as the engine."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.test import Client

from apps.dealing.services import acting
from apps.instruments.models import Instrument
from piggy.bench.desk_ground import seat_staff
from piggy.core.answers import Answer
from piggy.core.commands import Envelope
from piggy.messaging import codec, streams

LEASE = (
    "insert into public.engine_lease (shard, token, holder, expires_at) values"
    " ((select shard from public.tenants_tenant where schema_name = 'acorn'), 1, 'test', now() + interval '1 hour')"
    " on conflict (shard) do update set expires_at = excluded.expires_at"
)


class Dealer:
    """A member of staff at acorn's desk, over HTTP with the session's cookie."""

    def __init__(self, *, role: str = "dealer", username: str = "dora") -> None:
        self.name = username
        self.http = Client(headers={"host": "acorn.localhost"})
        self.http.cookies[settings.SESSION_COOKIE_NAME] = seat_staff(tenant="acorn", role=role, username=username)

    def act(self, kind: str, *, once: str = "", **body: Any) -> Any:
        body = {"reason": "because of the news"} | body
        return self.http.post(
            f"/desk/actions/{kind}",
            json.dumps(body),
            content_type="application/json",
            headers={"idempotency-key": once or uuid.uuid4().hex},
        )


@contextmanager
def engine(server: Any, owner_sql: Any, reply: Callable[[Envelope], Answer]) -> Iterator[list[Envelope]]:
    """Hold the lease and answer every question with `reply`; yield what was heard, told and asked alike."""
    heard: list[Envelope] = []
    stopped = threading.Event()
    owner_sql(LEASE)
    thread = threading.Thread(target=_answer, args=(server, heard, stopped, reply))
    thread.start()
    try:
        with patch.object(acting, "ANSWER_WAIT_S", 60.0):  # However slow this machine is, it answers.
            yield heard
    finally:
        stopped.set()
        thread.join()
        owner_sql("delete from public.engine_lease where holder = 'test'")


def _answer(server: Any, heard: list[Envelope], stopped: threading.Event, reply: Callable[[Envelope], Answer]) -> None:
    seen = dict.fromkeys((streams.commands_key(tenant="acorn"), streams.urgent_key(tenant="acorn")), "0")
    while not stopped.wait(0.005):
        for stream, last in seen.items():
            for entry_id, fields in server.xrange(stream, min=f"({last}"):
                seen[stream] = entry_id.decode()
                envelope = codec.decode_envelope(fields[streams.FIELD])
                heard.append(envelope)
                if envelope.reply_to:
                    key = streams.reply_key(tenant="acorn", request_id=envelope.reply_to)
                    server.rpush(key, codec.encode(reply(envelope)))


def symbol(name: str) -> Instrument:
    """A pair against the dollar, not yet saved."""
    return Instrument(
        symbol=name,
        asset_class="fx_major",
        base=name[:3],
        quote="USD",
        contract_size=100_000,
        price_digits=5,
        tick_size=Decimal("0.00001"),
    )
