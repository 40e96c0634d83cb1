"""GET /desk/reports/<name>.<format>: the desk's tables as CSV, XLSX or PDF."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.dealing import selectors
from apps.dealing.api.pages import dealers_only
from apps.dealing.selectors import Report

log = structlog.get_logger(__name__)

# A spreadsheet takes these for the start of a formula.
FORMULA = ("=", "+", "@", "\t", "\r")


@require_safe
@never_cache
@dealers_only
def desk_report(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """Return the report as a file; 404 for one that there is not."""
    if name not in selectors.REPORTS or kind not in FORMATS:
        raise Http404
    tenant = request.tenant.schema_name  # type: ignore[attr-defined]
    made = selectors.report(tenant=tenant, name=name)
    content_type, render = FORMATS[kind]
    log.info("desk_report", name=name, kind=kind, rows=len(made.rows), by=request.user.get_username())
    answer = HttpResponse(render(made), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{tenant}-{name}-{timezone.now():%Y%m%d-%H%M%S}.{kind}"'
    return answer


def _csv(made: Report) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(made.heads)
    writer.writerows([_safe(value) for value in row] for row in made.rows)
    return out.getvalue().encode()


def _xlsx(made: Report) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    # Figures stay text: a spreadsheet's numbers are binary fractions.
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        for column, head in enumerate(made.heads):
            sheet.write_string(0, column, head, bold)
        for line, row in enumerate(made.rows, start=1):
            for column, value in enumerate(row):
                sheet.write_string(line, column, value)
        sheet.freeze_panes(1, 0)
        sheet.autofit()
    return out.getvalue()


def _pdf(made: Report) -> bytes:
    # Its import takes seconds, which no other request should pay.
    from weasyprint import HTML

    page = render_to_string("dealing/report.html", {"report": made, "at": timezone.now()})
    return bytes(HTML(string=page).write_pdf())


def _safe(value: str) -> str:
    is_formula = value.startswith(FORMULA) or (value.startswith("-") and not value[1:2].isdigit())
    return f"'{value}" if is_formula else value


FORMATS: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
    "pdf": ("application/pdf", _pdf),
}
