"""The dealer's page, a panel's state over HTTP, and the front door of a broker's domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.dealing import selectors
from piggy.messaging.streams import PANELS

View = Callable[..., HttpResponse]


def dealers_only(view: View) -> View:
    """Send strangers to the login and refuse (403) those whose role is another."""

    @wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        is_verified = getattr(request.user, "is_verified", None)
        if not request.user.is_authenticated or not (is_verified and is_verified()):
            return redirect_to_login(request.get_full_path(), str(settings.LOGIN_URL))
        if not selectors.may_watch_desk(request.user):
            raise PermissionDenied
        return view(request, **kwargs)

    return guarded


@require_safe
@never_cache
@ensure_csrf_cookie
@dealers_only
def desk(request: HttpRequest) -> HttpResponse:
    """The dealer's page; everything on it comes over the websocket."""
    return render(request, "dealing/desk.html", {"panels": selectors.PANELS, "login_url": settings.LOGIN_URL})


@require_safe
@never_cache
@dealers_only
def panel_snapshot(request: HttpRequest, panel: str) -> HttpResponse:
    """One panel's latest snapshot frame; 204 before the engine's first word."""
    if panel not in PANELS:
        raise Http404
    found = selectors.panel_snapshot(tenant=request.tenant.schema_name, panel=panel)  # type: ignore[attr-defined]
    return HttpResponse(found, content_type="application/json") if found else HttpResponse(status=204)


@require_safe
def welcome(request: HttpRequest) -> HttpResponse:
    """What this address is, and where to go from here."""
    return render(request, "dealing/welcome.html", {"may_watch_desk": selectors.may_watch_desk(request.user)})
