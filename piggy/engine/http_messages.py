"""Requests and responses of the fast door: what was asked, and the bytes of an answer."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 422: "Unprocessable Content", 426: "Upgrade Required", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip

# What a status without which the other side does not know how to go on says besides (RFC 9110).
SAID_WITH = {
    401: "WWW-Authenticate: Piggy-Signature\r\n",
    415: "Accept: application/json, text/plain\r\nAccept-Encoding: identity\r\n",
    426: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}


class Request(NamedTuple):
    """One whole request; header names are lower case, `address` is the peer or whom a proxy of ours names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    address: str


class Response(NamedTuple):
    """A status with its body; `retry_after_s` is for who should come again, `allow` the method of a 405."""

    status: int
    body: bytes
    content_type: str = "application/json"
    retry_after_s: int = 0
    allow: str = ""

    def encode(self, *, connection: str = "", is_head: bool = False) -> bytes:
        """Return the bytes to send; `connection` is what is said of that, of a HEAD only the head is answered."""
        return b"%sContent-Length: %d\r\n\r\n%s" % (
            _head(self.status, self.content_type, self.retry_after_s, self.allow, connection),
            len(self.body),
            b"" if is_head else self.body,
        )


@cache
def _head(status: int, content_type: str, retry_after_s: int, allow: str, connection: str) -> bytes:
    more = SAID_WITH.get(status, "")
    if connection:
        more += f"Connection: {connection}\r\n"
    if allow:
        more += f"Allow: {allow}\r\n"
    if retry_after_s:
        more += f"Retry-After: {retry_after_s}\r\n"
    return f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\n{more}".encode()
