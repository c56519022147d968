#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard.h"

static long passed, failed;

/* ---- memory between two closed pages ---- */

struct guarded {
    char *map, *inside;
    size_t size;
};

enum side { BEFORE_A_GUARD, AFTER_A_GUARD, SIDES };

static size_t page;

/* bytes of memory that ends where a closed page begins, or begins where one ends. */
static char *
guarded_new(struct guarded *g, size_t bytes, enum side side)
{
    size_t open = (bytes + page - 1) / page * page;
    g->size = open + 2 * page;
    g->map = mmap(NULL, g->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g->map == MAP_FAILED ||
        (open && mprotect(g->map + page, open, PROT_READ | PROT_WRITE))) {
        perror("mmap");
        exit(2);
    }
    g->inside = g->map + page + (side == BEFORE_A_GUARD ? open - bytes : 0);
    return g->inside;
}

static void
guarded_free(struct guarded *g)
{
    munmap(g->map, g->size);
}

/* ---- faults ---- */

static sigjmp_buf back;
static volatile char *fault_at;

static void
on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    fault_at = info->si_addr;
    siglongjmp(back, 1);
}

static void
catch_faults(void)
{
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&a.sa_mask);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
}

/* ---- a kernel whose workspace is guarded too ---- */

/* attn_launch rounds the workspace up. Here each phase runs as a kernel of its own whose task hands
 * the real one memory of exactly the size that the plan asks for. */
static struct {
    const attn_entry *entry;
    int phase;
    char *shared, *local;
} real;

static void
one_task(const int64_t *slots, char *shared, char *local, int64_t task)
{
    (void)shared, (void)local;
    real.entry->variant[0].phase[real.phase](slots, real.shared, real.local, task);
}

static void
one_plan(const int64_t *slots, int64_t *out)
{
    int64_t plan[ATTN_PLAN];
    real.entry->plan(slots, plan);
    out[0] = plan[0];
    out[1] = plan[1];
    out[2] = plan[2 + real.phase];
}

static int64_t planned[2];

static void
only_plan(const int64_t *slots, int64_t *out)
{
    int64_t plan[ATTN_PLAN];
    real.entry->plan(slots, plan);
    memcpy(planned, plan, sizeof planned);
    out[0] = out[1] = out[2] = 0;
}

static int
run_phases(struct exact_run *r, const struct exact_case *c, enum side side)
{
    attn_exec exec = {.threads = 1};
    attn_variant v = {.isa = c->kernel->entries[0].variant[0].isa, .phase = {one_task}};
    attn_entry e = {.name = "forward", .schedule = c->kernel->entries[0].schedule, .phases = 1,
                    .variants = 1, .plan = only_plan, .variant = &v};
    attn_kernel k = *c->kernel;
    struct guarded shared, local;
    k.entries = &e;
    real.entry = &c->kernel->entries[0];
    int rc = exact_launch(r, c, &k, &exec);
    if (rc)
        return rc;
    real.shared = guarded_new(&shared, (size_t)planned[0], side);
    real.local = guarded_new(&local, (size_t)planned[1], side);
    e.plan = one_plan;
    for (real.phase = 0; rc == 0 && real.phase < real.entry->phases; real.phase++)
        rc = exact_launch(r, c, &k, &exec);
    guarded_free(&shared);
    guarded_free(&local);
    return rc;
}

/* ---- cases ---- */

static void
last_first(void *ctx, int workers, void (*fn)(void *, int), void *arg)
{
    (void)ctx;
    for (int w = workers; w-- > 0;)
        fn(arg, w);
}

/* As a user would call it, with a workspace of exactly the size that attn_workspace tells. */
static int
run_whole(struct exact_run *r, const struct exact_case *c, enum side side)
{
    struct guarded g;
    size_t need = attn_workspace(c->kernel, 0, &r->x[0].t, &r->x[1].t, &r->x[2].t);
    attn_exec exec = {.workspace = guarded_new(&g, need, side), .workspace_size = need,
                      .parallel_for = last_first};
    int rc = exact_launch(r, c, c->kernel, &exec);
    guarded_free(&g);
    return rc;
}

static void
tell(const struct exact_case *c, const char *target, enum layout layout, enum side side)
{
    const int64_t *d = c->dims;
    printf("%s %s %s, layout %d, guard %s, B=%lld H=%lld G=%lld n_q=%lld n=%lld D=%lld M=%lld: ",
           c->p->name, target, c->kernel->type == ATTN_TYPE_F64 ? "f64" : "f32",
           (int)layout, side == BEFORE_A_GUARD ? "behind" : "in front", (long long)d[0],
           (long long)d[1], (long long)d[2], (long long)d[3], (long long)d[4], (long long)d[5],
           (long long)d[6]);
}

