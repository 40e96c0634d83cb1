"""A session over a real socket: what it says, what it survives, what it never does."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from piggy.adapters.fix import outbound
from piggy.adapters.fix.session import FixSession, wall_us
from piggy.adapters.interface import ReportKind
from piggy.core.market import VenueState
from piggy.core.orders import Side
from piggy.simulator.config import LpConfig
from tests.simulator.lp_range import Hearer, LpRange, child, say, wait

CANARY = "canary-5f1d"


@pytest.fixture
def lp_range(tmp_path: Path) -> Iterator[LpRange]:
    secrets = tmp_path / "secrets.json"
    secrets.write_text(f'{{"acorn/LP1": "{CANARY}"}}')
    lps = (LpConfig(name="LP1", quotes_per_s=10), LpConfig(name="LP2", reject_rate=Decimal(1)))
    the_range = LpRange(home=tmp_path, lps=lps, PIGGY_LP_SECRETS=str(secrets))
    the_range.start()
    yield the_range
    the_range.stop()


def connect(lp_range: LpRange, *, lp: str = "LP1", password: str = CANARY) -> tuple[FixSession, Hearer]:
    hearer = Hearer()
    session = FixSession(config=lp_range.session(lp=lp, password=password), listener=hearer)
    hearer.session = session
    session.start()
    return session, hearer


@pytest.fixture
def joined(lp_range: LpRange) -> Iterator[tuple[FixSession, Hearer]]:
    session, hearer = connect(lp_range)
    wait(lambda: any(quote.symbol == "EURUSD" for quote in session.all_quotes()))
    yield session, hearer
    session.stop()


def test_quotes_are_whole_books_best_first_in_lots(joined):
    session, _ = joined
    quote = next(quote for quote in session.all_quotes() if quote.symbol == "EURUSD")
    assert len(quote.bids) == len(quote.asks) == 3
    assert quote.bids[0].price > quote.bids[1].price
    assert quote.asks[0].price > quote.bids[0].price
    assert quote.asks[0].size == Decimal(10)
    assert abs(quote.venue_at_us - quote.received_at_us) < 5_000_000


def test_an_order_larger_than_a_level_fills_level_by_level(joined):
    session, hearer = joined
    assert say(session, child("big", lots="25"))
    wait(lambda: hearer.kinds("big").count(ReportKind.FILL) == 2)
    fills = [report.command for report in hearer.reports if report.kind is ReportKind.FILL]
    assert [fill.quantity for fill in fills] == [Decimal(10), Decimal(15)]
    assert fills[0].price < fills[1].price
    assert fills[0].fill_id != fills[1].fill_id


def test_what_cannot_fill_at_once_is_cancelled_killed_or_rests(joined):
    session, hearer = joined
    say(session, child("ioc", limit="1"))
    say(session, child("fok", lots="1000", force="fok"))
    say(session, child("gtc", limit="1", force="gtc"))
    wait(lambda: hearer.kinds("gtc") == [ReportKind.ACK])
    assert hearer.kinds("ioc") == hearer.kinds("fok") == [ReportKind.ACK, ReportKind.DONE]
    config = session.config
    common = {"cl_ord_id": "gtc", "symbol": "EURUSD", "side": Side.BUY}
    session.send(outbound.status_request(config=config, **common))
    session.send(outbound.cancel(quantity=Decimal(1), config=config, at_us=wall_us(), **common))
    wait(lambda: hearer.kinds("gtc") == [ReportKind.ACK, ReportKind.STATUS, ReportKind.DONE])


def test_a_status_request_for_an_order_the_lp_never_had_is_answered_unknown(joined):
    session, hearer = joined
    session.send(outbound.status_request(cl_ord_id="never", symbol="EURUSD", side=Side.BUY, config=session.config))
    wait(lambda: hearer.reports)
    assert hearer.reports[0].standing == "unknown"


def test_an_order_sent_twice_is_refused_and_counted(joined, lp_range):
    session, hearer = joined
    say(session, child("twice", limit="1", force="gtc"))
    say(session, child("twice", limit="1", force="gtc"))
    wait(lambda: ReportKind.DOUBT in hearer.kinds("twice"))
    assert lp_range.truth("LP1")["ACORN", "twice"].received == 2


def test_a_reject_is_told_with_its_text(lp_range):
    session, hearer = connect(lp_range, lp="LP2", password="")
    try:
        wait(lambda: session.all_quotes())
        wait(lambda: any(quote.symbol == "EURUSD" for quote in session.all_quotes()))
        say(session, child("no"))
        wait(lambda: hearer.kinds("no") == [ReportKind.REJECT])
        assert hearer.reports[0].command.text == "Last look: price moved"
    finally:
        session.stop()


def test_an_exception_in_a_callback_parks_the_message_and_the_session_lives(joined):
    """D7: QuickFIX would end the process."""
    session, hearer = joined
    hearer.fail = True
    say(session, child("first"))
    say(session, child("second"))
    wait(lambda: ReportKind.FILL in hearer.kinds("second"))
    assert hearer.parked == ["KeyError('a bug in the listener')"]
    assert session.ready


def test_nothing_leaves_while_logged_out_nor_later(joined, lp_range):
    """D8: QuickFIX would keep the order and send it after the next logon."""
    session, hearer = joined
    lp_range.kill()
    wait(lambda: not session.ready)
    assert hearer.states[-1].state is VenueState.DOWN
    assert session.all_quotes() == []
    assert not say(session, child("stale"))
    lp_range.start()
    wait(lambda: session.ready)
    say(session, child("fresh"))
    wait(lambda: ReportKind.FILL in hearer.kinds("fresh"))
    assert ("ACORN", "stale") not in lp_range.truth("LP1")


def test_fills_that_happened_while_away_come_after_logon_and_only_then(lp_range):
    """D9: they arrive for the first time, with PossDup."""
    for number in range(20):
        name = f"away{number}"
        session, hearer = connect(lp_range)
        wait(lambda session=session: any(quote.symbol == "EURUSD" for quote in session.all_quotes()))
        ask = next(q for q in session.all_quotes() if q.symbol == "EURUSD").asks[0].price
        say(session, child(name, limit=str(ask - Decimal("0.00010")), force="gtc", lots="1"))
        wait(lambda hearer=hearer, name=name: hearer.kinds(name))
        session.stop()
        if ReportKind.FILL not in hearer.kinds(name):
            break  # else the market came to it before we were away
    assert ReportKind.FILL not in hearer.kinds(name)
    wait(lambda: lp_range.truth("LP1")["ACORN", name].fills, seconds=120)
    session, hearer = connect(lp_range)
    try:
        wait(lambda: hearer.kinds(name).count(ReportKind.FILL) == 1)
    finally:
        session.stop()


def test_f_10_an_lp_that_lost_its_numbers_is_not_followed_and_a_person_is_told(joined, lp_range: LpRange):
    """The LP begins at 1 again in the middle of the day: no reset, no order, the reason on the screen."""
    session, hearer = joined
    before = session.status()
    lp_range.kill()
    wait(lambda: not session.ready)
    shutil.rmtree(lp_range.home / "simulator" / "LP1" / "store")
    lp_range.start()
    wait(lambda: any("behind ours" in status.text for status in hearer.states))
    assert any("nothing is reset without a person" in status.text for status in hearer.states)
    assert not session.ready
    assert not say(session, child("after-reset"))
    assert session.status().sequence_in >= before.sequence_in, "what we expect next is remembered"
    assert ("ACORN", "after-reset") not in lp_range.truth("LP1")


def test_f_05_a_store_older_than_reality_stops_the_session_and_a_person_is_told(lp_range: LpRange):
    """Power was lost and with it our last numbers: the LP says so, and we do not begin again by ourselves."""
    session, _ = connect(lp_range)
    wait(lambda: session.ready)
    home = session.config.home
    session.stop()
    shutil.rmtree(home / "store")
    session, hearer = connect(lp_range)
    try:
        wait(lambda: any("behind the LP's" in status.text for status in hearer.states))
        assert not session.ready
        assert not say(session, child("after-loss"))
    finally:
        session.stop()


def test_a_wrong_password_is_refused_and_no_password_is_ever_on_disk(lp_range, tmp_path: Path):
    """E-06 in small: the canary is in no log and no store, on either side."""
    session, _ = connect(lp_range, password=CANARY + "-wrong")
    wait(lambda: "554=***" in lp_range.log("LP1"))
    time.sleep(0.3)
    assert not session.ready
    session.stop()
    (tmp_path / "secrets.json").unlink()
    session, _ = connect(lp_range)
    wait(lambda: session.ready)
    session.stop()
    lp_range.stop()
    ours = [path for path in (tmp_path / "fix").rglob("*") if path.is_file()]
    logs = list((tmp_path / "simulator").rglob("*.log"))
    assert ours
    assert [path for path in ours + logs if CANARY.encode() in path.read_bytes()] == []
