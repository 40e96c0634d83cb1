from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from piggy.adapters.interface import ReportKind, Response
from piggy.adapters.mt5 import inbound
from piggy.adapters.mt5.agent import Agent
from piggy.adapters.mt5.config import RETCODES, STATES, Meaning
from piggy.adapters.mt5.outbound import Asker, client_id
from piggy.adapters.mt5.session import Mt5Session
from tests.adapters.recorded import child_of, config_of, knowing, play, recorded

CONFIG = config_of("mt5", {"EURUSD": ("EURUSD", "1")})
NOW_US = 1_700_000_000_000_000
TERMS = {"digits": 5, "volume_min": 0.01, "volume_max": 500.0, "volume_step": 0.01, "trade_mode": 4}
MARKETS = [{"name": "EURUSD"} | TERMS]
RESULT = {"order": 77, "volume": 1.0, "comment": "c", "client_id": "o1-V1-1", "asked": "1"}


def test_every_documented_code_and_state_has_a_meaning():
    constants = recorded("mt5_constants.json")
    codes = {value for name, value in constants.items() if name.startswith(("TRADE_RETCODE_", "RES_"))}
    assert codes - RETCODES.keys() == set()
    states = {value for name, value in constants.items() if name.startswith("ORDER_STATE_")}
    assert states == STATES.keys()


@pytest.mark.parametrize(
    ("retcode", "kind"),
    [
        (10009, ReportKind.ACK),
        (10008, ReportKind.ACK),
        (10006, ReportKind.REJECT),
        (10004, ReportKind.REJECT),
        (10019, ReportKind.REJECT),
        (10018, ReportKind.REJECT),
        (10024, ReportKind.REJECT),
        (10012, ReportKind.DOUBT),
        (10031, ReportKind.DOUBT),
        (-10005, ReportKind.DOUBT),
        (99999, ReportKind.DOUBT),
    ],
)
def test_a_code_is_taken_refused_or_doubted(retcode: int, kind: ReportKind):
    """A code that nobody documented is a doubt."""
    volume = 0.0 if retcode == 10008 else 1.0
    answer = {"retcode": retcode} | (RESULT | {"volume": volume} if RETCODES.get(retcode) is Meaning.DONE else {})
    answers: list[Any] = [answer, []] if retcode == 10009 else [answer]
    said, _ = play(knowing(Mt5Session(config=CONFIG), MARKETS).submit(child=child_of("EURUSD"), now_us=NOW_US), answers)
    assert said[0].report.kind is kind


def test_what_is_left_of_a_partly_done_deal_is_gone():
    response = Response(status=200, text=json.dumps(RESULT | {"retcode": 10010, "volume": 0.4}))
    doc = json.loads(inbound.unified(response=response, asked="submit", config=CONFIG).text)
    assert (doc["status"], doc["filled"], doc["remaining"]) == ("canceled", "0.4", "0.6")


def test_an_order_is_asked_with_its_numbers_as_text_and_an_id_that_fits_a_comment():
    request = Asker(config=CONFIG).new_order(child=child_of("EURUSD", lots="0.5", price="1.10"), terms=None)
    assert (request.url, request.places_order) == ("submit", True)
    assert json.loads(request.body) == {
        "name": "EURUSD",
        "side": "buy",
        "volume": "0.5",
        "price": "1.1",
        "force": "ioc",
        "client_id": "o1-V1-1",
    }
    long = "3f2b8f6e6f7d4df09d6e3f6a2c1b0-V1"
    assert len(long) == 32
    assert len(client_id(cl_ord_id=long)) <= 31
    assert client_id(cl_ord_id=long) == client_id(cl_ord_id=long)


class Terminal:
    def __init__(self, retcode: int | None) -> None:
        self.retcode = retcode
        self.sent: list[dict[str, Any]] = []

    def order_send(self, request: dict[str, Any]) -> Any:
        self.sent.append(request)
        if self.retcode is None:
            return None
        return SimpleNamespace(retcode=self.retcode, order=77, volume=1.0, comment="done")

    def last_error(self) -> tuple[int, str]:
        return -10005, "IPC timeout"


