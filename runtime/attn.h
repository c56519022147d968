/* attn.h: what every kernel made by attnc shares: calling, errors, threads, description.
 *
 *     #include "quadratic.h"                     (generated: attnc model.attn -o k.o --header=...)
 *     DLTensor q = ATTN_F32(qp, b, h, n, D), ...;
 *     int rc = quadratic_forward(&q, &k, &v, &out, NULL);
 *     if (rc) fprintf(stderr, "%s\n", attn_message());
 *
 * Tensors are DLPack, on the CPU, layout [b, h, n, D] (q, out: query heads; k, v: key heads, a
 * divisor of them), any strides in elements except that the last axis is contiguous. */
#ifndef ATTN_H
#define ATTN_H

#include <stddef.h>
#include <stdint.h>

#include <dlpack/dlpack.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum attn_status {
    ATTN_OK = 0,
    ATTN_E_NULL,      /* a required pointer is NULL */
    ATTN_E_RANK,      /* a tensor has the wrong number of axes */
    ATTN_E_SHAPE,     /* a size differs from what is expected */
    ATTN_E_TYPE,      /* wrong element type or lanes */
    ATTN_E_STRIDE,    /* last axis not contiguous, negative or overlapping output strides */
    ATTN_E_DEVICE,    /* not in CPU memory */
    ATTN_E_SIZE,      /* a product of sizes overflows, or a size is absurd */
    ATTN_E_MEMORY,    /* out of memory, or the workspace given is too small */
    ATTN_E_ISA,       /* this CPU runs none of the versions in the object */
    ATTN_E_ABI,       /* object and runtime library do not fit together */
    ATTN_E_ZERO_ROW,  /* under ATTN_CHECK: a row's normaliser is exactly 0 */
    ATTN_E_STATE,     /* a state of another program or shape, a damaged one, or no step possible */
    ATTN_E_FULL       /* the cache has no room for the new tokens */
} attn_status;

enum { ATTN_CHECK = 1 }; /* attn_exec.flags: report rows whose normaliser is 0 */

/* How to run. NULL, or all zero, means: all cores (OpenMP), own workspace, no extra checks. */
typedef struct attn_exec {
    void *workspace;          /* at least NAME_workspace() bytes, 64-byte aligned, or NULL */
    size_t workspace_size;
    int threads;              /* workers; 0: as many as the machine has */
    uint32_t flags;
    /* Runs fn(arg, w) for w = 0 .. workers-1, in any order, possibly at once, and returns when all
     * have returned. NULL: OpenMP. Results do not depend on how it runs them. */
    void (*parallel_for)(void *ctx, int workers, void (*fn)(void *arg, int worker), void *arg);
    void *ctx;
    int64_t zero_row;         /* out: with ATTN_E_ZERO_ROW, the first such row (flattened b,h,i) */
} attn_exec;

const char *attn_status_text(int status);
/* What went wrong in this thread's last failing call, e.g.
 * "k: shape[3] is 32, expected D = 64". Valid until the next call in this thread. */
const char *attn_message(void);

/* ---- description of a kernel: enough to bind from any language ---- */

enum {
    ATTN_ABI = 6,
    ATTN_MAX_RANK = 6,
    ATTN_MAX_DIMS = 64,
    ATTN_MAX_TENSORS = 40, /* q, k, v and out among them */
    ATTN_MAX_SCALARS = 64,
    ATTN_TENSOR_SLOTS = 1 + ATTN_MAX_RANK,
    ATTN_MAX_PHASES = 8,
    ATTN_PLAN = 4 + ATTN_MAX_PHASES
};

typedef enum attn_type { ATTN_TYPE_F32 = 0, ATTN_TYPE_F64 = 1 } attn_type;

typedef struct attn_dim {
    const char *name;        /* "B" "H" "G" "n_q" "n" "D" "M", then the program's own */
    int64_t size;            /* fixed size, or 0: taken from the tensors */
} attn_dim;

/* attn_tensor.role */
enum { ATTN_INPUT = 0, ATTN_OUTPUT = 1, ATTN_BETWEEN = 2 };
/* Where a tensor comes from: the caller, or the library, which makes it for each call (for steps,
 * in the state); then no argument stands for it. */
enum { ATTN_GIVEN = 0, ATTN_NORMAL = 1, ATTN_ORTHOGONAL = 2 };

typedef struct attn_tensor {
    const char *name;        /* "q" "k" "v" "out", then tensor params; see attn_kernel.stages */
    int32_t rank, role;      /* rank 0: the kernel has no such argument */
    int32_t dims[ATTN_MAX_RANK]; /* index into attn_kernel.dims, per axis */
    int32_t source, reserved;
    uint64_t seed;           /* of a generated one, whose shape is [columns, rows] */
} attn_tensor;

