"""Funds of an account right now: balance, floating profit, equity, used and free margin, margin level.

equity = balance + floating; free = equity - used - reserved (working orders count as filled, P-17);
level % = equity / used x 100, None while nothing is used. Maintenance margin is the share of each symbol's used margin
that its settings name: whoever falls to it is called, whatever the group's margin call level says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, Group
from piggy.core.building import bases
from piggy.core.conversion import Pairs, Touch, conversion
from piggy.core.instruments import Instrument, points_worth
from piggy.core.leverage_rules import ESMA_2018
from piggy.core.margin import MarginSettings
from piggy.core.money import ZERO
from piggy.core.positions import Position
from piggy.core.pricing import markup
from piggy.core.profiles import build_of, profiles_of
from piggy.core.state import State

ONE, HUNDRED = Decimal(1), Decimal(100)
HOUSE_RULES = ESMA_2018
ANY_SYMBOL = "*"
AS_EVER = MarginSettings()


class Funds(msgspec.Struct, frozen=True, kw_only=True):
    """All amounts in the account's currency; `priced` is False when a position has no price to mark it at."""

    balance: Decimal
    floating: Decimal
    used_margin: Decimal
    reserved: Decimal
    priced: bool
    maintenance: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        return self.balance + self.floating

    @property
    def free_margin(self) -> Decimal:
        return self.balance + self.floating - self.used_margin - self.reserved

    @property
    def level_percent(self) -> Decimal | None:
        return self.equity / self.used_margin * HUNDRED if self.used_margin > 0 else None


def funds_of(*, state: State, account_id: str, marks: Mapping[str, Touch], pairs: Pairs) -> Funds:
    """Return what the account is worth at `marks`, each position marked where its owner could close it."""
    account = state.accounts[account_id]
    floating, priced = _floating(state, account, marks, pairs)
    used = state.used_margin.get(account_id, ZERO)
    return Funds(
        balance=state.balances.get(account_id, ZERO),
        floating=floating,
        used_margin=used,
        maintenance=maintenance_of(state=state, account=account, used=used),
        reserved=state.reserved.get(account_id, ZERO),
        priced=priced,
    )


def free_margin_of(*, state: State, account_id: str, marks: Mapping[str, Touch], pairs: Pairs) -> Decimal | None:
    """Return the free margin alone, as every order asks for it; None where a position has no price to mark it at."""
    floating, priced = _floating(state, state.accounts[account_id], marks, pairs)
    if not priced:
        return None
    used, reserved = state.used_margin.get(account_id, ZERO), state.reserved.get(account_id, ZERO)
    return state.balances.get(account_id, ZERO) + floating - used - reserved


def maintenance_of(*, state: State, account: Account, used: Decimal) -> Decimal:
    """Return the maintenance margin of what an account holds, `used` being its margin, in its currency."""
    if not state.margin_settings or not used:
        return used * AS_EVER.maintenance_percent / HUNDRED
    symbols = {state.positions[position_id].symbol for position_id in state.positions_of.get(account.account_id, ())}
    bound = [
        state.margins.get((account.account_id, symbol), ZERO)
        * settings_of(state=state, group=account.group, symbol=symbol).maintenance_percent
        for symbol in symbols
    ]
    return sum(bound, ZERO) / HUNDRED


def settings_of(*, state: State, group: str, symbol: str) -> MarginSettings:
    """Return a group's margin settings of a symbol: its own, those of '*', or none."""
    known = state.margin_settings
    return known.get((group, symbol)) or known.get((group, ANY_SYMBOL), AS_EVER)


def position_profit(*, state: State, position: Position, marks: Mapping[str, Touch], pairs: Pairs) -> Decimal | None:
    """Return a position's floating profit in its account's currency, None where it cannot be marked or converted."""
    account = state.accounts[position.account_id]
    return _profit(state, position, account, state.groups[account.group], marks, pairs)


