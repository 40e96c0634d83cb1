"""European options: Black-Scholes-Merton and Black-76 prices, greeks and implied volatility, over whole arrays.

A model works in floating point; money does not. What leaves here for an account becomes Decimal in `decimal_price`.
Every argument may be a number or an array and they broadcast: `spot`, `forward` and `strike` are prices, `years` is
time to expiry, `rate`, `carry` (dividend or base-currency rate) and `volatility` are yearly, the rates continuous.
Greeks are per unit: theta per year, vega per 1.00 of volatility, rho per 1.00 of rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from math import pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
VOLATILITY_MIN, VOLATILITY_MAX = np.float64("1e-6"), np.float64("20")
SOLVER_ROUNDS = 100
SOLVER_PRECISION = np.float64("1e-12")
_FAR = np.float64(37)
_STEEP = np.float64(600)  # Far beyond, the exponential and what it multiplies leave floating point.
_HALF = np.float64("0.5")
_TINY = np.float64("1e-300")
_ROOT_2 = np.sqrt(np.float64(2))
_ROOT_2_PI = np.sqrt(np.float64(2 * pi))


@dataclass(frozen=True, slots=True)
class Greeks:
    """Price and first and second order sensitivities, arrays of one shape."""

    price: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats


def black_scholes(
    *,
    call: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    volatility: ArrayLike,
    carry: ArrayLike = 0,
) -> Greeks:
    """Return price and greeks (Merton 1973 with continuous carry); at expiry the price is what exercise brings."""
    s, k, t, r, v, q = (np.asarray(part, dtype=np.float64) for part in (spot, strike, years, rate, volatility, carry))
    sign = np.where(np.asarray(call, dtype=bool), 1, -1)
    t = np.maximum(t, 0)
    deviation = np.maximum(v * np.sqrt(t), _TINY)
    discount, grown = np.exp(np.clip(-r * t, -_STEEP, _STEEP)), np.exp(np.clip(-q * t, -_STEEP, _STEEP))
    d1 = (np.log(s / k) + (r - q) * t) / deviation + _HALF * deviation
    d2 = d1 - deviation
    n1, n2 = normal_cdf(values=sign * d1), normal_cdf(values=sign * d2)
    near = np.clip(d1, -_FAR, _FAR)  # Beyond, the density is nothing anyway, and its square would overflow.
    density = np.exp(-_HALF * near * near) / _ROOT_2_PI
    spot_part, strike_part = s * grown, k * discount
    live = (deviation > _TINY) & (s > 0)
    # Where nothing can happen any more, gamma, vega and the decay of time value are nothing.
    gamma = np.where(live, grown * density / (s * deviation), 0)
    vega = np.where(live, spot_part * density * np.sqrt(t), 0)
    decay = np.where(live, spot_part * density * v / (2 * np.maximum(np.sqrt(t), _TINY)), 0)
    return Greeks(
        # Far out of the money its last digit may fall below nothing; and there is no minus nothing to pay.
        price=np.maximum(sign * (spot_part * n1 - strike_part * n2), 0) + 0,
        delta=sign * grown * n1,
        gamma=gamma,
        theta=-decay - sign * (r * strike_part * n2 - q * spot_part * n1),
        vega=vega,
        rho=sign * strike_part * t * n2,
    )


def black_76(
    *, call: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, volatility: ArrayLike
) -> Greeks:
    """Return price and greeks of an option on a forward: delta and gamma by the forward, rho with the forward held."""
    greeks = black_scholes(
        call=call, spot=forward, strike=strike, years=years, rate=rate, volatility=volatility, carry=rate
    )
    t = np.maximum(np.asarray(years, dtype=np.float64), 0)
    return Greeks(
        price=greeks.price,
        delta=greeks.delta,
        gamma=greeks.gamma,
        theta=greeks.theta,
        vega=greeks.vega,
        rho=-t * greeks.price,
    )


def implied_volatility(
    *,
    price: ArrayLike,
    call: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    carry: ArrayLike = 0,
) -> Floats:
    """Return the volatility that gives `price`; NaN where none does (under intrinsic value, over the bound, expired).

    Newton's steps inside a bracket that bisection keeps: it cannot leave, and each round narrows it or converges.
    """
    target, s, k, t, r, q = np.broadcast_arrays(
        *(np.asarray(part, dtype=np.float64) for part in (price, spot, strike, years, rate, carry))
    )
    is_call = np.broadcast_to(np.asarray(call, dtype=bool), target.shape)

    def at(volatility: Floats) -> Greeks:
        return black_scholes(call=is_call, spot=s, strike=k, years=t, rate=r, volatility=volatility, carry=q)

    low = np.full(target.shape, VOLATILITY_MIN)
    high = np.full(target.shape, VOLATILITY_MAX)
    precision = SOLVER_PRECISION * np.maximum(1, s)
    solvable = (t > 0) & (target >= at(low).price - precision) & (target <= at(high).price)
    guess = np.clip(np.sqrt(2 * np.abs(np.log(s / k) + (r - q) * t) / np.maximum(t, _TINY)), low * 100, high / 4)
    for _ in range(SOLVER_ROUNDS):
        greeks = at(guess)
        miss = greeks.price - target
        low, high = np.where(miss < 0, guess, low), np.where(miss < 0, high, guess)
        newton = guess - miss / np.maximum(greeks.vega, _TINY)
        inside = (newton > low) & (newton < high)
        following = np.where(inside, newton, _HALF * (low + high))
        done = np.abs(following - guess) <= SOLVER_PRECISION
        guess = np.where(done, guess, following)
        if bool(np.all(done | ~solvable)):
            break
    return np.where(solvable, guess, np.nan)


def decimal_price(*, price: ArrayLike, tick: Decimal) -> Decimal:
    """Return a model price as exact money on its tick, half to even: the border between model and books."""
    ticks = (Decimal(repr(np.float64(np.asarray(price)).item())) / tick).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    return ticks * tick + 0


def normal_cdf(*, values: ArrayLike) -> Floats:
    """Return the normal distribution function to about 1e-15, relative in the lower tail (W. J. Cody 1969, erfc)."""
    x = np.asarray(values, dtype=np.float64)
    return _HALF * erfc(values=-x / _ROOT_2)


def erfc(*, values: ArrayLike) -> Floats:
    """Return the complementary error function by Cody's rational approximations over three ranges."""
    x = np.asarray(values, dtype=np.float64)
    y = np.minimum(np.abs(x), np.float64(30))
    small, large = y <= _SMALL, y > 4
    # All three forms over everything costs less than three gathers, and where() needs no order.
    squared = np.where(small, y * y, 0)
    near = 1 - np.where(small, y, 0) * _ratio(_A, _B, squared)
    middle = _ratio(_C, _D, np.where(small | large, 1, y))
    inverse = 1 / np.where(large, y * y, 16)
    far = (1 / _ROOT_PI - inverse * _ratio(_P, _Q, inverse)) / np.where(large, y, 4)
    tail = np.where(large, far, middle) * _exp_of_minus_square(y)
    upper = np.where(small, near, tail)
    return np.where(x < 0, 2 - upper, upper)


