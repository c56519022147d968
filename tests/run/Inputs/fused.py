"""Attentions that run as one kernel have the very bits that they have one by one, in one call and in steps, whatever they
share; and the state keeps what is shared once. Usage: ATTNC WORKDIR"""
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(3)
calls = programs = 0

QKV = "input q[b,h,n_q,D]; input k[b,g,n,D]; input v[b,g,n,M];"
SELF = "input q[b,h,n,D]; input k[b,g,n,D]; input v[b,g,n,M];"
Y = "output y[b,h,i,m] = a[b,h,i,m] - 2 * c[b,h,i,m];"
SIZES = {"b": 2, "h": 4, "g": 2, "n_q": 70, "n": 150, "D": 8, "M": 5, "E": 9}
LONG = {**SIZES, "b": 1, "n": 420, "n_q": 420, "D": 33, "M": 40}
STEPS = ("--step=1", "--step=64")

# program, the stages that run as one, sizes, whether it has steps, further options
cases = [
    # the same queries, keys and values: the scores are those of both
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} attention c {{ sim = sigmoid(q·k / √D); causal; normalize = 1; }} {Y}",
     ["a, c"], LONG, True),
    (f"{QKV} attention a {{ sim = exp(q·k / √D); }} attention c {{ sim = (q·k)^2; }} {Y}", ["a, c"], SIZES, False),
    (f"type f64; {SELF} attention a {{ sim = exp(q·k); causal; }} attention c {{ sim = exp(q·k / 2); causal; }} {Y}",
     ["a, c"], SIZES, True),
    # masks of their own
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} attention c {{ sim = exp(q·k / √D); causal; window(40); }} {Y}",
     ["a, c"], LONG, True),
    (f"{SELF} param s[n]; attention a {{ sim = exp(q·k / √D); mask = s[i] == s[j]; }} "
     f"attention c {{ sim = exp(q·k); mask = s[i] > s[j]; }} {Y}", ["a, c"], SIZES, False),
    (f"{SELF} param s[n]; attention a {{ sim = exp(q·k / √D); mask = s[i] <= s[j]; }} "
     f"attention c {{ sim = relu(q·k); mask = s[i] <= s[j]; normalize = n; }} {Y}", ["a, c"], LONG, False),
    # queries and keys of their own, one of them wider
    (f"{SELF} input p[b,h,n,E]; input r[b,g,n,E]; attention a {{ sim = exp(q·k / √D); causal; }} "
     f"attention c {{ q[b,h,i,e] = p[b,h,i,e]; k[b,h,i,e] = r[b,h,i,e]; sim = exp(q·k / √E); causal; }} {Y}",
     ["a, c"], SIZES, True),
    # values of their own
    (f"{SELF} input w[b,g,n,E]; attention a {{ sim = exp(q·k / √D); causal; }} "
     "attention c { v[b,h,i,m] = w[b,h,i,m]; sim = exp(q·k / √D); causal; } "
     "output y[b,h,i,m] = a[b,h,i,m]; output y2[b,h,i,m] = c[b,h,i,m];", ["a, c"], SIZES, True),
    # the values of one are the keys of the other
    (f"{SELF} input p[b,h,n,M]; attention a {{ sim = exp(q·k / √D); causal; }} "
     f"attention c {{ q[b,h,i,m] = p[b,h,i,m]; k[b,h,i,m] = v[b,h,i,m]; sim = exp(q·k); causal; }} {Y}", ["a, c"], SIZES, True),
    # keys without heads
    (f"input q[b,h,n,D]; input k[b,n,D]; input v[b,n,M]; attention a {{ sim = exp(q·k / √D); causal; }} "
     f"attention c {{ sim = exp(-|q - k|^2); causal; }} {Y}", ["a, c"], SIZES, True),
    # params: numbers, vectors, one of which both read
    (f"{SELF} param t = 0.5; param u = 3; attention a {{ sim = exp(t * q·k); causal; }} "
     f"attention c {{ sim = exp(u * q·k - t); causal; normalize = z + u; }} {Y}", ["a, c"], SIZES, True),
    (f"{SELF} param x[H]; param r[H]; attention a {{ sim = exp(q·k + x[h] * (j - i)); causal; }} "
     f"attention c {{ sim = exp(q·k + r[h] * (j - i)); causal; }} {Y}", ["a, c"], SIZES, True),
    # vectors of keys that are made once for all queries
    (f"{SELF} let a1 = q / (norm(q) + 1); let b1 = k / (norm(k) + 1); attention a {{ sim = exp(a1·b1); }} "
     f"attention c {{ sim = exp(3 * a1·b1); }} {Y}", ["a, c"], LONG, False),
    (f"{SELF} attention a {{ sim = exp(rope(q, i)·rope(k, j)); causal; }} "
     f"attention c {{ sim = exp(rope(q, i)·rope(k, j) / √D); causal; }} {Y}", ["a, c"], SIZES, True),
    # the logarithms of the row sums of both
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} attention c {{ sim = exp(q·k); causal; }} "
     "output y[b,h,i,m] = a[b,h,i,m] * exp(a_lse[b,h,i] - c_lse[b,h,i]) + c[b,h,i,m]; output l[b,h,i] = c_lse[b,h,i];",
     ["a, c"], SIZES, True),
    # three and four of them, and what lies between
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} attention c {{ sim = exp(q·k); causal; }} "
     "attention e { sim = sigmoid(q·k); causal; } output y[b,h,i,m] = a[b,h,i,m] + c[b,h,i,m] - e[b,h,i,m];",
     ["a, c, e"], SIZES, True),
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} u[b,h,i,m] = a[b,h,i,m]^2; "
     "attention c { q[b,h,i,m] = u[b,h,i,m]; k[b,h,i,m] = v[b,h,i,m]; sim = exp(q·k); causal; } "
     "attention e { sim = exp(q·k / 2); causal; } attention f { q[b,h,i,m] = u[b,h,i,m]; k[b,h,i,m] = v[b,h,i,m]; sim = relu(q·k); causal; } "
     "output y[b,h,i,m] = a[b,h,i,m] + c[b,h,i,m] - e[b,h,i,m] * f[b,h,i,m];", ["a, e", "c, f"], SIZES, True),
    # what must stay apart: one reads the other, one is a state, other heads, other tokens, nothing shared
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} "
     "attention c { q[b,h,i,m] = a[b,h,i,m]; k[b,h,i,m] = v[b,h,i,m]; sim = exp(q·k); causal; } output y[b,h,i,m] = c[b,h,i,m];",
     [], SIZES, True),
    (f"{SELF} attention a {{ sim = exp(q·k / √D); causal; }} attention c {{ sim = (q·k + 1)^2; causal; kernelize; }} {Y}", [], SIZES, True),
    (f"{SELF} input w[b,g,n_q,D]; attention a {{ sim = exp(q·k / √D); }} "
     "attention c { q[b,g,i,d] = w[b,g,i,d]; sim = exp(q·k); } output y[b,h,i,m] = a[b,h,i,m]; output y2[b,g,i,m] = c[b,g,i,m];",
     [], {**SIZES, "n_q": 60}, False),
    (f"{SELF} input p[b,g,n,D]; input r[b,g,n,M]; attention a {{ sim = exp(q·k / √D); }} "
     f"attention c {{ k[b,h,i,d] = p[b,h,i,d]; v[b,h,i,m] = r[b,h,i,m]; sim = exp(q·k); }} {Y}", [], SIZES, False),
]


