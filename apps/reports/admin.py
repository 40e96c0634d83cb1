"""Breaks and the statements that they were found in: who looks after which, why, and until when."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from apps.common.admin import KeptAdmin, ReadOnlyAdmin, badge
from apps.reports import selectors, services
from apps.reports.models import Break, BreakNote, Reconciliation, StatementFormat
from apps.tenants.selectors import current_schema
from apps.users.selectors import staff

TONES = {
    "open": "danger",
    "explained": "warning",
    "closed": "success",
    "missing here": "danger",
    "missing there": "danger",
    "quantity": "warning",
    "price": "warning",
    "fee": "info",
    "date": "info",
    "duplicate": "warning",
    "unknown fill": "danger",
    "position": "danger",
    "cash": "danger",
}
KEEP, EXPLAIN, CLOSE = "", "explain", "close"


@admin.register(StatementFormat)
class StatementFormatAdmin(KeptAdmin):
    list_display = ("venue", "delimiter", "time_format", "time_zone", "in_units", "updated_at")


class StatementForm(forms.ModelForm):
    """A statement to be read: of which LP, and the file."""

    venue = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    statement = forms.FileField(widget=UnfoldAdminFileFieldWidget, help_text="CSV, as the LP's statement format says.")

    class Meta:
        model = Reconciliation
        fields = ("venue",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice: Any = self.fields["venue"]
        choice.choices = [(name, name) for name in selectors.venue_names()]

    def clean(self) -> dict[str, Any]:
        """Read and reconcile it: what cannot be read is said beside the file, and nothing is written."""
        values = super().clean() or {}
        if not self.errors:
            file = values["statement"]
            try:
                self.outcome = services.reconcile(
                    tenant=current_schema(),
                    venue=values["venue"],
                    content=file.read(),
                    file_name=file.name,
                    folder=selectors.default_folder(),
                    by=self.by,  # type: ignore[attr-defined]
                    at=timezone.now(),
                )
            except (services.UnableToReadStatement, *services.CAUSES) as error:
                self.add_error("statement", str(error))
        return values


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    """Statements as they were read; adding one reads it."""

    list_display = ("at", "venue", "since", "until", "lines", "ours", "breaks_new", "breaks_known", "breaks_gone", "by")
    list_filter = ("venue",)
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may bring statements in."""
        return bool(request.user.has_perm("reports.add_reconciliation"))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Answer 400 to a file that cannot be used, as every screen that takes one."""
        answer: HttpResponse = super().add_view(request, form_url, extra_context)
        if request.method == "POST" and answer.status_code == HTTPStatus.OK:
            answer.status_code = HTTPStatus.BAD_REQUEST
        return answer

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Ask for LP and file, in the name of who sends them."""
        if obj is not None:
            return super().get_form(request, obj, change=change, **kwargs)
        return type("NamedStatementForm", (StatementForm,), {"by": request.user.get_username()})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Two fields to add, everything to look at."""
        return [(None, {"fields": ("venue", "statement")})] if obj is None else super().get_fieldsets(request, obj)

    def save_model(self, request: HttpRequest, obj: Reconciliation, form: Any, change: bool) -> None:
        """It is written already, with its breaks."""
        obj.pk = form.outcome.run.pk
        found = len(form.outcome.breaks)
        level = messages.WARNING if found else messages.SUCCESS
        messages.add_message(request, level, f"{form.outcome.run}: {found or 'no'} breaks stand.")


class BreakNoteInline(TabularInline):
    model = BreakNote
    extra = 0
    can_delete = False
    fields = readonly_fields = ("at", "act", "by", "text")
    ordering = ("id",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what is done to the break adds."""
        return False


