"""Runs every example through `attnc run` and compares with NumPy formulas. Usage: ATTNC EXAMPLES WORKDIR"""
import math
import os
import subprocess
import sys

import numpy as np

import staged
from weights import weights as random_weights

attnc, examples, work = sys.argv[1:]
os.makedirs(work, exist_ok=True)
rng = np.random.default_rng(7)
B, H, G, NQ, N, D, M = 2, 4, 2, 19, 37, 8, 5


def elu(x):
    return np.where(x > 0, x, np.expm1(x))


def softmaxed(e):
    return np.exp(e - e.max(-1, keepdims=True))


pos_i = (np.arange(NQ) + N - NQ)[:, None]
pos_j = np.arange(N)[None, :]
causal = pos_j <= pos_i
root = np.sqrt(D)
distance = pos_i - pos_j
doc = np.sort(rng.integers(0, 5, (B, N)), -1).astype(np.float32)
same_doc = (doc[:, N - NQ:, None] == doc[:, None, :])[:, None]
slope = rng.uniform(0, 1, H).astype(np.float32)
gamma = np.array([1e-3, 0.9, 0.99, 1], np.float32)
a = rng.uniform(0, 3, D).astype(np.float32)
turn = np.arange(N)[:, None] * 10000.0 ** (-2 * np.arange(D // 2) / D)


def rope(x, p):
    """Pairs of neighbours as complex numbers, turned."""
    return ((x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * turn[p])).view(float).reshape(x.shape)


R = 6
W = (rng.standard_normal((H, R, D)) / 2).astype(np.float32)
P = rng.standard_normal((R, D)).astype(np.float32)
gain_q, gain_k = rng.uniform(0.5, 2, (2, D)).astype(np.float32)
gate = rng.random((B, H, N), np.float32) ** 0.25
gates = rng.random((B, H, N, D), np.float32) ** 0.25
gate[:, 1, 20], gate[:, 2, 25], gates[:, :, 22, 3], gates[:, 0, 30] = 0, 1e-30, 0, 1e-30
params = {"alibi": ["slope"], "retnet": ["gamma"], "ssm_diagonal": ["a"], "documents": ["doc"], "hedgehog": ["W"],
          "performer": ["P"], "qk_rmsnorm": ["gain_q", "gain_k"], "gla": ["gates"], "ssd": ["gate"], "forgetting": ["gate"]}
names = {"gates": "gate"}  # of arrays whose param has another


def decay(g):
    """[..., i, j]: the product of g over the tokens after j up to i; the axis of tokens is the third."""
    w = np.ones(g.shape[:2] + (NQ, N) + g.shape[3:])
    for r in range(NQ):
        for j in range(N):
            w[:, :, r, j] = g[:, :, j + 1:N - NQ + r + 1].astype(np.float64).prod(2)
    return w


def masked(e, m):
    return np.where(m, e, -np.inf)


def distance2(q, k):
    return ((q[..., :, None, :] - k[..., None, :, :]) ** 2).sum(-1)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def rms(x):
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-6)


def paired(phi, q, k):
    return phi(q) @ np.swapaxes(phi(k), -1, -2)


def hedgehog(x):
    y = np.einsum("hrd,bhid->bhir", W.astype(np.float64), x)
    return np.concatenate([np.exp(y), np.exp(-y)], -1)


def performer(x):
    return np.exp(x / D ** 0.25 @ P.T.astype(np.float64) - (x ** 2).sum(-1, keepdims=True) / (2 * root)) / np.sqrt(R)


def favor(x):
    """Positive features of exp(q·k/√D), from the rows that docs/approximations.md defines."""
    rows = np.array(random_weights(64, D, 1, True), np.float32).astype(np.float64)
    return np.exp(x / D ** 0.25 @ rows.T - (x ** 2).sum(-1, keepdims=True) / (2 * root)) / 8


# name -> (weights from q, k, s), mask or None, divisor of z, extra inputs
cases = {
    "softmax": (lambda q, k, s: softmaxed(s / root), None),
    "gqa": (lambda q, k, s: softmaxed(s / root), None),
    "mqa": (lambda q, k, s: softmaxed(masked(s / root, causal)), None),
    "softmax_causal": (lambda q, k, s: softmaxed(masked(s / root, causal)), None),
    "rope": (lambda q, k, s: softmaxed(masked(rope(q, pos_i[:, 0]) @ np.swapaxes(rope(k, pos_j[0]), -1, -2) / root, causal)), None),
    "prefix_lm": (lambda q, k, s: softmaxed(masked(s / root, causal | (pos_j < 4))), None),
    "alibi": (lambda q, k, s: softmaxed(masked(s / root - slope[None, :, None, None] * (pos_i - pos_j), causal)), None),
    "window": (lambda q, k, s: softmaxed(masked(s / root, causal & (distance < 32))), None),
    "longformer": (lambda q, k, s: softmaxed(masked(s / root, (pos_i < 4) | (pos_j < 4) | (np.abs(distance) < 8))), None),
    "documents": (lambda q, k, s: softmaxed(masked(s / root, causal & same_doc)), None),
    "strided": (lambda q, k, s: softmaxed(masked(s / root, causal & ((distance < 8) | (distance % 8 == 0)))), None),
    "softcap": (lambda q, k, s: softmaxed(30 * np.tanh(s / root / 30)), None),
    "rbf": (lambda q, k, s: softmaxed(-distance2(q, k) / 2), None),
    "cauchy": (lambda q, k, s: 1 / (1 + distance2(q, k)), None),
    "inverse_multiquadric": (lambda q, k, s: 1 / np.sqrt(1 + distance2(q, k)), None),
    "distance_polynomial": (lambda q, k, s: (4 - distance2(q, k)) ** 2, None),
    "qk_norm": (lambda q, k, s: softmaxed(10 * unit(q) @ np.swapaxes(unit(k), -1, -2)), None),
    "qk_rmsnorm": (lambda q, k, s: softmaxed((gain_q * rms(q)) @ np.swapaxes(gain_k * rms(k), -1, -2) / root), None),
    "sigmoid": (lambda q, k, s: 1 / (1 + N * np.exp(-s / root)), lambda z: np.ones_like(z)),
    "hedgehog": (lambda q, k, s: np.where(causal, paired(hedgehog, q, k), 0), None),
    "performer": (lambda q, k, s: paired(performer, q, k), None),
    "based": (lambda q, k, s: np.where(causal, 1 + s / root + (s / root) ** 2 / 2, 0), None),
    "quadratic": (lambda q, k, s: (s + 1) ** 2, None),
    "quadratic_auto": (lambda q, k, s: (s + 1) ** 2, None),
    "quadratic_direct": (lambda q, k, s: (s + 1) ** 2, None),
    "quadratic_phi": (lambda q, k, s: (s + 1) ** 2, None),
    "quadratic_homogeneous": (lambda q, k, s: s ** 2, None),
    "cubic": (lambda q, k, s: (s / 4 + 1) ** 3, None),
    "polynomial_signed": (lambda q, k, s: s ** 2 - 2 * s + 2, None),
    "cosine": (lambda q, k, s: s / (np.linalg.norm(q, axis=-1)[..., None] * np.linalg.norm(k, axis=-1)[..., None, :]),
               lambda z: np.maximum(np.abs(z), 1)),
    "relu": (lambda q, k, s: np.maximum(s, 0) + 0.01, None),
    "elu_scalar": (lambda q, k, s: elu(s) + 1, None),
    "elu_feature": (lambda q, k, s: (elu(q) + 1) @ np.swapaxes(elu(k) + 1, -1, -2), None),
    "quadratic_causal": (lambda q, k, s: np.where(causal, (s + 1) ** 2, 0), None),
    "elu_causal": (lambda q, k, s: np.where(causal, (elu(q) + 1) @ np.swapaxes(elu(k) + 1, -1, -2), 0), None),
    "retnet": (lambda q, k, s: np.where(causal, gamma[None, :, None, None].astype(np.float64) ** np.maximum(pos_i - pos_j, 0)
                                        * s / root, 0), lambda z: np.maximum(np.abs(z), 1)),
    "ssm_diagonal": (lambda q, k, s: np.where(causal, np.einsum(
        "bhid,bhjd,ijd->bhij", q, k, np.exp(-a.astype(np.float64) * np.maximum(pos_i - pos_j, 0)[:, :, None])), 0),
        lambda z: np.ones_like(z)),
    "gla": (lambda q, k, s: np.where(causal, np.einsum("bhid,bhjd,bhijd->bhij", q, k, decay(gates)), 0),
            lambda z: np.ones_like(z)),
    "ssd": (lambda q, k, s: np.where(causal, decay(gate) * s, 0), lambda z: np.ones_like(z)),
    "forgetting": (lambda q, k, s: decay(gate) * softmaxed(masked(s / root, causal)), None),
    "cosformer": (lambda q, k, s: np.maximum(q, 0) @ np.swapaxes(np.maximum(k, 0), -1, -2) * np.cos(np.pi / 2 * distance / N),
                  lambda z: np.maximum(z, 1e-6)),
    "cosformer_causal": (lambda q, k, s: np.where(causal, np.maximum(q, 0) @ np.swapaxes(np.maximum(k, 0), -1, -2)
                                                  * np.cos(np.pi / 2 * distance / 4096), 0), lambda z: np.maximum(z, 1e-6)),
    "taylor": (lambda q, k, s: np.where(causal, sum((s / root) ** p / math.factorial(p) for p in range(3)), 0), None),
    "favor": (lambda q, k, s: np.where(causal, paired(favor, q, k), 0), None),
    "dot": (lambda q, k, s: s, lambda z: np.maximum(np.abs(z), 1)),
}
q = rng.standard_normal((B, H, NQ, D)).astype(np.float32)
k = rng.standard_normal((B, G, N, D)).astype(np.float32)
v = rng.standard_normal((B, G, N, M)).astype(np.float32)
for name, array in (("q", q), ("k", k), ("v", v), ("slope", slope), ("gamma", gamma), ("a", a), ("doc", doc), ("W", W),
                    ("P", P), ("gain_q", gain_q), ("gain_k", gain_k), ("gate", gate), ("gates", gates)):
    np.save(f"{work}/{name}.npy", array)
q64, k64, v64 = q.astype(np.float64), np.repeat(k, H // G, 1).astype(np.float64), np.repeat(v, H // G, 1).astype(np.float64)
assert sorted([*cases, *staged.cases]) == sorted(f[:-5] for f in os.listdir(examples) if f.endswith(".attn")), "an example has no formula"
for name, (weights, divisor) in cases.items():
    w = weights(q64, k64, q64 @ np.swapaxes(k64, -1, -2))
    z = w.sum(-1, keepdims=True)
    want = (w @ v64) / (divisor(z) if divisor else z)
    command = [attnc, "run", f"{examples}/{name}.attn", f"q={work}/q.npy", f"k={work}/k.npy", f"v={work}/v.npy",
               "-o", f"{work}/out.npy"] + [f"{names.get(p, p)}={work}/{p}.npy" for p in params.get(name, [])]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    got = np.load(f"{work}/out.npy")
    condition = (np.abs(w) @ np.abs(v64) / np.abs(divisor(z) if divisor else z)).max() / np.abs(want).max()
    error = np.abs(got - want).max() / np.abs(want).max()
    assert got.shape == want.shape and error < 1e-5 * max(1, condition), (name, error, condition)
print(len(cases), "examples agree")
