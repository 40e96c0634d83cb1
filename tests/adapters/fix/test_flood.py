"""F-30: however many ticks come, one book a symbol leaves the session, the latest; no report is left out for them."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from piggy.adapters.fix.quoted import FAULTS_TOLD_MAX
from piggy.adapters.fix.session import FixSession
from tests.adapters.fix.test_inbound import config, execution, text

TICKS = int(os.environ.get("FLOOD_TICKS", "5000"))
EVERY, LOOKS = 100, 10
QUOTE = (
    "8=FIX.4.4|9=0|35=i|34=2|49=LP1|52=20261122-10:00:00.000|56=ACORN|117=q|296=1|302=s|304=1|295=1|299=e|55=EURUSD"
    "|132={bid}|133=2|134=100000|135=50000|10=0|"
)


class Heard:
    """What the session tells of orders."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.parked: list[str] = []

    def on_report(self, *, text: str) -> None:
        self.reports.append(text)

    def on_parked(self, *, text: str, error: str) -> None:
        self.parked.append(error)

    def on_state(self, **_: Any) -> None:
        """Nothing happens to this session."""


class Message:
    def __init__(self, raw: str) -> None:
        self.raw = raw

    def toString(self) -> str:
        return self.raw


@pytest.fixture
def session(tmp_path: Path) -> tuple[FixSession, Heard]:
    heard = Heard()
    return FixSession(config=structs.replace(config(), home=tmp_path), listener=heard), heard


@pytest.mark.parametrize("times", [1, 10])
def test_f_30_ten_times_the_ticks_leave_as_many_books_and_every_report(
    session: tuple[FixSession, Heard], times: int
) -> None:
    line, heard = session
    left, bid = [], Decimal(1)
    for look in range(LOOKS):
        for tick in range(times * TICKS // LOOKS // 10):
            bid += Decimal("0.00001")
            line.fromApp(Message(text(QUOTE.format(bid=bid))), None)
            if tick % EVERY == 0:
                number = f"E{look}-{tick}"
                line.fromApp(Message(execution(t17=number)), None)
        changed = line.changed_quotes()
        assert [each.bids[0].price for each in changed] == [bid], "one book, as it is now"
        left += changed
    assert line.changed_quotes() == []
    assert (len(left), heard.parked) == (LOOKS, [])
    wanted = [f"E{look}-{tick}" for look in range(LOOKS) for tick in range(0, times * TICKS // LOOKS // 10, EVERY)]
    assert [raw.partition("\x0117=")[2].partition("\x01")[0] for raw in heard.reports] == wanted


def test_f_30_of_a_flood_of_nonsense_a_person_sees_each_kind_once_and_not_all(
    session: tuple[FixSession, Heard],
) -> None:
    line, heard = session
    for bid in ["NaN", "NaN", *(f"x{number}" for number in range(2 * FAULTS_TOLD_MAX))]:
        line.fromApp(Message(text(QUOTE.format(bid=bid))), None)
    assert len(heard.parked) == FAULTS_TOLD_MAX and "NaN" in heard.parked[0] and "x0" in heard.parked[1]
    (shown,) = line.changed_quotes()
    assert shown.bids == () and shown.asks, "what can be used is"
    line.onLogout(None)
    line.fromApp(Message(text(QUOTE.format(bid="NaN"))), None)
    assert len(heard.parked) == FAULTS_TOLD_MAX + 1, "another session is another matter"
