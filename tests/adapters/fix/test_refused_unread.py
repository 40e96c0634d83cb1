"""What QuickFIX refuses of an LP before we hear it is seen by a person; what it need not refuse is heard (2.c, D7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from piggy.adapters.fix.session import FixSession
from piggy.core.market import VenueState
from tests.adapters.fix.raw_lp import RawLp
from tests.adapters.fix.test_words import config
from tests.simulator.lp_range import Hearer, wait

FILL = "37=V1|11=o1|17=E1|150=F|39=2|55=EURUSD|54=1|38=100000|32=100000|31=1.1|14=100000|151=0|6=1.1|"


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("58=|", ""), ("453=2|448=X|447=D|452=3|", ""), ("453=0|", ""), ("20001=?|", ""), ("20=0|", ""),
        ("453=x|", "Incorrect data format for value (tag 453)"), ("32=200000|", "Tag appears more than once (tag 32)"),
    ],
)  # fmt: skip
def test_no_fill_is_refused_unseen_for_what_else_its_message_holds(tmp_path: Path, odd: str, why: str) -> None:
    lp, hearer = RawLp(), Hearer()
    session = FixSession(config=config(lp, tmp_path), listener=hearer)
    hearer.session = session
    session.start()
    try:
        wait(lambda: session.ready)
        number = lp.say("8", FILL + odd)
        wait(lambda: hearer.reports or hearer.parked)
        told = [f"message {number} of the LP was refused unread: {why}"] if why else []
        assert (len(hearer.reports), hearer.parked) == (0 if why else 1, told)
        lp.say("8", FILL.replace("17=E1", "17=E2"))
        wait(lambda: "F:E2" in [report.key for report in hearer.reports])
        assert session.status().state is VenueState.READY
    finally:
        session.stop()
        lp.stop()
