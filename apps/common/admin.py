"""Shapes that every admin screen shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.common.structures import WrittenStructures, structured
from piggy.core.money import plain

FIELDS_PER_ROW = 3
ROWS_PER_PAGE = 50
# How urgent a word is, wherever it stands in a list.
TONES = {
    "filled": "success",
    "working": "info",
    "routed": "info",
    "partially filled": "info",
    "denied": "danger",
    "rejected": "danger",
    "in doubt": "warning",
    "buy": "info",
    "sell": "warning",
    "approved": "success",
    "requested": "warning",
    "margin call": "warning",
    "stop out": "danger",
    "parked": "danger",
    "doubt": "warning",
    "booked": "success",
    "refused": "danger",
}

Column = Callable[[Any], Any]


class PlainDecimalField(forms.DecimalField):
    """A number in a form without the zeros that fill its column up."""

    def prepare_value(self, value: Any) -> Any:
        """Return the shortest exact text."""
        return plain(value) if isinstance(value, Decimal) and value.is_finite() else value


class _Shown(WrittenStructures, ModelAdmin):
    """What looking at rows has in common, whether or not they may be changed."""

    list_filter_sheet = False
    list_per_page = ROWS_PER_PAGE
    actions: Any = None
    formfield_overrides = {models.DecimalField: {"form_class": PlainDecimalField}}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Set whole numbers right, as other figures."""
        fields = {field.name for field in self.model._meta.fields if isinstance(field, models.IntegerField)}
        return [whole(name) if name in fields else name for name in super().get_list_display(request)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show who may only look lists and pairs as words."""
        given = super().get_fieldsets(request, obj)
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return given if may else [(title, {**told, "fields": self._in_words(told["fields"])}) for title, told in given]

    def _in_words(self, names: Iterable[Any]) -> list[Any]:
        kept = {field.name: field for field in self.model._meta.fields if isinstance(field, models.JSONField)}
        return [
            tuple(self._in_words(name))
            if isinstance(name, tuple | list)
            else structured(name, label=str(kept[name].verbose_name))
            if name in kept
            else name
            for name in names
        ]


class ReadOnlyAdmin(_Shown):
    """A screen over rows that only events write: look, search, sort, nothing else."""

    show_full_result_count = False
    # The blotters are wide: their filters open over them instead of taking their room.
    list_filter_sheet = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Lay fields out in short rows and show every decimal plainly."""
        decimals = {field.name for field in self.model._meta.fields if isinstance(field, models.DecimalField)}
        given = super().get_fieldsets(request, obj)
        if self.fieldsets or self.fields:
            return [(title, {**options, "fields": _plainly(options["fields"], decimals)}) for title, options in given]
        hidden = set(self.exclude or ())
        names = [field.name for field in self.model._meta.fields if field.name not in hidden]
        shown = _plainly(self._in_words(names), decimals)
        rows = [tuple(shown[at : at + FIELDS_PER_ROW]) for at in range(0, len(shown), FIELDS_PER_ROW)]
        return [(None, {"fields": rows})]


class KeptAdmin(_Shown):
    """A screen over settings: added and changed, never deleted, because orders name them."""


class ReasonedForm(forms.ModelForm):
    """A setting that is live once it is saved: who changes it says why."""

    reason = forms.CharField(
        min_length=3,
        max_length=500,
        help_text="Why; it stays in the history of this record.",
        widget=UnfoldAdminTextInputWidget,
    )


class _Told(_Shown):
    """Settings that the engine holds a copy of: each change stays, with its difference.

    `history_of(reference=...)` returns the changes: at, by, reason, and (field, before, after) of each.
    """

    history_of: Callable[..., list[Any]]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Show who changed what when, and why."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {row}",
            "opts": self.opts,
            "told": self.history_of(reference=row.reference),
            **(extra_context or {}),
        }
        return render(request, "common/history.html", context)


