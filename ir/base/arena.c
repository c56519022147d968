#include "ir/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ATTNC_STRESS
enum { CHUNK = 64 };
#else
enum { CHUNK = 1 << 16 };
#endif

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
};

struct arena {
    struct chunk *chunks;
};

#ifdef ATTNC_FAULTS
/* ATTNC_FAIL_ALLOC=n makes the n-th allocation of the process fail. */
static int
injected_failure(void)
{
    static long left = -1;
    if (left == -1) {
        const char *s = getenv("ATTNC_FAIL_ALLOC");
        left = s ? atol(s) : 0;
    }
    return left > 0 && --left == 0;
}
#else
static int
injected_failure(void)
{
    return 0;
}
#endif

_Noreturn void
arena_oom(void)
{
    fputs("attnc: out of memory\n", stderr);
    exit(3);
}

void *
xmalloc(size_t size)
{
    void *p = injected_failure() ? NULL : malloc(size ? size : 1);
    if (!p)
        arena_oom();
    return p;
}

void *
xrealloc(void *old, size_t size)
{
    void *p = injected_failure() ? NULL : realloc(old, size ? size : 1);
    if (!p)
        arena_oom();
    return p;
}

struct arena *
arena_new(void)
{
    struct arena *a = xmalloc(sizeof *a);
    a->chunks = NULL;
    return a;
}

void
arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

void *
arena_alloc(struct arena *a, size_t size)
{
    struct chunk *c = a->chunks;
    if (size > SIZE_MAX / 2)
        arena_oom();
    size = (size + 15) & ~(size_t)15;
    if (!c || c->size - c->used < size) {
        size_t n = size > CHUNK ? size : CHUNK;
        c = xmalloc(sizeof *c + n);
        *c = (struct chunk){.next = a->chunks, .size = n};
        a->chunks = c;
    }
    void *p = c->data + c->used;
    c->used += size;
    memset(p, 0, size);
    return p;
}

void *
arena_grow(struct arena *a, void *old, size_t count, size_t need, size_t *cap, size_t elem)
{
    if (need <= *cap)
        return old;
    size_t n = *cap ? *cap * 2 : 8;
    if (n < need)
        n = need;
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
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
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
