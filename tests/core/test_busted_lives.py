"""Whole lives taken back, fill by fill and in any order: what is left is what was paid in, to the last digit."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core import ledger
from piggy.core.accounts import Account, ClientCategory, PositionMode
from piggy.core.bust_commands import FillOnRecord
from piggy.core.commissions import Commission, CommissionBasis
from piggy.core.correction_events import OrderFillBusted
from piggy.core.desk import Desk
from piggy.core.instruments import AssetClass, Instrument
from piggy.core.orders import OrderTerms, Side
from piggy.core.profiles import PriceProfile
from piggy.core.swaps import SwapRates, SwapUnit
from piggy.engine.snapshot import digest
from tests.core.floor import CLEARED, Floor
from tests.core.test_busting import bust, correct, money, on_record

D = Decimal
HOUR_US = 3_600 * 1_000_000
PAID = {"USD": D(700), "EUR": D("60000.01"), "JPY": D(90_000), "KWD": D("20000.125")}
PRICES = {"EURUSD": D("1.10000"), "USDJPY": D("150.000"), "USDKWD": D("0.30700")}
PLANS = (
    Commission(rate=D("3.5"), minimum=D(5)),
    Commission(basis=CommissionBasis.PER_MILLION, rate=D(25)),
    Commission(basis=CommissionBasis.FIXED, rate=D(2)),
)


class Lives(Floor):
    """Accounts in four currencies, netting and hedging; wild prices, nights, busts and corrections."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(slippage_bps_max=D(10_000), margin_call_percent=D(0), stop_out_percent=D(0))
        self.chance, self.prices = random.Random(seed), dict(PRICES)
        for symbol in ("USDJPY", "USDKWD"):
            self.do(cmd.ConfigureInstrument(instrument=pair(symbol)))
        for currency, amount in PAID.items():
            mode = self.chance.choice(list(PositionMode))
            account = Account(
                account_id=currency, group="b", owner_id=currency, currency=currency, position_mode=mode,
                category=ClientCategory.PROFESSIONAL, category_evidence="e",
            )  # fmt: skip
            self.do(cmd.ConfigureAccount(account=account, clearance=CLEARED))
            self.do(cmd.CreditAccount(account_id=currency, amount=amount, reference=currency, kind="deposit"))
        self.do(cmd.ConfigurePricing(group="b", symbol="*", profile=PriceProfile(commission=PLANS[seed % 3])))
        for symbol in PRICES:
            unit = self.chance.choice(list(SwapUnit))
            rates = SwapRates(symbol=symbol, long=D("-7.3"), short=D("1.9"), unit=unit)
            self.do(cmd.ConfigureSwaps(rates=rates))

    def say(self) -> None:
        for symbol, price in self.prices.items():
            tick = self.desk.state.instruments[symbol].tick_size
            for _ in range(4):
                for venue in ("LP1", "LP2", "LP3"):
                    self.quote(venue, str(price), str(price + tick), "20", symbol=symbol)

    def live(self) -> None:
        """Trade, often the other way or a part; sleep over it; take something back or deal it anew."""
        chance = self.chance
        for symbol, price in self.prices.items():
            moved = price * (1 + D(chance.randint(-900, 900)) / 10_000)
            self.prices[symbol] = moved.quantize(PRICES[symbol])
        self.now_us += chance.choice([1, 1, 1, 20]) * HOUR_US
        self.say()
        self.act()
        self.say()
        if chance.random() < 0.2 and (standing := self.standing()):
            fill = chance.choice(standing)
            if chance.random() < 0.5:
                correct(self, fill, str(fill.price + 7 * self.desk.state.instruments[fill.symbol].tick_size))
            else:
                bust(self, fill)
            return
        account = self.desk.state.accounts[chance.choice(list(PAID))]
        held = [
            self.desk.state.positions[key] for key in sorted(self.desk.state.positions_of.get(account.account_id, ()))
        ]
        mine = chance.choice([*held, None])
        named = mine.position_id if mine and account.position_mode is PositionMode.HEDGING else None
        terms = OrderTerms(
            account_id=account.account_id,
            symbol=mine.symbol if mine else chance.choice(list(PRICES)),
            side=mine.side.contra if mine else chance.choice(list(Side)),
            quantity=mine.lots if mine and chance.random() < 0.6 else D(chance.randint(1, 30)) / 100,
            position_id=named,
        )
        self.do(cmd.PlaceOrder(terms=terms))

    def standing(self) -> list[FillOnRecord]:
        gone = {each.event.fill_id for each in self.log if isinstance(each.event, OrderFillBusted)}
        return [fill for fill in on_record(self) if fill.fill_id not in gone]

    def owed(self, account_id: str) -> Decimal:
        """Return what the books owe the client; every entry balances."""
        total = D(0)
        for each in self.log:
            lines = ledger.postings(event=each.event, currency=account_id)
            assert ledger.is_balanced(lines)
            total -= sum((line.amount for line in lines if line.owner == account_id), D(0))
        return total


def pair(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        asset_class=AssetClass.FX_MAJOR,
        base=symbol[:3],
        quote=symbol[3:],
        contract_size=D(100_000),
        price_digits=-int(PRICES[symbol].as_tuple().exponent),
        tick_size=D(1).scaleb(int(PRICES[symbol].as_tuple().exponent)),
        margin_percent=D("0.1"),
    )


@pytest.mark.parametrize("seed", range(6))
def test_inv_23_a_life_that_never_was_leaves_what_was_paid_in(seed: int) -> None:
    """Nights, commissions, conversions and what the house made good: all of it went back, and the books agree."""
    floor = Lives(seed=seed)
    floor.desk.keeping = floor.desk.keeping._replace(ended_us=10**18)
    for _ in range(40):
        floor.live()
    happened = [type(each.event) for each in floor.log]
    assert happened.count(ev.SwapCharged) > 5 and happened.count(ev.OrderFilled) > 10
    while standing := floor.standing():
        bust(floor, floor.chance.choice(standing))
    assert floor.desk.state.positions == {}
    for currency, amount in PAID.items():
        assert (money(floor, currency), floor.owed(currency)) == (amount, amount)
    again = Desk(tenant="acorn")
    for recorded in floor.log:
        again.apply(recorded=recorded)
    assert digest(state=again.state) == digest(state=floor.desk.state)
