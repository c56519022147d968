/* Diagnostics: the message, the line it is about, and a caret line under it.
 *
 * A source line is walked as cells: one character each, with the columns it covers on a terminal.
 * Tabs become spaces up to the next multiple of 8, control bytes and broken UTF-8 become U+FFFD, so
 * that what is printed is always valid UTF-8 and the carets stand under what they mean. */
#include "ir/base/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TAB = 8, WINDOW = 100, INDENT = 4, DEFAULT_MAX_ERRORS = 20, EXIT_ICE = 70 };

static const struct {
    const char *word, *colour;
} severity[] = {
    [DIAG_ERROR] = {"error", "\033[1;31m"},   [DIAG_WARNING] = {"warning", "\033[1;35m"},
    [DIAG_REMARK] = {"remark", "\033[1;34m"}, [DIAG_NOTE] = {"note", "\033[1;36m"},
    [DIAG_HELP] = {"help", "\033[1;32m"},
};

/* ---- characters ---- */

/* First and last code point of ranges that cover two columns, and none (combining marks). */
static const uint32_t wide[][2] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x25fd, 0x25fe},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26aa, 0x26ab},
    {0x2705, 0x2705},   {0x270a, 0x270b},   {0x2728, 0x2728},   {0x274c, 0x274c},
    {0x2753, 0x2755},   {0x2795, 0x2797},   {0x2b1b, 0x2b1c},   {0x2e80, 0x303e},
    {0x3041, 0xa4cf},   {0xa960, 0xa97c},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};
static const uint32_t combining[][2] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064}, {0x20d0, 0x20f0}, {0xfe00, 0xfe0f},
    {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
};

static bool
in_ranges(uint32_t c, const uint32_t (*range)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= range[i][0] && c <= range[i][1])
            return true;
    return false;
}

struct cell {
    const char *text; /* what to print */
    int bytes;        /* of text */
    int taken;        /* bytes of the source */
    int width;        /* columns */
};

