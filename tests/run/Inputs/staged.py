"""Runs the examples that are programs of stages and compares with NumPy, whole and in steps. Usage: ATTNC EXAMPLES WORKDIR"""
import os
import subprocess
import sys

import numpy as np

E = np.einsum
B, n, F, H, G, D, M, R = 2, 37, 24, 4, 2, 8, 5, 6
i, j = np.arange(n)[:, None], np.arange(n)[None, :]
causal = j <= i


def softmax(q, k, v, seen=True):
    k, v = (np.repeat(a, q.shape[1] // a.shape[1], 1) for a in (k, v))
    s = np.where(seen, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    w = np.exp(s - s.max(-1, keepdims=True))
    return w @ v / w.sum(-1, keepdims=True)


def project(x, W):
    return E("bif,fhd->bhid", x, W)


def rms(a):
    return a / np.sqrt((a ** 2).mean(-1, keepdims=True) + 1e-6)


def rope(a):
    turn = np.arange(n)[:, None] * 10000.0 ** (-2 * np.arange(D // 2) / D)
    return ((a[..., ::2] + 1j * a[..., 1::2]) * np.exp(1j * turn)).view(float).reshape(a.shape)


def mha(x, Wq, Wk, Wv, Wo):
    return E("bhim,hmf->bif", softmax(project(x, Wq), project(x, Wk), project(x, Wv), causal), Wo)


def gqa(x, Wq, Wk, Wv, Wo, bq, bo):
    q, k = rope(rms(project(x, Wq) + bq[:, None])), rope(rms(project(x, Wk)))
    return E("bhim,hmf->bif", softmax(q, k, project(x, Wv), causal), Wo) + bo


def mqa(x, Wq, Wk, Wv, Wo):
    return E("bhim,hmf->bif", softmax(project(x, Wq), (x @ Wk)[:, None], (x @ Wv)[:, None], causal), Wo)


def linformer(x, E_, Wq, Wk, Wv):
    return softmax(project(x, Wq), project(E_ @ x, Wk), project(E_ @ x, Wv))


def lambda_(x, Wq, Wk, Wv, E_):
    w = np.exp(x @ Wk)
    w = w / w.sum(1, keepdims=True)
    v = x @ Wv
    each = E("bjd,bjm->bdm", w, v)[:, None] + E("ijd,bjm->bidm", E_, v)
    return E("bhid,bidm->bhim", project(x, Wq), each)


def differential(x, Wv, Wo, Wq1, Wk1, Wq2, Wk2):
    a, b = (softmax(project(x, q), project(x, k), project(x, Wv), causal) for q, k in ((Wq1, Wk1), (Wq2, Wk2)))
    return E("bhim,hmf->bif", a - 0.8 * b, Wo)


def based(q, k, v):
    local = softmax(q, k, v, causal & (i - j < 64))
    k, v = np.repeat(k, H // G, 1), np.repeat(v, H // G, 1)
    s = q @ k.swapaxes(-1, -2) / np.sqrt(D)
    w = np.where(causal, 1 + s + s ** 2 / 2, 0)
    return w @ v / w.sum(-1, keepdims=True) + local


def reformer(qk, values, R, chunk):
    """Round by round in the order of the tokens: a place in the sorted order decides only which chunk a token is in."""
    u = E("hid,pdr->phir", qk, R)
    bucket = np.argmax(np.concatenate([u, -u], -1), -1)
    place = np.argsort(np.argsort(bucket, -1, kind="stable"), -1)
    part = place // int(chunk)
    key = qk / np.linalg.norm(qk, axis=-1, keepdims=True)
    s = qk @ key.swapaxes(-1, -2) / np.sqrt(D) - 500 * np.eye(n)
    seen = causal & (bucket[..., :, None] == bucket[..., None, :]) & (part[..., None, :] >= part[..., :, None] - 1)
    s = np.where(seen, s, -np.inf)
    w = np.exp(s - s.max((0, -1), keepdims=True)) # of all rounds relative to the largest score of a token in any
    return (w @ values).sum(0) / w.sum((0, -1))[..., None]


x, q, k, v, o = (B, n, F), (F, H, D), (F, G, D), (F, H, M), (H, M, F)
# name -> inputs with their shapes, in the order of the formula; the formula; the result; does it step
cases = {
    "mha_layer": ({"x": x, "Wq": q, "Wk": q, "Wv": v, "Wo": o}, mha, "y", True),
    "gqa_layer": ({"x": x, "Wq": q, "Wk": k, "Wv": (F, G, M), "Wo": o, "bq": (H, D), "bo": (F,)}, gqa, "y", True),
    "mqa_layer": ({"x": x, "Wq": q, "Wk": (F, D), "Wv": (F, M), "Wo": o}, mqa, "y", True),
    "linformer": ({"x": x, "E": (R, n), "Wq": q, "Wk": q, "Wv": v}, linformer, "out", False),
    "lambda": ({"x": x, "Wq": q, "Wk": (F, D), "Wv": (F, M), "E": (n, n, D)}, lambda_, "y", False),
    "differential": ({"x": x, "Wv": v, "Wo": o, "Wq1": q, "Wk1": q, "Wq2": q, "Wk2": q}, differential, "y", True),
    "reformer": ({"qk": (H, n, D), "values": (H, n, M), "R": (3, D, 2), "chunk": ()}, reformer, "y", False),
    "based_window": ({"q": (B, H, n, D), "k": (B, G, n, D), "v": (B, G, n, M)}, based, "out", True),
}

if __name__ == "__main__":
    attnc, examples, work = sys.argv[1:]
    os.makedirs(work, exist_ok=True)
    rng = np.random.default_rng(5)
    for name, (shapes, formula, result, steps) in cases.items():
        t = {}
        for key, shape in shapes.items():
            t[key] = rng.standard_normal(shape).astype(np.float32) if shape else np.float64(8)
            if shape and key not in "xqkv":
                t[key] /= np.float32(np.sqrt(shape[0]))
            np.save(f"{work}/{key}.npy", t[key])
        want = formula(*(a.astype(np.float64) for a in t.values()))
        for options in [[]] + ([["--step=1"], ["--step=5"]] if steps else []):
            subprocess.run([attnc, "run", f"{examples}/{name}.attn", "-o", f"{work}/{result}.npy", *options] +
                           [f"{key}={work}/{key}.npy" if a.shape else f"{key}={a}" for key, a in t.items()], check=True, stderr=subprocess.DEVNULL)
            got = np.load(f"{work}/{result}.npy")
            error = np.abs(got - want).max() / np.abs(want).max()
            assert got.shape == want.shape and error < 1e-5, (name, options, got.shape, want.shape, error)
    print(len(cases), "examples agree")
