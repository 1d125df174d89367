#include "heap.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

/* glibc's own, under names that it keeps for this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static long blocks;
static __thread long left = LONG_MAX;
static __thread long refused;

long heap_blocks(void) {
    return __atomic_load_n(&blocks, __ATOMIC_SEQ_CST);
}

void heap_refuse_after(long allocations) {
    refused = 0;
    left = allocations;
}

long heap_refuse_nothing(void) {
    left = LONG_MAX;
    return refused;
}

static __thread int is_mine;
static long others_left = LONG_MAX;
static long others_refused;

void heap_mine(void) {
    is_mine = 1;
}

void heap_not_mine(void) {
    is_mine = 0;
}

void heap_refuse_others_after(long allocations) {
    __atomic_store_n(&others_refused, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&others_left, allocations, __ATOMIC_SEQ_CST);
}

long heap_refuse_others_nothing(void) {
    __atomic_store_n(&others_left, LONG_MAX, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&others_refused, __ATOMIC_SEQ_CST);
}

static int is_refused_to_others(void) {
    if (is_mine || __atomic_load_n(&others_left, __ATOMIC_SEQ_CST) == LONG_MAX
            || __atomic_fetch_sub(&others_left, 1, __ATOMIC_SEQ_CST) > 0) {
        return 0;
    }
    __atomic_add_fetch(&others_refused, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return 1;
}

static int is_refused(void) {
    if (left == LONG_MAX) {
        return is_refused_to_others();
    }
    if (left == 0) {
        ++refused;
        errno = ENOMEM;
        return 1;
    }
    --left;
    return 0;
}

static void *counted(void *block) {
    if (block) {
        __atomic_add_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
    }
    return block;
}

void *malloc(size_t size) {
    return is_refused() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size) {
    return is_refused() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size) {
    if (is_refused()) {
        return NULL;
    }
    return block ? __libc_realloc(block, size) : counted(__libc_realloc(NULL, size));
}

void *memalign(size_t alignment, size_t size) {
    return is_refused() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void free(void *block) {
    int error = errno;
    if (block) {
        __atomic_sub_fetch(&blocks, 1, __ATOMIC_SEQ_CST);
    }
    __libc_free(block);
    errno = error;
}
