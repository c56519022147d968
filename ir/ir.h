/* The axis IR: values that vary over named axes, and what is computed from them.
 *
 * A function is an array of SSA nodes; a node is named by its index (ir_ref, 0 = none) and its
 * operands come before it. Every node has a set of axes; elementwise operations take the union
 * of their operands' axes, rsum[a] removes one. Nodes are hash-consed: the same operation on
 * the same operands is the same node. The roots name what the function computes.
 *
 *     out = select(any, num / normalize(z), 0)     w = select(mask, sim, 0)
 *     num = rsum[j](w * v)      z = rsum[j](w)     any = rsum[j](select(mask, 1, 0)) > 0
 *     lse = log(select(any, z, 0))                 only where a program reads it
 *
 *     decay(g)   = product over j < t <= position of i of g_t        1 where there is no such t
 *     scan(x, g) = sum over j <= position of i of decay(g) x_j       a prefix sum with decay g
 *
 * Everything lives in the function's arena; ir_func_free releases the exact constants. */
#ifndef ATTNC_IR_IR_H
#define ATTNC_IR_IR_H

#include <stdbool.h>
#include <stdint.h>

#include <flint/fmpq.h>

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/source.h"
#include "ir/base/str.h"

typedef uint32_t ir_ref;    /* node, 0 = none */
typedef uint64_t ir_axes;   /* set of axes: bit a = axis a */

enum ir_op {
    IR_NONE,
#define OP(name, n, attr, axes, flops, math, props) IR_##name,
#include "ir/ops.def"
    IR_OP_COUNT
};

enum ir_attr_kind {
    ATTR_NONE, ATTR_INPUT, ATTR_PARAM, ATTR_RAT, ATTR_DIM, ATTR_INT, ATTR_AXIS,
    ATTR_RENAME, ATTR_MONO, ATTR_CAT, ATTR_OUTER, ATTR_ROLL
};
enum ir_axes_rule { AXES_leaf, AXES_same, AXES_reduce, AXES_scan, AXES_decay, AXES_shape };
enum ir_props { IRP_ELEM = 1, IRP_COMM = 2, IRP_ASSOC = 4, IRP_BOOL = 8, IRP_TRANS = 16 };

/* One row of ops.def; ir_ops[IR_add].name == "add". */
struct ir_op_info {
    const char *name, *math;
    uint8_t nargs, attr, axes_rule, flops, props;
};
extern const struct ir_op_info ir_ops[IR_OP_COUNT];

/* Dimensions. The first seven always exist; `dim R;` and params add more. */
enum { DIM_B, DIM_H, DIM_G, DIM_NQ, DIM_N, DIM_D, DIM_M, DIM_USER };
/* The dims of tokens: of keys, and of queries, which in a step come with them. */
static inline bool
ir_is_tokens(int dim)
{
    return dim == DIM_N || dim == DIM_NQ;
}

struct ir_dim {
    const char *name;   /* "B" "H" "G" "n_q" "n" "D" "M", then the user's */
    int64_t size;       /* fixed size, or 0: known at run time */
};

/* Axes. The first six always exist: b h i j d m. Others are made by ir_axis_*, interned:
 * the same structure is the same axis. At most IR_MAX_AXES. */
enum { AX_b, AX_h, AX_i, AX_j, AX_d, AX_m, AX_FIRST_FREE, IR_MAX_AXES = 64 };
enum ir_axis_kind {
    AXK_BASE,   /* size = dim */
    AXK_COPY,   /* a second, independent index over the same range as axis p (for W[D,D]) */
    AXK_SYM,    /* monomials of degree num in the entries over axis p: C(|p|+num-1, num) */
    AXK_OUTER,  /* pairs (p, r), p slow, r fast */
    AXK_CAT,    /* entries of p followed by entries of r; AX_UNIT for a scalar part */
};
#define AX_UNIT 255u
struct ir_axis {
    const char *name;   /* "d", "R", "d'", "sym(d,2)", "d*d", "1+d" */
    uint8_t kind, p, r; /* part axes */
    uint16_t dim;       /* BASE: the dimension */
    int32_t num;        /* SYM: degree; COPY: which copy */
};

/* Params, in order of declaration. Rank 0: a double with an optional default. */
/* What one kernel may have; the same as the runtime's ATTN_MAX_... */
enum { IR_MAX_RANK = 6, IR_MAX_DIMS = 64, IR_MAX_TENSORS = 36, IR_MAX_SCALARS = 64 };
enum ir_role { PARAM_GIVEN, PARAM_INPUT, PARAM_OUTPUT, PARAM_BETWEEN }; /* see ir/graph.h */
/* A tensor that no caller gives is made by the runtime from a seed: the transpose [columns, rows]
 * of random weights (attn_random_weights). The numbers are ATTN_GIVEN and so on of attn.h. */
