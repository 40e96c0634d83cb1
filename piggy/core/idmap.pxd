# Order id -> pool index: open addressing, linear probing, backward-shift deletion, never more than half full.
# A slot keeps 32 bits of the hash, from which its home follows, so that neither probing nor shifting reads the orders.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from piggy.core.memory cimport grown, pb_prefetch

cdef struct Slot:
    uint32_t tag
    int32_t index  # -1: empty

cdef struct IdMap:
    Slot *slots
    uint32_t mask
    uint32_t used


cdef inline uint32_t hashed(int64_t key) noexcept:
    return <uint32_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> 32)


cdef inline int map_resize(IdMap *self, uint32_t size) except -1:
    cdef Slot *old = self.slots
    cdef uint32_t old_size = self.mask + 1 if old != NULL else 0
    cdef uint32_t at
    self.slots = <Slot *>grown(NULL, 0, size * sizeof(Slot))
    self.mask = size - 1
    for at in range(size):
        self.slots[at].index = -1
    for at in range(old_size):
        if old[at].index >= 0:
            map_place(self, old[at].tag, old[at].index)
    free(old)
    return 0


cdef inline void map_place(IdMap *self, uint32_t tag, int32_t index) noexcept:
    cdef uint32_t at = tag & self.mask
    while self.slots[at].index >= 0:
        at = (at + 1) & self.mask
    self.slots[at].tag = tag
    self.slots[at].index = index


cdef inline int map_put(IdMap *self, int64_t key, int32_t index) except -1:
    if self.used * 2 > self.mask:
        map_resize(self, (self.mask + 1) * 2)
    map_place(self, hashed(key), index)
    self.used += 1
    return 0


cdef inline void map_remove(IdMap *self, uint32_t at) noexcept:
    # Close the gap: whoever probed past it moves back, unless its home lies after the gap.
    cdef uint32_t gap = at, probe = at
    while True:
        probe = (probe + 1) & self.mask
        if self.slots[probe].index < 0:
            break
        if ((probe - (self.slots[probe].tag & self.mask)) & self.mask) >= ((probe - gap) & self.mask):
            self.slots[gap] = self.slots[probe]
            gap = probe
    self.slots[gap].index = -1
    self.used -= 1
