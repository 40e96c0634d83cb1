"""The fast door: signals over HTTP inside the engine process, answered with the decision after its commit."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import msgspec

from piggy.core.answers import Answer
from piggy.core.commands import ActOnTime, Envelope
from piggy.core.orders import OrderState
from piggy.engine import metrics, signals
from piggy.engine.http import Connection, Connections, Request, Respond, Response
from piggy.engine.loop import Item
from piggy.engine.proofs import Proofs, unauthorised
from piggy.engine.signals import UnableToAcceptSignal
from piggy.engine.term import Term
from piggy.messaging.identity import command_id_of

log = logging.getLogger(__name__)

HOOKS = "/hooks/tradingview/"
BACKLOG_MAX = 20_000
# The real command is made from the desk when it is decided.
STAND_IN = ActOnTime()


class Edge:
    """Routes requests to the tenant that their Host names."""

    def __init__(self, *, term: Term, signal_key: bytes) -> None:
        self._term = term
        self._status = term.status
        self._proofs = Proofs(key=signal_key)
        self._connections = Connections()

    async def serve(self, *, host: str, port: int) -> None:
        """Listen until cancelled."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(handler=self.handle, connections=self._connections), host, port, backlog=1_024
        )
        log.info("edge listening", extra={"host": host, "port": port})
        async with server:
            await self._connections.watch()

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request, at once or after the commit of what it asked."""
        try:
            if request.path.startswith(HOOKS):
                self._signal(request, respond)
            else:
                respond(self._page(request))
        except UnableToAcceptSignal as error:
            respond(_refusal(error))
        except Exception:
            # The boundary of one request: the engine goes on, the client learns nothing of why.
            log.exception("request failed", extra={"path": request.path})
            respond(_json(500, {"error": "INTERNAL"}))

    def _page(self, request: Request) -> Response:
        if request.method != "GET":
            return _json(405, {"error": "METHOD_NOT_ALLOWED"})
        status = self._status
        if request.path == "/healthz":
            return _json(200, {"status": "ok", "state": status.state})
        if request.path == "/readyz":
            ready = status.state == "ACTIVE"
            told = {"state": status.state, "progress": status.progress, "halted": sorted(status.halted)}
            return _json(200 if ready else 503, told)
        if request.path == "/metrics":
            backlog = self._term.loop.backlog if self._term.loop else 0
            text = metrics.text(status=status, backlog=backlog, connections=len(self._connections.open))
            return Response(200, text.encode(), "text/plain; version=0.0.4")
        return _json(404, {"error": "NOT_FOUND"})

    def _signal(self, request: Request, respond: Respond) -> None:
        host = request.headers.get("host", "").lower()
        tenant = self._status.domains.get(host.partition(":")[0].removesuffix("."))
        strategy_id, _, mac = request.path.removeprefix(HOOKS).partition("/")
        if tenant is None:
            raise UnableToAcceptSignal(404, "NOT_FOUND", "No such address.")
        if request.method != "POST":
            raise UnableToAcceptSignal(405, "METHOD_NOT_ALLOWED", "Signals are posted.")
        loop = self._term.loop
        if loop is None or tenant not in loop.desks or loop.backlog > BACKLOG_MAX:
            raise UnableToAcceptSignal(503, "ENGINE_RECOVERING", "Try again with the same id.")
        strategy = loop.desks[tenant].state.strategies.get(strategy_id)
        if strategy is None:
            raise unauthorised()
        now_s, address = int(time.time()), request.address
        if mac:
            signal = signals.parse(body=request.body)
            self._proofs.capability(
                mac=mac, signal=signal, strategy=strategy, tenant=tenant, address=address, now_s=now_s
            )
        else:
            self._proofs.signed(
                headers=request.headers,
                body=request.body,
                strategy=strategy,
                tenant=tenant,
                address=address,
                now_s=now_s,
            )
            signal = signals.parse(body=request.body)
        envelope = Envelope(
            command_id=command_id_of("tv", tenant, strategy_id, signal.id),
            command=STAND_IN,
            principal=f"strategy:{strategy_id}",
            request_hash=signals.request_hash(signal=signal, body=request.body, signed=not mac),
            request_id=request.headers.get("x-request-id", ""),
        )
        make = signals.command_maker(signal=signal, strategy_id=strategy_id)
        loop.submit(item=Item(tenant, envelope, lambda answer: respond(answered(answer)), make))


def answered(answer: Answer | None) -> Response:
    """Return the answer's response: 200 with the order, 422 with all reasons, 409 for another body, 503 undecided."""
    if answer is None:
        return _json(503, {"error": "UNDECIDED", "text": "Nobody knows yet; try again with the same id."})
    if answer.conflict:
        return _json(409, {"error": "CONFLICT", "text": "Another body came under this id."})
    repeat = {"duplicate": True} if answer.duplicate else {}
    if answer.refused is not None:
        refused = answer.refused
        return _json(422, {"error": refused.code, "field": refused.field, "text": refused.text, **repeat})
    order = answer.order
    if order is None:
        return _json(500, {"error": "INTERNAL"})
    told = {
        "order_id": order.order_id,
        "state": order.state,
        "symbol": order.terms.symbol,
        "side": order.terms.side,
        "quantity": order.terms.quantity,
        "filled": order.filled,
        "average_price": order.average_price,
        "mode": order.routing.mode if order.routing else "",
        "reason": order.text,
        **repeat,
    }
    if order.state is not OrderState.DENIED:
        return _json(200, told)
    return _json(422, {**told, "error": "DENIED", "reasons": order.reasons})


def _refusal(error: UnableToAcceptSignal) -> Response:
    named = {"field": error.field} if error.field else {}
    return _json(error.status, {"error": error.code, **named, "text": str(error)})


def _json(status: int, told: dict[str, Any]) -> Response:
    return Response(status, msgspec.json.encode(told))
