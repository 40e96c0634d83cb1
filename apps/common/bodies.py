"""How large a request may be, before any of it is kept: Django writes bodies to files before it asks who sends them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

# The largest file that staff may send, and what a form puts around it.
FILE_BYTES_MAX = 10 * 1_024 * 1_024
BODY_BYTES_MAX = FILE_BYTES_MAX + 64 * 1_024

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class BodyTooLarge(Exception):
    """More came than BODY_BYTES_MAX."""


class BoundedBodies:
    """Answer 413 to a larger body: at once where its length is said, else once it has passed the limit."""

    def __init__(self, inner: Asgi) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        lengths = [value for name, value in scope.get("headers", ()) if name.lower() == b"content-length"]
        if any(not each.isdigit() or len(each) > 18 or int(each) > BODY_BYTES_MAX for each in lengths):
            await _refuse(send)
            return
        came = 0

        async def counted() -> Any:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > BODY_BYTES_MAX:
                raise BodyTooLarge
            return message

        try:
            await self.inner(scope, counted, send)
        except BodyTooLarge:
            await _refuse(send)


async def _refuse(send: Any) -> None:
    told = {"code": "body_too_large", "field": None, "message": f"At most {BODY_BYTES_MAX} bytes.", "request_id": ""}
    # What still comes is not read, so that the line is of no further use.
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
