/* Inside codegen: the state of one function under construction, and small builders.
 *
 * Every value of a program is a vector of the accumulation type over the column axis of the
 * statement at hand; integers (addresses, extents) are i64 scalars. Local and shared buffers have
 * rows padded to CG_PAD bytes, so whole vectors may be loaded and stored within a row. */
#ifndef ATTNC_CODEGEN_CG_H
#define ATTNC_CODEGEN_CG_H

#include <llvm-c/Core.h>

#include "codegen/codegen.h"
#include "codegen/vmath.h"

typedef LLVMValueRef val;

enum { CG_PAD = 64 };

struct cg_module {
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    struct arena *arena;
    const struct ir_func *func;
    const char *triple;
    const struct cg_target *base;    /* of the target machine */
    int opt_level;
};

/* Loop under construction (cg_loop / cg_end). */
struct cg_loop {
    LLVMBasicBlockRef head, body, done;
    val iv, step, phi_in;
};

enum { CG_MIXED = -1 };               /* read_columns: views differ, or one begins further on */

struct cg {
    struct cg_module *m;
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    const struct cg_target *t;
    const struct tile_prog *p;
    const struct ir_func *f;
    LLVMTypeRef i1, i8, i32, i64, f64, ptr, acc, vec,
        ivec;                        /* acc: float or double; vec: of vl; ivec: i32 */
    LLVMTypeRef io, iovec;           /* the tensors' type: acc or a narrower one */
    int vl, esize, io_size;          /* lanes of vec, bytes of acc and io */
    val fn, slots, shared, local;    /* the function and its arguments */
    val *dims;                       /* i64 per dim */
    val *rows;                       /* TX_ROWS values, per tx, made at entry */
    tx_ref *offset, *row_elements;   /* per buffer: bytes before it, elements from row to row */
    tx_ref total[4];                 /* per kind of buffer: bytes */
    bool *asked;                     /* per argument: some statement asks for its rows ahead */
    tx_ref *read_columns;            /* per local buffer: of all views that are read; 0: of none */
    struct cg_scope *scope;
};

/* Values that many statements need, made once: each at the outermost place where all it depends on
 * is known. Place 0 is the beginning of the function, place d the statement at hand of the d-th
 * body around the current one. (scope.c) */
void cg_scope_new(struct cg *g);
void cg_scope_free(struct cg *g);
/* The beginning of a function: from here to the next statement is place 0. */
void cg_scope_open(struct cg *g);
void cg_scope_close(struct cg *g);
void cg_statement(struct cg *g, const struct tile_stmt *s);
void cg_bind(struct cg *g, uint32_t var, val v); /* in the body that comes next */
val cg_base(struct cg *g, uint32_t buf);         /* address of a buffer's first element */
val cg_ld(struct cg *g, uint32_t buf);           /* its elements from row to row */

/* ---- cg.c ---- */
val cg_i(struct cg *g, int64_t v);
val cg_add(struct cg *g, val a, val b);
val cg_sub(struct cg *g, val a, val b);
val cg_mul(struct cg *g, val a, val b);
val cg_min(struct cg *g, val a, val b);
val cg_max(struct cg *g, val a, val b);
/* base + index elements of the accumulation type. */
val cg_at(struct cg *g, val base, val index);
val cg_load(struct cg *g, LLVMTypeRef ty, val addr);
val cg_load_lanes(struct cg *g, val addr, val mask);    /* a vec; lanes without mask are 0 */
void cg_store(struct cg *g, val v, val addr);
void cg_store_lanes(struct cg *g, val v, val addr, val mask);
val cg_splat(struct cg *g, val scalar);                 /* acc -> vec */
val cg_splat_f(struct cg *g, double v);                 /* constant vec */
val cg_fma(struct cg *g, val a, val b, val c);          /* a*b + c, fused where the target can */
/* Lanes k with k < count as an i1 vector. */
val cg_mask(struct cg *g, val count);
val cg_gather(struct cg *g, val base, val index_vec64, val mask);
val cg_hsum(struct cg *g, val v);                       /* sum of lanes, in a fixed tree order */
/* The lane that compares so to all others, none of which is NaN. */
val cg_hmax(struct cg *g, val v, LLVMRealPredicate than);
/* Asks for the line of an address, which may be none; near: 3 for all caches, 2 for the second. */
void cg_prefetch(struct cg *g, val addr, bool write, int near);
val cg_call_intrinsic(struct cg *g, const char *name, LLVMTypeRef *ov, unsigned nov, val *args,
                      unsigned n);
/* Calls a function of the runtime; result NULL: void. */
val cg_call_runtime(struct cg *g, const char *name, LLVMTypeRef result, val *args, unsigned n);
struct cg_loop cg_loop(struct cg *g, val lo, val hi,
                       val step); /* for iv = lo; iv < hi; iv += step */
