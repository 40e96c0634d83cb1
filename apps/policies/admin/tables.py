"""Policies out to a spreadsheet and in again: a file of what is live, and a file that becomes drafts or nothing."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone

from apps.policies import selectors, services

BYTES_MAX = 2_000_000


class TableForm(forms.Form):
    """The file, and why."""

    table = forms.FileField(
        label="CSV file", help_text="As Export writes it: a policy a row. What is blank has its default."
    )
    reason = forms.CharField(min_length=3, max_length=500, help_text="For rows that give none of their own.")

    def clean_table(self) -> str:
        """Return the file's text."""
        given = self.cleaned_data["table"]
        if given.size > BYTES_MAX:
            raise forms.ValidationError(f"At most {BYTES_MAX} bytes.")
        try:
            return str(given.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError("The file is not UTF-8 text.") from error


class Tables:
    """Adds export and import to the screen of one kind of policy."""

    list_before_template = "policies/tools.html"

    def get_urls(self: Any) -> list[Any]:
        """Add both pages."""
        view, name = self.admin_site.admin_view, f"{self.opts.app_label}_{self.opts.model_name}"
        mine = [
            path("export/", view(self.take_away), name=f"{name}_export"),
            path("import/", view(self.bring_in), name=f"{name}_import"),
        ]
        return [*mine, *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self: Any, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the ways out and in above the list."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        links = {page: reverse(f"{name}_{page}") for page in ("export", "import", "effective")}
        tools = {"links": links, "may_import": self.has_add_permission(request)}
        answer = super().changelist_view(request, {**(extra_context or {}), **tools})  # type: ignore[misc]
        assert isinstance(answer, HttpResponse), "a list answers a page"
        return answer

    def take_away(self: Any, request: HttpRequest) -> HttpResponse:
        """Return what is live as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = services.as_table(kind=self.kind, policies=selectors.live_rows(kind=self.kind))
        answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
        at = timezone.now()
        answer["Content-Disposition"] = f'attachment; filename="{self.kind}-{at:%Y%m%d-%H%M%S}.csv"'
        return answer

    def bring_in(self: Any, request: HttpRequest) -> HttpResponse:
        """Show the form; write drafts of every row, or of none and say what is wrong with which."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TableForm(request.POST or None, request.FILES or None)
        faults: list[Any] = []
        if request.method == "POST" and form.is_valid():
            given = {"text": form.cleaned_data["table"], "reason": form.cleaned_data["reason"]}
            try:
                made = services.bring(kind=self.kind, by=request.user.get_username(), **given)
            except services.UnableToImport as error:
                faults = error.faults
            else:
                messages.success(request, f"{len(made.drafts)} drafts written, {made.unchanged} rows say what is so.")
                return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        title = f"Import {self.opts.verbose_name_plural}"
        context = {**self.admin_site.each_context(request), "title": title, "form": form, "faults": faults}
        status = 400 if faults or form.errors else 200
        return render(request, "policies/import.html", context | {"opts": self.opts}, status=status)