def _exp_of_minus_square(y: Floats) -> Floats:
    """Return exp(-y*y) without losing the digits that y*y rounds away: Cody's split of y into sixteenths."""
    whole = np.floor(y * 16) / 16
    rest = (y - whole) * (y + whole)
    return np.exp(-whole * whole) * np.exp(-rest)


def _ratio(top: Floats, bottom: Floats, x: Floats) -> Floats:
    numerator: Floats = np.full(x.shape, top[0])
    denominator: Floats = np.full(x.shape, bottom[0])
    for a, b in zip(top[1:], bottom[1:], strict=True):
        numerator = numerator * x + a
        denominator = denominator * x + b
    return numerator / denominator


def _numbers(text: str) -> Floats:
    return np.array([np.float64(part) for part in text.split()])


_SMALL = np.float64("0.46875")
_ROOT_PI = np.sqrt(np.float64(pi))
# Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), highest power first.
_A = _numbers(
    "1.85777706184603153e-1 3.16112374387056560e00 1.13864154151050156e02 3.77485237685302021e02 3.20937758913846947e03"
)
_B = _numbers("1 2.36012909523441209e01 2.44024637934444173e02 1.28261652607737228e03 2.84423683343917062e03")
_C = _numbers(
    "2.15311535474403846e-8 5.64188496988670089e-1 8.88314979438837594e00 6.61191906371416295e01 "
    "2.98635138197400131e02 8.81952221241769090e02 1.71204761263407058e03 2.05107837782607147e03 1.23033935479799725e03"
)
_D = _numbers(
    "1 1.57449261107098347e01 1.17693950891312499e02 5.37181101862009858e02 1.62138957456669019e03 "
    "3.29079923573345963e03 4.36261909014324716e03 3.43936767414372164e03 1.23033935480374942e03"
)
_P = _numbers(
    "1.63153871373020978e-2 3.05326634961232344e-1 3.60344899949804439e-1 1.25781726111229246e-1 "
    "1.60837851487422766e-2 6.58749161529837803e-4"
)
_Q = _numbers(
    "1 2.56852019228982242e00 1.87295284992346725e00 5.27905102951428412e-1 6.05183413124413191e-2 "
    "2.33520497626869185e-3"
)
