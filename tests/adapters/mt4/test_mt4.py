"""MetaTrader 4: what its codes mean, and the files between the agent and the expert in the terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from piggy.adapters.interface import ReportKind
from piggy.adapters.mt4 import terminal as terminals
from piggy.adapters.mt4.config import CODES
from piggy.adapters.mt4.session import Mt4Session
from piggy.adapters.mt4.terminal import Terminal
from piggy.adapters.mt5.agent import Agent
from piggy.adapters.mt5.config import Meaning
from piggy.simulator.certification.grounds import METALS
from piggy.simulator.config import LpConfig
from piggy.simulator.exchange import Exchange
from piggy.simulator.faults import Fault, Faults
from piggy.simulator.mt4 import Expert
from tests.adapters.recorded import child_of, config_of, knowing, play

CONFIG = config_of("mt4", {"EURUSD": ("EURUSD", "1")})
NOW_US = 1_700_000_000_000_000
TERMS = {"digits": 5, "volume_min": 0.01, "volume_max": 500.0, "volume_step": 0.01, "trade_mode": 4}
MARKETS = [{"name": "EURUSD"} | TERMS]
# The documented codes of trade operations, and some of the terminal's own.
TRADE_CODES = (*range(1, 10), 64, 65, *range(128, 151))
TERMINAL_CODES = (4000, 4051, 4055, 4066, 4099, 4105, 4106, 4107, 4108, 4109, 4110, 4111, 4112, 4200, 5004)
SUBMIT = {"name": "EURUSD", "side": "buy", "volume": "1", "price": "2", "force": "ioc", "client_id": "c1"}


def test_every_documented_code_has_a_meaning():
    assert {*TRADE_CODES, *TERMINAL_CODES} - CODES.keys() == set()
    assert {CODES[code] for code in TERMINAL_CODES} == {Meaning.REFUSED}


@pytest.mark.parametrize(
    ("retcode", "kind"),
    [
        (10008, ReportKind.ACK), (10009, ReportKind.ACK), (3, ReportKind.REJECT), (130, ReportKind.REJECT),
        (134, ReportKind.REJECT), (136, ReportKind.REJECT), (138, ReportKind.REJECT), (146, ReportKind.REJECT),
        (4109, ReportKind.REJECT), (8, ReportKind.REJECT), (141, ReportKind.REJECT), (1, ReportKind.DOUBT),
        (2, ReportKind.DOUBT), (6, ReportKind.DOUBT), (128, ReportKind.DOUBT), (142, ReportKind.DOUBT),
        (77_777, ReportKind.DOUBT),
    ],
)  # fmt: skip
def test_a_code_is_taken_refused_or_doubted(retcode: int, kind: ReportKind):
    """A timeout says nothing, and neither does a code that nobody documented."""
    rests = retcode == 10008
    done = {"order": 77, "volume": 0.0 if rests else 1.0, "comment": "c", "client_id": "o1-V1-1", "asked": "1"}
    answer = {"retcode": retcode} | (done if kind is ReportKind.ACK else {})
    answers: list[Any] = [answer, []] if retcode == 10009 else [answer]
    said, _ = play(knowing(Mt4Session(config=CONFIG), MARKETS).submit(child=child_of("EURUSD"), now_us=NOW_US), answers)
    assert said[0].report.kind is kind


class Range:
    def __init__(self, home: Path) -> None:
        self.faults = Faults()
        config = LpConfig(name="MT4", depth=3, level_lots=Decimal(10), quotes_per_s=1)
        self.exchange = Exchange(config=config, symbols=METALS, home=home, faults=self.faults)
        self.expert = Expert(folder=home / "bridge", exchange=self.exchange, faults=self.faults)
        self.agent = Agent(
            terminal=Terminal(folder=home / "bridge"), url="ws://x/agents/a/b", secret="s", ledger=home / "ledger"
        )


def test_the_agent_reaches_the_expert_through_its_files(tmp_path: Path):
    there = Range(tmp_path)
    there.expert.start()
    ask = there.agent.answer
    assert ask(ask="markets", args={"names": ["EURUSD", "NOSUCH"]})[1][0]["volume_step"] == 0.01
    status, done = ask(ask="submit", args=SUBMIT)
    assert (status, done["retcode"], done["volume"]) == (200, 10009, 1.0)
    status, resting = ask(ask="submit", args=SUBMIT | {"client_id": "c2", "force": "gtc", "price": "1", "side": "buy"})
    assert (resting["retcode"], resting["volume"]) == (10008, 0.0)
    assert [row["client_id"] for row in ask(ask="open_orders", args={"name": "EURUSD"})[1]] == ["c2"]
    assert ask(ask="order", args={"client_id": "c1"})[1]["volume_current"] == 0.0
    assert ask(ask="cancel", args={"ticket": resting["order"]})[1]["retcode"] == 10009
    assert ask(ask="cancel", args={"ticket": resting["order"]})[1]["retcode"] == 4108
    assert ask(ask="order", args={"client_id": "c2"})[1]["state"] == 2
    trades = ask(ask="trades", args={"name": "EURUSD", "since_s": 0})[1]
    assert [(row["order"], row["volume"], row["type"]) for row in trades] == [(done["order"], 1.0, 0)]
    tomorrow = int(datetime.now(UTC).timestamp()) + 86_400
    assert ask(ask="trades", args={"name": "EURUSD", "since_s": tomorrow})[1] == []
    there.faults.arm(Fault.SERVER_ERROR)
    assert ask(ask="submit", args=SUBMIT | {"client_id": "c3"})[1]["retcode"] == 128
    assert ask(ask="submit", args=SUBMIT | {"client_id": "c3"})[0] == 409
    there.expert.stop()


def test_an_expert_that_does_not_answer_leaves_an_order_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminals, "ANSWER_S_MAX", 0.05)
    there = Range(tmp_path)
    status, answer = there.agent.answer(ask="submit", args=SUBMIT)
    assert (status, CODES[answer["retcode"]]) == (200, Meaning.DOUBT)
    assert not Terminal(folder=tmp_path / "bridge").initialize()


def test_the_expert_of_the_terminal_answers_whatever_is_asked_in_as_many_words():
    """Nothing here can run MQL4, so its source is held against the questions of the Python half."""
    folder = Path(terminals.__file__).parent
    expert = (folder / "Bridge.mq4").read_text()
    answered = dict(re.findall(r'ask == "(\w+)"(?: && count == (\d))?', expert))
    asked = set(re.findall(r'self\._ask\("(\w+)"', (folder / "terminal.py").read_text()))
    assert asked == answered.keys() == {"account", "symbol", "tick", "send", "delete", "orders"}
    assert {name: int(count or 2) for name, count in answered.items()} == {
        "account": 2, "symbol": 3, "tick": 3, "send": 8, "delete": 3, "orders": 3,
    }  # fmt: skip
