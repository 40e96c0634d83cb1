"""The API's description: anybody may ask for it, and making it takes the process a tenth of a second."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from django.http import HttpResponse
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

# Made so often at most, for each broker and form; a crowd that asks for it takes the time of nobody's order.
MADE_S = 60.0
KEPT_MAX = 100


class _Made(NamedTuple):
    content: bytes
    content_type: str
    named: str
    until_s: float


_made: dict[tuple[str, str, str | None], _Made] = {}


class Described(SpectacularAPIView):  # type: ignore[misc]
    """The description as it was made within MADE_S."""

    def _get_schema_response(self, request: Request) -> HttpResponse:
        renderer: Any = request.accepted_renderer  # type: ignore[attr-defined]
        tenant = request.tenant.schema_name  # type: ignore[attr-defined]
        version = self._get_version_parameter(request)  # type: ignore[no-untyped-call]
        key, now_s = (tenant, renderer.media_type, version), time.monotonic()
        made = _made.get(key)
        if made is None or made.until_s < now_s:
            if len(_made) >= KEPT_MAX:
                _made.clear()
            made = _made[key] = self._make(request, renderer, now_s)
        return HttpResponse(made.content, content_type=made.content_type, headers={"Content-Disposition": made.named})

    def _make(self, request: Request, renderer: Any, now_s: float) -> _Made:
        answer = super()._get_schema_response(request)  # type: ignore[no-untyped-call]
        content = renderer.render(answer.data, renderer.media_type, self.get_renderer_context())
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        return _Made(content, f"{renderer.media_type}{charset}", answer["Content-Disposition"], now_s + MADE_S)
