"""Deciding on drafts: whoever lets one in has looked at every word of it, and says so with its digest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps.policies import services
from apps.policies.models import Policy

SEEN = "seen-"
STATUS = {"own": 403, "over": 409, "changed": 409, "unusable": 422}


class Deciding:
    """Adds both decisions to the screen of one kind of policy."""

    def get_object(self: Any, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return a draft; whoever sends one back holds it until it is written, so that nobody lets it in meanwhile."""
        if request.method == "POST" and object_id.isdecimal():
            services.hold(policy_id=int(object_id))
        return super().get_object(request, object_id, from_field)  # type: ignore[misc]

    @admin.action(description="Approve: make it live", permissions=["change"])
    def approve(self: Any, request: HttpRequest, queryset: QuerySet[Policy]) -> HttpResponse | None:
        """Show what the chosen drafts change; let those in that came back as they were shown."""
        chosen = list(queryset)
        if not all(f"{SEEN}{policy.pk}" in request.POST for policy in chosen):
            return self._look(request, chosen, status=200)  # type: ignore[no-any-return]
        status = 0
        for policy in chosen:
            try:
                services.approve(
                    tenant=request.tenant.schema_name,  # type: ignore[attr-defined]
                    policy_id=policy.pk,
                    by=request.user.get_username(),
                    at=timezone.now(),
                    seen=request.POST[f"{SEEN}{policy.pk}"],
                )
            except services.UnableToDecidePolicy as error:
                messages.error(request, f"{policy}: {error}")
                status = max(status, STATUS[error.code])
            else:
                messages.success(request, f"{policy} is live.")
        return self._look(request, chosen, status=status) if status else None

    @admin.action(description="Withdraw the draft", permissions=["change"])
    def withdraw(self: Any, request: HttpRequest, queryset: QuerySet[Policy]) -> HttpResponse | None:
        """Drop drafts."""
        status = 0
        for policy in queryset:
            try:
                services.withdraw(policy_id=policy.pk, by=request.user.get_username(), at=timezone.now())
            except services.UnableToDecidePolicy as error:
                messages.error(request, f"{policy}: {error}")
                status = STATUS[error.code]
            else:
                messages.success(request, f"{policy} is withdrawn.")
        return self._look(request, [], status=status) if status else None

    def _look(self: Any, request: HttpRequest, policies: list[Policy], *, status: int) -> HttpResponse:
        drafts = Policy.objects.filter(pk__in=[each.pk for each in policies], state=Policy.State.DRAFT).order_by("pk")
        name = request.user.get_username()
        context = {
            **self.admin_site.each_context(request),
            "title": f"Approve {self.opts.verbose_name_plural}",
            "opts": self.opts,
            "shown": [(draft, self.difference(draft), draft.written_by == name) for draft in drafts],
            "may_approve": any(draft.written_by != name for draft in drafts),
        }
        return render(request, "policies/decide.html", context, status=status)
