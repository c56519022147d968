/* Diagnostics: what the user is told about the program.
 *
 *     file:line:col: error: message
 *         the source line
 *         ^~~~~
 *     note: ...
 *
 * Messages are lower case without a final period. Tabs and double-width characters are
 * counted when the caret line is drawn. A message with a nowhere span prints
 * "file: error: message" and no source line. */
#ifndef ATTNC_IR_BASE_DIAG_H
#define ATTNC_IR_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "ir/base/source.h"

struct arena;

enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_REMARK, DIAG_NOTE, DIAG_HELP };

/* One engine per compilation. Text is written to out at once, in order of arrival. */
struct diag {
    const struct source *src; /* may be NULL before the file is read */
    FILE *out;
    bool colour;
    bool remarks;        /* print remarks (--remarks); they are always counted */
    int errors, warnings, remarks_seen;
    int max_errors;      /* after this many, one "too many errors" line and silence; 0: 20 */
    bool muted;          /* the last error/warning/remark was not printed: drop its notes */
};

void diag_init(struct diag *d, const struct source *src, FILE *out);

#define DIAG_FMT __attribute__((format(printf, 3, 4)))
void diag_error(struct diag *d, span_t at, const char *fmt, ...) DIAG_FMT;
void diag_warning(struct diag *d, span_t at, const char *fmt, ...) DIAG_FMT;
void diag_remark(struct diag *d, span_t at, const char *fmt, ...) DIAG_FMT;
/* Attached to the message before; at may be nowhere (then no source line is shown). */
void diag_note(struct diag *d, span_t at, const char *fmt, ...) DIAG_FMT;
/* At most one per message: text that would replace the span. */
void diag_help(struct diag *d, span_t at, const char *fmt, ...) DIAG_FMT;
#undef DIAG_FMT

/* A broken invariant of the compiler, not of the program: prints it with a request to
 * report, writes the reproducer if one was registered, exits with status 70. */
_Noreturn void diag_ice(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define ICE(...) diag_ice(__FILE__, __LINE__, __VA_ARGS__)
/* Called by diag_ice before it exits, to save what reproduces the failure. Process-wide:
 * an internal error ends the process. */
void diag_on_ice(void (*fn)(void *), void *arg);

#endif
