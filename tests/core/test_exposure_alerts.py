"""P-27 of P-19: what tenant, firm and venues have open against the limits that each group sets to it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core.control_events import ExposureUseChanged
from piggy.core.desk import Desk
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.orders import Side
from tests.core.floor import CLEARED, SECOND_US, Floor, only


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_what_the_house_and_its_venues_have_open_is_watched_for_every_group_that_limits_it(floor: Floor) -> None:
    """P-27 of P-19: tenant, firm and venue, each level once and taken back, within the five seconds allowed."""
    limits = msgspec.structs.replace(
        HOUSE_LIMITS, exposure_tenant_max=D(440_000), exposure_firm_max=D(1_100_000), exposure_venue_max=D(220_000)
    )
    floor.do(cmd.ConfigureLimits(group="a", limits=limits))
    floor.open_account("b3", group="b", amount=1_000_000)
    floor.now_us += SECOND_US
    floor.act()
    floor.place("a1", Side.BUY, "1", limit_price="1.09000")
    assert exposures(floor) == []
    floor.place("a1", Side.BUY, "1.7")
    assert exposures(floor) == [("venue", "LP1", "a", D(80), True), ("tenant", "", "a", D(50), True)]
    levels = {("venue", "LP1", "a", "USD"): D(80), ("tenant", "", "a", "USD"): D(50)}
    assert floor.desk.state.exposure_alerts == levels and exposures(floor) == []
    floor.place("b3", Side.BUY, "3.1")
    assert exposures(floor) == [("tenant", "", "a", D(100), True), ("firm", "", "a", D(50), True)], "5.8 lots"
    floor.place("b3", Side.SELL, "3.1")
    assert exposures(floor) == [("tenant", "", "a", D(50), False), ("firm", "", "a", D(0), False)]
    floor.do(cmd.ConfigureLimits(group="a", limits=msgspec.structs.replace(limits, exposure_venue_max=None)))
    assert exposures(floor) == [("venue", "LP1", "a", D(0), False)], "what has no limit cannot be used up"
    assert exposures(floor) == []


def test_exposure_that_cannot_be_converted_leaves_its_alert_as_it_was(floor: Floor) -> None:
    """P-27 of P-19: an account in a currency to which no rate leads, beside those that have one."""
    krona = msgspec.structs.replace(floor.desk.state.accounts["b1"], account_id="k1", owner_id="k1", currency="SEK")
    floor.do(cmd.ConfigureAccount(account=krona, clearance=CLEARED))
    floor.do(cmd.ConfigureLimits(group="b", limits=msgspec.structs.replace(HOUSE_LIMITS, exposure_firm_max=D(200_000))))
    floor.place("b1", Side.BUY, "1")
    assert exposures(floor) == [("firm", "", "b", D(50), True)]
    assert set(floor.desk.state.exposure_alerts) == {("firm", "", "b", "USD")}


def test_a_desk_that_is_quiet_is_not_looked_at_and_one_out_of_a_snapshot_is(floor: Floor) -> None:
    """P-27: groups and currencies are known again."""

    def looks(desk: Desk) -> list[Any]:
        floor.now_us += SECOND_US
        return [each.groups for each in desk.due(now_us=floor.now_us) if isinstance(each, cmd.ActOnLimits)]

    groups = (("a", "USD"), ("b", "USD"), ("mixed", "USD"))
    assert (looks(floor.desk), looks(floor.desk)) == ([groups], [])
    again = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=1))
    assert looks(again) == [groups]


def exposures(floor: Floor) -> list[tuple[str, str, str, D, bool]]:
    floor.now_us += SECOND_US
    floor.requote()
    found = only(floor.act(), ExposureUseChanged)
    assert all(event.currency == "USD" and event.code == "P-19" for event in found)
    return sorted((e.scope, e.key, e.group, e.level_percent, e.raised) for e in found)[::-1]