def shapes_of(text, sizes):
    """Inputs and params with their shapes."""
    for part in text.replace("{", ";").replace("}", ";").split(";"):
        words = part.split()
        if words and words[0] in ("input", "param") and "[" in part:
            name, dims = part.strip()[6:].split("[")
            yield name.strip(), [sizes[{"H": "h"}.get(d.strip(), d.strip())] for d in dims.strip().rstrip("]").split(",")]


def run(path, tensors, outputs, options):
    """Outputs of one call, or of steps."""
    global calls
    first, *others = outputs
    subprocess.run([attnc, "run", path, "--mcpu=native", "-o", f"{work}/{first}.npy", *options] +
                   [f"{k}={work}/{k}.npy" for k in (*tensors, *others)], check=True, stderr=subprocess.DEVNULL)
    calls += 1
    return [np.load(f"{work}/{name}.npy") for name in outputs]


for text, fused, sizes, steps in cases:
    path = f"{work}/p.attn"
    with open(path, "w") as f:
        f.write(text)
    tiles = subprocess.run([attnc, path, "--emit=tiles", "--mcpu=native"], check=True, capture_output=True, text=True).stdout
    got = [line[9:] for line in tiles.splitlines() if line.startswith("# stages ")]
    assert got == fused, (text, got, fused)
    tiles = subprocess.run([attnc, path, "--emit=tiles", "--no-fuse"], check=True, capture_output=True, text=True).stdout
    assert "# stages " not in tiles, text
    tensors = {}
    for name, shape in shapes_of(text, sizes):
        a = rng.integers(0, 4, shape) if name == "s" else rng.standard_normal(shape)
        if name == "v":
            a[..., -3, 0] = np.nan
            a[..., 20, 1] = np.inf
        tensors[name] = a.astype(np.float64 if "f64" in text else np.float32)
        np.save(f"{work}/{name}.npy", tensors[name])
    outputs = [part.split("[")[0].strip() for part in text.split("output ")[1:]]
    for options in ((), *((("--threads=3",),) if programs % 4 == 0 else ()), *((s,) for s in STEPS if steps and s != "--step=1" or sizes["n"] < 200 and steps)):
        one = run(path, tensors, outputs, options)
        two = run(path, tensors, outputs, (*options, "--no-fuse"))
        for name, x, y in zip(outputs, one, two):
            assert x.tobytes() == y.tobytes(), (text, options, name)
            assert np.isfinite(x).any(), (text, options, name)
    programs += 1
print(f"{programs} programs agree, {calls} calls")
