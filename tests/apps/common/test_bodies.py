"""What no request may be: larger than anything that is asked for, or of keys and days that there cannot be."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import UUIDField
from django.forms import JSONField
from django.http import HttpResponse
from django.test import RequestFactory

from apps.common.bodies import BODY_BYTES_MAX, BoundedBodies
from apps.common.middleware import AdminPolicy

# A key, two days, what nests without end, and a fault of our own.
MAKERS: tuple[Callable[[], Any], ...] = (
    lambda: UUIDField().to_python("x"),
    lambda: datetime(10**40, 1, 1),
    lambda: datetime(999_999_999, 1, 1),
    lambda: JSONField().to_python("[" * 100_000),
    lambda: uuid.UUID(int=2**200),
)
CHUNK = b"x" * (BODY_BYTES_MAX // 4)


def status_of(*, length: bytes | None, chunks: int) -> tuple[int, int]:
    """Return the answer's status, and how many chunks of a body were asked for."""
    asked, said = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": CHUNK, "more_body": asked < chunks}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    async def inner(_: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            continue
        await send({"type": "http.response.start", "status": 200})

    headers = [] if length is None else [(b"content-length", length)]
    asyncio.run(BoundedBodies(inner)({"type": "http", "headers": headers}, receive, send))
    return said[0]["status"], asked


@pytest.mark.parametrize(
    ("length", "chunks", "answer"),
    [
        (str(BODY_BYTES_MAX).encode(), 4, (200, 4)),
        (str(BODY_BYTES_MAX + 1).encode(), 5, (413, 0)),
        (b"9" * 5_000, 5, (413, 0)),
        (None, 4, (200, 4)),
        (None, 1_000, (413, 5)),
        (b"1", 1_000, (413, 5)),
    ],
    ids=["at the limit", "above it", "endless number", "unsaid", "unsaid and endless", "a lie"],
)
def test_f_21_a_body_past_the_limit_is_413_before_it_fills_a_disk(
    length: bytes | None, chunks: int, answer: tuple[int, int]
) -> None:
    """F-21: whoever has no name here could send any number of gigabytes to any address, and each was kept."""
    assert status_of(length=length, chunks=chunks) == answer


def test_a_key_or_a_day_that_cannot_be_is_the_askers_fault_in_the_back_office() -> None:
    policy, asked = AdminPolicy(lambda _: HttpResponse()), RequestFactory().post("/admin/liquidity/credentialchange/")
    faults: list[Exception] = []
    for make in MAKERS:
        with pytest.raises((ValidationError, OverflowError, RecursionError, ValueError)) as caught:
            make()
        faults.append(caught.value)
    answers = [policy.process_exception(asked, fault) for fault in faults]
    assert [answer and answer.status_code for answer in answers] == [400, 400, 400, 400, None], (
        "what is ours stays ours"
    )
    assert policy.process_exception(RequestFactory().get("/desk/"), faults[0]) is None
