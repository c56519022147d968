/* Inside libattn: one call of a kernel, from validation to running; for launch.c and state.c. */
#ifndef ATTN_CALL_H
#define ATTN_CALL_H

#include <stdbool.h>

#include "runtime/attn.h"

/* dims, tensors, scalars, where to report a zero row, the state */
enum {
    MAX_SLOTS = ATTN_MAX_DIMS + ATTN_MAX_TENSORS * ATTN_TENSOR_SLOTS + ATTN_MAX_SCALARS + 2
};

/* Dims every kernel has, in this order. */
enum { DIM_B, DIM_H, DIM_G, DIM_NQ, DIM_N, DIM_D, DIM_M, NDIMS };

/* What is known of the call so far. */
struct call {
    const attn_kernel *k;
    bool step;                      /* what runs over n holds the new rows only: as many as q has */
    bool no_outputs;                /* outputs may be NULL */
    bool generated;                 /* the tensors no caller gives are there */
    int64_t slots[MAX_SLOTS];       /* dims first: -1 until bound */
    const char *bound_by[ATTN_MAX_DIMS];
};

#define ATTN_HIDDEN __attribute__((visibility("hidden")))

/* Sets the thread's message and returns status. */
ATTN_HIDDEN int attn_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Kernel, all tensors and scalars; 0 or a status. Nothing is touched. dims: sizes that are known
 * already (-1: not), or NULL. */
ATTN_HIDDEN int call_prepare(struct call *c, const attn_kernel *kernel, int entry,
                             const DLTensor *const *tensors, const double *scalars,
                             const int64_t *dims);
/* True if some tensor of a kernel has that dim. */
ATTN_HIDDEN bool call_is_index(const attn_kernel *k, int dim);
/* True for the keys and values of an attention, [B, G, n, width]: what a cache of tokens keeps. (Of
 * kernels that have a cache, no param runs over the tokens.) */
ATTN_HIDDEN bool call_is_cached(const attn_kernel *k, int t);
/* The slots of tensor t: its address, then its strides in elements. */
ATTN_HIDDEN int64_t *call_tensor_slots(struct call *c, int t);
/* As call_prepare, for q, k and v alone: what attn_workspace needs to know. */
ATTN_HIDDEN int call_sizes(struct call *c, const attn_kernel *kernel, int entry,
                           const DLTensor *const *qkv, const int64_t *dims);
/* Bytes of workspace with the thread count of exec, or 0 if they overflow. */
ATTN_HIDDEN size_t call_workspace(const struct call *c, const attn_entry *e, const attn_exec *exec);
/* Memory for it, or NULL; to be freed. */
ATTN_HIDDEN void *call_workspace_new(size_t size);
/* The entry that entry 0 stands for. It depends on nothing but the sizes. */
ATTN_HIDDEN const attn_entry *call_entry(const struct call *c, int entry);
/* Runs a prepared call. state: the address of the caller's state, or 0. */
ATTN_HIDDEN int call_run(struct call *c, const attn_entry *e, void *state, attn_exec *exec);

/* stages.c: a kernel that runs as stages. */
ATTN_HIDDEN int stages_launch(const attn_kernel *kernel, const DLTensor *const *tensors,
                              const double *scalars, attn_exec *exec);

ATTN_HIDDEN int stages_step(attn_state *s, const DLTensor *const *tensors, const double *scalars,
                            attn_exec *exec);
/* state.c: zeroed memory, aligned to lines; whether the sizes of a step are those the state was
 * made for. */
ATTN_HIDDEN void *state_memory(size_t bytes);
ATTN_HIDDEN int state_check_shape(const attn_state *s, const struct call *c);

/* attn_step_workspace with the thread count of exec, and dims that are known already. */
ATTN_HIDDEN size_t state_workspace(const attn_state *s, const DLTensor *const *qkv,
                                   const int64_t *dims, const attn_exec *exec);

/* ---- generate.c: the tensors that no caller gives ---- */

/* Their sizes are known and at least 1. */
ATTN_HIDDEN int call_check_generated(struct call *c);
/* Bytes for all of them, whole lines; -1 if they overflow. */
ATTN_HIDDEN int64_t call_generated_bytes(const struct call *c);
/* Points the call to them in memory (aligned to a line), made anew if `fill`. */
ATTN_HIDDEN void call_generate(struct call *c, char *memory, bool fill);

#endif
