#include "ir/base/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/arena.h"
#include "ir/base/str.h"

enum { WINDOW = 100, DEFAULT_MAX_ERRORS = 20 };

static const struct {
    const char *word, *colour;
} severities[] = {
    [DIAG_ERROR] = {"error", "\033[1;31m"}, [DIAG_WARNING] = {"warning", "\033[1;35m"},
    [DIAG_REMARK] = {"remark", "\033[1;36m"}, [DIAG_NOTE] = {"note", "\033[1;34m"},
    [DIAG_HELP] = {"help", "\033[1;32m"},
};

void
diag_init(struct diag *d, const struct source *src, FILE *out)
{
    *d = (struct diag){.src = src, .out = out};
}

/* Columns a character takes: East Asian wide ranges take two. */
static int
width_of(uint32_t c)
{
    bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
    bool none = (c >= 0x300 && c <= 0x36F) || c == 0x200B || c == 0xFE0F;
    return wide ? 2 : none ? 0 : 1;
}

/* One character of UTF-8 (or one bad byte); returns its length. */
static uint32_t
decode(const char *s, uint32_t left, uint32_t *c)
{
    unsigned char b = (unsigned char)s[0];
    uint32_t n = b < 0x80 ? 1 : (b & 0xE0) == 0xC0 ? 2 : (b & 0xF0) == 0xE0 ? 3 : (b & 0xF8) == 0xF0 ? 4 : 1;
    *c = n == 1 ? b : b & (0x7Fu >> n);
    if (n > left)
        return 1;
    for (uint32_t k = 1; k < n; k++) {
        if (((unsigned char)s[k] & 0xC0) != 0x80)
            return 1;
        *c = *c << 6 | ((unsigned char)s[k] & 0x3F);
    }
    return n;
}

/* The line of a span and the marks under it, windowed around the span when it is long. */
static void
print_line(struct diag *d, span_t at)
{
    const struct source *s = d->src;
    uint32_t line, col;
    source_place(s, at.beg, &line, &col);
    uint32_t beg = s->line_start[line - 1], end = beg, from = beg;
    while (end < s->len && s->text[end] != '\n' && s->text[end] != '\r')
        end++;
    if (at.beg > beg + WINDOW / 2 && end - beg > WINDOW) {
        from = at.beg - WINDOW / 2;
        while (from > beg && ((unsigned char)s->text[from] & 0xC0) == 0x80)
            from--;
    }
    if (end - from > WINDOW) {
        end = from + WINDOW;
        while (end > from && ((unsigned char)s->text[end] & 0xC0) == 0x80)
            end--;
    }
    struct str text = {0}, marks = {0};
    uint32_t last = at.end > at.beg ? at.end : at.beg + 1;
    for (uint32_t k = from, c; k < end;) {
        uint32_t n = decode(s->text + k, end - k, &c);
        int w = c == '\t' ? 4 : width_of(c);
        if (c == '\t')
            str_put(&text, "    ");
        else if (c < 0x20 || (n == 1 && c >= 0x80))
            str_put(&text, "?");
        else
            str_putn(&text, s->text + k, n);
        char mark = k == at.beg ? '^' : k > at.beg && k < last ? '~' : ' ';
        for (int i = 0; i < w; i++)
            str_putc(&marks, i && mark == '^' ? '~' : mark);
        k += n;
    }
    if (at.beg >= end)
        str_putc(&marks, '^');
    while (marks.len && marks.s[marks.len - 1] == ' ')
        marks.s[--marks.len] = 0;
    fprintf(d->out, "    %s\n    %s%s%s\n", str_text(&text), d->colour ? "\033[1;32m" : "", str_text(&marks),
            d->colour ? "\033[0m" : "");
    str_free(&text);
    str_free(&marks);
}

static void
report(struct diag *d, enum diag_severity sev, span_t at, const char *fmt, va_list ap)
{
    bool attached = sev == DIAG_NOTE || sev == DIAG_HELP;
    const char *on = d->colour ? severities[sev].colour : "", *off = d->colour ? "\033[0m" : "";
    if (!attached || at.end) {
        if (d->src && at.end) {
            uint32_t line, col;
            source_place(d->src, at.beg, &line, &col);
            fprintf(d->out, "%s:%u:%u: ", d->src->name, line, col);
        } else if (d->src) {
            fprintf(d->out, "%s: ", d->src->name);
        }
    }
    fprintf(d->out, "%s%s:%s ", on, severities[sev].word, off);
    vfprintf(d->out, fmt, ap);
    fputc('\n', d->out);
    if (d->src && at.end)
        print_line(d, at);
}

void
diag_error(struct diag *d, span_t at, const char *fmt, ...)
{
    va_list ap;
    int max = d->max_errors ? d->max_errors : DEFAULT_MAX_ERRORS;
    d->muted = d->errors++ >= max;
    if (d->errors == max + 1)
        fprintf(d->out, "%s: error: too many errors, stopping after %d\n", d->src ? d->src->name : "attnc", max);
    va_start(ap, fmt);
    if (!d->muted)
        report(d, DIAG_ERROR, at, fmt, ap);
    va_end(ap);
}

void
diag_warning(struct diag *d, span_t at, const char *fmt, ...)
{
    va_list ap;
    d->warnings++;
    d->muted = false;
    va_start(ap, fmt);
    report(d, DIAG_WARNING, at, fmt, ap);
    va_end(ap);
}

void
diag_remark(struct diag *d, span_t at, const char *fmt, ...)
{
    va_list ap;
    d->remarks_seen++;
    d->muted = !d->remarks;
    va_start(ap, fmt);
    if (!d->muted)
        report(d, DIAG_REMARK, at, fmt, ap);
    va_end(ap);
}

void
diag_note(struct diag *d, span_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!d->muted)
        report(d, DIAG_NOTE, at, fmt, ap);
    va_end(ap);
}

void
diag_help(struct diag *d, span_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!d->muted)
        report(d, DIAG_HELP, at, fmt, ap);
    va_end(ap);
}

/* The one process-wide hook: an internal error ends the process. */
static struct {
    void (*fn)(void *);
    void *arg;
} ice_hook;

void
diag_on_ice(void (*fn)(void *), void *arg)
{
    ice_hook.fn = fn;
    ice_hook.arg = arg;
}

_Noreturn void
diag_ice(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    fputs("attnc: internal error: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    const char *base = strrchr(file, '/');
    fprintf(stderr, " (%s:%d)\nattnc: this is a bug in attnc, not in your program; please report it\n",
            base ? base + 1 : file, line);
    if (ice_hook.fn)
        ice_hook.fn(ice_hook.arg);
    exit(70);
}
