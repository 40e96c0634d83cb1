"""Traders of a busy day: clients who ask for every kind of order, name their positions, and change their minds."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from piggy.core import commands as cmd
from piggy.core.accounts import Account, PositionMode
from piggy.core.answers import OrderView
from piggy.core.desk import Desk
from piggy.core.orders import OrderTerms, OrderType, SelfTradePrevention, Side, TimeInForce
from piggy.core.position_commands import Which
from piggy.core.positions import Position
from piggy.messaging.identity import command_id_of
from piggy.simulator.config import SymbolConfig
from piggy.simulator.world.clients import SIZES, STEP, Client
from piggy.simulator.world.day import SYMBOLS
from piggy.simulator.world.redis_stub import RedisStub
from piggy.simulator.world.timeloop import SimulatedLoop

KINDS = (
    OrderType.MARKET,
    OrderType.MARKET,
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.TRAILING_STOP,
    OrderType.MARKET_IF_TOUCHED,
)
RESTING = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC)
AMENDED = (
    "quantity",
    "limit_price",
    "stop_price",
    "trailing_distance",
    "time_in_force",
    "expires_at_us",
    "take_profit",
    "stop_loss",
)
CLOSES, PAIRS, BRACKETS, GUARANTEED, ODD = 0.25, 0.15, 0.3, 0.2, 0.15
SWEEPS = 0.4
AWAY_POINTS, EXIT_POINTS, LIFE_S_MAX = 25, 60, 8.0


class Trader(Client):
    """One account's owner, who sees the desk as its clients do: prices, positions and nothing while it is away."""

    def __init__(
        self,
        *,
        account: Account,
        desk: Callable[[], Desk | None],
        loop: SimulatedLoop,
        tenant: str,
        redis: RedisStub,
        luck: random.Random,
    ) -> None:
        super().__init__(account_id=account.account_id, tenant=tenant, redis=redis, luck=luck)
        self._hedges = account.position_mode is PositionMode.HEDGING
        self._desk, self._loop = desk, loop
        self._pair = ""

    def _terms(self, number: int) -> OrderTerms:
        luck = self._luck
        if luck.random() < CLOSES and (position := self._position()) is not None:
            return self._close(position, number)
        symbol, side = luck.choice(SYMBOLS), luck.choice(tuple(Side))
        kind = luck.choice(KINDS)
        terms = OrderTerms(
            account_id=self._account_id,
            symbol=symbol.symbol,
            side=side,
            quantity=Decimal(luck.choice(SIZES)),
            type=kind,
            time_in_force=luck.choice(AT_ONCE if kind is OrderType.MARKET else RESTING),
            stp=luck.choice(tuple(SelfTradePrevention)),
            oco_group=self._in_a_pair(number),
            client_order_id=f"{self._account_id}-{number}",
        )
        terms = self._priced(terms, symbol)
        if terms.time_in_force is TimeInForce.GTD:
            life_us = int(luck.uniform(0.1, LIFE_S_MAX) * 1e6)
            terms = msgspec.structs.replace(terms, expires_at_us=self._loop.now_us + life_us)
        if luck.random() < BRACKETS:
            terms = self._with_exits(terms, symbol)
        return self._odd(terms) if luck.random() < ODD else terms

    def _in_a_pair(self, number: int) -> str | None:
        if self._pair:
            pair, self._pair = self._pair, ""
            return pair
        if self._luck.random() < PAIRS:
            self._pair = f"pair {number}"
            return self._pair
        return None

    def _priced(self, terms: OrderTerms, symbol: SymbolConfig) -> OrderTerms:
        """Put prices around the market, on either side of it."""
        kind, mid, luck = terms.type, self._mid(symbol), self._luck

        def near(points: int = AWAY_POINTS) -> Decimal:
            return mid + Decimal(luck.randint(-points, points)).scaleb(-symbol.digits)

        if kind is OrderType.LIMIT:
            # Some of those that rest are to deal at once.
            tif = luck.choice((TimeInForce.IOC, TimeInForce.FOK)) if luck.random() < 0.2 else terms.time_in_force
            return msgspec.structs.replace(terms, limit_price=near(), time_in_force=tif)
        if kind in (OrderType.STOP, OrderType.MARKET_IF_TOUCHED):
            return msgspec.structs.replace(terms, stop_price=near())
        if kind is OrderType.STOP_LIMIT:
            return msgspec.structs.replace(terms, stop_price=near(), limit_price=near())
        if kind is OrderType.TRAILING_STOP:
            distance = Decimal(luck.randint(1, AWAY_POINTS)).scaleb(-symbol.digits)
            return msgspec.structs.replace(terms, trailing_distance=distance)
        return terms

    def _with_exits(self, terms: OrderTerms, symbol: SymbolConfig) -> OrderTerms:
        price = terms.limit_price or terms.stop_price or self._mid(symbol)
        profit, loss = (Decimal(self._luck.randint(5, EXIT_POINTS)).scaleb(-symbol.digits) for _ in range(2))
        return msgspec.structs.replace(
            terms,
            take_profit=price + terms.side.sign * profit if self._luck.random() < 0.7 else None,
            stop_loss=price - terms.side.sign * loss,
            guaranteed_stop=self._luck.random() < GUARANTEED,
        )

    def _odd(self, terms: OrderTerms) -> OrderTerms:
        """Add one of the wishes that few have; the gate refuses those that do not go together."""
        tenth = max(STEP, (terms.quantity / 10).quantize(STEP))
        wishes = (
            {"post_only": True},
            {"reduce_only": True},
            {"all_or_none": True},
            {"display_quantity": tenth},
            {"minimum_quantity": tenth},
        )
        return msgspec.structs.replace(terms, **self._luck.choice(wishes))

    def _close(self, position: Position, number: int) -> OrderTerms:
        """Close a position, or a part of it; a hedging account names it."""
        part = self._luck.choice((Decimal(1), Decimal(1), Decimal("0.5"), Decimal(2)))
        return OrderTerms(
            account_id=self._account_id,
            symbol=position.symbol,
            side=position.side.contra,
            quantity=max(STEP, (position.lots * part).quantize(STEP)),
            time_in_force=TimeInForce.IOC,
            position_id=position.position_id if self._hedges else None,
            reduce_only=self._luck.random() < 0.3,
            client_order_id=f"{self._account_id}-{number}",
        )

    def _position(self) -> Position | None:
        desk = self._desk()
        held = sorted(desk.state.positions_of.get(self._account_id, ())) if desk is not None else []
        return desk.state.positions[self._luck.choice(held)] if desk is not None and held else None

    def _mid(self, symbol: SymbolConfig) -> Decimal:
        desk = self._desk()
        mark = desk.marks.get(symbol.symbol) if desk is not None else None
        return mark.bid if mark is not None else symbol.mid

    async def _amend(self, order: OrderView, number: int) -> None:
        """Change one thing of the order, or the exits of a position, or close many positions at once."""
        symbol = next(each for each in SYMBOLS if each.symbol == order.terms.symbol)
        changes = self._changes(order.terms, symbol)
        name = command_id_of("sim amend", self._account_id, str(number))
        if changes:
            await self.ask(name, cmd.AmendOrder(order_id=order.order_id, account_id=self._account_id, **changes))
        elif self._luck.random() < SWEEPS:
            await self.ask(name, self._sweep())
        elif (position := self._position()) is not None:
            exits = self._exits(position)
            await self.ask(name, cmd.SetExits(account_id=self._account_id, position_id=position.position_id, **exits))

    def _changes(self, terms: OrderTerms, symbol: SymbolConfig) -> dict[str, Any]:
        """Return what is to be another, by name; nothing where the order has none of what was drawn."""
        luck, moved = self._luck, self._moved(symbol, AWAY_POINTS)
        change = luck.choice((*AMENDED, "nothing"))
        if change == "quantity":
            return {change: terms.quantity + luck.choice((-1, 1, 10)) * STEP}
        if change == "time_in_force":
            return {change: luck.choice((TimeInForce.GTC, TimeInForce.DAY))}
        if change == "expires_at_us":
            return {change: self._loop.now_us + int(luck.uniform(-1.0, LIFE_S_MAX) * 1e6)}
        if change in ("take_profit", "stop_loss") and luck.random() < 0.3:
            return {change: None}
        now = getattr(terms, change, None)
        return {} if now is None else {change: now + moved}

    def _sweep(self) -> cmd.ClosePositions:
        symbol = self._luck.choice(("", *(each.symbol for each in SYMBOLS)))
        return cmd.ClosePositions(account_id=self._account_id, symbol=symbol, which=self._luck.choice(tuple(Which)))

    def _exits(self, position: Position) -> dict[str, Any]:
        luck, symbol = self._luck, next(each for each in SYMBOLS if each.symbol == position.symbol)
        mid, side = self._mid(symbol), position.side.sign
        near = Decimal(EXIT_POINTS).scaleb(-symbol.digits)
        exits = {
            "take_profit": mid + side * near,
            "stop_loss": mid - side * near,
            "trailing_distance": Decimal(luck.randint(1, AWAY_POINTS)).scaleb(-symbol.digits),
        }
        choices = (("take_profit",), ("stop_loss",), ("trailing_distance",), ("take_profit", "stop_loss"))
        chosen = {name: exits[name] if luck.random() < 0.8 else None for name in luck.choice(choices)}
        return chosen | ({"guaranteed_stop": luck.random() < 0.5} if luck.random() < GUARANTEED else {})

    def _moved(self, symbol: SymbolConfig, points: int) -> Decimal:
        return Decimal(self._luck.randint(-points, points)).scaleb(-symbol.digits)
