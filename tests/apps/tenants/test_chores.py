"""F-26: a chore that is delivered twice, or told by two beats at the same moment, has one effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Group
from apps.dealing import services as dealing
from apps.dealing.models import DeskAction, TimedChange
from apps.instruments import services as instruments
from apps.liquidity import services as liquidity
from apps.liquidity.models import LiquidityProvider, StageChange, VenueScorecard
from apps.outbox.models import OutboxCommand
from apps.reports import selectors as reports
from apps.reports import services as exporting
from apps.risk import services as risk
from apps.risk.models import DepreciationNotice, LossShare
from apps.tenants.services import in_tenant
from piggy import projector
from piggy.celery import app
from piggy.core.commands import ConfigureVenue
from piggy.messaging import codec
from tests.apps import records
from tests.apps.dealing.desk_floor import Dealer, symbol
from tests.apps.dealing.test_timed_changes import ROUTING
from tests.apps.liquidity.test_execution import publish
from tests.apps.risk.test_protection import quote  # noqa: F401

AT_ONCE, ROUNDS = 4, 3


def at_once(work: Callable[[], Any]) -> list[Any]:
    """Do it in several workers at the same moment; what each made of it."""
    together, made = threading.Barrier(AT_ONCE), list[Any]()

    def run() -> None:
        try:
            with in_tenant("acorn"), connection.cursor():
                together.wait(60)
                made.append(work())
        finally:
            connection.close()

    workers = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    return made


def test_every_chore_of_the_beat_is_a_task_that_may_be_repeated() -> None:
    app.loader.import_default_modules()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert "safe to repeat" in (app.tasks[entry["task"]].__doc__ or "").lower(), entry


def test_losses_are_measured_once_a_day_and_notices_written_once(
    acorn: Any,
    redis_server: Any,
    quote: Any,  # noqa: F811
) -> None:
    noon = datetime(2030, 1, 2, 12, tzinfo=UTC)
    with in_tenant("acorn"):
        records.client()
        instruments.set_up_instrument(tenant="acorn", instrument=symbol("EURUSD"), by="test")
        records.write(records.credited(), records.accepted(), records.filled())
        projector.catch_up(tenant="acorn")
    quote("0.76")
    for day in range(ROUNDS):
        made = at_once(lambda: risk.measure_losses(tenant="acorn", at=noon + timedelta(days=day)))  # noqa: B023
        assert sum(share is not None for share in made) == 1
    assert sum(at_once(lambda: risk.note_depreciations(tenant="acorn", at=noon))) >= 1
    with in_tenant("acorn"):
        assert LossShare.objects.count() == ROUNDS
        assert [row.percent for row in DepreciationNotice.objects.all()] == [30]


def test_a_canary_is_sent_back_once_and_a_minutes_scorecards_are_kept_once(acorn: Any, redis_server: Any) -> None:
    now = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)
    with in_tenant("acorn"):
        lp = liquidity.add_provider(tenant="acorn", name="LP1", port=9101, symbols=[], by="test")
        lp.stage, lp.canary_percent = "canary", Decimal(10)
        lp.save()
        before = OutboxCommand.objects.count()
    publish(redis_server, trading_state="halted", rejects_in_a_row=20, cost_markout_bps="1.25")
    made = at_once(lambda: liquidity.review_canaries(tenant="acorn", now=now))
    assert sorted(map(len, made)) == [0] * (AT_ONCE - 1) + [1]
    at_once(lambda: liquidity.keep_scorecards(tenant="acorn", now=now))
    with in_tenant("acorn"):
        assert (StageChange.objects.count(), VenueScorecard.objects.count()) == (1, 1)
        assert LiquidityProvider.objects.get().stage == "shadow"
        told = [codec.decode_envelope(bytes(row.payload)).command for row in OutboxCommand.objects.order_by("id")]
        assert [type(each) for each in told[before:]] == [ConfigureVenue]


@pytest.mark.usefixtures("redis_server")
def test_a_change_whose_time_is_over_is_put_back_once(acorn: Any) -> None:
    with in_tenant("acorn"):
        accounts.set_up_group(tenant="acorn", group=Group(name="b-book"), by="test")
    assert Dealer().act("change-routing", **ROUTING).status_code == 200
    later = timezone.now() + timedelta(minutes=16)
    at_once(lambda: dealing.revert_due(tenant="acorn", now=later))
    with in_tenant("acorn"):
        assert [row.kind for row in DeskAction.objects.order_by("id")] == ["change-routing", "end-change"]
        assert TimedChange.objects.get().state == TimedChange.State.ENDED
        assert Group.objects.get(name="b-book").version == 3


def test_an_export_adds_each_event_once(acorn: Any, tmp_path: Any) -> None:
    with in_tenant("acorn"):
        records.write(records.credited(), records.accepted(), records.filled())

    def export() -> int:
        try:
            return exporting.export(tenant="acorn", folder=tmp_path).events
        except exporting.UnableToExport:
            return 0

    assert sum(at_once(export)) == 3
    assert [(each.first, each.last) for each in reports.files.pieces(folder=tmp_path, tenant="acorn")] == [(1, 3)]
