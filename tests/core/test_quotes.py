"""The consolidated market, told in sentences."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.accounts import Venue
from piggy.core.market import Level, VenueQuote
from piggy.core.quotefilter import AHEAD_MS_MAX, Fault, QuoteFilter, fault_of
from piggy.core.quotes import Market

NOW_US = 1_000_000_000
MS = 1_000


def levels(*rows: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(size)) for price, size in rows)


def quoted(
    venue: str, bid: str = "", ask: str = "", *, size: str = "1", at: int = NOW_US, symbol: str = "EURUSD"
) -> VenueQuote:
    return VenueQuote(
        venue=venue,
        symbol=symbol,
        bids=levels((bid, size)) if bid else (),
        asks=levels((ask, size)) if ask else (),
        venue_at_us=at,
        received_at_us=at,
    )


def market_of(*quotes: VenueQuote) -> Market:
    market = Market()
    market.update_many(quotes=quotes)
    return market


def best(market: Market, *, now: int = NOW_US, symbol: str = "EURUSD") -> tuple[str, str, str, str] | None:
    """Return (bid venue, bid, ask venue, ask) as text, '' for an empty side."""
    quote = market.best(symbol=symbol, now_us=now)
    if quote is None:
        return None
    bid, ask = quote.bid, quote.ask
    return (
        bid.venue if bid else "",
        str(bid.price) if bid else "",
        ask.venue if ask else "",
        str(ask.price) if ask else "",
    )


def test_each_side_is_the_best_of_all_and_says_whose_it_is() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1003"), quoted("LP2", "1.1001", "1.1004"))
    assert best(market) == ("LP2", "1.1001", "LP1", "1.1003")
    assert market.mid(symbol="EURUSD", now_us=NOW_US) == Decimal("1.1002")


def test_the_best_follows_every_way_a_quote_can_change() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1003"), quoted("LP2", "1.1001", "1.1004"))
    market.update(quote=quoted("LP2", "1.0999", "1.1002"))
    assert best(market) == ("LP1", "1.1000", "LP2", "1.1002")
    market.update(quote=quoted("LP1", "1.1002", "1.1001", size="2"))
    assert market.fault_of(venue="LP1", symbol="EURUSD") == Fault.CROSSED
    assert best(market) == ("LP2", "1.0999", "LP2", "1.1002")
    market.update(quote=quoted("LP2", "1.0999"))
    assert best(market) == ("LP2", "1.0999", "", "")
    market.update(quote=quoted("LP2", "", "1.1005"))
    assert best(market) == ("", "", "LP2", "1.1005")
    market.update(quote=quoted("LP2"))
    assert best(market) is None


def test_equal_prices_are_ranked_by_size_then_priority_then_name() -> None:
    market = market_of(quoted("LP2", "1.1", "1.2"), quoted("LP1", "1.1", "1.2"))
    assert best(market) == ("LP1", "1.1", "LP1", "1.2")
    market.configure(venue=Venue(name="LP2", priority=1))
    assert best(market) == ("LP2", "1.1", "LP2", "1.2")
    market.update(quote=quoted("LP1", "1.1", "1.2", size="3"))
    assert best(market) == ("LP1", "1.1", "LP1", "1.2")
    market.update(quote=quoted("LP1", "1.1", "1.2", size="0.5"))
    assert best(market) == ("LP2", "1.1", "LP2", "1.2")


def test_depth_is_merged_best_first_and_stays_attributed() -> None:
    first = VenueQuote(
        venue="LP1",
        symbol="EURUSD",
        bids=levels(("1.1000", "1"), ("1.0998", "5")),
        asks=levels(("1.1002", "1"), ("1.1003", "5")),
        venue_at_us=NOW_US,
        received_at_us=NOW_US,
    )
    market = market_of(first, quoted("LP2", "1.0999", "1.1002", size="2"))
    bids, asks = market.depth(symbol="EURUSD", now_us=NOW_US)
    assert [(str(level.price), level.venue) for level in bids] == [
        ("1.1000", "LP1"),
        ("1.0999", "LP2"),
        ("1.0998", "LP1"),
    ]
    assert [(str(level.size), level.venue) for level in asks] == [("2", "LP2"), ("1", "LP1"), ("5", "LP1")]
    assert market.depth(symbol="NOTHING", now_us=NOW_US) == ((), ())


def test_a_quote_counts_until_it_is_older_than_its_venue_allows() -> None:
    market = Market()
    market.configure(venue=Venue(name="LP1", quote_age_ms_max=100))
    market.update_many(quotes=[quoted("LP1", "1.1001", "1.1002"), quoted("LP2", "1.1000", "1.1003")])
    assert best(market, now=NOW_US + 100 * MS) == ("LP1", "1.1001", "LP1", "1.1002")
    assert best(market, now=NOW_US + 100 * MS + 1) == ("LP2", "1.1000", "LP2", "1.1003")
    assert market.venues_of(symbol="EURUSD", now_us=NOW_US + 200 * MS) == ("LP2",)
    assert best(market, now=NOW_US + 5_000 * MS + 1) is None
    assert best(market, now=NOW_US) == ("LP1", "1.1001", "LP1", "1.1002")
    market.update(quote=quoted("LP2", "1.1000", "1.1003", at=NOW_US + 200 * MS))
    assert best(market, now=NOW_US + 200 * MS) == ("LP2", "1.1000", "LP2", "1.1003")


@pytest.mark.parametrize("back_us", [AHEAD_MS_MAX * MS + 1, 10_000 * MS, 3_600_000 * MS])
def test_inv_20_a_quote_of_the_future_counts_no_longer_than_two_clocks_may_differ(back_us: int) -> None:
    """The clock was set back: nobody knows how old the quote is, until the venue quotes again or the time is back."""
    market = market_of(quoted("LP1", "1.1001", "1.1002"), quoted("LP2", "1.1000", "1.1003"))
    assert best(market, now=NOW_US - AHEAD_MS_MAX * MS) == ("LP1", "1.1001", "LP1", "1.1002")
    now = NOW_US - back_us
    assert best(market, now=now) is None
    assert market.depth(symbol="EURUSD", now_us=now) == ((), ())
    assert not market.trusted(symbol="EURUSD", now_us=now, k=1, band_bps=Decimal(1_000))
    market.update(quote=quoted("LP2", "1.1000", "1.1003", at=now))
    assert best(market, now=now) == ("LP2", "1.1000", "LP2", "1.1003")
    assert market.venues_of(symbol="EURUSD", now_us=now) == ("LP2",)
    assert best(market, now=NOW_US - AHEAD_MS_MAX * MS) is not None
    market.update(quote=quoted("LP1", "1.1001", "1.1002", at=now))
    assert best(market, now=now) == ("LP1", "1.1001", "LP1", "1.1002")


def test_inv_20_a_reference_of_the_future_judges_no_quote() -> None:
    market = market_of(quoted("LP1", "1.1001", "1.1002"))
    assert market.update(quote=quoted("LP1", "1.3", "1.4", at=NOW_US - 60_000 * MS)) is Fault.SPIKE
    market = market_of(quoted("LP1", "1.1001", "1.1002"))
    assert market.update(quote=quoted("LP1", "1.3", "1.4", at=NOW_US - 60_000 * MS - 1)) is None


def test_a_disabled_or_withdrawn_venue_does_not_count() -> None:
    market = market_of(
        quoted("LP1", "1.1001", "1.1002"), quoted("LP2", "1.1000", "1.1003"), quoted("LP2", "1", "2", symbol="X")
    )
    market.configure(venue=Venue(name="LP1", enabled=False))
    assert best(market) == ("LP2", "1.1000", "LP2", "1.1003")
    market.update(quote=quoted("LP1", "1.1001", "1.1002"))
    assert best(market) == ("LP2", "1.1000", "LP2", "1.1003")
    market.configure(venue=Venue(name="LP1"))
    assert best(market) == ("LP1", "1.1001", "LP1", "1.1002")
    market.withdraw(venue="LP1", symbol="EURUSD")
    market.withdraw(venue="LP1", symbol="NOTHING")
    assert best(market) == ("LP2", "1.1000", "LP2", "1.1003")
    market.withdraw(venue="LP2")
    assert (best(market), best(market, symbol="X")) == (None, None)


@pytest.mark.parametrize(
    ("bid", "ask", "size", "fault"),
    [
        ("0", "1.1", "1", Fault.NOT_A_PRICE),
        ("-1", "1.1", "1", Fault.NOT_A_PRICE),
        ("NaN", "1.1", "1", Fault.NOT_A_PRICE),
        ("1.1", "sNaN", "1", Fault.NOT_A_PRICE),
        ("1.1", "Infinity", "1", Fault.NOT_A_PRICE),
        ("1.1", "1000000000001", "1", Fault.NOT_A_PRICE),
        ("1.1", "1.2", "1E19", Fault.NOT_A_PRICE),
        ("1.1", "1.2", "0", Fault.NOT_A_PRICE),
        ("1.1", "1.2", "NaN", Fault.NOT_A_PRICE),
        ("1.2", "1.1", "1", Fault.CROSSED),
        ("1.1", "1.1", "1", None),
    ],
)
def test_what_is_not_a_quote_is_put_in_quarantine(bid: str, ask: str, size: str, fault: Fault | None) -> None:
    market = Market()
    assert market.update(quote=quoted("LP1", bid, ask, size=size)) == fault
    assert (market.quote_of(venue="LP1", symbol="EURUSD") is None) == (fault is not None)


def test_levels_out_of_order_are_put_in_quarantine() -> None:
    for bids, asks in ((("1.1", "1"), ("1.1", "1")), ()), ((), (("1.2", "1"), ("1.1", "1"))):
        quote = VenueQuote(
            venue="LP1", symbol="EURUSD", bids=levels(*bids), asks=levels(*asks), venue_at_us=0, received_at_us=0
        )
        assert Market().update(quote=quote) == Fault.UNSORTED


NUMBERS = st.sampled_from(["1.1", "1.2", "1.3", "1.4", "1.5", "0", "-1", "NaN", "sNaN", "Infinity", "-Infinity"])
GOOD = st.sampled_from(["1.1", "1.2", "1.3", "1.4", "1.5"])
DEEP = st.one_of(
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3),
    st.lists(st.tuples(GOOD, GOOD), max_size=3, unique_by=lambda level: level[0]).map(sorted),
    st.lists(st.tuples(GOOD, GOOD), max_size=3, unique_by=lambda level: level[0]).map(
        lambda found: sorted(found, reverse=True)
    ),
)


@given(bids=DEEP, asks=DEEP)
def test_a_quote_of_many_levels_counts_exactly_where_the_rule_finds_no_fault(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]]
) -> None:
    """The usual quote passes by a quick look; whatever that lets through, and all else, is as `fault_of` says."""
    quote = VenueQuote(
        venue="LP1", symbol="EURUSD", bids=levels(*bids), asks=levels(*asks), venue_at_us=0, received_at_us=0
    )
    assert Market().update(quote=quote) == fault_of(quote=quote)


def test_a_lone_spike_never_counts_and_a_real_jump_does_after_some_good_ticks() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    assert market.update(quote=quoted("LP1", "1.4000", "1.4002")) == Fault.SPIKE
    assert best(market) is None
    good = [market.update(quote=quoted("LP1", "1.1001", "1.1002")) for _ in range(3)]
    assert good == [Fault.RECOVERING, Fault.RECOVERING, None]
    assert best(market) == ("LP1", "1.1001", "LP1", "1.1002")
    jump = [market.update(quote=quoted("LP1", "1.4000", "1.4002")) for _ in range(4)]
    assert jump == [Fault.SPIKE, Fault.RECOVERING, Fault.RECOVERING, None]
    assert best(market) == ("LP1", "1.4000", "LP1", "1.4002")


def test_back_and_forth_between_two_prices_neither_is_believed_before_its_own_row_of_good_ticks() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    there, back = quoted("LP1", "1.4000", "1.4002"), quoted("LP1", "1.1001", "1.1002")
    told = [market.update(quote=quote) for quote in (there, there, there, back, back, there, back, back, back)]
    again = [Fault.RECOVERING, Fault.RECOVERING]
    assert told == [Fault.SPIKE, *again, *again, Fault.SPIKE, *again, None]


def test_where_a_price_was_long_ago_is_no_place_to_be_back_at() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    market.update(quote=quoted("LP1", "1.4000", "1.4002", at=NOW_US + 50_000 * MS))
    late = NOW_US + 60_001 * MS
    assert market.update(quote=quoted("LP1", "1.1000", "1.1002", at=late)) == Fault.SPIKE


def test_a_jump_after_a_long_silence_is_no_spike_and_a_side_never_quoted_compares_with_nothing() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    assert market.update(quote=quoted("LP1", "1.4000", "", at=NOW_US + 60_001 * MS)) is None
    assert market.update(quote=quoted("LP1", "1.4000", "1.6", at=NOW_US + 60_002 * MS)) is None
    assert market.update(quote=quoted("LP1", "1.4000", "1.9", at=NOW_US + 60_003 * MS)) == Fault.SPIKE


@pytest.mark.parametrize("away", [("1.1000", ""), ("", "1.1002"), ("", "")])
def test_a_side_that_comes_back_is_compared_with_where_it_was(away: tuple[str, str]) -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    assert market.update(quote=quoted("LP1", *away)) is None
    assert market.update(quote=quoted("LP1", "1.4000", "1.4002")) == Fault.SPIKE


def test_a_quote_of_nothing_is_no_good_tick() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"), quoted("LP1", "NaN", "1.1002"))
    for _ in range(4):
        assert market.update(quote=quoted("LP1")) == Fault.RECOVERING
    good = [market.update(quote=quoted("LP1", "1.1000", "1.1002")) for _ in range(3)]
    assert good == [Fault.RECOVERING, Fault.RECOVERING, None]


def test_a_session_that_was_down_begins_with_no_wild_price_and_its_quarantine_goes_on() -> None:
    market = market_of(quoted("LP1", "1.1000", "1.1002"))
    market.withdraw(venue="LP1")
    assert best(market) is None and market.changed() == {"EURUSD"}
    market.withdraw(venue="LP1")
    assert market.changed() == set()
    assert market.update(quote=quoted("LP1", "1.4000", "1.4002")) == Fault.SPIKE
    market.withdraw(venue="LP1")
    again = [market.update(quote=quoted("LP1", "1.4000", "1.4002")) for _ in range(3)]
    assert again == [Fault.RECOVERING, Fault.RECOVERING, None]
    assert best(market) == ("LP1", "1.4000", "LP1", "1.4002")


def test_the_spike_limit_is_set_per_symbol_and_exact() -> None:
    market = market_of(quoted("LP1", "1.0000", "1.1000"))
    limit = QuoteFilter(spike_bps_max=Decimal(100), good_ticks=1)
    market.configure_filter(symbol="EURUSD", quote_filter=limit)
    market.configure_filter(symbol="LATER", quote_filter=limit)
    assert market.update(quote=quoted("LP1", "1.0100", "1.1000")) is None
    assert market.update(quote=quoted("LP1", "1.0202", "1.1110")) == Fault.SPIKE
    assert market.update(quote=quoted("LP1", "1.0202", "1.1110")) is None
    assert market.update(quote=quoted("LP1", "1", "1.1", symbol="LATER")) is None
    assert market.update(quote=quoted("LP1", "1.02", "1.1", symbol="LATER")) == Fault.SPIKE


def test_a_market_is_trusted_when_enough_venues_are_close_to_their_median() -> None:
    market = market_of(
        quoted("LP1", "1.1000", "1.1002"), quoted("LP2", "1.1001", "1.1003"), quoted("LP3", "1.0900", "1.0902")
    )
    assert market.trusted(symbol="EURUSD", now_us=NOW_US, k=2, band_bps=Decimal(2))
    assert not market.trusted(symbol="EURUSD", now_us=NOW_US, k=3, band_bps=Decimal(2))
    assert market.trusted(symbol="EURUSD", now_us=NOW_US, k=3, band_bps=Decimal(100))
    assert not market.trusted(symbol="EURUSD", now_us=NOW_US + 6_000 * MS, k=1, band_bps=Decimal(2))
    assert not market.trusted(symbol="NOTHING", now_us=NOW_US, k=1, band_bps=Decimal(2))
    market.update(quote=quoted("LP9", "1.1", symbol="ONE"))
    assert not market.trusted(symbol="ONE", now_us=NOW_US, k=1, band_bps=Decimal(2))


def test_what_was_never_quoted_has_no_answer() -> None:
    market = Market()
    assert market.best(symbol="X", now_us=0) is None
    assert market.mid(symbol="X", now_us=0) is None
    assert market.quote_of(venue="LP1", symbol="X") is None
    assert market.fault_of(venue="LP1", symbol="X") is None
    assert market.venues_of(symbol="X", now_us=0) == ()
    market.update(quote=quoted("LP1", "1.1"))
    assert market.mid(symbol="EURUSD", now_us=NOW_US) is None
    assert not market.best(symbol="EURUSD", now_us=NOW_US).two_sided  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "shape", [("1.1000", "1.1003"), ("1.1000", ""), ("", "1.1003"), ("1.5000", "1.5003"), ("2", "1")]
)
def test_a_market_put_back_judges_what_comes_next_as_the_one_it_was_taken_from(shape: tuple[str, str]) -> None:
    """The rule lab begins in the middle of a day: with a quote, half of one, or a feed in quarantine."""
    market = market_of(quoted("LP1", "1.1000", "1.1003"), quoted("LP2", "1.1001", "1.1004"), quoted("LP1", *shape))
    again = Market()
    for symbol, book in market.books.items():
        for venue, feed in book.feeds.items():
            quote, reference, fault, good, believed = feed.dumped()
            again.restore(
                venue=venue, symbol=symbol, quote=quote, reference=reference, fault=fault, good=good, believed=believed
            )
    assert best(again) == best(market)
    assert again.changed() == set()
    for bid, ask in (("1.1000", "1.1003"), ("1.1002", "1.1003"), ("1.1001", "1.1003"), ("1.1001", "1.1002")):
        assert again.update(quote=quoted("LP1", bid, ask)) == market.update(quote=quoted("LP1", bid, ask))
        assert best(again) == best(market)
        assert again.fault_of(venue="LP1", symbol="EURUSD") == market.fault_of(venue="LP1", symbol="EURUSD")
