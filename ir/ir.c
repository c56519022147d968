/* Functions, dimensions and axes of the axis IR, and the operation table.
 *
 * Axes are interned by structure: asking twice for sym(d,2) gives the same number. Part axes
 * always come before the axis made of them. */
#include "ir/ir.h"

#include <string.h>

#define OP(name, n, attr, axes, flops, math, props) \
    [IR_##name] = {#name, math, n, ATTR_##attr, AXES_##axes, flops, PROPS(props)},
#define PROPS(p) (p)
#define ELEM IRP_ELEM
#define COMM IRP_COMM
#define ASSOC IRP_ASSOC
#define BOOL IRP_BOOL
#define TRANS IRP_TRANS
const struct ir_op_info ir_ops[IR_OP_COUNT] = {
    [IR_NONE] = {"none", "?", 0, ATTR_NONE, AXES_leaf, 0, 0},
#include "ir/ops.def"
};
#undef ELEM
#undef COMM
#undef ASSOC
#undef BOOL
#undef TRANS

const char *const ir_source_names[SOURCE_COUNT] = {"given", "normal", "orthogonal"};
const char *const ir_root_names[ROOT_COUNT] = {
    [ROOT_OUT] = "out", [ROOT_NUM] = "num",   [ROOT_DEN] = "den",
    [ROOT_SIM] = "sim", [ROOT_MASK] = "mask", [ROOT_ANY] = "any",
    [ROOT_PAIR] = "pair", [ROOT_LSE] = "lse",
};

/* The standard dims, in the order of DIM_*, and the axes over them, in that of AX_*. */
static const char *const std_dims[DIM_USER] = {"B", "H", "G", "n_q", "n", "D", "M"};
static const struct {
    const char *name;
    uint16_t dim;
} std_axes[AX_FIRST_FREE] = {
    [AX_b] = {"b", DIM_B}, [AX_h] = {"h", DIM_H}, [AX_i] = {"i", DIM_NQ},
    [AX_j] = {"j", DIM_N}, [AX_d] = {"d", DIM_D}, [AX_m] = {"m", DIM_M},
};

enum { NAME_MAX_BYTES = 1000 };

/* ---- functions ---- */

struct ir_func *
ir_func_new(struct arena *a, const char *name)
{
    struct ir_func *f = ARENA_NEW(a, struct ir_func);
    f->arena = a;
    f->name = arena_strdup(a, name);
    f->normalize_is_sum = true;
    for (int k = 0; k < DIM_USER; k++)
        ir_dim_add(f, std_dims[k], 0);
    for (int k = 0; k < AX_FIRST_FREE; k++)
        f->axes[f->naxes++] = (struct ir_axis){.name = std_axes[k].name, .dim = std_axes[k].dim};
    f->nodes = arena_grow(a, NULL, 0, 1, &f->cap_nodes, sizeof *f->nodes);
    f->nodes[0] = (struct ir_node){0};
    f->nnodes = 1;
    return f;
}

void
ir_func_free(struct ir_func *f)
{
    if (!f)
        return;
    for (uint32_t k = 0; k < f->nconsts; k++)
        fmpq_clear(f->consts + k);
    f->nconsts = 0;
}

/* Copy of count elements in arena a; also says the capacity. */
static void *
copy_array(struct arena *a, const void *from, size_t count, size_t *cap, size_t elem)
{
    void *to = arena_alloc(a, count * elem);
    if (count)
        memcpy(to, from, count * elem);
    *cap = count;
    return to;
}

struct ir_func *
ir_func_clone(struct arena *a, const struct ir_func *f)
{
    struct ir_func *c = ARENA_NEW(a, struct ir_func);
    *c = *f;
    c->arena = a;
    c->name = arena_strdup(a, f->name);
    c->row_sum_why = f->row_sum_why ? arena_strdup(a, f->row_sum_why) : NULL;
    c->dims = copy_array(a, f->dims, f->ndims, &c->cap_dims, sizeof *f->dims);
    c->params = copy_array(a, f->params, f->nparams, &c->cap_params, sizeof *f->params);
    c->bindings = copy_array(a, f->bindings, f->nbindings, &c->cap_bindings, sizeof *f->bindings);
    c->nodes = copy_array(a, f->nodes, f->nnodes, &c->cap_nodes, sizeof *f->nodes);
    size_t slots;
    c->hash = copy_array(a, f->hash, f->hash_size, &slots, sizeof *f->hash);
    for (uint32_t k = 0; k < c->ndims; k++)
        c->dims[k].name = arena_strdup(a, f->dims[k].name);
    for (uint32_t k = 0; k < c->naxes; k++)
        c->axes[k].name = arena_strdup(a, f->axes[k].name);
    for (uint32_t k = 0; k < c->nparams; k++)
        c->params[k].name = arena_strdup(a, f->params[k].name);
    c->consts = ARENA_ARRAY(a, fmpq, f->nconsts);
    c->cap_consts = f->nconsts;
    for (uint32_t k = 0; k < f->nconsts; k++) {
        fmpq_init(c->consts + k);
        fmpq_set(c->consts + k, f->consts + k);
    }
    return c;
}

/* ---- dimensions and params ---- */

uint16_t
ir_dim_add(struct ir_func *f, const char *name, int64_t size)
{
    if (f->ndims >= UINT16_MAX)
        ICE("more than %d dimensions", UINT16_MAX);
    f->dims = arena_grow(f->arena, f->dims, f->ndims, f->ndims + 1, &f->cap_dims, sizeof *f->dims);
    f->dims[f->ndims] = (struct ir_dim){.name = arena_strdup(f->arena, name), .size = size};
    return (uint16_t)f->ndims++;
}

int
ir_dim_find(const struct ir_func *f, const char *name)
{
    for (uint32_t k = 0; k < f->ndims; k++)
        if (strcmp(f->dims[k].name, name) == 0)
            return (int)k;
    return -1;
}

uint32_t
ir_param_add(struct ir_func *f, const struct ir_param *p)
{
    f->params = arena_grow(f->arena, f->params, f->nparams, f->nparams + 1, &f->cap_params,
                           sizeof *f->params);
    f->params[f->nparams] = *p;
    f->params[f->nparams].name = arena_strdup(f->arena, p->name);
    return f->nparams++;
}

uint32_t
ir_param_count(const struct ir_func *f, bool tensors)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->nparams; k++)
        n += (f->params[k].rank > 0) == tensors;
    return n;
}

