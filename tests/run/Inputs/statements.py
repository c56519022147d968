"""Runs statements of index notation and compares with NumPy formulas. The program that imports this is called as
ATTNC WORKDIR [options of run]"""
import itertools
import os
import subprocess
import sys

import numpy as np

rng = np.random.default_rng(3)


def normal(shape):
    return rng.standard_normal(shape) / np.sqrt(shape[0])


def agree(cases, sizes, values=None, kinds=("f32", "f64")):
    """cases: text, names of the inputs in order with their dims, formula of the inputs in f64. values: name of an input
    to what makes it of its shape; others are normal. Returns how many cases were run."""
    attnc, work, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(work, exist_ok=True)
    count = 0
    for (text, tensors, formula), size, kind in itertools.product(cases, sizes, kinds):
        real = np.float64 if kind == "f64" else np.float32
        x = {k: (values or {}).get(k, normal)([size[d] for d in dims]).astype(real) for k, dims in tensors.items()}
        declared = "".join(f"input {k}[{', '.join(dims)}]; " for k, dims in tensors.items())
        with open(f"{work}/p.attn", "w") as f:
            f.write(f"type {kind}; {declared}{text}\n")
        for k, a in x.items():
            np.save(f"{work}/{k}.npy", a)
        subprocess.run([attnc, "run", f"{work}/p.attn", "-o", f"{work}/y.npy", *options] +
                       [f"{k}={work}/{k}.npy" for k in x], check=True)
        got, want = np.load(f"{work}/y.npy"), formula(*[a.astype(np.float64) for a in x.values()])
        assert got.shape == want.shape, (text, size, kind, got.shape, want.shape)
        assert np.array_equal(np.isnan(got), np.isnan(want)), (text, size, kind, "NaN")
        seen = ~np.isnan(want) & ~np.isinf(want)
        assert np.array_equal(got[~seen], want[~seen], equal_nan=True), (text, size, kind, "inf")
        error = np.abs(got[seen] - want[seen]).max(initial=0) / np.abs(want[seen]).max(initial=1)
        assert error < (1e-13 if kind == "f64" else 2e-5), (text, size, kind, error)
        count += 1
    return count
