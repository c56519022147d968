/* Why a similarity has no finite feature map, said where it happens, with what would work. */
#include "passes/split.h"

static const span_t nowhere = {0, 0};

/* What is specific to an operation that stops the separation. */
static const struct {
    uint8_t op;
    const char *note;   /* NULL: none */
} advice[] = {
    {IR_sqrt, "a square root splits only when its argument belongs to one side"},
    {IR_abs, "abs(q)·abs(k) has one, but is a different similarity"},
    {IR_log, "log(q)·log(k) has one, but is a different similarity"},
    {IR_sigmoid, "sigmoid(q)·sigmoid(k) has one, but is a different similarity"},
    {IR_tanh, "tanh(q)·tanh(k) has one, but is a different similarity"},
    {IR_relu, "relu(q)·relu(k) has one, but is a different similarity"},
    {IR_elu, "with `let f(x) = elu(x) + 1;` f(q)·f(k) has one, but is a different similarity"},
    {IR_gelu, "gelu(q)·gelu(k) has one, but is a different similarity"},
    {IR_silu, "silu(q)·silu(k) has one, but is a different similarity"},
    {IR_softplus, "softplus(q)·softplus(k) has one, but is a different similarity"},
    {IR_sin, "sin(a + b) has one where a depends on the query and b on the key"},
    {IR_cos, "cos(a + b) has one where a depends on the query and b on the key"},
    {IR_floor, "a rounded product does not separate; round the query or the key alone"},
    {IR_pow, "whole powers up to 16 have one, and c^(a + b) where c is the same for every token, "
             "a depends on the query and b on the key"},
    {IR_min, "a choice between values of both sides does not separate"},
    {IR_max, "a choice between values of both sides does not separate"},
    {IR_select, "a condition that depends on the query alone or on the key alone does separate"},
    {IR_rmax, "a maximum over keys does not separate"},
};

static void
note_exponential(struct split *s)
{
    int64_t d = s->f->dims[DIM_D].size;
    if (d > 0 && d < 1 << 20)
        diag_note(s->diag, nowhere, "kernelize taylor(2); approximates it with d' = %lld features "
                  "at D = %lld", (long long)((d + 2) * (d + 1) / 2), (long long)d);
    else
        diag_note(s->diag, nowhere,
                  "kernelize taylor(2); approximates it with d' = C(D+2,2) features");
    diag_note(s->diag, nowhere,
              "kernelize random(256); approximates it without bias, with 256 random features");
}

split_poly *
split_stop(struct split *s, ir_ref n, const char *culprit)
{
    const struct ir_node x = s->f->nodes[n];
    if (s->failed)
        return NULL;
    s->failed = true;
    bool named = x.op == IR_exp || x.op == IR_sin || x.op == IR_cos;
    if (named && culprit)
        diag_error(s->diag, x.span, "%s(%s) has no finite feature map", ir_ops[x.op].name,
                   culprit);
    else
        diag_error(s->diag, x.span, "%s has no finite feature map", math_text(s->f, n));
    if (x.op == IR_exp)
        note_exponential(s);
    if (ir_ops[x.op].props & IRP_BOOL)
        diag_note(s->diag, nowhere, "a comparison of query with key does not separate");
    for (size_t k = 0; k < sizeof advice / sizeof *advice; k++)
        if (advice[k].op == x.op)
            diag_note(s->diag, nowhere, "%s", advice[k].note);
    return NULL;
}

void
split_range_warning(struct split *s, ir_ref n)
{
    for (size_t k = 0; k < s->nranges; k++)
        if (s->ranges[k] == n)
            return;
    if (s->nranges == s->cap_ranges) {
        s->cap_ranges = s->cap_ranges ? 2 * s->cap_ranges : 8;
        s->ranges = xrealloc(s->ranges, s->cap_ranges * sizeof *s->ranges);
    }
    s->ranges[s->nranges++] = n;
    const char *base = math_text(s->f, s->f->nodes[n].arg[0]);
    diag_warning(s->diag, s->f->nodes[n].span,
                 "%s is split into a factor of the query and a factor "
                 "of the key, which can leave the range of the type for long sequences",
                 math_text(s->f, n));
    diag_note(s->diag, nowhere, "%s^n must be representable, and so must its inverse", base);
}
