"""Costs against counting one operation after the other, areas against counting pairs, crossovers against trying
every n, and the JSON against its schema. Usage: ATTNC WORKDIR"""
import itertools
import json
import os
import random
import subprocess
import sys
from fractions import Fraction

import numpy as np

attnc, work = sys.argv[1:]
os.makedirs(f"{work}/other", exist_ok=True)
rng = random.Random(5)
checked = 0


def write(name, text):
    path = f"{work}/{name}.attn"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def cost(paths, at=None, *more):
    words = [attnc, "cost", *paths, "--json", *more]
    if at:
        words += ["--at", ",".join(f"{k}={v}" for k, v in at.items())]
    run = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=120)
    assert run.returncode == 0, (words, run.stderr)
    return json.loads(run.stdout)


def row(report, entry, form=None):
    found = [p for p in report["programs"] if p["entry"] == entry and (form is None or p["form"] == form)]
    assert len(found) == 1, (entry, form, [(p["name"], p["entry"], p["form"]) for p in report["programs"]])
    return found[0]


def value(text, at):
    """A formula at sizes, exactly."""
    return eval(text.replace("^", "**"), {"__builtins__": {}}, {k: Fraction(v) for k, v in at.items()})


# ---- the schema ----

def schema(report):
    assert set(report) <= {"programs", "sizes", "crossovers", "over"}, set(report)
    for p in report["programs"]:
        assert set(p) == {"name", "file", "entry", "form", "schedule", "flops", "calls", "bytes", "space", "state",
                          "intensity", "area", "code"}, set(p)
        assert set(p["code"]) == {"where", "unknown", "flops", "calls", "bytes", "space", "state"}
        assert p["entry"] in ("forward", "step") and p["form"] in (None, "direct", "kernelized")
        for q in ("flops", "calls", "bytes", "space", "state"):
            assert set(p[q]) == {"exact", "theta", "value"}
            assert isinstance(p[q]["exact"], str) and isinstance(p[q]["theta"], str)
            assert p[q]["value"] is None or isinstance(p[q]["value"], (int, float))
        assert set(p["area"]) == {"exact", "where", "unknown", "bound"}
    for x in report["crossovers"] + report.get("over", []):
        assert {"a", "b", "entry", "by", "n", "cheaper", "from", "multiple"} <= set(x), x
        assert x["by"] in ("flops", "bytes", "space") and (x["n"] is None or x["n"] > 0)
        assert x["cheaper"] in (None, x["a"], x["b"])


# ---- counting, one operation at a time ----

class Counter:
    def __init__(self):
        self.flops = self.calls = 0

    def op(self, n=1):
        self.flops += n

    def call(self):
        self.flops += 1
        self.calls += 1


def pairs_of(s, sees):
    for _ in range(s["B"] * s["H"]):
        for i in range(s["n_q"]):
            for j in range(s["n"]):
                if sees(i + s["n"] - s["n_q"], j):
                    yield


def softmax(c, s, sees):
    for _ in pairs_of(s, sees):
        for _ in range(s["D"]):
            c.op(2)                           # multiply, add
        c.op(4)                               # / sqrt(D), the largest so far, minus it, the row sum
        c.call()                              # exp
        for _ in range(s["M"]):
            c.op(2)
    c.op(s["B"] * s["H"] * s["n_q"] * s["M"])  # / z


def squared(c, s, sees):
    for _ in pairs_of(s, sees):
        c.op(2 * s["D"] + 3)                  # the dot, + 1, ^2, the row sum
        c.op(2 * s["M"])
    c.op(s["B"] * s["H"] * s["n_q"] * s["M"])


def monomials(D):
    return len(list(itertools.combinations_with_replacement(range(D), 2)))


def squared_features(c, s, queries, keys):
    """(q·k + 1)^2 by [1, q, q x q] and [1, 2k, weighted k x k]: three groups of features."""
    D, M, S = s["D"], s["M"], monomials(s["D"])
    for _ in range(s["B"] * s["G"] * keys):
        c.op(D)                               # 2k
        c.op(2 * S)                           # k_a k_b, times 1 or 2
        c.op(D + S)                           # the sums of features
        c.op(M)                               # the sum of v: its feature is 1
        for _ in range(D + S):
            c.op(2 * M)                       # feature times v, added
    for _ in range(s["B"] * s["H"] * queries):
        c.op(S)                               # q_a q_b
        c.op(2 * D + 2 * S + 2)               # two dots and the count of keys, added up
        for _ in range(M):
            c.op(2 * D + 2 * S + 2)           # and so with the sum of v
        c.op(M)                               # / z


