"""Of which order a gateway's message is: numbers are each client's own, and its lists hold everybody's orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from piggy.adapters.ibkr import transport
from piggy.adapters.ibkr.inbound import Known
from piggy.adapters.ibkr.session import IbkrSession
from piggy.adapters.interface import ReportKind, Response, UnableToConnect, UnableToReadReport
from piggy.adapters.transport import StreamEnded
from tests.adapters.ibkr.test_ibkr import (
    COMPLETED,
    CONFIG,
    GREETING,
    NOW_US,
    ORDER,
    connected,
    executed,
    hear,
    opened,
    stood,
    submitted,
)
from tests.adapters.recorded import child_of, play

OTHERS = [opened(106, "o2-V1-1").replace("\x00900\x00", "\x00901\x00"), stood("Submitted", "90000", 106)]
OTHERS[1] = OTHERS[1].replace("\x00900\x00", "\x00901\x00")


def status(*answers: Any) -> Any:
    return play(connected().status(order=ORDER, now_us=NOW_US), list(answers))[0]


def test_a_number_means_an_order_only_where_our_own_client_gave_it() -> None:
    """Each client counts from its own number: another's order of ours ended by its cancel would be dealt once more."""
    session = connected()
    submitted(session, opened(), stood("Submitted"))
    assert hear(session, stood("Cancelled", client="5")) == []
    assert hear(session, stood("Cancelled", number=99)) == []
    assert [one.kind for one in hear(session, stood("Cancelled"))] == [ReportKind.DONE]


def test_order_numbers_never_go_back_though_a_gateway_does() -> None:
    """INV-03: sent under a number that was used an order changes that one in its place."""
    session = connected()
    session.hear(stream="gateway", text="9\x001\x0050", now_us=NOW_US)
    _, requests = play(session.submit(child=child_of("EURUSD", price="1.1"), now_us=NOW_US), [[]])
    assert '"number":105' in requests[0].body


def test_only_its_own_fills_and_lines_make_an_orders_status() -> None:
    """Another's 0.9 lots taken for its own would be told as dealt, or keep it in doubt."""
    others = executed("z.01.01.01", units="90000", ref="o2-V1-1")
    said = status([opened(), stood("Submitted"), *OTHERS], [others])
    assert [one.report.kind for one in said] == [ReportKind.STATUS]
    assert (said[0].report.standing, said[0].report.cumulative) == ("working", 0)
    assert status(OTHERS, [COMPLETED.replace("o1-V1-1", "o2-V1-1")], [others])[0].report.standing == "unknown"


def test_of_what_the_lists_say_the_larger_count_is_told() -> None:
    """A count that is ahead of the executions keeps the order in doubt until they are here: settled, they are lost."""
    ahead = status([opened(), stood("Submitted", "60000")], [executed()])
    assert (ahead[-1].report.standing, ahead[-1].report.cumulative) == ("working", Decimal("0.6"))
    behind = status([opened(), stood("Submitted", "10000")], [executed()])
    assert behind[-1].report.cumulative == Decimal("0.4")
    busted = [executed(), executed("0000e0d5.01.01.02", units="0", cumulative="0")]
    gone = status([opened(), stood("Submitted", "0")], busted)
    assert [one.report.kind for one in gone] == [ReportKind.FILL, ReportKind.BUST, ReportKind.STATUS]
    assert gone[-1].report.cumulative == 0, "what was taken back is no longer filled"


@pytest.mark.parametrize("exec_id", ["01", ".01", "a.b", "a.", "a.-1", ""])
def test_an_execution_whose_id_has_no_number_is_told_by_nobody(exec_id: str) -> None:
    """F-15: its last number says whether it restates another."""
    with pytest.raises(UnableToReadReport, match="exec_id"):
        hear(connected(), executed(exec_id))


def test_only_a_later_number_of_an_execution_takes_it_back() -> None:
    for first in ("0000e0d5.01.01.01", "0000e0d5.01.01.00"):
        with pytest.raises(UnableToReadReport, match="cannot be"):
            hear(connected(), executed(first, units="0", cumulative="0"))
    with pytest.raises(UnableToReadReport, match="no known contract"):
        Known(config=CONFIG).lots(ref="nobody", units=Decimal(1))


def test_a_gateway_that_does_not_answer_for_a_contract_is_not_one_that_has_none() -> None:
    for silent in (Response(status=0, text=""), Response(status=503, text="busy")):
        with pytest.raises(UnableToConnect, match="busy|no contract details"):
            play(IbkrSession(config=CONFIG).connect(now_us=NOW_US), [GREETING, silent])


def test_f_23_who_reads_too_slowly_loses_the_line_and_no_message_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that was dropped would never be missed; a line that ended is begun anew, and all is asked for again."""
    monkeypatch.setattr(transport, "STREAMED_MAX", 2)
    line = transport.Line()
    channel = transport._LineChannel(line=line, close=lambda: None)
    for text in ("one", "two", "three"):
        line._tell(text)
    with pytest.raises(StreamEnded, match="too slowly"):
        channel.receive(timeout_s=0)
