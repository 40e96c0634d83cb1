"""A desk's signals as a load: signed before the clock starts, sent when they are due, timed from when they were due.

An answer that comes late delays no other request, so that a slow engine cannot slow down who measures it. Where every
connection is full a request waits, and that waiting counts.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from piggy.bench.opening import SYMBOLS
from piggy.messaging import signing

ANSWER_S_MAX = 60.0
TICK_S = 0.001
CRLF2 = b"\r\n\r\n"
LENGTH = b"Content-Length: "
# An engine may be this far behind what is offered before the offer ends: then the rate is no longer sustained.
BEHIND_S_MAX = 2.0


@dataclass
class Tally:
    """Latencies in milliseconds of orders answered with 200, since when each was due (seconds of `time.perf_counter`),
    how many answers were anything else, and of each status how many there were and how one of them read."""

    latencies_ms: list[float] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)
    began_s: float = 0
    errors: int = 0
    seconds: float = 0
    statuses: dict[bytes, int] = field(default_factory=dict)
    refused_with: dict[bytes, bytes] = field(default_factory=dict)


def requests(*, key: bytes, tenant: str, host: str, strategies: int, label: str, count: int) -> list[bytes]:
    """Return `count` signed requests: strategies take turns, sides too, so that no account runs out of margin."""
    names = [f"s{number}" for number in range(strategies)]
    secrets = [signing.strategy_secret(key=key, tenant=tenant, strategy=name, key_version=1) for name in names]
    return list(islice(_signed(names, secrets, host, label), count))


def _signed(names: Sequence[str], secrets: Sequence[str], host: str, label: str) -> Iterator[bytes]:
    stamp = str(int(time.time()))
    number = 0
    while True:
        each = number % len(names)
        side = "buy" if number // len(names) % 2 else "sell"
        symbol = SYMBOLS[number % len(SYMBOLS)]
        body = f'{{"id":"{label}-{number}","symbol":"{symbol}","action":"{side}","quantity":"0.01"}}'
        proof = signing.signature(secret=secrets[each], timestamp=stamp, body=body.encode())
        yield (
            f"POST /hooks/tradingview/{names[each]} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"X-Piggy-Timestamp: {stamp}\r\nX-Piggy-Signature: {proof}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        number += 1


class _Caller(asyncio.Protocol):
    """One keep-alive connection with at most `depth` requests under way."""

    def __init__(self, tally: Tally, depth: int) -> None:
        self.due: deque[float] = deque()
        self.lost = False
        self._tally, self._depth = tally, depth
        self._rest = b""

    @property
    def free(self) -> int:
        return 0 if self.lost else self._depth - len(self.due)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._tally.errors += len(self.due)
        self.due.clear()

    def data_received(self, data: bytes) -> None:
        now, data, at = time.perf_counter(), self._rest + data, 0
        while (head := data.find(CRLF2, at)) >= 0:
            length = data.find(LENGTH, at, head) + len(LENGTH)
            end = head + len(CRLF2) + int(data[length : data.index(b"\r", length)])
            if end > len(data):
                break
            due_s = self.due.popleft()
            status = data[at + 9 : at + 12]
            if status == b"200":
                self._tally.latencies_ms.append((now - due_s) * 1_000)
                self._tally.due_s.append(due_s)
            else:
                self._tally.errors += 1
                self._tally.refused_with.setdefault(status, data[head + len(CRLF2) : end])
            self._tally.statuses[status] = self._tally.statuses.get(status, 0) + 1
            at = end
        self._rest = data[at:]


async def offer(
    *, port: int, connections: int, depth: int, batch: Sequence[bytes], per_s: float, seconds: float
) -> Tally:
    """Send `per_s` requests a second for `seconds`, or as many as are answered where it is 0; return what came back."""
    loop, tally = asyncio.get_running_loop(), Tally()
    made = [
        (await loop.create_connection(lambda: _Caller(tally, depth), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    turns, waiting = cycle(made), iter(batch)
    began = tally.began_s = time.perf_counter()
    sent, left = 0, len(batch)
    while (at := time.perf_counter()) < began + seconds and left:
        due = int((at - began) * per_s) - sent if per_s else left
        if per_s and due > per_s * BEHIND_S_MAX:
            break
        for caller in islice(turns, len(made)):
            count = min(caller.free, -(-due // len(made)) if per_s else caller.free, due, left)
            if count > 0:
                caller.due.extend([began + (sent + each + 1) / per_s if per_s else at for each in range(count)])
                caller.transport.write(b"".join(islice(waiting, count)))
                sent, due, left = sent + count, due - count, left - count
        await asyncio.sleep(TICK_S)
    until = time.perf_counter() + ANSWER_S_MAX
    while any(caller.due for caller in made) and time.perf_counter() < until:
        await asyncio.sleep(TICK_S)
    tally.seconds = time.perf_counter() - began
    tally.errors += sum(len(caller.due) for caller in made)
    for caller in made:
        caller.transport.close()
    return tally
