"""Two people at the same settings at the same moment: nothing that either of them did is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts import services as accounts
from apps.dealing import services
from apps.dealing.models import TimedChange
from apps.risk.models import GroupLimits
from apps.tenants.services import in_tenant
from tests.apps.dealing.desk_floor import Dealer
from tests.apps.dealing.test_timed_changes import LIMITS, ROUTING, SPREAD, change, dora, group, later, rick, today

__all__ = ["dora", "rick"]

WAITING = (
    "select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()"
)
Meanwhile = Callable[[Callable[[], Any], Callable[[], Any]], Any]


@pytest.fixture
def meanwhile(owner_sql: Any) -> Meanwhile:
    """`meanwhile(one, other)`: `other` begins before `one` is committed, and has to wait for it; its answer."""

    def run(one: Callable[[], Any], other: Callable[[], Any]) -> Any:
        def asked() -> Any:
            try:
                return other()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as person:
            with in_tenant("acorn"), transaction.atomic():
                one()
                answer = person.submit(asked)
                until_s = time.monotonic() + 60
                while owner_sql(WAITING) == [(0,)]:
                    assert not answer.done() and time.monotonic() < until_s, "it waited for nobody"
                    time.sleep(0.02)
            return answer.result(60)

    return run


def office(**changes: Any) -> None:
    accounts.change_group(tenant="acorn", name="b-book", changes=changes, by="office", reason="a draft went live")


def test_a_spread_is_widened_from_what_the_group_has_by_then(dora: Dealer, meanwhile: Meanwhile) -> None:
    answer = meanwhile(lambda: office(ask_markup_points=30), lambda: dora.act("widen-spread", **SPREAD))
    assert answer.status_code == 200
    assert (group().bid_markup_points, group().ask_markup_points) == (6, 37)
    assert later(16) == 1
    assert (group().bid_markup_points, group().ask_markup_points) == (1, 30)


def test_what_goes_live_while_a_change_is_put_back_stays(dora: Dealer, meanwhile: Meanwhile) -> None:
    dora.act("widen-spread", **SPREAD)
    assert meanwhile(lambda: office(ask_markup_points=30), lambda: later(16)) == 1
    assert (group().bid_markup_points, group().ask_markup_points) == (1, 30)
    assert change().note == "left as changed since: ask_markup_points"


def test_limits_for_a_while_are_told_with_what_a_draft_changed_meanwhile(
    dora: Dealer, rick: Dealer, meanwhile: Meanwhile
) -> None:
    """P-28: of the group, and of its own limits."""
    dora.act("change-limits", **LIMITS)
    approve = {"change_id": change().pk}
    answer = meanwhile(lambda: office(order_notional_max=70_000), lambda: rick.act("approve-change", **approve))
    assert (answer.status_code, today()[0].limits.order_value_max) == (200, 70_000)
    dora.act("end-change", **approve)
    with in_tenant("acorn"):
        GroupLimits.objects.create(group=group(), window_s=10)
    dora.act("change-limits", **LIMITS)
    with in_tenant("acorn"):
        approve = {"change_id": TimedChange.objects.latest("pk").pk}
    answer = meanwhile(lambda: GroupLimits.objects.update(window_s=20), lambda: rick.act("approve-change", **approve))
    assert (answer.status_code, today()[-1].limits.window_s) == (200, 20)


def test_one_that_somebody_ends_at_that_moment_holds_no_other_up(dora: Dealer, meanwhile: Meanwhile) -> None:
    dora.act("change-routing", **ROUTING)
    first = change().pk
    dora.act("widen-spread", **SPREAD)
    wish = services.Wish(
        tenant="acorn", by="dora", kind="end-change", key="k", reason="it is over", body={}, now=timezone.now()
    )
    assert meanwhile(lambda: services.end_change(wish=wish, change_id=first), lambda: later(16)) == 1
    with in_tenant("acorn"):
        assert list(TimedChange.objects.order_by("pk").values_list("state", "ended_by")) == [
            ("ended", "dora"),
            ("ended", "the clock"),
        ]
    assert (group().book_mode, group().ask_markup_points) == ("B", 2)
