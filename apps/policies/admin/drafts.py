"""Screens of the policies: write a draft, see what it changes and what the linter says, let another's draft in."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget

from apps.accounts import selectors as accounts
from apps.common.admin import KeptAdmin, badge
from apps.instruments import selectors as instruments
from apps.liquidity import selectors as liquidity
from apps.policies import models, selectors, services
from apps.policies.admin.body import BodyField
from apps.policies.admin.deciding import SEEN, Deciding
from apps.policies.admin.tables import Tables
from apps.policies.models import (
    ANY_SYMBOL,
    FIRM,
    NAMED_BY,
    STRUCTS,
    Kind,
    Policy,
    UnableToReadPolicy,
    needed,
    said_elsewhere,
)
from apps.risk import selectors as risk
from piggy.core.limits import HOUSE_LIMITS

# With its name: a box that scrolls is reached by the keyboard.
TABLE = (
    '<div class="scrolls" tabindex="0" role="region" aria-label="{}">'
    '<table class="decision"><tr>{}</tr>{}</table></div>'
)
ROW = "<tr><td>{}</td><td>{}</td><td>{}</td></tr>"
TONES = {"live": "success", "draft": "warning", "replaced": "info"}
CHOSEN_MAX = 500
# Who an owner is.
OWNERS = {Kind.CLEARANCE: "Account", Kind.ACCOUNT: "Account", Kind.VENUE: "LP", Kind.RESTRICTED: "Whose"}
# What a draft of these kinds names may be there or not.
NAMES_A_NEW_ONE = {Kind.GROUP: "group", Kind.INSTRUMENT: "symbol"}
VERSION_HEADS = ("Version", "Written by", "Decided by", "Why", "Against what was live")


class PolicyForm(forms.ModelForm):
    """A draft; the body is checked as the engine would read it. `KIND` is that of its screen."""

    KIND: ClassVar[models.Kind]

    class Meta:
        model = Policy
        fields = ("group", "symbol", "owner", "body", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.KIND
        self.stood = self.instance.digest if self.instance.is_saved else ""
        if "body" in self.fields:
            house = HOUSE_LIMITS if self.KIND == Kind.LIMITS else None
            self.fields["body"] = BodyField(
                struct=STRUCTS[self.KIND], house=house, notes=_notes(self.KIND), choices=_named_in(self.KIND)
            )
        if (field := self.fields.get(NAMES_A_NEW_ONE.get(self.KIND, ""))) is not None:
            field.help_text = "One that is there is changed; a new name makes a new one."

    def clean(self) -> dict[str, Any]:
        """Refuse what the core would refuse, naming the field."""
        values = super().clean() or {}
        if not self.errors:
            if self.data.get(f"{SEEN}{self.instance.pk}", self.stood) != self.stood:
                raise ValidationError(f"{self.instance.written_by} changed this draft meanwhile: open it anew.")
            for name, value in values.items():
                setattr(self.instance, name, value)
            self.check()
        return values

    def check(self) -> None:
        """Refuse a body that cannot be used, and mark the input that it is about."""
        try:
            services.check_draft(policy=self.instance)
        except ValidationError as error:
            if "body" in self.fields:
                field: Any = self.fields["body"]
                field.widget.mark(texts=error.message_dict.get("body", []))
            raise


class PolicyAdmin(Tables, Deciding, KeptAdmin):
    """One kind of policy."""

    list_display = (
        "__str__",
        badge("state", tones=TONES),
        "written_by",
        "written_at",
        "decided_by",
        "decided_at",
        "reason",
    )
    search_fields = ("group", "symbol", "owner", "reason", "written_by")
    ordering = ("group", "symbol", "owner", "-version")
    readonly_fields = ("difference", "linted", "reference_of_fields", "versions")
    actions = ("approve", "withdraw")

    @property
    def kind(self) -> models.Kind:
        """The kind of policy on this screen."""
        return self.model.KIND  # type: ignore[attr-defined, no-any-return]

    @property
    def names(self) -> tuple[str, ...]:
        """What tells policies of this kind apart."""
        return tuple(name for name, kinds in NAMED_BY if self.kind in kinds)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        """Return policies of this kind."""
        return super().get_queryset(request).filter(kind=self.kind)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what names this kind, the body, what it changes, and what there is to write."""
        names = self.names
        shown = ("difference", "linted") if self.kind == models.Kind.ROUTING else ("difference",)
        says = "Nothing is live before another person approves it; then the next order sees it, without a restart."
        return [
            (None, {"fields": (*((names,) if names else ()), "body", "reason"), "description": says}),
            ("What this version changes", {"fields": shown}),
            ("What may be written", {"fields": ("reference_of_fields",)}),
            ("History", {"fields": ("versions",)}),
        ]

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Filter by what names this kind."""
        return ("state", *(name for name in self.names if name != "owner"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What a draft is for is fixed once it is written: another one is another draft."""
        return (*self.readonly_fields, *self.names) if obj else self.readonly_fields

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Let groups, symbols and accounts be chosen where there are not too many of them."""
        found = _choices(self.kind, db_field.name)
        if found is None or len(found) > CHOSEN_MAX:
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        nobody = "all clients of this broker" if self.kind == Kind.RESTRICTED else "–"
        is_said = self.kind == Kind.RESTRICTED or db_field.name != "owner"
        return forms.ChoiceField(
            label=OWNERS.get(self.kind) if db_field.name == "owner" else None,
            choices=[("", nobody), *found],
            required=False,
            help_text=db_field.help_text if is_said else "",
            widget=UnfoldAdminSelectWidget,
        )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Take over the live version that the address names."""
        given: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        names = {name: given.get(name, "") for name, _ in NAMED_BY}
        live = selectors.live_body(kind=self.kind, **names)
        return given | ({"body": live} if live else {})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts are changed."""
        is_draft = obj is None or obj.state == Policy.State.DRAFT
        return is_draft and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        """Write the draft."""
        services.save_draft(policy=obj, by=request.user.get_username())

    @admin.display(description="Against the live version")
    def difference(self, row: Policy) -> SafeString | str:
        """Say each field that differs from the live version."""
        if not row.is_saved:
            return "Saved drafts are compared here with what is live."
        lines = selectors.differences(before=selectors.live_body(**row.named) or {}, after=row.body)
        if not lines:
            return "Nothing."
        body = format_html_join("", ROW, _texts(lines))
        heads = format_html("<th>{}</th><th>{}</th><th>{}</th>", "Field", "Live", "This")
        return format_html(TABLE, f"What {row} changes", heads, body)

    @admin.display(description="Versions")
    def versions(self, row: Policy) -> SafeString | str:
        """Say who changed what when, and why, since the first version."""
        if not row.is_saved:
            return "Every version stays here once it is saved."
        lines = [
            (
                f"v{each.version} {each.state}",
                f"{each.written_by}, {each.written_at:%Y-%m-%d %H:%M}",
                f"{each.decided_by}, {each.decided_at:%Y-%m-%d %H:%M}" if each.decided_at else "–",
                each.reason,
                format_html_join("", "<div>{}: {} → {}</div>", _texts(changes)),
            )
            for each, changes in selectors.history(policy=row)
        ]
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", lines)
        heads = format_html_join("", "<th>{}</th>", ((head,) for head in VERSION_HEADS))
        return format_html(TABLE, f"Versions before and after {row}", heads, body)

    @admin.display(description="Linter")
    def linted(self, row: Policy) -> SafeString | str:
        """Say which rules can never decide, and which meet."""
        if not row.is_saved:
            return "Saved drafts are looked at here."
        try:
            found = selectors.findings(policy=row)
        except UnableToReadPolicy as error:
            return str(error)
        lines = [(each.fault.value, each.rule, each.text) for each in found]
        shown = format_html_join("", "<p><strong>{}</strong> {}: {}</p>", lines)
        return shown or "Every rule can decide, and no two meet."

    @admin.display(description="Fields")
    def reference_of_fields(self, row: Policy) -> SafeString:
        """List the fields of the body with their defaults."""
        struct = STRUCTS[self.kind]
        asked, left_out = needed(struct=struct), (*said_elsewhere(struct=struct), "key")
        lines = [
            (each.name, "needed" if each.name in asked else _shown(msgspec.to_builtins(_default(each), str_keys=True)))
            for each in msgspec.structs.fields(struct)
            if each.name not in left_out
        ]
        return format_html(
            '<p>{}</p><table class="decision"><thead><tr><th scope="col">Name in JSON and CSV</th>'
            '<th scope="col">Where it is left out</th></tr></thead><tbody>{}</tbody></table>',
            _in_words(struct.__doc__ or ""),
            format_html_join("", "<tr><td><code>{}</code></td><td>{}</td></tr>", lines),
        )

    def get_urls(self) -> list[Any]:
        """Add the page of effective values."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_effective"
        return [path("effective/", self.admin_site.admin_view(self.effective), name=name), *super().get_urls()]

    def effective(self, request: HttpRequest) -> HttpResponse:
        """Show what holds for each symbol of a group, and where it comes from."""
        groups = list(accounts.all_groups().values_list("name", flat=True))
        chosen = request.GET.get("group") or (groups[0] if groups else "")
        context = {
            **self.admin_site.each_context(request),
            "title": "Effective values",
            "groups": groups,
            "chosen": chosen,
            "not_set": selectors.NOT_SET,
            "rows": selectors.effective(group=chosen),
            "limits": selectors.effective_limits(group=chosen),
        }
        return render(request, "policies/effective.html", context)


