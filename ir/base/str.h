/* String buffers: text built piece by piece, then read as one NUL-terminated string. */
#ifndef ATTNC_IR_BASE_STR_H
#define ATTNC_IR_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise to use; s is NUL-terminated whenever len > 0. Free with str_free. */
struct str {
    char *s;
    size_t len, cap;
};

void str_put(struct str *b, const char *text);
void str_putn(struct str *b, const char *text, size_t n);
void str_putc(struct str *b, char c);
void str_printf(struct str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_vprintf(struct str *b, const char *fmt, va_list ap);
/* The text so far, never NULL ("" when empty). Valid until the next change. */
const char *str_text(const struct str *b);
void str_free(struct str *b);

/* Levenshtein distance, capped: returns cap + 1 as soon as it is known to exceed cap. */
int str_distance(const char *a, const char *b, int cap);

/* The entry of names[0..n) nearest to name (within a third of its length, at least 1), or NULL. */
const char *str_nearest(const char *name, const char *const *names, size_t n);

#endif
