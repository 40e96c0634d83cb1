"""Activity: how much an account did lately, for the rate, value, duplicate and loss controls.

A day's result is that of the trading day, which ends at 17:00 New York as limits of the day do (P-20, P-28).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from piggy.core.money import ZERO
from piggy.core.orders import OrderTerms
from piggy.core.rollover import day_number

SECOND_US = 1_000_000
SECONDS_KEPT = 60
DUPLICATES_KEPT, DUPLICATES_MAX = 64, 10_000
# So many are added up as fast as their sum is looked up.
FEW_SECONDS = 16
REJECT_WINDOW_S = 30
REJECT_SAMPLE_MIN = 20

Fingerprint = tuple[str, str, Decimal, str, Decimal | None, Decimal | None, str | None]


@dataclass(slots=True)
class Second:
    """What happened within one second of the clock; for a window's edge also when: `orders` with their value, `fills`,
    all messages that `came` and those that were `refused`.
    """

    number: int
    messages: int = 0
    executions: int = 0
    notional: Decimal = ZERO
    rejects: int = 0
    orders: list[tuple[int, Decimal]] | None = None
    fills: list[int] | None = None
    came: list[int] | None = None
    refused: list[int] | None = None

    def ordered_since(self, since_us: int) -> Decimal:
        """Return the value ordered after `since_us`, a time within this second."""
        return sum([value for at_us, value in self.orders or () if at_us > since_us], ZERO)

    def dealt_since(self, since_us: int) -> int:
        """Return the fills after `since_us`, a time within this second."""
        return _younger(self.fills, since_us)


@dataclass(slots=True)
class LastSecond:
    """Who sent messages in the second before the latest one, to the microsecond: a rate holds for any second (P-14).

    `times` are (UTC microseconds, who), the oldest first, and `counts` how many of them each one sent. Whoever is quiet
    is in neither, so that both are as large as one second's traffic and not as the number of accounts.
    """

    times: deque[tuple[int, str]] = field(default_factory=deque)
    counts: dict[str, int] = field(default_factory=dict)

    def message(self, *, at_us: int, who: str) -> None:
        """Count a message, and no more what a second has passed since; nor what a clock set back left in the future."""
        times, counts, since_us = self.times, self.counts, at_us - SECOND_US
        while times and not since_us < times[0][0] <= at_us:
            _, gone = times.popleft()
            left = counts[gone] - 1
            if left:
                counts[gone] = left
            else:
                del counts[gone]
        times.append((at_us, who))
        counts[who] = counts.get(who, 0) + 1

    def over(self, *, now_us: int) -> dict[str, int]:
        """Return how many of the messages counted are not of the second that ends now any more, by who sent them."""
        gone: dict[str, int] = {}
        since_us = now_us - SECOND_US
        for at_us, who in self.times:
            if since_us < at_us <= now_us:
                break
            gone[who] = gone.get(who, 0) + 1
        return gone

    def lately(self, *, who: str, now_us: int) -> tuple[int, int]:
        """Return how many messages of the second that ends now are of one, and how many of all."""
        mine, every, since_us = self.counts.get(who, 0), len(self.times), now_us - SECOND_US
        for at_us, name in self.times:
            if since_us < at_us <= now_us:
                break
            every -= 1
            if name == who:
                mine -= 1
        return mine, every


@dataclass(slots=True)
class Activity:
    """The last minute by seconds, the latest orders by fingerprint (time, seq, lots to close), the day's result."""

    seconds: deque[Second] = field(default_factory=lambda: deque(maxlen=SECONDS_KEPT + 1))
    latest: dict[Fingerprint, tuple[int, int, Decimal]] = field(default_factory=dict)
    day: int = 0
    realised_today: Decimal = ZERO
    rejects_in_a_row: int = 0
    rejected_at_us: int = 0

    def message(
        self, *, at_us: int, terms: OrderTerms, notional: Decimal, seq: int, held: Decimal = ZERO, window_us: int = 0
    ) -> None:
        """Count an order that came in, accepted or not; only an accepted one has a notional and a fingerprint.

        `held` are the signed lots that it could close then. Of fingerprints the latest are kept, and all that came
        within `window_us` as far as there is room, however fast an account may send.
        """
        second = self.came(at_us=at_us)
        if notional:
            second.notional += notional
            if second.orders is None:
                second.orders = [(at_us, notional)]
            else:
                second.orders.append((at_us, notional))
            key = fingerprint(terms=terms)
            self.latest.pop(key, None)
            self.latest[key] = (at_us, seq, held)
            while len(self.latest) > DUPLICATES_KEPT:
                oldest = next(iter(self.latest))
                if at_us - self.latest[oldest][0] < window_us and len(self.latest) <= DUPLICATES_MAX:
                    break
                del self.latest[oldest]

    def came(self, *, at_us: int) -> Second:
        """Count a message of any kind, and return the second that it came in."""
        second = self._second(at_us)
        second.messages += 1
        if second.came is None:
            second.came = [at_us]
        else:
            second.came.append(at_us)
        return second

    def reject(self, *, at_us: int) -> None:
        """Count an order that the gate refused; a storm is over once it was quiet for half a minute."""
        self.rejects_in_a_row = self.rejects_consecutive(now_us=at_us) + 1
        self.rejected_at_us = at_us
        second = self._second(at_us)
        second.rejects += 1
        second.refused = [*(second.refused or ()), at_us]

    def accept(self) -> None:
        """An accepted order ends a row of refused ones."""
        self.rejects_in_a_row = 0

    def rejects_consecutive(self, *, now_us: int) -> int:
        quiet = now_us - self.rejected_at_us >= REJECT_WINDOW_S * SECOND_US
        return 0 if quiet else self.rejects_in_a_row

    def rejects_percent(self, *, now_us: int) -> Decimal:
        """Return the refused share of the last half minute's orders, in percent; too few orders tell nothing."""
        since_us = now_us - REJECT_WINDOW_S * SECOND_US
        edge, messages, rejects = since_us // SECOND_US, 0, 0
        for second in reversed(self.seconds):
            if second.number <= edge:
                if second.number == edge:
                    messages += _younger(second.came, since_us)
                    rejects += _younger(second.refused, since_us)
                break
            messages += second.messages
            rejects += second.rejects
        return Decimal(100 * rejects) / messages if messages >= REJECT_SAMPLE_MIN else ZERO

    def execution(self, *, at_us: int, result: Decimal) -> None:
        """Count a fill and what it brought or cost today."""
        second = self._second(at_us)
        second.executions += 1
        if second.fills is None:
            second.fills = [at_us]
        else:
            second.fills.append(at_us)
        self.result(at_us=at_us, amount=result)

    def result(self, *, at_us: int, amount: Decimal) -> None:
        """Count what was brought or cost today."""
        if (day := day_number(at_us=at_us)) != self.day:
            self.day, self.realised_today = day, ZERO
        self.realised_today += amount

    def within(self, *, now_us: int, value_s: int, executions_s: int) -> tuple[Decimal, int]:
        """Return the value ordered in the last `value_s` seconds and the fills in the last `executions_s`, exactly."""
        sums = _summed(reversed(self.seconds), now_us // SECOND_US, value_s, executions_s)
        value, executions, value_edge, executions_edge = sums
        if value_edge is None and executions_edge is None:
            return value, executions
        return _with_edges(*sums, now_us, value_s, executions_s)

    def loss_today(self, *, now_us: int) -> Decimal:
        if self.realised_today < 0 and day_number(at_us=now_us) == self.day:
            return -self.realised_today
        return ZERO

    def _second(self, at_us: int) -> Second:
        number = at_us // SECOND_US
        if not self.seconds or self.seconds[-1].number < number:
            self.seconds.append(Second(number))
        return self.seconds[-1]


@dataclass(slots=True)
class DayResults:
    """What all accounts together brought and cost today, each in its own currency (P-20)."""

    day: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)

    def add(self, *, at_us: int, currency: str, amount: Decimal) -> None:
        """Count what an account of this `currency` was brought, or cost, below nothing."""
        if (day := day_number(at_us=at_us)) != self.day:
            self.day, self.sums = day, {}
        self.sums[currency] = self.sums.get(currency, ZERO) + amount

    def of_day(self, *, now_us: int) -> dict[str, Decimal]:
        """Return the sums of the day that `now_us` is in, by currency."""
        return self.sums if day_number(at_us=now_us) == self.day else {}