enum ir_source { SOURCE_GIVEN, SOURCE_NORMAL, SOURCE_ORTHOGONAL, SOURCE_COUNT };
#define IR_MAX_SEED ((int64_t)1 << 53)
struct ir_param {
    const char *name;
    span_t span;
    uint8_t role;                /* enum ir_role; outside shells PARAM_GIVEN, or PARAM_OUTPUT: no
                                  * param but the tensor [B,H,n_q] that receives root lse; in what
                                  * passes/fuse.h made, PARAM_INPUT and PARAM_OUTPUT are the
                                  * queries, keys, values and results of the other attentions */
    uint8_t source;              /* enum ir_source */
    int64_t seed;
    uint8_t rank;
    uint16_t dims[IR_MAX_RANK];  /* dimension of each index */
    bool has_default;
    double value;                /* the default */
};

/* What a node carries besides operands; which fields mean something is ops.def's attr column.
 * Unused fields are zero (they take part in hashing).
 *   INPUT  num            PARAM  id = param, num = binding (ir_func.bindings)
 *   RAT    id = constant  DIM    id = dimension       INT num      AXIS axis
 *   RENAME axis -> axis2  MONO   axis, axis2 = result, num = degree, id: 0 plain, 1 times
 * r!/alpha!, 2 times its root CAT    axis, axis2 (AX_UNIT: scalar operand), id = result axis OUTER
 * axis, axis2, id = result axis               ROLL  axis, num = shift (turn: enum ir_pairs) */
typedef struct ir_attr {
    uint32_t id;
    int32_t num;
    uint8_t axis, axis2;
} ir_attr;

struct ir_node {
    uint8_t op, nargs;
    ir_ref arg[3];
    ir_attr attr;
    ir_axes axes;
    span_t span;
};

/* Which entries of a vector of length D make pairs: 2t and 2t + 1, or t and t + floor(D/2). The
 * last of an odd number has no partner. */
enum ir_pairs { PAIRS_NEIGHBOURS, PAIRS_HALVES };

/* How a param is indexed at one use: index k of the param runs over axis ax[k], or is the
 * constant num[k] where ax[k] == AX_UNIT. Axes i and j index by position (i + n - n_q, j); where
 * the param's dimension is n_q, axis i indexes by row. */
struct ir_binding {
    uint8_t rank;
    uint8_t ax[IR_MAX_RANK];
    int32_t num[IR_MAX_RANK];
};

enum ir_type { TYPE_F32, TYPE_F64 }; /* narrowest first */
extern const char *const ir_type_names[2]; /* "f32" "f64" */
extern const uint8_t ir_type_bytes[2];     /* 4 8 */
/* AUTO: as EXACT, and the direct form beside it, chosen between by the sizes of each run. TAYLOR
 * and RANDOM: the exponential of what pairs query and key is approximated first (pass approximate),
 * which leaves EXACT. */
enum ir_kernelize {
    KERNELIZE_NONE, KERNELIZE_EXACT, KERNELIZE_AUTO, KERNELIZE_TAYLOR, KERNELIZE_RANDOM
};
enum { IR_MAX_TAYLOR = 16 };
enum ir_positivity { POS_UNKNOWN, POS_ANY_SIGN, POS_NONNEG, POS_POSITIVE };

/* Named roots. Passes rewrite all of them; 0 where the program has none. pair is sim of one query
 * and one key as the polynomial it was expanded to, in dots instead of features. lse is a second
 * result: the logarithm of the row sum as written, whatever the rows of num and den are relative
 * to. */
enum ir_root {
    ROOT_OUT, ROOT_NUM, ROOT_DEN, ROOT_SIM, ROOT_MASK, ROOT_ANY, ROOT_PAIR, ROOT_LSE, ROOT_COUNT
};
extern const char *const ir_source_names[SOURCE_COUNT]; /* "given" "normal" "orthogonal" */
extern const char *const ir_root_names[ROOT_COUNT]; /* "out" "num" ... */

