"""A group's limits reach the engine as its gate reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.accounts import services as accounts
from apps.accounts.models import Group
from apps.outbox.models import OutboxCommand
from apps.risk import services
from apps.risk.models import GroupLimits
from piggy.core.instruments import AssetClass
from piggy.core.limits import HOUSE_LIMITS, OF_THE_GROUP, Limits
from piggy.messaging import codec


@pytest.fixture
def group(acorn: Any, as_tenant: Any, redis_server: Any) -> Any:
    with as_tenant("acorn"):
        yield accounts.set_up_group(tenant="acorn", group=Group(name="b-book"), by="test")


def test_saved_limits_are_told_to_the_engine(group: Group) -> None:
    services.save_limits(tenant="acorn", limits=GroupLimits(group=group, order_volume_max_lots=Decimal(7)), by="dealer")
    row = OutboxCommand.objects.get(reference="limits:b-book")
    command = codec.decode_envelope(bytes(row.payload)).command
    assert (command.group, command.limits.order_volume_max_lots) == ("b-book", Decimal(7))
    assert command.limits.collar_percent[AssetClass.GOLD] == Decimal(3)


def test_limits_left_as_they_are_made_are_those_of_the_house(group: Group) -> None:
    told = GroupLimits(group=group).to_core()
    assert {name for name in Limits.__struct_fields__ if getattr(told, name) is None} == set(OF_THE_GROUP)
    effective = told.for_group(group=group.to_core())
    assert [name for name in Limits.__struct_fields__ if getattr(effective, name) is None] == []
    assert told.loss_daily_account_max == HOUSE_LIMITS.loss_daily_account_max
    assert group.to_command().limits == HOUSE_LIMITS, "and the engine begins with them"


@pytest.mark.parametrize("collars", [{"gold": "a lot"}, {"tulips": "3"}, {"gold": "-1"}, ["gold"]])
def test_a_collar_that_is_no_percent_is_refused(group: Group, collars: Any) -> None:
    with pytest.raises(ValidationError, match="percents by asset class"):
        services.save_limits(tenant="acorn", limits=GroupLimits(group=group, collar_percent=collars), by="dealer")


def test_a_limit_below_nothing_is_refused(group: Group) -> None:
    limits = GroupLimits(group=group, position_net_max_lots=Decimal(-1))
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        services.save_limits(tenant="acorn", limits=limits, by="dealer")
