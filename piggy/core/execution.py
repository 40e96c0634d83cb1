"""Execution: the events of one command, built up without touching state.

One command may fill an order several times, or two orders against each other, so each fill must see the one before it.
`Execution` keeps what has been decided so far on top of the state; applying the events makes the state catch up.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piggy.core import events as ev
from piggy.core.accounts import Account, PositionMode
from piggy.core.commissions import Charge, charge, chargeable
from piggy.core.conversion import ONE, Conversion
from piggy.core.correction_events import ITS_OWN, OrderFillBusted, Place
from piggy.core.guarantees import Settlement, settlement
from piggy.core.margin import MarginTerms
from piggy.core.margining import News, latest_rate, margin_of, news_of, positions_in, window_of
from piggy.core.moment import Moment
from piggy.core.money import ZERO, round_money
from piggy.core.orders import EXPIRY, OrderTerms
from piggy.core.positions import COST_STEP, Fold, Life, Position, filled, kept_lots, lots_ahead, netted_id
from piggy.core.pricing import commission_plan
from piggy.core.rollover import is_counted
from piggy.core.routing import Leg
from piggy.core.so_far import SoFar
from piggy.core.state import Order

NO_TOUCH, FREE = (None, None, 0), Settlement(ZERO, ZERO)


class UnableToConvert(Exception):
    """No rate, live or past, leads from an instrument's quote currency to an account's."""


class Execution(SoFar):
    """What a command does so far: `events`, lots filled and sent out on top of the state, legs by venue (`sent_to`),
    symbols that it `called` an auction of, orders that are `ending` once venues have answered; `nights` of positions
    without fills that it takes back; signed lots by which it moved the B book (`kept`)."""

    def __init__(self, *, moment: Moment) -> None:
        super().__init__()
        self.moment = moment
        self.events: list[ev.AnyEvent] = []

    def new_order_id(self) -> str:
        """Return the next order's id: a count per tenant, so that ids sort and replay gives the same ones."""
        self._created += 1
        return f"O{self.moment.state.order_count + self._created:09d}"

    def leaves(self, order: Order) -> Decimal:
        """Return the lots of `order` that are still unfilled after what has been decided."""
        if order.state.final or order.order_id in self._cancelled:
            return ZERO
        if not self._filled and not self._reduced:
            return order.quantity - order.filled
        return order.leaves - self._filled.get(order.order_id, ZERO) - self._reduced.get(order.order_id, ZERO)

    def filled(self, order: Order) -> Decimal:
        """Return the lots of `order` that are filled after what has been decided."""
        return order.filled + self._filled.get(order.order_id, ZERO)

    def charged(self, order: Order) -> Charge:
        """Return what commission `order` has accrued and paid after what has been decided."""
        return self._charges.get(order.order_id, Charge(order.commission_accrued, order.commission))

    def free(self, order: Order) -> Decimal:
        """Return the lots of `order` that are neither filled nor out at a venue."""
        return self.leaves(order) - order.routed - self._routed.get(order.order_id, ZERO)

    def sent(self, order: Order) -> Decimal:
        """Return the lots of `order` that are out at venues after what has been decided."""
        return order.routed + self._routed.get(order.order_id, ZERO)

    def waits(self, order: Order) -> bool:
        """Return whether the other of an either-or pair was filled by this command, or is out at a venue now."""
        state, group = self.moment.state, order.terms.oco_group
        if not group:
            return False
        others = state.oco.get((order.terms.account_id, group), set()) - {order.order_id}
        return any(
            self._filled.get(name) or state.orders[name].routed + self._routed.get(name, ZERO) for name in others
        )

    def fills(self) -> list[tuple[Order, Decimal]]:
        """Return every order that this command filled so far, with how many lots; below zero: taken back."""
        return [(self._orders[order_id], lots) for order_id, lots in self._filled.items()] if self._filled else []

    def deals_for(self, *, account_id: str) -> bool:
        """Return whether this command filled an order of the account so far."""
        return bool(self._filled) and any(order.terms.account_id == account_id for order in self._orders.values())

    def fill_count(self, order: Order) -> int:
        """Return how many fills this command gave `order`."""
        return self._fills.get(order.order_id, order.fills) - order.fills

    def position(self, position_id: str) -> Position | None:
        known = self._positions if position_id in self._positions else self.moment.state.positions
        return known.get(position_id)

    def life(self, *, position_id: str) -> Life | None:
        """Return the fills of a position's present life after what has been decided."""
        if position_id in self._lives:
            return self._lives[position_id]
        return self.moment.state.lives.get(position_id)

    def under_way(self, *, position: Position) -> Decimal:
        """Return the lots of a position that orders against it have out at venues now, in no order's favour."""
        going, orders = ZERO, self.moment.state.orders
        for order_id in self.moment.state.open_orders.get(position.account_id, ()):
            order = orders[order_id]
            routed = order.routed + self._routed.get(order_id, ZERO)
            if routed <= 0 or order.terms.symbol != position.symbol or order.terms.side is position.side:
                continue
            account = self.moment.account(position.account_id)
            if position_id_of(account=account, order=order) == position.position_id:
                going += routed
        return min(going, position.lots)

    def release(self, *, order: Order, lots: Decimal) -> None:
        """Take `lots` back from a venue: they are free again, or about to be filled."""
        self._routed[order.order_id] = self._routed.get(order.order_id, ZERO) - lots

    def come_back(self, *, order: Order, lots: Decimal) -> None:
        """Count `lots` of the A book's that a venue did not deal; below zero: that another was sent, or dealt."""
        self._came_back[order.order_id] = max(ZERO, self.came_back(order) + lots)

    def came_back(self, order: Order) -> Decimal:
        """Return the lots of `order` that venues did not deal and that wait for another one now."""
        return self._came_back.get(order.order_id, order.came_back)

    def fill(
        self,
        *,
        order: Order,
        quantity: Decimal,
        raw: Decimal,
        price: Decimal,
        book: str,
        counterparty: str,
        reason: str,
        dealt: tuple[str, str] = ("", ""),
        maker: bool = False,
        market: Decimal | None = None,
        place: Place = ITS_OWN,
    ) -> None:
        """Fill lots of an order at `price`, `raw` before markup; `dealt`: leg and execution; `maker`: it had rested.

        A guaranteed stop says what its client would have dealt at otherwise, the `market`.
        """
        moment, terms = self.moment, order.terms
        account, instrument = moment.account(terms.account_id), moment.instrument(terms.symbol)
        position_id = position_id_of(account=account, order=order)
        margin, _ = moment.margins.of(state=moment.state, account=account, instrument=instrument)
        news = self._news(account=account, terms=terms, quantity=quantity)
        ahead = self._ahead_by(order=order, position=self.position(position_id), quantity=quantity, book=book)
        fold = self._folded(
            position_id=position_id, terms=terms, quantity=quantity, price=price, book=book, margin=margin, news=news,
            at_us=place.at_us or moment.now_us, ahead=ahead,
        )  # fmt: skip
        exchange = self._exchange(source=instrument.quote, account=account, gain=fold.realised_quote > 0)
        rate = exchange.rate
        number, leaves = self._fills.get(order.order_id, order.fills) + 1, self.leaves(order) - quantity
        self._note(order=order, number=number, lots=quantity, position_id=position_id, position=fold.position)
        bound, per_lot = self.margin_of_symbol(account=account, symbol=terms.symbol, terms=margin, rate=rate)
        cost, turnover = self._charge(
            order=order, account=account, fold=fold, quantity=quantity, price=price, rate=rate, place=place
        )  # fmt: skip
        bid, ask, _ = moment.marks.get(terms.symbol, NO_TOUCH) if _is_deal(order) else NO_TOUCH
        realised = round_money(amount=fold.realised_quote * rate, currency=account.currency)
        shown = price if market is None else market
        over = instrument.notional(lots=quantity, price=terms.side.sign * (shown - raw)) * rate
        given = FREE if not order.guaranteed else settlement(
            order=order, instrument=instrument, lots=quantity, price=price, market=shown, rate=rate, account=account
        )  # fmt: skip
        below = self.book_money(account=account, amount=realised - cost.due - given.premium)
        short = ZERO if place.seq else below  # What was made good after its place is restated.
        self.events.append(ev.OrderFilled(
            order_id=order.order_id, account_id=account.account_id, fill_id=f"{order.order_id}-{number}",
            symbol=terms.symbol, side=terms.side, quantity=quantity, price=price, raw_price=raw,
            book=book, counterparty=counterparty, reason=reason, leaves=max(ZERO, leaves),
            realised=realised, realised_quote=fold.realised_quote, commission=cost.due, commission_accrued=cost.accrued,
            conversion_rate=rate, conversion=exchange.legs, position_id=position_id,
            benchmark_bid=bid, benchmark_ask=ask, markup_revenue=round_money(amount=over, currency=account.currency),
            symbol_margin=bound, margin_per_lot=per_lot, margin_percent=margin.percent,
            news_lots=news.lots, news_percent=news.percent, news_until_us=news.until_us,
            cl_ord_id=dealt[0], venue_fill_id=dealt[1], maker=maker, place_seq=place.seq, place_at_us=place.at_us,
            premium=given.premium, guarantee_cost=given.cost, written_off=short, turnover=turnover,
            venue_booked=book == "A", ahead=ahead,
        ))  # fmt: skip
        self.write_off(account_id=account.account_id, amount=short)

    def _folded(
        self,
        *,
        position_id: str,
        terms: OrderTerms,
        quantity: Decimal,
        price: Decimal,
        book: str,
        margin: MarginTerms,
        news: News,
        at_us: int,
        ahead: Decimal,
    ) -> Fold:
        """Return what a fill does to its position."""
        return filled(
            position=self.position(position_id), side=terms.side, quantity=quantity, price=price,
            contract_size=self.moment.instrument(terms.symbol).contract_size,
            account_id=terms.account_id, symbol=terms.symbol, position_id=position_id, book=book, ahead=ahead,
            at_us=at_us, margin_percent=margin.percent,
            news_lots=news.lots, news_percent=news.percent, news_until_us=news.until_us,
        )  # fmt: skip

    def _news(self, *, account: Account, terms: OrderTerms, quantity: Decimal) -> News:
        window = window_of(state=self.moment.state, group=account.group, symbol=terms.symbol, now_us=self.moment.now_us)
        if window is None:
            return News()
        net = sum((held.quantity for held in self._held(account, terms.symbol)), ZERO)
        return news_of(window=window, net_before=net, side=terms.side, quantity=quantity)

    def margin_of_symbol(
        self, *, account: Account, symbol: str, terms: MarginTerms, rate: Decimal
    ) -> tuple[Decimal, Decimal]:
        """Return what all that the account holds of a symbol binds after what has been decided, and that per lot."""
        held, instrument = self._held(account, symbol), self.moment.instrument(symbol)
        if instrument.option and instrument.option.underlying in self.moment.state.option_models:
            # The stress of its netting set margins it, at live prices.
            return ZERO, ZERO
        margin = margin_of(
            positions=held, terms=terms, instrument=instrument, account=account, rate=rate, now_us=self.moment.now_us
        ).quantize(COST_STEP)
        lots = sum([position.lots for position in held], ZERO) if held else ZERO
        return margin, margin / lots if lots else ZERO

    def _held(self, account: Account, symbol: str) -> list[Position]:
        """Return the account's positions in the symbol after what has been decided."""
        if account.position_mode is PositionMode.NETTING:
            only = self.position(netted_id(account_id=account.account_id, symbol=symbol))
            return [only] if only else []
        held = {
            position.position_id: position
            for position in positions_in(state=self.moment.state, account_id=account.account_id, symbol=symbol)
        }
        for position_id, position in self._positions.items():
            if position is None:
                held.pop(position_id, None)
            elif position.account_id == account.account_id and position.symbol == symbol:
                held[position_id] = position
        return list(held.values())

    def _charge(
        self, *, order: Order, account: Account, fold: Fold, quantity: Decimal, price: Decimal, rate: Decimal,
        place: Place,
    ) -> tuple[Charge, Decimal | None]:  # fmt: skip
        """Return the fill's commission, on top of what its order and the month's turnover came to before it."""
        moment, account_id, symbol = self.moment, account.account_id, order.terms.symbol
        instrument, profiled = moment.instrument(symbol), moment.state.profiles
        plan = commission_plan(
            group=moment.state.groups[account.group],
            profiles=moment.profiles(account_id=account_id, symbol=symbol) if profiled else (),
        )
        lots = chargeable(plan=plan, opened=fold.opened_lots, closed=fold.closed_lots) if _is_deal(order) else ZERO
        before = self.charged(order)
        worth = instrument.notional(lots=ONE, price=price) * rate
        turned = self._turnover.get(account_id, ZERO)
        turnover = moment.turnover(account_id) + turned if place.turnover is None else place.turnover
        cost = charge(
            plan=plan, lots=lots, notional=lots * worth, turnover=turnover, accrued=before.accrued,
            charged=before.due, currency=account.currency,
        )  # fmt: skip
        self._charges[order.order_id] = Charge(before.accrued + cost.accrued, before.due + cost.due)
        if is_counted(place_at_us=place.at_us, at_us=moment.now_us):
            self._turnover[account_id] = turned + quantity * worth
        return cost, turnover if plan.tiers else None

    def _note(self, *, order: Order, number: int, lots: Decimal, position_id: str, position: Position | None) -> None:
        self._orders[order.order_id] = order
        self._fills[order.order_id] = number
        self._filled[order.order_id] = self._filled.get(order.order_id, ZERO) + lots
        self._hold(position_id, order.terms.symbol, position)

    def _hold(self, position_id: str, symbol: str, position: Position | None) -> None:
        more = kept_lots(position=position) - kept_lots(position=self.position(position_id))
        self.kept[symbol] = self.kept.get(symbol, ZERO) + more
        self._positions[position_id] = position

    def owed(self, order: Order) -> Decimal:
        """Return the lots that the legs of `order` are to open for the B book (`positions.lots_ahead`)."""
        return order.ahead + self._ahead.get(order.order_id, ZERO)

    def _ahead_by(self, *, order: Order, position: Position | None, quantity: Decimal, book: str) -> Decimal:
        owed, side = self.owed(order), order.terms.side
        ahead = lots_ahead(position=position, side=side, quantity=quantity, book=book, owed=owed)
        self._ahead[order.order_id] = owed - order.ahead + (ahead if book == "B" else -ahead)
        return ahead

    def take_back(self, *, order: Order, event: OrderFillBusted, life: Life, turned: Decimal) -> None:
        """Undo a client's fill: lots, position (whose `life` it leaves), money, what it `turned` over this month."""
        self._orders[order.order_id] = order
        self._filled[order.order_id] = self._filled.get(order.order_id, ZERO) - event.quantity
        self._hold(event.position_id, event.symbol, event.position)
        self._ahead[order.order_id] = self._ahead.get(order.order_id, ZERO) + event.ahead
        self._lives[event.position_id] = life
        self._turnover[event.account_id] = self._turnover.get(event.account_id, ZERO) - turned
        before = self.charged(order)
        self._charges[order.order_id] = Charge(before.accrued - event.commission_accrued, before.due - event.commission)
        account, instrument = self.moment.account(event.account_id), self.moment.instrument(event.symbol)
        margin, _ = self.moment.margins.of(state=self.moment.state, account=account, instrument=instrument)
        lives = (self.life(position_id=each.position_id) for each in self._held(account, event.symbol))
        rate = latest_rate(lives=lives) or event.conversion_rate
        bound, per_lot = self.margin_of_symbol(account=account, symbol=event.symbol, terms=margin, rate=rate)
        self.events.append(msgspec.structs.replace(event, symbol_margin=bound, margin_per_lot=per_lot))
        self.book_money(account=account, amount=event.realised + event.commission + event.premium)

    def send(self, *, order: Order, legs: tuple[Leg, ...], time_in_force: str, markup: Decimal) -> None:
        """Create one child order per leg; ids follow from order, venue and attempt, so a retry can never differ."""
        attempt = order.attempts + 1
        for leg in legs:
            self.events.append(ev.ChildOrderCreated(
                order_id=order.order_id,
                cl_ord_id=f"{order.order_id}-{leg.venue}-{attempt}",
                venue=leg.venue, symbol=order.terms.symbol, side=order.terms.side,
                quantity=leg.quantity, limit_price=leg.limit_price, time_in_force=time_in_force,
                attempt=attempt, markup=markup,
            ))  # fmt: skip
            self._routed[order.order_id] = self._routed.get(order.order_id, ZERO) + leg.quantity
            if self.came_back(order):
                self.come_back(order=order, lots=-leg.quantity)
            self.sent_to[leg.venue] = self.sent_to.get(leg.venue, 0) + 1

    def cancel(self, *, order: Order, outcome: str, reason: str) -> None:
        """End the order with what is unfilled; its legs at venues have ended before."""
        left = self.leaves(order)
        self.events.append(ev.OrderCancelled(order_id=order.order_id, outcome=outcome, leaves=left, reason=reason))
        self._cancelled.add(order.order_id)

    def reduce(self, *, order: Order, lots: Decimal, reason: str) -> None:
        """Make the order smaller without a fill; one that has nothing left ends."""
        if self.leaves(order) <= lots:
            self.cancel(order=order, outcome="cancelled", reason=reason)
            return
        self._reduced[order.order_id] = self._reduced.get(order.order_id, ZERO) + lots
        quantity = order.quantity - self._reduced[order.order_id]
        self.events.append(ev.OrderAmended(
            order_id=order.order_id, quantity=quantity, limit_price=order.terms.limit_price,
            stop_price=order.terms.stop_price, keeps_priority=True,
        ))  # fmt: skip

    def _exchange(self, *, source: str, account: Account, gain: bool) -> Conversion:
        found = self.moment.exchange(source=source, target=account.currency, gain=gain)
        if found is None:
            raise UnableToConvert(f"{source} to {account.currency} for account {account.account_id}")
        return found

    def book_money(self, *, account: Account, amount: Decimal) -> Decimal:
        """Move the balance; return what the house makes good of a negative one once nothing is open any more."""
        state, account_id = self.moment.state, account.account_id
        balance = self._balances.get(account_id, state.balances.get(account_id, ZERO)) + amount
        self._balances[account_id] = balance
        protects = balance < 0 and self.moment.is_protected(account_id) and self._is_flat(account_id)
        return -balance if protects else ZERO

    def write_off(self, *, account_id: str, amount: Decimal, gift_seq: int = 0) -> None:
        """Give an account what it is short of, at the house's cost; below zero: take back of the gift `gift_seq`."""
        if amount:
            account, gift = self.moment.account(account_id), ev.NegativeBalanceWrittenOff
            self.events.append(gift(
                account_id=account_id, amount=amount, currency=account.currency, supersedes=gift_seq
            ))  # fmt: skip
            self.book_money(account=account, amount=amount)

    def _is_flat(self, account_id: str) -> bool:
        held = self.moment.state.positions_of.get(account_id, set())
        mine = {key for key, position in self._positions.items() if position and position.account_id == account_id}
        return all(self.position(position_id) is None for position_id in held | mine)


def _is_deal(order: Order) -> bool:
    """Whether somebody dealt: what an option is settled by pays no commission and is measured by no quote."""
    return order.source != EXPIRY


def position_id_of(*, account: Account, order: Order) -> str:
    """Return which position a fill of `order` belongs to: one per symbol when netting, else the named or a new one."""
    if account.position_mode is PositionMode.NETTING:
        return netted_id(account_id=account.account_id, symbol=order.terms.symbol)
    return order.terms.position_id or order.order_id
