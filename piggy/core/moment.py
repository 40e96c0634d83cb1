"""A moment: all that a desk knows at one instant, handed to the rules that decide. Reading it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal

import msgspec

from piggy.core.accounts import Account, Group
from piggy.core.activity import Activity, Windows
from piggy.core.bookbuild import BuiltSide, PriceBuild, ThinBook, built_side
from piggy.core.building import DeepTouch, bases, built_quote
from piggy.core.control_folding import own_limits
from piggy.core.conversion import UNCHANGED, Conversion, Pairs, Touch, conversion
from piggy.core.funds import AS_EVER, HUNDRED, ONE, Funds, free_margin_of, funds_of, is_protected
from piggy.core.instruments import Instrument
from piggy.core.limits import Limits
from piggy.core.margin_watch import MarginWatch
from piggy.core.margining import MarginTermsKept
from piggy.core.market import AttributedLevel
from piggy.core.money import ZERO
from piggy.core.option_margin import option_margin
from piggy.core.orders import Side
from piggy.core.pricing import client_price, group_markup, markup
from piggy.core.profiles import PriceProfile, build_of, profiles_of
from piggy.core.quotes import Market
from piggy.core.ranking import Rankings
from piggy.core.rollover import month_of
from piggy.core.state import State

_BUY = Side.BUY


class Moment(msgspec.Struct, frozen=True):
    """`marks` are the last best bid and ask of every symbol, kept when stale too, to value what is held.

    `closed` are the venues that take no new risk yet. `rates` are those found off these marks so far, `sessions` which
    symbols were found to be in theirs.
    """

    state: State
    market: Market
    marks: Mapping[str, Touch]
    pairs: Pairs
    now_us: int
    rankings: Rankings
    margins: MarginTermsKept
    watch: MarginWatch
    windows: Windows
    closed: Set[str] = frozenset()
    rates: dict[tuple[str, str, bool], Conversion] = msgspec.field(default_factory=dict)
    sessions: dict[str, bool] = msgspec.field(default_factory=dict)

    def account(self, account_id: str) -> Account:
        return self.state.accounts[account_id]

    def group_of(self, account_id: str) -> Group:
        return self.state.groups[self.state.accounts[account_id].group]

    def limits(self, *, group: str) -> Limits:
        """Return what a group's orders are held against now: a change for the day counts until its end, to the us.

        The event that ends it follows when the desk next looks at the time (P-28).
        """
        change = self.state.limit_changes.get(group) if self.state.limit_changes else None
        if change is not None and self.now_us >= change.reverts_at_us:
            return own_limits(state=self.state, group=group)
        return self.state.effective_limits[group]

    def slippage_bps(self, *, group: str) -> Decimal:
        """Return how far a market order of a group may slip now (P-10)."""
        bps = self.limits(group=group).slippage_bps_max
        assert bps is not None, "every group says it"
        return bps

    def instrument(self, symbol: str) -> Instrument:
        return self.state.instruments[symbol]

    def in_session(self, *, symbol: str) -> bool:
        """Return whether a symbol is dealt in at all now: switched on, and in a session of its calendar (P-05)."""
        known = self.sessions.get(symbol)
        if known is None:
            calendar = self.state.calendars.get(symbol)
            known = self.state.instruments[symbol].tradable
            known = self.sessions[symbol] = known and (calendar is None or calendar.is_open(at_us=self.now_us))
        return known

    def lately(self, *, account_id: str, activity: Activity, limits: Limits) -> tuple[Decimal, int]:
        """Return the value that the account ordered, and its fills, within the windows of its limits (P-12, P-15)."""
        return self.windows.within(
            account_id=account_id,
            activity=activity,
            now_us=self.now_us,
            value_s=limits.window_s,
            executions_s=limits.executions_window_s,
        )

    def levels(self, *, symbol: str, side: Side) -> tuple[AttributedLevel, ...]:
        """Return the live consolidated levels that somebody taking `side` would meet, best first."""
        return self.market.levels(symbol=symbol, bids=side is not _BUY, now_us=self.now_us)

    def profiles(self, *, account_id: str, symbol: str) -> tuple[PriceProfile, ...]:
        """Return the price profiles that apply to an account's dealing in `symbol`, most specific first."""
        group = self.state.accounts[account_id].group
        return profiles_of(profiles=self.state.profiles, group=group, symbol=symbol)

    def markup(
        self, *, account_id: str, symbol: str, side: Side, lots: Decimal = ZERO, firm: bool = False
    ) -> Decimal | None:
        """Return what an order of `lots` pays over the raw price now, or over its group's build of a size (`front`).

        None where no price is to be shown: at this spread, or of this depth.
        """
        state = self.state
        group, instrument = state.groups[state.accounts[account_id].group], state.instruments[symbol]
        if not state.profiles:
            return group_markup(group, instrument, side)
        profiles = self.profiles(account_id=account_id, symbol=symbol)
        touch, seen = self.touch(symbol) if profiles else None, None
        if self.market.is_deep and touch is not None and (build := build_of(profiles=profiles)) is not None:
            touch = self.deep(touch, symbol)
            if not firm and self._hides(touch, build, instrument):
                return None
            touch, seen = bases(touch=touch, build=build, tick=instrument.tick_size)
        return markup(
            group=group,
            profiles=profiles,
            instrument=instrument,
            side=side,
            lots=lots,
            touch=touch,
            at_us=self.now_us,
            firm=firm,
            seen=seen,
        )

    def front(
        self, *, account_id: str, symbol: str, side: Side, levels: tuple[AttributedLevel, ...]
    ) -> BuiltSide | None:
        """Return the price and lots that the account's group is shown of `levels` as one, before markup.

        None where it is shown the best level as it is, or nothing.
        """
        if not self.market.is_deep:
            return None
        build = build_of(profiles=self.profiles(account_id=account_id, symbol=symbol))
        return self.front_of(build=build, symbol=symbol, side=side, levels=levels)

    def front_of(
        self, *, build: PriceBuild | None, symbol: str, side: Side, levels: tuple[AttributedLevel, ...]
    ) -> BuiltSide | None:
        """Return what a build of a size makes of `levels`; None for any other."""
        if build is None or not build.is_deep:
            return None
        tick = self.state.instruments[symbol].tick_size
        return built_side(levels=levels, build=build, is_bid=side is not _BUY, tick=tick)

    def deep(self, touch: Touch, symbol: str) -> Touch:
        """Return `touch`, as `touch` of the symbol is now, with the depth behind it."""
        mark = self.marks.get(symbol)
        if touch is mark:
            return touch
        now = self.market.deepened(symbol, touch, self.now_us)
        if not now.bids or not now.asks:
            return touch
        # What was built of the same depth is kept with the mark.
        return mark if isinstance(mark, DeepTouch) and mark.bids is now.bids and mark.asks is now.asks else now

    def _hides(self, touch: Touch, build: PriceBuild, instrument: Instrument) -> bool:
        """Whether the book is too thin for the build to be shown; one that lacks a side is."""
        if build.thin is not ThinBook.REJECT:
            return False
        best = self.market.best(symbol=instrument.symbol, now_us=self.now_us)
        if best is None or not best.two_sided:
            return True
        return built_quote(touch=touch, build=build, tick=instrument.tick_size).is_thin

    def street_price(self, *, account_id: str, symbol: str, side: Side, lots: Decimal) -> Decimal | None:
        """Return what the account would pay or get in the street now, markup included; None off quotes."""
        levels = self.levels(symbol=symbol, side=side)
        markup = self.markup(account_id=account_id, symbol=symbol, side=side, lots=lots)
        if not levels or markup is None:
            return None
        raw = levels[0].price
        if self.market.is_deep:
            front = self.front(account_id=account_id, symbol=symbol, side=side, levels=levels)
            raw = front.price if front else raw
        return client_price(raw=raw, markup=markup, side=side)

    def touch(self, symbol: str) -> Touch | None:
        """Return the live best bid and ask, or the last there were."""
        best = self.market.best(symbol=symbol, now_us=self.now_us)
        if best is None or best.bid is None or best.ask is None:
            return self.marks.get(symbol)
        return Touch(best.bid.price, best.ask.price, min(best.bid.received_at_us, best.ask.received_at_us))

    def turnover(self, account_id: str) -> Decimal:
        """Return what the account dealt in this calendar month (UTC) so far, in its currency."""
        month, turnover = self.state.turnover.get(account_id, (0, ZERO))
        return turnover if month == month_of(at_us=self.now_us) else ZERO

    def funds(self, account_id: str) -> Funds:
        funds = funds_of(state=self.state, account_id=account_id, marks=self.marks, pairs=self.pairs)
        if not self.state.option_models:
            return funds
        options = self.option_margin(account_id)
        if options:
            maintenance = funds.maintenance + options * AS_EVER.maintenance_percent / HUNDRED
            return msgspec.structs.replace(funds, used_margin=funds.used_margin + options, maintenance=maintenance)
        return funds if options is not None else msgspec.structs.replace(funds, priced=False)

    def free_margin(self, account_id: str) -> Decimal | None:
        """Return the free margin of `funds`; None where something that is held has no price."""
        if self.state.option_models:
            funds = self.funds(account_id)
            return funds.free_margin if funds.priced else None
        return free_margin_of(state=self.state, account_id=account_id, marks=self.marks, pairs=self.pairs)

    def loss_today_of_all(self, *, into: str) -> Decimal | None:
        """Return what all accounts together lost today, in the currency `into`; None where a rate is missing (P-20)."""
        total = ZERO
        for currency, amount in self.state.results_today.of_day(now_us=self.now_us).items():
            if currency == into or not amount:
                total += amount
                continue
            rate = self.rate(source=currency, target=into, gain=amount > 0)
            if rate is None:
                return None
            total += amount * rate
        return max(ZERO, -total)

    def is_protected(self, account_id: str) -> bool:
        """Return whether the house bears what an account falls below nothing."""
        return is_protected(account=self.account(account_id), group=self.group_of(account_id))

    def rate(self, *, source: str, target: str, gain: bool) -> Decimal | None:
        """Return the conversion rate off the marks, else the last one that a fill was booked at, else None."""
        if source == target:
            return ONE
        found = self.exchange(source=source, target=target, gain=gain)
        return None if found is None else found.rate

    def exchange(self, *, source: str, target: str, gain: bool) -> Conversion | None:
        """Return the rate as `rate` does, with the quotes that made it; one that was booked before has none."""
        if source == target:
            return UNCHANGED
        key = (source, target, gain)
        if (known := self.rates.get(key)) is not None:
            return known
        found = conversion(source=source, target=target, gain=gain, pairs=self.pairs, quotes=self.marks.get)
        if found is not None:
            self.rates[key] = found
            return found
        last = self.state.rates.get((source, target))
        return None if last is None else Conversion(source=source, target=target, rate=last, at_us=0)

    def option_margin(self, account_id: str) -> Decimal | None:
        """Return what the account's options bind beyond their underlyings; None where they cannot be valued."""
        if not self.state.option_models:
            return ZERO
        return option_margin(state=self.state, account_id=account_id, marks=self.marks, pairs=self.pairs)
