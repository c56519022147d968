/* String buffers, and the edit distance behind "did you mean". */
#include "ir/base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/arena.h"

/* The compiler cannot see from the header that a format is never NULL. */
void str_vprintf(struct str *b, const char *fmt, va_list ap) __attribute__((nonnull(2)));

/* Room for n more bytes and the terminator. */
static void
reserve(struct str *b, size_t n)
{
    if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
        arena_oom();
    size_t need = b->len + n + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap < 64 ? 64 : b->cap * 2;
    b->cap = cap < need ? need : cap;
    b->s = xrealloc(b->s, b->cap);
}

void
str_putn(struct str *b, const char *text, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->s + b->len, text, n);
    b->len += n;
    b->s[b->len] = '\0';
}

void
str_put(struct str *b, const char *text)
{
    str_putn(b, text, strlen(text));
}

void
str_putc(struct str *b, char c)
{
    str_putn(b, &c, 1);
}

void
str_vprintf(struct str *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n > 0) {
        reserve(b, (size_t)n);
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void
str_printf(struct str *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(b, fmt, ap);
    va_end(ap);
}

const char *
str_text(const struct str *b)
{
    return b->len ? b->s : "";
}

void
str_free(struct str *b)
{
    free(b->s);
    *b = (struct str){0};
}

int
str_distance(const char *a, const char *b, int cap)
{
    size_t la = strlen(a), lb = strlen(b);
    size_t gap = la > lb ? la - lb : lb - la;
    if (cap < 0 || gap > (size_t)cap)
        return cap + 1;
    int *row = xmalloc((lb + 1) * sizeof *row);
    for (size_t j = 0; j <= lb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int diagonal = row[0], best = row[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int remove = row[j] + 1, insert = row[j - 1] + 1;
            row[j] = remove < insert ? remove : insert;
            if (change < row[j])
                row[j] = change;
            if (row[j] < best)
                best = row[j];
        }
        if (best > cap) {
            free(row);
            return cap + 1;
        }
    }
    int d = row[lb];
    free(row);
    return d > cap ? cap + 1 : d;
}

const char *
str_nearest(const char *name, const char *const *names, size_t n)
{
    size_t len = strlen(name);
    if (len > 256)
        return NULL;
    int cap = len < 3 ? 1 : (int)(len / 3);
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        int d = str_distance(name, names[i], cap);
        /* A one-letter name is one change away from every other: that is no hint. */
        if (d > cap || (size_t)d >= len)
            continue;
        nearest = names[i];
        if (d == 0)
            break;
        cap = d - 1;
    }
    return nearest;
}
