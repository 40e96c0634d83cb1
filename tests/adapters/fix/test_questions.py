"""What an LP will not answer: prices of many symbols at once, or what became of an order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from piggy.adapters.fix import outbound
from piggy.adapters.fix.questions import STATUS
from piggy.core.orders import Side
from tests.adapters.fix.raw_lp import RawLp
from tests.adapters.fix.test_words import QUOTED, begun
from tests.simulator.lp_range import wait


@pytest.fixture
def lp() -> Iterator[RawLp]:
    raw = RawLp()
    yield raw
    raw.stop()


@pytest.fixture
def joined(lp: RawLp, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    with begun(lp, tmp_path) as (session, hearer):
        wait(lambda: session.ready)
        yield session, hearer


def refusals(asked: dict[str, str]) -> list[tuple[str, str]]:
    """Return the three ways to refuse a request for prices."""
    return [
        ("Y", f"262={asked['262']}|281=0|58=Unknown symbol|"),
        ("j", f"45={asked['34']}|372=V|380=5|58=one symbol at a time|"),
        ("3", f"45={asked['34']}|371=146|373=5|58=NoRelatedSym|"),
    ]


@pytest.mark.parametrize("way", range(3))
def test_a_symbol_that_the_lp_does_not_quote_costs_nobody_the_others(
    lp: RawLp, joined: tuple[Any, Any], way: int
) -> None:
    """Refused together they are asked for one by one; what is refused by itself is a person's to see."""
    session, hearer = joined
    asked = lp.wait("V")
    assert asked["146"] == "2"
    lp.say(*refusals(asked)[way])
    lp.wait("V", count=3)
    _, euro, pound = lp.of("V")
    assert [(each["146"], each["55"]) for each in (euro, pound)] == [("1", "EURUSD"), ("1", "GBPUSD")]
    assert len({each["262"] for each in lp.of("V")}) == 3 and hearer.parked == []
    lp.say(*refusals(pound)[way])
    wait(lambda: hearer.parked)
    assert hearer.parked == ["the LP refused a request for prices"]
    lp.say("W", QUOTED.replace("262=1", f"262={euro['262']}"))
    wait(lambda: session.changed_quotes())
    assert len(lp.of("V")) == 3
    lp.drop()
    assert lp.wait("V", count=4)["146"] == "2", "the next day all may be taken"


def test_an_lp_that_answers_no_status_requests_is_not_asked_for_ever(lp: RawLp, joined: tuple[Any, Any]) -> None:
    """One word to people, not one each few seconds; and where it takes none of the type, nothing more is asked."""
    session, hearer = joined

    def ask(reject: str) -> None:
        text = outbound.status_request(cl_ord_id="o1", symbol="EURUSD", side=Side.BUY, config=session.config)
        count = len(lp.of("H")) + 1
        assert session.send(text)
        number = lp.wait("H", count=count)["34"]
        heard = session.next_numbers().incoming
        lp.say(reject[0], f"45={number}|372=H|{reject[2:]}|58=no|")
        wait(lambda: session.next_numbers().incoming > heard)

    for _ in range(3):
        ask("j|380=4")
    wait(lambda: hearer.parked)
    assert hearer.parked == ["the LP does not answer what became of an order"]
    assert session.questions.is_taken(kind=STATUS), "it may do so later"
    ask("j|380=3")
    wait(lambda: len(hearer.parked) == 2)
    assert not session.questions.is_taken(kind=STATUS)
    lp.drop()
    wait(lambda: session.questions.is_taken(kind=STATUS))
    wait(lambda: session.ready)
    ask("3|373=11")
    wait(lambda: not session.questions.is_taken(kind=STATUS))
