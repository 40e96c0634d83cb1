"""GET /desk/reports/<name>.<format>: the desk's reports on a page with charts, or as CSV, XLSX or PDF."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from urllib.parse import urlencode

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.common.documents import FORMATS, Document
from apps.dealing import selectors
from apps.dealing.api.pages import dealers_only
from apps.reports import services as reports
from apps.reports.selectors import UnableToReadFiles, default_folder
from apps.tenants.selectors import brand_of

log = structlog.get_logger(__name__)

PAGE = "html"
DAYS_BACK = 7
DAYS_MAX = 366
# Days on both sides of these are still days.
FIRST_YEAR, LAST_YEAR = 1970, 9998


@require_safe
@never_cache
@dealers_only
def desk_report(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """Return the report as a page or a file; 404 for one that there is not, 400 for days that are none."""
    if name not in selectors.REPORTS or kind not in (PAGE, *FORMATS):
        raise Http404
    tenant, now = request.tenant.schema_name, timezone.now()  # type: ignore[attr-defined]
    try:
        since, until = _days(request, now)
    except ValueError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    made = _made(tenant, name, since, until)
    log.info("desk_report", name=name, kind=kind, rows=made.size, by=request.user.get_username())
    if kind == PAGE:
        return render(request, "dealing/report_page.html", _context(made, name, now, since, until))
    content_type, write = FORMATS[kind]
    answer = HttpResponse(write(made._replace(house=brand_of(request)["name"])), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{tenant}-{name}-{now:%Y%m%d-%H%M%S}.{kind}"'
    return answer


def _made(tenant: str, name: str, since: date, until: date) -> Document:
    if name == selectors.BEST_EXECUTION:
        try:
            reports.export(tenant=tenant, folder=default_folder())
        except reports.CAUSES as error:
            # Another process is at it, or it is spoilt: what it has written by now is shown, or why not.
            log.warning("export_waits", tenant=tenant, reason=str(error))
    try:
        return selectors.report(tenant=tenant, name=name, since=since, until=until)
    except UnableToReadFiles as error:
        return Document(selectors.REPORTS[name], (), str(error))


def _days(request: HttpRequest, now: datetime) -> tuple[date, date]:
    """Return the days asked for, the last week otherwise. Raises ValueError naming what is wrong."""
    given = {name: request.GET.get(name, "") for name in ("since", "until")}
    days = {name: date.fromisoformat(text) for name, text in given.items() if text}
    if outside := [day for day in days.values() if not FIRST_YEAR <= day.year <= LAST_YEAR]:
        raise ValueError(f"{outside[0]}: a day from {FIRST_YEAR} to {LAST_YEAR}")
    # A business date begins in the evening before.
    until = days.get("until", now.date() + timedelta(days=1))
    since = days.get("since", until - timedelta(days=DAYS_BACK))
    if since > until or (until - since).days > DAYS_MAX:
        raise ValueError(f"since {since} until {until}: up to {DAYS_MAX} days, the first first")
    return since, until


def _context(made: Document, name: str, now: datetime, since: date, until: date) -> dict[str, object]:
    dated = name == selectors.BEST_EXECUTION
    asked = {"since": since.isoformat(), "until": until.isoformat()}
    return {
        "document": made,
        "name": name,
        "at": now,
        "kinds": list(FORMATS),
        "reports": selectors.REPORTS.items(),
        "dated": dated,
        "query": f"?{urlencode(asked)}" if dated else "",
        **asked,
    }
