"""A moment: all that a desk knows at one instant, handed to the rules that decide. Reading it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from piggy.core.accounts import Account, Group
from piggy.core.conversion import Pairs, Touch
from piggy.core.funds import Funds, funds_of, rate_of
from piggy.core.instruments import Instrument
from piggy.core.market import AttributedLevel
from piggy.core.orders import Side
from piggy.core.quotes import Market
from piggy.core.state import State


@dataclass(frozen=True, slots=True)
class Moment:
    """`marks` are the last best bid and ask of every symbol, kept when stale too, to value what is held."""

    state: State
    market: Market
    marks: Mapping[str, Touch]
    pairs: Pairs
    now_us: int

    def account(self, account_id: str) -> Account:
        return self.state.accounts[account_id]

    def group_of(self, account_id: str) -> Group:
        return self.state.groups[self.state.accounts[account_id].group]

    def instrument(self, symbol: str) -> Instrument:
        return self.state.instruments[symbol]

    def levels(self, *, symbol: str, side: Side) -> tuple[AttributedLevel, ...]:
        """Return the live consolidated levels that somebody taking `side` would meet, best first."""
        bids, asks = self.market.depth(symbol=symbol, now_us=self.now_us)
        return asks if side is Side.BUY else bids

    def funds(self, account_id: str) -> Funds:
        return funds_of(state=self.state, account_id=account_id, marks=self.marks, pairs=self.pairs)

    def rate(self, *, source: str, target: str, gain: bool) -> Decimal | None:
        return rate_of(state=self.state, source=source, target=target, gain=gain, marks=self.marks, pairs=self.pairs)
