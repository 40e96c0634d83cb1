"""Stopping out an account in another currency: its level is that of the margin it was told, whoever dealt since."""

from __future__ import annotations

from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.accounts import Account
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.orders import OrderTerms, Side
from tests.core.floor import CLEARED, SECOND_US, Floor, only

D = Decimal
XAUUSD = Instrument(
    symbol="XAUUSD",
    asset_class=AssetClass.GOLD,
    base="XAU",
    quote="USD",
    contract_size=D(100),
    price_digits=2,
    tick_size=D("0.01"),
    margin_percent=D(5),
)


class Golden(Floor):
    """Two accounts of 12,000 EUR on one floor, and gold in dollars."""

    def __init__(self) -> None:
        super().__init__(bid_markup_points=0, ask_markup_points=0)
        self.do(cmd.ConfigureInstrument(instrument=XAUUSD))
        for name in ("client", "other"):
            account = Account(account_id=name, group="b", owner_id=name, currency="EUR")
            self.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
            self.do(cmd.CreditAccount(account_id=name, amount=D(12_000), reference=name))

    def prices(self, gold: str, euro: str) -> None:
        self.now_us += 2 * SECOND_US
        for _ in range(5):  # A jump is believed only when it is said again.
            for venue in ("LP1", "LP2", "LP3"):
                self.quote(venue, gold, gold, "50", symbol="XAUUSD")
                self.quote(venue, euro, euro, "50")

    def buy(self, account_id: str, lots: str) -> None:
        terms = OrderTerms(account_id=account_id, symbol="XAUUSD", side=Side.BUY, quantity=D(lots))
        (fill,) = only(self.do(cmd.PlaceOrder(terms=terms)), ev.OrderFilled)
        assert fill.account_id == account_id


@pytest.mark.parametrize("others_deal", [True, False])
def test_g08_the_level_is_that_of_the_margin_it_binds_whoever_dealt_at_another_rate(others_deal: bool) -> None:
    """One lot at 2,000 binds 10,000 EUR; the euro rises by a quarter, and only then somebody else deals in gold."""
    floor = Golden()
    floor.prices("2000", "1.0000")
    floor.buy("client", "1")
    floor.prices("2000", "1.2500")
    if others_deal:
        floor.buy("other", "0.01")
    assert floor.desk.state.used_margin["client"] == 10_000
    floor.prices("1912.50", "1.2500")  # 12,000 less 8,750 USD at 0.8: exactly half.
    assert only(floor.act(), ev.StoppedOut) == []
    floor.prices("1912.49", "1.2500")
    preview = floor.desk.stop_out_preview(account_id="client", now_us=floor.now_us)
    assert preview is not None and (preview.before.used, preview.before.equity) == (10_000, D("4999.20"))
    events = floor.act()
    (stopped,) = only(events, ev.StoppedOut)
    assert stopped.equity == D("4999.2") and stopped.level_percent == D("49.992")
    (fill,) = only(events, ev.OrderFilled)
    assert [rung.quantity for rung in preview.rungs] == [fill.quantity]
    assert preview.after.used == fill.symbol_margin == floor.desk.state.used_margin["client"]


def test_what_the_euro_made_dearer_is_not_closed_further_than_the_close_itself_binds() -> None:
    """The euro falls by a fifth: what is left after a close binds at today's rate, and so the ladder reckons."""
    floor = Golden()
    floor.prices("2000", "1.2500")
    floor.buy("client", "1")
    floor.prices("2000", "1.0000")
    floor.buy("other", "0.01")
    assert floor.desk.state.used_margin["client"] == 8_000
    floor.prices("1919.99", "1.0000")
    (stopped,) = only(floor.act(), ev.StoppedOut)
    funds = floor.desk.moment(now_us=floor.now_us).funds("client")
    assert stopped.level_percent == D("49.9875") and funds.level_percent is not None
    # 12,000 less 8,001 is half of 80 of 100 hundredths, each of which binds 100 now.
    held = floor.desk.state.positions["client:XAUUSD"]
    assert 50 <= funds.level_percent < 51 and held.lots == D("0.79")
