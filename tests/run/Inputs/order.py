"""Operations of order and indexes that are computed, against NumPy. Usage: ATTNC WORKDIR [options of run]"""
import numpy as np

import statements
from statements import rng

E = np.einsum


def taken(x, at):
    """Rows x[b, at[b,p]], NaN where the place is no whole number within x."""
    ok = (at == np.floor(at)) & (at >= 0) & (at < x.shape[1])
    rows = np.stack([x[b][np.where(ok, at, 0)[b].astype(int)] for b in range(x.shape[0])])
    return np.where(ok.reshape(ok.shape + (1,) * (rows.ndim - 2)), rows, np.nan)


def few(shape):
    return rng.integers(-3, 4, shape).astype(float)


def wild(shape):
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], shape), x)


def places(shape):
    """Mostly whole numbers within n, and what is none."""
    x = rng.integers(0, shape[-1], shape).astype(float)
    return np.where(rng.random(shape) < 0.2, rng.choice([-1, 1e30, np.nan, -np.inf, 0.5, shape[-1]], shape), x)


def greatest(x, axis=-1):
    return np.argmax(x, axis) if x.shape[axis] else np.zeros(x.sum(axis).shape)


def diagonal(at, S):
    whole = (at == np.floor(at)) & (at >= 0) & (at < S.shape[1])
    return np.array([[S[b, int(p), int(p)] if ok else np.nan for p, ok in zip(at[b], whole[b])] for b in range(len(S))])


def shifted(x, by):
    y = np.zeros_like(x)
    y[:, by:] = x[:, :x.shape[1] - by]
    return y


def order(x):
    return np.argsort(x + 0.0, -1, kind="stable").astype(float)


