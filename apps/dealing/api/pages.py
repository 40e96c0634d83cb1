"""The dealer's page, a panel's state over HTTP, and the front door of a broker's domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from apps.dealing import selectors
from apps.trading import selectors as trading
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
    remembered = {
        "may": selectors.actions_of(request.user),
        "layout": selectors.layout_of(user=request.user),
        "tenant": request.tenant.schema_name,  # type: ignore[attr-defined]
        "user": request.user.get_username(),
        "limits": selectors.CHANGEABLE,
        "reports": list(selectors.REPORTS),
    }
    context = {"panels": selectors.PANELS, "login_url": settings.LOGIN_URL, "remembered": remembered}
    return render(request, "dealing/desk.html", context)


@require_safe
@never_cache
@dealers_only
def panel_snapshot(request: HttpRequest, panel: str) -> HttpResponse:
    """One panel's latest snapshot frame; 204 before the engine's first word."""
    if panel not in PANELS:
        raise Http404
    found = selectors.panel_snapshot(tenant=request.tenant.schema_name, panel=panel)  # type: ignore[attr-defined]
    return HttpResponse(found, content_type="application/json") if found else HttpResponse(status=204)


FACTS: dict[str, Callable[[str], Any]] = {
    "exposure-currency": lambda tenant: selectors.exposure_by(tenant=tenant, what="currency"),
    "exposure-group": lambda tenant: selectors.exposure_by(tenant=tenant, what="group"),
    "exposure-account": lambda tenant: selectors.exposure_by(tenant=tenant, what="account"),
    "books": lambda tenant: selectors.books(tenant=tenant),
    "marks": lambda tenant: selectors.counterfactuals(tenant=tenant),
    "changes": lambda tenant: selectors.changes(),
    "deals": lambda tenant: selectors.deals(),
    "journal": lambda tenant: selectors.actions_done(),
    "scorecards": lambda tenant: selectors.scorecards(tenant=tenant),
}


@require_safe
@never_cache
@dealers_only
def facts(request: HttpRequest, name: str) -> HttpResponse:
    """The rows of a panel that is read from the tables when somebody looks at it."""
    if name not in FACTS:
        raise Http404
    return _json(FACTS[name](request.tenant.schema_name))  # type: ignore[attr-defined]


@require_safe
@never_cache
@dealers_only
def order_file(request: HttpRequest, order_id: str) -> HttpResponse:
    """All that is known of one order."""
    found = selectors.order_file(order_id=order_id)
    if found is None:
        raise Http404
    return _json(found)


@require_safe
@never_cache
@dealers_only
def order_receipt(request: HttpRequest, order_id: str) -> HttpResponse:
    """The whole execution receipt of an order; its client's is without figures of others, and opened by this one."""
    found = trading.receipt_for_staff(tenant=request.tenant.schema_name, order_id=order_id)  # type: ignore[attr-defined]
    if found is None:
        raise Http404
    answer = _json(found)
    if "save" in request.GET:
        answer["Content-Disposition"] = f'attachment; filename="receipt-{order_id}.json"'
    return answer


def _json(value: Any) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(value), content_type="application/json")


@require_safe
def welcome(request: HttpRequest) -> HttpResponse:
    """What this address is, and where to go from here."""
    return render(request, "dealing/welcome.html", {"may_watch_desk": selectors.may_watch_desk(request.user)})
