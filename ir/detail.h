/* What the files of this room share among themselves: axes as text, and one node's rules. */
#ifndef ATTNC_IR_DETAIL_H
#define ATTNC_IR_DETAIL_H

#include "ir/ir.h"
#include "ir/text.h"

enum {
    IR_MAX_DEGREE = 64,     /* of mono and sym */
    IR_MAX_COPY = 255,      /* of copy */
    IR_MAX_ROLL = 1 << 30,
    IR_MAX_POWER = 1 << 30, /* of powi, either sign */
};

/* The structure of an axis as .air text: "d", "sym(d,2)", "cat(1,outer(d,R))"; "1" for AX_UNIT. */
void ir_print_axis(const struct ir_func *f, uint8_t axis, struct str *out);
/* A set of axes, blank-separated, in the order b h i j d m, then by text. */
void ir_print_axes(const struct ir_func *f, ir_axes axes, struct str *out);
/* A name, quoted if it is not a word. */
void ir_print_name(const char *name, struct str *out);

void ir_print_string(const char *s, struct str *out);
/* The function with just these nodes, which include all they need; fills in number[node]. */
void ir_print_nodes(const struct ir_func *f, const bool *live, ir_ref *number, struct str *out);

/* Words of the enums in the text, indexed by their values. */
extern const char *const ir_positivity_names[4], *const ir_input_names[3];

/* Why a node with this attribute and these operands (nargs of the op, all existing) is not allowed,
 * in arena a; NULL if it is. n->axes is not looked at. */
const char *ir_check_node(const struct ir_func *f, const struct ir_node *n, struct arena *a);

/* The same for one use of a param (which exists); the binding's axes exist too. */
const char *ir_check_binding(const struct ir_func *f, uint32_t param, const struct ir_binding *b,
                             struct arena *a);
/* The axes of the result, from the operation, its attribute and the operands. */
ir_axes ir_node_axes(const struct ir_func *f, const struct ir_node *n);

/* Reading: an attention block, and what later blocks of the same text refer to. */
struct ir_reader {
    struct text *t;
    struct ir_func *f;
    struct arena *a;
    ir_ref *node;        /* %number in the text -> node, poison, or 0 */
    size_t nnode, cap;
    bool quiet;          /* the current statement uses poison */
    const char *weights; /* of kernelize random, declared after it, or NULL */
    span_t weights_at;
};

/* From the word attention to its closing brace, with t and a set; NULL after errors. */
struct ir_func *ir_read_attention(struct ir_reader *r);
/* Reports at a place, once per statement; always returns false. */
bool ir_read_fail(struct ir_reader *r, span_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "unknown KIND 'NAME'", with the nearest of names as a note. */
bool ir_read_unknown(struct ir_reader *r, span_t at, const char *kind, const char *name,
                     const char *const *names, size_t n);
/* The index of a word in names, reported as unknown KIND otherwise; -1 after an error. */
int ir_read_choice(struct ir_reader *r, const char *kind, const char *const *names, size_t n);
/* An axis by structure, or 1 for AX_UNIT if unit; d after an error. */
uint8_t ir_read_axis(struct ir_reader *r, bool unit, int depth);
/* The index of a dimension named at the token; -1 after an error. */
int ir_read_dim(struct ir_reader *r);
/* The index of a param named at the token; -1 after an error. */
int ir_read_param(struct ir_reader *r);
/* A node that was made; 0 after an error or for poison. */
ir_ref ir_read_ref(struct ir_reader *r);

#endif
