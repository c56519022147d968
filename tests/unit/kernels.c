#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* False, after the diagnostics were shown. */
static bool
show(struct program *p)
{
    fflush(p->diag.out);
    fwrite(p->said, 1, p->said_len, stdout);
    return false;
}

bool
program_read(struct program *p, const char *name, const char *text,
             const struct dim_override *dims, int ndims)
{
    struct compiled made;
    memset(p, 0, sizeof *p);
    p->arena = arena_new();
    p->scratch = arena_new();
    p->src = source_new(p->arena, name, text, strlen(text));
    FILE *out = open_memstream(&p->said, &p->said_len);
    if (!out)
        arena_oom();
    diag_init(&p->diag, p->src, out);
    frontend_compile(p->arena, p->src, name, dims, ndims, &p->diag, &made);
    p->source = made.func;
    return p->source != NULL || show(p);
}

bool
program_pass(struct program *p, const char *stop_after)
{
    struct pass_options o = {.stop_after = stop_after, .dump = stdout};
    struct pass_context c = {.diag = &p->diag, .why = &p->why, .scratch = p->scratch,
                             .meaning = &p->meaning};
    if (p->func)
        ir_func_free(p->func);
    if (p->meaning && p->meaning != p->source)
        ir_func_free(p->meaning);
    p->meaning = p->source;
    p->func = ir_func_clone(p->arena, p->source);
    return (passes_run(p->func, &o, &c) && !p->diag.errors) || show(p);
}

void
program_close(struct program *p)
{
    if (p->meaning && p->meaning != p->source)
        ir_func_free(p->meaning);
    if (p->source)
        ir_func_free(p->source);
    if (p->func)
        ir_func_free(p->func);
    fclose(p->diag.out);
    free(p->said);
    arena_free(p->scratch);
    arena_free(p->arena);
}

bool
native_open(struct native *n, const char *name, const char *text, enum ir_type type,
            const struct dim_override *dims, int ndims, const struct schedule_tuning *t,
            const struct cg_target *target)
{
    struct arena *a = arena_new();
    struct cg_options o = {.variant = {target}, .nvariants = 1, .opt_level = 2};
    const char *why = "it does not compile";
    *n = (struct native){.target = target};
    text = arena_printf(a, "%s%s", type == TYPE_F64 ? "type f64; " : "", text);
    bool ok = program_read(&n->p, name, text, dims, ndims) && program_pass(&n->p, NULL);
    const struct tile_prog *prog = ok ? schedule_forward(n->p.arena, n->p.func, t, &n->p.diag)
                                      : NULL;
    if (prog) {
        n->module = cg_build(n->p.arena, &prog, 1, &o);
        n->kernel = cg_jit_compile(n->module, &n->jit, &why);
    }
    if (!n->kernel)
        printf("%s for %s: %s\n", name, target->name, why);
    arena_free(a); /* the source has a copy of the text */
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