int
ir_param_find(const struct ir_func *f, const char *name)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        if (strcmp(f->params[k].name, name) == 0)
            return (int)k;
    return -1;
}

/* ---- axes ---- */

bool
ir_axes_full(const struct ir_func *f)
{
    return f->naxes == IR_MAX_AXES;
}

/* The last slot is what every axis beyond the limit aliases; the slots before it are filled so
 * that each axis below naxes is valid. */
static uint8_t
overflow_axis(struct ir_func *f)
{
    while (f->naxes < IR_MAX_AXES)
        f->axes[f->naxes++] = (struct ir_axis){.name = "(too many axes)", .dim = DIM_D};
    return IR_MAX_AXES - 1;
}

/* The name of part axis k inside a longer name. */
static const char *
part_name(const struct ir_func *f, uint8_t k)
{
    if (k == AX_UNIT)
        return "1";
    const char *name = f->axes[k].name;
    bool pair = f->axes[k].kind == AXK_OUTER || f->axes[k].kind == AXK_CAT;
    return pair ? arena_printf(f->arena, "(%s)", name) : name;
}

static const char *
axis_name(const struct ir_func *f, const struct ir_axis *x)
{
    struct arena *a = f->arena;
    const char *p = x->kind == AXK_BASE ? f->dims[x->dim].name : part_name(f, x->p);
    switch ((enum ir_axis_kind)x->kind) {
    case AXK_BASE:
        return p;
    case AXK_COPY:
        return x->num == 1 ? arena_printf(a, "%s'", p) : arena_printf(a, "%s'%d", p, x->num);
    case AXK_SYM:
        return arena_printf(a, "sym(%s,%d)", f->axes[x->p].name, x->num);
    case AXK_OUTER:
        return arena_printf(a, "%s*%s", p, part_name(f, x->r));
    case AXK_CAT:
        return arena_printf(a, "%s+%s", p, part_name(f, x->r));
    }
    return "?";
}

/* Sum of the lengths of the parts' names: refuses structure that doubles at every level. */
static size_t
name_cost(const struct ir_func *f, const struct ir_axis *x)
{
    size_t n = 0;
    if (x->kind != AXK_BASE && x->p != AX_UNIT)
        n += strlen(f->axes[x->p].name);
    if ((x->kind == AXK_OUTER || x->kind == AXK_CAT) && x->r != AX_UNIT)
        n += strlen(f->axes[x->r].name);
    return n;
}

