"""A stop-out that can be defended: which positions, how many lots, at which price, and shown beforehand."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piggy.core.commissions import Commission, CommissionBasis
from piggy.core.margin import MarginTerms, reaches
from piggy.core.orders import Side
from piggy.core.positions import filled
from piggy.core.stopout import Ladder, OpenLine, StopOutMode, ladder, quorum

HALF = D(50)
PERCENT = D(5)


def line(
    name: str,
    *,
    lots: str = "10",
    opened: str = "100",
    now: str = "100",
    side: Side = Side.BUY,
    symbol: str = "",
    trusted: bool = True,
    lot_value: str = "",
) -> OpenLine:
    position = filled(
        position=None,
        side=side,
        quantity=D(lots),
        price=D(opened),
        contract_size=D(1),
        position_id=name,
        symbol=symbol or name,
        margin_percent=PERCENT,
    ).position
    assert position is not None
    return OpenLine(
        position=position,
        close_price=D(now),
        rate=D(1),
        contract_size=D(1),
        lot_step=D("0.1"),
        lot_value=D(lot_value or now),
        terms=MarginTerms(percent=PERCENT),
        trusted=trusted,
    )


def run(*lines: OpenLine, balance: str, **more: object) -> Ladder:
    return ladder(lines=lines, balance=D(balance), currency="USD", level_percent=HALF, now_us=0, **more)  # type: ignore[arg-type]


def test_nothing_is_closed_above_the_level():
    steps = run(line("p"), balance="25")
    assert (steps.rungs, steps.before) == ((), steps.after)


@pytest.mark.parametrize(("balance", "closes"), [("50.00", True), ("50.01", False)])
@pytest.mark.parametrize("mode", StopOutMode)
def test_g08_half_is_half_of_what_is_bound_and_not_of_what_that_is_rounded_to(
    mode: StopOutMode, balance: str, closes: bool
) -> None:
    """100.0049 are bound, of which half is 50.00245: 50.00 is below it, as the watch over the account knows too."""
    steps = run(line("A", lot_value="200.0098"), balance=balance, mode=mode)
    assert (steps.before.used, bool(steps.rungs)) == (D("100.00"), closes)


def test_a_close_pays_its_commission_in_the_accounts_currency() -> None:
    """10 lots at 90 are 450.00 where a unit is worth a half: 1 % is 4.50, of what 50.00 of loss leave of 60.00."""
    plan = Commission(basis=CommissionBasis.BPS, rate=D(100))
    halved = msgspec.structs.replace(line("p", now="90", lot_value="45"), rate=D("0.5"), plan=plan)
    steps = run(halved, balance="60", partial=False)
    assert [(rung.realised, rung.commission) for rung in steps.rungs] == [(D(-50), D("4.50"))]
    assert steps.after.balance == D("5.50")


def test_a_partial_ladder_closes_only_the_lots_it_takes():
    """10 lots at 90 bind 45.00; equity 20 carries 40.00 of margin at 50 %: 8.8 lots may stay, 1.2 go."""
    steps = run(line("p", now="90"), balance="120")
    (rung,) = steps.rungs
    assert (rung.side, rung.quantity, rung.price, rung.realised) == (Side.SELL, D("1.2"), D(90), D("-12"))
    assert rung.level_after == steps.after.level_percent
    assert steps.after.equity == steps.before.equity == D(20)
    assert not reaches(margin=steps.after, level_percent=HALF)
    tenth_less = run(line("p", now="90", lots="8.9", opened="100"), balance="109")
    assert tenth_less.rungs, "one step less would not have been enough"


def test_without_partial_the_whole_position_goes():
    (rung,) = run(line("p", now="90"), balance="120", partial=False).rungs
    assert rung.quantity == D(10)


def test_smart_mode_takes_the_largest_loser_first_and_names_break_ties():
    steps = run(line("b", now="95"), line("a", now="95"), line("worst", now="90"), balance="200", partial=False)
    assert steps.before.equity == 0
    assert [rung.position_id for rung in steps.rungs] == ["worst", "a", "b"]
    assert steps.after.used == 0


def test_fair_mode_takes_the_same_share_of_every_position():
    steps = run(line("a", lots="10", now="90"), line("b", lots="20", now="100"), balance="160", mode=StopOutMode.FAIR)
    shares = {rung.position_id: rung.quantity for rung in steps.rungs}
    assert steps.before.equity == D(60)
    assert steps.before.used == D(145)
    assert shares == {"a": D("1.8"), "b": D("3.6")}
    assert not reaches(margin=steps.after, level_percent=HALF)


def test_fair_mode_closes_everything_when_nothing_is_left():
    steps = run(line("a", now="80"), line("b", now="80"), balance="300", mode=StopOutMode.FAIR)
    assert [rung.quantity for rung in steps.rungs] == [D(10), D(10)]


def test_an_untrusted_price_waits_while_trusted_positions_go():
    steps = run(line("bad", now="50", trusted=False), line("good", now="95"), balance="550")
    assert [rung.position_id for rung in steps.rungs] == ["good"]
    assert steps.queued == ("bad",)
    enough = run(line("bad", now="95", trusted=False), line("good", now="90"), balance="190")
    assert [rung.position_id for rung in enough.rungs] == ["good"]
    assert enough.queued == (), "the level holds again, so nothing waits"


def test_hedged_positions_of_one_symbol_are_netted():
    hedged = (line("long", symbol="X", now="90"), line("short", symbol="X", now="90", side=Side.SELL))
    steps = run(*hedged, balance="0")
    assert (steps.before.used, steps.rungs) == (0, ())
    # What binds nothing can still lose: once nothing is left, it goes.
    steps = run(*hedged, balance="-0.01")
    assert [(rung.position_id, rung.quantity) for rung in steps.rungs] == [("long", 10), ("short", 10)]
    nothing = run(balance="-0.01")
    assert (nothing.rungs, nothing.queued) == ((), ())


def test_a_quorum_needs_enough_sources_that_agree():
    mids = [D("1.1000"), D("1.1001"), D("1.1002"), D("1.2000")]
    assert quorum(mids=mids, needed=3, band_bps=D(5))
    assert not quorum(mids=mids, needed=4, band_bps=D(5))
    assert not quorum(mids=mids[:2], needed=3, band_bps=D(5))
    assert not quorum(mids=[], needed=0, band_bps=D(5))
    assert quorum(mids=[D(1)], needed=1, band_bps=D(0))
    assert quorum(mids=[D("1.000"), D("1.002"), D("1.004")], needed=3, band_bps=D(20)), "odd: the middle one"
    assert quorum(mids=[D("1.000"), D("1.004")], needed=2, band_bps=D(20)), "even: between the middle two"
    assert quorum(mids=[D(1), D(1), D("1.001")], needed=3, band_bps=D(10)), "the band's edge is inside"
    assert not quorum(mids=[D(1), D(1), D("1.0011")], needed=3, band_bps=D(10))
    assert quorum(mids=[D("1.0"), D("1.001"), D("3")], needed=2, band_bps=D(10)), "one bad tick is outvoted"


positions = st.lists(
    st.tuples(st.integers(1, 50), st.integers(80, 120), st.sampled_from(Side), st.booleans()), min_size=1, max_size=5
)


@given(positions, st.integers(0, 400), st.sampled_from(StopOutMode), st.booleans(), st.booleans())
def test_a_ladder_restores_the_level_or_has_closed_all_it_may(held, balance, mode, partial, inclusive):
    lines = [
        line(f"p{number}", lots=str(lots), now=str(now), side=side, trusted=trusted)
        for number, (lots, now, side, trusted) in enumerate(held)
    ]
    steps = run(*lines, balance=str(balance), mode=mode, partial=partial, inclusive=inclusive)
    assert steps.after.equity == steps.before.equity, "a close at the mark changes no equity"
    assert len({rung.position_id for rung in steps.rungs}) == len(steps.rungs), "no position twice"
    trusted = {one.position.position_id: one.position.lots for one in lines if one.trusted}
    for rung in steps.rungs:
        assert 0 < rung.quantity <= trusted[rung.position_id]
    if reaches(margin=steps.after, level_percent=HALF, inclusive=inclusive):
        assert {rung.position_id: rung.quantity for rung in steps.rungs} == trusted
        assert set(steps.queued) == {one.position.position_id for one in lines if not one.trusted}


@pytest.mark.parametrize("tenths", range(180, 250, 7))
def test_a_partial_close_takes_the_fewest_lots_that_suffice(tenths: int):
    """One step less would leave the account where it is stopped out."""
    balance = str(D(tenths) / 10)
    (rung,) = run(line("p"), balance=balance, partial=True).rungs
    assert rung.level_after is not None and rung.level_after >= HALF
    one_less = filled(
        position=line("p").position, side=Side.SELL, quantity=rung.quantity - D("0.1"), price=D(100), contract_size=D(1)
    ).position
    assert one_less is not None
    assert run(msgspec.structs.replace(line("p"), position=one_less), balance=balance, partial=True).rungs


@pytest.mark.parametrize(("balance", "lots"), [("49.6", "0.1"), ("49.2", "0.2"), ("48.6", "0.3")])
def test_so_many_hundredths_of_every_position_go_as_are_enough(balance: str, lots: str):
    steps = run(line("p"), line("q"), balance=balance, mode=StopOutMode.FAIR)
    assert [rung.quantity for rung in steps.rungs] == [D(lots), D(lots)]


def test_the_middle_of_five_sources_is_the_third():
    mids = [D(1), D(1), D(2), D(2), D(2)]
    assert quorum(mids=mids, needed=3, band_bps=D(0)) and not quorum(mids=mids, needed=4, band_bps=D(0))
