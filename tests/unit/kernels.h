/* What the unit tests share: programs compiled from text, and their kernels in memory. */
#ifndef ATTNC_TESTS_UNIT_KERNELS_H
#define ATTNC_TESTS_UNIT_KERNELS_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "passes/schedule.h"
#include "runtime/attn.h"

/* A program through front end and passes. source is what was written, meaning the same or what a
 * pass approximates it by, func what the passes made of it. */
struct program {
    struct arena *arena, *scratch;
    struct source *src;
    struct diag diag;
    char *said; /* what the compiler had to say: shown when something fails */
    size_t said_len;
    struct derivation why;
    struct ir_func *source, *meaning, *func;
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

bool native_open(struct native *n, const char *name, const char *text, enum ir_type type,
                 const struct dim_override *dims, int ndims, const struct schedule_tuning *t,
                 const struct cg_target *target);
void native_close(struct native *n);
/* The k-th row of targets.def that this machine runs, or NULL. */
const struct cg_target *native_row(int k);

#endif
