/* Source text and places in it. */
#ifndef ATTNC_IR_BASE_SOURCE_H
#define ATTNC_IR_BASE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct arena;

/* Half-open byte range [beg, end) of the one source of a compilation. {0,0} means "nowhere". */
typedef struct span {
    uint32_t beg, end;
} span_t;

struct source {
    const char *name; /* as the user gave it; "<stdin>" for - */
    const char *text; /* NUL-terminated, may contain NULs before len */
    size_t len;
    uint32_t *line_start; /* byte offset of each line */
    uint32_t lines;
};

enum { SOURCE_MAX_BYTES = 1 << 20 };

/* Wraps len bytes (copied into the arena). len must be at most SOURCE_MAX_BYTES. */
struct source *source_new(struct arena *a, const char *name, const char *text, size_t len);

/* 1-based line and column of a byte offset. The column counts characters, not bytes. */
void source_place(const struct source *s, uint32_t off, uint32_t *line, uint32_t *col);

/* Smallest span that covers both. A nowhere span is neutral. */
span_t span_join(span_t a, span_t b);

#endif
