"""What a desk remembers besides its state: answers, forgotten ids, legs that nobody answered, options' underlyings."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import desk as desks
from piggy.core import events as ev
from piggy.core import forgotten
from piggy.core.desk import Desk
from piggy.core.forgotten import Forgotten
from piggy.core.instruments import OptionKind, OptionTerms
from piggy.core.money import plain
from piggy.core.orders import Side
from piggy.core.recollection import recollected
from piggy.core.verdicts import told_decision, told_verdict
from tests.core.floor import EURUSD, Floor, only

D = Decimal


def test_legs_that_no_venue_answered_are_told_again_and_no_others() -> None:
    floor = Floor()
    floor.place("a1", Side.BUY, "5")
    first, second, third = floor.children()
    common = {"cl_ord_id": second.cl_ord_id, "venue": second.venue, "occurred_at_us": floor.now_us}
    floor.do(cmd.RecordVenueAck(venue_order_id="V", **common))
    doubt = {"cl_ord_id": third.cl_ord_id, "venue": third.venue, "occurred_at_us": floor.now_us}
    floor.do(cmd.RecordVenueDoubt(text="lost", **doubt))
    assert floor.desk.unsent_children() == (first,)


def test_the_oldest_answers_are_forgotten_and_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "ANSWERS_KEPT", 2)
    floor = Floor()
    for name in ("one", "two", "three"):
        floor.do(cmd.CreditAccount(account_id="a1", amount=D(1), reference=name), command_id=name)
    assert floor.desk.answer(command_id="one", request_hash="") is None
    assert floor.desk.perhaps_forgotten(command_id="one")
    assert not floor.desk.perhaps_forgotten(command_id="three")
    assert not Forgotten().perhaps(command_id="one")


def test_filters_grow_and_those_that_are_full_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten, "IDS_EACH", (64, 128, 256))
    told, full = Forgotten(), list[bytes]()
    for number in range(1_000):
        told.add(command_id=f"id {number}")
        assert told.dump()[: len(full)] == full
        full = told.dump()[:-1]
    assert [len(each) for each in told.dump()] == [128, 256, 512, 512, 512, 512]
    again = Forgotten(filters=told.dump(), count=told.count)
    again.add(command_id="one more")
    known = [f"id {number}" for number in range(1_000)]
    assert all(again.perhaps(command_id=each) for each in [*known, "one more"])
    assert sum(again.perhaps(command_id=f"never {each}") for each in known) < 40


@pytest.mark.parametrize("ids", [0, 1, 63, 64, 65, 99, 100, 101, 191, 192, 193, 700])
def test_filters_are_the_same_however_many_ids_are_written_down_at_once(
    monkeypatch: pytest.MonkeyPatch, ids: int
) -> None:
    monkeypatch.setattr(forgotten, "IDS_EACH", (64, 128, 256))
    told, one_by_one = Forgotten(), Forgotten()
    for number in range(ids):
        for each in (told, one_by_one):
            each.add(command_id=f"id {number}")
            assert each.perhaps(command_id=f"id {number}"), "also while it waits to be written down"
        one_by_one.dump()
        assert told.count == one_by_one.count == number + 1
    assert told.dump() == one_by_one.dump()


def test_a_resumed_desk_knows_which_options_an_underlying_moves() -> None:
    floor = Floor()
    terms = OptionTerms(underlying="EURUSD", strike=D("1.1"), kind=OptionKind.CALL, expires_at_us=10**16)
    option = msgspec.structs.replace(EURUSD, symbol="EURUSD-C", option=terms)
    floor.do(cmd.ConfigureInstrument(instrument=option))
    resumed = Desk.resumed(state=floor.desk.state, memory=floor.desk.memory(answers_max=10))
    assert resumed._options == floor.desk._options == {"EURUSD": {"EURUSD-C"}}


def test_a_refusal_is_recollected_from_the_log_as_it_was_told() -> None:
    floor = Floor()
    floor.do(cmd.CreditAccount(account_id="nobody", amount=D(1), reference="r"), command_id="refused")
    recorded = [each for each in floor.log if each.command_id == "refused"]
    again = recollected(recorded=recorded, request_hash="", state=floor.desk.state)
    assert again == floor.desk.answer(command_id="refused", request_hash="")
    assert again.refused is not None and again.duplicate


def test_what_the_gate_and_routing_said_is_told_with_the_names_of_its_fields() -> None:
    floor = Floor()
    (accepted,) = only(floor.place("a1", Side.BUY, "1"), ev.OrderAccepted)
    verdict, decision = told_verdict(verdict=accepted.verdict), told_decision(decision=accepted.routing)
    assert verdict["checks"][0].keys() >= {"code", "passed", "value", "limit", "text"}
    seen = msgspec.json.decode(msgspec.json.encode(decision))["considered"]
    assert {row["venue"] for row in seen} == {"LP1", "LP2", "LP3"} and all(row["quote_age_ms"] == 0 for row in seen)


@pytest.mark.parametrize(
    ("number", "text"), [("1.50", "1.5"), ("1E+5", "100000"), ("0.000", "0"), ("-0.10", "-0.1"), ("7", "7")]
)
def test_numbers_are_written_plainly(number: str, text: str) -> None:
    assert plain(D(number)) == text
