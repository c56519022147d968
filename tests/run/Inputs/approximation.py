"""The error of random features against the exact program, by `attnc compare`: falls as R^-0.5. Usage: ATTNC WORKDIR [table]

The error is the relative difference of the outputs, root mean square over seeds. With `table` it prints the tables of
docs/approximations.md instead: scores q·k/√D of a standard deviation `spread`."""
import json
import os
import subprocess
import sys

import numpy as np

attnc, work = sys.argv[1:3]
table = sys.argv[3:] == ["table"]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(11)
n, D = (64, 16) if table else (48, 8)


def inputs(spread):
    for name, scale in (("q", spread ** 0.5), ("k", spread ** 0.5), ("v", 1)):
        np.save(f"{work}/{name}.npy", (scale * rng.standard_normal((1, 2, n, D))).astype(np.float32))


def program(name, statement):
    with open(f"{work}/{name}.attn", "w", encoding="utf-8") as f:
        f.write("sim = exp(q·k / √D);\n" + statement)
    return f"{work}/{name}.attn"


def errors(statements):
    """Of each against the exact program."""
    files = [program("exact", "")] + [program(f"a{k}", s) for k, s in enumerate(statements)]
    run = subprocess.run([attnc, "compare", *files, "--json", "--rounds=1", "--mcpu=native"] +
                         [f"{x}={work}/{x}.npy" for x in "qkv"], capture_output=True, encoding="utf-8", check=True)
    return [p["relative_error"] for p in json.loads(run.stdout)["programs"][1:]]


def random_error(R, option, seeds):
    e = errors([f"kernelize random({R}, seed={s}{option});" for s in range(1, seeds + 1)])
    return float(np.sqrt(np.mean(np.square(e))))


if table:
    for spread in (0.05, 0.1, 0.25, 0.5, 1):
        inputs(spread)
        row = errors([f"kernelize taylor({P});" for P in (1, 2, 3, 4)])
        for option in ("", ", orthogonal"):
            row += [random_error(R, option, 4) for R in (64, 256, 1024)]
        print(f"| {spread} |", " | ".join(f"{e:.2g}" for e in row), "|", flush=True)
    sys.exit(0)
inputs(0.125)
counts, seeds = (64, 256, 1024), 6
plain = [random_error(R, "", seeds) for R in counts]
orthogonal = [random_error(R, ", orthogonal", seeds) for R in counts]
for name, e in (("normal", plain), ("orthogonal", orthogonal)):
    slope = np.polyfit(np.log(counts), np.log(e), 1)[0]
    assert -0.65 < slope < -0.35, (name, slope, e)
    print(name, "errors", " ".join(f"{x:.3g}" for x in e), f"exponent {slope:.2f}")
assert np.mean(np.log(orthogonal)) < np.mean(np.log(plain)) + 0.05, (orthogonal, plain)
taylor = errors([f"kernelize taylor({P});" for P in (1, 2, 4, 6)])
assert all(a > 2 * b for a, b in zip(taylor, taylor[1:])) and taylor[-1] < 1e-2, taylor
print("errors fall as they should")
