# Ordered set of prices of one side: a 64-ary tree of bitmaps that is only as high as the prices are apart.
# Finding, adding, removing and "the next price" each touch one node per tier (three for a five-digit currency pair).
from libc.stdint cimport int32_t, int64_t, uint64_t
from piggy.core.memory cimport grown, pb_highest, pb_lowest

cdef enum:
    TIERS_MAX = 10

cdef struct Node:
    uint64_t bits
    int32_t child[64]

cdef struct PriceTree:
    Node *nodes
    int32_t capacity
    int32_t used
    int32_t vacant  # chain of freed nodes through child[0], -1: none
    int32_t root  # -1: empty
    int tiers
    uint64_t prefix


cdef inline uint64_t key_of(int64_t price) noexcept:
    # Prices stay within 2 ** 58 either way, so keys are positive and ten tiers cover them.
    return <uint64_t>(price + (<int64_t>1 << 58))


cdef inline int32_t tree_node(PriceTree *self) except -1:
    cdef int32_t at = self.vacant
    if at >= 0:
        self.vacant = self.nodes[at].child[0]
    else:
        if self.used == self.capacity:
            self.nodes = <Node *>grown(self.nodes, self.used * sizeof(Node), max(self.capacity * 2, 64) * sizeof(Node))
            self.capacity = max(self.capacity * 2, 64)
        at = self.used
        self.used += 1
    self.nodes[at].bits = 0
    return at


cdef inline int32_t tree_find(PriceTree *self, int64_t price) noexcept:
    cdef uint64_t key = key_of(price)
    cdef int shift = 6 * self.tiers
    cdef int32_t at = self.root
    cdef int slot
    if at < 0 or key >> shift != self.prefix:
        return -1
    while shift:
        shift -= 6
        slot = (key >> shift) & 63
        if not (self.nodes[at].bits >> slot) & 1:
            return -1
        at = self.nodes[at].child[slot]
    return at


cdef inline int tree_put(PriceTree *self, int64_t price, int32_t value) except -1:
    cdef uint64_t key = key_of(price)
    cdef int32_t at, below
    cdef int shift, slot
    if self.root < 0:
        self.root, self.tiers, self.prefix = tree_node(self), 1, key >> 6
    while key >> (6 * self.tiers) != self.prefix:
        at = tree_node(self)
        slot = self.prefix & 63
        self.nodes[at].bits = <uint64_t>1 << slot
        self.nodes[at].child[slot] = self.root
        self.root, self.tiers, self.prefix = at, self.tiers + 1, self.prefix >> 6
    at, shift = self.root, 6 * self.tiers
    while shift > 6:
        shift -= 6
        slot = (key >> shift) & 63
        if not (self.nodes[at].bits >> slot) & 1:
            below = tree_node(self)
            self.nodes[at].bits |= <uint64_t>1 << slot
            self.nodes[at].child[slot] = below
        at = self.nodes[at].child[slot]
    slot = key & 63
    self.nodes[at].bits |= <uint64_t>1 << slot
    self.nodes[at].child[slot] = value
    return 0


cdef inline int tree_path(PriceTree *self, uint64_t key, int32_t *path) noexcept:
    # The nodes from the root down to the leaf of a key that is in the tree.
    cdef int tier
    path[0] = self.root
    for tier in range(1, self.tiers):
        path[tier] = self.nodes[path[tier - 1]].child[(key >> (6 * (self.tiers - tier))) & 63]
    return self.tiers


cdef inline void tree_remove(PriceTree *self, int64_t price) noexcept:
    cdef int32_t path[TIERS_MAX]
    cdef uint64_t key = key_of(price)
    cdef int tier = tree_path(self, key, path) - 1
    cdef Node *node
    while tier >= 0:
        node = &self.nodes[path[tier]]
        node.bits &= ~(<uint64_t>1 << ((key >> (6 * (self.tiers - 1 - tier))) & 63))
        if node.bits:
            return
        node.child[0] = self.vacant
        self.vacant = path[tier]
        tier -= 1
    self.root = -1


cdef inline int32_t tree_next(PriceTree *self, int64_t price, bint upward) noexcept:
    # The value at the nearest price above (or below) one that is in the tree, -1 where there is none.
    cdef int32_t path[TIERS_MAX]
    cdef uint64_t key = key_of(price)
    cdef uint64_t bits
    cdef int tier = tree_path(self, key, path) - 1
    cdef int slot
    cdef int32_t at
    while tier >= 0:
        slot = (key >> (6 * (self.tiers - 1 - tier))) & 63
        bits = self.nodes[path[tier]].bits
        bits = bits & ~((<uint64_t>2 << slot) - 1) if upward else bits & ((<uint64_t>1 << slot) - 1)
        if bits:
            at = path[tier]
            while True:
                slot = pb_lowest(bits) if upward else pb_highest(bits)
                at = self.nodes[at].child[slot]
                tier += 1
                if tier == self.tiers:
                    return at
                bits = self.nodes[at].bits
        tier -= 1
    return -1