/* Tells a fault from other failures; 1: ran and is right, 0: ran and is wrong, -1: a fault. */
static int
outcome(struct exact_run *r, const struct exact_case *c, enum side side)
{
    if (sigsetjmp(back, 1))
        return -1;
    exact_reset(r);
    int rc = run_phases(r, c, side);
    if (rc || exact_wrong(r, c) != -1)
        return 0;
    exact_reset(r);
    rc = run_whole(r, c, side);
    return rc == 0 && exact_wrong(r, c) == -1;
}

/* Were tensor t one element further, would the kernel fault? If not, this test shows nothing. */
static void
control(struct exact_run *r, const struct exact_case *c, const char *target, int t,
        enum side side)
{
    volatile bool faulted = true;
    char *was = r->memory[t];
    int bytes = r->x[t].t.dtype.bits / 8;
    size_t need = attn_workspace(c->kernel, 0, &r->x[0].t, &r->x[1].t, &r->x[2].t);
    attn_exec exec = {.workspace = malloc(need), .workspace_size = need, .threads = 1};
    r->memory[t] += side == BEFORE_A_GUARD ? bytes : -bytes;
    if (!sigsetjmp(back, 1)) {
        exact_launch(r, c, c->kernel, &exec);
        faulted = false;
    }
    r->memory[t] = was;
    free(exec.workspace);
    passed += faulted;
    failed += !faulted;
    if (!faulted) {
        tell(c, target, LAYOUT_DENSE, side);
        printf("tensor %d lies one element outside and nothing happened\n", t);
    }
}

static void
run_case(const attn_kernel *k, const char *target, const struct exact_program *p,
         const int64_t *dims, enum layout layout, enum side side, bool with_control)
{
    struct exact_case c;
    struct exact_run r;
    struct guarded g[EXACT_TENSORS];
    if (!exact_make(&c, p, k, dims, (uint64_t)dims[EX_N])) {
        printf("%s is not exact\n", p->name);
        failed++;
        return;
    }
    exact_place(&r, &c, layout);
    for (int t = 0; t < c.kernel->ntensors; t++)
        r.memory[t] = guarded_new(&g[t], r.x[t].bytes, side);
    exact_fill(&r, &c);
    int ok = outcome(&r, &c, side);
    passed += ok == 1;
    failed += ok != 1;
    if (ok != 1 && failed < 30) {
        tell(&c, target, layout, side);
        printf("%s\n", ok == 0 ? "wrong" : "touches what lies outside");
        for (int t = 0; ok < 0 && t < c.kernel->ntensors; t++)
            if (fault_at >= g[t].map && fault_at < g[t].map + g[t].size)
                printf("  %s, byte %ld of %zu\n", c.kernel->tensors[t].name,
                       (long)(fault_at - g[t].inside), r.x[t].bytes);
    }
    for (int t = 0; with_control && t < c.kernel->ntensors; t++)
        control(&r, &c, target, t, side);
    for (int t = 0; t < c.kernel->ntensors; t++)
        guarded_free(&g[t]);
    exact_run_free(&r);
    exact_free(&c);
}

struct guard_count
guard_kernel(const struct exact_program *p, const attn_kernel *k, const char *target, bool brief)
{
    static const int64_t odd[] = {1, 3, 7, 17, 65}, less[] = {1, 3, 7, 17, 33};
    const int64_t *width = brief ? less : odd;
    passed = failed = 0;
    page = (size_t)sysconf(_SC_PAGESIZE);
    catch_faults();
    for (int s = 0; s < 125; s += brief && k->type == ATTN_TYPE_F64 ? 2 : 1) {
        int64_t d[EX_DIMS] = {2, 2, 1 + s % 2, 0, odd[s / 25], width[s / 5 % 5], width[s % 5]};
        d[EX_NQ] = s % 4 == 3 ? d[EX_N] / 2 + 1 : d[EX_N];
        if (p->max_D && d[EX_D] > p->max_D)
            continue;
        /* the controls need every element to be read: all positions of a bias, for one */
        bool with_control = s % 31 == 5 && d[EX_NQ] == d[EX_N];
        for (int way = brief ? s % (LAYOUTS * SIDES) : 0; way < LAYOUTS * SIDES; way++) {
            enum layout layout = (enum layout)(way / SIDES);
            run_case(k, target, p, d, layout, (enum side)(way % SIDES),
                     layout == LAYOUT_DENSE && with_control);
            if (brief)
                break;
        }
    }
    return (struct guard_count){passed, failed};
}
