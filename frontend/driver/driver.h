/* The command line: options, and the stages they ask for. The only room besides attnc.c that sees
 * all others. Exit codes: 0 ok, 1 diagnostics, 2 usage, 3 environment (files, memory). */
#ifndef ATTNC_FRONTEND_DRIVER_DRIVER_H
#define ATTNC_FRONTEND_DRIVER_DRIVER_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/fuse.h"
#include "passes/passes.h"
#include "passes/schedule.h"

enum { EXIT_OK = 0, EXIT_DIAG = 1, EXIT_USAGE = 2, EXIT_ENV = 3 };

enum { MAX_LIST = 128, MAX_INPUTS = 32 };

/* A list option: each use appends. */
struct option_list {
    const char *at[MAX_LIST];
    int n;
};

struct options {
    const struct command *command;
    const char *inputs[MAX_INPUTS];
    int ninputs;
    struct option_list args;   /* NAME=VALUE words of `run` */
    const char *output, *header, *mcpu, *target, *emit, *passes, *print_after, *stop_after,
        *reproduce, *over, *sizes, *plot, *html, *rates;
    struct option_list define, at;
    long step, rounds, seconds, threads, seed, opt, query_tile, key_tile, chunk, feature_block;
    bool json, csv, direct, calibrate, print_changed, check_each, time_passes, stats, remarks,
        verbose, no_fuse, help, help_ops, help_passes, version;
};

struct command {
    const char *name;
    char letter;
    int (*run)(const struct options *o);
    const char *usage, *help;
};
extern const struct command driver_commands[];
extern const int driver_command_count;

/* options.c: parses argv; returns -1 to go on, or an exit code (after help or a usage error). */
int options_parse(int argc, char **argv, struct options *o);
/* Usage error: message on standard error, returns EXIT_USAGE. */
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A size with an optional k (1024) or m suffix. */
bool parse_size(const char *s, int64_t *out);
/* "a=1,b=2" or "a=1" entries of a list as name and value; false after a usage error. k/m suffixes
 * allowed. */
bool parse_sizes(const struct option_list *l, const char *what, struct dim_override *out, int max,
                 int *n, struct arena *a);

/* One compilation, up to the stage asked for. */
struct unit {
    struct arena *arena, *scratch;
    struct source *src;
    struct diag diag;
    struct ir_func *source_func;   /* as written */
    struct ir_func *meaning;       /* what code is to compute, the oracle: as written, or what
                                    * approximates it */
    struct ir_func *func;          /* after the passes */
    struct derivation why;
    struct compiled program;        /* as the frontend made it */
    struct unit *stage;            /* of a program of stages: program.graph->nstages units that
                                    * share arenas and source; func is the shell then */
    struct fusion fusion;          /* of these, scheduled: the stages that run as one */
    const struct asserts *asserts;
    int nproven;
    struct tile_prog *prog;        /* entry forward */
    struct tile_prog *step;        /* entry step of STEP_STATE, or NULL */
    struct ir_func *direct;        /* without kernelize, after the passes; see unit_direct */
    struct tile_prog *direct_prog; /* entry direct */
    enum schedule_stepping stepping;
    const char *no_step;           /* why not, with STEP_NONE */
    struct cg_options cg;
    struct str stats;
    struct dim_override dims[MAX_LIST];
    int ndims;
};

/* compile.c: reads the file and runs stages. Each returns EXIT_OK or the exit code after
 * diagnostics. unit_close releases everything and may be called at any time after unit_open. */
int unit_open(struct unit *u, const char *path, const struct options *o);
int unit_lower(struct unit *u, const struct options *o);     /* to the axis IR, assertions proven */
int unit_passes(struct unit *u, const struct options *o);
int unit_schedule(struct unit *u, const struct options *o);
/* Which stages run as one: part of unit_schedule; again only if so far none do, as with no_fuse.
 * True if some do. */
bool unit_fuse(struct unit *u, const struct options *o);
/* From an open unit to its schedules. */
int unit_prepare(struct unit *u, const struct options *o);
/* Makes u->direct and u->direct_prog of a program that is kernelized (and read as source), by the
 * same passes, if they are not there. False after an error was reported. */
bool unit_direct(struct unit *u, const struct options *o);
/* The tile extents asked for. */
int unit_tuning(const struct options *o, struct schedule_tuning *t);
/* The schedule of a forward run in words: of both forms where it chooses. */
const char *unit_schedule_words(const struct unit *u);
enum cg_stepping unit_stepping(const struct unit *u);
/* Code for the entries of the unit, for the targets chosen. Free with cg_free. */
struct cg_module *unit_build(struct unit *u);
int unit_targets(struct unit *u, const struct options *o);
void unit_close(struct unit *u);
/* All stages to machine code in this process. */
int unit_jit(struct unit *u, const struct options *o, struct cg_module **m, struct cg_jit **jit,
             const struct attn_kernel **kernel);

/* Of a unit that is scheduled: the code of one forward program alone, or of all entries (NULL). */
int unit_jit_program(struct unit *u, const struct options *o, const struct tile_prog *prog,
                     struct cg_module **m, struct cg_jit **jit, const struct attn_kernel **kernel);

/* stats.c: on standard error, the scores computed and visible and the operations of a run. */
void stats_report(struct unit *u, const struct interp_input *in);

/* Of a program of stages: says that a command or option is for single attentions. */
int stages_refused(const struct unit *u, const char *what);

/* files.c */
/* Whole file (- is standard input) into *data (malloc'ed); a message on failure. */
bool file_read(const char *path, size_t max, char **data, size_t *size, char *err, size_t errlen);
/* Written to a temporary name in the same directory and renamed; - is standard output. */
bool file_write(const char *path, const char *data, size_t size, char *err, size_t errlen);
/* Name of a new empty temporary file beside path. */
bool file_temporary(const char *path, char *name, size_t len, char *err, size_t errlen);

int command_compile(const struct options *o);
int command_run(const struct options *o);
int command_check(const struct options *o);
int command_explain(const struct options *o);
int command_cost(const struct options *o);
int command_bench(const struct options *o);
int command_compare(const struct options *o);
int command_zoo(const struct options *o);

#endif
