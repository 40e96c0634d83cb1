# Matching over an order pool: what an incoming order, a cancel and an amend do, written as rows of six integers.
from libc.stdint cimport int32_t, int64_t
from piggy.core.idmap cimport index_at
from piggy.core.memory cimport grown
from piggy.core.orderpool cimport *
from piggy.core.pricetree cimport tree_next

cdef extern from *:
    """
    #define PB_PRICE_MAX (1LL << 58)
    #define PB_QTY_MAX (1LL << 48)
    """
    int64_t PRICE_MAX "PB_PRICE_MAX"
    int64_t QTY_MAX "PB_QTY_MAX"

cdef enum:
    ROW_BYTES = WIDTH * 8

cdef struct Hidden:
    int64_t leaves
    int32_t at

cdef struct Core:
    Pool pool
    int64_t *out
    Py_ssize_t event_count, event_capacity
    Hidden *hidden  # icebergs that a walk has yet to come back to
    Py_ssize_t hidden_capacity
    int64_t walked  # what the last walk would have traded


cdef inline int emit(
    Core *self, int kind, int64_t order_id, int64_t maker_id, int64_t price, int64_t qty, int64_t detail
) except -1:
    cdef int64_t *row
    if self.event_count == self.event_capacity:
        self.out = <int64_t *>grown(self.out, self.event_count * ROW_BYTES, self.event_count * ROW_BYTES * 2)
        self.event_capacity *= 2
    row = self.out + self.event_count * WIDTH
    self.event_count += 1
    row[0], row[1], row[2], row[3], row[4], row[5] = kind, order_id, maker_id, price, qty, detail
    return 0


cdef inline int submit_order(Core *self, Incoming *order) except -1:
    return enter(self, order) if admitted(self, order, True) else 0


cdef inline int enter(Core *self, Incoming *order) except -1:
    cdef int verdict = verdict_on(self, order)
    if verdict == ENDS:
        return 0
    return conclude(self, order, order.qty if verdict == RESTS else trade_through(self, order), True)


cdef inline bint are_terms(Core *self, Incoming *order) noexcept:
    cdef int flags = order.flags
    if order.id < 0 or not 0 < order.qty < QTY_MAX or order.side & ~1 or order.stp & ~3 or flags & ~FLAGS:
        return False
    if order.display < 0 or order.minimum < 0 or (order.display and flags & ALL_OR_NONE):
        return False
    if flags & POST_ONLY and flags & (IOC | FOK | MARKET):
        return False
    return -PRICE_MAX < order.price < PRICE_MAX


cdef inline int admitted(Core *self, Incoming *order, bint named) except -1:
    if order.flags & MARKET:
        order.price = PRICE_MAX - 1 if order.side == BUY else 1 - PRICE_MAX
    if not are_terms(self, order) or (named and order.id == 0):
        emit(self, REJECTED, order.id, 0, order.price, order.qty, BAD_TERMS)
    elif find_order(&self.pool, order.id) >= 0:
        emit(self, REJECTED, order.id, 0, order.price, order.qty, DUPLICATE)
    elif order.flags & POST_ONLY and reaches(self, order):
        emit(self, REJECTED, order.id, 0, order.price, order.qty, POST_ONLY_REFUSED)
    else:
        return 1
    return 0


cdef inline bint reaches(Core *self, Incoming *order) noexcept:
    cdef int32_t best = self.pool.best_level[order.side ^ 1]
    return best >= 0 and crosses(self, order, best)


cdef inline bint crosses(Core *self, Incoming *order, int32_t level) noexcept:
    cdef int64_t price = self.pool.levels[level].price
    return order.price >= price if order.side == BUY else order.price <= price


cdef inline int verdict_on(Core *self, Incoming *order) except -1:
    # Conditions on the whole are tried on a walk first, so that an order that fails them leaves no trace.
    if not (order.minimum or order.flags & (FOK | ALL_OR_NONE)):
        return MATCHES
    walk_through(self, order, False)
    if order.flags & FOK and self.walked < order.qty:
        emit(self, CANCELLED, order.id, 0, order.price, order.qty, FILL_OR_KILL)
        return ENDS
    if self.walked < order.minimum:
        emit(self, CANCELLED, order.id, 0, order.price, order.qty, MINIMUM)
        return ENDS
    return RESTS if order.flags & ALL_OR_NONE and self.walked < order.qty else MATCHES


