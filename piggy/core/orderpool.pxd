# The resting orders of a book: a pool of orders, a queue per price, trees of prices, a map of ids; no matching.
# A queue is a chain of runs of sixteen places that are filled in order and never twice, so that neighbours in time are
# neighbours in memory. Memory is chosen for a million orders at random: a cancel writes to its slot in the map and to
# the bits of its run, and only reads the order itself; its neighbours are left alone.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t
from libc.stdlib cimport free
from piggy.core.idmap cimport (
    BUCKET_SHIFT, IdMap, hashed, home_of, index_at, map_put, map_remove, map_reserve, map_resize, pb_tagged, pb_vacant,
    set_index
)
from piggy.core.memory cimport grown, pb_lowest, pb_prefetch
from piggy.core.pricetree cimport PriceTree, tree_find, tree_next, tree_put, tree_remove

cdef enum:
    BUY, SELL
    NEW = 0, CANCEL = 1, AMEND = 2
    IOC = 1, FOK = 2, POST_ONLY = 4, ALL_OR_NONE = 8, MARKET = 16, FLAGS = 31
    ON_SELL = 32, ICEBERG = 64, OWNED = 128, STP_SHIFT = 8, TERMS = 1023, LEAVES_SHIFT = 10
    CANCEL_NEWEST = 0, CANCEL_OLDEST = 1, CANCEL_BOTH = 2, DECREMENT = 3
    FILLED = 1, RESTED = 2, CANCELLED = 3, REJECTED = 4, AMENDED = 5, DECREMENTED = 6
    ASKED = 0, IMMEDIATE = 1, FILL_OR_KILL = 2, MINIMUM = 3, SELF_TRADE = 4
    POST_ONLY_REFUSED = 5, DUPLICATE = 6, UNKNOWN = 7, BAD_TERMS = 8
    ENDS = 0, MATCHES = 1, RESTS = 2
    WIDTH = 6
    RUN_SHIFT = 4, RUN = 16, PLACE = 15
    HINTS = 2048

cdef struct Order:  # 16 bytes: four to a cache line
    int64_t id
    int64_t word  # what is open of it; below that, flags, side and self-trade mode

cdef struct Run:  # sixteen places of one queue; place p of run r is order 16 r + p
    int32_t level
    int32_t before
    int32_t after
    uint16_t live  # a bit for each place that holds an order; 0 only while the run is vacant
    uint16_t used  # places that were ever filled

cdef struct Extra:  # read only where the order's terms say so
    int64_t display
    int64_t shown
    int64_t owner

cdef struct Level:
    int64_t price
    int64_t shown  # without all-or-none orders, which nobody can rely on
    int64_t leaves
    int32_t head  # the first and the last run of its queue
    int32_t tail
    int32_t count  # 0 while the level is vacant
    int32_t side

cdef struct Incoming:
    int64_t id
    int64_t price
    int64_t qty
    int64_t display
    int64_t minimum
    int64_t owner
    int side
    int flags
    int stp

cdef struct Pool:
    Order *orders
    Run *runs
    Extra *extras  # as many as orders, but only once an order needs one
    Level *levels
    IdMap ids
    PriceTree trees[2]
    int32_t best_level[2]
    int32_t hints[2][HINTS]  # where a price of these lower bits was last found; looked at again before it is believed
    int32_t run_capacity, run_used, run_vacant
    int32_t level_capacity, level_used, level_vacant


cdef inline int pool_open(Pool *self, int32_t capacity) except -1:
    cdef int side
    self.run_vacant = self.level_vacant = -1
    for side in range(2):
        self.best_level[side] = self.trees[side].root = self.trees[side].vacant = -1
    grow_runs(self, (capacity >> RUN_SHIFT) + 16)
    grow_levels(self, 256)
    self.levels[0].count = 0  # What every hint points at to begin with.
    return map_resize(&self.ids, 32)


