/* kernelize: every term of the split really is query side times key side; says what the feature
 * maps are.
 *
 * The identity itself was proven where the split was made; this pass refuses to go on with a term
 * that still pairs the sides, and writes down phi_q, phi_k and d' for explain. */
#include "passes/rewrite.h"

#include <string.h>

static void
add_text(struct str *s, const char *sep, const char *t)
{
    str_printf(s, "%s%s", s->len ? sep : "", t);
}

/* The terms' numbers of features, equal ones together: "2 + 3*D". */
static void
add_counts(struct ir_func *f, const struct pair_term *t, int n, struct str *out)
{
    for (int i = 0; i < n; i++) {
        const char *formula = axis_formula(f, t[i].axis);
        int equal = 0, first = i;
        for (int j = 0; j < n; j++)
            if (!strcmp(formula, axis_formula(f, t[j].axis))) {
                first = j < first ? j : first;
                equal++;
            }
        if (first < i)
            continue;
        if (!strcmp(formula, "1"))
            formula = arena_printf(f->arena, "%d", equal);
        else if (equal > 1)
            formula = arena_printf(f->arena, "%d*%s", equal, formula);
        add_text(out, " + ", formula);
    }
}

bool
pass_kernelize(struct ir_func *f, struct pass_context *c)
{
    struct pair_term t[PASS_MAX_TERMS];
    struct str q = {0}, k = {0}, d = {0};
    ir_ref w = pass_weight(f), stop = 0;
    int64_t total = 0;
    if (f->kernelize == KERNELIZE_NONE)
        return true;
    int n = w ? pair_terms(f, pass_weight_sim(f, w), t, &stop) : -1;
    if (n < 0)
        ICE("a term of the split pairs query and key: %s", stop ? math_text(f, stop) : "?");
    for (int i = 0; i < n; i++) {
        int64_t size = axis_fixed_size(f, t[i].axis);
        add_text(&q, ", ", math_text(f, t[i].a));
        add_text(&k, ", ", math_text(f, t[i].b));
        total = total < 0 || size < 0 ? -1 : total + size;
    }
    add_counts(f, t, n, &d);
    c->why->phi_q = arena_printf(f->arena, "[%s]", str_text(&q));
    c->why->phi_k = arena_printf(f->arena, "[%s]", str_text(&k));
    c->why->features = total < 0
                           ? arena_strdup(f->arena, str_text(&d))
                           : arena_printf(f->arena, "%s = %lld", str_text(&d), (long long)total);
    str_free(&q);
    str_free(&k);
    str_free(&d);
    return true;
}
