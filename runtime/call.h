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
    int64_t slots[MAX_SLOTS];       /* dims first: -1 until bound */
    const char *bound_by[ATTN_MAX_DIMS];
};

#define ATTN_HIDDEN __attribute__((visibility("hidden")))

/* Sets the thread's message and returns status. */
ATTN_HIDDEN int attn_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Kernel, all tensors and scalars; 0 or a status. Nothing is touched. */
ATTN_HIDDEN int call_prepare(struct call *c, const attn_kernel *kernel, int entry,
                             const DLTensor *const *tensors, const double *scalars);
/* The slots of tensor t: its address, then its strides in elements. */
ATTN_HIDDEN int64_t *call_tensor_slots(struct call *c, int t);
/* As call_prepare, for q, k and v alone: what attn_workspace needs to know. */
ATTN_HIDDEN int call_sizes(struct call *c, const attn_kernel *kernel, int entry, const DLTensor *q,
                           const DLTensor *k, const DLTensor *v);
/* Bytes of workspace with the default thread count, or 0 if they overflow. */
ATTN_HIDDEN size_t call_workspace(const struct call *c, const attn_entry *e);
/* Runs a prepared call. state: the address of the caller's state, or 0. */
ATTN_HIDDEN int call_run(struct call *c, const attn_entry *e, void *state, attn_exec *exec);

#endif
