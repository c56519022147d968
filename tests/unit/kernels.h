/* What the unit tests share: programs compiled from text, their kernels in memory, tensors in any
 * layout. */
#ifndef ATTNC_TESTS_UNIT_KERNELS_H
#define ATTNC_TESTS_UNIT_KERNELS_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "passes/schedule.h"
#include "runtime/attn.h"

/* A program through front end and passes. source is what was written, func what the passes made of
 * it. */
struct program {
    struct arena *arena, *scratch;
    struct source *src;
    struct diag diag;
    struct derivation why;
    struct ir_func *source, *func;
};

/* The front end alone: func is NULL until program_pass. False after a diagnostic was printed. */
bool program_read(struct program *p, const char *name, const char *text,
                  const struct dim_override *dims, int ndims);
/* Makes func anew by the passes up to and including stop_after (NULL: all). */
bool program_pass(struct program *p, const char *stop_after);
void program_close(struct program *p);

/* A kernel for one instruction set, ready to run. */
struct native {
    struct program p;
    struct cg_module *module;
    struct cg_jit *jit;
    const attn_kernel *kernel;
    const struct cg_target *target;
};

bool native_open(struct native *n, const char *name, const char *text,
                 const struct dim_override *dims, int ndims, const struct schedule_tuning *t,
                 const struct cg_target *target);
void native_close(struct native *n);
/* The k-th row of targets.def that this machine runs, or NULL. */
const struct cg_target *native_row(int k);

/* Where the elements of a tensor lie relative to its first one. */
enum layout {
    LAYOUT_DENSE,
    LAYOUT_PADDED,       /* gaps after rows, heads and batches */
    LAYOUT_HEADS_INSIDE, /* [b, n, h, d] in memory, rows padded by one */
    LAYOUTS
};

struct placed {
    DLTensor t;
    int64_t shape[ATTN_MAX_RANK], stride[ATTN_MAX_RANK];
    size_t bytes; /* from the first element to the last */
    int64_t count;
};

/* Shape, strides and extent of tensor number t of the kernel for these sizes; t.data stays NULL. */
void placed_init(struct placed *x, const attn_kernel *k, int t, const int64_t *dims,
                 enum layout layout);
/* Element number e in row-major order, as an address in the memory at base. */
char *placed_at(const struct placed *x, char *base, int64_t e);
void placed_put(const struct placed *x, char *base, int64_t e, double v);
double placed_get(const struct placed *x, const char *base, int64_t e);

#endif
