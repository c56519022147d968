/* Inputs of a run: tensors in the kernel's type, and the same numbers for the reference. */
#ifndef ATTNC_FRONTEND_DRIVER_VALUES_H
#define ATTNC_FRONTEND_DRIVER_VALUES_H

#include "ir/interp.h"
#include "runtime/attn.h"

enum { VALUES_MAX_TENSORS = ATTN_MAX_TENSORS };

/* Tensors in the order of kernel->tensors (q k v out, then tensor params), all dense. */
struct values {
    const struct ir_func *f;
    const attn_kernel *kernel;
    int64_t *dims;                        /* per dim of f */
    void *data[VALUES_MAX_TENSORS];       /* in the kernel's type */
    int64_t shape[VALUES_MAX_TENSORS][ATTN_MAX_RANK];
    int64_t count[VALUES_MAX_TENSORS];
    bool is_param[VALUES_MAX_TENSORS];    /* no input of the program, such as q, k and v */
    DLTensor tensor[VALUES_MAX_TENSORS];
    num *exact[VALUES_MAX_TENSORS];       /* the same numbers as f64; NULL until asked for */
    double *scalars;                      /* in the order of kernel->scalars */
    num *scalar_nums;
    const num **params;                   /* per param of f, for the interpreter */
};

/* Allocates dense tensors for dims (all sizes known). False if they are too large. */
bool values_alloc(struct values *v, const struct ir_func *f, const attn_kernel *k,
                  const int64_t *dims);
/* Fills inputs with random numbers: q, k, v normal; params in (0, 1], or document numbers where
 * the program compares them for equality; scalars their default or 1.
 * integers: small whole numbers instead, on which floating point is exact. */
void values_random(struct values *v, uint64_t seed, bool integers);
/* Makes the f64 copies and the interpreter's view of them. */
struct interp_input values_interp(struct values *v);
void values_put(struct values *v, int tensor, int64_t index, double x);
double values_get(const struct values *v, int tensor, int64_t index);
int values_launch(struct values *v, attn_exec *exec);
void values_free(struct values *v);

#endif
