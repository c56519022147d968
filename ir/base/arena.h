/* Arena: memory that lives exactly as long as one compilation (or one pass).
 *
 * Everything a compilation builds is bump-allocated and freed at once by
 * arena_free; there is no per-object free. Allocation never returns NULL: running
 * out of memory calls arena_oom, which prints one line and exits with status 3
 * (the fault-injection build makes every n-th allocation fail to prove that). */
#ifndef ATTNC_IR_BASE_ARENA_H
#define ATTNC_IR_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* A new, empty arena; release it and all it holds with arena_free (NULL is fine). */
struct arena *arena_new(void);
void arena_free(struct arena *a);

/* size bytes, zeroed, aligned for any object. size 0 is allowed. */
void *arena_alloc(struct arena *a, size_t size);

/* Array growth: returns an array of at least need elements of elem bytes holding the
 * first count elements of old, and updates *cap. Amortised doubling; old is abandoned. */
void *arena_grow(struct arena *a, void *old, size_t count, size_t need, size_t *cap, size_t elem);

char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* One object / an array of n objects of a type, zeroed. */
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

/* malloc that cannot fail, for memory that outlives arenas; free with free(). */
void *xmalloc(size_t size);
void *xrealloc(void *p, size_t size);
_Noreturn void arena_oom(void);

#endif
