"""Pages by key, newest first: stable while rows are added. The cursor is signed, so a tampered one is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from apps.common.api import Refused
from apps.common.names import signed, unsigned

LIMIT_DEFAULT = 100
LIMIT_MAX = 500
CURSOR_LIFE_S = 86_400


def page(
    *,
    request: Request,
    tenant: str,
    rows: QuerySet[Any],
    key: str,
    serializer: type[Serializer],
    told: Callable[..., Sequence[Any]] | None = None,
) -> Response:
    """Return `limit` rows below the cursor by falling `key`, and the cursor of the next page or null.

    `told` makes of the page's `lines` what is shown.
    """
    purpose = f"page {request.path}"
    limit, below = _limit(request), _cursor(request, tenant, purpose)
    if below is not None:
        rows = rows.filter(**{f"{key}__lt": below})
    found = list(rows.order_by(f"-{key}")[: limit + 1])
    more = len(found) > limit
    cursor = signed(tenant=tenant, purpose=purpose, value=getattr(found[limit - 1], key)) if more else None
    shown = told(lines=found[:limit]) if told else found[:limit]
    return Response({"results": serializer(shown, many=True).data, "next_cursor": cursor})


def _limit(request: Request) -> int:
    raw = request.query_params.get("limit", str(LIMIT_DEFAULT))
    if not raw.isascii() or not raw.isdigit() or len(raw) > len(str(LIMIT_MAX)) or not 1 <= int(raw) <= LIMIT_MAX:
        message = f"This must be a whole number from 1 to {LIMIT_MAX}."
        raise Refused(code="limit", field="limit", message=message, status=400)
    return int(raw)


def _cursor(request: Request, tenant: str, purpose: str) -> Any:
    raw = request.query_params.get("cursor")
    if not raw:
        return None
    try:
        return unsigned(tenant=tenant, purpose=purpose, text=raw, seconds_max=CURSOR_LIFE_S)
    except signing.BadSignature as error:
        message = "This is not a cursor of this list."
        raise Refused(code="cursor", field="cursor", message=message, status=400) from error
