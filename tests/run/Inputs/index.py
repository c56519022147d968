"""Statements of index notation against NumPy formulas, over odd sizes. Usage: ATTNC WORKDIR [options of run]"""
import numpy as np

import statements


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def turned(x, base, first=0):
    """Rotary embedding of the last axis by the position along the one before; an entry without partner stays."""
    n, D = x.shape[-2:]
    a = (np.arange(n) + first)[:, None] * float(base) ** (-2 * np.arange(D // 2) / D)
    y = x.copy()
    a, b, c, s = x[..., :D // 2 * 2:2], x[..., 1::2], np.cos(a), np.sin(a)
    y[..., :D // 2 * 2:2], y[..., 1::2] = a * c - b * s, a * s + b * c
    return y


E = np.einsum
# text, names of the inputs in order with their dims, formula
cases = [
    ("output y[b,h,i,d] = x[b,i,f] * W[f,h,d];", {"x": "BnF", "W": "FHD"}, lambda x, W: E("bif,fhd->bhid", x, W)),
    ("output y[b,h,i,d] = x[b,i,f] * W[h,d,f];", {"x": "BnF", "W": "HDF"}, lambda x, W: E("bif,hdf->bhid", x, W)),
    ("output y[b,h,i,d] = x[b,f,i] * W[d,f,h];", {"x": "BFn", "W": "DFH"}, lambda x, W: E("bfi,dfh->bhid", x, W)),
    ("output y[b,i,f] = o[b,h,i,m] * W[h,m,f] + c[f];", {"o": "BHnM", "W": "HMF", "c": "F"},
     lambda o, W, c: E("bhim,hmf->bif", o, W) + c),
    ("output y[b,i,f] = o[b,i,m,h] * W[f,m,h];", {"o": "BnMH", "W": "FMH"}, lambda o, W: E("bimh,fmh->bif", o, W)),
    ("output y[b,r,d] = P[r,j] * x[b,j,f] * W[f,d];", {"P": "Rn", "x": "BnF", "W": "FD"},
     lambda P, x, W: E("rj,bjf,fd->brd", P, x, W)),
    ("output y[b,i,o] = relu(x[b,i,f] * W[f,u] + c[u]) * U[u,o];", {"x": "BnF", "W": "FR", "c": "R", "U": "RD"},
     lambda x, W, c, U: relu(x @ W + c) @ U),
    ("output y[b,i,f] = x[b,i,f] / √(x[b,i,e]^2 / F + 0.001) * g[f];", {"x": "BnF", "g": "F"},
     lambda x, g: x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 0.001) * g),
    ("output y[b,d,m] = exp(k[b,j,d]) * v[b,j,m];", {"k": "BnD", "v": "BnM"},
     lambda k, v: E("bjd,bjm->bdm", np.exp(k), v)),
    ("output y[d] = x[b,i,d];", {"x": "BnD"}, lambda x: x.sum((0, 1))),
    ("output y[b,i] = x[b,i,d] * w[d];", {"x": "BnD", "w": "D"}, lambda x, w: x @ w),
    ("output y[i,d] = x[i,d] * w[r]^2;", {"x": "nD", "w": "R"}, lambda x, w: x * (w ** 2).sum()),
    ("output y[f,i,b] = x[b,i,f];", {"x": "BnF"}, lambda x: x.transpose(2, 1, 0)),
    ("output y[d,b,i,h] = x[b,h,i,d] * 2;", {"x": "BHnD"}, lambda x: 2 * x.transpose(3, 0, 2, 1)),
    ("output y[i,j] = x[i,d] * x[j,d];", {"x": "nD"}, lambda x: x @ x.T),
    ("output y[i,d] = u[i] * w[d] + u[i] - w[d];", {"u": "n", "w": "D"},
     lambda u, w: u[:, None] * w + u[:, None] - w),
    ("output y[b,i,d] = x[b,i,d] + i * w[d] + b;", {"x": "BnD", "w": "D"},
     lambda x, h: x + np.arange(x.shape[1])[:, None] * h + np.arange(x.shape[0])[:, None, None]),
    ("dim T = 3; output y[b,d] = x[b,2,d] * sigmoid(x[b,0,d]) / T;", {"x": "BTD"},
     lambda x: x[:, 2] * sigmoid(x[:, 0]) / 3),
    ("output y[b,h,i,d] = rope(x[b,i,f] * W[f,h,d] + c[d], i);", {"x": "BnF", "W": "FHT", "c": "T"},
     lambda x, W, c: turned(E("bif,fhd->bhid", x, W) + c, 10000)),
    ("output y[b,i,f] = x[b,i,f] - rope(2 * x[b,i,f], i + 1, 50);", {"x": "BnF"},
     lambda x: x - turned(2 * x, 50, 1)),
    ("output y[b,i,o] = U[u,o] * relu(c[u] + x[b,i,f] * W[f,u])^2;", {"x": "BnF", "W": "FR", "c": "R", "U": "RD"},
     lambda x, W, c, U: relu(x @ W + c) ** 2 @ U),
    ("output y[b,i,u] = relu(x[b,j,f] * W[f,u]) * A[i,j];", {"x": "BnF", "W": "FR", "A": "nn"},
     lambda x, W, A: A @ relu(x @ W)),
    ("output y[i,f] = relu(c[g] * a[i,e] * w[e]) * x[i,f];", {"a": "nD", "w": "D", "c": "M", "x": "nF"},
     lambda a, w, c, x: relu(c * (a @ w)[:, None]).sum(-1, keepdims=True) * x),
    ("let s = x[b,i,f] * W[f,d]; let r(a) = a * a; output y[b,i,d] = r(s) + x[b,i,f] * W[f,d];",
     {"x": "BnF", "W": "FD"}, lambda x, W: (x @ W) ** 2 + x @ W),
    ("let f(t) = t * sigmoid(t); output y[i,m] = f(x[i,d] * W[d,m]) * (x[i,e] * U[e,m]);",
     {"x": "nD", "W": "DM", "U": "DM"}, lambda x, W, U: (x @ W) * sigmoid(x @ W) * (x @ U)),
    ("total[b,d] = exp(k[b,j,d]); output y[b,i,m] = q[b,i,d] * exp(k[b,j,d]) * v[b,j,m] / total[b,d];",
     {"q": "BnD", "k": "BnD", "v": "BnM"},
     lambda q, k, v: E("bid,bjd,bjm->bim", q, np.exp(k) / np.exp(k).sum(1, keepdims=True), v)),
]
sizes = [dict(B=2, H=3, n=37, F=11, D=8, M=5, R=6, T=3), dict(B=1, H=1, n=1, F=1, D=1, M=1, R=1, T=3),
         dict(B=1, H=2, n=70, F=300, D=17, M=260, R=33, T=3)]
print(statements.agree(cases, sizes), "statements agree")
