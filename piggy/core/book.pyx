# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# distutils: extra_compile_args = -O3
"""The price-time order book of one symbol, compiled. Prices are integer points, quantities integer lot points.

Two ways in: a call per command (`submit`, `cancel`, `amend`), and `run` over arrays; both give the same events. A desk
that must decide before it changes anything asks `walk`, and later applies what was recorded with `add`, `take`,
`shrink` and `remove`. The numbers of sides, flags and events are those of `booktypes.py`.

Orders lie in a pool; each price level is a queue of runs of sixteen orders; a 64-ary bitmap tree finds levels and the
next best price; a hash map finds orders. A command takes as many steps on a large book as on a small one.
"""

from libc.stdint cimport int32_t, int64_t, int8_t
from libc.stdlib cimport free
from libc.string cimport memcpy
from piggy.core.bookcore cimport *
from piggy.core.memory cimport grown
from piggy.core.orderpool cimport *

import numpy


class UnableToChangeBook(Exception):
    """A primitive change does not fit the book: the caller's copy and the book have parted."""


cdef class Book:
    cdef Core core

    def __cinit__(self, *, int capacity=1024):
        pool_open(&self.core.pool, max(capacity, 64))
        self.core.event_capacity = 1024
        self.core.out = <int64_t *>grown(NULL, 0, 1024 * ROW_BYTES)

    def __dealloc__(self):
        pool_close(&self.core.pool)
        free(self.core.out)
        free(self.core.hidden)

    # -- a call per command ------------------------------------------------------------------------------------------

    def submit(
        self, *, int64_t order_id, int side, int64_t price, int64_t qty, int flags=0, int64_t owner=0, int stp=0,
        int64_t display=0, int64_t minimum=0,
    ):
        """Match an incoming order and rest what may rest; return its events in order."""
        cdef Incoming order = Incoming(order_id, price, qty, display, minimum, owner, side, flags, stp)
        self.core.event_count = 0
        submit_order(&self.core, &order)
        return self._events()

    def cancel(self, *, int64_t order_id):
        """Take an order off the book; return its events."""
        self.core.event_count = 0
        cancel_order(&self.core, order_id, -1)
        return self._events()

    def amend(self, *, int64_t order_id, int64_t price, int64_t qty):
        """Give a resting order a price and an open quantity; less at the same price keeps its place, else it queues
        anew and may trade; 0 cancels. Return its events."""
        self.core.event_count = 0
        amend_order(&self.core, order_id, price, qty)
        return self._events()

    # -- many commands over arrays -----------------------------------------------------------------------------------

    def run(
        self, *, const int8_t[::1] op, const int64_t[::1] order_id, const int8_t[::1] side, const int64_t[::1] price,
        const int64_t[::1] qty, const int32_t[::1] flags=None, const int64_t[::1] owner=None,
        const int8_t[::1] stp=None, const int64_t[::1] display=None, const int64_t[::1] minimum=None,
    ):
        """Run commands in order. Return their events, int64 of shape (n, 6)."""
        cdef Py_ssize_t at, size = op.shape[0], far, near
        cdef int32_t likely[32]
        cdef Incoming order
        cdef int64_t[:, ::1] rows
        if not order_id.shape[0] == side.shape[0] == price.shape[0] == qty.shape[0] == size:
            raise ValueError("the columns of a batch are of one length")
        if (
            (flags is not None and flags.shape[0] != size) or (owner is not None and owner.shape[0] != size)
            or (stp is not None and stp.shape[0] != size) or (display is not None and display.shape[0] != size)
            or (minimum is not None and minimum.shape[0] != size)
        ):
            raise ValueError("the columns of a batch are of one length")
        self.core.event_count = 0
        for at in range(32):
            likely[at] = -1
        for at in range(size):
            # What a later command will touch is fetched in two steps, the second of which needs the first.
            far, near = min(at + 32, size - 1), min(at + 16, size - 1)
            prefetch_slot(&self.core.pool, order_id[far])
            if op[near] != NEW:
                likely[near & 31] = prefetch_order(&self.core.pool, order_id[near])
            if op[at] == NEW:
                order = Incoming(
                    order_id[at], price[at], qty[at], 0 if display is None else display[at],
                    0 if minimum is None else minimum[at], 0 if owner is None else owner[at], side[at],
                    0 if flags is None else flags[at], 0 if stp is None else stp[at],
                )
                submit_order(&self.core, &order)
            elif op[at] == CANCEL:
                cancel_order(&self.core, order_id[at], likely[at & 31])
            elif op[at] == AMEND:
                amend_order(&self.core, order_id[at], price[at], qty[at])
            else:
                emit(&self.core, REJECTED, order_id[at], 0, price[at], qty[at], BAD_TERMS)
        events = numpy.empty((self.core.event_count, WIDTH), dtype=numpy.int64)
        if self.core.event_count:
            rows = events
            memcpy(&rows[0, 0], self.core.out, self.core.event_count * ROW_BYTES)
        return events

    # -- what would happen -------------------------------------------------------------------------------------------

    def walk(
        self, *, int side, int64_t price, int64_t qty, int flags=0, int64_t owner=0, int stp=0, int64_t order_id=0,
        int64_t minimum=0,
    ):
        """Return the events that `submit` of such an order would give, without changing anything."""
        cdef Incoming order = Incoming(order_id, price, qty, 0, minimum, owner, side, flags, stp)
        cdef int verdict
        self.core.event_count = 0
        if admitted(&self.core, &order, False):
            verdict = verdict_on(&self.core, &order)
            if verdict != ENDS:
                conclude(&self.core, &order, order.qty if verdict == RESTS else walk_through(&self.core, &order, True), False)
        return self._events()

    # -- primitive changes, for applying what was recorded --------------------------------------------------------------

    def add(
        self, *, int64_t order_id, int side, int64_t price, int64_t qty, int flags=0, int64_t owner=0, int stp=0,
        int64_t display=0, int64_t shown=0,
    ):
        """Rest an order at the back of its price without matching; `shown` is for a half-traded iceberg."""
        cdef Incoming order = Incoming(order_id, price, qty, display, 0, owner, side, flags, stp)
        cdef int32_t at
        if order_id == 0 or not are_terms(&self.core, &order) or flags & (IOC | FOK | MARKET) or find_order(&self.core.pool, order_id) >= 0:
            raise UnableToChangeBook(f"order {order_id} cannot be added")
        at = rest_order(&self.core.pool, &order, qty)
        if display and 0 < shown < shown_of(&self.core.pool, at):
            self.core.pool.levels[level_of(&self.core.pool, at)].shown -= shown_of(&self.core.pool, at) - shown
            self.core.pool.extras[at].shown = shown

    def take(self, *, int64_t order_id, int64_t qty):
        """Apply a fill of a resting order: an iceberg shows its next part at the back of the queue."""
        cdef int32_t at = self._required(order_id)
        if not 0 < qty <= shown_of(&self.core.pool, at):
            raise UnableToChangeBook(f"order {order_id} does not show {qty}")
        take_shown(&self.core.pool, at, qty)

    def shrink(self, *, int64_t order_id, int64_t leaves):
        """Lower what is open of an order; it keeps its place. Nothing left removes it."""
        cdef int32_t at = self._required(order_id)
        if not 0 <= leaves <= leaves_of(&self.core.pool, at):
            raise UnableToChangeBook(f"order {order_id} cannot shrink to {leaves}")
        shrink_order(&self.core.pool, at, leaves)

    def remove(self, *, int64_t order_id):
        """Take an order off the book; return what was open of it."""
        cdef int32_t at = self._required(order_id)
        cdef int64_t leaves = leaves_of(&self.core.pool, at)
        remove_order(&self.core.pool, at, -1)
        return leaves

    # -- views ---------------------------------------------------------------------------------------------------------

    def __len__(self):
        return self.core.pool.ids.used

    def __contains__(self, int64_t order_id):
        return find_order(&self.core.pool, order_id) >= 0

    def best(self, *, int side):
        """L1: (price, shown quantity) of the best level that shows anything, None on an empty side."""
        cdef int32_t at = self.core.pool.best_level[side & 1]
        while at >= 0 and self.core.pool.levels[at].shown == 0:
            at = worse_level(&self.core.pool, at, side & 1)
        return None if at < 0 else (self.core.pool.levels[at].price, self.core.pool.levels[at].shown)

    def depth(self, *, int side, int levels=10):
        """L2: [(price, shown quantity, orders)] of at most `levels` prices, best first."""
        cdef int32_t at = self.core.pool.best_level[side & 1]
        rows = []
        while at >= 0 and len(rows) < levels:
            if self.core.pool.levels[at].shown:
                rows.append((self.core.pool.levels[at].price, self.core.pool.levels[at].shown, self.core.pool.levels[at].count))
            at = worse_level(&self.core.pool, at, side & 1)
        return rows

    def queue(self, *, int side, int64_t limit=-1):
        """L3: [(order_id, price, shown, leaves, owner)] in the order in which they would trade, all by default."""
        cdef int32_t level = self.core.pool.best_level[side & 1], at
        rows = []
        while level >= 0:
            at = first_of(&self.core.pool, level)
            while at >= 0:
                if len(rows) == limit:
                    return rows
                rows.append(self._row(at))
                at = after_of(&self.core.pool, at)
            level = worse_level(&self.core.pool, level, side & 1)
        return rows

    def order(self, *, int64_t order_id):
        """Return (order_id, price, shown, leaves, owner) of a resting order, None when it does not rest here."""
        cdef int32_t at = find_order(&self.core.pool, order_id)
        return None if at < 0 else self._row(at)

    cdef int32_t _required(self, int64_t order_id) except -1:
        cdef int32_t at = find_order(&self.core.pool, order_id)
        if at < 0:
            raise UnableToChangeBook(f"order {order_id} does not rest here")
        return at

    cdef tuple _row(self, int32_t at):
        cdef Pool *pool = &self.core.pool
        cdef int64_t owner = pool.extras[at].owner if terms_of(pool, at) & OWNED else 0
        return (pool.orders[at].id, price_of(pool, at), shown_of(pool, at), leaves_of(pool, at), owner)

    cdef list _events(self):
        cdef Py_ssize_t at
        cdef int64_t *row = self.core.out
        cdef list events = []
        for at in range(self.core.event_count):
            events.append((row[0], row[1], row[2], row[3], row[4], row[5]))
            row += WIDTH
        return events
