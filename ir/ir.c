/* Functions, dimensions, axes, params of the axis IR. */
#include "ir/ir.h"

#include <string.h>

#define NONE ATTR_NONE
#define INPUT ATTR_INPUT
#define PARAM ATTR_PARAM
#define RAT ATTR_RAT
#define DIM ATTR_DIM
#define INT ATTR_INT
#define AXIS ATTR_AXIS
#define RENAME ATTR_RENAME
#define MONO ATTR_MONO
#define CAT ATTR_CAT
#define OUTER ATTR_OUTER
#define ROLL ATTR_ROLL
#define ELEM IRP_ELEM
#define COMM IRP_COMM
#define ASSOC IRP_ASSOC
#define BOOL IRP_BOOL
#define TRANS IRP_TRANS
const struct ir_op_info ir_ops[IR_OP_COUNT] = {
    {"none", "", 0, ATTR_NONE, AXES_leaf, 0, 0},
#define OP(name, n, attr, axes, flops, math, props) {#name, math, n, attr, AXES_##axes, flops, props},
#include "ir/ops.def"
};

const char *const ir_root_names[ROOT_COUNT] = {"out", "num", "den", "sim", "mask", "any"};

static const char *const standard_dims[DIM_USER] = {"B", "H", "G", "n_q", "n", "D", "M"};
static const struct {
    const char *name;
    uint16_t dim;
} standard_axes[AX_FIRST_FREE] = {{"b", DIM_B}, {"h", DIM_H}, {"i", DIM_NQ}, {"j", DIM_N}, {"d", DIM_D},
                                  {"m", DIM_M}};

struct ir_func *
ir_func_new(struct arena *a, const char *name)
{
    struct ir_func *f = ARENA_NEW(a, struct ir_func);
    f->arena = a;
    f->name = arena_strdup(a, name);
    f->nnodes = 1;
    f->nodes = arena_grow(a, NULL, 0, 64, &f->cap_nodes, sizeof *f->nodes);
    for (int k = 0; k < DIM_USER; k++)
        ir_dim_add(f, standard_dims[k], 0);
    for (int k = 0; k < AX_FIRST_FREE; k++)
        f->axes[k] = (struct ir_axis){.name = standard_axes[k].name, .kind = AXK_BASE,
                                      .dim = standard_axes[k].dim};
    f->naxes = AX_FIRST_FREE;
    f->normalize_is_sum = true;
    return f;
}

void
ir_func_free(struct ir_func *f)
{
    for (uint32_t k = 0; f && k < f->nconsts; k++)
        fmpq_clear(&f->consts[k]);
    if (f)
        f->nconsts = 0;
}

static void *
copy_array(struct arena *a, const void *from, size_t bytes)
{
    void *p = arena_alloc(a, bytes);
    if (bytes)
        memcpy(p, from, bytes);
    return p;
}

struct ir_func *
ir_func_clone(struct arena *a, const struct ir_func *f)
{
    struct ir_func *g = copy_array(a, f, sizeof *f);
    g->arena = a;
    g->dims = copy_array(a, f->dims, f->ndims * sizeof *f->dims);
    g->params = copy_array(a, f->params, f->nparams * sizeof *f->params);
    g->bindings = copy_array(a, f->bindings, f->nbindings * sizeof *f->bindings);
    g->nodes = copy_array(a, f->nodes, f->nnodes * sizeof *f->nodes);
    g->consts = ARENA_ARRAY(a, fmpq, f->nconsts);
    for (uint32_t k = 0; k < f->nconsts; k++) {
        fmpq_init(&g->consts[k]);
        fmpq_set(&g->consts[k], &f->consts[k]);
    }
    g->cap_dims = f->ndims;
    g->cap_params = f->nparams;
    g->cap_bindings = f->nbindings;
    g->cap_nodes = f->nnodes;
    g->cap_consts = f->nconsts;
    g->hash = NULL; /* rebuilt on the next node */
    g->hash_size = 0;
    return g;
}

uint16_t
ir_dim_add(struct ir_func *f, const char *name, int64_t size)
{
    f->dims = arena_grow(f->arena, f->dims, f->ndims, f->ndims + 1, &f->cap_dims, sizeof *f->dims);
    f->dims[f->ndims] = (struct ir_dim){arena_strdup(f->arena, name), size};
    return (uint16_t)f->ndims++;
}

int
ir_dim_find(const struct ir_func *f, const char *name)
{
    for (uint32_t k = 0; k < f->ndims; k++)
        if (!strcmp(f->dims[k].name, name))
            return (int)k;
    return -1;
}

uint32_t
ir_param_add(struct ir_func *f, const struct ir_param *p)
{
    f->params = arena_grow(f->arena, f->params, f->nparams, f->nparams + 1, &f->cap_params, sizeof *f->params);
    f->params[f->nparams] = *p;
    f->params[f->nparams].name = arena_strdup(f->arena, p->name);
    return f->nparams++;
}

int
ir_param_find(const struct ir_func *f, const char *name)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        if (!strcmp(f->params[k].name, name))
            return (int)k;
    return -1;
}

/* ---- axes ---- */

bool
ir_axes_full(const struct ir_func *f)
{
    return f->naxes > IR_MAX_AXES;
}

