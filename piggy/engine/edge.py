"""The fast door over HTTP: signals, health and figures, inside the engine process (door.py says who may signal)."""

from __future__ import annotations

import asyncio
import logging

import redis.asyncio

from piggy.engine import metrics, signals
from piggy.engine.config import EngineConfig
from piggy.engine.connections import Connections
from piggy.engine.door import Door, Pass
from piggy.engine.http import Connection, Respond
from piggy.engine.http_messages import Request, Response
from piggy.engine.replies import answered, refusal, said
from piggy.engine.signals import UnableToAcceptSignal
from piggy.engine.sockets import SignalSocket
from piggy.engine.term import Term
from piggy.messaging.addresses import Proxies

log = logging.getLogger(__name__)

HOOKS = "/hooks/tradingview/"
SOCKETS = "/signals/"
PAGES = ("/healthz", "/warmz", "/readyz", "/metrics")
SAFE = ("GET", "HEAD")
HOLD_S_MAX = 4.0
HOLD_STEP_S = 0.05
# Nobody has proven anything yet who is held, and each of them is looked at again at every step.
HELD_MAX = 1_000


class Edge:
    """Routes requests to the tenant that their Host names."""

    def __init__(self, *, term: Term, config: EngineConfig) -> None:
        self._term = term
        self._status = term.status
        self._door = Door(term=term, config=config)
        self._redis_url = config.redis_url
        self._held = 0
        self._connections = Connections()
        self._proxies = Proxies(trusted=config.edge_proxies)

    async def serve(self, *, host: str, port: int) -> None:
        """Listen until cancelled."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, host, port, backlog=1_024)
        log.info("edge listening", extra={"host": host, "port": port})
        wire = redis.asyncio.Redis.from_url(self._redis_url, socket_connect_timeout=2)
        async with server, wire, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._door.refusals.run(connection=wire))
            tasks.create_task(self._connections.watch())
            tasks.create_task(self._door.waiting.watch())

    def _connection(self) -> Connection:
        return Connection(
            handler=self.handle, connections=self._connections, upgrade=self.upgrade, proxies=self._proxies
        )

    def handle(self, request: Request, respond: Respond, waited_s: float = 0) -> None:
        """Answer one request, at once or after the commit of what it asked.

        While this engine takes over, a signal waits up to HOLD_S_MAX instead of being sent away, HELD_MAX at once.
        """
        try:
            if request.path.startswith(HOOKS):
                self._signal(request, respond)
            else:
                respond(self._page(request))
        except UnableToAcceptSignal as error:
            may_wait = waited_s < HOLD_S_MAX and self._held < HELD_MAX
            if error.code == "ENGINE_RECOVERING" and self._status.state != "DRAINING" and may_wait:
                self._held += 1
                again = (request, respond, waited_s + HOLD_STEP_S)
                asyncio.get_running_loop().call_later(HOLD_STEP_S, self._handle_held, *again)
            else:
                self._note(request, error)
                respond(refusal(error))
        except Exception:
            # The boundary of one request: the engine goes on, the client learns nothing of why.
            log.exception("request failed", extra={"path": _without_capability(request.path)})
            respond(said(500, {"error": "INTERNAL"}))

    def _handle_held(self, request: Request, respond: Respond, waited_s: float) -> None:
        self._held -= 1
        self.handle(request, respond, waited_s)

    def _note(self, request: Request, error: UnableToAcceptSignal) -> None:
        """Remember what was refused under a broker's address for the strategy that it named; of others nothing."""
        try:
            tenant = self._door.tenant_of(host=request.headers.get("host", ""))
        except UnableToAcceptSignal:
            return
        entrance = SOCKETS if request.path.startswith(SOCKETS) else HOOKS
        strategy_id = request.path.removeprefix(entrance).partition("/")[0]
        named = Pass(tenant, strategy_id, 0, request.address)
        self._door.refused(passed=named, error=error, body=request.body)

    def upgrade(self, request: Request) -> SignalSocket | Response:
        """Return the socket of a strategy that proves itself, or the refusal."""
        try:
            tenant = self._door.tenant_of(host=request.headers.get("host", ""))
            if not request.path.startswith(SOCKETS):
                raise UnableToAcceptSignal(404, "NOT_FOUND", "No such address.")
            if "origin" in request.headers:
                # A page of somebody else in somebody's browser is no strategy.
                raise UnableToAcceptSignal(403, "FORBIDDEN", "Browsers do not signal.")
            if request.headers.get("sec-websocket-version") != "13":
                raise UnableToAcceptSignal(426, "UPGRADE_REQUIRED", "WebSocket of version 13.")
            strategy_id = request.path.removeprefix(SOCKETS)
            passed = self._door.enter(request=request, tenant=tenant, strategy_id=strategy_id)
            if not self._connections.may_stay(tenant=tenant):
                raise UnableToAcceptSignal(
                    429, "TOO_MANY_SOCKETS", "The broker's strategies have all the sockets they may.", retry_after_s=1
                )
            self._door.use_up(request=request, passed=passed)
        except UnableToAcceptSignal as error:
            if request.path.startswith(SOCKETS):
                self._note(request, error)
            return refusal(error)
        return SignalSocket(door=self._door, passed=passed, connections=self._connections)

    def _page(self, request: Request) -> Response:
        status = self._status
        if request.path not in PAGES:
            return said(404, {"error": "NOT_FOUND"})
        if request.method not in SAFE:
            return said(405, {"error": "METHOD_NOT_ALLOWED"}, allow=", ".join(SAFE))
        if request.path == "/healthz":
            return said(200, {"status": "ok", "state": status.state})
        if request.path == "/warmz":
            # While one engine serves and another says this, either may be ended.
            return said(200 if status.state in ("ACTIVE", "STANDBY") else 503, {"state": status.state})
        if request.path == "/readyz":
            ready = status.state == "ACTIVE"
            told = {
                "state": status.state,
                "progress": {
                    tenant: {"seq": seq, "of": max(seq, status.goals.get(tenant, 0))}
                    for tenant, seq in status.progress.items()
                },
                "venues": {
                    "reconciled": status.venues - len(status.unreconciled),
                    "of": status.venues,
                    "closed_for_entry": status.unreconciled,
                },
                "halted": sorted(status.halted),
                "storage_full": status.storage.is_full,
                "unkept": status.unkept.names(),
            }
            return said(200 if ready else 503, told)
        backlog = self._term.loop.backlog if self._term.loop else 0
        text = metrics.text(status=status, backlog=backlog, connections=len(self._connections.open))
        return Response(200, text.encode(), "text/plain; version=0.0.4")

    def _signal(self, request: Request, respond: Respond) -> None:
        if not self._status.domains:
            raise UnableToAcceptSignal(503, "ENGINE_RECOVERING", "Try again with the same id.", retry_after_s=1)
        tenant = self._door.tenant_of(host=request.headers.get("host", ""))
        if request.method != "POST":
            respond(said(405, {"error": "METHOD_NOT_ALLOWED", "text": "Signals are posted."}, allow="POST"))
            return
        signals.require_readable(content_type=request.headers.get("content-type", ""))
        strategy_id, _, mac = request.path.removeprefix(HOOKS).partition("/")
        self._door.signal(
            request=request,
            tenant=tenant,
            strategy_id=strategy_id,
            mac=mac,
            told=lambda answer: respond(answered(answer)),
        )


def _without_capability(path: str) -> str:
    """Return a path as it may be logged: what follows a strategy's name is all that it takes to signal for it."""
    return "/".join(path.split("/")[: HOOKS.count("/") + 1])
