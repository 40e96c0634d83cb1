"""Ranking remembered: what is kept is what ranking anew would say, and only as long as it is true."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from piggy.core import commands as cmd
from piggy.core.accounts import Venue
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel, Level, VenueQuote
from piggy.core.orders import OrderTerms, Side
from piggy.core.pricing import worst_price
from piggy.core.quotes import Market
from piggy.core.ranking import Rankings
from piggy.core.routing import rank, reachable
from piggy.core.routing_rules import CostModel, RoutingPolicy, VenueScore
from piggy.core.verdicts import VenueConsidered, packed
from tests.core.floor import EURUSD, Floor

NOW_US = 1_700_000_000_000_000
NAMES = ("LP1", "LP2", "LP3")
PRICES = tuple(Decimal(price) for price in ("1.10000", "1.1", "1.10007", "1.23456"))
BOUNDS = tuple(Decimal(bps) for bps in ("50", "50.00", "3"))
COARSE = msgspec.structs.replace(EURUSD, tick_size=Decimal("0.0005"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.sampled_from(NAMES), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("wait"), st.integers(0, 4_000_000)),
        st.tuples(st.just("switch"), st.sampled_from(NAMES), st.booleans()),
        st.tuples(st.just("score"), st.sampled_from(NAMES), st.integers(0, 2)),
        st.tuples(st.just("exclude"), st.sampled_from(("", *NAMES))),
        st.tuples(st.just("cost"), st.integers(0, 1)),
        st.tuples(st.just("limit"), st.sampled_from((None, "1.1", "1.10", "1.1001", "1.0999"))),
    ),
    max_size=25,
)


def _quote(venue: str, points: int, lots: int, at_us: int) -> VenueQuote:
    bid = Decimal("1.1") + Decimal(points) / 10_000
    size = Decimal(lots)
    return VenueQuote(
        venue=venue,
        symbol="EURUSD",
        bids=(Level(bid, size),),
        asks=(Level(bid + Decimal("0.0001"), size), Level(bid + Decimal("0.0002"), size)),
        venue_at_us=at_us,
        received_at_us=at_us,
    )


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_a_remembered_ranking_is_what_ranking_anew_would_say(steps: list[tuple[object, ...]]) -> None:
    market, rankings = Market(), Rankings()
    venues = {name: Venue(name=name) for name in NAMES}
    scores: dict[str, VenueScore] = {}
    excluded: dict[str, str] = {}
    cost, limit, now_us, version = CostModel(), None, NOW_US, 0
    for step in steps:
        version += step[0] in ("switch", "score", "exclude", "cost")
        match step:
            case ("quote", str(name), int(points), int(lots)):
                market.update(quote=_quote(name, points, lots, now_us))
            case ("wait", int(us)):
                now_us += us
            case ("switch", str(name), bool(enabled)):
                venues[name] = Venue(name=name, enabled=enabled)
                market.configure(venue=venues[name])
            case ("score", str(name), int(tenths)):
                scores[name] = VenueScore(reject_rate=Decimal(tenths) / 10)
            case ("exclude", str(name)):
                excluded = {name: "refused this order"} if name else {}
            case ("cost", int(bps)):
                cost = CostModel(reject_bps=Decimal(bps))
            case ("limit", value):
                limit = None if value is None else Decimal(str(value))
        for side in Side:
            levels = market.levels(symbol="EURUSD", bids=side is Side.SELL, now_us=now_us)
            bids, asks = market.depth(symbol="EURUSD", now_us=now_us)
            assert levels == (bids if side is Side.SELL else asks) == _merged(market, side, now_us)
            wanted = {"venues": venues, "levels": levels, "scores": scores, "cost_model": cost, "side": side}
            wanted |= {"excluded": excluded, "limit": limit}
            found = rankings.of(order_id="O1", symbol="EURUSD", version=(version, 0, ()), **wanted)  # type: ignore[arg-type]
            anew = rank(**wanted)  # type: ignore[arg-type]
            assert found.venues == packed(considered=anew)
            assert found.reachable == reachable(levels=levels, ranked=anew, side=side, limit=limit)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PRICES), st.sampled_from(BOUNDS), st.sampled_from((EURUSD, COARSE)), st.sampled_from(Side)
        ),
        max_size=12,
    )
)
def test_a_remembered_protection_is_what_the_worst_price_is_now(
    asked: list[tuple[Decimal, Decimal, Instrument, Side]],
) -> None:
    """P-10: of equal prices and bounds too, which may be written with other digits."""
    rankings = Rankings()
    for price, bps, instrument, side in asked:
        found = rankings.worst(price=price, bps=bps, instrument=instrument, side=side)
        assert str(found) == str(worst_price(price=price, bps=bps, instrument=instrument, side=side))


def test_a_protection_is_worked_out_once_for_each_price() -> None:
    rankings = Rankings()
    first = rankings.worst(price=PRICES[0], bps=BOUNDS[0], instrument=EURUSD, side=Side.BUY)
    assert rankings.worst(price=PRICES[0], bps=BOUNDS[0], instrument=EURUSD, side=Side.BUY) is first
    assert rankings.worst(price=Decimal("1.10000"), bps=BOUNDS[0], instrument=EURUSD, side=Side.BUY) is not first


def test_the_levels_are_the_same_object_until_a_quote_changes_or_ages() -> None:
    market = Market()
    market.update(quote=_quote("LP1", 0, 1, NOW_US))
    first = market.levels(symbol="EURUSD", bids=True, now_us=NOW_US)
    assert market.levels(symbol="EURUSD", bids=True, now_us=NOW_US + 5_000_000) is first
    assert market.levels(symbol="EURUSD", bids=True, now_us=NOW_US + 5_000_001) == ()
    market.update(quote=_quote("LP1", 0, 1, NOW_US))
    assert market.levels(symbol="EURUSD", bids=True, now_us=NOW_US) is not first


def _merged(market: Market, side: Side, now_us: int) -> tuple[AttributedLevel, ...]:
    """The levels of every live venue, sorted from nothing: by price, size, priority, name."""
    found = []
    for name in market.venues_of(symbol="EURUSD", now_us=now_us):
        quote = market.quote_of(venue=name, symbol="EURUSD")
        assert quote is not None
        for level in quote.bids if side is Side.SELL else quote.asks:
            key = (side.sign * level.price, -level.size, name)
            found.append(
                (
                    key,
                    AttributedLevel(
                        price=level.price, size=level.size, venue=name, received_at_us=quote.received_at_us
                    ),
                )
            )
    return tuple(level for _, level in sorted(found, key=lambda pair: pair[0]))


def test_what_a_venue_did_since_the_last_order_is_on_the_next_one_s_record() -> None:
    floor = Floor()
    _, leg = floor.place("a1", Side.BUY, "1")
    assert _seen(floor)[leg.venue].reject_rate == 0
    floor.reject(leg)
    assert _seen(floor)[leg.venue].reject_rate == 1, "its quotes are the same, its record is not"


def test_a_delay_ranks_venues_anew_where_the_cost_model_weighs_it() -> None:
    floor = Floor()
    for weight, delay_us in ((0, 500_000), (10_000, 900_000)):
        model = CostModel(latency_bps_per_s=Decimal(weight))
        floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1 + weight, cost_model=model)))
        for leg in floor.place("a1", Side.BUY, "1")[1:]:
            before = _seen(floor)[leg.venue].cost
            floor.now_us += delay_us
            ack = {"venue": leg.venue, "cl_ord_id": leg.cl_ord_id, "venue_order_id": "V"}
            floor.do(cmd.RecordVenueAck(**ack, occurred_at_us=floor.now_us))
            floor.fill(leg, str(leg.limit_price))
            assert (_seen(floor)[leg.venue].cost != before) is (weight > 0)


def test_a_record_s_digits_are_those_of_what_is_known_now() -> None:
    """Of venues whose quotes stay the same: one that was never asked rejected 0, one that filled its first 0.0000."""
    floor = Floor()
    _, leg = floor.place("a1", Side.BUY, "1")
    assert str(_seen(floor)[leg.venue].reject_rate) == "0"
    floor.fill(leg, "1.10010")
    assert str(_seen(floor)[leg.venue].reject_rate) == "0.0000"
    floor.do(cmd.ConfigureRouting(policy=RoutingPolicy(version=1, cost_model=CostModel(markout=Decimal(1)))))
    before = _seen(floor)
    floor.do(cmd.ScoreVenue(venue=leg.venue, markout_bps=Decimal("0.0000000")))
    found = _seen(floor)
    floor.requote()
    assert repr(found) == repr(_seen(floor)) != repr(before), "what is remembered is what ranking anew says"


def _seen(floor: Floor) -> dict[str, VenueConsidered]:
    """What the next order would find of each venue, without a new quote."""
    terms = OrderTerms(account_id="a1", symbol="EURUSD", side=Side.BUY, quantity=Decimal("0.5"))
    events = floor.desk.decide(command=cmd.PlaceOrder(terms=terms), now_us=floor.now_us + 2_000_000)
    return {seen.venue: seen for seen in events[0].routing.considered}