def full(i, j):
    return True


def causal(i, j):
    return j <= i


everything = write("full", "sim = exp(q·k / sqrt(D));")
one_way = write("one_way", "sim = exp(q·k / sqrt(D)); causal;")
square = write("square", "sim = (q·k + 1)^2; kernelize;")
square_causal = write("square_causal", "sim = (q·k + 1)^2; causal; kernelize;")


def against(path, at, entry, form, count, **more):
    global checked
    s = {"B": 1, "H": 1} | at
    s = {"G": s["H"], "n_q": s["n"]} | s
    c = Counter()
    count(c, s | ({"n_q": 1} if entry == "step" else {}), **more)
    report = cost([path], at)
    schema(report)
    p = row(report, entry, form)
    assert p["flops"]["value"] == c.flops and p["calls"]["value"] == c.calls, (path, at, p["flops"], c.flops, c.calls)
    assert value(p["flops"]["exact"], s) == c.flops, (path, at, p["flops"]["exact"], c.flops)
    checked += 1


for _ in range(6):
    at = {"B": rng.randint(1, 2), "H": 4, "n": rng.randint(1, 9), "D": rng.randint(1, 5), "M": rng.randint(1, 5)}
    if rng.random() < 0.5:
        at["G"] = rng.choice([1, 2, 4])
    if rng.random() < 0.5:
        at["n_q"] = rng.randint(1, at["n"])
    n_q = at.get("n_q", at["n"])
    against(everything, at, "forward", None, softmax, sees=full)
    against(one_way, at, "forward", None, softmax, sees=causal)
    against(square, at, "forward", "direct", squared, sees=full)
    against(square_causal, at, "forward", "direct", squared, sees=causal)
    against(square, at, "forward", "kernelized", squared_features, queries=n_q, keys=at["n"])
    against(square_causal, at, "forward", "kernelized", squared_features, queries=n_q, keys=at["n"])
    against(square_causal, at, "step", "kernelized", squared_features, queries=1, keys=1)
    against(everything, at, "step", None, softmax, sees=full)

# ---- masks: as many pairs as there are ----