cdef inline void pool_close(Pool *self) noexcept:
    free(self.orders)
    free(self.runs)
    free(self.extras)
    free(self.levels)
    free(self.ids.buckets)
    free(self.trees[0].nodes)
    free(self.trees[1].nodes)


cdef inline int grow_runs(Pool *self, int32_t capacity) except -1:
    cdef size_t used = self.run_used, size = capacity
    self.orders = <Order *>grown(self.orders, used * RUN * sizeof(Order), size * RUN * sizeof(Order))
    self.runs = <Run *>grown(self.runs, used * sizeof(Run), size * sizeof(Run))
    if self.extras != NULL:
        self.extras = <Extra *>grown(self.extras, used * RUN * sizeof(Extra), size * RUN * sizeof(Extra))
    self.run_capacity = capacity
    return 0


cdef inline int grow_levels(Pool *self, int32_t capacity) except -1:
    self.levels = <Level *>grown(self.levels, self.level_used * sizeof(Level), capacity * sizeof(Level))
    self.level_capacity = capacity
    return 0


cdef inline int32_t rest_order(Pool *self, Incoming *order, int64_t qty) except -1:
    cdef int32_t level, at
    cdef int64_t shown = order.display if 0 < order.display < qty else qty
    cdef int terms = order.flags | (order.stp << STP_SHIFT) | (ON_SELL if order.side else 0)
    make_room(self, order.display or order.owner)
    level = level_at(self, order.side, order.price)
    at = append_place(self, level)
    map_put(&self.ids, order.id, at)
    if order.display or order.owner:
        terms |= (ICEBERG if order.display else 0) | (OWNED if order.owner else 0)
        self.extras[at] = Extra(order.display, shown, order.owner)
    self.orders[at] = Order(order.id, qty << LEAVES_SHIFT | terms)
    self.levels[level].count += 1
    self.levels[level].leaves += qty
    if not terms & ALL_OR_NONE:
        self.levels[level].shown += shown
    return at


cdef inline int make_room(Pool *self, bint extra) except -1:
    # Before anything changes, as there may be no memory: afterwards an order and its place cannot fail.
    if self.run_vacant < 0 and self.run_used == self.run_capacity:
        grow_runs(self, self.run_capacity * 2)
    if extra and self.extras == NULL:
        self.extras = <Extra *>grown(NULL, 0, <size_t>self.run_capacity * RUN * sizeof(Extra))
    return map_reserve(&self.ids)


cdef inline int64_t leaves_of(Pool *self, int32_t at) noexcept:
    return self.orders[at].word >> LEAVES_SHIFT


cdef inline int terms_of(Pool *self, int32_t at) noexcept:
    return self.orders[at].word & TERMS


cdef inline int32_t level_of(Pool *self, int32_t at) noexcept:
    return self.runs[at >> RUN_SHIFT].level


cdef inline int64_t price_of(Pool *self, int32_t at) noexcept:
    return self.levels[level_of(self, at)].price


cdef inline int64_t shown_of(Pool *self, int32_t at) noexcept:
    # What others see of an order: all of it, unless it is an iceberg.
    return self.extras[at].shown if terms_of(self, at) & ICEBERG else leaves_of(self, at)


cdef inline int32_t first_of(Pool *self, int32_t level) noexcept:
    # The order of a level that is next to trade.
    cdef int32_t run = self.levels[level].head
    return run << RUN_SHIFT | pb_lowest(self.runs[run].live)


cdef inline int32_t after_of(Pool *self, int32_t at) noexcept:
    # The order behind another in its queue, -1 behind the last.
    cdef int32_t run = at >> RUN_SHIFT
    cdef uint32_t later = self.runs[run].live & (<uint32_t>-2 << (at & PLACE))
    if not later:
        run = self.runs[run].after
        if run < 0:
            return -1
        later = self.runs[run].live
    return run << RUN_SHIFT | pb_lowest(later)


