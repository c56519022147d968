/* Command `compile`: from the file to what -o and --emit ask for. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

extern char **environ;

enum stage {
    STAGE_AST,
    STAGE_IR,
    STAGE_MATH,
    STAGE_TILES,
    STAGE_LLVM,
    STAGE_ASM,
    STAGE_OBJ,
    STAGE_SHARED,
    STAGE_HEADER,
    STAGE_AIR
};

/* --emit names, and the suffixes of -o that mean the same. */
static const struct {
    const char *emit, *suffix;
    enum stage stage;
} stages[] = {
    {"ast", NULL, STAGE_AST},     {"ir", NULL, STAGE_IR},          {"math", NULL, STAGE_MATH},
    {"tiles", NULL, STAGE_TILES}, {"llvm", ".ll", STAGE_LLVM},     {"asm", ".s", STAGE_ASM},
    {"obj", ".o", STAGE_OBJ},     {"shared", ".so", STAGE_SHARED}, {"header", ".h", STAGE_HEADER},
    {"air", ".air", STAGE_AIR},
};
enum { NSTAGES = sizeof stages / sizeof *stages };

static int
choose_stage(const struct options *o, enum stage *stage)
{
    if (o->emit) {
        for (int k = 0; k < NSTAGES; k++)
            if (!strcmp(o->emit, stages[k].emit)) {
                *stage = stages[k].stage;
                return EXIT_OK;
            }
        return usage_error(
            "--emit is '%s'; stages are ast ir math tiles llvm asm obj shared header air", o->emit);
    }
    if (!o->output) {
        if (o->header) { /* the header alone */
            *stage = STAGE_HEADER;
            return EXIT_OK;
        }
        if (o->stop_after) {
            *stage = STAGE_IR;
            return EXIT_OK;
        }
        return usage_error("no output: give -o FILE (.o .so .s .ll .air) or --emit=STAGE");
    }
    size_t n = strlen(o->output);
    for (int k = 0; k < NSTAGES; k++) {
        size_t m = stages[k].suffix ? strlen(stages[k].suffix) : 0;
        if (m && n > m && !strcmp(o->output + n - m, stages[k].suffix)) {
            *stage = stages[k].stage;
            return EXIT_OK;
        }
    }
    return usage_error("cannot tell what '%s' should be; known suffixes are .o .so .s .ll .air .h",
                       o->output);
}

static int
deliver(const struct options *o, const char *data, size_t size)
{
    char err[512];
    if (file_write(o->output ? o->output : "-", data, size, err, sizeof err))
        return EXIT_OK;
    fprintf(stderr, "attnc: %s\n", err);
    return EXIT_ENV;
}