class SettingAdmin(_Told, KeptAdmin):
    """Settings that are live once they are saved; each change has a reason."""

    form = ReasonedForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask why below the fields."""
        if not (self.has_change_permission(request, obj) if obj else self.has_add_permission(request)):
            return _without_reason(super().get_fieldsets(request, obj))
        given = _without_reason(super().get_fieldsets(request, obj))
        return [*given, ("Why", {"fields": ("reason",)})]


class Drafts:
    """Begins drafts of the row that is looked at, and leads to those that wait.

    `drafts` is the drafts' model as "app.model", `draft_name` the field there that names what is changed.
    """

    drafts: str
    draft_name: str
    actions_detail = ("write_change",)
    actions_list: Any = ("see_changes", "write_new")

    def has_draft_permission(self: Any, request: HttpRequest, object_id: Any = None) -> bool:
        """Whoever may write drafts."""
        app, model = self.drafts.split(".")
        return bool(request.user.has_perm(f"{app}.add_{model}"))

    @action(description="Write a change", url_path="write-change", permissions=["draft"])
    def write_change(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        """Begin a draft that says what is live."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return redirect(f"{self._drafts('add')}?{urlencode({self.draft_name: str(row)})}")

    @action(description="Write a new one", url_path="write-new", permissions=["draft"])
    def write_new(self: Any, request: HttpRequest) -> HttpResponse:
        """Begin a draft of one that there is none of."""
        return redirect(self._drafts("add"))

    @action(description="Drafts and versions", url_path="see-changes")
    def see_changes(self: Any, request: HttpRequest) -> HttpResponse:
        """Go to what waits for approval, and to export and import."""
        return redirect(self._drafts("changelist"))

    def _drafts(self: Any, page: str) -> str:
        return reverse(f"admin:{self.drafts.replace('.', '_')}_{page}")


class DraftedAdmin(Drafts, _Told, ReadOnlyAdmin):
    """Settings that only a draft changes, once another person approved it: here they are looked at."""

    list_filter_sheet = False


def reason_of(form: Any) -> str:
    """Return why somebody changes a setting."""
    return str(form.cleaned_data.get("reason", ""))


def _plainly(names: Iterable[Any], decimals: set[str]) -> list[Any]:
    """Return fields to show, decimals as `number` does; what stands together in a row stays together."""
    return [
        tuple(_plainly(name, decimals))
        if isinstance(name, tuple | list)
        else number(name, sortable=False)
        if name in decimals
        else name
        for name in names
    ]


def _without_reason(fieldsets: Any) -> list[Any]:
    kept = ((title, options, [name for name in options["fields"] if name != "reason"]) for title, options in fieldsets)
    return [(title, {**options, "fields": fields}) for title, options, fields in kept]


def number(
    field: str, *, label: str = "", digits: int | None = None, places: int | str = 0, sortable: bool = True
) -> Column:
    """Return an admin column that shows a decimal `field` without trailing zeros, rounded to `digits` if given.

    It has at least `places` decimals, so that figures under one another can be compared; a name is the row's own
    count, as the digits of its symbol.
    """

    @admin.display(description=label or field.replace("_", " "), ordering=field if sortable else None)
    def column(row: Any) -> SafeString | str:
        value: Decimal | None = getattr(row, field)
        at_least = getattr(row, places, 0) if isinstance(places, str) else places
        return "" if value is None else figure(value, digits=digits, places=at_least or 0)

    column.__name__ = f"{field}_shown"
    return column


def money(field: str, *, label: str = "") -> Column:
    """Return an admin column that shows an amount to the cent."""
    return number(field, label=label, digits=2, places=2)


def whole(field: str) -> Column:
    """Return an admin column that shows a whole number as it is, right: a count, a version, a port."""

    @admin.display(description=field.replace("_", " "), ordering=field)
    def column(row: Any) -> SafeString | str:
        value = getattr(row, field)
        return "" if value is None else format_html('<span class="figure">{}</span>', value)

    column.__name__ = f"{field}_whole"
    return column


def figure(value: Decimal, *, digits: int | None = None, places: int = 0) -> SafeString:
    """Return a number as a screen writes it: thousands apart, at least `places` decimals, a class that aligns it."""
    # What is rounded away is not filled up with noughts: a symbol may have more digits than most.
    rounded = value if digits is None else round(value, max(digits, places))
    text = plain(rounded or abs(rounded))
    whole, dot, fraction = text.partition(".")
    return format_html(
        '<span class="figure">{}{}{}</span>',
        f"{int(whole):,}" if whole != "-0" else whole,
        dot or ("." if places else ""),
        fraction.ljust(places, "0"),
    )


def named(field: str, *, label: str, sortable: bool = True) -> Column:
    """Return an admin column over `field` under another name."""

    @admin.display(description=label, ordering=field if sortable else None)
    def column(row: Any) -> Any:
        value = getattr(row, field)
        return "" if value is None else value

    column.__name__ = f"{field}_named"
    return column


def worded(field: str) -> Column:
    """Return an admin column that shows a stored choice in words."""

    @admin.display(description=field.replace("_", " "), ordering=field)
    def column(row: Any) -> str:
        return str(getattr(row, field)).replace("_", " ")

    column.__name__ = f"{field}_worded"
    return column


def badge(field: str, *, label: str = "", tones: Mapping[str, str] = TONES) -> Column:
    """Return an admin column that shows the word in `field` as a badge, coloured by how urgent it is."""

    @display(description=label or field.replace("_", " "), ordering=field, label=dict(tones))
    def column(row: Any) -> str:
        return str(getattr(row, field)).replace("_", " ")

    column.__name__ = f"{field}_badge"
    return column
