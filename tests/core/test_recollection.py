"""Answers of long ago come out of the log as they were given (INV-02)."""

from __future__ import annotations

import msgspec
import pytest

from piggy.core import events as ev
from piggy.core.recollection import recollected
from tests.engine.test_snapshot import busy_floor


@pytest.mark.parametrize("seed", range(4))
def test_inv_02_an_orders_answer_out_of_its_own_events_is_the_one_the_desk_kept(seed: int) -> None:
    floor = busy_floor(seed=seed)
    by_command: dict[str, list[ev.Recorded]] = {}
    for recorded in floor.log:
        by_command.setdefault(recorded.command_id, []).append(recorded)
    orders = 0
    for command_id, recorded in by_command.items():
        kept = floor.desk.answer(command_id=command_id, request_hash="")
        again = recollected(recorded=recorded, request_hash="", state=floor.desk.state)
        if isinstance(recorded[0].event, ev.OrderAccepted | ev.OrderDenied):
            orders += 1
            assert again == kept
        else:
            assert msgspec.structs.replace(again, order=None) == msgspec.structs.replace(kept, order=None)
    assert orders > 50


def test_inv_02_another_body_under_an_old_id_is_a_conflict() -> None:
    floor = busy_floor(seed=1)
    answer = recollected(recorded=floor.log[-1:], request_hash="other", state=floor.desk.state)
    assert answer.conflict