/* Runs the system's C compiler as linker: cc -shared -o tmp obj. */
static int
link_shared(const char *obj, const char *out)
{
    const char *cc = getenv("CC") && *getenv("CC") ? getenv("CC") : "cc";
    char *argv[] = {(char *)(uintptr_t)cc, (char *)(uintptr_t)"-shared", (char *)(uintptr_t)"-o",
                    (char *)(uintptr_t)out, (char *)(uintptr_t)obj, NULL};
    pid_t pid;
    int status, e = posix_spawnp(&pid, cc, NULL, NULL, argv, environ);
    if (e) {
        fprintf(stderr, "attnc: cannot run the linker '%s': %s (set CC, or write a .o)\n", cc,
                strerror(e));
        return EXIT_ENV;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return EXIT_OK;
    fprintf(stderr, "attnc: linking with '%s' failed\n", cc);
    return EXIT_ENV;
}

static int
deliver_shared(const struct options *o, const char *data, size_t size)
{
    char err[512], obj[4096], lib[4096];
    const char *out = o->output ? o->output : "a.so";
    if (!strcmp(out, "-"))
        return usage_error("a shared library cannot go to standard output");
    if (!file_temporary(out, lib, sizeof lib, err, sizeof err)) {
        fprintf(stderr, "attnc: %s\n", err);
        return EXIT_ENV;
    }
    int rc = EXIT_ENV;
    if ((size_t)snprintf(obj, sizeof obj, "%s.o", lib) < sizeof obj &&
        file_write(obj, data, size, err, sizeof err))
        rc = link_shared(obj, lib);
    else
        fprintf(stderr, "attnc: %s\n", err);
    unlink(obj);
    if (rc == EXIT_OK && rename(lib, out)) {
        fprintf(stderr, "attnc: %s: %s\n", out, strerror(errno));
        rc = EXIT_ENV;
    }
    if (rc != EXIT_OK)
        unlink(lib);
    return rc;
}

static int
write_header(struct unit *u, const struct options *o, const char *path)
{
    struct str s = {0};
    struct options to = *o;
    to.output = path;
    if (u->stage)
        cg_header_graph(u->program.graph, unit_stepping(u), &s);
    else
        cg_header(u->func, unit_schedule_words(u), unit_stepping(u), &s);
    int rc = deliver(&to, str_text(&s), s.len);
    str_free(&s);
    return rc;
}

/* So that a header that cannot be written leaves no object without it. */
static bool
header_possible(const char *path)
{
    char err[512], name[4096];
    if (!path || !strcmp(path, "-"))
        return true;
    if (!file_temporary(path, name, sizeof name, err, sizeof err)) {
        fprintf(stderr, "attnc: %s\n", err);
        return false;
    }
    unlink(name);
    return true;
}

static int
emit_code(struct unit *u, const struct options *o, enum stage stage)
{
    char *data = NULL;
    size_t size = 0;
    const char *why = NULL;
    int rc = unit_targets(u, o);
    if (rc != EXIT_OK)
        return rc;
    if (stage == STAGE_ASM && u->cg.nvariants > 1 && !o->output) /* one version is what one reads */
        u->cg.variant[0] = u->cg.variant[u->cg.nvariants - 1], u->cg.nvariants = 1;
    struct cg_module *m = unit_build(u);
    enum cg_output kind = stage == STAGE_LLVM  ? CG_LLVM
                          : stage == STAGE_ASM ? CG_ASSEMBLY
                                               : CG_OBJECT;
    if (!cg_emit(m, kind, &data, &size, &why)) {
        fprintf(stderr, "attnc: LLVM could not write the code: %s\n", why);
        rc = EXIT_ENV;
    } else {
        rc = stage == STAGE_SHARED ? deliver_shared(o, data, size) : deliver(o, data, size);
    }
    free(data);
    cg_free(m);
    return rc;
}

static void
put_text(struct unit *u, enum stage stage, struct str *out)
{
    if (stage == STAGE_IR)
        ir_print(u->func, out);
    if ((stage == STAGE_TILES || stage == STAGE_AIR) && u->direct_prog && u->direct_prog->cost)
        diag_warning(&u->diag, u->func->kernelize_span,
                     "tiles as text are of the kernelized form alone, without the choice");
    if (stage == STAGE_TILES || stage == STAGE_AIR)
        tile_print((const struct tile_prog *const[]){u->prog, u->step}, out);
    for (int k = 0; k < ROOT_COUNT && stage == STAGE_MATH; k++)
        if (u->func->root[k]) {
            str_printf(out, "%s = ", ir_root_names[k]);
            ir_print_math(u->func, u->func->root[k], out);
            str_putc(out, '\n');
        }
}

/* Every stage of a program after the other: of tiles, as they run. */
static void
put_stages(struct unit *u, enum stage stage, struct str *out)
{
    const struct fusion *f = &u->fusion;
    const struct graph *g = f->graph ? f->graph : u->program.graph;
    for (int k = 0; k < g->nstages; k++) {
        bool fused = f->graph && f->prog[k];
        str_printf(out, "%s# stage%s %s\n", k ? "\n" : "", fused ? "s" : "", g->stage[k]->name);
        if (fused)
            tile_print((const struct tile_prog *const[]){f->prog[k], NULL}, out);
        else
            put_text(&u->stage[f->graph ? f->from[k] : k], stage, out);
    }
}

static int
emit_text(struct unit *u, const struct options *o, enum stage stage)
{
    struct str s = {0};
    if (u->stage)
        put_stages(u, stage, &s);
    else
        put_text(u, stage, &s);
    int rc = deliver(o, str_text(&s), s.len);
    str_free(&s);
    return rc;
}

static int
compile_stages(struct unit *u, const struct options *o, enum stage stage)
{
    if (stage == STAGE_AST) {
        struct str s = {0};
        int rc = frontend_print_ast(u->arena, u->src, &u->diag, &s)
                     ? deliver(o, str_text(&s), s.len)
                     : EXIT_DIAG;
        str_free(&s);
        return rc;
    }
    int rc = unit_lower(u, o);
    if (rc == EXIT_OK)
        rc = unit_passes(u, o);
    if (rc != EXIT_OK)
        return rc;
    if (stage == STAGE_IR || stage == STAGE_MATH || o->stop_after)
        return emit_text(u, o, stage == STAGE_MATH ? stage : STAGE_IR);
    rc = unit_schedule(u, o);
    if (rc != EXIT_OK)
        return rc;
    if (stage == STAGE_HEADER)
        return write_header(u, o, o->output ? o->output : o->header ? o->header : "-");
    if (!header_possible(o->header))
        return EXIT_ENV;
    rc = stage == STAGE_TILES || stage == STAGE_AIR ? emit_text(u, o, stage)
                                                    : emit_code(u, o, stage);
    if (rc == EXIT_OK && o->header)
        rc = write_header(u, o, o->header);
    return rc;
}

int
command_compile(const struct options *o)
{
    struct unit u;
    enum stage stage = STAGE_OBJ;
    int rc = choose_stage(o, &stage);
    if (rc != EXIT_OK)
        return rc;
    rc = unit_open(&u, o->inputs[0], o);
    if (rc == EXIT_OK)
        rc = compile_stages(&u, o, stage);
    if (rc == EXIT_OK && o->verbose && u.func)
        fprintf(stderr, "attnc: %s: schedule %s\n", u.func->name,
                u.prog ? u.prog->schedule : "none");
    unit_close(&u);
    return rc;
}
