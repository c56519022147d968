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

/* Words of the enums in the text, indexed by their values. */
extern const char *const ir_type_names[2], *const ir_positivity_names[4], *const ir_input_names[3];

/* Why a node with this attribute and these operands (nargs of the op, all existing) is not allowed,
 * in arena a; NULL if it is. n->axes is not looked at. */
const char *ir_check_node(const struct ir_func *f, const struct ir_node *n, struct arena *a);

/* The same for one use of a param (which exists); the binding's axes exist too. */
const char *ir_check_binding(const struct ir_func *f, uint32_t param, const struct ir_binding *b,
                             struct arena *a);
/* The axes of the result, from the operation, its attribute and the operands. */
ir_axes ir_node_axes(const struct ir_func *f, const struct ir_node *n);

/* Reads one attention block, from the word attention to its closing brace; NULL after errors. */
struct ir_func *ir_read_attention(struct text *t, struct arena *a);

#endif
