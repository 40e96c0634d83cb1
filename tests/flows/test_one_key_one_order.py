"""However often the same order is sent, by API or by signal, there is one, and every asker hears the same."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from piggy.messaging import signing
from tests.flows.venue import RunningVenue, place, wait

AT_ONCE = 50
DECIDED_S_MAX = 60.0
ORDER = {"account_id": "A1002", "symbol": "EURUSD", "side": "buy", "quantity": "0.10"}
STRATEGY, ACCOUNT = "quant-1", "A1001"

pytestmark = pytest.mark.timeout(400)


def test_one_key_sent_fifty_times_at_once_is_one_order(running: RunningVenue) -> None:
    key = uuid.uuid4().hex
    with running.web("bob") as web, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: decided(web, key=key, **ORDER, client_order_id=key), range(AT_ONCE)))
        assert {answer.status_code for answer in answers} == {201}, {answer.text for answer in answers}
        assert len({answer.text for answer in answers}) == 1
        other = decided(web, key=key, **{**ORDER, "quantity": "0.20"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
        missing = web.post("/api/v1/orders", json=ORDER)
        assert (missing.status_code, missing.json()["field"]) == (400, "Idempotency-Key")
        wait(running.settled, what=running.unsettled)
        rows = web.get("/api/v1/orders").json()["results"]
    assert [row["order_id"] for row in rows if row["client_order_id"] == key] == [answers[0].json()["order_id"]]


def test_a_signed_signal_sent_twice_is_one_order(running: RunningVenue) -> None:
    body = signal_body()
    first, second = (send_signed(running, body) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
    assert second.json() == {**first.json(), "duplicate": True}
    changed = send_signed(running, {**body, "quantity": "0.02"})
    assert changed.status_code == 409
    assert send_signed(running, signal_body(), secret="0" * 64).status_code == 401
    assert orders_by_signal(running) == 1


def test_a_capability_url_called_twice_is_one_order(running: RunningVenue) -> None:
    before = orders_by_signal(running)
    path = signing.capability_path(
        key=running.signal_key(), tenant="acorn", strategy=STRATEGY, account_id=ACCOUNT, key_version=1
    )
    # Another quantity: the gate takes the same order within a second for a slip of the hand.
    body = {**signal_body(), "quantity": "0.03", "time": str(int(time.time()))}
    with running.edge() as edge:
        first = edge.post(path, json=body)
        second = edge.post(path, json={**body, "time": str(int(time.time()) + 1)})
        assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
        assert second.json() == {**first.json(), "duplicate": True}
        assert edge.post(path, json={**body, "action": "sell"}).status_code == 409
        assert edge.post(path[:-1] + ("0" if path[-1] != "0" else "1"), json=signal_body()).status_code == 401
    assert orders_by_signal(running) == before + 1


def decided(web: httpx.Client, *, key: str, **body: str) -> httpx.Response:
    """Ask as a client does: who hears that nobody knows yet, or that too many ask, asks again under the same key."""
    until_s = time.monotonic() + DECIDED_S_MAX
    while (answer := place(web, key=key, **body)).status_code in (202, 503) and time.monotonic() < until_s:
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    return answer


def signal_body() -> dict[str, str]:
    return {"id": uuid.uuid4().hex, "symbol": "EURUSD", "action": "buy", "quantity": "0.01"}


def send_signed(running: RunningVenue, body: dict[str, str], *, secret: str = "") -> httpx.Response:
    raw, now = json.dumps(body).encode(), str(int(time.time()))
    known = signing.strategy_secret(key=running.signal_key(), tenant="acorn", strategy=STRATEGY, key_version=1)
    signature = signing.signature(secret=secret or known, timestamp=now, body=raw)
    headers = {"X-Piggy-Timestamp": now, "X-Piggy-Signature": signature}
    with running.edge() as edge:
        return edge.post(f"/hooks/tradingview/{STRATEGY}", content=raw, headers=headers)


def orders_by_signal(running: RunningVenue) -> int:
    wait(running.settled, what=running.unsettled)
    return int(running.rows("select count(*) from trading_order where principal like 'strategy:%'")[0][0])
