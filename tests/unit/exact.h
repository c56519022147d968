/* Programs whose results are exact: on small whole numbers every product and sum in them is a whole
 * number that the type holds, so native code must give the same bits as the definition, whatever
 * the order of the sums, the vector length or the fusing of multiply and add. What the bits must
 * be is computed here in int64, pair by pair, by code that shares nothing with the compiler and
 * needs nothing but the runtime, so that it runs wherever kernels do. */
#ifndef ATTNC_TESTS_UNIT_EXACT_H
#define ATTNC_TESTS_UNIT_EXACT_H

#include <stdbool.h>

#include "runtime/attn.h"

/* Sizes, in the order of attn_kernel.dims. */
enum { EX_B, EX_H, EX_G, EX_NQ, EX_N, EX_D, EX_M, EX_DIMS };

/* One query and one key. */
struct exact_pair {
    const int *q, *k;
    int64_t D, i, j, b, h, n;
    const struct exact_case *c;
};

struct exact_program {
    const char *name, *text;
    int64_t (*sim)(const struct exact_pair *p);
    bool (*sees)(const struct exact_pair *p);    /* NULL: every key */
    /* No partial sum of sim exceeds this when entries are at most a in magnitude. */
    int64_t (*most)(int64_t D, int64_t n, int64_t a);
    enum { SUM, QUOTIENT, HARDMAX } result;      /* HARDMAX: mean of v where sim is largest */
    int64_t max_D;                               /* beyond it too slow or not exact; 0: any */
    bool positions;                              /* needs n_q <= n */
    bool several;                                /* also with fixed sizes and other tiles */
};
extern const struct exact_program exact_programs[];
extern const int exact_program_count;

enum { EXACT_TENSORS = 5 };

/* Inputs and what must come out of them. Tensors are dense here: q k v, (out), a tensor param. */
struct exact_case {
    const struct exact_program *p;
    const attn_kernel *kernel;
    int64_t dims[EX_DIMS], scalar;
    int *in[EXACT_TENSORS];
    double *want; /* [B, H, n_q, M], rounded to the kernel's type */
    int64_t elements[EXACT_TENSORS], count; /* count: those of out */
};

/* False if the results would not be exact in the kernel's type even with entries of magnitude 1. */
bool exact_make(struct exact_case *c, const struct exact_program *p, const attn_kernel *k,
                const int64_t *dims, uint64_t seed);
void exact_free(struct exact_case *c);
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

/* Where a run's tensors are. exact_place gives each its extent (x[t].bytes); the caller points
 * memory[t] to that much. */
struct exact_run {
    struct placed x[EXACT_TENSORS];
    char *memory[EXACT_TENSORS];
    char *image; /* what the memory of out must hold afterwards, to the byte */
};
void exact_place(struct exact_run *r, const struct exact_case *c, enum layout layout);
/* Writes the inputs, with NaN between them, and the image of out. */
void exact_fill(struct exact_run *r, const struct exact_case *c);
void exact_reset(struct exact_run *r); /* a pattern over the whole of out */
/* Status of attn_launch on these tensors for kernel k (the case's, or a copy of it). */
int exact_launch(struct exact_run *r, const struct exact_case *c, const attn_kernel *k,
                 attn_exec *exec);
/* The first element of out whose bits are wrong; -1: none; -2: memory between them was written. */
int64_t exact_wrong(const struct exact_run *r, const struct exact_case *c);
void exact_run_free(struct exact_run *r); /* not the memory */

#endif