typedef struct attn_scalar {
    const char *name;
    int32_t has_default, reserved;
    double value;
} attn_scalar;

/* Instruction sets, weakest first within a family. The runtime takes the strongest the CPU has. */
typedef enum attn_isa {
    ATTN_ISA_ANY = 0,
    ATTN_ISA_X86_V2 = 1,
    ATTN_ISA_X86_V3 = 2,
    ATTN_ISA_X86_V4 = 3,
    ATTN_ISA_NEON = 16
} attn_isa;

/* Generated code. slots: sizes of all dims; then per tensor ATTN_TENSOR_SLOTS values: data address
 * and element strides; then the scalars as doubles; then the address of an int64_t that receives
 * the first zero row (or 0), and that of the state (or 0). shared: workspace of the call; local:
 * workspace of the worker. Tasks of one phase may run in any order and at once; phases run one
 * after the other. */
typedef void attn_task(const int64_t *slots, char *shared, char *local, int64_t task);
/* out[0] bytes of shared, out[1] bytes of local workspace, out[2+p] number of tasks of phase p,
 * out[2 + ATTN_MAX_PHASES] bytes of state, out[3 + ATTN_MAX_PHASES] what the entry is expected to
 * take, in a unit that the entries of a kernel share.
 * INT64_MAX stands for anything that overflows. */
typedef void attn_plan(const int64_t *slots, int64_t *out);

typedef struct attn_variant {
    int32_t isa, reserved;
    attn_task *phase[ATTN_MAX_PHASES];
} attn_variant;

/* attn_kernel.flags */
enum {
    ATTN_NEEDS_POSITIONS = 1, /* a param is indexed by query position: n_q <= n is required */
    ATTN_STEP_CACHE = 2,      /* steps attend over a cache of keys and values */
    ATTN_STEP_STATE = 4,      /* steps keep a state of fixed size: entry 1 is "step" */
    ATTN_CHOOSES = 8,         /* the last entry is "direct": entry 0 stands for whichever of the two
                               * is expected to take less for the sizes of a call */
    ATTN_CONTRACTION = 16,    /* no attention: the tensors q, k and v have rank 0 */
    ATTN_STEP_STAGES = 32     /* steps keep the states of all attentions among the stages */
};

typedef struct attn_entry {
    const char *name;        /* "forward", "step", "direct" */
    const char *schedule;    /* "stream", "linear", "scan" */
    int32_t phases, variants;
    attn_plan *plan;
    const attn_variant *variant;
} attn_entry;

typedef struct attn_kernel {
    int32_t abi, type, state;        /* type of the tensors; of sums, features and states */
    int32_t flags;
    int32_t ndims, ntensors, nscalars, nentries;
    const char *name;
    const attn_dim *dims;
    const attn_tensor *tensors;
    const attn_scalar *scalars;
    const attn_entry *entries;
    /* A program with index notation or several attentions runs as stages, one kernel each, and has
     * no entries of its own. Its tensors are the arguments of a call (inputs, outputs and params,
     * whatever their names), then those in between, which live in the workspace. */
    int32_t nstages, reserved;
    const struct attn_stage *stages;
} attn_kernel;

/* Which tensor, scalar and dim of the whole each of its kernel's is; -1: none. */
typedef struct attn_stage {
    const attn_kernel *kernel;
    const int32_t *tensors, *scalars, *dims;
} attn_stage;

/* ---- token by token ---- */

/* What a sequence of steps keeps: for kernelized causal programs sums of fixed size, for others the
 * keys and values so far. One state serves a batch with all its heads. Zero-initialise it, or call
 * attn_state_init; its memory is made at the first step and belongs to it.
 *
 *     attn_state s;
 *     attn_state_init(&s, &quadratic_kernel, 0);
 *     quadratic_step(&s, &q, &k, &v, &out, NULL);       any number of tokens: [b, h, T, D]
 *     attn_state_free(&s);
 *
 * A step that fails leaves the state as it was; ATTN_E_ZERO_ROW is no failure in this sense. */
typedef struct attn_state {
    const attn_kernel *kernel;
    int64_t capacity;        /* of a cache, in tokens; unused for a state of fixed size */
    int64_t position;        /* tokens so far */
    int64_t dims[ATTN_MAX_DIMS]; /* sizes of the kernel's dims, once the first step fixed them */
    void *data;              /* NULL until the first step */
    size_t bytes;
} attn_state;