static uint8_t
intern_axis(struct ir_func *f, struct ir_axis x)
{
    for (uint32_t k = 0; k < f->naxes; k++) {
        const struct ir_axis *y = &f->axes[k];
        if (x.kind == y->kind && x.p == y->p && x.r == y->r && x.dim == y->dim && x.num == y->num)
            return (uint8_t)k;
    }
    if (f->naxes >= IR_MAX_AXES - 1 || name_cost(f, &x) > NAME_MAX_BYTES)
        return overflow_axis(f);
    x.name = axis_name(f, &x);
    f->axes[f->naxes] = x;
    return (uint8_t)f->naxes++;
}

uint8_t
ir_axis_base(struct ir_func *f, uint16_t dim)
{
    return intern_axis(f, (struct ir_axis){.kind = AXK_BASE, .dim = dim});
}

uint8_t
ir_axis_copy(struct ir_func *f, uint8_t axis, int which)
{
    if (which == 0)
        return axis;
    return intern_axis(f, (struct ir_axis){.kind = AXK_COPY, .p = axis, .num = which});
}

uint8_t
ir_axis_sym(struct ir_func *f, uint8_t axis, int degree)
{
    if (degree == 1)
        return axis;
    return intern_axis(f, (struct ir_axis){.kind = AXK_SYM, .p = axis, .num = degree});
}

uint8_t
ir_axis_outer(struct ir_func *f, uint8_t p, uint8_t r)
{
    return intern_axis(f, (struct ir_axis){.kind = AXK_OUTER, .p = p, .r = r});
}

uint8_t
ir_axis_cat(struct ir_func *f, uint8_t p, uint8_t r)
{
    return intern_axis(f, (struct ir_axis){.kind = AXK_CAT, .p = p, .r = r});
}

__extension__ typedef __int128 wide; /* holds the product of two sizes */

#define SIZE_LIMIT ((int64_t)1 << 62)

/* C(p + num - 1, num); every partial product is itself a binomial, so the division is exact. */
static int64_t
count_monomials(int64_t p, int32_t num)
{
    if (p == 0)
        return num == 0;
    wide c = 1;
    for (int32_t k = 1; k <= num && p > 1; k++) {
        c = c * (p + k - 1) / k;
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
        return dim_sizes[x->dim] > SIZE_LIMIT ? -1 : dim_sizes[x->dim];
    int64_t p = ir_axis_size(f, x->p, dim_sizes);
    if (p < 0 || x->kind == AXK_COPY)
        return p;
    if (x->kind == AXK_SYM)
        return count_monomials(p, x->num);
    int64_t r = ir_axis_size(f, x->r, dim_sizes);
    if (r < 0)
        return -1;
    wide n = x->kind == AXK_OUTER ? (wide)p * r : (wide)p + r;
    return n > SIZE_LIMIT ? -1 : (int64_t)n;
}

int64_t
ir_axis_fixed(const struct ir_func *f, uint8_t axis)
{
    if (axis == AX_UNIT)
        return 1;
    const struct ir_axis *x = &f->axes[axis];
    if (x->kind == AXK_BASE)
        return f->dims[x->dim].size ? f->dims[x->dim].size : -1;
    if (ir_axis_fixed(f, x->p) < 0)
        return -1;
    if ((x->kind == AXK_OUTER || x->kind == AXK_CAT) && ir_axis_fixed(f, x->r) < 0)
        return -1;
    struct arena *scratch = arena_new();
    int64_t *sizes = ARENA_ARRAY(scratch, int64_t, f->ndims);
    for (uint32_t k = 0; k < f->ndims; k++)
        sizes[k] = f->dims[k].size;
    int64_t n = ir_axis_size(f, axis, sizes);
    arena_free(scratch);
    return n;
}

/* ---- sides ---- */

enum ir_side
ir_side_of(const struct ir_func *f, ir_ref n)
{
    int side = SIDE_NEUTRAL;
    for (ir_axes left = f->nodes[n].axes; left; left &= left - 1) {
        unsigned k = (unsigned)__builtin_ctzll(left);
        while (f->axes[k].kind == AXK_COPY)
            k = f->axes[k].p;
        side |= k == AX_i ? SIDE_QUERY : k == AX_j ? SIDE_KEY : SIDE_NEUTRAL;
    }
    return (enum ir_side)side;
}

ir_axes
ir_vector_axes(const struct ir_func *f, ir_ref n)
{
    return f->nodes[n].axes & ~AXES_POSITION;
}