struct ir_func {
    struct arena *arena;
    const char *name;
    enum ir_type type;             /* of q, k, v, out and tensor params */
    enum ir_type acc;              /* of sums, features and states: type or a wider one */
    enum ir_kernelize kernelize;
    int degree;                    /* TAYLOR: of the polynomial, from 1 to IR_MAX_TAYLOR */
    uint32_t weights;              /* RANDOM: the param W[R, D], or its transpose if generated */
    span_t kernelize_span;
    struct ir_dim *dims;
    uint32_t ndims;
    struct ir_axis axes[IR_MAX_AXES];
    uint32_t naxes;
    struct ir_param *params;
    uint32_t nparams;
    struct ir_binding *bindings;
    uint32_t nbindings;
    struct ir_node *nodes;         /* nodes[0] unused */
    uint32_t nnodes;               /* one past the last */
    fmpq *consts;                  /* exact constants, interned */
    uint32_t nconsts;
    ir_ref root[ROOT_COUNT];
    enum ir_positivity row_sum;    /* what pass positivity proved of z */
    const char *row_sum_why;       /* "zero iff q·k = -1 for every visible key", or NULL */
    bool normalize_is_sum;         /* normalize = z (the default) */
    bool contraction;              /* no attention: out[b,h,i,m] of params alone, see ir/graph.h */
    uint32_t *hash;                /* hash-consing table, owned by ir/build.c */
    uint32_t hash_size;
    size_t cap_dims, cap_params, cap_bindings, cap_nodes, cap_consts;
};

/* ---- ir/ir.c: functions, dimensions, axes ---- */
/* A function with the standard dims and axes and no nodes, in arena a. */
struct ir_func *ir_func_new(struct arena *a, const char *name);
/* Releases FLINT memory; the rest goes with the arena. */
void ir_func_free(struct ir_func *f);
/* A copy in arena a with the same node numbering (passes work on copies when they must). */
struct ir_func *ir_func_clone(struct arena *a, const struct ir_func *f);
uint16_t ir_dim_add(struct ir_func *f, const char *name, int64_t size);
int ir_dim_find(const struct ir_func *f, const char *name);      /* -1: none */
uint32_t ir_param_add(struct ir_func *f, const struct ir_param *p);
int ir_param_find(const struct ir_func *f, const char *name);    /* -1: none */
uint32_t ir_param_count(const struct ir_func *f, bool tensors);  /* of tensors or of numbers */
/* The param that receives root lse; -1: none. */
int ir_lse_param(const struct ir_func *f);
/* Has f compute root lse, as written, into a param of that name; returns the param. What is made
 * from a seed stays the last one. */
uint32_t ir_lse_add(struct ir_func *f, const char *name);
/* The axis over a dimension (d for D, m for M, j for n, ...; a new axis for a user's). */
uint8_t ir_axis_base(struct ir_func *f, uint16_t dim);
uint8_t ir_axis_copy(struct ir_func *f, uint8_t axis, int which);
uint8_t ir_axis_sym(struct ir_func *f, uint8_t axis, int degree);   /* degree 1: axis itself */
uint8_t ir_axis_outer(struct ir_func *f, uint8_t p, uint8_t r);
uint8_t ir_axis_cat(struct ir_func *f, uint8_t p, uint8_t r);       /* AX_UNIT allowed */
/* True once IR_MAX_AXES was exceeded (further axes alias the last; the caller reports). */
bool ir_axes_full(const struct ir_func *f);
/* Number of entries for given sizes of the dims (indexed like f->dims), or -1 on overflow past
 * 2^62. */
int64_t ir_axis_size(const struct ir_func *f, uint8_t axis, const int64_t *dim_sizes);
/* Number of entries if every dim the axis is made of is fixed, else -1. AX_UNIT: 1. */
int64_t ir_axis_fixed(const struct ir_func *f, uint8_t axis);

/* Which side of the pairing a node varies with (b, h and vector axes do not count). */
enum ir_side { SIDE_NEUTRAL = 0, SIDE_QUERY = 1, SIDE_KEY = 2, SIDE_MIXED = 3 };
enum ir_side ir_side_of(const struct ir_func *f, ir_ref n);
#define AXES_POSITION                                                                              \
    ((ir_axes)1 << AX_b | (ir_axes)1 << AX_h | (ir_axes)1 << AX_i | (ir_axes)1 << AX_j)
/* The axes of n that are not b, h, i, j: none for scalars, one for vectors, two for matrices. */
ir_axes ir_vector_axes(const struct ir_func *f, ir_ref n);

/* ---- ir/build.c: making nodes (hash-consed; axes computed; no simplification) ---- */
ir_ref ir_node(struct ir_func *f, enum ir_op op, ir_attr attr, ir_ref a, ir_ref b, ir_ref c,
               span_t at);
