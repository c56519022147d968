"""Attention layers in index notation against NumPy, in one call and in steps. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(1)
E = np.einsum
count = 0


def run(text, tensors, want, options=(), outputs=("y",)):
    global count
    with open(f"{work}/p.attn", "w") as f:
        f.write(text)
    for k, a in tensors.items():
        np.save(f"{work}/{k}.npy", a.astype(np.float32))
    subprocess.run([attnc, "run", f"{work}/p.attn", "-o", f"{work}/{outputs[0]}.npy", *options] +
                   [f"{k}={work}/{k}.npy" for k in (*tensors, *outputs[1:])], check=True)
    for name, w in zip(outputs, want):
        got = np.load(f"{work}/{name}.npy")
        error = np.abs(got - w).max() / max(1, np.abs(w).max())
        assert got.shape == w.shape and error < 2e-5, (text, options, name, got.shape, w.shape, error)
    count += 1


def softmax(q, k, v, seen):
    s = np.where(seen, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    w = np.exp(s - s.max(-1, keepdims=True))
    return w @ v / w.sum(-1, keepdims=True)


def quadratic(q, k, v, seen):
    w = np.where(seen, (q @ k.swapaxes(-1, -2) + 1) ** 2, 0)
    return w @ v / w.sum(-1, keepdims=True)


layer = """
param Wq[F, H, D]; param Wk[F, G, D]; param Wv[F, G, M]; param Wo[H, M, F]; param bias[F];
input x[b, n, F];
q[b, h, i, d] = x[b, i, f] * Wq[f, h, d];
k[b, g, j, d] = x[b, j, f] * Wk[f, g, d];
v[b, g, j, m] = x[b, j, f] * Wv[f, g, m];
causal;
output y[b, i, f] = out[b, h, i, m] * Wo[h, m, f] + bias[f];
"""
for B, n, F, H, G, D, M in ((2, 37, 24, 4, 2, 8, 5), (1, 1, 3, 1, 1, 2, 3), (1, 130, 30, 2, 1, 16, 16), (2, 65, 7, 2, 2, 1, 1)):
    t = {"x": (B, n, F), "Wq": (F, H, D), "Wk": (F, G, D), "Wv": (F, G, M), "Wo": (H, M, F), "bias": (F,)}
    t = {k: rng.standard_normal(s) / np.sqrt(s[0] if k != "x" else 1) for k, s in t.items()}
    t = {k: a.astype(np.float32).astype(np.float64) for k, a in t.items()}
    q = E("bif,fhd->bhid", t["x"], t["Wq"])
    k, v = (np.repeat(E("bjf,fgd->bgjd", t["x"], t[w]), H // G, 1) for w in ("Wk", "Wv"))
    seen = np.tri(n, dtype=bool)
    for sim, attention in (("sim = exp(q·k / √D);", softmax), ("sim = (q·k + 1)^2; kernelize;", quadratic)):
        want = E("bhim,hmf->bif", attention(q, k, v, seen), t["Wo"]) + t["bias"]
        for options in ((), ("--step=1",), ("--step=7",), ("--threads=3",)):
            run(sim + layer, t, [want], options)

# cross-attention: queries of one sequence, keys of another, and both the context and the result as outputs
B, nq, n, F, H, D = 2, 11, 29, 12, 3, 4
t = {"x": (B, nq, F), "c": (B, n, F), "Wq": (F, H, D), "Wk": (F, H, D), "Wv": (F, H, D), "Wo": (H, D, F)}
t = {k: (rng.standard_normal(s) / np.sqrt(F)).astype(np.float32).astype(np.float64) for k, s in t.items()}
q, k, v = E("bif,fhd->bhid", t["x"], t["Wq"]), E("bjf,fhd->bhjd", t["c"], t["Wk"]), E("bjf,fhd->bhjd", t["c"], t["Wv"])
out = softmax(q, k, v, True)
run("""input x[b, n_q, F]; input c[b, n, F]; param Wq[F, H, D]; param Wk[F, H, D]; param Wv[F, H, D]; param Wo[H, D, F];
q[b,h,i,d] = x[b,i,f] * Wq[f,h,d]; k[b,h,j,d] = c[b,j,f] * Wk[f,h,d]; v[b,h,j,d] = c[b,j,f] * Wv[f,h,d];
sim = exp(q·k / √D);
output y[b,i,f] = out[b,h,i,d] * Wo[h,d,f];
output norms[b,h,i] = out[b,h,i,d]^2;""", t, [E("bhid,hdf->bif", out, t["Wo"]), (out ** 2).sum(-1)], (), ("y", "norms"))

# rows that are no tokens have places of their own, in steps, too; a parameter of a function is no tensor
t = {"x": (1, 9, 6), "W": (6, 2, 4), "Wo": (8, 6)}
t = {k: rng.standard_normal(s).astype(np.float32).astype(np.float64) for k, s in t.items()}
q = E("bif,fhd->bhid", t["x"], t["W"])
out = softmax(q, q, q, np.tri(9, dtype=bool))
want = E("bhid,df->bif", out, (t["Wo"] * (np.arange(8)[:, None] + 1))[:4])
for options in ((), ("--step=1",), ("--step=4",)):
    run("""input x[b, n, F]; param W[F, H, D]; param Wo[E, F]; dim E = 8; dim D = 4;
let f(y) = y;
w[b,h,i,d] = x[b,i,f] * W[f,h,d];
q[b,h,i,d] = w[b,h,i,d]; k[b,h,i,d] = w[b,h,i,d]; v[b,h,i,d] = w[b,h,i,d];
W2[e,f] = Wo[e,f] * (e + 1);
sim = exp(f(q)·k / √D); causal;
P[d,e] = eye[d,e] * 1; param eye[D, E];
output y[b,i,f] = out[b,h,i,d] * P[d,e] * W2[e,f];""", {**t, "eye": np.eye(4, 8)}, [want], options)

# several attentions over q, k, v as they are given, with a param for one of them, and a mask each
B, H, G, n, D, M = 1, 4, 2, 33, 6, 5
t = {"q": (B, H, n, D), "k": (B, G, n, D), "v": (B, G, n, M), "slope": (H,)}
t = {k: rng.standard_normal(s).astype(np.float32).astype(np.float64) for k, s in t.items()}
k, v = np.repeat(t["k"], 2, 1), np.repeat(t["v"], 2, 1)
i, j = np.arange(n)[:, None], np.arange(n)[None, :]
s = t["q"] @ k.swapaxes(-1, -2) / np.sqrt(D)
e = np.where(j <= i, np.exp(s - t["slope"][:, None, None] * (i - j) ), 0)
near = np.where((j <= i) & (i - j < 5), np.exp(s), 0)
square = np.where(j <= i, (t["q"] @ k.swapaxes(-1, -2)) ** 2, 0)
want = (e @ v / e.sum(-1, keepdims=True) - 0.5 * (near @ v / near.sum(-1, keepdims=True))
        + square @ v / square.sum(-1, keepdims=True))
for options in ((), ("--step=1",), ("--step=5",)):
    run("""param slope[H]; param lambda = 0.5;
let s = q·k / √D;
attention far { sim = exp(s - slope[h] * (i - j)); causal; }
attention near { sim = exp(s); causal; window 5; }
attention square { sim = (q·k)^2; causal; kernelize; }
output = far - lambda * near + square;""", t, [want], options, ("out",))
print(count, "runs agree")
