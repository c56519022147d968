#include "ir/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/arena.h"

void
str_putn(struct str *b, const char *text, size_t n)
{
    if (b->len + n + 1 > b->cap) {
        b->cap = (b->len + n + 1) * 2;
        b->s = xrealloc(b->s, b->cap);
    }
    if (n)
        memcpy(b->s + b->len, text, n);
    b->len += n;
    b->s[b->len] = 0;
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
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *p = xmalloc((size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    str_putn(b, p, (size_t)n);
    free(p);
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
    return b->s ? b->s : "";
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
    enum { MAX = 64 };
    size_t n = strlen(a), m = strlen(b);
    int row[MAX + 1];
    if (n > MAX || m > MAX || (n > m ? n - m : m - n) > (size_t)cap)
        return cap + 1;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < best ? change : best;
        }
    }
    return row[m] > cap ? cap + 1 : row[m];
}

const char *
str_nearest(const char *name, const char *const *names, size_t n)
{
    int cap = (int)strlen(name) / 3;
    const char *best = NULL;
    if (cap < 1)
        cap = 1;
    for (size_t k = 0; k < n; k++) {
        int d = str_distance(name, names[k], cap);
        if (d <= cap && d < (int)strlen(names[k])) {
            best = names[k];
            cap = d - 1;
            if (cap < 0)
                break;
        }
    }
    return best;
}
