"""attnc compare against the same numbers by NumPy. Usage: ATTNC WORKDIR"""
import json
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
os.chdir(work)
rng = np.random.default_rng(4)
B, H, G, NQ, N, D, M = 2, 4, 2, 21, 30, 8, 5
data = {"q": rng.standard_normal((B, H, NQ, D)), "k": rng.standard_normal((B, G, N, D)), "v": rng.standard_normal((B, G, N, M)),
        "slope": rng.uniform(0, 1, H)}
for name, x in data.items():
    np.save(name + ".npy", x.astype(np.float32))
programs = {"soft": "sim = exp(q·k / sqrt(D));", "square": "sim = (q·k + 1)^2; kernelize;",
            "late": "sim = exp(q·k / sqrt(D)); causal;", "signed": "sim = q·k; normalize = max(abs(z), 1);",
            "slopes": "param slope[H]; param t = 2; sim = exp(q·k / t - slope[h] * (i - j)); causal;",
            "wide": "type f64; sim = exp(q·k / sqrt(D));", "nothing": "sim = exp(q·k / sqrt(D)); mask = j < 0;"}
for name, text in programs.items():
    with open(name + ".attn", "w", encoding="utf-8") as f:
        f.write(text)


def compare(*words, code=0):
    run = subprocess.run([attnc, "compare", *words], capture_output=True, encoding="utf-8", timeout=120)
    assert run.returncode == code, (words, run.returncode, run.stdout, run.stderr)
    return run


