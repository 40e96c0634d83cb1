"""Our end of the bridge: listens for one agent, lets it in by its signature, and asks over its WebSocket."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import WebSocketException
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Refusal
from websockets.sync.server import ServerConnection, serve

from piggy.adapters.answers import document
from piggy.adapters.interface import Request, Response, Stream, UnableToReadReport, VenueConfig
from piggy.adapters.mt5.config import CALLS_S_MAX, THROTTLED_BY
from piggy.adapters.signing import mac_matches
from piggy.adapters.transport import Channel, StreamEnded

log = logging.getLogger(__name__)

CLOCK_S_MAX = 30
THROTTLED_STATUS = 429


class BridgeTransport:
    """One agent at a time; a new one takes the place of the old."""

    def __init__(self, *, config: VenueConfig) -> None:
        self._config = config
        there = urlsplit(config.stream_url)
        self._throttled = THROTTLED_BY[config.kind]
        self.path = f"/agents/{config.tenant}/{config.venue}"
        self._agent: ServerConnection | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[threading.Event, list[Response]]] = {}
        self._lock = threading.Lock()
        self._server = serve(
            self._hear, there.hostname or "127.0.0.1", there.port or 0, process_request=self._let_in, close_timeout=1
        )
        threading.Thread(target=self._server.serve_forever, name=f"bridge-{config.venue}", daemon=True).start()

    def call(self, *, request: Request) -> Response:
        """Ask the agent; without one nothing leaves, and an answer that never comes leaves everything open."""
        agent = self._agent
        if agent is None:
            return Response(status=0, text="no agent is connected", left=False)
        number, event, answers = next(self._numbers), threading.Event(), list[Response]()
        with self._lock:
            self._waiting[number] = (event, answers)
        frame = {"id": number, "ask": request.url, "args": msgspec.Raw(request.body.encode())}
        try:
            agent.send(msgspec.json.encode(frame).decode())
            event.wait(CALLS_S_MAX)
        except WebSocketException as error:
            answers.append(Response(status=0, text=str(error)))
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        return answers[0] if answers else Response(status=0, text="the agent did not answer")

    def open(self, *, stream: Stream) -> Channel:
        """Raises StreamEnded: everything goes over the agent's own socket."""
        raise StreamEnded("the bridge has no other stream")

    def close(self) -> None:
        """Let the agent go and listen no more."""
        self._server.shutdown()
        if self._agent is not None:
            self._agent.close()

    def _let_in(self, connection: ServerConnection, handshake: Handshake) -> Refusal | None:
        stamp, given = handshake.headers.get("X-Time", ""), handshake.headers.get("X-Sign", "")
        fresh = stamp.isdecimal() and abs(time.time() - int(stamp)) <= CLOCK_S_MAX
        # A venue without a secret yet knows no agent: anybody can sign with nothing.
        secret = self._config.secret
        right = bool(secret) and mac_matches(secret=secret, text=f"{stamp}{self.path}", given=given)
        if handshake.path == self.path and fresh and right:
            return None
        log.warning("an agent was refused", extra={"venue": self._config.venue})
        return connection.respond(HTTPStatus.UNAUTHORIZED, "not let in\n")

    def _hear(self, connection: ServerConnection) -> None:
        before, self._agent = self._agent, connection
        if before is not None:
            before.close()
        try:
            for text in connection:
                self._answered(text if isinstance(text, str) else text.decode())
        except (WebSocketException, UnableToReadReport, KeyError, TypeError, ValueError) as error:
            log.warning("the agent broke off", extra={"venue": self._config.venue, "why": str(error)})
        if self._agent is connection:
            self._agent = None
        self._give_up()

    def _answered(self, text: str) -> None:
        doc = document(text)
        with self._lock:
            waiting = self._waiting.get(int(doc["id"]))
        if waiting is not None:
            value = msgspec.json.encode(doc["value"], enc_hook=str).decode()
            status = int(doc["status"])
            if isinstance(doc["value"], dict) and doc["value"].get("retcode", 0) in self._throttled:
                status = THROTTLED_STATUS
            waiting[1].append(Response(status=status, text=value))
            waiting[0].set()

    def _give_up(self) -> None:
        with self._lock:
            for event, answers in self._waiting.values():
                answers.append(Response(status=0, text="the agent went away"))
                event.set()
