"""NaN keys, huge scores, rows that see nothing, threads. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
draw = np.random.default_rng(0)
q, k, v = [draw.standard_normal((1, 1, 200, 4)).astype("f") for _ in range(3)]


def run(text, k=k, v=v, *options):
    with open("p.attn", "w", encoding="utf-8") as f:
        f.write(text)
    for name, x in (("q", q), ("k", k), ("v", v)):
        np.save(name + ".npy", x)
    subprocess.run([attnc, "run", "p.attn", "q=q.npy", "k=k.npy", "v=v.npy", "-o", "o.npy", *options], check=True)
    return np.load("o.npy")[0, 0]


softmax = "sim = exp(q·k); causal;"
for text in (softmax, "sim = (q·k + 1)^2; causal; kernelize;"):
    clean = run(text)
    bad_k, bad_v = k.copy(), v.copy()
    bad_k[0, 0, 150] = bad_v[0, 0, 150] = np.nan
    bad = run(text, bad_k, bad_v)
    assert np.array_equal(clean[:150], bad[:150]), text
    assert np.isnan(bad[150:]).all(), text
    assert np.array_equal(run(text, k, v, "--threads=1"), run(text, k, v, "--threads=3")), text
assert np.isfinite(run(softmax, k * np.float32(1e4))).all()
assert not np.isfinite(run("sim = exp(q·k); causal; normalize = z + 1;", k * np.float32(1e4))).all()
blind = run("sim = exp(q·k); mask = j < i;")
assert (blind[0] == 0).all() and np.isfinite(blind).all()
print("special values as documented")