class BreakForm(forms.ModelForm):
    """What to do with a break: give it to somebody, explain it, close it."""

    decision = forms.ChoiceField(
        required=False,
        choices=[(KEEP, "Leave it open"), (EXPLAIN, "Explain"), (CLOSE, "Close")],
        widget=UnfoldAdminSelectWidget,
    )
    why = forms.CharField(
        required=False, max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept for good."
    )

    class Meta:
        model = Break
        fields = ("owner",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner: Any = self.fields.get("owner")
        if owner is not None:
            owner.queryset = staff()

    def clean(self) -> dict[str, Any]:
        """A decision needs its reason."""
        values = super().clean() or {}
        if values.get("decision") and not (values.get("why") or "").strip():
            self.add_error("why", "Say why.")
        return values


@admin.register(Break)
class BreakAdmin(ReadOnlyAdmin):
    """Differences with LPs, the open ones first, the oldest on top."""

    form = BreakForm
    # Whose and how old come first: the list is wider than a laptop.
    list_display = (
        badge("state", tones=TONES), badge("kind", label="Class", tones=TONES), "owner", "age", "venue", "reference",
        "symbol", "ours", "theirs", "traded_on",
    )  # fmt: skip
    list_filter = ("state", "kind", "venue", "owner")
    list_select_related = ("owner",)
    search_fields = ("reference", "symbol")
    ordering = ("-state", "opened_at", "id")
    actions = ("take_over",)
    inlines = (BreakNoteInline,)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may do any of it, while it is not closed."""
        is_open = obj is None or obj.state != Break.State.CLOSED
        rights = ("assign", "explain", "close")
        return is_open and any(request.user.has_perm(f"reports.{right}_break") for right in rights)

    def has_assign_permission(self, request: HttpRequest) -> bool:
        """Who may take breaks over."""
        return bool(request.user.has_perm("reports.assign_break"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The difference side by side, then what is done about it."""
        facts = (("venue", "kind", "reference"), ("ours", "theirs"), ("symbol", "traded_on", "line"))
        where = ("state", "age", "found_in")
        sets: list[Any] = [("The difference", {"fields": (*facts, where)})]
        if self.has_change_permission(request, obj):
            return [*sets, ("What to do", {"fields": ("owner", "decision", "why")})]
        return [*sets, ("Owner", {"fields": ("owner",)})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Facts are never edited; an owner only by who may assign."""
        facts = ("venue", "kind", "reference", "ours", "theirs", "symbol", "traded_on", "line", "state", "found_in")
        return (*facts, "age") if self.has_assign_permission(request) else (*facts, "age", "owner")

    def save_model(self, request: HttpRequest, obj: Break, form: Any, change: bool) -> None:
        """Do what was chosen, each by its own right, and note it."""
        now, user = timezone.now(), request.user
        asked: dict[str, Any] = form.cleaned_data
        try:
            if "owner" in form.changed_data and asked["owner"] is not None:
                services.assign(break_id=obj.pk, owner=asked["owner"], by=user, at=now)
            for word, verb in ((EXPLAIN, services.explain), (CLOSE, services.close)):
                if asked.get("decision") != word:
                    continue
                if not user.has_perm(f"reports.{word}_break"):
                    raise services.UnableToDecideBreak(f"You may not {word} breaks.")
                verb(break_id=obj.pk, text=asked["why"], by=user, at=now)
        except services.UnableToDecideBreak as error:
            messages.error(request, f"{obj}: {error}")

    @admin.display(description="Age", ordering="opened_at")
    def age(self, row: Break) -> str:
        """Say for how long it has been, or was, open."""
        days = ((row.closed_at or timezone.now()) - row.opened_at).days
        return "today" if days == 0 else f"{days} day{'s' * (days != 1)}"

    @admin.action(description="Take over", permissions=["assign"])
    def take_over(self, request: HttpRequest, queryset: QuerySet[Break]) -> None:
        """Make the chosen breaks one's own."""
        for each in queryset:
            try:
                services.assign(break_id=each.pk, owner=request.user, by=request.user, at=timezone.now())
            except services.UnableToDecideBreak as error:
                messages.error(request, f"{each}: {error}")
