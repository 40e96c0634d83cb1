"""Options on the desk: the model's mark where no venue quotes one, and the stress margin of each netting set.

A netting set is an account's options on one underlying together with its position in the underlying. The underlying
pays its own margin in any case; what the stress asks beyond that is the options' margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from piggy.core.conversion import Pairs, Touch
from piggy.core.funds import rate_of
from piggy.core.instruments import Instrument, OptionKind, OptionTerms
from piggy.core.margining import positions_in
from piggy.core.money import ZERO
from piggy.core.options import black_scholes, decimal_price
from piggy.core.state import State
from piggy.core.stress import NettingSet, OptionLine, OptionModel, stress_margin

YEAR_US = Decimal(365 * 86_400 * 1_000_000)
TWO = Decimal(2)
Marks = Mapping[str, Touch]


def model_mark(*, state: State, instrument: Instrument, marks: Marks) -> Touch | None:
    """Return the model's price of an option as both sides of a mark, as old as its underlying's; None without one."""
    option = instrument.option
    assert option is not None, "only an option has a model"
    model, spot = state.option_models.get(option.underlying), marks.get(option.underlying)
    if model is None or spot is None:
        return None
    value = black_scholes(
        call=option.kind is OptionKind.CALL,
        spot=str(_mid(spot)),
        strike=str(option.strike),
        years=str(_years(option, spot.at_us)),
        rate=str(model.rate),
        volatility=str(model.volatility),
        carry=str(model.carry),
    )
    price = decimal_price(price=value.price, tick=instrument.tick_size)
    return Touch(price, price, spot.at_us)


def option_margin(
    *, state: State, account_id: str, marks: Marks, pairs: Pairs, extra: tuple[str, Decimal] | None = None
) -> Decimal | None:
    """Return what the account's options bind beyond their underlyings, in its currency; None without price or rate.

    `extra` is (symbol, signed lots) of an option as if it were held too.
    """
    lots: dict[str, Decimal] = {}
    for position_id in state.positions_of.get(account_id, ()):
        position = state.positions[position_id]
        lots[position.symbol] = lots.get(position.symbol, ZERO) + position.quantity
    if extra:
        lots[extra[0]] = lots.get(extra[0], ZERO) + extra[1]
    sets: dict[str, list[tuple[str, OptionTerms, Decimal]]] = {}
    for symbol, quantity in sorted(lots.items()):
        option = state.instruments[symbol].option
        if option is not None and quantity and option.underlying in state.option_models:
            sets.setdefault(option.underlying, []).append((symbol, option, quantity))
    total = ZERO
    for underlying, options in sets.items():
        required = _required(
            state=state, account_id=account_id, underlying=underlying, options=options, marks=marks, pairs=pairs
        )
        if required is None:
            return None
        total += max(ZERO, required - state.margins.get((account_id, underlying), ZERO))
    return total


def _required(
    *,
    state: State,
    account_id: str,
    underlying: str,
    options: list[tuple[str, OptionTerms, Decimal]],
    marks: Marks,
    pairs: Pairs,
) -> Decimal | None:
    model, instrument, touch = state.option_models[underlying], state.instruments[underlying], marks.get(underlying)
    currency = state.accounts[account_id].currency
    rate = rate_of(state=state, source=instrument.quote, target=currency, gain=False, marks=marks, pairs=pairs)
    if touch is None or rate is None:
        return None
    held = positions_in(state=state, account_id=account_id, symbol=underlying)
    netting_set = NettingSet(
        spot=_mid(touch),
        rate=model.rate,
        carry=model.carry,
        options=tuple(_line(state, model, touch, *option) for option in options),
        units=sum((position.quantity for position in held), ZERO) * instrument.contract_size,
    )
    return stress_margin(netting_set=netting_set, terms=model.stress, currency=instrument.quote).required * rate


def _line(
    state: State, model: OptionModel, touch: Touch, symbol: str, option: OptionTerms, lots: Decimal
) -> OptionLine:
    return OptionLine(
        symbol=symbol,
        quantity=lots,
        contract_size=state.instruments[symbol].contract_size,
        call=option.kind is OptionKind.CALL,
        strike=option.strike,
        years=_years(option, touch.at_us),
        volatility=model.volatility,
    )


def _mid(touch: Touch) -> Decimal:
    return (touch.bid + touch.ask) / TWO


def _years(option: OptionTerms, at_us: int) -> Decimal:
    return Decimal(max(0, option.expires_at_us - at_us)) / YEAR_US