masks = {
    "window 4;": lambda i, j, n: abs(i - j) < 4,
    "causal; window 5;": lambda i, j, n: (j <= i) & (i - j < 5),
    "causal; window 500;": lambda i, j, n: (j <= i) & (i - j < 500),
    "causal; window 1500;": lambda i, j, n: (j <= i) & (i - j < 1500),
    "mask = j <= i or j < 3;": lambda i, j, n: (j <= i) | (j < 3),
    "mask = j > i + 1000;": lambda i, j, n: j > i + 1000,
    "mask = mod(i - j, 4) == 0;": lambda i, j, n: (i - j) % 4 == 0,
    "mask = mod(i - j, 100) == 0;": lambda i, j, n: (i - j) % 100 == 0,
    "causal; mask = mod(i - j, 50) == 0;": lambda i, j, n: (j <= i) & ((i - j) % 50 == 0),
    "mask = floor(i/64) == floor(j/64);": lambda i, j, n: i // 64 == j // 64,
    "causal; mask = floor(i/16) == floor(j/16);": lambda i, j, n: (j <= i) & (i // 16 == j // 16),
    "mask = j <= i and (i - j < 3 or mod(j, 5) == 0);": lambda i, j, n: (j <= i) & ((i - j < 3) | (j % 5 == 0)),
    "mask = j <= i and (i - j < 30 or mod(i - j, 7) == 0);":
        lambda i, j, n: (j <= i) & ((i - j < 30) | ((i - j) % 7 == 0)),
    "mask = i != j;": lambda i, j, n: i != j,
    "mask = i*j < 10;": lambda i, j, n: i * j < 10,
    "mask = n > 100 or j <= i;": lambda i, j, n: (j <= i) | (n > 100),
    "window max(n/4, 3);": lambda i, j, n: abs(i - j) < max(n / 4, 3),
    "mask = j > 100 and i - j > 100 and n - i > 100;": lambda i, j, n: (j > 100) & (i - j > 100) & (n - i > 100),
    "mask = j > 1000 and i - j > 1000;": lambda i, j, n: (j > 1000) & (i - j > 1000),
    "mask = abs(abs(i - 300) - 300) < 300;": lambda i, j, n: (abs(abs(i - 300) - 300) < 300) & (j >= 0),
    "mask = abs(i - j) < 300 and j > 700;": lambda i, j, n: (abs(i - j) < 300) & (j > 700),
    "param w = 20; param u = 30; mask = abs(i - j) < w*u;": lambda i, j, n: abs(i - j) < 600,
    "param w = 100; mask = j > w and i - j > w and n - i > w;": lambda i, j, n: (j > 100) & (i - j > 100) & (n - i > 100),
    "mask = mod(j, 30) == 29 and mod(j, 31) == 30;": lambda i, j, n: (j % 30 == 29) & (j % 31 == 30) & (i >= 0),
    "causal; mask = mod(i - j, 16) == 0 and mod(i - j, 27) == 0;":
        lambda i, j, n: (j <= i) & ((i - j) % 16 == 0) & ((i - j) % 27 == 0),
    "mask = mod(j, 5) == 0 and mod(j, 7) == 0 and mod(j, 9) == 0;":
        lambda i, j, n: (j % 5 == 0) & (j % 7 == 0) & (j % 9 == 0) & (i >= 0),
    "mask = j < H;": lambda i, j, n: j + 0 * i < 3,
}


def inside(where, n):
    """Does a formula hold for this n, by its own words?"""
    parts = (where or "").split(", ")
    if any(p.startswith("n >= ") and "*" in p for p in parts):   # params: far enough for those of these tests
        return n >= 800
    from_n = [int(p[5:]) for p in parts if p.startswith("n >= ")]
    multiple = [int(p.split()[-1]) for p in parts if "multiple" in p]
    return all(n >= x for x in from_n) and all(n % x == 0 for x in multiple)


formulas = 0
for text, sees in masks.items():
    path = write("mask", f"sim = exp(q·k); normalize = 1; {text}")
    for n in (7, 101, 200, 3200 if "000" in text or "500" in text else 1260):
        report = cost([path], {"n": n, "D": 2, "H": 3})
        i, j = np.ogrid[:n, :n]
        visible = np.broadcast_to(sees(i, j, n), (n, n))
        counts = {"forward": int(visible.sum()), "step": int(visible[-1].sum())}
        for entry, pairs in counts.items():
            found = [p for p in report["programs"] if p["entry"] == entry]   # no step where n matters
            for p in found:
                assert p["calls"]["value"] == 3 * pairs and not p["area"]["bound"], (text, n, entry, pairs, p["calls"])
                if p["area"]["exact"] and inside(p["area"]["where"], n):
                    at = {"B": 1, "H": 3, "n": n, "w": 100 if "w = 100" in text else 20, "u": 30}
                    assert value(p["calls"]["exact"], at) == 3 * pairs, (text, n, p["area"])
                    formulas += 1
                checked += 1
assert formulas > 50, formulas
path = write("wide", "param w = 3; param g = 2; sim = exp(q·k); mask = abs(i - j) < w or j < g;")
for w, g, n in ((3, 2, 40), (1, 9, 33), (7, 7, 28), (5, 4, 3)):
    p = row(cost([path], {"n": n, "D": 2, "w": w, "g": g}), "forward")
    pairs = sum(abs(i - j) < w or j < g for i in range(n) for j in range(n))
    assert p["calls"]["value"] == pairs, (w, g, n)
    if inside(p["area"]["where"], n) and p["area"]["exact"]:
        assert value(p["calls"]["exact"], {"B": 1, "H": 1, "n": n, "w": w, "g": g}) == pairs
    checked += 1
path = write("batch", "sim = exp(q·k); normalize = 1; mask = b < 1;")
p = row(cost([path], {"n": 8, "D": 2, "B": 4}), "forward")
assert p["area"]["unknown"] and p["area"]["bound"]
path = write("documents", "param doc[b, n]; sim = exp(q·k); mask = doc[b, i] == doc[b, j];")
p = row(cost([path], {"n": 10, "D": 2}), "forward")
assert p["area"]["bound"] and "doc" in p["area"]["unknown"] and "area" in p["calls"]["exact"]
assert p["calls"]["value"] == 100

# ---- the generated code: formulas against counts of its loops, where they are said to hold ----

holds = {}
for name, text in (("full", None), ("one_way", None), ("square", None), ("square_causal", None),
                   ("near", "sim = exp(q·k); causal; window 40;"), ("features", "sim = (elu(q)+1)·(elu(k)+1); kernelize;")):
    path = write(name, text) if text else f"{work}/{name}.attn"
    for _ in range(4):
        at = {"B": rng.randint(1, 2), "H": rng.choice([1, 8, 12]), "n": 128 * rng.randint(8, 14), "D": rng.randint(1, 70),
              "M": rng.randint(1, 70)}
        for p in cost([path], at)["programs"]:
            code, s = p["code"], at | {"G": at["H"], "n_q": at["n"]}
            where = code["where"] or ""
            if (code["unknown"] or ("D a multiple of 2" in where and at["D"] % 2) or
                    ("B*H >= 8" in where and at["B"] * at["H"] < 8)):
                continue
            for q in ("flops", "calls", "bytes", "space"):
                if code[q]["exact"] is not None:
                    assert value(code[q]["exact"], s) == code[q]["value"], (path, at, p["entry"], p["form"], q, code)
                    holds[q] = holds.get(q, 0) + 1
                    checked += 1
            if p["entry"] == "forward":     # never less than the algorithm, whose masks are not rounded to tiles
                assert code["flops"]["value"] >= p["flops"]["value"] * 0.999, (path, at, p["form"])
assert all(holds.get(q, 0) > 20 for q in ("flops", "calls", "bytes", "space")), holds

# ---- the table of complexities: arithmetic and memory traffic, M apart from D, heads shared ----

table = [
    (everything, "", "forward", None, "flops", "B*H*n^2*(D + M)"),
    (everything, "", "forward", None, "bytes", "B*H*n*(D + M)"),
    (everything, "", "forward", None, "space", "B*H*n^2"),
    (everything, "", "step", None, "flops", "B*H*n*(D + M)"),
    (everything, "", "step", None, "bytes", "B*H*n*(D + M)"),
    (everything, "H=32,G=8", "step", None, "flops", "B*H*n*(D + M)"),
    (everything, "H=32,G=8", "step", None, "bytes", "B*(n*G*D + n*G*M + H*D + H*M)"),
    (everything, "H=32,G=8", "step", None, "state", "B*G*n*(D + M)"),
    (square, "", "forward", "kernelized", "flops", "B*H*n*D^2*M"),
    (square, "", "forward", "kernelized", "state", "B*H*D^2*M"),
    (square_causal, "", "step", "kernelized", "flops", "B*H*D^2*M"),
    (square_causal, "", "step", "kernelized", "bytes", "B*H*D^2*M"),
    (square_causal, "", "step", "kernelized", "state", "B*H*D^2*M"),
]


def same(a, b):
    """Equal however written: at many sizes."""
    sizes = [{k: rng.randint(1, 99) for k in ("B", "H", "G", "n_q", "n", "D", "M")} for _ in range(8)]
    return all(value(a, at) == value(b, at) for at in sizes)


for path, at, entry, form, quantity, theta in table:
    p = row(cost([path], dict(w.split("=") for w in at.split(",")) if at else None), entry, form)
    assert same(p[quantity]["theta"], theta), (path, at, entry, quantity, p[quantity]["theta"], theta)
    checked += 1
# one head: 4 n d' (M + 1) and d' (M + 1) lead, with d' = C(D + 2, 2)
p = row(cost([square], {"n": 1000, "D": 64, "M": 32}), "forward", "kernelized")
features = monomials(64) + 64 + 1
assert abs(p["flops"]["value"] / (4 * 1000 * features * 33) - 1) < 0.02
assert p["state"]["value"] == 4 * (features * 33 - 1)     # the count of keys need not be kept
# a step over a cache of n keys: new k and v read and written, the cache read, q read, out written
at = {"B": 3, "H": 8, "G": 2, "n": 1000, "D": 16, "M": 24}
assert row(cost([everything], at), "step")["bytes"]["value"] == 4 * 3 * (8 * (16 + 24) + 2 * (1000 + 2) * (16 + 24))

# ---- crossovers: who is cheaper at every n ----

def search(a, b, at, top):
    last, found = 0, []
    for n in range(1, top):
        d = value(a, at | {"n": n}) - value(b, at | {"n": n})
        sign = (d > 0) - (d < 0)
        if sign and sign != last:
            found.append((n, sign))
            last = sign
    return found


for D, M in ((3, 3), (9, 4)):
    sizes = {"D": D, "M": M}
    report = cost([square, one_way, everything, square_causal], sizes)
    schema(report)
    at = {"B": 1, "H": 1} | sizes
    by_name = {(p["name"], p["entry"]): p for p in report["programs"]}
    pairs = {(x["a"], x["b"], x["entry"]) for x in report["crossovers"]}
    assert len(pairs) == 15 + 10, len(pairs)
    for a, b, entry in pairs:
        for by in ("flops", "bytes", "space"):
            p, q = by_name[a, entry], by_name[b, entry]
            found = search(p[by]["exact"], q[by]["exact"], at, 150)
            said = [(x["n"], -1 if x["cheaper"] == a else 1) for x in report["crossovers"]
                    if (x["a"], x["b"], x["entry"], x["by"]) == (a, b, entry, by) and x["n"] is not None]
            assert [x for x in said if x[0] < 150] == found[1:], (a, b, entry, by, sizes, said, found)
            checked += 1
over = cost([square], None, "--over", "D=16:64")["over"]
said = [(x["D"], x["n"]) for x in over if x["by"] == "flops" and x["entry"] == "forward"]
for D, n in said:
    single = cost([square], {"D": D})["crossovers"]
    assert [x["n"] for x in single if x["by"] == "flops" and x["entry"] == "forward"] == [n]
assert [D for D, _ in said] == [16, 32, 64] and 2100 < said[2][1] < 2200, said

# where a mask's formula begins to hold, crossovers begin
near = write("near_first", "sim = exp(q·k); mask = i*j < 10;")
for x in cost([near, everything], {"D": 8})["crossovers"]:
    assert x["from"] == (10 if x["entry"] == "forward" else 11), x
fours = write("fours", "sim = exp(q·k); normalize = 1; mask = mod(j, 4) == 0;")
sixes = write("sixes", "sim = exp(q·k); normalize = 1; mask = mod(j, 6) == 0;")
for x in cost([fours, sixes], {"D": 8})["crossovers"]:   # where both formulas hold
    assert x["multiple"] == 12, x
strided = write("strided", "param w = 3; sim = exp(q·k); causal; mask = mod(i - j, w) == 0;")
over = cost([strided, square], {"D": 8}, "--over", "w=2:4")["over"]
for w in (2, 4):
    single = [x for x in cost([strided, square], {"D": 8, "w": w})["crossovers"]]
    assert [{k: v for k, v in x.items() if k != "w"} for x in over if x["w"] == w] == single

# ---- names that JSON must escape, two programs of one name, sizes beyond 64 bits ----

odd = write('odd "name"', "sim = exp(q·k);")
twin = write("other/full", "sim = exp(q·k);")
report = cost([odd, everything, twin], {"n": 8, "D": 2})
assert len({p["name"] for p in report["programs"] if p["entry"] == "forward"}) == 3
huge = cost([everything], {"n": 2 ** 40, "D": 64, "H": 64, "B": 1024})
assert row(huge, "forward")["flops"]["value"] == 1024 * 64 * 2 ** 40 * (2 ** 40 * (64 * 4 + 5) + 64)
most = 2 ** 63 - 1
for at in ({"D": 10 ** 9, "n": 1}, {"D": 10 ** 5, "n": 1}, {"D": 0, "n": 0}, {"n": 2 ** 40, "D": 64, "n_q": 1},
           {"B": 0, "n": 10, "D": 4}, {"H": 0, "n": 4, "D": 4}, {"n": 5, "n_q": 9, "D": 4}, {"D": most, "n": most},
           {"B": most, "H": most, "G": most, "n": 4, "D": 4}):
    schema(cost([square_causal, f"{work}/wide.attn", f"{work}/near.attn"], at))
print(checked, "costs as counted")
