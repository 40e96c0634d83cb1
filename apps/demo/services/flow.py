"""A modest flow of orders over the real API, so that the desk lives. Seeded: the same seed trades the same way."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import structlog

from apps.demo.services import catalogue
from apps.demo.services.catalogue import Broker
from apps.demo.services.people import NONE, Login

PAUSE_S = (0.3, 1.2)
DESK_AWAY_S = 2.0
TIMEOUT_S = 15.0
SIZES = ("0.01", "0.02", "0.05", "0.10", "0.20", "0.50")
BIG_SIZES = ("1", "2", "5")
BIG_PERCENT = 5
SYMBOLS = tuple(row["symbol"] for row in catalogue.INSTRUMENTS)

log = structlog.get_logger(__name__)


class Trader:
    """One broker's clients, taking turns; each keeps its net position small by leaning against it."""

    def __init__(self, *, broker: Broker, logins: Sequence[Login], base_url: str, seed: int) -> None:
        self._random = random.Random(f"{seed}/{broker.schema}")
        self._broker = broker
        self._clients = [login for login in logins if login.token != NONE]
        self._net: dict[tuple[str, str], int] = {}
        self._number = 0
        self._run = f"{seed}-{random.SystemRandom().getrandbits(40):x}"
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT_S, headers={"Host": f"{broker.schema}.localhost"})

    def run(self, *, stopped: threading.Event) -> None:
        """Trade until `stopped`; a desk that is away is waited for."""
        while not stopped.wait(self._random.uniform(*PAUSE_S)):
            try:
                status = self.trade()
            except httpx.TransportError as error:
                log.warning("flow_waits", broker=self._broker.schema, error=str(error))
                status = httpx.codes.SERVICE_UNAVAILABLE
            if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                stopped.wait(DESK_AWAY_S)
        self._http.close()

    def trade(self) -> int:
        """Place one order as a client of the demo; return the HTTP status."""
        at = self._random.randrange(len(self._clients))
        account_id = catalogue.account_id(broker=self._broker, number=at)
        body = self._order(account_id)
        self._number += 1
        answer = self._http.post(
            "/api/v1/orders",
            json=body,
            headers={
                "Authorization": f"Token {self._clients[at].token}",
                "Idempotency-Key": f"flow-{self._run}-{self._number}",
            },
        )
        if answer.status_code not in (httpx.codes.CREATED, httpx.codes.UNPROCESSABLE_ENTITY):
            log.info("flow_order", broker=self._broker.schema, status=answer.status_code, body=answer.text[:200])
        return answer.status_code

    def _order(self, account_id: str) -> dict[str, Any]:
        symbol = self._random.choice(SYMBOLS)
        leaning = self._net.get((account_id, symbol), 0)
        buys = self._random.random() < 0.5 - 0.1 * max(-4, min(4, leaning))
        self._net[(account_id, symbol)] = leaning + (1 if buys else -1)
        sizes = BIG_SIZES if self._random.randrange(100) < BIG_PERCENT else SIZES
        size = self._random.choice(sizes)
        return {"account_id": account_id, "symbol": symbol, "side": "buy" if buys else "sell", "quantity": size}
