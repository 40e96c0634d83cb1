"""Policies that would undo each other's hedges, hedges that need not go on, and lots that a doubt left to nobody."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.hedge_policies import misfit
from piggy.core.hedging import HedgePolicy, HedgeScope
from piggy.core.instruments import Instrument
from piggy.core.orders import Side
from tests.core.floor import EURUSD, SECOND_US, only
from tests.core.hedging_floor import House, policy

D = Decimal


def pair(symbol: str, base: str, quote: str) -> Instrument:
    return msgspec.structs.replace(EURUSD, symbol=symbol, base=base, quote=quote)


SYMBOLS = {
    each.symbol: each
    for each in (
        EURUSD,
        pair("EURUSD.x", "EUR", "USD"),
        pair("USDJPY", "USD", "JPY"),
        pair("EURJPY", "EUR", "JPY"),
        pair("GBPUSD", "GBP", "USD"),
    )
}


def of(currency: str, symbol: str, **changes: Any) -> HedgePolicy:
    """Return a policy that covers a currency by dealing in a symbol."""
    terms = {"key": currency, "symbol": symbol, "scope": HedgeScope.CURRENCY, "threshold": D(100_000)}
    return HedgePolicy(**(terms | changes))


@pytest.mark.parametrize(
    ("made", "known", "circle"),
    [
        (of("USD", "USDJPY"), (of("EUR", "EURUSD"),), ""),
        (of("USD", "EURUSD.x"), (of("EUR", "EURUSD"),), "USD in EURUSD.x, EUR in EURUSD"),
        (
            of("JPY", "EURJPY"),
            (of("GBP", "GBPUSD"), of("EUR", "EURUSD"), of("USD", "USDJPY")),
            "JPY in EURJPY, EUR in EURUSD, USD in USDJPY",
        ),
        (of("JPY", "EURJPY"), (of("EUR", "EURUSD"), of("USD", "USDJPY", enabled=False)), ""),
        (of("JPY", "EURJPY", enabled=False), (of("EUR", "EURUSD"), of("USD", "USDJPY")), ""),
        (of("JPY", "EURJPY"), (policy(), policy(key="USDJPY", symbol="USDJPY")), ""),
        (of("USD", "EURUSD.x"), (of("EUR", "EURUSD.x"), of("USD", "EURUSD")), ""),
        (of("USD", "USDJPY"), (of("JPY", "GONE"),), ""),
    ],
)
def test_policies_that_lead_in_a_circle_are_refused(
    made: HedgePolicy, known: tuple[HedgePolicy, ...], circle: str
) -> None:
    """Of those known, one of the same symbol or key is one that the new policy takes the place of."""
    fault = misfit(policy=made, known=known, instruments=SYMBOLS)
    assert fault == (("policy", f"hedges of {circle} would undo each other without end") if circle else None)


def test_a_symbol_is_dealt_in_by_one_policy_or_two_would_undo_each_other_for_ever() -> None:
    """Clients are long dollars; each lot sold of EURUSD against those, the symbol's own policy would buy back."""
    floor = House()
    assert floor.do(cmd.ConfigureInstrument(instrument=SYMBOLS["USDJPY"]))
    off, on = floor.do(cmd.ConfigureHedging(policy=of("USD", "EURUSD")))
    assert (off.policy.key, off.policy.enabled, on.policy.key, on.policy.enabled) == ("EURUSD", False, "USD", True)
    floor.desk.state.exposure["USDJPY"].client_long = D(5)
    floor.quotes()
    (hedge,) = only(floor.act(), ev.HedgeProposed)
    assert (hedge.key, hedge.symbol, hedge.side) == ("USD", "EURUSD", Side.SELL)
    back, gone = floor.do(cmd.ConfigureHedging(policy=policy()))
    assert (back.policy.key, back.policy.enabled, gone.policy.key) == ("USD", False, "EURUSD")
    assert floor.do(cmd.ConfigureHedging(policy=policy())) == []


def test_a_policy_that_moved_on_is_not_switched_off_by_what_it_left() -> None:
    """After a restart every policy is told anew, in any order: dollars are covered in USDJPY now."""
    floor = House(enabled=False)
    floor.do(cmd.ConfigureInstrument(instrument=SYMBOLS["USDJPY"]))
    left, now = of("USD", "EURUSD", enabled=False), of("USD", "USDJPY")
    for told in (left, now):
        assert len(floor.do(cmd.ConfigureHedging(policy=told))) == 1
    assert floor.do(cmd.ConfigureHedging(policy=left)) == []
    assert floor.desk.state.hedge_policies["USD"] == now
    assert len(floor.do(cmd.ConfigureHedging(policy=of("USD", "USDJPY", enabled=False)))) == 1


