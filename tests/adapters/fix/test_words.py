"""What LPs say besides reports and quotes, over a real socket: symbols, refusals, hours, numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from piggy.adapters.fix import outbound
from piggy.adapters.fix.config import Dialect, SessionConfig
from piggy.adapters.fix.refusals import REPLACE_REFUSED
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.fix.tradables import NOT_LISTED
from piggy.adapters.interface import ReportKind, SymbolMapping, UnableToTranslate
from piggy.core.orders import Side
from tests.adapters.fix.raw_lp import RawLp, listing
from tests.simulator.lp_range import Hearer, child, say, wait

MAPPINGS = tuple(
    SymbolMapping(symbol=symbol, venue_symbol=symbol, units_per_lot=Decimal(100_000)) for symbol in ("EURUSD", "GBPUSD")
)
QUOTED = "262=1|55=EURUSD|268=2|269=0|278=b|270=1.1|271=100000|269=1|278=a|270=1.2|271=100000|"
FILLED = "37=O1|17=E{0}|150=F|39=2|11={1}|55=EURUSD|54=1|38=100000|32=100000|31=1.1|14=100000|151=0|6=1.1|"


@pytest.fixture
def lp() -> Iterator[RawLp]:
    raw = RawLp()
    yield raw
    raw.stop()


def config(lp: RawLp, home: Path, *, dialect: Dialect = Dialect()) -> SessionConfig:
    return SessionConfig(
        tenant="acorn", venue="LP1", host="127.0.0.1", port=lp.port, sender_comp_id="ACORN", target_comp_id="LP1",
        home=home, symbols=MAPPINGS, dialect=dialect,
    )  # fmt: skip


@contextmanager
def begun(lp: RawLp, home: Path, *, dialect: Dialect = Dialect()) -> Iterator[tuple[FixSession, Hearer]]:
    hearer = Hearer()
    session = FixSession(config=config(lp, home, dialect=dialect), listener=hearer)
    hearer.session = session
    session.start()
    try:
        yield session, hearer
    finally:
        session.stop()


@pytest.fixture
def joined(lp: RawLp, tmp_path: Path) -> Iterator[tuple[FixSession, Hearer]]:
    with begun(lp, tmp_path) as (session, hearer):
        wait(lambda: session.ready)
        yield session, hearer


def test_the_list_comes_in_parts_and_what_differs_from_our_mapping_is_not_traded(lp: RawLp, tmp_path: Path) -> None:
    """GBPUSD is dealt in whole lots there and in hundredths here: nobody is shown it, and nothing of it leaves."""

    def in_parts(lp: RawLp, asked: dict[str, str]) -> None:
        lp.say("y", listing("another", "55=EURUSD|561=7|"))
        lp.say("y", listing(asked["320"], "55=EURUSD|561=1000|969=0.0005|1140=500000|", last="N"))
        assert not session.ready
        lp.say("y", listing(asked["320"], "55=GBPUSD|561=100000|1008=5|"))

    lp.list = in_parts
    with begun(lp, tmp_path) as (session, hearer):
        wait(lambda: session.ready)
        assert lp.of("x")[0]["559"] == "4"
        asked = lp.wait("V")
        assert (asked["146"], asked["55"]) == ("1", "EURUSD"), "quotes are asked for of what may be traded only"
        assert "GBPUSD: a step of 1000 is no multiple of 100000" in session.status().text
        lp.say("W", QUOTED.replace("EURUSD", "GBPUSD"))
        lp.say("W", QUOTED)
        wait(lambda: session.all_quotes())
        assert [quote.symbol for quote in session.all_quotes()] == ["EURUSD"]
        with pytest.raises(UnableToTranslate, match="not traded at LP1: a step of"):
            session.tradables.terms_of(symbol="GBPUSD")
        terms = session.tradables.terms_of(symbol="EURUSD")
        order = structs.replace(child("o1"), limit_price=Decimal("1.10037"))
        text = outbound.new_order(child=order, config=session.config, at_us=wall_us(), terms=terms)
        assert "\x0144=1.1\x01" in text, "on the LP's tick, never worse than asked"
        with pytest.raises(UnableToTranslate, match="outside 0 to 500000"):
            outbound.new_order(child=child("o2", lots="6"), config=session.config, at_us=wall_us(), terms=terms)
        assert hearer.parked == []


@pytest.mark.parametrize("answer", ["rejected", "refused", "silence", "no such request"])
def test_an_lp_that_lists_nothing_is_traded_with_unchecked_and_says_so(
    answer: str, lp: RawLp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piggy.adapters.fix.session.LISTING_S_MAX", 0.3 if answer == "silence" else 60)
    said = {
        "rejected": lambda lp, asked: lp.say("j", f"45={asked['34']}|372=x|380=3|58=not here|"),
        "refused": lambda lp, asked: lp.say("y", f"320={asked['320']}|322=r|560=1|"),
        "silence": lambda lp, asked: None,
        "no such request": lambda lp, asked: lp.say("3", f"45={asked['34']}|58=unknown MsgType|"),
    }
    lp.list = said[answer]
    with begun(lp, tmp_path) as (session, _):
        wait(lambda: session.ready)
        assert NOT_LISTED in session.status().text
        assert session.tradables.terms_of(symbol="EURUSD") is None
        assert lp.wait("V")["146"] == "2"


def test_a_dialect_without_a_list_is_not_asked_for_one(lp: RawLp, tmp_path: Path) -> None:
    with begun(lp, tmp_path, dialect=Dialect(security_list="")) as (session, _):
        wait(lambda: session.ready)
        lp.wait("V")
        assert lp.of("x") == []


def test_a_reject_tells_which_order_came_to_nothing_even_where_it_only_names_a_number(
    lp: RawLp, joined: tuple[FixSession, Hearer]
) -> None:
    """BusinessMessageReject and session Reject of an order, a change, a cancel and a question of ours."""
    session, hearer = joined
    for name in ("by-number", "by-session", "by-name"):
        assert say(session, child(name))
    lp.wait("D", count=3)
    numbers = {each["11"]: each["34"] for each in lp.of("D")}
    lp.say("j", f"45={numbers['by-number']}|372=D|380=4|58=application is down|")
    lp.say("3", f"45={numbers['by-session']}|371=44|373=5|58=value is incorrect|")
    lp.say("j", "45=999|372=D|379=by-name|380=2|58=unknown security|")
    wait(lambda: len(hearer.reports) == 3)
    told = [(each.kind, each.command.cl_ord_id, each.command.code) for each in hearer.reports]
    assert told == [
        (ReportKind.REJECT, "by-number", "BUSINESS_4"),
        (ReportKind.REJECT, "by-session", "FIX_5"),
        (ReportKind.REJECT, "by-name", "BUSINESS_2"),
    ]
    named = {"cl_ord_id": "rests", "symbol": "EURUSD", "side": Side.BUY, "config": session.config}
    session.send(outbound.cancel(quantity=Decimal(1), at_us=wall_us(), attempt=1, **named))
    session.send(outbound.replace(child=child("rests"), change=1, config=session.config, at_us=wall_us()))
    session.send(outbound.status_request(**named))
    for kind in ("F", "G", "H"):
        lp.say("j", f"45={lp.wait(kind)['34']}|372={kind}|380=4|")
    wait(lambda: len(hearer.reports) == 5 and hearer.parked)
    assert [(each.kind, each.cl_ord_id, each.standing) for each in hearer.reports[3:]] == [
        (ReportKind.UNCANCEL, "rests", ""),
        (ReportKind.IGNORED, "rests", REPLACE_REFUSED),
    ]


def test_while_the_lps_market_is_shut_nothing_is_shown_and_nothing_leaves(
    lp: RawLp, joined: tuple[FixSession, Hearer]
) -> None:
    """TradingSessionStatus: closed, then open; books begin anew, and its status says so to people."""
    session, hearer = joined
    lp.say("W", QUOTED)
    wait(lambda: session.all_quotes() and session.all_quotes()[0].bids)
    lp.say("h", "336=1|340=3|")
    wait(lambda: session.tradables.shut)
    lp.say("W", QUOTED)
    wait(lambda: any("closed" in status.text for status in hearer.states))
    assert [(quote.bids, quote.asks) for quote in session.changed_quotes()] == [((), ())], "withdrawn, and not renewed"
    with pytest.raises(UnableToTranslate, match="the LP's market is closed"):
        session.tradables.terms_of(symbol="EURUSD")
    asked = len(lp.of("V"))
    lp.say("h", "336=1|340=2|")
    lp.wait("V", count=asked + 1)
    lp.say("W", QUOTED)
    wait(lambda: session.all_quotes()[0].bids)
    assert session.tradables.terms_of(symbol="EURUSD") is not None


def test_f_10_numbers_the_lp_passes_over_or_sets_are_followed_forwards_only(
    lp: RawLp, joined: tuple[FixSession, Hearer]
) -> None:
    """GapFill, Reset and a hole that is asked for: what was in it comes, once; never backwards."""
    session, hearer = joined
    expected = session.next_numbers().incoming
    lp.say("4", f"123=Y|36={expected + 5}|")
    lp.number = expected + 4
    wait(lambda: session.next_numbers().incoming == expected + 5)
    lp.say("4", f"123=N|36={expected + 50}|", number=1)
    lp.number = expected + 49
    wait(lambda: session.next_numbers().incoming == expected + 50)
    lp.say("4", f"123=N|36={expected}|", number=2)
    wait(lambda: lp.of("3"))
    assert session.next_numbers().incoming >= expected + 50, "never backwards"
    hole = session.next_numbers().incoming
    lp.at_resend, lp.number = lambda lp, asked: None, hole
    lp.say("8", FILLED.format(2, "later"))
    asked = lp.wait("2")
    assert asked["7"] == str(hole)
    lp.say("8", FILLED.format(1, "missed"), number=hole, again=True)
    lp.say("8", FILLED.format(2, "later"), number=hole + 1, again=True)
    wait(lambda: len(hearer.reports) >= 2)
    assert [each.cl_ord_id for each in hearer.reports] == ["missed", "later"]
    assert session.ready


def test_what_the_lp_asks_for_again_is_passed_over_never_repeated(lp: RawLp, joined: tuple[FixSession, Hearer]) -> None:
    """D8, F-10: a resend of our orders is a gap fill: an LP that lost them hears of no stale one."""
    session, _ = joined
    assert say(session, child("once"))
    lp.wait("D")
    lp.say("2", "7=1|16=0|")
    filled = lp.wait("4")
    assert (filled["123"], filled["43"]) == ("Y", "Y")
    assert int(filled["36"]) > int(lp.of("D")[0]["34"])
    time.sleep(0.1)
    assert len(lp.of("D")) == 1
    assert say(session, child("next"))
    assert int(lp.wait("D", count=2)["34"]) >= int(filled["36"])