cdef inline int32_t append_place(Pool *self, int32_t level) noexcept:
    # The place at the back of a queue, taken; `make_room` was asked.
    cdef int32_t at = self.levels[level].tail
    cdef Run *run
    if at < 0 or self.runs[at].used == RUN:
        at = append_run(self, level)
    run = &self.runs[at]
    at = at << RUN_SHIFT | run.used
    run.live |= 1 << run.used
    run.used += 1
    return at


cdef inline int32_t append_run(Pool *self, int32_t level) noexcept:
    cdef int32_t at = self.run_vacant, tail = self.levels[level].tail
    if at >= 0:
        self.run_vacant = self.runs[at].after
    else:
        at = self.run_used
        self.run_used += 1
    self.runs[at] = Run(level, tail, -1, 0, 0)
    if tail >= 0:
        self.runs[tail].after = at
    else:
        self.levels[level].head = at
    self.levels[level].tail = at
    return at


cdef inline void leave_place(Pool *self, int32_t at, Level *queue) noexcept:
    cdef Run *run = &self.runs[at >> RUN_SHIFT]
    run.live &= ~(1 << (at & PLACE))
    if run.live:
        return
    if run.before >= 0:
        self.runs[run.before].after = run.after
    else:
        queue.head = run.after
    if run.after >= 0:
        self.runs[run.after].before = run.before
    else:
        queue.tail = run.before
    run.after = self.run_vacant
    self.run_vacant = at >> RUN_SHIFT


cdef inline int32_t take_shown(Pool *self, int32_t at, int64_t qty) except -2:
    # Take `qty` from what the order shows; return its new place if it showed a further part at the back, else -1.
    cdef Level *queue = &self.levels[level_of(self, at)]
    cdef int64_t leaves = leaves_of(self, at) - qty
    make_room(self, False)
    if leaves == 0:
        remove_order(self, at, -1)
        return -1
    self.orders[at].word -= qty << LEAVES_SHIFT
    queue.leaves -= qty
    queue.shown -= qty
    if not terms_of(self, at) & ICEBERG:
        return -1
    self.extras[at].shown -= qty
    if self.extras[at].shown:
        return -1
    self.extras[at].shown = min(self.extras[at].display, leaves)
    queue.shown += self.extras[at].shown
    return move_back(self, at, queue)


cdef inline int32_t move_back(Pool *self, int32_t at, Level *queue) noexcept:
    cdef int32_t back = append_place(self, level_of(self, at))
    self.orders[back] = self.orders[at]
    self.extras[back] = self.extras[at]
    set_index(&self.ids, slot_of(self, self.orders[at].id), back)
    leave_place(self, at, queue)
    return back


cdef inline void shrink_order(Pool *self, int32_t at, int64_t leaves) noexcept:
    cdef Level *queue = &self.levels[level_of(self, at)]
    cdef int64_t shown = shown_of(self, at)
    if leaves == 0:
        remove_order(self, at, -1)
        return
    queue.leaves -= leaves_of(self, at) - leaves
    self.orders[at].word = leaves << LEAVES_SHIFT | terms_of(self, at)
    if shown > leaves:
        if not terms_of(self, at) & ALL_OR_NONE:
            queue.shown -= shown - leaves
        if terms_of(self, at) & ICEBERG:
            self.extras[at].shown = leaves


cdef inline void remove_order(Pool *self, int32_t at, Py_ssize_t slot) noexcept:
    # `slot` is where its id lies in the map, -1 if the caller does not know.
    cdef int32_t level = level_of(self, at)
    cdef Level *queue = &self.levels[level]
    map_remove(&self.ids, slot_of(self, self.orders[at].id) if slot < 0 else slot)
    queue.count -= 1
    queue.leaves -= leaves_of(self, at)
    if not terms_of(self, at) & ALL_OR_NONE:
        queue.shown -= shown_of(self, at)
    leave_place(self, at, queue)
    if queue.count == 0:
        close_level(self, level, 1 if terms_of(self, at) & ON_SELL else 0)


