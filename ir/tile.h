/* The tile IR: how a function runs. Loops over tiles of scratch memory, and whole-tile statements.
 *
 * A program belongs to an axis-IR function: `map` statements evaluate nodes of it, element by
 * element, with some nodes bound to tiles that already hold their values. Sizes are integer
 * expressions (tx) over the dims and the loop variables; edges are run-time extents, never masks
 * the schedule has to think about. Buffers are two-dimensional and row-major; the columns of local
 * and shared buffers are padded by the code generator, so statements may write past the valid
 * columns of a row, never past its padding. */
#ifndef ATTNC_IR_TILE_H
#define ATTNC_IR_TILE_H

#include "ir/interp.h"
#include "ir/ir.h"

typedef uint32_t tx_ref; /* integer expression, 0 = none */

enum tx_op {
    TX_NONE, TX_NUM, TX_DIM, TX_VAR,
    TX_ROWS,            /* rows of the monomial table of degree num in a variables */
    TX_ADD, TX_SUB, TX_MUL, TX_FDIV, TX_CDIV, TX_MIN, TX_MAX
};
struct tx {
    uint8_t op;
    tx_ref a, b;
    int64_t num;        /* NUM value; DIM, VAR index; ROWS degree */
};

enum tile_buf_kind {
    BUF_ARG,     /* a tensor argument: q k v out, or a tensor param */
    BUF_SHARED,  /* workspace of the whole call: written by one phase, read by later ones */
    BUF_STATE,   /* kept by the caller from call to call, all zero before the first */
    BUF_LOCAL    /* scratch of one task */
};
enum tile_elem {
    ELEM_ACC,
    ELEM_IO,
    ELEM_TABLE
}; /* accumulation type, tensor type, monomial table */
/* Tensor arguments are numbered q 0, k 1, v 2, out 3, then 4 + k for the k-th param that is a
 * tensor. Written are out and params of role PARAM_OUTPUT. */
struct tile_buf {
    const char *name;
    uint8_t kind, elem;
    uint32_t arg;              /* BUF_ARG */
    uint8_t axes[4];           /* BUF_ARG: which of the tensor's axes b, h, rows and columns of its
                                * views run over; AX_UNIT: none, and only the last axis of a tensor
                                * can be columns */
    tx_ref planes, rows,
        cols; /* maximal extents; planes: e.g. B*H for a shared state, mostly 1 for locals */
    bool single;               /* a local with one plane, which its views do not name */
    span_t span;               /* where a textual form declares it */
};

/* rows x cols elements from (row, col) of plane `plane` (BUF_ARG: of batch b, head h). */
typedef struct tile_view {
    uint32_t buf;              /* 0 = none */
    tx_ref b, h;               /* BUF_ARG: batch and head; else b = plane, unless single */
    tx_ref row, col, rows, cols;
    span_t span;               /* in a textual form */
} tile_view;

enum tile_op {
    TILE_NONE,
#define TILE(name, v, x, n, flags, help) TILE_##name,
#include "ir/tile_ops.def"
    TILE_OP_COUNT
};
enum tile_flags { TF_NONE = 0, TF_LOOP = 1, TF_BODY = 2, TF_MAP = 4, TF_AT = 8 };
struct tile_op_info {
    const char *name, *views;
    uint8_t nviews, nindex, nnum, flags;
    const char *help;
};
extern const struct tile_op_info tile_ops[TILE_OP_COUNT];

/* In a map, `node` reads its value from `view`, whose rows run over row_axis and whose columns run
 * over col_axis (AX_UNIT: one row, one column). A vector over a tile's rows is one row with that
 * axis as col_axis. */
struct tile_bind {
    ir_ref node;
    tile_view view;
    uint8_t row_axis, col_axis;
};

struct tile_stmt {
    uint8_t op;
    uint8_t row_axis, col_axis, red_axis;  /* MAP; AX_UNIT when unused */
    uint32_t nbinds;
    tile_view v[8];
    tx_ref x[3];
    int32_t num[2];
    ir_ref node;
    tx_ref at[6];                          /* MAP: b, h, i and j of element (0,0), key head; how
                                            * far apart neighbours on axis i are, 0 = none: 1 */
    tx_ref rows, cols, depth;              /* MAP: extents of row, column and third axis */
    uint32_t var[3];
    struct tile_bind *binds;
    struct tile_stmt *body, *next;
    span_t span;
};

/* Columns that statement `scansum` spreads its sums over: the lanes of the widest vector. */
enum { TILE_LANES = 16 };

enum { TILE_MAX_VARS = 1024, TILE_MAX_BUFS = 4096, TILE_MAX_DEGREE = 16, TILE_MAX_PHASES = 8 };

struct tile_prog {
    struct arena *arena;
    struct ir_func *func;
    const char *entry;     /* "forward" */
    const char *schedule;  /* "stream" */
    struct tx *xs;
    uint32_t nxs;
    struct tile_buf bufs[TILE_MAX_BUFS];
    uint32_t nbufs;        /* bufs[0] unused */
    const char *vars[TILE_MAX_VARS];
    uint32_t nvars;        /* vars[0] unused */
    struct tile_stmt *body; /* phases */
    int64_t period;        /* multiples of so many tokens are whole tiles; 0: not known */
    tx_ref cost;           /* what a run takes, to compare forms of a kernel by; or 0 */
    const char *skipped;   /* what the mask analysis found, in words, for explain; or NULL */
    size_t cap_xs;
};