cdef inline int conclude(Core *self, Incoming *order, int64_t rest, bint change) except -1:
    if rest == 0:
        return 0
    if order.flags & (IOC | FOK | MARKET):
        return emit(self, CANCELLED, order.id, 0, order.price, rest, IMMEDIATE)
    if change:
        rest_order(&self.pool, order, rest)
    return emit(self, RESTED, order.id, 0, order.price, rest, 0)


cdef inline int64_t trade_through(Core *self, Incoming *order) except -1:
    # Trade through the other side; return what is left to rest.
    cdef int opposite = order.side ^ 1
    cdef int64_t rest = order.qty, passed = 0
    cdef bint skipped = False
    cdef int32_t level = self.pool.best_level[opposite], at, after
    while rest and level >= 0 and crosses(self, order, level):
        at = first_of(&self.pool, level)
        while at >= 0 and rest:
            after = after_of(&self.pool, at)
            if terms_of(&self.pool, at) & ALL_OR_NONE and leaves_of(&self.pool, at) > rest:
                skipped, passed = True, self.pool.levels[level].price
            elif order.owner and is_owned(self, at, order.owner):
                rest = prevent(self, order, at, rest)
            else:
                rest -= fill(self, order, at, min(rest, shown_of(&self.pool, at)), &after)
            at = after
        # All-or-none orders that were passed over keep their level; the next one lies behind the last of those.
        level = tree_next(&self.pool.trees[opposite], passed, opposite == SELL) if skipped else self.pool.best_level[opposite]
    return rest


cdef inline int64_t fill(Core *self, Incoming *order, int32_t at, int64_t qty, int32_t *after) except -1:
    cdef int32_t back
    emit(self, FILLED, order.id, self.pool.orders[at].id, price_of(&self.pool, at), qty, leaves_of(&self.pool, at) - qty)
    back = take_shown(&self.pool, at, qty)
    if after[0] < 0:
        after[0] = back  # An iceberg alone at the back: its next part is the next to trade.
    if after[0] >= 0:  # Whoever is now first will be wanted soon.
        prefetch_slot(&self.pool, self.pool.orders[after[0]].id)
    return qty


cdef inline bint is_owned(Core *self, int32_t at, int64_t owner) noexcept:
    return terms_of(&self.pool, at) & OWNED and self.pool.extras[at].owner == owner


cdef inline int64_t prevent(Core *self, Incoming *order, int32_t at, int64_t rest) except -1:
    # Two orders of one owner met: apply the incoming order's mode; return what is left of it.
    cdef int64_t maker_id = self.pool.orders[at].id, price = price_of(&self.pool, at)
    cdef int64_t leaves = leaves_of(&self.pool, at), both
    if order.stp == DECREMENT:
        both = min(rest, leaves)
        emit(self, DECREMENTED, order.id, maker_id, price, both, leaves - both)
        shrink_order(&self.pool, at, leaves - both)
        return rest - both
    if order.stp != CANCEL_NEWEST:
        emit(self, CANCELLED, maker_id, order.id, price, leaves, SELF_TRADE)
        remove_order(&self.pool, at, -1)
    if order.stp != CANCEL_OLDEST:
        emit(self, CANCELLED, order.id, 0, order.price, rest, SELF_TRADE)
        return 0
    return rest


cdef inline int64_t walk_through(Core *self, Incoming *order, bint record) except -1:
    # The same as `_match` and `_prevent` without changing the book; icebergs come again through `hidden`.
    cdef int opposite = order.side ^ 1
    cdef int64_t rest = order.qty, qty, price
    cdef int32_t level = self.pool.best_level[opposite], at
    cdef Py_ssize_t first, last
    self.walked = 0
    while rest and level >= 0 and crosses(self, order, level):
        price, first, last = self.pool.levels[level].price, 0, 0
        at = first_of(&self.pool, level)
        while at >= 0 and rest:
            if terms_of(&self.pool, at) & ALL_OR_NONE and leaves_of(&self.pool, at) > rest:
                pass
            elif order.owner and is_owned(self, at, order.owner):
                rest = walk_prevented(self, order, at, rest, record)
            else:
                qty = min(rest, shown_of(&self.pool, at))
                rest -= qty
                last = walk_filled(self, order, at, qty, leaves_of(&self.pool, at) - qty, last, record)
            at = after_of(&self.pool, at)
        while first < last and rest:
            at = self.hidden[first].at
            qty = min(rest, self.pool.extras[at].display, self.hidden[first].leaves)
            rest -= qty
            last = walk_filled(self, order, at, qty, self.hidden[first].leaves - qty, last, record)
            first += 1
        level = worse_level(&self.pool, level, opposite)
    return rest