arrays = ["q=q.npy", "k=k.npy", "v=v.npy"]
q, k, v = (data[x].astype(np.float32).astype(np.float64) for x in "qkv")
k, v = (np.repeat(x, H // G, axis=1) for x in (k, v))
s = q @ k.swapaxes(2, 3)
i = np.arange(NQ)[:, None] + N - NQ
j = np.arange(N)[None, :]
slope = data["slope"].astype(np.float32).astype(np.float64)[None, :, None, None]
weights = {"soft": np.exp(s / np.sqrt(D)), "square": (s + 1) ** 2, "late": np.exp(s / np.sqrt(D)) * (j <= i), "signed": s,
           "slopes": np.exp(s / 2 - slope * (i - j)) * (j <= i), "wide": np.exp(s / np.sqrt(D)), "nothing": 0 * s}


def output(name):
    w = weights[name]
    z = w.sum(-1, keepdims=True)
    z = np.maximum(np.abs(z), 1) if name == "signed" else np.where(z == 0, 1, z)
    return (w @ v) / z


def share(name):
    w = np.abs(weights[name])
    total = w.sum(-1, keepdims=True)
    return np.divide(w, total, out=np.zeros_like(w), where=total > 0)


def entropy(p):
    return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(-1)


names = ["soft", "square", "late", "signed", "slopes", "wide", "nothing"]
run = compare(*(n + ".attn" for n in names), *arrays, "slope=slope.npy", "--json", "--rounds=3")
r = json.loads(run.stdout)
assert r["reference"] == "soft" and [p["name"] for p in r["programs"]] == names and r["weight_rows"] == B * H * NQ
first, p0 = output("soft"), share("soft")
for p in r["programs"]:
    name, out, w = p["name"], output(p["name"]), share(p["name"])
    apart = np.linalg.norm(out - first, axis=-1) / np.linalg.norm(first, axis=-1)
    assert p["median_s"] > 0 and p["not_finite"] == 0 and p["no_weights"] is None
    assert abs(p["entropy"] - entropy(w).mean()) < 1e-5, (name, p["entropy"], entropy(w).mean())
    assert p["negative_weights"] == (name == "signed")
    if name == "soft":
        assert p["relative_error"] is None and p["divergence_mean"] is None
        continue
    whole = np.linalg.norm(out - first) / np.linalg.norm(first)
    js = entropy((w + p0) / 2) - (entropy(w) + entropy(p0)) / 2
    if name == "nothing":   # weights of rows that see nothing are all 0
        js = 0.5 * (p0 * np.log(np.where(p0 > 0, 2, 1))).sum(-1)
    for got, want in ((p["relative_error"], whole), (p["row_error_median"], np.median(apart)),
                      (p["row_error_largest"], apart.max()), (p["divergence_mean"], js.mean()),
                      (p["divergence_largest"], js.max())):
        assert abs(got - want) <= 2e-5 * max(1, abs(want)), (name, got, want)
    if name not in ("wide", "nothing"):
        assert tuple(p["at"]) == np.unravel_index(apart.argmax(), apart.shape), (name, p["at"])
cost = json.loads(subprocess.run([attnc, "cost", "soft.attn", "--json", "--at", f"B={B},H={H},G={G},n_q={NQ},n={N},D={D},M={M}"],
                                 capture_output=True, check=True).stdout)
assert r["programs"][0]["flops"] == cost["programs"][0]["flops"]["value"]
# a mask's param that is not whole: its area, and so the FLOPs, are not known
with open("part.attn", "w", encoding="utf-8") as f:
    f.write("param a = 3; sim = exp(q·k); mask = i - j < a;")
r = json.loads(compare("soft.attn", "part.attn", *arrays, "a=2.5", "--json").stdout)
assert r["programs"][1]["flops"] is None
r = json.loads(compare("soft.attn", "part.attn", *arrays, "a=2", "--json").stdout)
pairs = int((i - j < 2).sum()) * B * H
assert r["programs"][1]["flops"] == pairs * (2 * D + 2 * M + 4) + B * H * NQ * M, r["programs"][1]["flops"]
# a NaN in a value that only one program looks at
hole = data["v"].astype(np.float32)
hole[0, 0, N - 1, 2] = np.nan          # the last key: causal rows before it do not see it
np.save("hole.npy", hole)
r = json.loads(compare("soft.attn", "late.attn", *arrays[:2], "v=hole.npy", "--json").stdout)
assert r["programs"][1]["not_finite"] == (H // G) * (NQ - 1), r["programs"][1]["not_finite"]
text = compare("soft.attn", "square.attn", *arrays).stdout
assert "differences from soft" in text and "JS divergence" in text and "row largest" in text
assert "soft.attn #2" in compare("soft.attn", "soft.attn", *arrays).stdout

# long sequences: rows are sampled, and where the weights of one row are too many they are left out
np.save("ql.npy", rng.standard_normal((1, 1, 900, 4)).astype(np.float32))
np.save("kl.npy", rng.standard_normal((1, 1, 900, 4)).astype(np.float32))
r = json.loads(compare("soft.attn", "late.attn", "q=ql.npy", "k=kl.npy", "v=kl.npy", "--json", "--rounds=1").stdout)
assert 40 < r["weight_rows"] < 900 and r["programs"][1]["divergence_mean"] > 0
np.save("ql.npy", rng.standard_normal((1, 1, 2, 4)).astype(np.float32))
np.save("kl.npy", rng.standard_normal((1, 1, 7000, 4)).astype(np.float32))
r = json.loads(compare("soft.attn", "square.attn", "q=ql.npy", "k=kl.npy", "v=kl.npy", "--json", "--rounds=1").stdout)
assert r["programs"][1]["relative_error"] > 0 and r["programs"][1]["no_weights"] == "too many keys"

# what does not go is said
for words, code, want in ((("soft.attn", *arrays), 2, "two programs or more"), (("soft.attn", "late.attn", *arrays[:2]), 2, "v is missing"),
                          (("soft.attn", "late.attn", *arrays, "z=3"), 2, "'z=3' is no input of these programs"),
                          (("soft.attn", "slopes.attn", *arrays), 2, "slope is missing"),
                          (("soft.attn", "late.attn", "q=q.npy", "k=v.npy", "v=k.npy"), 1, "k: shape[3] is 5, expected D = 8"),
                          (("soft.attn", "late.attn", "q=slope.npy", *arrays[1:]), 1, "q has 1 axes, expected 4"),
                          (("soft.attn", "nosuch.attn", *arrays), 3, "nosuch.attn: No such file"),
                          (("soft.attn", "late.attn", "q=nosuch.npy", *arrays[1:]), 3, "nosuch.npy"),
                          (("soft.attn", "late.attn", *arrays, "--rounds=1000"), 2, "at most")):
    run = compare(*words, code=code)
    assert want in run.stderr and run.stdout == "", (words, run.stderr)
print("compared as by hand")
