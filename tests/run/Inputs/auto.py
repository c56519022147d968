"""kernelize auto: each call gives the bits of the form that its sizes favour; rates move the choice; steps, objects and
IR text keep both. Usage: ATTNC CC INCLUDE LIBATTN DLPACK WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, cc, include, libattn, dlpack, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
rng = np.random.default_rng(2)
forms = {"auto": "kernelize auto;", "features": "kernelize;", "pairs": ""}
for mask in ("", "causal;"):
    for name, form in forms.items():
        with open(f"{name}{'_causal' if mask else ''}.attn", "w", encoding="utf-8") as f:
            f.write(f"attention k; sim = (q·k + 1)^2; {mask} {form}")


def call(*words, code=0):
    run = subprocess.run([attnc, *words], capture_output=True, encoding="utf-8", timeout=120)
    assert run.returncode == code, (words, run.returncode, run.stderr)
    return run


def bits(program, n_q, n, *more):
    for name, rows in (("q", n_q), ("k", n), ("v", n)):
        np.save(name + ".npy", np.random.default_rng(n * 7 + rows).standard_normal((2, 2, rows, 6)).astype(np.float32))
    call("run", program + ".attn", "q=q.npy", "k=k.npy", "v=v.npy", "-o", "out.npy", *more)
    return np.load("out.npy").tobytes()


for kind in ("", "_causal"):
    chosen = []
    for n_q, n in ((17, 17), (3, 500), (400, 400)):
        both = [bits(f + kind, n_q, n) for f in ("features", "pairs")]
        told = both[0] != both[1]    # inside its first chunk a prefix sum is computed pair by pair too
        assert told or (kind and n_q < 128), (kind, n)
        got = bits("auto" + kind, n_q, n)
        assert got in both, (kind, n_q, n)
        chosen.append(both.index(got) if told else None)
        if n_q != 400:
            continue
        # one form always, whatever the sizes
        schedule = "scan" if kind else "linear"
        assert bits("auto" + kind, n_q, n, f"--rates=stream:1000000,{schedule}:1") == both[0]
        assert bits("auto" + kind, n_q, n, f"--rates=stream:1,{schedule}:1000000") == both[1]
    assert chosen[0] == (None if kind else 1) and chosen[2] == 0, (kind, chosen)
# a mask whose formula holds only far out: all pairs are visible here
for name, form in forms.items():
    with open(f"{name}_far.attn", "w", encoding="utf-8") as f:
        f.write(f"attention k; sim = (q·k + 1)^2; mask = j < 4000; {form}")
assert bits("auto_far", 17, 17) == bits("pairs_far", 17, 17) != bits("features_far", 17, 17)
assert bits("auto_far", 400, 400) == bits("features_far", 400, 400)
# by steps it is the state, as for the kernelized form
assert bits("auto_causal", 40, 40, "--step=7") == bits("features_causal", 40, 40, "--step=7")
# from IR text, the same object; what explain and the header say
call("auto.attn", "--stop-after=fold", "-o", "auto.air")
call("auto.attn", "-o", "straight.o")
call("auto.air", "-o", "text.o")
assert open("straight.o", "rb").read() == open("text.o", "rb").read()
assert "kernelize auto" in open("auto.air").read()
assert "linear, or stream where that is expected to take less" in call("explain", "auto.attn").stdout
assert "linear, or stream where" in call("auto.attn", "--emit=header").stdout
# tiles as text are one form, which is said; rates are behind them
run = call("auto.attn", "--emit=tiles", "-o", "tiles.air")
assert "warning: tiles as text are of the kernelized form alone" in run.stderr
call("tiles.air", "-o", "tiles.o")
call("explain", "tiles.air")
call("cost", "tiles.air", "--at", "n=8,D=4")
assert "rates are behind it" in call("tiles.air", "-o", "x.o", "--rates=stream:1", code=2).stderr
# from C, with a workspace of exactly the size asked for, short and long
call("auto.attn", "-o", "k.o", "--header=k.h")
with open("main.c", "w") as f:
    f.write('''
#include <stdio.h>
#include <stdlib.h>
#include "k.h"
int
main(void)
{
    static float q[2 * 600 * 8], out[2][2 * 600 * 8];
    for (int k = 0; k < 2 * 600 * 8; k++)
        q[k] = (float)(rand() % 5 - 2);
    for (int64_t n = 1; n <= 600; n += 199) {
        DLTensor Q = ATTN_F32(q, 1, 2, n, 8), O = ATTN_F32(out[0], 1, 2, n, 8), P = ATTN_F32(out[1], 1, 2, n, 8);
        size_t size = (k_workspace(&Q, &Q, &Q) + 63) / 64 * 64;
        attn_exec exec = {.workspace = aligned_alloc(64, size), .workspace_size = size};
        if (k_forward(&Q, &Q, &Q, &O, &exec) || k_forward(&Q, &Q, &Q, &P, NULL)) {
            puts(attn_message());
            return 1;
        }
        for (int64_t e = 0; e < 2 * n * 8; e++)
            if (out[0][e] != out[1][e])
                return 2;
        free(exec.workspace);
    }
    printf("%d entries, %s\\n", (int)k_kernel.nentries, k_kernel.entries[k_kernel.nentries - 1].name);
    return 0;
}
''')
subprocess.run([cc, "-std=gnu17", "-fopenmp", "-I.", f"-I{include}", f"-I{dlpack}", "main.c", "k.o", libattn, "-lm", "-o", "main"],
               check=True)
run = subprocess.run(["./main"], capture_output=True, encoding="utf-8")
assert run.returncode == 0 and run.stdout == "2 entries, direct\n", (run.returncode, run.stdout)
# what does not go is said
with open("none.attn", "w", encoding="utf-8") as f:
    f.write("sim = relu(q·k); kernelize auto;")
assert "none.attn:1:" in call("none.attn", "-o", "none.o", code=1).stderr and not os.path.exists("none.o")
for rates in ("", "stream", "stream:0", "stream:x", "fast:100", "stream:1000001", "stream:100;linear:1"):
    assert "--rates needs" in call("auto.attn", "-o", "x.o", f"--rates={rates}", code=2).stderr, rates
assert not os.path.exists("x.o")
print("each call as its sizes favour")
