# The resting orders of a book: a pool of orders, a queue per price, trees of prices, a map of ids; no matching.
# Memory is chosen for a million orders at random: a cancel touches its slot in the map, half a cache line of its own
# and half a line of each neighbour.
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free
from piggy.core.idmap cimport IdMap, hashed, map_put, map_remove, map_resize
from piggy.core.memory cimport grown, pb_prefetch
from piggy.core.pricetree cimport PriceTree, tree_find, tree_next, tree_put, tree_remove

cdef enum:
    BUY, SELL
    NEW = 0, CANCEL = 1, AMEND = 2
    IOC = 1, FOK = 2, POST_ONLY = 4, ALL_OR_NONE = 8, MARKET = 16, FLAGS = 31
    ON_SELL = 32, ICEBERG = 64, OWNED = 128, STP_SHIFT = 8
    CANCEL_NEWEST = 0, CANCEL_OLDEST = 1, CANCEL_BOTH = 2, DECREMENT = 3
    FILLED = 1, RESTED = 2, CANCELLED = 3, REJECTED = 4, AMENDED = 5, DECREMENTED = 6
    ASKED = 0, IMMEDIATE = 1, FILL_OR_KILL = 2, MINIMUM = 3, SELF_TRADE = 4
    POST_ONLY_REFUSED = 5, DUPLICATE = 6, UNKNOWN = 7, BAD_TERMS = 8
    ENDS = 0, MATCHES = 1, RESTS = 2
    WIDTH = 6

cdef struct Order:  # 32 bytes: two to a cache line
    int64_t id
    int64_t leaves
    int32_t level
    int32_t terms  # flags, side and self-trade mode in one word
    int32_t before
    int32_t after

cdef struct Extra:  # read only where the order's terms say so
    int64_t display
    int64_t shown
    int64_t owner

cdef struct Level:
    int64_t price
    int64_t shown  # without all-or-none orders, which nobody can rely on
    int64_t leaves
    int32_t head
    int32_t tail
    int32_t count

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
    Extra *extras
    Level *levels
    IdMap ids
    PriceTree trees[2]
    int32_t best_level[2]
    int32_t order_capacity, order_used, order_vacant
    int32_t level_capacity, level_used, level_vacant


cdef inline int pool_open(Pool *self, int32_t capacity) except -1:
    cdef int side
    self.order_vacant = self.level_vacant = -1
    for side in range(2):
        self.best_level[side] = self.trees[side].root = self.trees[side].vacant = -1
    grow_orders(self, capacity)
    grow_levels(self, 256)
    return map_resize(&self.ids, 256)


cdef inline void pool_close(Pool *self) noexcept:
    free(self.orders)
    free(self.extras)
    free(self.levels)
    free(self.ids.slots)
    free(self.trees[0].nodes)
    free(self.trees[1].nodes)


cdef inline int grow_orders(Pool *self, int32_t capacity) except -1:
    cdef size_t used = self.order_used
    self.orders = <Order *>grown(self.orders, used * sizeof(Order), capacity * sizeof(Order))
    self.extras = <Extra *>grown(self.extras, used * sizeof(Extra), capacity * sizeof(Extra))
    self.order_capacity = capacity
    return 0


cdef inline int grow_levels(Pool *self, int32_t capacity) except -1:
    self.levels = <Level *>grown(self.levels, self.level_used * sizeof(Level), capacity * sizeof(Level))
    self.level_capacity = capacity
    return 0


cdef inline int32_t rest_order(Pool *self, Incoming *order, int64_t qty) except -1:
    cdef int32_t level = level_at(self, order.side, order.price), at = self.order_vacant
    cdef int64_t shown = order.display if 0 < order.display < qty else qty
    cdef int terms = order.flags | (order.stp << STP_SHIFT) | (ON_SELL if order.side else 0)
    if at >= 0:
        self.order_vacant = self.orders[at].after
    else:
        if self.order_used == self.order_capacity:
            grow_orders(self, self.order_capacity * 2)
        at = self.order_used
        self.order_used += 1
    map_put(&self.ids, order.id, at)
    if order.display or order.owner:
        terms |= (ICEBERG if order.display else 0) | (OWNED if order.owner else 0)
        self.extras[at] = Extra(order.display, shown, order.owner)
    self.orders[at] = Order(order.id, qty, level, terms, -1, -1)
    append_order(self, at, level)
    self.levels[level].count += 1
    self.levels[level].leaves += qty
    if not terms & ALL_OR_NONE:
        self.levels[level].shown += shown
    return at


cdef inline int64_t shown_of(Pool *self, int32_t at) noexcept:
    # What others see of an order: all of it, unless it is an iceberg.
    return self.extras[at].shown if self.orders[at].terms & ICEBERG else self.orders[at].leaves


