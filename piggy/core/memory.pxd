# Plain C memory for the book: arrays that grow by doubling, on huge pages once they are large.
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef __linux__
    #include <sys/mman.h>
    #endif
    #define HUGE_PAGE 2097152u
    static void *pb_array(size_t bytes) {
        void *block = NULL;
        size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
        if (posix_memalign(&block, alignment, bytes)) return NULL;
    #ifdef MADV_HUGEPAGE
        /* A million random orders over 4 KiB pages spends its time in TLB misses. */
        if (bytes >= HUGE_PAGE) madvise(block, bytes, MADV_HUGEPAGE);
    #endif
        return block;
    }
    #define pb_prefetch(address) __builtin_prefetch(address)
    #define pb_lowest(bits) __builtin_ctzll(bits)
    #define pb_highest(bits) (63 - __builtin_clzll(bits))
    """
    void *pb_array(size_t size)
    void pb_prefetch(const void *address) noexcept
    int pb_lowest(unsigned long long bits) noexcept
    int pb_highest(unsigned long long bits) noexcept


cdef inline void *grown(void *old, size_t old_bytes, size_t new_bytes) except NULL:
    cdef void *block = pb_array(new_bytes)
    if block == NULL:
        raise MemoryError("the book cannot grow")
    if old != NULL:
        memcpy(block, old, old_bytes)
        free(old)
    return block