def _younger(times: Iterable[int] | None, since_us: int) -> int:
    return sum([at_us > since_us for at_us in times or ()])


# Of the seconds wholly inside their windows the value and the fills, and of each window the second that its edge goes
# through. A plain tuple: one is made for every order, and a named one costs several times that.
_Sums = tuple[Decimal, int, Second | None, Second | None]
NO_SUMS: _Sums = (ZERO, 0, None, None)


class _Over(NamedTuple):
    """The sums over all seconds but the newest, and what they were made for."""

    activity: Activity
    key: tuple[int, int, int, int]
    sums: _Sums


class Windows:
    """`Activity.within` for who asks often: a second that is over never changes, so it is summed once a second.

    It belongs to a desk and not to its state, for it holds nothing that the activities do not say.
    """

    def __init__(self) -> None:
        self._over: dict[str, _Over] = {}

    def within(
        self, *, account_id: str, activity: Activity, now_us: int, value_s: int, executions_s: int
    ) -> tuple[Decimal, int]:
        """Return what `activity.within` returns; `activity` is that of the account."""
        seconds = activity.seconds
        if len(seconds) <= FEW_SECONDS:
            return activity.within(now_us=now_us, value_s=value_s, executions_s=executions_s)
        last, number = seconds[-1], now_us // SECOND_US
        key = (number, last.number, value_s, executions_s)
        over = self._over.get(account_id)
        if over is None or over.key != key or over.activity is not activity:
            older = islice(reversed(seconds), 1, None)
            over = self._over[account_id] = _Over(activity, key, _summed(older, number, value_s, executions_s))
        value, executions, value_edge, executions_edge = _plus(over.sums, last, number, value_s, executions_s)
        if value_edge is None and executions_edge is None:
            return value, executions
        return _with_edges(value, executions, value_edge, executions_edge, now_us, value_s, executions_s)


