"""Other terms for a while: live at once or after a second person, and put back by the clock."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Group
from apps.common.times import microseconds
from apps.dealing import services
from apps.dealing.models import DeskAction, TimedChange
from apps.dealing.services import terms
from apps.outbox.models import OutboxCommand
from apps.risk.models import GroupLimits
from apps.tenants.services import in_tenant
from apps.users.services import UnableToCreateUser, create_staff
from piggy.core import commands as cmd
from piggy.core.rollover import next_rollover_at_us
from piggy.messaging import codec
from tests.apps.dealing.desk_floor import Dealer

ROUTING = {"group": "b-book", "book_mode": "MIXED", "a_book_percent": "40", "minutes": 15}
SPREAD = {"group": "b-book", "bid_points": 5, "ask_points": 7, "minutes": 15}
LIMITS = {"group": "b-book", "changes": {"order_volume_max_lots": "3"}, "minutes": 15}


@pytest.fixture
def dora(acorn: Any, redis_server: Any) -> Dealer:
    with in_tenant("acorn"):
        group = Group(name="b-book", bid_markup_points=1, ask_markup_points=2)
        accounts.set_up_group(tenant="acorn", group=group, by="test")
    return Dealer()


@pytest.fixture
def rick(dora: Dealer) -> Dealer:
    return Dealer(role="risk", username="rick")


def group() -> Group:
    with in_tenant("acorn"):
        return Group.objects.get(name="b-book")


def change() -> TimedChange:
    with in_tenant("acorn"):
        return TimedChange.objects.get()


def today() -> list[Any]:
    with in_tenant("acorn"):
        rows = OutboxCommand.objects.filter(reference__startswith="limits-today:").order_by("id")
        return [codec.decode_envelope(bytes(row.payload)).command for row in rows]


def later(minutes: int) -> int:
    with in_tenant("acorn"):
        return services.revert_due(tenant="acorn", now=timezone.now() + timedelta(minutes=minutes))


def kinds() -> list[tuple[str, str]]:
    with in_tenant("acorn"):
        return list(DeskAction.objects.order_by("id").values_list("kind", "by"))


def test_routing_is_put_back_when_its_minutes_are_over(dora: Dealer) -> None:
    assert dora.act("change-routing", **ROUTING).status_code == 200
    assert (group().book_mode, group().a_book_percent, group().version) == ("MIXED", 40, 2)
    assert later(14) == 0
    assert (later(16), later(17)) == (1, 0)
    assert (group().book_mode, group().a_book_percent, group().version) == ("B", 100, 3)
    assert kinds() == [("change-routing", "dora"), ("end-change", "the clock")]
    with in_tenant("acorn"):
        told = [codec.decode_envelope(bytes(row.payload)).command for row in OutboxCommand.objects.order_by("id")]
    assert [each.group.book_mode for each in told] == ["B", "MIXED", "B"]


def test_a_wider_spread_is_added_to_what_the_group_has(dora: Dealer) -> None:
    assert dora.act("widen-spread", **SPREAD).status_code == 200
    assert (group().bid_markup_points, group().ask_markup_points) == (6, 9)
    assert dora.act("end-change", change_id=change().pk).status_code == 200
    assert (group().bid_markup_points, group().ask_markup_points) == (1, 2)
    assert (change().state, change().ended_by) == ("ended", "dora")
    assert later(16) == 0


def test_what_somebody_changed_since_is_left_alone(dora: Dealer) -> None:
    dora.act("widen-spread", **SPREAD)
    with in_tenant("acorn"):
        accounts.change_group(tenant="acorn", name="b-book", changes={"ask_markup_points": 30}, by="office", reason="x")
    assert later(16) == 1
    assert (group().bid_markup_points, group().ask_markup_points) == (1, 30)
    assert change().note == "left as changed since: ask_markup_points"


def test_a_second_change_of_the_same_waits_for_the_end_of_the_first(dora: Dealer) -> None:
    dora.act("change-routing", **ROUTING)
    refused = dora.act("change-routing", **(ROUTING | {"book_mode": "A"}))
    assert (refused.status_code, refused.json()["code"]) == (422, "CHANGE_RUNS")
    assert dora.act("widen-spread", **SPREAD).status_code == 200, "another kind is another thing"
    assert len(kinds()) == 2


def test_other_limits_need_a_second_person(dora: Dealer, rick: Dealer) -> None:
    """P-28."""
    assert dora.act("change-limits", **LIMITS).status_code == 200
    with in_tenant("acorn"):
        assert not GroupLimits.objects.exists(), "asked is not live"
    own = dora.act("approve-change", change_id=change().pk)
    assert (own.status_code, own.json()["code"]) == (422, "FOUR_EYES")
    assert rick.act("approve-change", change_id=change().pk).status_code == 200
    (told,) = today()
    assert isinstance(told, cmd.ChangeLimits)
    assert (told.limits.order_volume_max_lots, told.asked_by, told.approved_by) == (3, "dora", "rick")
    assert told.reverts_at_us == microseconds(change().reverts_at), "the engine ends it by itself"
    with in_tenant("acorn"):
        assert not GroupLimits.objects.exists(), "the group's own limits are not touched"
    assert later(16) == 1
    assert len(today()) == 1
    assert change().state == "ended"
    assert kinds() == [("change-limits", "dora"), ("approve-change", "rick"), ("end-change", "the clock")]


def test_what_a_groups_own_settings_say_is_changed_by_two_for_a_while_too(dora: Dealer, rick: Dealer) -> None:
    """P-28: value, number and slippage of orders; what nobody named stays as the group says, and the group is not
    touched."""
    changes = {"order_value_max": "50000", "slippage_bps_max": "7.5"}
    assert dora.act("change-limits", **(LIMITS | {"changes": changes})).status_code == 200
    assert rick.act("approve-change", change_id=change().pk).status_code == 200
    limits = today()[0].limits
    assert (limits.order_value_max, limits.slippage_bps_max, limits.orders_open_max) == (50_000, Decimal("7.5"), 200)
    assert change().before == {"order_value_max": "250000.00", "slippage_bps_max": "50.00"}
    assert (group().order_notional_max, group().version) == (250_000, 1)
    assert later(16) == 1


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("orders_open_max", "-1"),
        ("orders_open_max", "9" * 30),
        ("order_value_max", "many"),
        ("order_volume_max_lots", "-1"),
        ("loss_daily_account_max", "NaN"),
        ("exposure_account_max", "1e400"),
    ],
)
def test_a_limit_that_no_group_could_have_is_refused_by_its_name_to_whoever_asks_for_it(
    dora: Dealer, rick: Dealer, limit: str, value: str
) -> None:
    """P-28: nor does one of before come in, whoever lets it in."""
    asked = LIMITS | {"changes": {limit: value}}
    refused = dora.act("change-limits", **asked)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "VALUE_UNUSABLE", limit)
    assert kinds() == []
    dora.act("change-limits", **LIMITS)
    with in_tenant("acorn"):
        TimedChange.objects.update(after={limit: value})
    refused = rick.act("approve-change", change_id=change().pk)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "VALUE_UNUSABLE", limit)
    assert (change().state, today()) == ("asked", []), "nothing of it happened"


def test_limits_of_the_day_are_ended_early_by_the_same_door(dora: Dealer, rick: Dealer) -> None:
    """P-28: and never outlast the trading day."""
    dora.act("change-limits", **(LIMITS | {"minutes": 1_440}))
    rick.act("approve-change", change_id=change().pk)
    made = change()
    day_ends_at_us = next_rollover_at_us(at_us=microseconds(made.live_at))
    assert microseconds(made.reverts_at) <= day_ends_at_us
    assert dora.act("end-change", change_id=made.pk).status_code == 200
    assert isinstance(today()[-1], cmd.RevertLimits)
    assert later(1_500) == 0


def test_a_dealer_called_clock_is_a_person_who_ends_limits_early_and_uses_up_no_key_of_the_clock(
    rick: Dealer, dora: Dealer
) -> None:
    """P-28: and nobody can be called as the clock is."""
    dora.act("change-limits", **LIMITS)
    rick.act("approve-change", change_id=change().pk)
    clock = Dealer(username="clock")
    assert clock.act("end-change", change_id=change().pk).status_code == 200
    assert isinstance(today()[-1], cmd.RevertLimits)
    dora.act("change-routing", **ROUTING)
    with in_tenant("acorn"):
        routed = TimedChange.objects.get(kind="change-routing").pk
    assert clock.act("widen-spread", once=f"end:{routed}", **SPREAD).status_code == 200
    assert later(16) == 2
    with in_tenant("acorn"), pytest.raises(UnableToCreateUser, match="is no login"):
        create_staff(username=terms.CLOCK, password="long enough for a test", role="dealer")


def test_a_wish_for_other_limits_is_taken_back_without_a_word_to_the_engine(dora: Dealer) -> None:
    """P-28."""
    dora.act("change-limits", **LIMITS)
    assert dora.act("end-change", change_id=change().pk).status_code == 200
    assert (change().state, change().ended_by, today()) == ("ended", "dora", [])
    assert dora.act("change-limits", **LIMITS).status_code == 200, "it stands in nobody's way"


def test_the_database_too_refuses_limits_by_one_person(dora: Dealer) -> None:
    dora.act("change-limits", **LIMITS)
    with in_tenant("acorn"), pytest.raises(IntegrityError, match="by_two"):
        TimedChange.objects.update(approved_by="dora")


def test_a_refused_change_is_over(dora: Dealer, rick: Dealer) -> None:
    dora.act("change-limits", **LIMITS)
    assert rick.act("reject-change", change_id=change().pk).status_code == 200
    assert change().state == "rejected"
    assert rick.act("approve-change", change_id=change().pk).json()["code"] == "CHANGE_UNKNOWN"


@pytest.mark.parametrize("minutes", [0, -1, 1_441])
def test_a_change_without_a_near_end_is_refused(dora: Dealer, minutes: int) -> None:
    assert dora.act("change-routing", **(ROUTING | {"minutes": minutes})).status_code == 400
    assert kinds() == []