/* ---- ir/tile.c ---- */
struct tile_prog *tile_new(struct arena *a, struct ir_func *f, const char *entry,
                           const char *schedule);
tx_ref tx_num(struct tile_prog *p, int64_t v);
tx_ref tx_dim(struct tile_prog *p, uint16_t dim);       /* folds to a number where fixed */
tx_ref tx_var(struct tile_prog *p, uint32_t var);
tx_ref tx_op2(struct tile_prog *p, enum tx_op op, tx_ref a, tx_ref b);  /* folds, hash-conses */
tx_ref tx_rows(struct tile_prog *p, tx_ref size, int degree);
/* The extent of an axis in entries as an integer expression. */
tx_ref tx_axis(struct tile_prog *p, uint8_t axis);
bool tx_is_num(const struct tile_prog *p, tx_ref x, int64_t *v);
uint32_t tile_buf_add(struct tile_prog *p, const char *name, int kind, int elem, tx_ref planes,
                      tx_ref rows, tx_ref cols);
/* The BUF_ARG of q, k, v, out, or of a param of another role than PARAM_GIVEN. */
uint32_t tile_arg(struct tile_prog *p, uint32_t arg);
/* What that is, added or not; the argument that has the name, or -1. */
struct tile_buf tile_arg_form(struct tile_prog *p, uint32_t arg);
int tile_arg_find(const struct ir_func *f, const char *name);
/* The BUF_ARG of a tensor param whose views run over these of its axes (see struct tile_buf). */
uint32_t tile_arg_axes(struct tile_prog *p, uint32_t arg, const uint8_t axes[4]);
/* The variable of that name; a new one if there is none. Loops inside one another need different
 * names, others may share one. */
uint32_t tile_var_add(struct tile_prog *p, const char *name);
struct tile_stmt *tile_stmt_new(struct tile_prog *p, enum tile_op op);
/* Number of tensor arguments, and the param behind argument a >= 4. */
uint32_t tile_arg_count(const struct ir_func *f);
uint32_t tile_arg_param(const struct ir_func *f, uint32_t arg);
uint32_t tile_param_arg(const struct ir_func *f, uint32_t param);
/* The argument that receives root lse of a function that passes/fuse.h did not make; 0: none. */
uint32_t tile_lse_arg(const struct ir_func *f);
/* An argument as a param: q, k, v and out have those of every attention. */
const struct ir_param *tile_arg_decl(const struct ir_func *f, uint32_t arg);
/* True for arguments that are written. */
bool tile_is_output(const struct ir_func *f, uint32_t arg);

/* Calls fn for every size expression that the program uses, in the order of the textual form. */
typedef void tile_size_fn(struct tile_prog *p, tx_ref *x, void *arg);
void tile_each_size(struct tile_prog *p, tile_size_fn *fn, void *arg);
/* The size expressions of one statement, without those of its body. */
void tile_each_size_of(struct tile_prog *p, struct tile_stmt *s, tile_size_fn *fn, void *arg);
/* Renumbers size expressions in the order of use and drops the others: a program then compiles to
 * the same code however its expressions were made. */
void tile_compact(struct tile_prog *p);
/* Marks every node the roots or the statements reach: a bool per node, from arena a. */
bool *tile_live(const struct tile_prog *p, struct arena *a);

/* ---- ir/tile_print.c, tile_read.c, tile_verify.c, tile_exec.c ---- */
enum { TILE_ENTRIES = 2 }; /* forward, step */
/* The textual form (.air): the axis-IR function, then its tile programs that are not NULL. */
void tile_print(const struct tile_prog *const prog[TILE_ENTRIES], struct str *out);
/* Reads .air text of either IR; NULL after diagnostics. Programs that are not in the text are NULL.
 * What tile_print wrote reads back to equal programs; every program is verified. */
struct ir_func *air_read(struct arena *a, const struct source *src, struct diag *d,
                         struct tile_prog *prog[TILE_ENTRIES]);
/* Checks every rule that code generation relies on. Returns NULL if all is well, else a message
 * from arena a, and its place in a textual form in *at. */
const char *tile_verify(const struct tile_prog *p, struct arena *a, span_t *at);

/* What a run does: it takes 2*mul_add + other floating-point operations, a function being one. */
struct tile_count {
    int64_t mul_add;   /* multiply-adds of matmul, rowdot, patch */
    int64_t other;     /* elementwise operations and sums */
    int64_t calls;     /* functions among them */
    int64_t bytes;     /* of arguments, state and shared workspace read or written by statements */
    int64_t tiles;     /* iterations of loops */
    int64_t scores;    /* pairs of a query and a key that were compared: statement `scores` */
};
/* Runs the program slowly and literally. out is dense [B,H,n_q,M]. False with *why on sizes that
 * cannot be evaluated. Out-of-bounds views are an internal error, so this is also a bounds check.
 */
bool tile_exec(const struct tile_prog *p, const struct interp_input *in, num *out,
               struct tile_count *count, const char **why);
/* The same counts from the loops and tests alone, for any size (only params are read; what a NaN
 * or inf in v would cost is left out). */
bool tile_count(const struct tile_prog *p, const struct interp_input *in, struct tile_count *count,
                const char **why);

/* Evaluates an integer expression for given dims and vars. */
int64_t tx_eval(const struct tile_prog *p, tx_ref x, const int64_t *dims, const int64_t *vars);

#endif
