/* Source text: where lines begin, and which line and column a byte is in. */
#include "ir/base/source.h"

#include <string.h>

#include "ir/base/arena.h"
#include "ir/base/diag.h"

struct source *
source_new(struct arena *a, const char *name, const char *text, size_t len)
{
    if (len > SOURCE_MAX_BYTES)
        ICE("source of %zu bytes, at most %d are allowed", len, SOURCE_MAX_BYTES);
    struct source *s = ARENA_NEW(a, struct source);
    s->name = arena_strdup(a, name);
    s->text = arena_strndup(a, text, len);
    s->len = len;
    s->lines = 1;
    for (size_t i = 0; i < len; i++)
        s->lines += s->text[i] == '\n';
    s->line_start = ARENA_ARRAY(a, uint32_t, s->lines);
    uint32_t line = 0;
    for (size_t i = 0; i < len; i++)
        if (s->text[i] == '\n')
            s->line_start[++line] = (uint32_t)i + 1;
    return s;
}

void
source_place(const struct source *s, uint32_t off, uint32_t *line, uint32_t *col)
{
    if (off > s->len)
        off = (uint32_t)s->len;
    uint32_t lo = 0, hi = s->lines; /* line_start[lo] <= off < line_start[hi] */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->line_start[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    uint32_t n = 1;
    for (uint32_t i = s->line_start[lo]; i < off; i++)
        n += ((unsigned char)s->text[i] & 0xc0) != 0x80;
    *line = lo + 1;
    *col = n;
}

span_t
span_join(span_t a, span_t b)
{
    if (a.beg == 0 && a.end == 0)
        return b;
    if (b.beg == 0 && b.end == 0)
        return a;
    return (span_t){a.beg < b.beg ? a.beg : b.beg, a.end > b.end ? a.end : b.end};
}
