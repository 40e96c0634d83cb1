"""What the desk asks about venues: how they serve, and what those on trial would have cost. JSON, staff only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.liquidity import selectors
from apps.users.selectors import is_verified_staff

COMPARED_DAYS = 30
View = Callable[[HttpRequest], HttpResponse]


def _staff_only(view: View) -> View:
    """Answer 403 unless staff with a second factor, and the right to look at venues, ask."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        if not is_verified_staff(user) or not user.has_perm("liquidity.view_venuescorecard"):
            return JsonResponse({"code": "forbidden", "message": "Staff of this broker only."}, status=403)
        return view(request)

    return guarded


@require_safe
@never_cache
@_staff_only
def scorecards(request: HttpRequest) -> HttpResponse:
    """Answer every venue's scorecard as the engine measured it within the last second; 204 before its first word."""
    found = selectors.scorecards(tenant=request.tenant.schema_name)  # type: ignore[attr-defined]
    if found is None:
        return HttpResponse(status=204)
    return JsonResponse({"at": found.at.isoformat(), "venues": found.venues})


@require_safe
@never_cache
@_staff_only
def shadow_report(request: HttpRequest) -> HttpResponse:
    """Answer what each venue on trial would have cost over the last days, and what the asked ones did cost."""
    since = timezone.now() - timedelta(days=COMPARED_DAYS)
    compared = [
        {
            "venue": each.venue,
            "decisions": each.decisions,
            "first_percent": str(each.first_percent),
            "saved_bps": str(each.saved_bps),
            "saved": each.saved,
        }
        for each in selectors.comparisons(since=since)
    ]
    costs = {
        provider.name: selectors.execution_cost(venues=[provider.name], since=since)
        for provider in selectors.providers()
    }
    done = {name: {"cost_bps": f"{cost.bps:.3f}", "fills": cost.fills} for name, cost in costs.items() if cost.fills}
    return JsonResponse({"since": since.isoformat(), "on_trial": compared, "asked": done})
