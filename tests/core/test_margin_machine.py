"""Margin under random trading: what is bound, what a new order needs, who is stopped out, against a naive twin.

The twin keeps its own positions, from fills alone, and knows margin as a sentence: net lots pay the percent, hedged
lots a share of it, and what made the net larger within a news window pays the window's percent until that ends.
MARGIN_RUNS sets how many lives of 30 steps there are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal as D

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from piggy.core import commands as cmd
from piggy.core import events as ev
from piggy.core.limits import HOUSE_LIMITS
from piggy.core.margin import MarginSettings, NewsWindow
from piggy.core.orders import OrderTerms, OrderType, Side
from tests.core.floor import SECOND_US, START_US, Floor

ACCOUNTS = st.sampled_from(["netting", "hedging"])
LOTS = st.integers(1, 40).map(lambda n: D(n) / 10)
CONTRACT, PERCENT, NEWS_PERCENT = 100_000, D("3.33"), D(10)
NEWS_FROM_US, NEWS_UNTIL_US = START_US + 20 * SECOND_US, START_US + 90 * SECOND_US
CASH = 20_000
NEAR = D("0.000001")


@dataclass
class Held:
    """A position as the twin knows it: signed lots, what they cost, and of them those opened in the news."""

    lots: D
    cost: D
    news: D = D(0)


@dataclass
class Twin:
    """One account; `hedged` is the share that hedged lots pay."""

    hedged: D
    positions: dict[str, Held] = field(default_factory=dict)
    cash: D = D(CASH)

    def fill(self, event: ev.OrderFilled, *, at_us: int) -> None:
        net = sum((held.lots for held in self.positions.values()), D(0))
        signed = event.side.sign * event.quantity
        held = self.positions.setdefault(event.position_id, Held(D(0), D(0)))
        if held.lots * signed < 0:
            closed = min(abs(held.lots), abs(signed))
            share = closed / abs(held.lots)
            self.cash -= (event.side.sign * closed * event.price + held.cost * share) * CONTRACT
            held.cost -= held.cost * share
            held.news = max(D(0), held.news - closed)
            held.lots += event.side.sign * closed
            signed -= event.side.sign * closed
        held.lots += signed
        held.cost += signed * event.price
        if NEWS_FROM_US <= at_us < NEWS_UNTIL_US:
            after = net + event.side.sign * event.quantity
            grown = abs(after) if net * after < 0 else max(D(0), abs(after) - abs(net))
            held.news += min(grown, abs(signed))
        if not held.lots:
            del self.positions[event.position_id]

    def margin(self, *, at_us: int, price: D | None = None, buys: D = D(0), sells: D = D(0), more_news: D = D(0)) -> D:
        """What the account binds, and with orders as filled the dearer way; each lot is worth `price`."""
        held = self.positions.values()
        if price is None:
            price = sum((abs(each.cost) for each in held), D(0)) / sum(
                (abs(each.lots) for each in held), D(1) * (not held)
            )
        long = sum((each.lots for each in held if each.lots > 0), D(0))
        short = -sum((each.lots for each in held if each.lots < 0), D(0))
        news = (sum((each.news for each in held), D(0)) if at_us < NEWS_UNTIL_US else D(0)) + more_news

        def of(bought: D, sold: D) -> D:
            net, both = abs(bought - sold), min(bought, sold)
            lots = (net + both * self.hedged) * PERCENT + min(news, net) * (NEWS_PERCENT - PERCENT)
            return lots * CONTRACT * price / 100

        return max(of(long, short), of(long + buys, short), of(long, short + sells))

    def floating(self, *, bid: D, ask: D) -> D:
        return sum(
            ((each.lots * (bid if each.lots > 0 else ask) - each.cost) * CONTRACT for each in self.positions.values()),
            D(0),
        )


class MarginMachine(RuleBasedStateMachine):
    """Two accounts, one netting and one hedging, trade by market and limit; prices and time move."""

    @initialize(hedged=st.sampled_from([D(0), D("0.5"), D(2)]))
    def the_floor_opens(self, hedged: D) -> None:
        self.floor = Floor(bid_markup_points=0, ask_markup_points=0, internal_cross=False)
        for account_id in ("netting", "hedging"):
            self.floor.open_account(account_id, group="b", amount=CASH, hedging=account_id == "hedging")
        limits = msgspec.structs.replace(HOUSE_LIMITS, window_value_max=D(10**9), executions_max=10**6)
        self.floor.do(cmd.ConfigureLimits(group="b", limits=limits))
        news = NewsWindow(symbol="EURUSD", from_us=NEWS_FROM_US, until_us=NEWS_UNTIL_US, percent=NEWS_PERCENT)
        self.floor.do(
            cmd.ConfigureMargin(group="b", symbol="EURUSD", settings=MarginSettings(hedged_ratio=hedged, news=(news,)))
        )
        self.twins = {"netting": Twin(D(0)), "hedging": Twin(hedged)}
        self.taken = len(self.floor.log)
        self.price = D("1.10000")
        self.quote()

    def quote(self, times: int = 1) -> None:
        """Deep books, so that all fills of a moment are at one price; a jump is believed when it is said again."""
        for _ in range(times):
            for venue in ("LP1", "LP2", "LP3"):
                self.floor.quote(venue, str(self.price), str(self.price + D("0.00010")), "500")

    def catch_up(self) -> None:
        for recorded in self.floor.log[self.taken :]:
            event = recorded.event
            if isinstance(event, ev.OrderFilled):
                self.twins[event.account_id].fill(event, at_us=recorded.recorded_at_us)
            elif isinstance(event, ev.NegativeBalanceWrittenOff):
                self.twins[event.account_id].cash += event.amount
        self.taken = len(self.floor.log)

    def ask(self, account_id: str, side: Side, lots: D, **terms: object) -> None:
        """Place an order, and hold what the gate says of its margin against the twin's."""
        self.floor.now_us += 2 * SECOND_US
        self.quote()
        self.floor.act()
        self.catch_up()
        now_us, twin = self.floor.now_us, self.twins[account_id]
        working = [each for each in self.orders(account_id) if each.terms.side is side]
        others = sum((each.leaves for each in working), D(0))
        price = terms.get("limit_price") or (self.price + D("0.00010") if side is Side.BUY else self.price)
        net = sum((each.lots for each in twin.positions.values()), D(0))
        after = net + side.sign * lots
        grown = abs(after) if net * after < 0 else max(D(0), abs(after) - abs(net))
        news = grown if NEWS_FROM_US <= now_us < NEWS_UNTIL_US else D(0)
        assert isinstance(price, D)
        ways = {"buys" if side is Side.BUY else "sells": others}
        more = {"buys" if side is Side.BUY else "sells": others + lots}
        before = twin.margin(at_us=now_us, price=price, **ways)  # type: ignore[arg-type]
        needed = max(D(0), twin.margin(at_us=now_us, price=price, more_news=news, **more) - before)  # type: ignore[arg-type]
        equity, used = self.worth(account_id)
        free = equity - used - self.floor.desk.state.reserved.get(account_id, D(0))
        asked = OrderTerms(account_id=account_id, symbol="EURUSD", side=side, quantity=lots, **terms)  # type: ignore[arg-type]
        first = self.floor.do(cmd.PlaceOrder(terms=asked))[0]
        closing = -net if account_id == "netting" else D(0)
        reduces = closing * side.sign > 0 and lots + others <= abs(closing)
        if isinstance(first, ev.OrderDenied):
            assert {check.code for check in first.verdict.reasons} == {"P-17"} and not reduces
            assert needed > free - self.cents
        else:
            assert isinstance(first, ev.OrderAccepted)
            assert reduces or needed <= free + self.cents
            assert abs(first.margin_reserved - needed) <= D("0.005") + NEAR
        self.catch_up()

    def orders(self, account_id: str) -> list[object]:
        state = self.floor.desk.state
        return [state.orders[order_id] for order_id in sorted(state.open_orders.get(account_id, ()))]

    @rule(account_id=ACCOUNTS, side=st.sampled_from(list(Side)), lots=LOTS)
    def a_market_order(self, account_id: str, side: Side, lots: D) -> None:
        self.ask(account_id, side, lots)

    @rule(account_id=ACCOUNTS, side=st.sampled_from(list(Side)), lots=LOTS, points=st.integers(5, 400))
    def a_limit_that_rests(self, account_id: str, side: Side, lots: D, points: int) -> None:
        price = self.price - side.sign * D(points) / 100_000
        self.ask(account_id, side, lots, type=OrderType.LIMIT, limit_price=price)

    @rule(data=st.data())
    def a_position_is_closed_in_part(self, data: st.DataObject) -> None:
        held = sorted(self.twins["hedging"].positions)
        if not held:
            return
        name = data.draw(st.sampled_from(held))
        lots = self.twins["hedging"].positions[name].lots
        # A stop-out may have left less than a tenth.
        part = min(abs(lots), data.draw(st.integers(1, max(1, int(abs(lots) * 10)))) / D(10))
        side = Side.SELL if lots > 0 else Side.BUY
        self.floor.now_us += 2 * SECOND_US
        self.quote()
        terms = OrderTerms(account_id="hedging", symbol="EURUSD", side=side, quantity=part, position_id=name)
        self.floor.do(cmd.PlaceOrder(terms=terms))
        self.catch_up()
        # Half of a hedge gone, the other half binds more than before: the account may be due for its stop-out.
        self.settle()

    @rule(data=st.data())
    def an_order_is_cancelled(self, data: st.DataObject) -> None:
        open_ = [each for account_id in self.twins for each in self.orders(account_id)]
        if open_:
            order = data.draw(st.sampled_from(open_))
            self.floor.do(
                cmd.CancelOrder(order_id=order.order_id, account_id=order.terms.account_id)  # type: ignore[attr-defined]
            )

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.floor.now_us += seconds * SECOND_US
        self.quote()
        self.settle()

    @rule(points=st.integers(-6_000, 6_000))
    def prices_move(self, points: int) -> None:
        self.price = max(D("0.50000"), self.price + D(points) / 100_000)
        self.quote(times=5)
        self.settle()

    def settle(self) -> None:
        """Let the desk act; whoever it stops out was below the level, and its largest loser went first."""
        at = len(self.floor.log)
        # Fills of touched orders and what follows from them come in the same act, so the twin looks step by step.
        self.floor.act()
        for place, recorded in enumerate(self.floor.log[at:], at):
            if not isinstance(recorded.event, ev.StoppedOut):
                continue
            self.catch_up_to(place)
            event = recorded.event
            assert event.level_percent < 50
            losses = self.losses(event.account_id)
            assert losses[event.positions[0]] == min(losses.values())
            equity, used = self.worth(event.account_id)
            assert abs(equity - event.equity) < self.cents and abs(used - event.used_margin) < NEAR
        self.catch_up()

    def catch_up_to(self, place: int) -> None:
        rest, self.floor.log = self.floor.log[place:], self.floor.log[:place]
        self.catch_up()
        self.floor.log += rest

    def losses(self, account_id: str) -> dict[str, D]:
        ask = self.price + D("0.00010")
        return {
            name: (held.lots * (self.price if held.lots > 0 else ask) - held.cost) * CONTRACT
            for name, held in self.twins[account_id].positions.items()
        }

    def worth(self, account_id: str) -> tuple[D, D]:
        """Return equity and used margin as the twin has them."""
        twin = self.twins[account_id]
        used = twin.margin(at_us=self.floor.now_us) if twin.positions else D(0)
        return twin.cash + twin.floating(bid=self.price, ask=self.price + D("0.00010")), used

    @property
    def cents(self) -> D:
        """The desk rounds every profit to a cent, the twin none."""
        return D("0.01") * len(self.floor.log)

    @invariant()
    def what_is_bound_is_what_the_twin_says(self) -> None:
        if not hasattr(self, "floor"):
            return
        self.floor.act()
        self.catch_up()
        state = self.floor.desk.state
        for account_id, twin in self.twins.items():
            assert {name: held.lots for name, held in twin.positions.items()} == {
                name: position.quantity
                for name, position in state.positions.items()
                if position.account_id == account_id
            }
            used = twin.margin(at_us=self.floor.now_us) if twin.positions else D(0)
            assert abs(state.used_margin.get(account_id, D(0)) - used) < NEAR
            assert abs(state.balances[account_id] - twin.cash) < self.cents

    @invariant()
    def nobody_is_left_below_the_level(self) -> None:
        if not hasattr(self, "floor"):
            return
        for account_id in self.twins:
            equity, used = self.worth(account_id)
            assert equity + self.cents >= used / 2 or not used
            assert self.floor.desk.state.balances[account_id] >= 0 or self.twins[account_id].positions


RUNS = int(os.environ.get("MARGIN_RUNS", "40"))
MarginMachine.TestCase.settings = settings(max_examples=RUNS, stateful_step_count=30, deadline=None)
TestMargin = MarginMachine.TestCase
