/* From a tile program to machine code. The only room that sees LLVM. */
#ifndef ATTNC_CODEGEN_CODEGEN_H
#define ATTNC_CODEGEN_CODEGEN_H

#include "ir/graph.h"
#include "ir/tile.h"

enum cg_arch { CG_ARCH_x86_64, CG_ARCH_aarch64 };

/* One row of targets.def. */
struct cg_target {
    const char *name;
    int isa;
    enum cg_arch arch;
    const char *triple, *cpu, *features;
    int bits, fma, mr, nv, sr, sv;
};
extern const struct cg_target cg_targets[];
extern const int cg_target_count;

enum { CG_MAX_VARIANTS = 4 };

/* Whether the kernel runs token by token, and what it keeps. With CG_STEP_STATE the second program
 * is the entry "step". */
enum cg_stepping { CG_STEP_NONE, CG_STEP_STATE, CG_STEP_CACHE };

/* What to generate for: one or several versions of the same family. */
struct cg_options {
    const struct cg_target *variant[CG_MAX_VARIANTS];
    int nvariants;
    int opt_level;              /* 0..3 */
    enum cg_stepping stepping;
};

/* Sets the variants for --mcpu=CPU (NULL: all of the family; "native"; a row's name; or a CPU of
 * the x86-64 psABI levels) and --target=TRIPLE (NULL: this machine). False with *why (static or
 * arena). */
bool cg_select_targets(struct arena *a, const char *triple, const char *mcpu, struct cg_options *o,
                       const char **why);

struct cg_module; /* an LLVM module with its context */

/* Generates and optimises code for the programs of one kernel (entry points). The first and the
 * last may be two forms of the same, each with its cost: entry 0 then chooses. Broken IR is an
 * internal error, so this cannot fail. Free with cg_free. */
struct cg_module *cg_build(struct arena *a, const struct tile_prog *const *progs, int nprogs,
                           const struct cg_options *o);
/* The same of a program of several stages: the entries of each, in the order of g->stage. */
struct cg_stage {
    const struct tile_prog *progs[3];
    int nprogs;
    enum cg_stepping stepping;
};
struct cg_module *cg_build_graph(struct arena *a, const struct graph *g,
                                 const struct cg_stage *stages, const struct cg_options *o);
void cg_free(struct cg_module *m);

enum cg_output { CG_OBJECT, CG_ASSEMBLY, CG_LLVM };
/* The module as bytes (malloc'ed into *data, caller frees). False with *why. */
bool cg_emit(struct cg_module *m, enum cg_output kind, char **data, size_t *size, const char **why);

/* The C header that declares what the object exports; schedule: of entry forward, in words. */
void cg_header(const struct ir_func *f, const char *schedule, enum cg_stepping stepping,
               struct str *out);
void cg_header_graph(const struct graph *g, enum cg_stepping stepping, struct str *out);

/* Compiles in memory and returns the kernel's description; *jit keeps it alive (cg_jit_free).
 * NULL with *why. */
struct attn_kernel;
struct cg_jit;
const struct attn_kernel *cg_jit_compile(struct cg_module *m, struct cg_jit **jit,
                                         const char **why);
void cg_jit_free(struct cg_jit *jit);

/* Version of the LLVM library in use, e.g. "22.1.8". */
const char *cg_llvm_version(void);

#endif