cdef inline Py_ssize_t walk_filled(
    Core *self, Incoming *order, int32_t at, int64_t qty, int64_t leaves, Py_ssize_t last, bint record
) except -1:
    self.walked += qty
    if record:
        emit(self, FILLED, order.id, self.pool.orders[at].id, price_of(&self.pool, at), qty, leaves)
    if leaves == 0 or not terms_of(&self.pool, at) & ICEBERG:
        return last
    if last == self.hidden_capacity:
        self.hidden = <Hidden *>grown(self.hidden, last * sizeof(Hidden), (last * 2 + 64) * sizeof(Hidden))
        self.hidden_capacity = last * 2 + 64
    self.hidden[last] = Hidden(leaves, at)
    return last + 1


cdef inline int64_t walk_prevented(Core *self, Incoming *order, int32_t at, int64_t rest, bint record) except -1:
    cdef int64_t maker_id = self.pool.orders[at].id, price = price_of(&self.pool, at)
    cdef int64_t leaves = leaves_of(&self.pool, at), both
    if order.stp == DECREMENT:
        both = min(rest, leaves)
        if record:
            emit(self, DECREMENTED, order.id, maker_id, price, both, leaves - both)
        return rest - both
    if order.stp != CANCEL_NEWEST and record:
        emit(self, CANCELLED, maker_id, order.id, price, leaves, SELF_TRADE)
    if order.stp != CANCEL_OLDEST:
        if record:
            emit(self, CANCELLED, order.id, 0, order.price, rest, SELF_TRADE)
        return 0
    return rest


cdef inline int cancel_order(Core *self, int64_t order_id, int32_t likely) except -1:
    cdef Py_ssize_t slot = slot_at(&self.pool, likely, order_id)
    cdef int32_t at
    if slot < 0:
        return emit(self, REJECTED, order_id, 0, 0, 0, UNKNOWN)
    at = index_at(&self.pool.ids, slot)
    emit(self, CANCELLED, order_id, 0, price_of(&self.pool, at), leaves_of(&self.pool, at), ASKED)
    remove_order(&self.pool, at, slot)
    return 0


cdef inline int amend_order(Core *self, int64_t order_id, int64_t price, int64_t qty) except -1:
    cdef int32_t at = find_order(&self.pool, order_id)
    cdef Incoming order
    cdef int terms
    if at < 0:
        return emit(self, REJECTED, order_id, 0, price, qty, UNKNOWN)
    if qty == 0:
        return cancel_order(self, order_id, -1)
    terms = terms_of(&self.pool, at)
    order = Incoming(
        order_id, price, qty, self.pool.extras[at].display if terms & ICEBERG else 0, 0,
        self.pool.extras[at].owner if terms & OWNED else 0, (terms & ON_SELL) != 0,
        terms & (POST_ONLY | ALL_OR_NONE), (terms >> STP_SHIFT) & 3,
    )
    if not are_terms(self, &order):
        return emit(self, REJECTED, order_id, 0, price, qty, BAD_TERMS)
    if price == price_of(&self.pool, at) and qty <= leaves_of(&self.pool, at):
        shrink_order(&self.pool, at, qty)
        return emit(self, AMENDED, order_id, 0, price, qty, 0)
    if order.flags & POST_ONLY and reaches(self, &order):
        return emit(self, REJECTED, order_id, 0, price, qty, POST_ONLY_REFUSED)
    remove_order(&self.pool, at, -1)
    emit(self, AMENDED, order_id, 0, price, qty, 0)
    return enter(self, &order)