def test_a_hedge_that_ended_short_within_the_band_is_done() -> None:
    """Of 5 lots 4.9 were dealt and 1.1 are open, within the band of 0.5 round the target of 1: that was enough."""
    floor = House()
    first, second, third = only(floor.clients_buy("6"), ev.ChildOrderCreated)
    floor.fill(first, "1.10010")
    floor.fill(second, "1.10011")
    floor.fill(third, "1.10012", lots="0.9")
    assert only(floor.done(third, filled="0.9"), ev.HedgeClosed)[0].outcome == "short"
    (settled,) = only(floor.clients_buy("0.1"), ev.HedgeSettled)
    assert (settled.hedge_id, settled.risk) == ("H000000001", D("1.2"))
    assert floor.desk.state.hedges["H000000001"].settled
    assert not only(floor.clients_buy("1.8"), ev.HedgeProposed), "3 is the threshold, and small moves cost no spread"
    assert only(floor.clients_buy("0.1"), ev.HedgeProposed)[0].risk == D("3.1")


def test_a_hedge_that_ended_short_is_done_once_clients_brought_the_risk_back() -> None:
    floor = House()
    legs = only(floor.clients_buy("4"), ev.ChildOrderCreated)
    floor.fill(legs[0], "1.10010", lots="1")
    floor.done(legs[0], filled="1")
    floor.done(legs[1])
    assert floor.desk.state.exposure["EURUSD"].uncovered == 3
    (settled,) = only(floor.clients_buy("1.5", side=Side.SELL), ev.HedgeSettled)
    assert settled.risk == D("1.5"), "the band itself is inside"
    assert not only(floor.clients_buy("1"), ev.HedgeProposed)


def test_what_was_refused_is_dealt_elsewhere_while_another_leg_is_in_doubt() -> None:
    """Of a hedge of 5 lots 2 are in doubt and 3 were refused: those 3 no venue has, and nobody waits for them."""
    floor = House()
    lost, *others = only(floor.clients_buy("6"), ev.ChildOrderCreated)
    floor.doubt(lost)
    for leg in others:
        assert not only(floor.reject(leg), ev.HedgeClosed)
    floor.now_us += SECOND_US
    floor.quotes()
    (again,) = only(floor.act(), ev.HedgeProposed)
    assert (again.quantity, again.risk) == (3, 4), "6 open, 2 that may be covered"
    for leg in floor.children():
        floor.fill(leg, "1.10012")
    assert floor.desk.state.exposure["EURUSD"].uncovered == 1, "the doubt was a fill: it is at the target, not past it"
    assert not only(floor.act(), ev.HedgeProposed) and floor.desk.state.hedge_pending["EURUSD"] == 0


@pytest.mark.parametrize("key", ["EURUSD", "EUR"])
def test_what_was_dealt_elsewhere_stays_so_once_the_doubt_is_over_and_another_leg_is_out(key: str) -> None:
    """Of a hedge of 6 lots 2 were in doubt, 2 refused and dealt anew, and 2 are out: nothing is left to undo.

    So too where another policy has taken over the symbol meanwhile.
    """
    floor = House(threshold=D(1), target=D(0), band=D(0))
    lost, refused, _ = only(floor.clients_buy("6"), ev.ChildOrderCreated)
    floor.doubt(lost)
    floor.reject(refused)
    if key == "EUR":
        floor.do(cmd.ConfigureHedging(policy=of("EUR", "EURUSD")))
    floor.now_us += SECOND_US
    floor.quotes()
    (again,) = only(floor.act(), ev.HedgeProposed)
    assert (again.key, again.quantity) == (key, 2)
    for leg in floor.children():
        if leg.order_id == again.hedge_id:
            floor.fill(leg, "1.10012")
    told = floor.fill(lost, "1.10012") + floor.act()
    (out,) = floor.children()
    assert floor.desk.state.hedges[out.order_id].routed == floor.desk.state.exposure["EURUSD"].uncovered == 2
    assert not only(told, ev.HedgeProposed), "the 2 that are open are out at a venue"
    assert not only(floor.fill(out, "1.10012") + floor.act(), ev.HedgeProposed)
    assert floor.desk.state.hedge_pending["EURUSD"] == floor.desk.state.exposure["EURUSD"].uncovered == 0
