"""Decay over 100,000 tokens, from one that forgets at once to none at all, against the recurrence in f64. Usage: ATTNC WORKDIR

Inputs are positive, so nothing cancels and the bound of docs/numerics.md holds with condition 2: each output is one sum, and
its error is relative to the largest output of its head."""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(5)
n, D, M = 100_000, 4, 3
rates = np.array([1e-3, 0.1, 0.9, 0.999, 0.99999, 1.0], np.float32)
H = len(rates)
q, k, v = (rng.random((1, H, n, width), np.float32) for width in (D, D, M))
channels = np.array([1e-3, 0.5, 0.999, 1.0], np.float32)
programs = {
    "per head": ("param g[H]; sim = g[h]^(i - j) * (q·k);", {"g": rates}, np.repeat(rates[:, None], D, 1)),
    "as an exponential": ("param a[H]; sim = exp(-a[h]*(i - j)) * (q·k);", {"a": -np.log(rates.astype(np.float64)).astype(np.float32)}, None),
    "per channel": ("param a[D]; sim = ((a^(i - j)) * q)·k;", {"a": channels}, np.repeat(channels[None], H, 0)),
}
bound = 2 * 2e-6 * np.sqrt(1 + np.log2(n))
failed = 0
for name, (text, params, per_channel) in programs.items():
    if per_channel is None:
        per_channel = np.repeat(np.exp(-params["a"].astype(np.float64))[:, None], D, 1)
    state, want = np.zeros((H, D, M)), np.empty((H, n, M))
    Q, K, V, rate = (x.astype(np.float64) for x in (q[0], k[0], v[0], per_channel))
    for t in range(n):
        state = rate[:, :, None] * state + K[:, t, :, None] * V[:, t, None, :]
        want[:, t] = np.einsum("hd,hdm->hm", Q[:, t], state)
    with open(f"{work}/p.attn", "w", encoding="utf-8") as f:
        f.write(text + " causal; kernelize; normalize = 1;")
    words = []
    for x, array in {"q": q, "k": k, "v": v, **params}.items():
        np.save(f"{work}/{x}.npy", array)
        words.append(f"{x}={work}/{x}.npy")
    subprocess.run([attnc, "run", f"{work}/p.attn", *words, "-o", f"{work}/out.npy"], check=True, capture_output=True)
    got = np.load(f"{work}/out.npy")[0].astype(np.float64)
    error = np.abs(got - want).max((1, 2)) / want.max((1, 2))
    print(f"{name}: {' '.join(f'{e:.1e}' for e in error)}")
    failed += not (np.isfinite(got).all() and (error <= bound).all())
print(f"{failed} failed, bound {bound:.1e}")
sys.exit(failed > 0)
