"""The network as a session's driver sees it: one call, one stream. Nothing here knows a venue."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Protocol

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from piggy.adapters import timed
from piggy.adapters.interface import Request, Response, Stream

log = logging.getLogger(__name__)

CALL_S_MAX = 5.0
# Of a whole answer, head and body: each part of it may take as long as CALL_S_MAX (timed.py).
ANSWER_S_MAX, ANSWER_BYTES_MAX = 20.0, 64_000_000
OPEN_S_MAX = 5.0
CLOSE_S_MAX = 1.0
MESSAGE_BYTES_MAX = 8_000_000
LINES_QUEUED_MAX = 10_000

# At DEBUG every frame would be logged, the one with our password too.
_frames = logging.getLogger("piggy.adapters.frames")
_frames.setLevel(logging.INFO)


class StreamEnded(Exception):
    """The other side, or the way to it, is gone."""


class Channel(Protocol):
    """One open stream."""

    def receive(self, *, timeout_s: float) -> str | None:
        """Return the next message, None past the time. Raises StreamEnded."""

    def say(self, *, text: str) -> None:
        """Send one message. Raises StreamEnded."""

    def close(self) -> None:
        """Close; never raises."""


class Transport(Protocol):
    """How requests and streams reach a venue."""

    def call(self, *, request: Request) -> Response:
        """Return the answer; a failure is a Response with status 0, never an exception."""

    def open(self, *, stream: Stream) -> Channel:
        """Open a stream and say hello. Raises StreamEnded."""

    def close(self) -> None:
        """Give connections back."""


class HttpTransport:
    """HTTP/1.1 with kept connections, and WebSockets; proxies and environment are left out of it."""

    def __init__(self) -> None:
        self._client = timed.client(timeout=CALL_S_MAX, answer_s=ANSWER_S_MAX)

    def call(self, *, request: Request) -> Response:
        """Ask once; a question, which changes nothing, is asked a second time where the kept connection was dead."""
        answer = self._once(request)
        if answer.status == 0 and request.method == "GET" and answer.text.startswith("RemoteProtocolError"):
            answer = self._once(request)
        return answer

    def _once(self, request: Request) -> Response:
        try:
            content = request.body or None
            with self._client.stream(request.method, request.url, headers=request.headers, content=content) as answer:
                text = _whole(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            return Response(status=0, text=f"{type(error).__name__}: {error}", left=False)
        except httpx.HTTPError as error:
            return Response(status=0, text=f"{type(error).__name__}: {error}")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, text=text, headers=headers)

    def open(self, *, stream: Stream) -> Channel:
        """Open a WebSocket, or an HTTP answer that never ends. Raises StreamEnded."""
        if stream.lines:
            return LinesChannel(stream=stream)
        channel = SocketChannel(stream=stream)
        for text in stream.hello:
            channel.say(text=text)
        return channel

    def close(self) -> None:
        """Close kept connections."""
        self._client.close()


def _whole(answer: httpx.Response) -> str:
    """Return an answer's text. Raises httpx.HTTPError, also where it comes too slowly or without end."""
    parts, size = list[bytes](), 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise httpx.DecodingError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    try:
        return b"".join(parts).decode(answer.encoding or "utf-8", "replace")
    except (LookupError, UnicodeError) as error:
        # Python has codecs that make no text, and some that replace nothing.
        raise httpx.DecodingError(f"an answer in {answer.encoding}: {error}") from error


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Yield an endless answer's lines as they end. Raises httpx.HTTPError, also where one does not."""
    rest = bytearray()
    for part in answer.iter_bytes():
        rest += part
        if b"\n" in part:
            *whole, rest = rest.split(b"\n")
            yield from (line.removesuffix(b"\r").decode("utf-8", "replace") for line in whole)
        if len(rest) > MESSAGE_BYTES_MAX:
            raise httpx.DecodingError(f"a line of more than {MESSAGE_BYTES_MAX} bytes")
    yield rest.decode("utf-8", "replace")


class SocketChannel:
    """A WebSocket; binary frames are taken as text, as some venues send JSON in them."""

    def __init__(self, *, stream: Stream) -> None:
        try:
            self._socket: ClientConnection = connect(
                stream.url,
                additional_headers=stream.headers,
                open_timeout=OPEN_S_MAX,
                close_timeout=CLOSE_S_MAX,
                max_size=MESSAGE_BYTES_MAX,
                logger=_frames,
                proxy=None,
                legacy=True,
            )
        except (OSError, WebSocketException) as error:
            raise StreamEnded(f"{stream.name}: {error}") from error

    def receive(self, *, timeout_s: float) -> str | None:
        """Return the next frame as text, None past the time. Raises StreamEnded."""
        try:
            frame = self._socket.recv(timeout=timeout_s)
        except TimeoutError:
            return None
        except (OSError, WebSocketException) as error:
            raise StreamEnded(str(error)) from error
        return frame if isinstance(frame, str) else bytes(frame).decode()

    def say(self, *, text: str) -> None:
        """Send one text frame. Raises StreamEnded."""
        try:
            self._socket.send(text)
        except (OSError, WebSocketException) as error:
            raise StreamEnded(str(error)) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class LinesChannel:
    """An endless HTTP answer, one JSON text a line, read by a thread of its own."""

    def __init__(self, *, stream: Stream) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=LINES_QUEUED_MAX)
        self._closed = threading.Event()
        self._why = "the venue closed the stream"
        timeout = httpx.Timeout(OPEN_S_MAX, read=stream.silence_s_max or None)
        self._client = timed.client(timeout=timeout, answer_s=ANSWER_S_MAX)
        try:
            request = self._client.build_request("GET", stream.url, headers=stream.headers)
            self._answer = self._client.send(request, stream=True)
            if not self._answer.is_success:
                raise StreamEnded(f"{stream.name}: HTTP {self._answer.status_code} {_whole(self._answer)[:200]!r}")
        except (httpx.HTTPError, StreamEnded) as error:
            self._client.close()
            if isinstance(error, StreamEnded):
                raise
            raise StreamEnded(f"{stream.name}: {type(error).__name__} {error}") from error
        timed.lift(answer=self._answer)
        threading.Thread(target=self._read, name=f"lines-{stream.name}", daemon=True).start()

    def receive(self, *, timeout_s: float) -> str | None:
        """Return the next line, None past the time. Raises StreamEnded."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if line is None:
            raise StreamEnded(self._why)
        return line

    def say(self, *, text: str) -> None:
        """Raises StreamEnded: this stream has one direction."""
        raise StreamEnded("nothing can be said on a stream of lines")

    def close(self) -> None:
        """End the answer."""
        self._closed.set()
        self._client.close()

    def _read(self) -> None:
        try:
            for line in _lines(self._answer):
                if line.strip():
                    self._put(line)
                if self._closed.is_set():
                    return
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            self._why = f"{type(error).__name__} {error}"
        finally:
            self._put(None)

    def _put(self, line: str | None) -> None:
        while not self._closed.is_set():
            try:
                self._lines.put(line, timeout=0.2)
            except queue.Full:
                log.warning("lines are read too slowly")
            else:
                return
