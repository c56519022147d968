/* The generated C header: what the object exports, with shapes in words. */
#include "codegen/codegen.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* An argument by its name, or with underscores where C, C++ or the header itself means something
 * else by it: as many as no other one has. */
static void
put_name(const struct ir_func *f, const char *name, struct str *out)
{
    static const char taken[] =
        " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t "
        "char16_t char32_t class compl concept const const_cast consteval constexpr constinit "
        "continue co_await co_return co_yield decltype default delete do double dynamic_cast else "
        "enum explicit export extern false float for friend goto if inline int long mutable "
        "namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
        "register reinterpret_cast requires restrict return short signed sizeof static "
        "static_assert static_cast struct switch template this thread_local throw true try typedef "
        "typeid typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t "
        "while xor xor_eq exec state size_t DLTensor attn_exec attn_state attn_kernel ";
    char padded[80];
    bool is_taken = snprintf(padded, sizeof padded, " %s ", name) < (int)sizeof padded &&
                    strstr(taken, padded);
    str_put(out, name);
    const char *free_name = name;
    while (is_taken && (free_name == name || ir_param_find(f, free_name) >= 0)) {
        free_name = arena_printf(f->arena, "%s_", free_name);
        str_putc(out, '_');
    }
}

static void
put_param_list(const struct ir_func *f, struct str *out)
{
    str_put(out, "const DLTensor *q, const DLTensor *k,\n    const DLTensor *v, DLTensor *out");
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].source == SOURCE_GIVEN) {
            str_put(out, !f->params[k].rank                  ? ", double "
                         : f->params[k].role == PARAM_OUTPUT ? ", DLTensor *"
                                                             : ", const DLTensor *");
            put_name(f, f->params[k].name, out);
        }
    str_put(out, ", attn_exec *exec");
}

static void
put_shape(const struct ir_func *f, const struct ir_param *p, struct str *out)
{
    str_printf(out, " *   %-8s [", p->name);
    for (int k = 0; k < p->rank; k++)
        str_printf(out, "%s%s", k ? ", " : "", f->dims[p->dims[k]].name);
    str_put(out, "]\n");
}

/* The guard and what every header includes. */
static void
put_opening(const struct ir_func *f, struct str *out)
{
    struct str guard = {0};
    for (const char *s = f->name; *s; s++)
        str_putc(&guard, (char)toupper((unsigned char)*s));
    str_printf(out, "#ifndef ATTN_KERNEL_%s_H\n#define ATTN_KERNEL_%s_H\n\n#include <attn.h>\n\n"
                    "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
               str_text(&guard), str_text(&guard));
    str_free(&guard);
}

static void
put_closing(const struct ir_func *f, struct str *out)
{
    str_printf(out,
               "/* Names, dims, types: enough to bind from any language. */\n"
               "extern const attn_kernel %s_kernel;\n\n#ifdef __cplusplus\n}\n#endif\n#endif\n",
               f->name);
}

static void
put_fixed_sizes(const struct ir_func *f, struct str *out)
{
    for (uint32_t k = 0; k < f->ndims; k++)
        if (f->dims[k].size > 0)
            str_printf(out, " * %s is fixed: %lld\n", f->dims[k].name, (long long)f->dims[k].size);
    str_printf(out,
               " * Returns 0 or an attn_status; attn_message() says more. exec may be NULL. */\n");
}

static bool
has_token_params(const struct ir_func *f)
{
    for (uint32_t k = 0; k < f->nparams; k++)
        for (int i = 0; i < f->params[k].rank; i++)
            if (f->params[k].dims[i] == DIM_N)
                return true;
    return false;
}

void
cg_header(const struct ir_func *f, const char *schedule, enum cg_stepping stepping, struct str *out)
{
    const char *type = f->type == TYPE_F64 ? "float64" : "float32";
    str_printf(
        out, "/* Attention kernel `%s`, compiled by attnc. Link with its object and libattn.\n *\n",
        f->name);
    str_printf(out,
               " * Tensors (%s, CPU%s):\n *   q        [B, H, n_q, D]\n *   k        [B, G, n, D]\n"
               " *   v        [B, G, n, M]      G divides H\n *   out      [B, H, n_q, M]\n",
               type, f->acc != f->type ? "; sums and states float64" : "");
    for (uint32_t k = 0; k < f->nparams; k++)
        if (f->params[k].rank && f->params[k].source == SOURCE_GIVEN)
            put_shape(f, &f->params[k], out);
    put_fixed_sizes(f, out);
    put_opening(f, out);
    str_printf(out, "/* schedule: %s */\nint %s_forward(", schedule, f->name);
    put_param_list(f, out);
    str_put(out, ");\n\n");
    if (stepping) {
        str_printf(out,
                   "/* The next tokens of a sequence: q, k, v, out [b, h, T, ...], after those "
                   "that %s.%s */\nint %s_step(attn_state *state,\n    ",
                   stepping == CG_STEP_STATE ? "the state sums up" : "the state's cache holds",
                   has_token_params(f) ? "\n * Params over n are those of these T tokens." : "",
                   f->name);
        put_param_list(f, out);
        str_put(out, ");\n\n");
    }
    str_printf(out,
               "/* Bytes of attn_exec.workspace that %s_forward needs for these shapes. */\n"
               "size_t %s_workspace(const DLTensor *q, const DLTensor *k, const DLTensor *v);\n\n",
               f->name, f->name);
    put_closing(f, out);
}

/* ---- programs of several stages ---- */

static void
put_arguments(const struct graph *g, bool scalars, struct str *out)
{
    const struct ir_func *f = g->shell;
    uint32_t n = graph_argument_count(g);
    bool first = true;
    for (uint32_t k = 0; k < n; k++) {
        const struct ir_param *p = &f->params[k];
        if (!p->rank && !scalars)
            continue;
        str_printf(out, "%s%s", first ? "" : ", ",
                   !p->rank                             ? "double "
                   : p->role == PARAM_OUTPUT && scalars ? "DLTensor *"
                                                        : "const DLTensor *");
        put_name(f, p->name, out);
        first = false;
    }
}

void
cg_header_graph(const struct graph *g, enum cg_stepping stepping, struct str *out)
{
    const struct ir_func *f = g->shell;
    uint32_t n = graph_argument_count(g);
    str_printf(out, "/* Kernel `%s`, compiled by attnc. Link with its object and libattn.\n *\n"
                    " * Tensors (%s, CPU%s):\n",
               f->name, f->type == TYPE_F64 ? "float64" : "float32",
               f->acc != f->type ? "; sums and states float64" : "");
    for (uint32_t k = 0; k < n; k++)
        if (f->params[k].rank)
            put_shape(f, &f->params[k], out);
    put_fixed_sizes(f, out);
    put_opening(f, out);
    str_printf(out, "int %s_forward(", f->name);
    put_arguments(g, true, out);
    str_put(out, ",\n    attn_exec *exec);\n\n");
    if (stepping) {
        str_printf(out, "/* The next tokens of a sequence: what runs over n has them alone. */\n"
                        "int %s_step(attn_state *state, ", f->name);
        put_arguments(g, true, out);
        str_put(out, ",\n    attn_exec *exec);\n\n");
    }
    str_printf(out,
               "/* Bytes of attn_exec.workspace that %s_forward needs for these shapes (outputs "
               "may be NULL). */\nsize_t %s_workspace(",
               f->name, f->name);
    put_arguments(g, false, out);
    str_put(out, ");\n\n");
    put_closing(f, out);
}