def _notes(kind: Kind) -> dict[str, str]:
    """Return what the fields of a body are, where the record says it."""
    return risk.limit_notes() if kind == Kind.LIMITS else accounts.group_notes() if kind == Kind.GROUP else {}


def _named_in(kind: Kind) -> dict[str, list[str]]:
    """Return what fields of a body may name, where that is not too much to choose from."""
    return {"group": list(accounts.all_groups().values_list("name", flat=True))} if kind == Kind.ACCOUNT else {}


def _choices(kind: Kind, name: str) -> list[tuple[str, str]] | None:
    """Return what a group, symbol or account may be, None for any other field, or where it may be a new one."""
    if NAMES_A_NEW_ONE.get(kind) == name:
        return None
    if name == "group":
        return [(each, each) for each in accounts.all_groups().values_list("name", flat=True)]
    if name == "symbol":
        anyone = [(ANY_SYMBOL, f"{ANY_SYMBOL} every symbol without its own")]
        found = [(each, each) for each in instruments.all_instruments().values_list("symbol", flat=True)]
        return [*(anyone if kind in (Kind.PRICING, Kind.MARGIN) else []), *found]
    if name == "owner" and kind == Kind.VENUE:
        return [(each.name, each.name) for each in liquidity.providers()]
    if name == "owner" and kind in (Kind.CLEARANCE, Kind.ACCOUNT):
        return [(each, each) for each in accounts.all_accounts().values_list("account_id", flat=True)]
    if name == "owner":
        return [(FIRM, "the firm's own list"), *((ref, f"client {ref}") for ref in accounts.client_references())]
    return None


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _texts(changes: list[tuple[str, Any, Any]]) -> list[tuple[str, str, str]]:
    return [(path, _shown(old), _shown(new)) for path, old, new in changes]


def _in_words(doc: str) -> SafeString:
    """Return what a struct says of itself: names of fields as such, without the file that has the rule."""
    parts = re.split(r"`(\w+)`", re.sub(r" \(\w+\.py\)", "", doc.strip()))
    shown = (format_html("<code>{}</code>" if at % 2 else "{}", part) for at, part in enumerate(parts))
    return format_html_join("", "{}", ((part,) for part in shown))


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join(map(str, value)) or "–"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else str(value)


for screen in (
    models.PriceProfilePolicy,
    models.MarginPolicy,
    models.SwapPolicy,
    models.SwapFreePolicy,
    models.HedgingPolicy,
    models.RoutingRules,
    models.CalendarPolicy,
    models.LimitsPolicy,
    models.OptionPolicy,
    models.ClearancePolicy,
    models.RestrictedPolicy,
    models.GroupPolicy,
    models.InstrumentPolicy,
    models.AuctionPolicy,
    models.VenuePolicy,
    models.AccountPolicy,
):
    form = type(f"{screen.__name__}Form", (PolicyForm,), {"KIND": screen.KIND})  # type: ignore[attr-defined]
    admin.site.register(screen, PolicyAdmin, form=form)