/* An empty state. capacity: the most tokens a cache will hold (ignored where the kernel keeps
 * sums).
 * ATTN_E_STATE if the program cannot run step by step. */
int attn_state_init(attn_state *s, const attn_kernel *kernel, int64_t capacity);
/* Back to no tokens, keeping memory and shape. */
void attn_state_reset(attn_state *s);
void attn_state_free(attn_state *s);
/* dst becomes an independent copy of src; what dst had is freed first. */
int attn_state_copy(attn_state *dst, const attn_state *src);
/* Bytes that save writes. */
size_t attn_state_saved_size(const attn_state *s);
/* A header, checked by load, and the contents. size: of the buffer. */
int attn_state_save(const attn_state *s, void *buffer, size_t size);
/* Replaces s (initialised for the same kernel) by what was saved. On ATTN_E_STATE (another kernel,
 * a damaged or truncated buffer) s is untouched. */
int attn_state_load(attn_state *s, const void *buffer, size_t size);

/* ---- what generated wrappers call ---- */

/* Runs the tokens of q, k, v after those the state has seen. Params over n (of kernels that keep
 * sums; others with such params cannot step) are passed for these tokens alone. */
int attn_step(attn_state *s, const attn_kernel *kernel, const DLTensor *const *tensors,
              const double *scalars, attn_exec *exec);
/* Workspace in bytes for steps of as many tokens as these q, k, v have (with the default thread
 * count of exec NULL), enough from the first step to the one that fills the cache; 0 if they are
 * not valid, with attn_message() set. */
size_t attn_step_workspace(const attn_state *s, const DLTensor *q, const DLTensor *k,
                           const DLTensor *v);

/* Runs an entry: tensors in the order of kernel->tensors (those that are generated are not looked
 * at), scalars in that of kernel->scalars. */
int attn_launch(const attn_kernel *kernel, int entry, const DLTensor *const *tensors,
                const double *scalars, attn_exec *exec);
/* Workspace in bytes for these q, k, v (with the default thread count of exec NULL); 0 if they are
 * not valid, or if the program has a dimension that is neither fixed nor one of theirs, with
 * attn_message() set. */
size_t attn_workspace(const attn_kernel *kernel, int entry, const DLTensor *q, const DLTensor *k,
                      const DLTensor *v);
/* The same for a program of several stages, of tensors in the order of kernel->tensors; outputs may
 * be NULL. */
size_t attn_stages_workspace(const attn_kernel *kernel, const DLTensor *const *tensors);
/* Table of the monomials of degree p in D variables up to rotation, in a fixed order: each row is
 * p-1 offsets s_2 <= .. <= s_p and stands for the D features prod_k x[(a + s_k) mod D], s_1 = 0,
 * a = 0..D-1. weight[row] = p!/alpha! divided by how often the row repeats each monomial. Used by
 * the kernels (p = 1: one row without offsets). Returns the number of rows, saturated at 2^40;
 * writes only if offsets is not NULL. */
int64_t attn_monomial_rows(int64_t D, int64_t p, int32_t *offsets, double *weight);

/* Random weights W[rows, cols], the same bits on every machine: entry (r, d) is the normal number
 * r*cols + d of the seed; ATTN_ORTHOGONAL makes the rows of each block of cols rows orthogonal,
 * keeping their lengths. out receives the transpose [cols, rows] in the type (ATTN_TYPE_...);
 * block: room for min(rows, cols)*cols doubles. docs/approximations.md has the algorithm. */
void attn_random_weights(int source, int type, uint64_t seed, int64_t rows, int64_t cols,
                         double *block, void *out);

/* The strongest ISA of this CPU, after the environment variable ATTN_ISA (v2, v3, v4, neon) lowered
 * it. */
int attn_isa_level(void);

/* A DLTensor over contiguous memory [b, h, n, d], for use as an argument within one full expression
 * or one block. */
#define ATTN_F32(ptr, b, h, n, d) ATTN_TENSOR4_(ptr, 32, b, h, n, d)
#define ATTN_F64(ptr, b, h, n, d) ATTN_TENSOR4_(ptr, 64, b, h, n, d)
#define ATTN_TENSOR4_(ptr, bits_, b_, h_, n_, d_)                                              \
    ((DLTensor){.data = (void *)(ptr), .device = {kDLCPU, 0}, .ndim = 4,                       \
                .dtype = {kDLFloat, bits_, 1}, .shape = (int64_t[]){(b_), (h_), (n_), (d_)},   \
                .strides = NULL, .byte_offset = 0})

#ifdef __cplusplus
}
#endif
#endif