cdef inline void append_order(Pool *self, int32_t at, int32_t level) noexcept:
    cdef Level *queue = &self.levels[level]
    self.orders[at].before, self.orders[at].after = queue.tail, -1
    if queue.tail >= 0:
        self.orders[queue.tail].after = at
    else:
        queue.head = at
    queue.tail = at


cdef inline void unlink_order(Pool *self, int32_t at, Level *queue) noexcept:
    cdef int32_t before = self.orders[at].before, after = self.orders[at].after
    if before >= 0:
        self.orders[before].after = after
    else:
        queue.head = after
    if after >= 0:
        self.orders[after].before = before
    else:
        queue.tail = before


cdef inline bint take_shown(Pool *self, int32_t at, int64_t qty) noexcept:
    # Take `qty` from what the order shows; tell whether it showed a further part at the back of its queue.
    cdef Order *order = &self.orders[at]
    cdef Level *queue = &self.levels[order.level]
    cdef Extra *extra
    if qty == order.leaves:
        remove_order(self, at)
        return False
    order.leaves -= qty
    queue.leaves -= qty
    queue.shown -= qty
    if not order.terms & ICEBERG:
        return False
    extra = &self.extras[at]
    extra.shown -= qty
    if extra.shown:
        return False
    extra.shown = min(extra.display, order.leaves)
    queue.shown += extra.shown
    unlink_order(self, at, queue)
    append_order(self, at, order.level)
    return True


cdef inline void shrink_order(Pool *self, int32_t at, int64_t leaves) noexcept:
    cdef Order *order = &self.orders[at]
    cdef Level *queue = &self.levels[order.level]
    cdef int64_t shown = shown_of(self, at)
    if leaves == 0:
        remove_order(self, at)
        return
    queue.leaves -= order.leaves - leaves
    order.leaves = leaves
    if shown > leaves:
        if not order.terms & ALL_OR_NONE:
            queue.shown -= shown - leaves
        if order.terms & ICEBERG:
            self.extras[at].shown = leaves


cdef inline void remove_order(Pool *self, int32_t at) noexcept:
    cdef Order *order = &self.orders[at]
    cdef Level *queue = &self.levels[order.level]
    map_remove(&self.ids, slot_of(self, order.id))
    unlink_order(self, at, queue)
    order.after = self.order_vacant
    self.order_vacant = at
    queue.count -= 1
    queue.leaves -= order.leaves
    if not order.terms & ALL_OR_NONE:
        queue.shown -= shown_of(self, at)
    if queue.count == 0:
        close_level(self, order.level, 1 if order.terms & ON_SELL else 0)


cdef inline int32_t level_at(Pool *self, int side, int64_t price) except -1:
    cdef int32_t at = self.best_level[side]
    if at >= 0 and self.levels[at].price == price:
        return at
    at = tree_find(&self.trees[side], price)
    return at if at >= 0 else open_level(self, side, price)


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
    self.levels[at] = Level(price, 0, 0, -1, -1, 0)
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
    cdef uint32_t tag = hashed(order_id), at = tag & self.ids.mask
    while self.ids.slots[at].index >= 0:
        if self.ids.slots[at].tag == tag and self.orders[self.ids.slots[at].index].id == order_id:
            return at
        at = (at + 1) & self.ids.mask
    return -1


cdef inline int32_t find_order(Pool *self, int64_t order_id) noexcept:
    cdef Py_ssize_t slot = slot_of(self, order_id)
    return -1 if slot < 0 else self.ids.slots[slot].index


cdef inline int32_t likely(Pool *self, int64_t order_id) noexcept:
    # Where an order most likely lies, by its hash alone; -1 where it is not here.
    cdef uint32_t tag = hashed(order_id), at = tag & self.ids.mask
    while self.ids.slots[at].index >= 0 and self.ids.slots[at].tag != tag:
        at = (at + 1) & self.ids.mask
    return self.ids.slots[at].index


cdef inline void prefetch_order(Pool *self, int64_t order_id) noexcept:
    cdef int32_t at = likely(self, order_id)
    if at >= 0:
        pb_prefetch(&self.orders[at])


cdef inline void prefetch_neighbours(Pool *self, int64_t order_id) noexcept:
    cdef int32_t at = likely(self, order_id)
    if at >= 0:
        if self.orders[at].before >= 0:
            pb_prefetch(&self.orders[self.orders[at].before])
        if self.orders[at].after >= 0:
            pb_prefetch(&self.orders[self.orders[at].after])
        pb_prefetch(&self.levels[self.orders[at].level])


cdef inline void prefetch_tail(Pool *self, int side, int64_t price) noexcept:
    cdef int32_t level = tree_find(&self.trees[side], price)
    if level >= 0 and self.levels[level].tail >= 0:
        pb_prefetch(&self.orders[self.levels[level].tail])
