#include "frontend/driver/arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
arrays_takes(const attn_kernel *k, int t)
{
    return k->tensors[t].role == ATTN_INPUT && k->tensors[t].source == ATTN_GIVEN;
}

static int
unknown_name(const attn_kernel *k, const char *name)
{
    struct str s = {0};
    for (int t = 0; t < k->ntensors; t++)
        if (arrays_takes(k, t))
            str_printf(&s, "%s%s", s.len ? ", " : "", k->tensors[t].name);
    for (int t = 0; t < k->nscalars; t++)
        str_printf(&s, ", %s", k->scalars[t].name);
    int rc = usage_error("'%s' is no input of %s; its inputs are %s", name, k->name, str_text(&s));
    str_free(&s);
    return rc;
}

static int
read_tensor(struct arrays *a, int t, const char *path, bool convert)
{
    char err[512];
    enum npy_type want = a->kernel->type == ATTN_TYPE_F64 ? NPY_F64 : NPY_F32;
    if (a->given[t])
        return usage_error("%s is given twice", a->kernel->tensors[t].name);
    int rc = npy_read(path, &a->at[t], err, sizeof err);
    if (rc != EXIT_OK) {
        fprintf(stderr, "attnc: %s: %s\n", a->kernel->tensors[t].name, err);
        return rc;
    }
    a->given[t] = true;
    if (a->at[t].type != want && !convert) {
        fprintf(stderr, "attnc: %s: %s holds %s, expected %s\n", a->kernel->tensors[t].name, path,
                npy_type_name(a->at[t].type), npy_type_name(want));
        return EXIT_DIAG;
    }
    return EXIT_OK;
}

static void
mark(bool *used)
{
    if (used)
        *used = true;
}

static int
read_argument(struct arrays *a, const char *word, bool *used)
{
    const char *eq = strchr(word, '=');
    size_t n = (size_t)(eq - word);
    for (int t = 0; t < a->kernel->ntensors; t++)
        if (arrays_takes(a->kernel, t) && strlen(a->kernel->tensors[t].name) == n &&
            !strncmp(word, a->kernel->tensors[t].name, n))
            return mark(used), read_tensor(a, t, eq + 1, used != NULL);
    for (int t = 0, outputs = 0; t < a->kernel->ntensors && !used; t++) { /* all but the first */
        if (a->kernel->tensors[t].role != ATTN_OUTPUT || outputs++ == 0)
            continue;
        if (strlen(a->kernel->tensors[t].name) == n &&
            !strncmp(word, a->kernel->tensors[t].name, n)) {
            a->path[t] = eq + 1;
            return EXIT_OK;
        }
    }
    for (int s = 0; s < a->kernel->nscalars; s++) {
        const char *name = a->kernel->scalars[s].name;
        if (strlen(name) != n || strncmp(word, name, n))
            continue;
        char *end;
        a->scalars[s] = strtod(eq + 1, &end);
        if (end == eq + 1 || *end)
            return usage_error("%s is '%s', must be a number", name, eq + 1);
        a->scalar_given[s] = true;
        return mark(used), EXIT_OK;
    }
    if (used)
        return EXIT_OK;
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)n, word);
    return unknown_name(a->kernel, name);
}

int
arrays_read(struct arrays *a, const struct options *o, bool *used)
{
    for (int k = 0; k < o->args.n; k++) {
        int rc = read_argument(a, o->args.at[k], used ? &used[k] : NULL);
        if (rc != EXIT_OK)
            return rc;
    }
    for (int t = 0; t < a->kernel->ntensors; t++)
        if (arrays_takes(a->kernel, t) && !a->given[t])
            return usage_error("input %s is missing: give %s=FILE.npy", a->kernel->tensors[t].name,
                               a->kernel->tensors[t].name);
    for (int t = 0, outputs = 0; t < a->kernel->ntensors && !used; t++)
        if (a->kernel->tensors[t].role == ATTN_OUTPUT && outputs++ && !a->path[t])
            return usage_error("-o is for the first output; say where %s goes: %s=FILE.npy",
                               a->kernel->tensors[t].name, a->kernel->tensors[t].name);
    for (int s = 0; s < a->kernel->nscalars; s++) {
        if (!a->scalar_given[s] && !a->kernel->scalars[s].has_default)
            return usage_error("input %s is missing and has no default: give %s=NUMBER",
                               a->kernel->scalars[s].name, a->kernel->scalars[s].name);
        if (!a->scalar_given[s])
            a->scalars[s] = a->kernel->scalars[s].value;
    }
    return EXIT_OK;
}

void
arrays_free(struct arrays *a)
{
    for (int t = 0; t < VALUES_MAX_TENSORS; t++)
        npy_free(&a->at[t]);
}
