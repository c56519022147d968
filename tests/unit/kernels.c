#include "kernels.h"

#include <stdio.h>
#include <string.h>

bool
program_read(struct program *p, const char *name, const char *text,
             const struct dim_override *dims, int ndims)
{
    struct asserts asserts = {0};
    memset(p, 0, sizeof *p);
    p->arena = arena_new();
    p->scratch = arena_new();
    p->src = source_new(p->arena, name, text, strlen(text));
    diag_init(&p->diag, p->src, stdout);
    p->source = frontend_compile(p->arena, p->src, name, dims, ndims, &p->diag, &asserts);
    return p->source != NULL;
}

bool
program_pass(struct program *p, const char *stop_after)
{
    struct pass_options o = {.stop_after = stop_after, .dump = stdout};
    struct pass_context c = {.diag = &p->diag, .why = &p->why, .scratch = p->scratch};
    if (p->func)
        ir_func_free(p->func);
    p->func = ir_func_clone(p->arena, p->source);
    return passes_run(p->func, &o, &c) && !p->diag.errors;
}

void
program_close(struct program *p)
{
    if (p->source)
        ir_func_free(p->source);
    if (p->func)
        ir_func_free(p->func);
    arena_free(p->scratch);
    arena_free(p->arena);
}

bool
native_open(struct native *n, const char *name, const char *text, const struct dim_override *dims,
            int ndims, const struct schedule_tuning *t, const struct cg_target *target)
{
    struct cg_options o = {.variant = {target}, .nvariants = 1, .opt_level = 2};
    const char *why = "it does not compile";
    *n = (struct native){.target = target};
    bool ok = program_read(&n->p, name, text, dims, ndims) && program_pass(&n->p, NULL);
    const struct tile_prog *prog = ok ? schedule_forward(n->p.arena, n->p.func, t, &n->p.diag)
                                      : NULL;
    if (prog) {
        n->module = cg_build(n->p.arena, &prog, 1, &o);
        n->kernel = cg_jit_compile(n->module, &n->jit, &why);
    }
    if (!n->kernel)
        printf("%s for %s: %s\n", name, target->name, why);
    return n->kernel != NULL;
}

void
native_close(struct native *n)
{
    cg_jit_free(n->jit);
    if (n->module)
        cg_free(n->module);
    program_close(&n->p);
}

const struct cg_target *
native_row(int k)
{
    for (int t = 0; t < cg_target_count; t++)
        if (cg_targets[t].isa <= attn_isa_level() && k-- == 0)
            return &cg_targets[t];
    return NULL;
}

void
placed_init(struct placed *x, const attn_kernel *k, int t, const int64_t *dims, enum layout layout)
{
    const attn_tensor *a = &k->tensors[t];
    int bits = k->type == ATTN_TYPE_F64 ? 64 : 32, order[ATTN_MAX_RANK];
    int64_t step = 1, last = 0;
    *x = (struct placed){.count = 1};
    for (int r = 0; r < a->rank; r++) {
        x->shape[r] = dims[a->dims[r]];
        x->count *= x->shape[r];
        order[r] = r;
    }
    if (layout == LAYOUT_HEADS_INSIDE && a->rank == 4) {
        order[1] = 2;
        order[2] = 1;
    }
    for (int r = a->rank - 1; r >= 0; r--) { /* innermost first */
        int ax = order[r];
        x->stride[ax] = step;
        step *= x->shape[ax] > 0 ? x->shape[ax] : 1;
        if (layout == LAYOUT_PADDED)
            step += r == a->rank - 1 ? 3 : 5 * r + 2;
        else if (layout == LAYOUT_HEADS_INSIDE && r == a->rank - 1)
            step += 1;
        last += x->count ? (x->shape[ax] - 1) * x->stride[ax] : 0;
    }
    x->bytes = (size_t)(x->count ? last + 1 : 0) * (size_t)(bits / 8);
    x->t = (DLTensor){.device = {kDLCPU, 0}, .ndim = a->rank,
                      .dtype = {kDLFloat, (uint8_t)bits, 1}};
}

char *
placed_at(const struct placed *x, char *base, int64_t e)
{
    int64_t offset = 0;
    for (int r = x->t.ndim - 1; r >= 0; r--) {
        offset += e % x->shape[r] * x->stride[r];
        e /= x->shape[r];
    }
    return base + offset * (x->t.dtype.bits / 8);
}

void
placed_put(const struct placed *x, char *base, int64_t e, double v)
{
    char *at = placed_at(x, base, e);
    float f = (float)v;
    memcpy(at, x->t.dtype.bits == 64 ? (void *)&v : (void *)&f, x->t.dtype.bits / 8);
}

double
placed_get(const struct placed *x, const char *base, int64_t e)
{
    const char *at = placed_at(x, (char *)(uintptr_t)base, e);
    double d;
    float f;
    if (x->t.dtype.bits == 64) {
        memcpy(&d, at, sizeof d);
        return d;
    }
    memcpy(&f, at, sizeof f);
    return f;
}