SUBMIT = {"name": "EURUSD", "side": "sell", "volume": "1", "price": "1.1", "force": "ioc", "client_id": "c1"}


def test_an_agent_never_sends_an_id_twice_even_after_a_restart(tmp_path: Path):
    terminal = Terminal(None)
    names: dict[str, Any] = {"terminal": terminal, "url": "ws://x/agents/a/b", "secret": "s"}
    ledger = tmp_path / "ledger.jsonl"
    first = Agent(**names, ledger=ledger)
    assert first.answer(ask="submit", args=SUBMIT) == (200, {"retcode": -10005, "comment": "IPC timeout"})
    again = Agent(**names, ledger=ledger)
    assert again.answer(ask="submit", args=SUBMIT)[0] == 409
    assert len(terminal.sent) == 1


def test_an_order_that_may_not_rest_is_a_deal_and_one_that_may_is_pending(tmp_path: Path):
    terminal = Terminal(10009)
    agent = Agent(terminal=terminal, url="ws://x/agents/a/b", secret="s", ledger=tmp_path / "l")
    agent.answer(ask="submit", args=SUBMIT)
    agent.answer(ask="submit", args=SUBMIT | {"force": "gtc", "client_id": "c2"})
    shapes = [(one["action"], one["type"], one["type_filling"], one["comment"]) for one in terminal.sent]
    assert shapes == [(1, 1, 1, "c1"), (5, 3, 2, "c2")]
    for question in ("note", "serve", "doc", "format_disk"):
        assert agent.answer(ask=question, args={})[0] == 400


def test_a_deal_that_the_broker_took_back_is_told_as_busted():
    """F-15: it keeps its ticket; what is left of its order is what its other deals are."""
    order = {"ticket": 7, "state": 4, "volume_initial": 1.0, "volume_current": 0.0, "client_id": "o1-V1-1"}
    deal = {"order": 7, "symbol": "EURUSD", "type": 0, "price": 1.1, "time_msc": NOW_US // 1_000, "commission": 0.0}
    deals = [deal | {"ticket": 5, "volume": 0.4}, deal | {"ticket": 6, "volume": 0.6, "type": 13}]
    session = knowing(Mt5Session(config=CONFIG), MARKETS)
    said, requests = play(session.fills(since_us=NOW_US, now_us=NOW_US), [deals, order])
    kinds = [one.report.kind for one in said]
    assert sorted(kinds) == sorted([ReportKind.FILL, ReportKind.FILL, ReportKind.BUST])
    bust = next(one.report for one in said if one.report.kind is ReportKind.BUST)
    assert (bust.command.ref_fill_id, bust.cumulative) == ("EURUSD-6", Decimal("0.4"))
    assert json.loads(requests[0].body)["since_s"] == NOW_US // 1_000_000 - 86_400


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 0), ("Europe/Athens", 2), ("America/New_York", -5)])
def test_times_are_the_trade_servers_own(zone: str, hours: int):
    """A terminal counts as if its server's clock were UTC; a quote that is ahead of now says that the zone is wrong."""
    config = config_of("mt5", {"EURUSD": ("EURUSD", "1")}, settings={"timezone": zone})
    session = knowing(Mt5Session(config=config), MARKETS)
    shown_ms = NOW_US // 1_000 + hours * 3_600_000
    book = {"bid": 1.1, "ask": 1.2, "time_msc": shown_ms}
    play(session.resync(symbol="EURUSD", now_us=NOW_US), [book])
    assert session.all_quotes()[0].venue_at_us == NOW_US
    play(session.resync(symbol="EURUSD", now_us=NOW_US), [book | {"time_msc": shown_ms + 7_200_000}])
    assert (session.all_quotes(), session.unread) == ([], (1, "book: timestamp is 7200 s ahead of our clock"))
    _, requests = play(session.fills(since_us=NOW_US, now_us=NOW_US), [[]])
    assert json.loads(requests[0].body)["since_s"] == NOW_US // 1_000_000 + hours * 3_600 - 86_400
