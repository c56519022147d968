/* Arena: a list of chunks, the newest first; objects are cut off the newest chunk in order.
 *
 * Chunks double from 16 KiB to 1 MiB, and an object that does not fit gets a chunk of its own size.
 * The stress build (-DATTNC_STRESS) uses chunks of 64 bytes, so that nearly every object ends where
 * a chunk ends and an overrun is seen by the address sanitizer. The fault build (-DATTNC_FAULTS)
 * fails the n-th allocation from the system, n from the environment variable ATTNC_FAIL_ALLOC. */
#include "ir/base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ATTNC_STRESS
enum { CHUNK_FIRST = 64, CHUNK_LAST = 64 };
#else
enum { CHUNK_FIRST = 1 << 14, CHUNK_LAST = 1 << 20 };
#endif

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

struct arena {
    struct chunk *top;
    size_t next_size;
};

void
arena_oom(void)
{
    fputs("attnc: out of memory\n", stderr);
    exit(3);
}

#ifdef ATTNC_FAULTS
/* True when the allocation about to be made is the one the test asked to fail. */
static bool
fault_now(void)
{
    static long left = -1;
    if (left < 0) {
        const char *text = getenv("ATTNC_FAIL_ALLOC");
        left = text ? strtol(text, NULL, 10) : 0;
    }
    return left > 0 && --left == 0;
}
#endif

void *
xmalloc(size_t size)
{
#ifdef ATTNC_FAULTS
    if (fault_now())
        arena_oom();
#endif
    void *p = malloc(size ? size : 1);
    if (!p)
        arena_oom();
    return p;
}

void *
xrealloc(void *p, size_t size)
{
#ifdef ATTNC_FAULTS
    if (fault_now())
        arena_oom();
#endif
    void *r = realloc(p, size ? size : 1);
    if (!r)
        arena_oom();
    return r;
}

struct arena *
arena_new(void)
{
    struct arena *a = xmalloc(sizeof *a);
    *a = (struct arena){.next_size = CHUNK_FIRST};
    return a;
}

void
arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->top, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

/* Puts a chunk with room for at least size bytes on top. */
static void
add_chunk(struct arena *a, size_t size)
{
    size_t want = size > a->next_size ? size : a->next_size;
    struct chunk *c = xmalloc(offsetof(struct chunk, data) + want);
    c->next = a->top;
    c->used = 0;
    c->size = want;
    a->top = c;
    if (a->next_size < CHUNK_LAST)
        a->next_size *= 2;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 4)
        arena_oom();
    if (!a->top || size > a->top->size - a->top->used)
        add_chunk(a, size);
    struct chunk *c = a->top;
    void *p = c->data + c->used;
    size_t step = (size + align - 1) / align * align;
    c->used = step > c->size - c->used ? c->size : c->used + step;
    return memset(p, 0, size);
}

void *
arena_grow(struct arena *a, void *old, size_t count, size_t need, size_t *cap, size_t elem)
{
    if (need <= *cap && old)
        return old;
#ifdef ATTNC_STRESS
    size_t n = need;
#else
    size_t n = *cap < 8 ? 8 : *cap * 2;
    if (n < need)
        n = need;
#endif
    if (n > SIZE_MAX / 4 / (elem ? elem : 1))
        arena_oom();
    void *p = arena_alloc(a, n * elem);
    if (count)
        memcpy(p, old, count * elem);
    *cap = n;
    return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    if (n)
        memcpy(p, s, n);
    return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return p;
}
