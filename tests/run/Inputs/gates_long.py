"""Gates over 50,000 tokens, from ones that forget at once to ones that keep everything, against the recurrence in f64.
Usage: ATTNC WORKDIR

Inputs are positive, so nothing cancels, and each output's error is relative to the largest of its head. Two query heads
share a key head; the last queries alone must give the same as all of them."""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(11)
n, D, M, H, G = 50_000, 5, 3, 6, 3
q = rng.random((1, H, n, D), np.float32)
k, v = (rng.random((1, G, n, width), np.float32) for width in (D, M))
kinds = [np.zeros(n), np.full(n, 1e-30), rng.random(n), 1 - rng.random(n) * 1e-3, np.ones(n),
         np.where(rng.random(n) < 1e-3, 0, 1 - rng.random(n) * 1e-5)]
gate = np.stack(kinds)[None].astype(np.float32)
gates = np.stack([np.stack([kinds[(h + d) % 6] for d in range(D)], -1) for h in range(H)])[None].astype(np.float32)
w = (rng.standard_normal(D) * 3).astype(np.float32)
key = np.repeat(k[0], H // G, 0).astype(np.float64)
by_key = 1 / (1 + np.exp(-(key @ w.astype(np.float64))))
# text, params, gates [H, n, D], the entries of the features of q and k
programs = {
    "per channel": ("param gate[B,H,n,D]; sim = (decay(gate[b,h,i]) * q)·k; normalize = 1;", {"gate": gates}, gates[0], None),
    "per token": ("param gate[B,H,n]; sim = decay(gate[b,h,i]) * (q·k); normalize = 1;", {"gate": gate},
                  gate[0, :, :, None], None),
    "normalised": ("param gate[B,H,n]; sim = decay(gate[b,h,i]) * (q·k);", {"gate": gate}, gate[0, :, :, None], "z"),
    "of the key": ("param w[D]; sim = decay(sigmoid(w·k)) * (q·k); normalize = 1;", {"w": w}, by_key[:, :, None], None),
    "twice": ("param gate[B,H,n]; sim = decay(gate[b,h,i])^2 * 0.5^(i - j) * (q·k); normalize = 1;", {"gate": gate},
              gate[0, :, :, None].astype(np.float64) ** 2 / 2, None),
}
bound = 2 * 2e-6 * np.sqrt(1 + np.log2(n))
failed = 0


def run(words, out, extra=()):
    subprocess.run([attnc, "run", f"{work}/p.attn", *words, "-o", f"{work}/{out}.npy", *extra], check=True, capture_output=True)
    return np.load(f"{work}/{out}.npy")


for name, (text, params, factor, divisor) in programs.items():
    state, z, want = np.zeros((H, D, M)), np.zeros((H, D)), np.empty((H, n, M))
    Q, V, factor = q[0].astype(np.float64), np.repeat(v[0], H // G, 0).astype(np.float64), factor.astype(np.float64)
    for t in range(n):
        state = factor[:, t, :, None] * state + key[:, t, :, None] * V[:, t, None, :]
        z = factor[:, t] * z + key[:, t]
        want[:, t] = np.einsum("hd,hdm->hm", Q[:, t], state)
        if divisor:
            want[:, t] /= np.einsum("hd,hd->h", Q[:, t], z)[:, None]
    with open(f"{work}/p.attn", "w", encoding="utf-8") as f:
        f.write(text + " causal; kernelize;")
    words = []
    for x, array in {"q": q, "k": k, "v": v, **params}.items():
        np.save(f"{work}/{x}.npy", array)
        words.append(f"{x}={work}/{x}.npy")
    np.save(f"{work}/tail.npy", q[:, :, -70:])
    got = run(words, "out")[0].astype(np.float64)
    tail = run([f"q={work}/tail.npy", *words[1:]], "tail_out")[0]
    error = np.abs(got - want).max((1, 2)) / want.max((1, 2))
    last = np.abs(tail - want[:, -70:]).max((1, 2)) / want.max((1, 2))
    print(f"{name}: {' '.join(f'{e:.1e}' for e in error)}; the last queries {last.max():.1e}")
    failed += not (np.isfinite(got).all() and (error <= bound).all() and (last <= bound).all())
print(f"{failed} failed, bound {bound:.1e}")
sys.exit(failed > 0)
