#include "ir/base/source.h"

#include <string.h>

#include "ir/base/arena.h"

struct source *
source_new(struct arena *a, const char *name, const char *text, size_t len)
{
    struct source *s = ARENA_NEW(a, struct source);
    s->name = arena_strdup(a, name);
    s->text = arena_strndup(a, text, len);
    s->len = len;
    s->lines = 1;
    for (size_t k = 0; k < len; k++)
        s->lines += text[k] == '\n';
    s->line_start = ARENA_ARRAY(a, uint32_t, s->lines);
    uint32_t n = 1;
    for (size_t k = 0; k < len; k++)
        if (text[k] == '\n')
            s->line_start[n++] = (uint32_t)k + 1;
    return s;
}

void
source_place(const struct source *s, uint32_t off, uint32_t *line, uint32_t *col)
{
    uint32_t lo = 0, hi = s->lines;
    if (off > s->len)
        off = (uint32_t)s->len;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->line_start[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    *line = lo + 1;
    *col = 1;
    for (uint32_t k = s->line_start[lo]; k < off; k++)
        *col += ((unsigned char)s->text[k] & 0xC0) != 0x80;
}

span_t
span_join(span_t a, span_t b)
{
    if (a.end == 0)
        return b;
    if (b.end == 0)
        return a;
    return (span_t){a.beg < b.beg ? a.beg : b.beg, a.end > b.end ? a.end : b.end};
}
