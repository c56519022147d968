/* Parsing the command line from the rows of options.def. */
#include "frontend/driver/driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct command driver_commands[] = {
    {"compile", 'c', command_compile, "attnc [options] FILE -o OUTPUT",
     "compile an attention (the default)"},
    {"run", 'r', command_run,
     "attnc run FILE q=Q.npy k=K.npy v=V.npy [NAME=VALUE|FILE.npy ...] -o OUT.npy",
     "run it on NumPy arrays"},
    {"check", 'k', command_check, "attnc check FILE [--at n=1000,D=64]",
     "compare the compiled kernel with the f64 reference"},
    {"explain", 'e', command_explain, "attnc explain FILE [--at D=64] [--html=REPORT.html]",
     "what was understood, derived and proven"},
    {"cost", 'o', command_cost, "attnc cost FILE... [--at n=4096,D=64] [--over D=16:256]",
     "exact complexity, compared"},
    {"bench", 'b', command_bench, "attnc bench FILE... [--n=1k:64k] [--at D=64] [--plot=FILE.svg]",
     "time against length, against each other and against the machine's peak"},
    {"compare", 'm', command_compare,
     "attnc compare A FILE... q=Q.npy k=K.npy v=V.npy [NAME=VALUE|FILE.npy ...]",
     "how the outputs and weights of programs differ from those of the first"},
    {"zoo", 'z', command_zoo, "attnc zoo [show NAME]",
     "the built-in examples: a list, or the text of one"},
};
const int driver_command_count = sizeof driver_commands / sizeof *driver_commands;

enum option_kind { FLAG, TEXT, MAYBE, INT, LIST };
static const struct option {
    const char *name;
    char letter;
    enum option_kind kind;
    size_t field;
    const char *value, *commands, *help;
} options[] = {
#define OPTION(name, letter, kind, field, value, commands, help) \
    {name, letter, kind, offsetof(struct options, field), value, commands, help},
#include "frontend/driver/options.def"
};
enum { NOPTIONS = sizeof options / sizeof *options };

int
usage_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("attnc: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("\nattnc: see 'attnc --help'\n", stderr);
    va_end(ap);
    return EXIT_USAGE;
}

static void
print_help(const struct command *c)
{
    printf("usage: %s\n       %s\n\n", c->usage, c->help);
    if (c->letter == 'c') {
        puts("commands:");
        for (int k = 1; k < driver_command_count; k++)
            printf("  attnc %-8s %s\n", driver_commands[k].name, driver_commands[k].help);
        putchar('\n');
    }
    puts("options:");
    for (int k = 0; k < NOPTIONS; k++) {
        const struct option *x = &options[k];
        char left[64];
        if (!strchr(x->commands, c->letter))
            continue;
        int n = x->letter ? snprintf(left, sizeof left, "-%c, ", x->letter)
                          : snprintf(left, sizeof left, "    ");
        snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", x->name,
                 x->value && x->kind != MAYBE ? "=" : "", x->value ? x->value : "");
        printf("  %-28s %s\n", left, x->help);
    }
    puts("\nexit codes: 0 ok, 1 errors in the program or its inputs (or a failed check), 2 usage, "
         "3 files or memory");
}

static void
print_ops(void)
{
    for (int k = 1; k < IR_OP_COUNT; k++)
        printf("%-9s %d operand%s  %s\n", ir_ops[k].name, ir_ops[k].nargs,
               ir_ops[k].nargs == 1 ? " " : "s", ir_ops[k].math);
    puts("\nstatements of the tile IR:");
    for (int k = 1; k < TILE_OP_COUNT; k++)
        printf("%-10s %s\n", tile_ops[k].name, tile_ops[k].help);
}

static void
print_passes(void)
{
    for (int k = 0; k < pass_count; k++)
        printf("%-12s %s\n", pass_table[k].name, pass_table[k].help);
}

/* Stores the value of one option. Returns -1, or an exit code. */
static int
set_option(struct options *o, const struct option *x, const char *value)
{
    void *at = (char *)o + x->field;
    if (x->kind == FLAG) {
        *(bool *)at = true;
    } else if (x->kind == TEXT || x->kind == MAYBE) {
        *(const char **)at = value;
    } else if (x->kind == INT) {
        char *end;
        errno = 0;
        long v = strtol(value, &end, 10);
        if (errno || end == value || *end || v < 0)
            return usage_error("--%s is '%s', must be a number >= 0", x->name, value);
        *(long *)at = v;
    } else {
        struct option_list *l = at;
        if (l->n == MAX_LIST)
            return usage_error("more than %d uses of --%s", MAX_LIST, x->name);
        l->at[l->n++] = value;
    }
    return -1;
}

