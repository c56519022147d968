/* Inside the tile executor: the state of a run, and its statements. */
#ifndef ATTNC_IR_TILE_EXEC_H
#define ATTNC_IR_TILE_EXEC_H

#include "ir/tile.h"

struct exec {
    const struct tile_prog *p;
    const struct ir_func *f;
    const struct interp_input *in;
    struct tile_count *count;
    bool counting;                     /* only loops and tests run, the rest is counted */
    num *out;
    num *mem[TILE_MAX_BUFS];           /* local and shared buffers */
    double *weight[TILE_MAX_BUFS];     /* tables */
    int32_t *offset[TILE_MAX_BUFS];
    int64_t planes[TILE_MAX_BUFS], rows[TILE_MAX_BUFS], cols[TILE_MAX_BUFS];
    int64_t vars[TILE_MAX_VARS];
    num *memo;                         /* values of nodes at the current point */
    uint64_t *stamp, now;
    const struct tile_stmt *s;         /* the map being evaluated, and the point */
    int64_t r, c, t;
};

/* ---- tile_exec.c ---- */
int64_t exec_x(const struct exec *e, tx_ref x);
/* Element (r, c) of a view, checked; of a plane so many after the one it names. */
num *exec_at(struct exec *e, const tile_view *v, int64_t r, int64_t c);
num *exec_at_plane(struct exec *e, const tile_view *v, int64_t after, int64_t r, int64_t c);
/* to += a * b, counted. */
void exec_mul_add(struct exec *e, num *to, num a, num b);
/* Calls for every element of a view. */
#define EACH(e, view, r, c)                                                      \
    for (int64_t r = 0, r##_n = exec_x(e, (view)->rows); r < r##_n; r++)           \
        for (int64_t c = 0, c##_n = exec_x(e, (view)->cols); c < c##_n; c++)
/* The node of a map at row r, column c and third index t. */
num exec_value(struct exec *e, const struct tile_stmt *s, int64_t r, int64_t c, int64_t t);

typedef void exec_fn(struct exec *e, const struct tile_stmt *s);
extern exec_fn *const exec_fns[TILE_OP_COUNT];
#define TILE(name, v, x, n, flags, help) exec_fn exec_##name;
#include "ir/tile_ops.def"

/* ---- tile_flow.c ---- */
void exec_body(struct exec *e, const struct tile_stmt *body);
/* Counts an operation of the axis IR. */
void exec_operation(struct exec *e, uint8_t op, int64_t times);
/* A number of the domain as a double: representatives above p/2 are negative. */
double exec_real(const struct exec *e, num x);
/* True if the buffer holds extremes that statement `compare` reads. */
bool exec_is_summary(const struct tile_prog *p, uint32_t buf);

#endif
