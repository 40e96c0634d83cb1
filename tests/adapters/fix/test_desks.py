"""LPs that part prices from orders, name a desk in every message, and begin their numbers anew with each logon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from piggy.adapters.fix.config import DIALECTS, settings_text
from piggy.adapters.fix.numbers import UnableToReadHour, begun_by
from piggy.adapters.fix.session import FixSession
from tests.adapters.fix.raw_lp import RawLp
from tests.adapters.fix.test_words import FILLED, QUOTED, begun, config
from tests.simulator.lp_range import Hearer, child, say, wait

RESETS = structs.replace(DIALECTS["standard"], resets_at_logon=True)


@pytest.fixture
def lp() -> Iterator[RawLp]:
    raw = RawLp()
    yield raw
    raw.stop()


def anew(raw: RawLp, logon: dict[str, str]) -> None:
    """Take a Logon as cTrader does: both sides begin at 1."""
    assert (logon["141"], logon["34"]) == ("Y", "1")
    raw.number = 0
    raw.say("A", f"98=0|108={logon['108']}|141=Y|")


def test_f_10_where_it_was_agreed_numbers_begin_anew_with_each_logon(lp: RawLp, tmp_path: Path) -> None:
    """A session that went on with its numbers would never be let in again."""
    lp.at_logon = anew
    with begun(lp, tmp_path, dialect=RESETS) as (session, hearer):
        for logons in (1, 2, 3):
            wait(lambda: session.ready)
            assert say(session, child(f"order-{logons}"))
            lp.wait("D", count=logons)
            lp.say("8", FILLED.format(logons, f"order-{logons}"))
            wait(lambda: len(hearer.reports) == logons)  # noqa: B023
            lp.drop()
            lp.wait("A", count=logons + 1)
        wait(lambda: session.ready)
    assert [each["11"] for each in lp.of("D")] == ["order-1", "order-2", "order-3"], "and nothing is said again"
    assert hearer.parked == []


def test_every_message_names_the_desk_that_it_is_for(lp: RawLp, tmp_path: Path) -> None:
    hearer = Hearer()
    named = structs.replace(config(lp, tmp_path), sender_sub_id="any", target_sub_id="TRADE")
    session = hearer.session = FixSession(config=named, listener=hearer)
    session.start()
    try:
        wait(lambda: session.ready)
        assert say(session, child("order"))
        lp.wait("D")
    finally:
        session.stop()
    assert {each["35"] for each in lp.heard} >= {"A", "1", "x", "V", "D", "5"}
    assert {(each["50"], each["57"]) for each in lp.heard} == {("any", "TRADE")}


def test_a_session_that_only_quotes_withdraws_all_of_it_once_it_is_down(lp: RawLp, tmp_path: Path) -> None:
    """The state of the session that takes orders says nothing of it, and the last price would be dealt at for ever."""
    lp.at_logon = anew
    hearer = Hearer()
    quoting = structs.replace(config(lp, tmp_path), only_quotes=True, target_sub_id="QUOTE")
    session = hearer.session = FixSession(config=quoting, listener=hearer)
    session.start()
    try:
        wait(lambda: session.ready)
        lp.wait("V")
        lp.say("W", QUOTED)
        wait(lambda: session.changed_quotes())
        assert [len(quote.bids) for quote in session.all_quotes()] == [1]
        lp.at_logon = lambda raw, logon: raw.drop()
        lp.drop()
        wait(lambda: (quotes := session.changed_quotes()) and not (quotes[0].bids or quotes[0].asks))
        assert [(quote.symbol, quote.bids) for quote in session.all_quotes()] == [("EURUSD", ())]
    finally:
        session.stop()


def test_a_session_of_prices_is_told_from_the_one_of_orders_with_the_same_names(lp: RawLp, tmp_path: Path) -> None:
    """cTrader's two sessions have the same CompIDs; QuickFIX knows one session by them."""
    orders = config(lp, tmp_path)
    quotes = structs.replace(orders, only_quotes=True)
    assert "SessionQualifier" not in settings_text(config=orders)
    assert "SessionQualifier=quotes" in settings_text(config=quotes)
    assert "ResetOnLogon=N" in settings_text(config=orders), "D9: a reset loses fills"
    assert "ResetOnLogon=Y" in settings_text(config=quotes)
    assert "ResetOnLogon=Y" in settings_text(config=structs.replace(orders, dialect=DIALECTS["ctrader"]))


@pytest.mark.parametrize(
    ("agreed", "now", "since"),
    [
        ("17:00 America/New_York", "2026-11-23T13:00:00", "2026-11-22T22:00:00"),
        ("17:00 America/New_York", "2026-11-23T22:00:00", "2026-11-23T22:00:00"),
        ("17:00 America/New_York", "2026-03-08T21:30:00", "2026-03-08T21:00:00"),
        ("Sun 17:00 America/New_York", "2026-11-22T21:59:59", "2026-11-15T22:00:00"),
        ("Sun 17:00 America/New_York", "2026-11-28T21:59:59", "2026-11-22T22:00:00"),
        ("00:00 Asia/Tokyo", "2026-11-23T14:59:59", "2026-11-22T15:00:00"),
    ],
)
def test_f_10_the_hour_that_was_agreed_is_one_of_its_own_place(agreed: str, now: str, since: str) -> None:
    found = begun_by(agreed=agreed, now=datetime.fromisoformat(f"{now}+00:00"))
    assert found == datetime.fromisoformat(f"{since}+00:00")


@pytest.mark.parametrize(
    "agreed",
    ["17:00", "", "25:00 UTC", "17:60 UTC", "17:00 Nowhere/Zone", "17:00 ../etc", "Son 17:00 UTC", "17:00 America"],
)
def test_an_hour_without_its_place_is_none(agreed: str) -> None:
    with pytest.raises(UnableToReadHour, match="as 17:00 America/New_York"):
        begun_by(agreed=agreed, now=datetime(2026, 11, 23, tzinfo=UTC))
