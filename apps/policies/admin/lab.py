"""The rule lab's screen: choose a recorded time and drafts, watch the run, compare, take the differences home."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.common.admin import KeptAdmin, badge
from apps.policies import services
from apps.policies.models import LabRun, Policy

REFRESH_S = "2"
TONES = {"done": "success", "running": "info", "queued": "warning", "failed": "danger", "cancelled": "warning"}
# What a total is made of, and how it is called.
LINES = (
    ("orders", "Orders"),
    ("denied", "Denied orders"),
    ("filled_lots", "Lots filled"),
    ("venue_fees", "Fees of venues"),
    ("margin_calls", "Margin calls"),
    ("stop_outs", "Stop-outs"),
)


class LabRunForm(forms.ModelForm):
    """What to replay; only drafts and live versions may be tried."""

    class Meta:
        model = LabRun
        fields = ("begins_at", "ends_at", "drafts", "currency")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "drafts" in self.fields:
            field: Any = self.fields["drafts"]
            field.queryset = Policy.objects.filter(state=Policy.State.DRAFT).order_by("kind", "group")

    def clean(self) -> dict[str, Any]:
        """Refuse what could not run, naming the field."""
        values = super().clean() or {}
        if not self.errors:
            for name in ("begins_at", "ends_at", "currency"):
                setattr(self.instance, name, values[name])
            services.check_run(run=self.instance, drafts=list(values["drafts"]))
        return values


@admin.register(LabRun)
class LabRunAdmin(KeptAdmin):
    """Runs are asked for and kept, never changed."""

    form = LabRunForm
    list_display = (
        "__str__",
        badge("state", tones=TONES),
        "tried",
        "done",
        "equal",
        "differing",
        "asked_by",
        "asked_at",
    )
    list_filter = ("state",)
    ordering = ("-id",)
    actions = ("cancel",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the wish, and of a kept run what came of it."""
        if obj is None:
            says = "The day is decided again twice: as it was, which must give the same events, and under the drafts."
            return [(None, {"fields": ("begins_at", "ends_at", "drafts", "currency"), "description": says})]
        return [
            (None, {"fields": (("begins_at", "ends_at", "currency"), ("tried", "asked_by", "asked_at"))}),
            ("What came of it", {"fields": ("outcome",)}),
        ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A kept run is looked at."""
        return obj is None and super().has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing of a kept run is changed."""
        return () if obj is None else ("begins_at", "ends_at", "currency", "tried", "asked_by", "asked_at", "outcome")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Offer today so far."""
        now = datetime.now(UTC)
        begins = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return dict(super().get_changeform_initial_data(request)) | {"begins_at": begins, "ends_at": now}

    def save_model(self, request: HttpRequest, obj: LabRun, form: Any, change: bool) -> None:
        """Ask for the run."""
        if not change:
            tenant = request.tenant.schema_name  # type: ignore[attr-defined]
            drafts = form.cleaned_data["drafts"]
            services.ask_run(tenant=tenant, run=obj, drafts=drafts, by=request.user.get_username())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show the run anew every other second while it is under way."""
        response = super().changeform_view(request, *args, **kwargs)
        found = args[0] if args else kwargs.get("object_id")
        if found and LabRun.objects.filter(pk=found, state__in=LabRun.UNDER_WAY).exists():
            response["Refresh"] = REFRESH_S
        return response

    @admin.action(description="Cancel the run", permissions=["add"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[LabRun]) -> None:
        """Stop runs that are under way."""
        for run in queryset:
            try:
                services.cancel_run(run_id=run.pk)
            except services.UnableToRunLab as error:
                messages.error(request, f"{run}: {error}")

    @admin.display(description="drafts")
    def tried(self, row: LabRun) -> str:
        """Name what was tried."""
        return ", ".join(map(str, row.drafts.all())) or "none: the recording is checked"

    @admin.display(description="progress")
    def done(self, row: LabRun) -> str:
        """Say how far it is."""
        return f"{row.progress} %"

    @admin.display(description="unchanged replay equal", boolean=True)
    def equal(self, row: LabRun) -> bool | None:
        """Say whether the unchanged day gave the same events."""
        return row.check_result.get("equal")

    @admin.display(description="orders that differ")
    def differing(self, row: LabRun) -> object:
        """Count the orders that would have fared otherwise."""
        return row.result.get("differing", "")

    @admin.display(description="")
    def outcome(self, row: LabRun) -> SafeString | str:
        """Show both sides beside one another, and the first orders that differ."""
        if row.state in LabRun.UNDER_WAY:
            return format_html('<progress max="100" value="{0}">{0} %</progress> {1}', row.progress, row.state)
        if row.state != LabRun.State.DONE:
            return row.error or row.state
        opts = self.opts
        link = reverse(f"admin:{opts.app_label}_{opts.model_name}_differences", args=[row.pk]) if row.result else ""
        shown = {
            "run": row,
            "check": row.check_result,
            "headline": headline(result=row.result),
            "tables": compared(result=row.result),
            "rows": [split(row=each) for each in row.first_differences],
            "link": link,
        }
        return render_to_string("policies/lab_result.html", shown)

    def get_urls(self) -> list[Any]:
        """Add the download of the differences."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_differences"
        view = self.admin_site.admin_view(self.download)
        return [path("<int:run_id>/differences.csv", view, name=name), *super().get_urls()]

    def download(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Return every order that would have fared otherwise, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = LabRun.objects.filter(pk=run_id).first()
        if run is None or not run.differences:
            raise Http404("There are no differences of this run.")
        headers = {"Content-Disposition": f'attachment; filename="lab-{run_id}.csv"'}
        return HttpResponse(zlib.decompress(bytes(run.differences)), content_type="text/csv", headers=headers)


def headline(*, result: dict[str, Any]) -> dict[str, str]:
    """Return what the house made, would have made, and the difference ('' for none); empty without a draft."""
    if not result:
        return {}
    _, was, would, change = _row("", result["were"]["total"], result["would"]["total"])
    return {"was": was, "would": would, "change": change}


def compared(*, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of a result: {title, head, rows of (label, was, would be, change)}; none without a draft."""
    if not result:
        return []
    were, would, currency = result["were"], result["would"], result["currency"]
    money = [_row(f"Book {book}", were["profit"].get(book, "0"), would["profit"].get(book, "0")) for book in _keys(
        were["profit"], would["profit"])]  # fmt: skip
    money += [
        _row(what.capitalize(), were["charged"].get(what, "0"), would["charged"].get(what, "0"))
        for what in _keys(were["charged"], would["charged"])
    ]
    money.append(_row("Fees of venues", f"-{were['venue_fees']}", f"-{would['venue_fees']}"))
    money.append(_row("Total", were["total"], would["total"]))
    counts = [_row(label, were[name], would[name]) for name, label in LINES if name != "venue_fees"]
    routes = _by_route(were["routes"], would["routes"])
    tables = [
        {"title": f"Profit of the house ({currency})", "rows": money},
        {"title": f"Profit by group ({currency})", "rows": _parts("groups", were, would)},
        {"title": f"Profit by symbol ({currency})", "rows": _parts("symbols", were, would)},
        {"title": "Orders", "rows": counts},
        {"title": "Routing (lots filled)", "rows": routes},
        {"title": "Venues (lots dealt)", "rows": _by_name(were["dealt"], would["dealt"])},
        {"title": "Denied by group and symbol (orders)", "rows": _parts("denied_by", were, would)},
        {"title": "Denied by control (orders)", "rows": _by_name(were["denials"], would["denials"])},
        {"title": "Refused by venues (legs)", "rows": _by_name(were["refused"], would["refused"])},
        {
            "title": "Largest open risk (lots, as clients hold it)",
            "rows": _by_name(_firsts(were["peaks"]), _firsts(would["peaks"])),
        },
    ]
    return [table for table in tables if table["rows"]]


def split(*, row: dict[str, str]) -> dict[str, Any]:
    """Return a row of differences with its two sides apart, as {..., was: {...}, would: {...}}."""
    sides = {
        key: {name.removeprefix(begin): text for name, text in row.items() if name.startswith(begin)}
        for key, begin in (("was", "was "), ("would", "would be "))
    }
    return row | sides


def _by_route(were: list[list[str]], would: list[list[str]]) -> list[tuple[str, str, str, str]]:
    before, after = ({" · ".join(each[:3]): each[3] for each in side} for side in (were, would))
    return _by_name(before, after)


def _by_name(were: dict[str, Any], would: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [_row(name, were.get(name, "0"), would.get(name, "0")) for name in _keys(were, would)]


def _parts(name: str, were: dict[str, Any], would: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    # Runs of before these were counted have none.
    return _by_name(were.get(name, {}), would.get(name, {}))


def _firsts(peaks: dict[str, list[Any]]) -> dict[str, Any]:
    return {symbol: peak[0] for symbol, peak in peaks.items()}


def _keys(*sides: dict[str, Any]) -> list[str]:
    return sorted({key for side in sides for key in side})


def _row(label: str, was: Any, would: Any) -> tuple[str, str, str, str]:
    before, after = Decimal(str(was)), Decimal(str(would))
    change = after - before
    return label, f"{before:,f}", f"{after:,f}", f"{change:+,f}" if change else ""