/* The code point at s (n bytes left), its length in *len; -1 and length 1 if it is not valid. */
static int32_t
decode(const unsigned char *s, size_t n, int *len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int want = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
    *len = 1;
    if (want == 0 || (size_t)want > n || s[0] > 0xf4)
        return -1;
    uint32_t c = want == 1 ? s[0] : s[0] & (0x7fu >> want);
    for (int i = 1; i < want; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[want] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return -1;
    *len = want;
    return (int32_t)c;
}

/* The cell at s when the line has been printed up to column col. */
static struct cell
next_cell(const char *s, size_t n, size_t col)
{
    int len;
    int32_t c = decode((const unsigned char *)s, n, &len);
    if (c == '\t') {
        int w = TAB - (int)(col % TAB);
        return (struct cell){"        ", w, 1, w};
    }
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return (struct cell){"\xef\xbf\xbd", 3, len, 1};
    int width = in_ranges((uint32_t)c, combining, sizeof combining / sizeof *combining) ? 0
                : in_ranges((uint32_t)c, wide, sizeof wide / sizeof *wide)             ? 2
                                                                                       : 1;
    return (struct cell){s, len, len, width};
}

/* ---- the source line ---- */

struct line {
    const char *s;
    size_t len;
    size_t from, to; /* columns of the span, to > from */
    size_t width;    /* columns of the whole line */
    size_t lo, hi;   /* columns shown */
};

static void
measure(struct line *l, size_t beg, size_t end)
{
    size_t col = 0;
    bool closed = false;
    l->from = SIZE_MAX;
    for (size_t i = 0; i < l->len;) {
        struct cell c = next_cell(l->s + i, l->len - i, col);
        if (l->from == SIZE_MAX && i + (size_t)c.taken > beg)
            l->from = col;
        if (!closed && i >= end) {
            l->to = col;
            closed = true;
        }
        col += (size_t)c.width;
        i += (size_t)c.taken;
    }
    l->width = col;
    if (l->from == SIZE_MAX)
        l->from = col;
    if (!closed)
        l->to = col;
    if (l->to <= l->from)
        l->to = l->from + 1;
    l->lo = 0;
    l->hi = col;
    if (col <= WINDOW)
        return;
    size_t context = l->to - l->from < WINDOW / 2 ? (WINDOW - (l->to - l->from)) / 2 : 8;
    l->lo = l->from > context ? l->from - context : 0;
    if (l->lo > 0 && l->width - l->lo < WINDOW && l->from >= l->width - WINDOW)
        l->lo = l->width - WINDOW;
    l->hi = l->lo + WINDOW;
}

static void
put_spaces(FILE *out, size_t n)
{
    while (n-- > 0)
        fputc(' ', out);
}

static void
show_line(struct diag *d, span_t at, enum diag_severity sev)
{
    const struct source *src = d->src;
    uint32_t line, column;
    source_place(src, at.beg, &line, &column);
    size_t start = src->line_start[line - 1];
    size_t stop = line < src->lines ? src->line_start[line] - 1u : src->len;
    if (stop > start && src->text[stop - 1] == '\r')
        stop--;
    struct line l = {.s = src->text + start, .len = stop - start};
    size_t beg = at.beg < src->len ? at.beg : src->len;
    measure(&l, beg - start, (at.end > beg ? at.end : beg) - start);

    put_spaces(d->out, INDENT);
    fputs(l.lo > 0 ? "..." : "", d->out);
    size_t col = 0, shown = l.lo;
    for (size_t i = 0; i < l.len && col < l.hi;) {
        struct cell c = next_cell(l.s + i, l.len - i, col);
        i += (size_t)c.taken;
        col += (size_t)c.width;
        if (col > l.hi || (col <= l.lo && l.lo > 0))
            continue;
        if (col - shown < (size_t)c.width) { /* cut in two by the left edge */
            put_spaces(d->out, col - shown);
        } else {
            fwrite(c.text, 1, (size_t)c.bytes, d->out);
        }
        shown = col;
    }
    fputs(l.hi < l.width ? "...\n" : "\n", d->out);

    put_spaces(d->out, INDENT + (l.lo > 0 ? 3 : 0) + (l.from - l.lo));
    fputs(d->colour ? severity[sev].colour : "", d->out);
    fputc('^', d->out);
    for (size_t i = l.from + 1; i < l.to && (i < l.hi || l.hi == l.width); i++)
        fputc('~', d->out);
    fputs(d->colour ? "\033[0m\n" : "\n", d->out);
}

/* ---- messages ---- */

static bool
nowhere(const struct diag *d, span_t at)
{
    return !d->src || (at.beg == 0 && at.end == 0);
}

static void
report(struct diag *d, enum diag_severity sev, span_t at, const char *fmt, va_list ap)
{
    bool note = sev == DIAG_NOTE || sev == DIAG_HELP;
    const char *bold = d->colour ? "\033[1m" : "", *reset = d->colour ? "\033[0m" : "";
    if (!nowhere(d, at)) {
        uint32_t line, col;
        source_place(d->src, at.beg, &line, &col);
        fprintf(d->out, "%s%s:%u:%u:%s ", bold, d->src->name, line, col, reset);
    } else if (!note) {
        fprintf(d->out, "%s%s:%s ", bold, d->src ? d->src->name : "attnc", reset);
    }
    fprintf(d->out, "%s%s:%s %s", d->colour ? severity[sev].colour : "", severity[sev].word,
            reset, note ? "" : bold);
    vfprintf(d->out, fmt, ap);
    fprintf(d->out, "%s\n", note ? "" : reset);
    if (!nowhere(d, at))
        show_line(d, at, sev);
}

static int
error_limit(const struct diag *d)
{
    return d->max_errors > 0 ? d->max_errors : DEFAULT_MAX_ERRORS;
}

void
diag_init(struct diag *d, const struct source *src, FILE *out)
{
    *d = (struct diag){.src = src, .out = out};
}

void
diag_error(struct diag *d, span_t at, const char *fmt, ...)
{
    int limit = error_limit(d);
    d->errors++;
    d->muted = d->errors > limit;
    if (d->errors == limit + 1)
        fprintf(d->out, "%s: error: too many errors, only the first %d are shown\n",
                d->src ? d->src->name : "attnc", limit);
    if (d->muted)
        return;
    va_list ap;
    va_start(ap, fmt);
    report(d, DIAG_ERROR, at, fmt, ap);
    va_end(ap);
}

void
diag_warning(struct diag *d, span_t at, const char *fmt, ...)
{
    d->warnings++;
    d->muted = d->errors > error_limit(d);
    if (d->muted)
        return;
    va_list ap;
    va_start(ap, fmt);
    report(d, DIAG_WARNING, at, fmt, ap);
    va_end(ap);
}

void
diag_remark(struct diag *d, span_t at, const char *fmt, ...)
{
    d->remarks_seen++;
    d->muted = !d->remarks || d->errors > error_limit(d);
    if (d->muted)
        return;
    va_list ap;
    va_start(ap, fmt);
    report(d, DIAG_REMARK, at, fmt, ap);
    va_end(ap);
}

void
diag_note(struct diag *d, span_t at, const char *fmt, ...)
{
    if (d->muted)
        return;
    va_list ap;
    va_start(ap, fmt);
    report(d, DIAG_NOTE, at, fmt, ap);
    va_end(ap);
}

void
diag_help(struct diag *d, span_t at, const char *fmt, ...)
{
    if (d->muted)
        return;
    va_list ap;
    va_start(ap, fmt);
    report(d, DIAG_HELP, at, fmt, ap);
    va_end(ap);
}

/* ---- internal errors ---- */

static struct {
    void (*fn)(void *);
    void *arg;
} on_ice;

void
diag_on_ice(void (*fn)(void *), void *arg)
{
    on_ice.fn = fn;
    on_ice.arg = arg;
}

void
diag_ice(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("attnc: internal error: ", stderr);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, " (%s:%d)\nattnc: this is a bug in attnc, please report it\n", file, line);
    va_end(ap);
    void (*fn)(void *) = on_ice.fn;
    on_ice.fn = NULL; /* an error while saving must not come back here */
    if (fn)
        fn(on_ice.arg);
    exit(EXIT_ICE);
}