cdef inline int32_t level_at(Pool *self, int side, int64_t price) except -1:
    cdef int32_t at = self.hints[side][price & (HINTS - 1)]
    if self.levels[at].price == price and self.levels[at].side == side and self.levels[at].count:
        return at
    at = tree_find(&self.trees[side], price)
    if at < 0:
        at = open_level(self, side, price)
    self.hints[side][price & (HINTS - 1)] = at
    return at


cdef inline int32_t open_level(Pool *self, int side, int64_t price) except -1:
    cdef int32_t at = self.level_vacant, best = self.best_level[side]
    if at >= 0:
        self.level_vacant = self.levels[at].head
    else:
        if self.level_used == self.level_capacity:
            grow_levels(self, self.level_capacity * 2)
        at = self.level_used
        self.level_used += 1
    tree_put(&self.trees[side], price, at)
    self.levels[at] = Level(price, 0, 0, -1, -1, 0, side)
    if best < 0 or (price > self.levels[best].price) == (side == BUY):
        self.best_level[side] = at
    return at


cdef inline void close_level(Pool *self, int32_t at, int side) noexcept:
    if self.best_level[side] == at:
        self.best_level[side] = worse_level(self, at, side)
    tree_remove(&self.trees[side], self.levels[at].price)
    self.levels[at].head = self.level_vacant
    self.level_vacant = at


cdef inline int32_t worse_level(Pool *self, int32_t level, int side) noexcept:
    return tree_next(&self.trees[side], self.levels[level].price, side == SELL)


cdef inline Py_ssize_t slot_of(Pool *self, int64_t order_id) noexcept:
    # Where an order's id lies in the map, -1 where it does not.
    cdef uint32_t tag = hashed(order_id), at = home_of(&self.ids, tag), bits, vacant
    while True:
        vacant = pb_vacant(&self.ids.buckets[at])
        bits = pb_tagged(&self.ids.buckets[at], tag) & ~vacant
        while bits:
            if self.orders[self.ids.buckets[at].index[pb_lowest(bits)]].id == order_id:
                return <Py_ssize_t>at << BUCKET_SHIFT | pb_lowest(bits)
            bits &= bits - 1
        if vacant:
            return -1
        at = (at + 1) & self.ids.mask


cdef inline int32_t find_order(Pool *self, int64_t order_id) noexcept:
    cdef Py_ssize_t slot = slot_of(self, order_id)
    return -1 if slot < 0 else index_at(&self.ids, slot)


cdef inline void prefetch_slot(Pool *self, int64_t order_id) noexcept:
    pb_prefetch(&self.ids.buckets[home_of(&self.ids, hashed(order_id))])


cdef inline int32_t prefetch_order(Pool *self, int64_t order_id) noexcept:
    # For a later command: return the slot where the id most likely lies, a guess that is looked at again then.
    cdef uint32_t tag = hashed(order_id), at = home_of(&self.ids, tag)
    cdef uint32_t bits = pb_tagged(&self.ids.buckets[at], tag) & ~pb_vacant(&self.ids.buckets[at])
    cdef int32_t index
    if not bits:
        return -1
    index = self.ids.buckets[at].index[pb_lowest(bits)]
    pb_prefetch(&self.orders[index])
    pb_prefetch(&self.runs[index >> RUN_SHIFT])
    return at << BUCKET_SHIFT | pb_lowest(bits)


cdef inline Py_ssize_t slot_at(Pool *self, int32_t likely, int64_t order_id) noexcept:
    if 0 <= likely and likely >> BUCKET_SHIFT <= <int64_t>self.ids.mask and index_at(&self.ids, likely) >= 0:
        if self.orders[index_at(&self.ids, likely)].id == order_id:
            return likely
    return slot_of(self, order_id)