def _floating(state: State, account: Account, marks: Mapping[str, Touch], pairs: Pairs) -> tuple[Decimal, bool]:
    """Return the profit of all positions that can be marked, and whether all can."""
    group, total, priced = state.groups[account.group], ZERO, True
    for position_id in state.positions_of.get(account.account_id, ()):
        profit = _profit(state, state.positions[position_id], account, group, marks, pairs)
        if profit is None:
            priced = False
        else:
            total += profit
    return total, priced


def _profit(
    state: State, position: Position, account: Account, group: Group, marks: Mapping[str, Touch], pairs: Pairs
) -> Decimal | None:
    mark = marks.get(position.symbol)
    if mark is None:
        return None
    instrument, quantity = state.instruments[position.symbol], position.quantity
    if state.profiles or group.bid_markup_points or group.ask_markup_points:
        close = _closing(state, position, group, instrument, mark)
    else:
        close = mark.bid if quantity > 0 else mark.ask
    profit = (quantity * close - position.cost) * instrument.contract_size
    if instrument.quote == account.currency:
        return profit
    rate = rate_of(
        state=state, source=instrument.quote, target=account.currency, gain=profit > 0, marks=marks, pairs=pairs
    )
    return None if rate is None else profit * rate


def closing_price(*, state: State, position: Position, marks: Mapping[str, Touch]) -> Decimal | None:
    """Return the price at which the position's owner could close it, markup included; None without a mark."""
    mark = marks.get(position.symbol)
    if mark is None:
        return None
    group = state.groups[state.accounts[position.account_id].group]
    return _closing(state, position, group, state.instruments[position.symbol], mark)


def _closing(state: State, position: Position, group: Group, instrument: Instrument, mark: Touch) -> Decimal:
    bid, ask, _ = mark
    is_long = position.quantity > 0
    if state.profiles:
        return _profiled(state, position, group, instrument, mark)
    if points := group.bid_markup_points if is_long else group.ask_markup_points:
        over = points_worth(points, instrument.price_digits)
    else:
        return bid if is_long else ask
    return bid - over if is_long else ask + over


def _profiled(state: State, position: Position, group: Group, instrument: Instrument, mark: Touch) -> Decimal:
    profiles, seen = profiles_of(profiles=state.profiles, group=group.name, symbol=position.symbol), None
    if (build := build_of(profiles=profiles)) is not None:
        mark, seen = bases(touch=mark, build=build, tick=instrument.tick_size)
    over = markup(
        group=group,
        profiles=profiles,
        instrument=instrument,
        side=position.side.contra,
        lots=position.lots,
        touch=mark,
        at_us=mark.at_us,
        firm=True,
        seen=seen,
    )
    over = over or ZERO
    return mark.bid - over if position.quantity > 0 else mark.ask + over


def rate_of(
    *, state: State, source: str, target: str, gain: bool, marks: Mapping[str, Touch], pairs: Pairs
) -> Decimal | None:
    """Return the conversion rate off the marks, else the last one that a fill was booked at, else None."""
    if source == target:
        return ONE
    found = conversion(source=source, target=target, gain=gain, pairs=pairs, quotes=marks.get)
    return found.rate if found else state.rates.get((source, target))


def margin_percent_min(*, instrument: Instrument, account: Account) -> Decimal:
    """Return the least percent that the regulator lets this client category be charged, 0 where it has no cap."""
    return HOUSE_RULES.of(account.category).margin_percent.get(instrument.asset_class, ZERO)


def stop_out_percent(*, account: Account, group: Group) -> Decimal:
    """Return the level at which an account is closed out: its group's, never below what its category's rules say."""
    least = HOUSE_RULES.of(account.category).closeout_percent
    return group.stop_out_percent if least is None else max(least, group.stop_out_percent)


def is_protected(*, account: Account, group: Group) -> bool:
    """Return whether the house bears a negative balance: by the rules of the client's category, else by contract."""
    return HOUSE_RULES.of(account.category).negative_balance_protection or group.negative_balance_protection
