# Order id -> pool index: buckets of eight slots, a cache line each; a full bucket goes on in the next. Half full at most.
# A slot keeps 32 bits of the hash, from which its home follows, so that neither finding nor closing up reads the orders.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from piggy.core.memory cimport grown, pb_lowest, pb_prefetch

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    typedef struct { uint32_t tag[8]; int32_t index[8]; } pb_bucket;
    static inline unsigned pb_tagged(const pb_bucket *bucket, uint32_t tag) {
    #ifdef __SSE2__
        const __m128i *tags = (const __m128i *)bucket->tag;
        const __m128i wanted = _mm_set1_epi32((int)tag);
        return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(tags), wanted)))
            | (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(_mm_load_si128(tags + 1), wanted))) << 4;
    #else
        unsigned bits = 0;
        for (int at = 0; at < 8; at++) bits |= (unsigned)(bucket->tag[at] == tag) << at;
        return bits;
    #endif
    }
    static inline unsigned pb_vacant(const pb_bucket *bucket) {
    #ifdef __SSE2__
        const __m128i *places = (const __m128i *)bucket->index;
        return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_load_si128(places)))
            | (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_load_si128(places + 1))) << 4;
    #else
        unsigned bits = 0;
        for (int at = 0; at < 8; at++) bits |= (unsigned)(bucket->index[at] < 0) << at;
        return bits;
    #endif
    }
    """
    ctypedef struct Bucket "pb_bucket":
        uint32_t tag[8]
        int32_t index[8]  # -1: vacant
    unsigned int pb_tagged(const Bucket *bucket, uint32_t tag) noexcept
    unsigned int pb_vacant(const Bucket *bucket) noexcept

cdef enum:
    BUCKET_SHIFT = 3, SLOT = 7

cdef struct IdMap:
    Bucket *buckets
    uint32_t mask
    uint32_t used
    int shift  # the upper bits of a hash say where its home is: they spread ids in a row most evenly


cdef inline uint32_t hashed(int64_t key) noexcept:
    return <uint32_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> 32)


cdef inline uint32_t home_of(IdMap *self, uint32_t tag) noexcept:
    return tag >> self.shift


cdef inline int32_t index_at(IdMap *self, Py_ssize_t slot) noexcept:
    return self.buckets[slot >> BUCKET_SHIFT].index[slot & SLOT]


cdef inline void set_index(IdMap *self, Py_ssize_t slot, int32_t index) noexcept:
    self.buckets[slot >> BUCKET_SHIFT].index[slot & SLOT] = index


cdef inline int map_resize(IdMap *self, uint32_t buckets) except -1:
    cdef Bucket *old = self.buckets
    cdef uint32_t old_size = self.mask + 1 if old != NULL else 0
    cdef uint32_t at, slot
    self.buckets = <Bucket *>grown(NULL, 0, buckets * sizeof(Bucket))
    self.mask = buckets - 1
    self.shift = 32 - pb_lowest(buckets)
    for at in range(buckets):
        for slot in range(8):
            self.buckets[at].index[slot] = -1
    for at in range(old_size):
        for slot in range(8):
            if old[at].index[slot] >= 0:
                map_place(self, old[at].tag[slot], old[at].index[slot])
    free(old)
    return 0


cdef inline void map_place(IdMap *self, uint32_t tag, int32_t index) noexcept:
    cdef uint32_t at = home_of(self, tag), slot
    while not pb_vacant(&self.buckets[at]):
        at = (at + 1) & self.mask
    slot = pb_lowest(pb_vacant(&self.buckets[at]))
    self.buckets[at].tag[slot] = tag
    self.buckets[at].index[slot] = index


cdef inline int map_reserve(IdMap *self) except -1:
    if self.used >> 2 > self.mask:
        map_resize(self, (self.mask + 1) * 2)
    return 0


cdef inline void map_put(IdMap *self, int64_t key, int32_t index) noexcept:
    map_place(self, hashed(key), index)
    self.used += 1


cdef inline void map_remove(IdMap *self, Py_ssize_t slot) noexcept:
    cdef Bucket *bucket = &self.buckets[slot >> BUCKET_SHIFT]
    cdef bint full = not pb_vacant(bucket)
    bucket.index[slot & SLOT] = -1
    self.used -= 1
    if full:
        map_close(self, slot)


cdef inline void map_close(IdMap *self, Py_ssize_t slot) noexcept:
    # A full bucket got room: whoever had to go past it moves back, unless its home lies after the gap.
    cdef uint32_t gap = slot >> BUCKET_SHIFT, at = gap, place
    cdef Bucket *bucket
    cdef bint full = True
    while full:
        at = (at + 1) & self.mask
        bucket = &self.buckets[at]
        full = not pb_vacant(bucket)
        for place in range(8):
            if bucket.index[place] >= 0 and ((at - home_of(self, bucket.tag[place])) & self.mask) >= ((at - gap) & self.mask):
                self.buckets[gap].tag[slot & SLOT] = bucket.tag[place]
                self.buckets[gap].index[slot & SLOT] = bucket.index[place]
                bucket.index[place] = -1
                gap, slot = at, place
                break
