/* The tokenizer of the textual forms. Everything is ASCII except inside words and strings. */
#include "ir/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/str.h"

enum { FOUND_MAX = 40 };

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

bool
text_is_word(const char *s)
{
    if (!is_letter((unsigned char)*s))
        return false;
    while (is_letter((unsigned char)*s) || is_digit((unsigned char)*s))
        s++;
    return !*s;
}

/* The byte at pos + k; 0 past the end (a NUL in the text is an ordinary odd character). */
static int
peek(const struct text *t, uint32_t k)
{
    uint64_t at = (uint64_t)t->pos + k;
    return at < t->src->len ? (unsigned char)t->src->text[at] : 0;
}

/* Skips blanks and comments; true if a line began. */
static bool
skip_blank(struct text *t)
{
    bool first = t->pos == 0;
    for (; t->pos < t->src->len; t->pos++) {
        int c = peek(t, 0);
        if (c == '#')
            while (t->pos + 1 < t->src->len && peek(t, 1) != '\n')
                t->pos++;
        else if (c == '\n')
            first = true;
        else if (c != ' ' && c != '\t' && c != '\r')
            break;
    }
    return first;
}

static int
hex(int c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escape at pos, which is at the backslash; leaves pos at its last character. */
static bool
read_escape(struct text *t, struct str *out)
{
    int c = peek(t, 1);
    t->pos++;
    if (c == '"' || c == '\\' || c == 'n') {
        str_putc(out, c == 'n' ? '\n' : (char)c);
        return true;
    }
    int hi = hex(peek(t, 1)), lo = hex(peek(t, 2));
    if (c != 'x' || hi < 0 || lo < 0 || hi + lo == 0)
        return false;
    t->pos += 2;
    str_putc(out, (char)(hi * 16 + lo));
    return true;
}

/* The string at pos, which is at the opening quote. */
static void
read_string(struct text *t)
{
    struct str out = {0};
    bool bad = false;
    uint32_t beg = t->pos++;
    while (t->pos < t->src->len && peek(t, 0) != '"' && peek(t, 0) != '\n') {
        int c = peek(t, 0);
        if (c == '\\')
            bad |= !read_escape(t, &out);
        else if (c == 0)
            bad = true;
        else
            str_putc(&out, (char)c);
        t->pos++;
    }
    if (t->pos > t->src->len)
        t->pos = (uint32_t)t->src->len;
    bool closed = peek(t, 0) == '"';
    t->pos += closed;
    t->tok.kind = TEXT_STRING;
    t->tok.span = (span_t){beg, t->pos};
    t->tok.s = arena_strndup(t->arena, str_text(&out), out.len);
    str_free(&out);
    if ((!closed || bad) && !t->failed) {
        diag_error(t->diag, t->tok.span,
                   closed ? "unknown escape in string" : "string without end");
        t->failed = true;
    }
}

static void
read_word(struct text *t)
{
    while (is_letter(peek(t, 0)) || is_digit(peek(t, 0)))
        t->pos++;
}

static void
read_digits(struct text *t)
{
    while (is_digit(peek(t, 0)))
        t->pos++;
}

static void
read_number(struct text *t)
{
    read_digits(t);
    if (peek(t, 0) == '.' && is_digit(peek(t, 1))) {
        t->pos++;
        read_digits(t);
    }
    int e = peek(t, 0), sign = peek(t, 1) == '-' || peek(t, 1) == '+';
    if ((e == 'e' || e == 'E') && is_digit(peek(t, 1u + (uint32_t)sign))) {
        t->pos += 1u + (uint32_t)sign;
        read_digits(t);
    }
}

void
text_next(struct text *t)
{
    t->tok.first = skip_blank(t);
    uint32_t beg = t->pos;
    int c = peek(t, 0);
    if (c == '"') {
        read_string(t);
        return;
    }
    if (t->pos >= t->src->len) {
        t->tok.kind = TEXT_END;
        t->tok.first = true;
    } else if (is_letter(c)) {
        t->tok.kind = TEXT_WORD;
        read_word(t);
    } else if (is_digit(c)) {
        t->tok.kind = TEXT_NUMBER;
        read_number(t);
    } else if (c == '%' && (is_letter(peek(t, 1)) || is_digit(peek(t, 1)))) {
        t->tok.kind = TEXT_REF;
        t->pos++;
        read_word(t);
    } else {
        t->tok.kind = TEXT_PUNCT;
        t->pos++;
    }
    t->tok.span = (span_t){beg, t->pos};
    uint32_t from = beg + (t->tok.kind == TEXT_REF);
    t->tok.s = arena_strndup(t->arena, t->src->text + from, t->pos - from);
}

void
text_begin(struct text *t, struct arena *a, const struct source *src, struct diag *d)
{
    *t = (struct text){.src = src, .diag = d, .arena = a};
    text_next(t);
}

bool
text_is(const struct text *t, const char *what)
{
    return (t->tok.kind == TEXT_WORD || t->tok.kind == TEXT_PUNCT) && strcmp(t->tok.s, what) == 0;
}

bool
text_take(struct text *t, const char *what)
{
    if (!text_is(t, what))
        return false;
    text_next(t);
    return true;
}

bool
text_expected(struct text *t, const char *what)
{
    if (t->failed)
        return false;
    t->failed = true;
    const struct text_token *k = &t->tok;
    unsigned char c = (unsigned char)k->s[0];
    if (k->kind == TEXT_END)
        diag_error(t->diag, k->span, "expected %s, found end of file", what);
    else if (k->kind == TEXT_PUNCT && (c < 0x20 || c == 0x7f))
        diag_error(t->diag, k->span, "expected %s, found byte 0x%02x", what, c);
    else if (k->kind == TEXT_STRING)
        diag_error(t->diag, k->span, "expected %s, found a string", what);
    else if (k->span.end - k->span.beg > FOUND_MAX)
        diag_error(t->diag, k->span, "expected %s, found a token of %u bytes", what,
                   k->span.end - k->span.beg);
    else
        diag_error(t->diag, k->span, "expected %s, found '%s%s'", what,
                   k->kind == TEXT_REF ? "%" : "", k->s);
    return false;
}

bool
text_expect(struct text *t, const char *what)
{
    if (t->failed)
        return false;
    if (text_take(t, what))
        return true;
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", what);
    return text_expected(t, quoted);
}

const char *
text_name(struct text *t, const char *what)
{
    if (t->failed)
        return NULL;
    if ((t->tok.kind != TEXT_WORD && t->tok.kind != TEXT_STRING) || !*t->tok.s) {
        text_expected(t, what);
        return NULL;
    }
    const char *s = t->tok.s;
    text_next(t);
    return s;
}

/* True if s is digits only and its value, at most limit, is put in *v. */
static bool
small_number(const char *s, int64_t limit, int64_t *v)
{
    *v = 0;
    for (; *s; s++) {
        if (!is_digit((unsigned char)*s) || *v > (limit - (*s - '0')) / 10)
            return false;
        *v = *v * 10 + (*s - '0');
    }
    return true;
}

int64_t
text_int(struct text *t, const char *what, int64_t lo, int64_t hi)
{
    if (t->failed)
        return lo;
    span_t at = t->tok.span;
    bool minus = text_take(t, "-");
    if (t->tok.kind != TEXT_NUMBER || strpbrk(t->tok.s, ".eE")) {
        text_expected(t, what);
        return lo;
    }
    int64_t v;
    bool fits = small_number(t->tok.s, INT64_MAX, &v);
    v = minus ? -v : v;
    if (!fits || v < lo || v > hi) {
        diag_error(t->diag, span_join(at, t->tok.span),
                   "%s is %s%.20s%s, must be from %lld to %lld", what, minus ? "-" : "", t->tok.s,
                   strlen(t->tok.s) > 20 ? "..." : "", (long long)lo, (long long)hi);
        t->failed = true;
        return lo;
    }
    text_next(t);
    return v;
}

double
text_double(struct text *t, const char *what)
{
    if (t->failed)
        return 0;
    bool minus = text_take(t, "-");
    if (t->tok.kind != TEXT_NUMBER && !text_is(t, "inf") && !text_is(t, "nan")) {
        text_expected(t, what);
        return 0;
    }
    double v = strtod(t->tok.s, NULL);
    text_next(t);
    return minus ? -v : v;
}

bool
text_at_end(const struct text *t)
{
    return t->tok.first || text_is(t, "}") || text_is(t, "{");
}

bool
text_end_statement(struct text *t)
{
    if (t->failed)
        return false;
    return text_at_end(t) || text_expected(t, "end of line");
}

void
text_resume(struct text *t)
{
    while (t->tok.kind != TEXT_END && !t->tok.first) {
        t->failed = true; /* what is skipped is not complained about */
        text_next(t);
    }
    t->failed = false;
}
