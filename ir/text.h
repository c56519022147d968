/* Tokens of the textual forms (.air): the axis IR and what follows it in the same file.
 *
 * There is one token of lookahead, t->tok. A token knows whether it is the first on its line, which
 * is how statements end and where reading resumes after an error. Errors go to the diag; after
 * one, t->failed stays set until text_resume. */
#ifndef ATTNC_IR_TEXT_H
#define ATTNC_IR_TEXT_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/source.h"

#include <stdint.h>

enum text_kind {
    TEXT_END,
    TEXT_WORD,   /* letter, _ or a byte >= 0x80, then also digits */
    TEXT_NUMBER, /* digits, maybe a fraction and an exponent; never a sign */
    TEXT_STRING, /* "..." on one line; \\ \" \n \xHH */
    TEXT_REF,    /* % and a word or digits */
    TEXT_PUNCT,  /* one other character */
};

struct text_token {
    enum text_kind kind;
    span_t span;
    const char *s;   /* NUL-terminated; of a string its value, of a ref what follows % */
    bool first;      /* first on its line */
};

struct text {
    const struct source *src;
    struct diag *diag;
    struct arena *arena;  /* holds the texts of tokens */
    uint32_t pos;
    struct text_token tok;
    bool failed;          /* an error was reported and not yet resumed from */
};

/* Begins at the first token of src. */
void text_begin(struct text *t, struct arena *a, const struct source *src, struct diag *d);
void text_next(struct text *t);

/* True if the token is that word or punctuation character. */
bool text_is(const struct text *t, const char *word_or_punct);
/* Takes the token if it is that one. */
bool text_take(struct text *t, const char *word_or_punct);
/* Takes it or reports "expected X, found Y" (once until text_resume) and returns false. */
bool text_expect(struct text *t, const char *word_or_punct);
/* Reports "expected WHAT, found Y" at the token, once until text_resume; always returns false. */
bool text_expected(struct text *t, const char *what);

/* A word or a string, as a name in t->arena; NULL after an error. */
const char *text_name(struct text *t, const char *what);
/* An optional minus and digits, between lo and hi; lo after an error. */
int64_t text_int(struct text *t, const char *what, int64_t lo, int64_t hi);
/* An optional minus and a number, inf or nan; 0 after an error. */
double text_double(struct text *t, const char *what);

/* The token is the first on its line, a brace, or the end. */
bool text_at_end(const struct text *t);
/* The statement must end here. */
bool text_end_statement(struct text *t);
/* Skips to the next token that is the first on its line, or the end, and clears t->failed. */
void text_resume(struct text *t);

/* True if s could be written as a TEXT_WORD. */
bool text_is_word(const char *s);

#endif