ir_ref ir_op1(struct ir_func *f, enum ir_op op, ir_ref a, span_t at);
ir_ref ir_op2(struct ir_func *f, enum ir_op op, ir_ref a, ir_ref b, span_t at);
ir_ref ir_select(struct ir_func *f, ir_ref c, ir_ref a, ir_ref b, span_t at);
ir_ref ir_input(struct ir_func *f, int which, span_t at);            /* q: bhid  k: bhjd  v: bhjm */
ir_ref ir_const_q(struct ir_func *f, const fmpq_t q, span_t at);
ir_ref ir_const_i(struct ir_func *f, long num, long den, span_t at);
ir_ref ir_dimval(struct ir_func *f, uint16_t dim, span_t at);
/* The position of a token on i or j, the number of the head or batch, the index of an entry. */
ir_ref ir_pos(struct ir_func *f, uint8_t axis, span_t at);
ir_ref ir_param_use(struct ir_func *f, uint32_t param, const struct ir_binding *b, span_t at);
ir_ref ir_powi(struct ir_func *f, ir_ref a, int n, span_t at);
/* rsum over an axis a does not have is a times the axis' size. */
ir_ref ir_rsum(struct ir_func *f, uint8_t axis, ir_ref a, span_t at);
ir_ref ir_rmax(struct ir_func *f, uint8_t axis, ir_ref a, span_t at);
/* Where along the axis a is greatest, the first such place: 0 if there is none. NaN is greatest. */
ir_ref ir_argmax(struct ir_func *f, uint8_t axis, ir_ref a, span_t at);
/* Along the axis: where the least entry of a is, then the next. Equal ones in order, NaN last. */
ir_ref ir_argsort(struct ir_func *f, uint8_t axis, ir_ref a, span_t at);
/* The entry of a at that place of the axis: NaN if index is no whole number within its size. */
ir_ref ir_pick(struct ir_func *f, uint8_t axis, ir_ref a, ir_ref index, span_t at);
/* Sum over the keys j at or before the query's position of decay(g) * x; both are free of i, and
 * may be the same for all keys: then decay(g) is g^(i - j). */
ir_ref ir_scan(struct ir_func *f, ir_ref x, ir_ref g, span_t at);
/* n, a value of one token that reads no query, as a value of the key: axis i becomes j. */
ir_ref ir_at_key(struct ir_func *f, ir_ref n);
ir_ref ir_rename(struct ir_func *f, uint8_t from, uint8_t to, ir_ref a, span_t at);
/* Monomials of degree n (>= 1; 1 is a itself) of vector a over axis; weighted: times r!/alpha!. */
ir_ref ir_mono(struct ir_func *f, uint8_t axis, int degree, bool weighted, ir_ref a, span_t at);
ir_ref ir_cat(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at);
ir_ref ir_outer(struct ir_func *f, ir_ref a, uint8_t ax_a, ir_ref b, uint8_t ax_b, span_t at);
ir_ref ir_roll(struct ir_func *f, uint8_t axis, int shift, ir_ref a, span_t at);
/* Every pair (x, y) of the vector by a quarter turn: (-y, x); what has no partner becomes 0. */
ir_ref ir_turn(struct ir_func *f, uint8_t axis, enum ir_pairs pairs, ir_ref a, span_t at);
/* Rebuilds node n with other operands (same op, attr, span). */
ir_ref ir_with_args(struct ir_func *f, ir_ref n, const ir_ref arg[3]);
/* True if n is that constant. */
bool ir_is_const(const struct ir_func *f, ir_ref n, long value);
const fmpq *ir_const_value(const struct ir_func *f, ir_ref n);        /* of a const node */
/* Marks n and all that it is made of: a bool per node up to n, to be freed. */
bool *ir_below(const struct ir_func *f, ir_ref n);
/* Marks every node the roots reach: a bool per node, from arena a. */
bool *ir_live(const struct ir_func *f, struct arena *a);
/* Replaces every root by map[root] (0 stays 0). */
void ir_map_roots(struct ir_func *f, const ir_ref *map);

/* ---- ir/print.c, ir/verify.c; reading is air_read of ir/tile.h ---- */
/* The textual form (.air): only live nodes, renumbered densely; byte-identical for equal functions.
 */
void ir_print(const struct ir_func *f, struct str *out);
/* One node as a formula in the language's own notation, e.g. "(q·k + 1)^2". For messages. */
void ir_print_math(const struct ir_func *f, ir_ref n, struct str *out);
/* Checks every rule of ops.def, operand order, axes, attributes, roots. Returns NULL if all is
 * well, else a message from arena a naming the node. */
const char *ir_verify(const struct ir_func *f, struct arena *a);

#endif