static const struct option *
find_option(const char *word, const char **value)
{
    for (int k = 0; k < NOPTIONS; k++) {
        const struct option *x = &options[k];
        size_t n = strlen(x->name);
        *value = NULL;
        if (word[1] == '-' && !strncmp(word + 2, x->name, n) &&
            (word[2 + n] == 0 || word[2 + n] == '=')) {
            if (word[2 + n] == '=')
                *value = word + 3 + n;
            return x;
        }
        if (word[1] != '-' && x->letter == word[1]) {
            if (word[2])
                *value = word + 2;
            return x;
        }
    }
    return NULL;
}

static int
unknown_option(const char *word)
{
    const char *names[NOPTIONS];
    for (int k = 0; k < NOPTIONS; k++)
        names[k] = options[k].name;
    const char *near = word[1] == '-' ? str_nearest(word + 2, names, NOPTIONS) : NULL;
    if (near)
        return usage_error("unknown option '%s'; did you mean --%s?", word, near);
    return usage_error("unknown option '%s'", word);
}

/* One option word (and its argument). Returns -1, or an exit code. */
static int
parse_option(struct options *o, int argc, char **argv, int *k)
{
    const char *value;
    const struct option *x = find_option(argv[*k], &value);
    if (!x)
        return unknown_option(argv[*k]);
    if (!strchr(x->commands, o->command->letter))
        return usage_error("--%s does not go with '%s'", x->name, o->command->name);
    if (x->kind == FLAG && value)
        return usage_error("--%s takes no value", x->name);
    if (x->kind == MAYBE && !value)
        value = "";
    if (x->kind != FLAG && !value) {
        if (*k + 1 >= argc)
            return usage_error("--%s needs a value: %s", x->name, x->value);
        value = argv[++*k];
    }
    return set_option(o, x, value);
}

int
options_parse(int argc, char **argv, struct options *o)
{
    int first = 1;
    memset(o, 0, sizeof *o);
    o->opt = 2;
    o->command = &driver_commands[0];
    for (int k = 1; argc > 1 && k < driver_command_count; k++)
        if (!strcmp(argv[1], driver_commands[k].name)) {
            o->command = &driver_commands[k];
            first = 2;
        }
    for (int k = first; k < argc; k++) {
        const char *w = argv[k];
        if (w[0] == '-' && w[1]) {
            int rc = parse_option(o, argc, argv, &k);
            if (rc >= 0)
                return rc;
        } else if (strchr("rm", o->command->letter) && o->ninputs && strchr(w, '=')) {
            if (o->args.n == MAX_LIST)
                return usage_error("more than %d arguments", MAX_LIST);
            o->args.at[o->args.n++] = w;
        } else {
            int most = strchr("obmez", o->command->letter) ? MAX_INPUTS : 1;
            if (o->ninputs == most && most > 1)
                return usage_error("more than %d inputs", most);
            if (o->ninputs == most)
                return usage_error("one input at a time, found '%s' and '%s'", o->inputs[0], w);
            o->inputs[o->ninputs++] = w;
        }
    }
    if (o->version) {
        printf("attnc %s (LLVM %s)\n", ATTNC_VERSION, cg_llvm_version());
        return EXIT_OK;
    }
    if (o->help || o->help_ops || o->help_passes) {
        if (o->help)
            print_help(o->command);
        if (o->help_ops)
            print_ops();
        if (o->help_passes)
            print_passes();
        return EXIT_OK;
    }
    return o->ninputs || o->command->letter == 'z' ? -1 : usage_error("no input file");
}

bool
parse_size(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || v < 0)
        return false;
    int64_t scale = 1;
    if (*end == 'k' || *end == 'K')
        scale = 1024;
    else if (*end == 'm')
        scale = 1024 * 1024;
    if (scale > 1)
        end++;
    return !*end && !__builtin_mul_overflow((int64_t)v, scale, out);
}

bool
parse_sizes(const struct option_list *l, const char *what, struct dim_override *out, int max,
            int *n, struct arena *a)
{
    *n = 0;
    for (int k = 0; k < l->n; k++) {
        char *word = arena_strdup(a, l->at[k]), *save = NULL;
        for (char *p = strtok_r(word, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
            char *eq = strchr(p, '=');
            if (!eq || eq == p || *n == max) {
                usage_error("--%s needs NAME=INT, found '%s'", what, p);
                return false;
            }
            *eq = 0;
            out[*n].name = p;
            if (!parse_size(eq + 1, &out[*n].size)) {
                usage_error("--%s %s is '%s', must be a whole number of 0 or more", what, p,
                            eq + 1);
                return false;
            }
            ++*n;
        }
    }
    return true;
}