static uint8_t
axis_intern(struct ir_func *f, struct ir_axis x)
{
    uint32_t n = f->naxes < IR_MAX_AXES ? f->naxes : IR_MAX_AXES;
    for (uint32_t k = 0; k < n; k++) {
        const struct ir_axis *y = &f->axes[k];
        if (y->kind == x.kind && y->p == x.p && y->r == x.r && y->dim == x.dim && y->num == x.num)
            return (uint8_t)k;
    }
    if (n == IR_MAX_AXES) {
        f->naxes = IR_MAX_AXES + 1;
        return IR_MAX_AXES - 1;
    }
    f->axes[n] = x;
    f->naxes = n + 1;
    return (uint8_t)n;
}

static const char *
axis_name(const struct ir_func *f, uint8_t axis)
{
    return axis == AX_UNIT ? "1" : f->axes[axis].name;
}

uint8_t
ir_axis_base(struct ir_func *f, uint16_t dim)
{
    for (int k = 0; k < AX_FIRST_FREE; k++)
        if (standard_axes[k].dim == dim)
            return (uint8_t)k;
    return axis_intern(f, (struct ir_axis){.name = f->dims[dim].name, .kind = AXK_BASE, .dim = dim});
}

uint8_t
ir_axis_copy(struct ir_func *f, uint8_t axis, int which)
{
    const char *name = arena_printf(f->arena, "copy(%s,%d)", axis_name(f, axis), which);
    return axis_intern(f, (struct ir_axis){.name = name, .kind = AXK_COPY, .p = axis, .num = which});
}

uint8_t
ir_axis_sym(struct ir_func *f, uint8_t axis, int degree)
{
    if (degree == 1)
        return axis;
    const char *name = arena_printf(f->arena, "sym(%s,%d)", axis_name(f, axis), degree);
    return axis_intern(f, (struct ir_axis){.name = name, .kind = AXK_SYM, .p = axis, .num = degree});
}

uint8_t
ir_axis_outer(struct ir_func *f, uint8_t p, uint8_t r)
{
    const char *name = arena_printf(f->arena, "outer(%s,%s)", axis_name(f, p), axis_name(f, r));
    return axis_intern(f, (struct ir_axis){.name = name, .kind = AXK_OUTER, .p = p, .r = r});
}

uint8_t
ir_axis_cat(struct ir_func *f, uint8_t p, uint8_t r)
{
    const char *name = arena_printf(f->arena, "cat(%s,%s)", axis_name(f, p), axis_name(f, r));
    return axis_intern(f, (struct ir_axis){.name = name, .kind = AXK_CAT, .p = p, .r = r});
}

static const int64_t SIZE_LIMIT = (int64_t)1 << 62;

static int64_t
monomials(int64_t n, int degree)
{
    __extension__ typedef __int128 wide;
    wide c = n;
    if (n == 0)
        return 0;
    for (int k = 2; k <= degree; k++) {
        c = c * (n + k - 1) / k;
        if (c > SIZE_LIMIT)
            return -1;
    }
    return (int64_t)c;
}

int64_t
ir_axis_size(const struct ir_func *f, uint8_t axis, const int64_t *dim_sizes)
{
    if (axis == AX_UNIT)
        return 1;
    const struct ir_axis *x = &f->axes[axis];
    if (x->kind == AXK_BASE)
        return dim_sizes[x->dim];
    int64_t p = ir_axis_size(f, x->p, dim_sizes), r, out;
    if (p < 0)
        return -1;
    if (x->kind == AXK_COPY)
        return p;
    if (x->kind == AXK_SYM)
        return monomials(p, x->num);
    r = ir_axis_size(f, x->r, dim_sizes);
    if (r < 0)
        return -1;
    bool over = x->kind == AXK_OUTER ? __builtin_mul_overflow(p, r, &out) : __builtin_add_overflow(p, r, &out);
    return over || out > SIZE_LIMIT ? -1 : out;
}

/* ---- questions about nodes ---- */

enum ir_side
ir_side_of(const struct ir_func *f, ir_ref n)
{
    ir_axes x = f->nodes[n].axes;
    return (enum ir_side)((x >> AX_i & 1 ? SIDE_QUERY : 0) | (x >> AX_j & 1 ? SIDE_KEY : 0));
}

ir_axes
ir_vector_axes(const struct ir_func *f, ir_ref n)
{
    return f->nodes[n].axes & ~AXES_POSITION;
}

bool
ir_is_const(const struct ir_func *f, ir_ref n, long value)
{
    return n && f->nodes[n].op == IR_const && fmpq_cmp_si(&f->consts[f->nodes[n].attr.id], value) == 0;
}

const fmpq *
ir_const_value(const struct ir_func *f, ir_ref n)
{
    return &f->consts[f->nodes[n].attr.id];
}

static void
mark(const struct ir_func *f, ir_ref n, bool *live)
{
    for (ir_ref k = n + 1; k-- > 1;) { /* operands come first, so one backward sweep suffices */
        if (!live[k])
            continue;
        for (int i = 0; i < f->nodes[k].nargs; i++)
            live[f->nodes[k].arg[i]] = true;
    }
}

bool *
ir_live(const struct ir_func *f, struct arena *a)
{
    bool *live = ARENA_ARRAY(a, bool, f->nnodes);
    for (int r = 0; r < ROOT_COUNT; r++)
        live[f->root[r]] = true;
    live[0] = false;
    mark(f, f->nnodes - 1, live);
    return live;
}

void
ir_map_roots(struct ir_func *f, const ir_ref *map)
{
    for (int r = 0; r < ROOT_COUNT; r++)
        f->root[r] = f->root[r] ? map[f->root[r]] : 0;
}
