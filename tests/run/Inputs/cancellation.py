"""Near-cancelling rows of (q·k + 1)^2: what each form of the computation makes of them, as a table, against bounds from their condition.
Usage: ATTNC WORKDIR

64 queries and 512 keys in 64 dimensions. All keys are u + e·w, u a fixed vector of length 8 and w random of length about 1; query i is
-u/|u|^2 plus a vector of length 1 orthogonal to u. Then q·k = -1 + e (q·w), so every term of the row sum is about (e/8)^2, while the
terms of the expanded form, 1 + 2 q·k + (q·k)^2 feature by feature, add up to some 5 per key in absolute value."""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(7)
rows, keys, D, M = 64, 512, 64, 8
forms = {
    "kernelized, f32": ("kernelize;", np.float32),
    "kernelized, `state f64`": ("kernelize; state f64;", np.float32),
    "kernelized, `type f64`": ("kernelize; type f64;", np.float64),
    "streamed, f32": ("", np.float32),
    "streamed, `state f64`": ("state f64;", np.float32),
}
unit = {np.float32: 2e-6, np.float64: 8e-15}  # docs/numerics.md


def inputs(e):
    u = rng.standard_normal(D)
    u *= 8 / np.linalg.norm(u)
    w = rng.standard_normal((keys, D)) / 8
    r = rng.standard_normal((rows, D))
    r -= np.outer(r @ u, u) / (u @ u)
    q = -u / (u @ u) + r / np.linalg.norm(r, axis=1, keepdims=True)
    return [x.astype(np.float32) for x in (q, u + e * w, rng.standard_normal((keys, M)))]


def run(statements, normalize, dtype, q, k, v):
    path = f"{work}/p.attn"
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"sim = (q·k + 1)^2; {statements} {normalize}")
    for name, x in (("q", q), ("k", k), ("v", v)):
        np.save(f"{work}/{name}.npy", x.astype(dtype)[None, None])
    subprocess.run([attnc, "run", path, f"q={work}/q.npy", f"k={work}/k.npy", f"v={work}/v.npy", "-o", f"{work}/out.npy"],
                   check=True, capture_output=True)
    return np.load(f"{work}/out.npy")[0, 0].astype(np.float64)


failed = 0
for e in (1e-2, 1e-3, 1e-4):
    q, k, v = inputs(e)
    Q, K, V = (x.astype(np.float64) for x in (q, k, v))
    w = (Q @ K.T + 1) ** 2
    z = w.sum(1)
    out = w @ V / z[:, None]
    size = ((np.abs(Q) @ np.abs(K).T + 1) ** 2).sum(1)  # what is summed, in absolute value
    print(f"\ne = {e:g}: condition {np.median(size / z):.1e} (median)\n")
    print("| form | rows with a sum <= 0 | largest relative error of a row sum | largest error of an output |")
    print("|---|---|---|---|")
    for name, (statements, dtype) in forms.items():
        sums = run(statements, "normalize = 1;", dtype, q, k, np.ones((keys, 1)))[:, 0]
        got = run(statements, "", dtype, q, k, v)
        bad = int((sums <= 0).sum())
        error, of_out = np.abs(sums - z) / z, np.abs(got - out).max() / np.abs(out).max()
        print(f"| {name} | {bad} of {rows} | {error.max():.1e} | {of_out:.1e} |")
        wide = "f64" in statements
        # streamed: each score is rounded by itself, its error is relative to |q||k| and enters twice over (s + 1)
        scores = ((np.abs(Q) @ np.abs(K).T + 1) * np.abs(Q @ K.T + 1)).sum(1) if "kernelize" not in statements else size
        bound = unit[np.float64 if wide else np.float32] * np.sqrt(1 + np.log2(keys)) * scores / z + 2.0 ** -23
        if statements != "kernelize;" or bound.max() < 0.1:
            failed += not (bad == 0 and (error <= bound).all())
        elif e <= 1e-3:  # no digit is certain, and none is left
            failed += not (bad > 0 and error.max() > 1)
print(f"\n{failed} failed")
sys.exit(failed > 0)
