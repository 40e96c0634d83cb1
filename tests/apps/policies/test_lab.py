"""The rule lab as staff use it: a wish, two processes over the recorded day, both sides shown, differences as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from apps.audit.models import EngineTape, EventLogRow
from apps.policies import services
from apps.policies.models import Kind, LabRun, Policy
from apps.tenants.services import in_tenant
from piggy.bench.desk_ground import seat_staff
from piggy.bench.lab_day import START_US, Day
from piggy.celery import app as celery
from piggy.messaging.tape import TAPE_VERSION

BEGAN = datetime(2023, 11, 14, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGE = {"groups": ["b"], "lots_min": "2"}
RULES = {"rules": [{"name": "large", "priority": 1, "book_mode": "A", "conditions": LARGE}]}


def at(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def keep(day: Day) -> None:
    """Put a day where the engine would have: its log, and its tape."""
    EventLogRow.objects.bulk_create(
        EventLogRow(
            seq=row.recorded.seq,
            command_id=row.recorded.command_id,
            position=row.recorded.position,
            type=row.type,
            version=row.version,
            principal=row.recorded.principal,
            request_hash=row.recorded.request_hash,
            occurred_at=at(row.recorded.occurred_at_us),
            recorded_at=at(row.recorded.recorded_at_us),
            recorded_mono_ns=row.recorded.recorded_mono_ns,
            payload=row.payload,
            prev_hash=row.prev_hash,
            hash=row.hash,
        )
        for row in day.chained
    )
    for number, body in enumerate(day.chunks):
        began_us = START_US + number
        EngineTape.objects.create(
            begun_at_us=began_us,
            ended_at_us=began_us + 3_600_000_000,
            seq=day.rows[-1].seq,
            starts=True,
            version=TAPE_VERSION,
            body=body,
        )


@pytest.fixture
def recorded(acorn: Any, redis_server: Any) -> Iterator[Day]:
    with in_tenant("acorn"):
        day = Day(orders=60, accounts=20, limits=False)
        keep(day)
        assert celery.conf.broker_url, "what is sent goes to this run's Redis"
        yield day


def wish(**changes: Any) -> LabRun:
    return LabRun(**{"begins_at": BEGAN, "ends_at": BEGAN + timedelta(hours=24)} | changes)


def rules() -> Policy:
    return services.save_draft(policy=Policy(kind=Kind.ROUTING, body=RULES, reason="try it"), by="dora")


def staff(role: str) -> Client:
    browser = Client(headers={"host": "acorn.localhost"})
    browser.cookies[settings.SESSION_COOKIE_NAME] = seat_staff(tenant="acorn", role=role, username=role)
    return browser


def test_a_draft_is_tried_on_the_recorded_day_and_both_sides_are_shown(recorded: Day) -> None:
    dealer, screen = staff("dealer"), "/admin/policies/labrun/"
    draft = rules()
    times = {"begins_at_0": "2023-11-14", "begins_at_1": "00:00", "ends_at_0": "2023-11-15", "ends_at_1": "00:00"}
    asked = times | {"drafts": [str(draft.pk)], "currency": "USD"}
    wrong = dealer.post(f"{screen}add/", asked | {"ends_at_0": "2023-11-13"})
    assert "It ends after it begins." in wrong.content.decode()
    answer = dealer.post(f"{screen}add/", asked)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    with in_tenant("acorn"):
        run = LabRun.objects.get()
        assert (run.state, run.asked_by, list(run.drafts.all())) == ("queued", "dealer", [draft])
    assert dealer.get(f"{screen}{run.pk}/change/").headers["Refresh"]
    with in_tenant("acorn"):
        done = services.run_lab(tenant="acorn", run_id=run.pk)
        assert done is not None
        assert (done.state, done.error) == ("done", "")
        assert services.run_lab(tenant="acorn", run_id=run.pk) is None, "a second delivery does nothing"
    assert done.check_result["equal"], done.check_result
    assert done.check_result["orders"] == done.result["were"]["orders"] == 60
    page = dealer.get(f"{screen}{run.pk}/change/")
    assert "Refresh" not in page.headers
    shown = page.content.decode()
    assert "The unchanged replay equals history" in shown
    assert "Profit by group (USD)" in shown
    totals = [Decimal(done.result[side]["total"]) for side in ("would", "were")]
    assert f"<strong>{totals[0]:,f} USD</strong> instead of {totals[1]:,f}" in shown
    assert "could not be decided" not in shown
    with in_tenant("acorn"):
        LabRun.objects.filter(pk=run.pk).update(result=done.result | {"failed": 2})
    assert "2 commands could not be decided" in dealer.get(f"{screen}{run.pk}/change/").content.decode()
    assert "Profit by symbol (USD)" in shown
    sheet = list(csv.DictReader(io.StringIO(dealer.get(f"{screen}{run.pk}/differences.csv").content.decode())))
    assert len(sheet) == done.result["differing"] > 0
    assert {row["group"] for row in sheet} == {"b"}
    assert {(row["was book"], row["would be book"]) for row in sheet} == {("B", "A")}
    assert all(row["was reason"] and row["would be rule"] == "rule large" for row in sheet)
    nobody = Client(headers={"host": "acorn.localhost"})
    assert nobody.get(f"{screen}{run.pk}/differences.csv").status_code == 302
    assert dealer.get(screen).status_code == 200


def test_a_run_is_stopped_when_it_is_cancelled_and_says_why_it_failed(recorded: Day) -> None:
    run = services.ask_run(tenant="acorn", run=wish(), drafts=[], by="rick")
    with pytest.raises(services.UnableToRunLab, match="cancelled"):
        services.replay(tenant="acorn", run=run, changes=[], told=lambda part: False)
    said = io.StringIO()
    call_command("lab", "acorn", "2023-11-14", stdout=said)
    assert json.loads(said.getvalue())[0]["equal"]
    EngineTape.objects.all().delete()
    done = services.run_lab(tenant="acorn", run_id=run.pk)
    assert done is not None
    assert done.state == "failed"
    assert done.error.startswith("Nothing was recorded")


def test_what_could_not_run_is_refused_by_its_field(recorded: Day) -> None:
    for changes, field in (
        ({"ends_at": BEGAN}, "ends_at"),
        ({"ends_at": BEGAN + timedelta(hours=25)}, "ends_at"),
        ({"begins_at": datetime(2099, 1, 1, tzinfo=UTC), "ends_at": datetime(2099, 1, 1, 1, tzinfo=UTC)}, "begins_at"),
    ):
        with pytest.raises(ValidationError) as refused:
            services.check_run(run=wish(**changes), drafts=[])
        assert list(refused.value.message_dict) == [field]
    with pytest.raises(ValidationError) as refused:
        services.check_run(run=wish(), drafts=[rules(), rules()])
    assert list(refused.value.message_dict) == ["drafts"]
    run = services.ask_run(tenant="acorn", run=wish(), drafts=[], by="rick")
    with pytest.raises(ValidationError, match="under way"):
        services.check_run(run=wish(), drafts=[])
    services.cancel_run(run_id=run.pk)
    assert services.run_lab(tenant="acorn", run_id=run.pk) is None
    with pytest.raises(services.UnableToRunLab, match="over already"):
        services.cancel_run(run_id=run.pk)
