"""Two LPs quote EURUSD as two brokers did on 5 May 2014, and the consolidated book is right at any instant.

Every fifth tick of FXCM's file is locked or crossed in itself (bid not below ask). A crossed one puts the feed in
quarantine until three good ticks came in a row, by the market's rule; the recomputation here follows that rule.
"""

from __future__ import annotations

import bisect
import random
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from piggy.adapters.fix.session import FixSession
from piggy.core.accounts import Venue
from piggy.core.quotes import Market
from piggy.simulator import ticks
from piggy.simulator.config import LpConfig
from tests.simulator.lp_range import ROOT, LpRange

TICKS = ROOT.parent / "shared" / "data" / "ticks"
DATE = "20140505"
INSTANTS = 1_000
QUOTE_AGE_MS_MAX = 60_000
GOOD_TICKS = 3

pytestmark = pytest.mark.skipif(not TICKS.exists(), reason="recorded ticks (../shared/data/ticks) are not here")


class Hearer:
    def on_state(self, *, status):
        pass

    def on_report(self, *, text):
        raise AssertionError(text)

    def on_parked(self, *, text, error):
        raise AssertionError(f"{error} {text}")


def recorded(source: str) -> tuple[list[int], list[ticks.Tick | None]]:
    """The file's instants, and at each the tick that counts: None while the feed is in quarantine."""
    rows = list(ticks.read(path=TICKS / source / "eurusd" / f"{DATE}_quote.zip"))
    counting: list[ticks.Tick | None] = []
    missing = 0
    for row in rows:
        missing = GOOD_TICKS if row.bid > row.ask else max(0, missing - 1)
        counting.append(None if missing else row)
    return [row.at_us for row in rows], counting


def expected(feeds: dict[str, tuple[list[int], list[ticks.Tick]]], at_us: int):
    """The best bid and offer and whose they are, from the files alone."""
    live = {}
    for lp, (times, rows) in feeds.items():
        if (index := bisect.bisect_right(times, at_us)) and at_us - times[index - 1] <= QUOTE_AGE_MS_MAX * 1_000:
            live[lp] = rows[index - 1]
    live = {lp: row for lp, row in live.items() if row is not None}
    if not live:
        return None
    bid = min(live, key=lambda lp: (-live[lp].bid, lp))
    ask = min(live, key=lambda lp: (live[lp].ask, lp))
    return (live[bid].bid, bid, live[bid].at_us), (live[ask].ask, ask, live[ask].at_us)


def heard(sessions: dict[str, FixSession], sent: dict[str, int]) -> None:
    deadline = time.monotonic() + 30
    while any(session.market_data_messages < sent[lp] for lp, session in sessions.items()):
        assert time.monotonic() < deadline, "the quotes never came"
        time.sleep(0.0005)


@pytest.mark.slow
def test_best_bid_and_offer_equal_the_files_at_a_thousand_random_instants(tmp_path: Path):
    lps = (LpConfig(name="LP1"), LpConfig(name="LP2"))
    feeds = {"LP1": recorded("fxcm"), "LP2": recorded("oanda")}
    midnight_us = min(times[0] for times, _ in feeds.values()) // 86_400_000_000 * 86_400_000_000
    chance = random.Random(20140505)
    instants = sorted(midnight_us + chance.randrange(86_400_000) * 1_000 for _ in range(INSTANTS))

    market = Market()
    for lp in feeds:
        market.configure(venue=Venue(name=lp, quote_age_ms_max=QUOTE_AGE_MS_MAX))
    for source in ("fxcm", "oanda"):
        (tmp_path / "ticks" / source).mkdir(parents=True)
        (tmp_path / "ticks" / source / "eurusd").symlink_to(TICKS / source / "eurusd")
    the_range = LpRange(home=tmp_path, lps=lps, TICKS=str(tmp_path / "ticks"), TICKS_SPEED="step", TICKS_DATE=DATE)
    the_range.start()
    sessions = {lp: FixSession(config=the_range.session(lp=lp), listener=Hearer(), conflate=False) for lp in feeds}
    compared, owners = 0, set()
    try:
        for session in sessions.values():
            session.start()
        wait_until_subscribed(the_range, sessions)
        for at_us in instants:
            heard(sessions, the_range.until(at_us))
            for session in sessions.values():
                for quote in session.changed_quotes():
                    # The venue's clock stands for ours: 5 May 2014 is long ago.
                    market.update(quote=at_venue_time(quote))
            best = market.best(symbol="EURUSD", now_us=at_us)
            wanted = expected(feeds, at_us)
            assert seen(best) == wanted, f"at {at_us}"
            if wanted:
                compared += 1
                owners |= {wanted[0][1], wanted[1][1]}
    finally:
        for session in sessions.values():
            session.stop()
        the_range.stop()
    assert compared > INSTANTS * 0.95
    assert owners == {"LP1", "LP2"}


def wait_until_subscribed(the_range: LpRange, sessions: dict[str, FixSession]) -> None:
    deadline = time.monotonic() + 15
    while not all("|35=V|" in the_range.log(lp) for lp in sessions):
        assert time.monotonic() < deadline, "no session subscribed"
        time.sleep(0.02)
    time.sleep(0.1)


def at_venue_time(quote):
    return msgspec.structs.replace(quote, received_at_us=quote.venue_at_us)


def seen(best):
    if best is None:
        return None
    return tuple((Decimal(side.price), side.venue, side.received_at_us) for side in (best.bid, best.ask))
