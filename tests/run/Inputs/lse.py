"""NAME_lse, the logarithm of the row sums, against NumPy, in one call and in steps, and by the compiler's own check.
Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(1)
E = np.einsum
count = 0


def run(text, tensors, want, options=(), type=np.float32, bound=2e-5):
    """Outputs in the order of want. Steps are compared where options ask for them."""
    global count
    with open(f"{work}/p.attn", "w") as f:
        f.write(("type f64;\n" if type == np.float64 else "") + text)
    for k, a in tensors.items():
        np.save(f"{work}/{k}.npy", a.astype(type))
    first, *others = want
    subprocess.run([attnc, "run", f"{work}/p.attn", "-o", f"{work}/{first}.npy", *options] +
                   [f"{k}={work}/{k}.npy" for k in (*tensors, *others)], check=True, stderr=subprocess.DEVNULL)
    for name, w in want.items():
        got = np.load(f"{work}/{name}.npy")
        finite = np.isfinite(w)
        assert got.shape == w.shape and (got[~finite] == w[~finite]).all(), (text, options, name, got, w)
        scale = max(1, np.abs(w[finite]).max(initial=0))
        error = np.abs(got[finite] - w[finite]).max(initial=0) / scale
        assert error < bound, (text, options, name, error)
    count += 1


def check(text):
    global count
    with open(f"{work}/p.attn", "w") as f:
        f.write(text)
    r = subprocess.run([attnc, "check", f"{work}/p.attn", "--at=n=150,H=4,G=2,D=8,M=5"], capture_output=True, text=True)
    assert r.returncode == 0 and "PASS  out_lse" in r.stdout, (text, r.stdout, r.stderr)
    count += 1


def inputs(B, H, G, nq, n, D, M, scale=1.0):
    t = {"q": (B, H, nq, D), "k": (B, G, n, D), "v": (B, G, n, M)}
    t = {k: rng.standard_normal(s) for k, s in t.items()}
    t["q"] *= scale
    return {k: a.astype(np.float32).astype(np.float64) for k, a in t.items()}


def spread(t):
    """q, k and v with as many heads."""
    times = t["q"].shape[1] // t["k"].shape[1]
    return t["q"], np.repeat(t["k"], times, 1), np.repeat(t["v"], times, 1)


def positions(t):
    nq, n = t["q"].shape[2], t["k"].shape[2]
    return np.arange(nq)[:, None] + n - nq, np.arange(n)[None, :]


def results(w, v, divide=lambda z: z):
    z = w.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"l": np.log(z[..., 0]), "y": np.where(z != 0, w @ v / divide(z), 0)}


def softmax(s, v, seen=True):
    """Of scores of any size."""
    s = np.where(seen, s, -np.inf)
    top = s.max(-1, keepdims=True, initial=-1e300)
    r = results(np.exp(s - top), v)
    return {"l": r["l"] + top[..., 0], "y": r["y"]}


outputs = "output l[b,h,i] = out_lse[b,h,i]; output y[b,h,i,m] = out[b,h,i,m];"
both = ((), ("--step=1",), ("--step=7",))
threads = ((), ("--threads=3",))

# schedule stream: masks, scores that overflow or underflow, rows without keys, groups of heads
for B, H, G, nq, n, D, M in ((2, 4, 2, 37, 37, 8, 5), (1, 2, 1, 130, 130, 16, 17), (2, 6, 2, 1, 700, 8, 8),
                             (1, 1, 1, 3, 900, 5, 4)):
    for scale in (1, 300):
        t = inputs(B, H, G, nq, n, D, M, scale)
        (q, k, v), (i, j) = spread(t), positions(t)
        s = q @ k.swapaxes(-1, -2) / np.sqrt(D)
        score = "sim = exp(q·k / √D); "
        fine = 2e-5 * (1 if scale == 1 else 20) # of scores of about 1000 an f32 has 4 digits behind the point
        run(score + outputs, t, softmax(s, v), bound=fine)
        for options in both if nq == n else threads:
            run(score + "causal; " + outputs, t, softmax(s, v, j <= i), options, bound=fine)
            run(score + "causal; window 5; " + outputs, t, softmax(s, v, (j <= i) & (i - j < 5)), options, bound=fine)
        run(score + "mask = i > 2 and j < 600; " + outputs, t, softmax(s, v, (i > 2) & (j < 600)), bound=fine)
        run(score + "normalize = z; " + outputs, t, softmax(s, v), type=np.float64, bound=1e-13)
    shift = inputs(B, H, G, nq, n, D, M)
    (q, k, v), (i, j) = spread(shift), positions(shift)
    s = q @ k.swapaxes(-1, -2)
    for c in (300, -300):
        run(f"sim = exp(q·k + {c}); causal; " + outputs, shift, softmax(s + c, v, j <= i))
    w = np.where(j <= i, np.exp(s / 8) * (j + 1), 0)
    run("sim = exp(q·k / 8) * (j + 1); causal; " + outputs, shift, results(w, v))
    run("sim = exp(q·k / 8) * (j + 1); causal; normalize = 1; " + outputs, shift,
        results(w, v, lambda z: 1), bound=1e-4)
    run("sim = exp(q·k / 8) * (j + 1); causal; normalize = max(z, 3); " + outputs, shift,
        results(w, v, lambda z: np.maximum(z, 3)))
    run("sim = (q·k)^2 + 1; causal; " + outputs, shift, results(np.where(j <= i, s ** 2 + 1, 0), v))

# kernelized: every query sees every key (linear), or those before it (scan), with rates and gates
for B, H, G, nq, n, D, M in ((1, 2, 1, 130, 130, 7, 17), (2, 4, 2, 9, 150, 4, 5)):
    t = inputs(B, H, G, nq, n, D, M)
    (q, k, v), (i, j) = spread(t), positions(t)
    s, seen = q @ k.swapaxes(-1, -2), j <= i
    steps = both if nq == n else threads
    elu = lambda x: np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))
    w = elu(q) @ elu(k).swapaxes(-1, -2)
    phi = "let phi(x) = elu(x) + 1; sim = phi(q)·phi(k); kernelize; "
    square = "sim = (q·k + 1)^2; "
    for options in threads:
        run(phi + outputs, t, results(w, v), options)
        run(phi + "mask = j > 3; " + outputs, t, results(np.where(j > 3, w, 0), v), options)
        run(phi + "normalize = 1; " + outputs, t, results(w, v, lambda z: 1), options)
        run(square + "kernelize; " + outputs, t, results((s + 1) ** 2, v), options)
    for options in steps:
        run(phi + "causal; " + outputs, t, results(np.where(seen, w, 0), v), options)
        run(phi + "causal; mask = j > 3; " + outputs, t, results(np.where(seen & (j > 3), w, 0), v), options)
        run(phi + "causal; normalize = 1; " + outputs, t, results(np.where(seen, w, 0), v, lambda z: 1), options)
        run(square + "causal; state f64; kernelize; " + outputs, t, results(np.where(seen, (s + 1) ** 2, 0), v), options)
        run(square + "causal; kernelize auto; " + outputs, t, results(np.where(seen, (s + 1) ** 2, 0), v), options,
            bound=1e-3)
        run(square + "causal; kernelize; " + outputs, t, results(np.where(seen, (s + 1) ** 2, 0), v), options,
            type=np.float64, bound=1e-9)
    # retention of positive features, a gate per head and token, one per channel
    gamma = rng.uniform(0.5, 1, H).astype(np.float32).astype(np.float64)
    g = {**t, "gamma": gamma}
    fade = gamma[:, None, None] ** np.maximum(i - j, 0)
    for options in steps:
        run("param gamma[H]; let phi(x) = elu(x) + 1; sim = gamma[h]^(i - j) * phi(q)·phi(k); causal; kernelize; "
            "normalize = max(abs(z), 1); " + outputs, g,
            results(np.where(seen, w * fade, 0), v, lambda z: np.maximum(abs(z), 1)), options)
    if nq == n:
        gate = rng.uniform(0.5, 1, (B, H, n)).astype(np.float32).astype(np.float64)
        upto = np.cumsum(np.log(gate), -1)
        fade = np.exp(np.where(seen, upto[..., :, None] - upto[..., None, :], 0))
        for options in steps[:1]: # a param over n: of the new tokens alone, in steps
            run("param gate[B, H, n]; let phi(x) = elu(x) + 1; sim = decay(gate[b,h,i]) * phi(q)·phi(k); causal; "
                "kernelize; " + outputs, {**t, "gate": gate}, results(np.where(seen, w * fade, 0), v), options)
        u = 1 / (1 + np.exp(-k))
        upto = np.cumsum(np.log(u), 2)
        fade = np.exp(np.where(seen[..., None], upto[:, :, :, None] - upto[:, :, None], 0))
        w2 = E("bhid,bhjd,bhijd->bhij", elu(q), elu(k), fade)
        for options in steps:
            run("let phi(x) = elu(x) + 1; sim = (decay(sigmoid(k)) * phi(q))·phi(k); causal; normalize = 1; kernelize; "
                + outputs, t, results(np.where(seen, w2, 0), v, lambda z: 1), options)
    # approximations mean what they approximate by: features of a query that leave out a factor of the row, too
    a = s / np.sqrt(D)
    taylor = np.where(seen, 1 + a + a * a / 2, 0)
    W = rng.standard_normal((6, D)).astype(np.float32).astype(np.float64)
    x, y = q / D ** 0.25, k / D ** 0.25
    f = [np.exp(p @ W.T - (p * p).sum(-1, keepdims=True) / 2) for p in (x, y)]
    random = np.where(seen, f[0] @ f[1].swapaxes(-1, -2) / 6, 0)
    random[..., :, :] *= np.exp(-(q * q).sum(-1) / 9)[..., None]
    for options in steps:
        run("sim = exp(q·k / √D); causal; state f64; kernelize taylor(2); " + outputs, t, results(taylor, v), options)
        run("dim R; param W[R, D]; sim = exp(q·k / √D - q·q / 9); causal; kernelize random(W); " + outputs, {**t, "W": W},
            results(random, v), options)

# attentions over parts of the keys, merged by their lse, are the attention over all of them
merge = """attention early { sim = exp(q·k / √D); mask = j < n/2; }
attention late { sim = exp(q·k / √D); mask = j >= n/2; causal; }
let top(x, y) = max(x, y);
we[b,h,i] = exp(early_lse[b,h,i] - top(early_lse[b,h,i], late_lse[b,h,i]));
wl[b,h,i] = exp(late_lse[b,h,i] - top(early_lse[b,h,i], late_lse[b,h,i]));
output y[b,h,i,m] = (we[b,h,i] * early[b,h,i,m] + wl[b,h,i] * late[b,h,i,m]) / (we[b,h,i] + wl[b,h,i]);
output l[b,h,i] = top(early_lse[b,h,i], late_lse[b,h,i]) + log(we[b,h,i] + wl[b,h,i]);"""
for scale in (1, 100):
    t = inputs(2, 4, 2, 33, 50, 8, 5, scale)
    (q, k, v), (i, j) = spread(t), positions(t)
    want = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(8), v, (j < 25) | (j <= i))
    run(merge, t, {k: want[k] for k in "yl"}, bound=2e-5)

# rounds are one axis of one attention, which a statement sums over
t = {"x": (3, 2, 21, 8), "c": (3, 2, 21, 8)}
t = {k: rng.standard_normal(s).astype(np.float32).astype(np.float64) for k, s in t.items()}
s = E("phid,phjd->phij", t["x"], t["c"]) / np.sqrt(8)
w = np.where(np.tri(21, dtype=bool), np.exp(s), 0)
run("""input x[P, H, n, D]; input c[P, H, n, D];
q[p,h,i,d] = x[p,h,i,d]; k[p,h,j,d] = c[p,h,j,d]; v[p,h,j,d] = x[p,h,j,d];
sim = exp(q·k / √D); causal;
all[h,i] = exp(out_lse[p,h,i]);
output y[h,i,m] = exp(out_lse[p,h,i] - log(all[h,i])) * out[p,h,i,m];""", t,
    {"y": E("phij,phjm->him", w, t["x"]) / w.sum((0, -1))[..., None]})

# names: an attention may read the lse of another; what a program defines itself is not that
t = inputs(1, 2, 1, 11, 11, 4, 3)
(q, k, v), (i, j) = spread(t), positions(t)
s = q @ k.swapaxes(-1, -2)
first = results(np.where(j <= i, np.exp(s), 0), v)["l"]
w = np.exp(s - first[..., :, None])
run("input q[b, h, n, D]; attention a { sim = exp(q·k); causal; } sim = exp(q·k) * exp(-a_lse[b,h,i]); "
    "output l[b,h,i] = out_lse[b,h,i];", t, {"l": results(w, v)["l"]})
run("attention a { sim = exp(q·k); } a_lse[b,h,i,m] = 2 * a[b,h,i,m]; output y[b,h,i,m] = a_lse[b,h,i,m];", t,
    {"y": 2 * results(np.exp(s), v)["y"]})
run("attention a { sim = exp(q·k); } param a_lse[M]; output y[b,h,i,m] = a_lse[m] + a[b,h,i,m];",
    {**t, "a_lse": np.ones(3)}, {"y": 1 + results(np.exp(s), v)["y"]})
run("attention a { sim = exp(q·k); } let a_lse = 3; output y[b,h,i,m] = a_lse + a[b,h,i,m];", t,
    {"y": 3 + results(np.exp(s), v)["y"]})
run("attention a_lse { sim = exp(q·k); } attention a { sim = q·k; normalize = 1; } "
    "output y[b,h,i,m] = a_lse[b,h,i,m]; output l[b,h,i,m] = a[b,h,i,m];", t,
    {"y": results(np.exp(s), v)["y"], "l": s @ v})
run("attention a { sim = exp(q·k); } attention c { sim = exp(q·k/2); } output l[b,h,i] = a_lse[b,h,i] - c_lse[b,h,i];", t,
    {"l": results(np.exp(s), v)["l"] - results(np.exp(s / 2), v)["l"]})

# the compiler's own check judges every lse
for attention in ("sim = exp(q·k / √D);", "sim = exp(q·k / √D); causal; window 3;", "sim = (q·k)^2 + 1; kernelize;",
                  "sim = exp(q·k / √D); causal; normalize = 1;", "sim = exp(q·k / √D); mask = i > 5;",
                  "sim = (q·k + 1)^2; causal; kernelize;", "sim = (q·k + 1)^2; causal; kernelize auto;",
                  "sim = q·k; causal; normalize = max(abs(z), 1); kernelize;",
                  "sim = exp(q·k / √D); kernelize taylor(2);", "sim = exp(q·k / √D); causal; kernelize random(16, seed=2);",
                  "sim = exp(q·k / √D - q·q/8); kernelize random(16, orthogonal);",
                  "param g[H]; sim = sigmoid(g[h])^(i - j) * (q·k + 1)^2; causal; kernelize;",
                  "param w[D]; sim = (decay(sigmoid(w * k)) * q)·k; causal; normalize = 1; kernelize;"):
    for type in ("", "type f64; "):
        check(type + attention + outputs)
print(count, "agree")