void cg_end(struct cg *g, struct cg_loop *l);
/* A variable in the function's entry block, for values carried round loops (becomes a register). */
val cg_var(struct cg *g, LLVMTypeRef ty, val init);
/* if (cond) { ... } : opens a block; cg_fi closes it. */
LLVMBasicBlockRef cg_if(struct cg *g, val cond);
void cg_fi(struct cg *g, LLVMBasicBlockRef after);
/* An internal function of the module under the name WHAT.TARGET, opened to be built; or the one
 * that is there already, then *back is NULL. What was being built goes on after
 * cg_close_function. */
val cg_open_function(struct cg *g, const char *what, LLVMTypeRef *par, unsigned n, val *outer,
                     LLVMBasicBlockRef *back);
void cg_close_function(struct cg *g, val outer, LLVMBasicBlockRef back);
val cg_tx(struct cg *g, tx_ref x);
bool cg_tx_const(const struct cg *g, tx_ref x, int64_t *v);

/* Elements of a view, as acc: of a tensor they are converted. mask: valid lanes, NULL: all. */
val cg_get(struct cg *g, const tile_view *v, val row, val col, val mask);
val cg_get_one(struct cg *g, const tile_view *v, val row, val col);
void cg_put(struct cg *g, val x, const tile_view *v, val row, val col, val mask);
/* The same at an address within a tensor. */
val cg_io_at(struct cg *g, val base, val index);
val cg_io_load(struct cg *g, val addr, val mask);
val cg_io_load_one(struct cg *g, val addr);
val cg_io_gather(struct cg *g, val base, val index_vec64, val mask);

/* Address of the element (row, col) of a view, and its row stride in elements. */
val cg_view_addr(struct cg *g, const tile_view *v, val row, val col);
val cg_view_ld(struct cg *g, const tile_view *v);
/* Elements of a tensor from head to head of a view into it. */
val cg_view_head(struct cg *g, const tile_view *v);
/* Of scratch memory, where whole vectors may run past the columns; else of a tensor. */
bool cg_is_padded(const struct cg *g, const tile_view *v);

/* Slots of a tensor argument: its address and the stride of one axis. */
val cg_arg_addr(struct cg *g, uint32_t arg);
val cg_arg_stride(struct cg *g, uint32_t arg, int axis);
val cg_scalar_param(struct cg *g, uint32_t param);      /* double */
val cg_slot(struct cg *g, uint32_t index);              /* i64 */
uint32_t cg_status_slot(const struct ir_func *f);
uint32_t cg_state_slot(const struct ir_func *f);

/* ---- expr.c: values of axis-IR nodes over one vector of columns ---- */
struct cg_point {
    const struct tile_stmt *s;
    val row, col, red;      /* i64 indexes; col is that of lane 0 */
    val lanes;              /* i1 mask of valid lanes, NULL: all valid */
    val next;               /* rows to the next tile, where it is worth asking for; or NULL */
};
val cg_expr(struct cg *g, ir_ref node, const struct cg_point *at);

/* ---- map.c, matmul.c, tiles.c: statements ---- */
typedef void cg_stmt_fn(struct cg *g, const struct tile_stmt *s);
#define TILE(name, v, x, n, flags, help) cg_stmt_fn cg_tile_##name;
#include "ir/tile_ops.def"
void cg_body(struct cg *g, const struct tile_stmt *body);
/* Calls the matrix product of the target on c, ldc, a, ars, acs, b, ldb, m, n, k, set. */
void cg_call_matmul(struct cg *g, const val *operands);
/* Runs fn for all columns from `from` on, so many vectors at a time, then half as many, ... 1. */
void cg_column_blocks(struct cg *g, val from, val columns, int widest,
                      void (*fn)(struct cg *, val col, int vectors, void *), void *arg);
/* Runs fn for every vector of columns [0, cols): whole vectors, then one partial with a lane mask.
 */
void cg_columns(struct cg *g, val cols, void (*fn)(struct cg *, val col, val mask, void *),
                void *arg);

/* ---- kernel.c ---- */
/* The phase functions of one program for one target; returns their number. */
int cg_phases(struct cg *g, val *out);
val cg_plan(struct cg *g);
void cg_prepare(struct cg *g, struct cg_module *m, const struct tile_prog *p,
                const struct cg_target *t);
void cg_release(struct cg *g);
/* Gives a function of the module the instruction set of the target. */
void cg_attributes(struct cg *g, val fn);
/* ---- abi.c ---- */
/* The description of m->func's kernel, whose entries these programs are. */
val cg_describe(struct cg_module *m, const struct tile_prog *const *progs, int nprogs,
                const struct cg_options *o, enum cg_stepping stepping, val *const *phases,
                const val *plans);
/* The functions that C calls, of a kernel; of a program whose stages have these kernels. */
void cg_export(struct cg_module *m, val kernel, enum cg_stepping stepping);
void cg_export_graph(struct cg_module *m, const struct graph *g, const val *kernels,
                     enum cg_stepping stepping);
/* ---- object.c ---- */
void cg_init_llvm(void);

#endif
