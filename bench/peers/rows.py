"""The rows of the comparison: which attentions, of which size, by which sides."""
import functools
import importlib
import os

import torch

import torch_side
from spec import Attention
from timing import Point, Side

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")


def lazy(module, name):
    """A function of another library, imported when it is first called."""
    def call(*args, **named):
        return getattr(importlib.import_module(module), name)(*args, **named)
    return call


def jax(name):
    """A function of jax_side."""
    return lazy("jax_side", name)


class Rows:
    """Makes the points of each row for a library of kernels; quick: small sizes."""

    def __init__(self, library, quick):
        self.library, self.quick = library, quick

    def points(self, row):
        """A generator of the row's points."""
        return getattr(self, row.lower())()

    def size(self, n):
        """n, or a small stand-in."""
        return min(n, 512) if self.quick else n

    def ours(self, name, a, q, k, v, file, scalars=(), params=(), linear=False):
        """A side that runs a program of examples/ or of this folder."""
        source = os.path.join(EXAMPLES, file)
        if not os.path.exists(source):
            source = os.path.join(HERE, file)

        def make():
            kernel = self.library.kernel(source, (f"D={a.D}", f"M={a.D}"), scalars)
            return kernel.forward(q, k, v, *params)
        return Side(name, make, ours=True, growth=1 if linear else 2,
                    flops=a.linear_flops() if linear else a.direct_flops())

    def peer(self, name, function, a, qkv, copies=0, linear=False, compiles=False,
             heads_inside=False, **named):
        """A side of another system; copies: how many large matrices it holds at once."""
        size = a.feature_bytes(copies) if linear else a.square_bytes(copies)
        return Side(name, functools.partial(function, a, *qkv, **named), bytes=size,
                    growth=1 if linear else 2, compiles=compiles, heads_inside=heads_inside)

    def softmax(self, a, qkv, all_sides=True):
        """The peers of softmax rows."""
        sides = [self.peer("torch eager", torch_side.eager, a, qkv, 3)]
        if not a.cap:
            masks = 1 if a.alibi else 1 / a.h
            sides.append(self.peer("torch SDPA", torch_side.sdpa, a, qkv, masks))
        sides += [self.peer("torch flex", torch_side.flex, a, qkv, compiles=True),
                  self.peer("JAX jit", jax("direct"), a, qkv, 3, compiles=True)]
        if not a.cap:
            sides.append(self.peer("JAX dpa", jax("dot_product"), a, qkv, 3, compiles=True,
                                   heads_inside=True))
        if all_sides:
            sides += [self.peer("OpenBLAS", lazy("blas_side", "direct"), a, qkv, 2 / a.h),
                      self.peer("oneDNN", torch_side.onednn, a, qkv, 2 / a.h)]
        return sides

    def w1(self):
        """Softmax."""
        a = Attention("softmax", self.size(2048), h=8)
        qkv = a.inputs()
        sides = [self.ours("attnc", a, *qkv, "softmax.attn")] + self.softmax(a, qkv)
        yield Point("W1", "softmax, full, h8 D64", a.n, sides)

    def w2(self):
        """Causal softmax."""
        a = Attention("softmax", self.size(4096), h=8, D=128, causal=True)
        qkv = a.inputs()
        sides = [self.ours("attnc", a, *qkv, "softmax_causal.attn")] + self.softmax(a, qkv)
        yield Point("W2", "softmax, causal, h8 D128", a.n, sides)

    def w3(self):
        """ALiBi, soft-capping, a window."""
        n, window = self.size(4096), 64 if self.quick else 256
        alibi = Attention("softmax", n, h=8, causal=True, alibi=True)
        cap = Attention("softmax", n, h=8, cap=30.0)
        local = Attention("softmax", n, h=8, causal=True, window=window)
        slope = torch.tensor(alibi.slope())
        file = f"window{window}.attn"
        for label, a, file, named in (
                ("ALiBi, causal, h8 D64", alibi, "alibi.attn", {"params": (slope,)}),
                ("soft-cap 30, full, h8 D64", cap, "softcap.attn", {"scalars": (cap.cap,)}),
                (f"window {window}, causal, h8 D64", local, file, {})):
            qkv = a.inputs()
            sides = [self.ours("attnc", a, *qkv, file, **named)]
            sides += self.softmax(a, qkv, all_sides=False)
            yield Point("W3", label, n, sides)

    def lengths(self):
        """The n of the rows that draw a curve."""
        return (256, 512) if self.quick else (1024, 4096, 16384, 65536)

    def both_forms(self, a, qkv, program):
        """Ours kernelized and direct, and the others pair by pair."""
        return [self.ours("attnc", a, *qkv, f"{program}.attn", linear=True),
                self.ours("attnc direct", a, *qkv, f"{program}_direct.attn"),
                self.peer("torch eager", torch_side.eager, a, qkv, 2),
                self.peer("torch flex", torch_side.flex, a, qkv, compiles=True)]

    def w4(self):
        """(s + 1)^2, full."""
        for n in self.lengths():
            a = Attention("quadratic", n)
            qkv, peer = a.inputs(), self.peer
            sides = [
                *self.both_forms(a, qkv, "quadratic"),
                peer("torch features", torch_side.features, a, qkv, 4, linear=True),
                peer("torch features, compiled", torch_side.features, a, qkv, 4, linear=True,
                     compiles=True, compiled=True),
                peer("JAX jit", jax("direct"), a, qkv, 2, compiles=True),
                peer("JAX features", jax("features"), a, qkv, 4, True, compiles=True),
                peer("OpenBLAS features", lazy("blas_side", "features"), a, qkv, 4, linear=True),
                peer("oneDNN features", torch_side.onednn_features, a, qkv, 4, linear=True)]
            yield Point("W4", "(s + 1)², full, h1 D64", n, sides)

    def w5(self):
        """(s + 1)^2, causal."""
        for n in self.lengths():
            a = Attention("quadratic", n, causal=True)
            qkv, peer = a.inputs(), self.peer
            sides = [
                *self.both_forms(a, qkv, "quadratic_causal"),
                peer("torch chunked", torch_side.chunked, a, qkv, linear=True),
                peer("torch chunked, compiled", torch_side.chunked, a, qkv, linear=True,
                     compiles=True, compiled=True),
                peer("JAX chunked", jax("chunked"), a, qkv, linear=True, compiles=True)]
            yield Point("W5", "(s + 1)², causal, h1 D64", n, sides)

    def w6(self):
        """Features elu + 1."""
        n = self.size(16384)
        full = Attention("elu", n, h=8)
        qkv, peer = full.inputs(), functools.partial(self.peer, linear=True)
        sides = [self.ours("attnc", full, *qkv, "elu_feature.attn", linear=True),
                 peer("torch features", torch_side.features, full, qkv),
                 peer("torch features, compiled", torch_side.features, full, qkv, compiles=True,
                      compiled=True),
                 peer("JAX features", jax("features"), full, qkv, compiles=True)]
        yield Point("W6", "elu + 1, full, h8 D64", n, sides)
        a = Attention("elu", n, h=8, causal=True)
        sides = [self.ours("attnc", a, *qkv, "elu_causal.attn", linear=True),
                 peer("torch chunked", torch_side.batched_chunks, a, qkv),
                 peer("torch chunked, compiled", torch_side.batched_chunks, a, qkv, compiles=True,
                      compiled=True),
                 peer("fast-transformers", self.fast_transformers, a, qkv),
                 peer("JAX chunked", jax("chunked"), a, qkv, compiles=True)]
        yield Point("W6", "elu + 1, causal, h8 D64", n, sides)

    def fast_transformers(self, a, q, k, v):
        """The causal product that bench/install.sh built."""
        from fast_transformers import load
        dot = load(os.path.join(self.library.build, "bench"))
        return torch_side.fast_transformers(a, q, k, v, dot)

    def w7(self):
        """Decoding: over a cache, and from states."""
        a = Attention("softmax", self.size(8192), h=32, g=8, n_q=1, D=128)
        qkv = a.inputs()
        sides = [self.ours("attnc", a, *qkv, "softmax.attn"),
                 self.peer("torch eager", torch_side.eager, a, qkv),
                 self.peer("torch SDPA", torch_side.sdpa, a, qkv),
                 self.peer("JAX jit", jax("direct"), a, qkv, compiles=True),
                 self.peer("JAX dpa", jax("dot_product"), a, qkv, compiles=True,
                           heads_inside=True)]
        yield Point("W7", "softmax, one token, 32 heads on 8, D128", a.n, sides)
        yield self.steps("quadratic", "quadratic_causal.attn")
        yield self.steps("elu", "elu_causal.attn")

    def steps(self, similarity, file):
        """One token from a state: each call is 16 tokens, one by one."""
        a = Attention(similarity, 16, h=8, causal=True)
        qkv = a.inputs()

        def loop(make):
            def sixteen():
                step = make()
                return lambda: [step(t) for t in range(a.n)][-1].reshape(1, a.h, 1, a.D)
            return sixteen

        def ours():
            kernel = self.library.kernel(os.path.join(EXAMPLES, file), (f"D={a.D}", f"M={a.D}"))
            return kernel.stepper(*qkv)
        torch_step = functools.partial(torch_side.stepper, a, *qkv)
        sides = [Side("attnc", loop(ours), ours=True, calls=a.n,
                      flops=a.linear_flops() // a.n),
                 Side("torch eager", loop(torch_step), calls=a.n),
                 Side("torch compiled", loop(functools.partial(torch_step, compiled=True)),
                      compiles=True, calls=a.n),
                 Side("JAX jit", loop(functools.partial(jax("stepper"), a, *qkv)), compiles=True,
                      calls=a.n)]
        name = "(s + 1)²" if similarity == "quadratic" else "elu + 1"
        return Point("W7", f"{name}, one token from a state, h8 D64", 1, sides,
                     more={"unit": "token"})
