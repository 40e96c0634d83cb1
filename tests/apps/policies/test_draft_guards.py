"""What is no draft is not written over, whoever comes at once; what is no table is named; who may not sees no file."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.policies import services
from apps.policies.admin import tables as screens
from apps.policies.models import Kind, Policy
from apps.policies.services import tables
from apps.tenants.services import in_tenant
from apps.users.models import User
from tests.apps.dealing.test_changes_at_once import Meanwhile, meanwhile
from tests.apps.policies.test_policies import approve, broker, draft, staff
from tests.flows.back_office import Form

__all__ = ["broker", "meanwhile"]


def test_only_a_draft_is_written_also_by_who_read_it_as_one(broker: None) -> None:
    read = draft(Kind.SWAPS)
    live = approve(Policy.objects.get(pk=read.pk))
    for known in (live, read):
        known.reason = "written over"
        with pytest.raises(ValidationError, match="Only a draft is changed"):
            services.save_draft(policy=known, by="dora")
    assert Policy.objects.get().reason != "written over"


def test_a_draft_that_goes_live_while_it_is_sent_back_is_not_written_over(broker: None, meanwhile: Meanwhile) -> None:
    made = draft(Kind.SWAPS)
    page, dora = f"/admin/policies/swappolicy/{made.pk}/change/", staff("dealer", "dora")
    edited = Form(dora.get(page).content.decode()).fields | {"reason": "written over"}

    def live() -> None:
        services.approve(tenant="acorn", policy_id=made.pk, by="rick", at=timezone.now())

    assert meanwhile(live, lambda: dora.post(page, edited)).status_code == 403
    with in_tenant("acorn"):
        made.refresh_from_db()
    assert (made.state, made.reason != "written over") == ("live", True)


@pytest.mark.parametrize(
    ("limit", "says"), [("CHARACTERS_MAX", "At most 1 characters."), ("ROWS_MAX", "At most 1 rows.")]
)
def test_a_table_of_too_much_says_how_much_is_too_much(
    broker: None, monkeypatch: pytest.MonkeyPatch, limit: str, says: str
) -> None:
    monkeypatch.setattr(tables, limit, 1)
    with pytest.raises(services.UnableToImport) as refused:
        services.bring(kind=Kind.SWAPS, text="symbol,reason\nEURUSD,a\nEURUSD,b\n", by="dora", reason="a new year")
    assert [(fault.field, fault.text) for fault in refused.value.faults] == [("file", says)]


def test_a_file_that_is_no_text_or_too_long_is_400_beside_its_box(
    broker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dora = staff("dealer", "dora")

    def sent(content: bytes) -> Any:
        form = {"table": SimpleUploadedFile("t.csv", content), "reason": "a new year"}
        return dora.post("/admin/policies/swappolicy/import/", form)

    odd = sent(b"symbol\n\xff\xfe")
    assert (odd.status_code, "The file is not UTF-8 text." in odd.content.decode()) == (400, True)
    monkeypatch.setattr(screens, "BYTES_MAX", 5)
    long = sent(b"symbol\n")
    assert (long.status_code, "At most 5 bytes." in long.content.decode()) == (400, True)


@pytest.mark.parametrize("page", ["policies/swappolicy/export/", "policies/labrun/1/differences.csv"])
def test_who_may_not_look_takes_nothing_away_either(broker: None, page: str) -> None:
    sam = staff("support", "sam")
    with in_tenant("acorn"):
        User.objects.get(username="sam").groups.clear()
    assert sam.get(f"/admin/{page}").status_code == 403


def test_a_run_without_differences_has_no_file_of_them(broker: None) -> None:
    assert staff("dealer", "dora").get("/admin/policies/labrun/1/differences.csv").status_code == 404
