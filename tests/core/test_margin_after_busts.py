"""What an account binds in a symbol is as if what was taken back never was: at the rate of its own last fill."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account, PositionMode
from piggy.core.correction_events import OrderFillBusted
from piggy.core.margin import MarginSettings, NewsWindow
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import CLEARED, SECOND_US, START_US, only
from tests.core.test_busting import bust, on_record
from tests.core.test_stopout_converted import Golden

D = Decimal
# A lot of gold at 2,000 is worth 200,000 USD, of which 5 % are bound: 10,000 USD, at 1.25 to the euro 8,000 EUR.
AT_PAR, AT_125 = 10_000, 8_000


def golden() -> Golden:
    floor = Golden()
    for name in ("client", "other"):
        floor.do(cmd.CreditAccount(account_id=name, amount=D(100_000), reference=f"{name} more"))
    return floor


@pytest.mark.parametrize(("gone", "bound"), [(0, AT_125), (1, AT_PAR)])
def test_inv_23_what_is_left_binds_at_the_rate_of_the_last_fill_that_stands(gone: int, bound: int) -> None:
    floor = golden()
    floor.prices("2000", "1.0000")
    floor.buy("client", "1")
    floor.prices("2000", "1.2500")
    floor.buy("client", "1")
    assert floor.desk.state.used_margin["client"] == 2 * AT_125
    (event,) = only(bust(floor, on_record(floor)[gone]), OrderFillBusted)
    assert event.symbol_margin == floor.desk.state.used_margin["client"] == bound


def test_inv_23_what_nobody_holds_any_more_binds_nothing() -> None:
    floor = golden()
    floor.prices("2000", "1.0000")
    floor.buy("client", "1")
    (event,) = only(bust(floor, *on_record(floor)), OrderFillBusted)
    assert event.symbol_margin == floor.desk.state.used_margin["client"] == 0


@pytest.mark.parametrize("others_deal", [True, False])
def test_margin_after_a_news_window_is_that_of_ones_own_last_fill_whoever_dealt_since(others_deal: bool) -> None:
    floor = golden()
    window = NewsWindow(symbol="XAUUSD", from_us=START_US, until_us=START_US + 60 * SECOND_US, percent=D(10))
    floor.do(cmd.ConfigureMargin(group="b", symbol="XAUUSD", settings=MarginSettings(news=(window,))))
    floor.prices("2000", "1.0000")
    floor.buy("client", "1")
    assert floor.desk.state.used_margin["client"] == 2 * AT_PAR
    floor.prices("2000", "1.2500")
    if others_deal:
        floor.buy("other", "0.01")
    floor.now_us = window.until_us
    changed = {event.account_id: event.margin for event in only(floor.act(), ev.SymbolMarginChanged)}
    assert changed.pop("client") == AT_PAR and changed == ({"other": AT_125 / 100} if others_deal else {})


def test_a_bust_of_a_hedge_has_the_news_window_end_for_what_it_lays_bare() -> None:
    """Two legs bind nothing here; the one that is left pays for the window, and no longer than that lasts."""
    floor = golden()
    account = Account(account_id="both", group="b", owner_id="both", currency="EUR", position_mode=PositionMode.HEDGING)
    floor.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
    floor.do(cmd.CreditAccount(account_id="both", amount=D(100_000), reference="both"))
    window = NewsWindow(symbol="XAUUSD", from_us=START_US, until_us=START_US + 60 * SECOND_US, percent=D(10))
    settings = MarginSettings(news=(window,), hedged_ratio=D(0))
    floor.do(cmd.ConfigureMargin(group="b", symbol="XAUUSD", settings=settings))
    bound = []
    for side in (Side.BUY, Side.SELL):
        floor.prices("2000", "1.0000")
        terms = OrderTerms(account_id="both", symbol="XAUUSD", side=side, quantity=D(1))
        assert only(floor.do(cmd.PlaceOrder(terms=terms)), ev.OrderFilled)
        bound.append(floor.desk.state.used_margin["both"])
    bust(floor, on_record(floor)[-1])
    bound.append(floor.desk.state.used_margin["both"])
    floor.now_us = window.until_us
    floor.act()
    assert [*bound, floor.desk.state.used_margin["both"]] == [2 * AT_PAR, 0, 2 * AT_PAR, AT_PAR]