cases = [
    ("output y[b,p] = argsort(few[b,t], t);", {"few": "Bn"}, order),
    ("output y[b,p] = argsort(wild[b,t], t);", {"wild": "Bn"}, order),
    ("output y[p] = argsort(few[t], t);", {"few": "n"}, order),
    ("output y[b,p] = 2 * argsort(few[t], t) + x[b];", {"few": "n", "x": "B"}, lambda f, x: 2 * order(f) + x[:, None]),
    ("output y[b,h,i,p] = argsort(few[b,h,i,t], t);", {"few": "BHMn"}, order),
    ("output y[b,p] = argsort(-few[b,t] * c, t); param c = 1.5;", {"few": "Bn"}, lambda f: order(-f)),
    ("o[b,p] = argsort(few[b,t], t); output y[b,i] = argsort(o[b,p], p);", {"few": "Bn"}, lambda f: order(order(f))),
    ("o[b,p] = argsort(few[b,t], t); output y[b,p,f] = x[b,o[b,p],f];", {"few": "Bn", "x": "BnF"},
     lambda f, x: taken(x, order(f))),
    ("output y[b,p,f] = x[b,at[b,p],f];", {"at": "Bn", "x": "BnF"}, lambda at, x: taken(x, at)),
    ("output y[b,p] = x[b,p,at[b,p]];", {"at": "Bn", "x": "Bnn"},
     lambda at, x: taken(x.reshape(-1, x.shape[2]), at.reshape(-1, 1)).reshape(at.shape)),
    ("output y[b,f,p] = x[b,f,at[b,p]];", {"at": "Bn", "x": "BFn"}, 
     lambda at, x: taken(x.swapaxes(1, 2), at).swapaxes(1, 2)),
    ("output y[b,p,f] = x[at[b,p],f] * W[f];", {"at": "Bn", "x": "nF", "W": "F"},
     lambda at, x, W: taken(np.stack([x] * at.shape[0]), at) * W),
    ("output y[b,p,m] = x[b,at[b,p],f] * W[f,m];", {"at": "Bn", "x": "BnF", "W": "FM"},
     lambda at, x, W: taken(x, at) @ W),
    ("output y[b,m] = x[b,at[b,p],m] * w[p];", {"at": "Bn", "x": "BnM", "w": "n"},
     lambda at, x, w: E("bpm,p->bm", taken(x, at), w)),
    ("output y[b,i,f] = i > 1 ? x[b,i - 2,f] : 0;", {"x": "BnF"}, lambda x: shifted(x, 2)),
    ("output y[b,i,f] = x[b,n - 1 - i,f] + x[b,i,f];", {"x": "BnF"}, lambda x: x[:, ::-1] + x),
    ("output y[b,i] = S[b,at[b,i],at[b,i]];", {"at": "Bn", "S": "Bnn"}, diagonal),
    ("param c = 0; output y[b] = S[b,c,c];", {"S": "Bnn"}, lambda S: S[:, 0, 0]),
    ("output y[b,i] = S[b,n-1-i,n-1-i];", {"S": "Bnn"}, lambda S: np.stack([np.diag(s)[::-1] for s in S])),
    ("output y[b,i] = i > 0 ? u[b,i - 1] : 0;", {"u": "Bn"}, lambda u: shifted(u, 1)),
    ("output y[i] = u[n - 1 - i] * i;", {"u": "n"}, lambda u: u[::-1] * np.arange(len(u))),
    ("output y[b,i,f] = x[b,i,f] * W[f,g] * f;", {"x": "BnF", "W": "FR"},
     lambda x, W: x * W.sum(1) * np.arange(x.shape[2])),
    ("output y[b,f] = x[b,n - 1,f];", {"x": "BnF"}, lambda x: x[:, -1]),
    ("param back = 0; output y[b,f] = x[b,back,f];", {"x": "BnF"}, lambda x: x[:, 0]),
    ("output y[u,i] = x[floor(u / 2), mod(u, 2), i] + w[u];", {"x": "BBn", "w": "H"}, lambda x, w: np.stack(
        [x[u // 2, u % 2] + w[u] if u // 2 < len(x) and u % 2 < len(x) else np.full(x.shape[2], np.nan)
         for u in range(len(w))])),
    ("output y[b,i] = argmax(x[b,i,r], r);", {"x": "BnF"}, greatest),
    ("output y[b,i] = argmin(few[b,i,r], r);", {"few": "BnF"}, lambda f: greatest(-f)),
    ("output y[b,i] = argmax(wild[b,i,r], r);", {"wild": "BnF"}, greatest),
    ("output y[b,i] = amax(wild[b,i,r], r);", {"wild": "BnF"}, lambda w: w.max(-1)),
    ("output y[b,i] = amin(wild[b,i,r], r);", {"wild": "BnF"}, lambda w: w.min(-1)),
    ("output y[b,r] = amax(x[b,i,r], i);", {"x": "BnF"}, lambda x: x.max(1)),
    ("output y[b,i] = argmax(few[b,i,d] * few2[d,r], r);", {"few": "BnD", "few2": "DR"}, lambda f, W: greatest(f @ W)),
    ("output y[b,i,m] = amax(a[b,i,r] - c[m,r], r);", {"a": "BnR", "c": "MR"},
     lambda a, c: (a[:, :, None] - c).max(-1)),
    ("output y[b,h,i] = argmax(x[b,h,i,r], r);", {"x": "BHnR"}, greatest),
    ("top[b,d] = amax(k[b,j,d], j); e[b,j,d] = exp(k[b,j,d] - top[b,d]); total[b,d] = e[b,j,d]; "
     "output y[b,d,m] = e[b,j,d] * v[b,j,m] / total[b,d];", {"k": "BnD", "v": "BnM"},
     lambda k, v: E("bjd,bjm->bdm", np.exp(k) / np.exp(k).sum(1, keepdims=True), v)),
]
sizes = [dict(B=2, H=3, n=37, F=11, D=8, M=5, R=6), dict(B=1, H=1, n=1, F=1, D=1, M=1, R=1),
         dict(B=3, H=5, n=300, F=65, D=17, M=130, R=200)]
values = {"few": few, "few2": few, "wild": wild, "at": places}
print(statements.agree(cases, sizes, values), "statements agree")

big = [("output y[b,p] = argsort(x[b,t], t);", {"x": "Bn"}, order)]
print(statements.agree(big, [dict(B=2, n=70001)], {"x": lambda shape: rng.standard_normal(shape).astype(np.float32)}),
      "long ones")
