"""The naive twin of `piggy.core.book`: lists, sorting and copying, slow and plain, for the same events."""

from __future__ import annotations

from dataclasses import dataclass

from piggy.core.booktypes import Flag, Kind, Op, Reason, Stp

Event = tuple[int, int, int, int, int, int]
# Plain integers: an enum's own operators would be most of the time.
IOC, FOK, MARKET, POST_ONLY, ALL_OR_NONE = map(int, (Flag.IOC, Flag.FOK, Flag.MARKET, Flag.POST_ONLY, Flag.ALL_OR_NONE))
NEVER_RESTS = IOC | FOK | MARKET
FAR = (1 << 58) - 1


@dataclass
class Order:
    id: int
    side: int
    price: int
    leaves: int
    flags: int = 0
    owner: int = 0
    stp: int = 0
    display: int = 0
    minimum: int = 0
    shown: int = 0

    def reaches(self, price: int) -> bool:
        return self.price >= price if self.side == 0 else self.price <= price


class NaiveBook:
    """Both sides are lists of orders in the order in which they would trade."""

    def __init__(self) -> None:
        self.sides: tuple[list[Order], list[Order]] = ([], [])

    def run(self, op: int, order: Order) -> list[Event]:
        if op == Op.NEW:
            return self.submit(order)
        return self.cancel(order.id) if op == Op.CANCEL else self.amend(order.id, order.price, order.leaves)

    def find(self, order_id: int) -> Order | None:
        return next((order for side in self.sides for order in side if order.id == order_id), None)

    def submit(self, order: Order) -> list[Event]:
        if order.flags & MARKET:
            order.price = FAR if order.side == 0 else -FAR
        fault = Reason.POST_ONLY if self.must_not_trade(order) else 0
        fault = Reason.DUPLICATE if self.find(order.id) else fault
        fault = fault if self.are_terms(order) else Reason.BAD_TERMS
        return [(Kind.REJECTED, order.id, 0, order.price, order.leaves, fault)] if fault else self.enter(order)

    def must_not_trade(self, order: Order) -> bool:
        return bool(order.flags & POST_ONLY) and any(order.reaches(x.price) for x in self.sides[1 - order.side])

    def are_terms(self, order: Order) -> bool:
        contradiction = order.display and order.flags & ALL_OR_NONE
        contradiction = contradiction or (order.flags & POST_ONLY and order.flags & NEVER_RESTS)
        return order.leaves > 0 and order.id > 0 and not contradiction

    def enter(self, order: Order) -> list[Event]:
        # Only these conditions may undo what was matched; copying for the others would be most of the time.
        undoes = order.minimum or order.flags & (FOK | ALL_OR_NONE)
        bids, asks = self.sides
        before = ([Order(**vars(o)) for o in bids], [Order(**vars(o)) for o in asks]) if undoes else self.sides
        asked = order.leaves
        events = self.match(order)
        filled = sum(event[4] for event in events if event[0] == Kind.FILLED)
        killed = order.flags & FOK and filled < asked
        if killed or filled < order.minimum:
            self.sides = before
            reason = Reason.FILL_OR_KILL if killed else Reason.MINIMUM
            return [(Kind.CANCELLED, order.id, 0, order.price, asked, reason)]
        if order.flags & ALL_OR_NONE and filled < asked:
            self.sides, order.leaves, events = before, asked, []
        if order.leaves and order.flags & NEVER_RESTS:
            events.append((Kind.CANCELLED, order.id, 0, order.price, order.leaves, Reason.IMMEDIATE))
        elif order.leaves:
            self.rest(order)
            events.append((Kind.RESTED, order.id, 0, order.price, order.leaves, 0))
        return events

    def match(self, order: Order) -> list[Event]:
        events: list[Event] = []
        book = self.sides[1 - order.side]
        passed = 0
        while order.leaves and passed < len(book) and order.reaches(book[passed].price):
            other = book[passed]
            if other.flags & ALL_OR_NONE and other.leaves > order.leaves:
                passed += 1
            elif order.owner and other.owner == order.owner:
                events += self.prevent(order, other)
            else:
                qty = min(order.leaves, other.shown)
                order.leaves, other.leaves, other.shown = order.leaves - qty, other.leaves - qty, other.shown - qty
                events.append((Kind.FILLED, order.id, other.id, other.price, qty, other.leaves))
                if other.shown == 0:
                    book.remove(other)
                    if other.leaves:
                        self.rest(other)
        return events

    def prevent(self, order: Order, other: Order) -> list[Event]:
        book = self.sides[other.side]
        if order.stp == Stp.DECREMENT:
            both = min(order.leaves, other.leaves)
            order.leaves, other.leaves = order.leaves - both, other.leaves - both
            other.shown = min(other.shown, other.leaves)
            if not other.leaves:
                book.remove(other)
            return [(Kind.DECREMENTED, order.id, other.id, other.price, both, other.leaves)]
        events: list[Event] = []
        if order.stp != Stp.CANCEL_NEWEST:
            book.remove(other)
            events.append((Kind.CANCELLED, other.id, order.id, other.price, other.leaves, Reason.SELF_TRADE))
        if order.stp != Stp.CANCEL_OLDEST:
            events.append((Kind.CANCELLED, order.id, 0, order.price, order.leaves, Reason.SELF_TRADE))
            order.leaves = 0
        return events

    def rest(self, order: Order) -> None:
        order.shown = min(order.display or order.leaves, order.leaves)
        book = self.sides[order.side]
        book.append(order)
        book.sort(key=lambda resting: -resting.price if order.side == 0 else resting.price)

    def cancel(self, order_id: int) -> list[Event]:
        order = self.find(order_id)
        if order is None:
            return [(Kind.REJECTED, order_id, 0, 0, 0, Reason.UNKNOWN)]
        self.sides[order.side].remove(order)
        return [(Kind.CANCELLED, order_id, 0, order.price, order.leaves, Reason.ASKED)]

    def amend(self, order_id: int, price: int, qty: int) -> list[Event]:
        order = self.find(order_id)
        if order is None:
            return [(Kind.REJECTED, order_id, 0, price, qty, Reason.UNKNOWN)]
        if qty == 0:
            return self.cancel(order_id)
        if price == order.price and qty <= order.leaves:
            order.leaves, order.shown = qty, min(order.shown, qty)
            return [(Kind.AMENDED, order_id, 0, price, qty, 0)]
        changed = Order(order.id, order.side, price, qty, order.flags, order.owner, order.stp, order.display)
        if self.must_not_trade(changed):
            return [(Kind.REJECTED, order_id, 0, price, qty, Reason.POST_ONLY)]
        self.sides[order.side].remove(order)
        return [(Kind.AMENDED, order_id, 0, price, qty, 0), *self.enter(changed)]