def _summed(newest_first: Iterable[Second], number: int, value_s: int, executions_s: int) -> _Sums:
    """Return what `_plus` would of one second after the other: an account that is never quiet has a minute of them."""
    value, executions = ZERO, 0
    value_edge: Second | None = None
    executions_edge: Second | None = None
    for second in newest_first:
        ago_s = number - second.number
        if ago_s < value_s:
            value += second.notional
        elif ago_s == value_s:
            value_edge = second
        elif ago_s > executions_s:
            break
        if ago_s < executions_s:
            executions += second.executions
        elif ago_s == executions_s:
            executions_edge = second
    return value, executions, value_edge, executions_edge


def _plus(sums: _Sums, second: Second, number: int, value_s: int, executions_s: int) -> _Sums:
    """Return the sums with one more second of the clock, as seen from second `number`."""
    value, executions, value_edge, executions_edge = sums
    ago_s = number - second.number
    if ago_s < value_s:
        value += second.notional
    elif ago_s == value_s:
        value_edge = second
    if ago_s < executions_s:
        executions += second.executions
    elif ago_s == executions_s:
        executions_edge = second
    return value, executions, value_edge, executions_edge


def _with_edges(
    value: Decimal,
    executions: int,
    value_edge: Second | None,
    executions_edge: Second | None,
    now_us: int,
    value_s: int,
    executions_s: int,
) -> tuple[Decimal, int]:
    if value_edge is not None:
        value += value_edge.ordered_since(now_us - value_s * SECOND_US)
    if executions_edge is not None:
        executions += executions_edge.dealt_since(now_us - executions_s * SECOND_US)
    return value, executions


def fingerprint(*, terms: OrderTerms) -> Fingerprint:
    """Return what makes two orders of one account the same (P-13); closes of two positions are not."""
    return (
        terms.symbol, terms.side, terms.quantity, terms.type, terms.limit_price, terms.stop_price, terms.position_id
    )  # fmt: skip
