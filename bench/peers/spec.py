"""What an attention of the comparison is, for every library the same, and its inputs."""
import math
from dataclasses import dataclass

GIB = 1 << 30


@dataclass
class Attention:
    """Sizes and formula. similarity: softmax, quadratic (s + 1)^2 or elu (features elu + 1)."""
    similarity: str
    n: int
    h: int = 1
    D: int = 64
    g: int = 0          # key heads, 0: as many as query heads
    n_q: int = 0        # queries, 0: as many as keys
    causal: bool = False
    alibi: bool = False
    cap: float = 0.0
    window: int = 0     # keys a query sees, itself included; 0: all

    @property
    def queries(self):
        """The number of queries."""
        return self.n_q or self.n

    @property
    def features(self):
        """The length of the feature map."""
        return self.D if self.similarity == "elu" else (self.D + 1) * (self.D + 2) // 2

    def pairs(self):
        """Visible pairs of query and key in one head."""
        if self.window:
            first = self.window * (self.window + 1) // 2
            return first + (self.n - self.window) * self.window
        return self.n * (self.n + 1) // 2 if self.causal else self.queries * self.n

    def direct_flops(self):
        """Of both matrix products over the visible pairs; exponentials count nothing."""
        return 4 * self.h * self.pairs() * self.D

    def linear_flops(self):
        """Of the state and its read-out."""
        return 4 * self.h * self.n * self.features * (self.D + 1)

    def square_bytes(self, copies):
        """Memory of so many n x n matrices of all heads."""
        return copies * self.h * self.queries * self.n * 4

    def feature_bytes(self, copies):
        """Memory of so many n x d' matrices of all heads."""
        return copies * self.h * self.n * self.features * 4

    def slope(self):
        """ALiBi's slopes 2^(-8 (h+1) / H)."""
        return [2.0 ** (-8 * (i + 1) / self.h) for i in range(self.h)]

    def inputs(self, seed=1):
        """q, k and v as torch tensors: normal numbers, half as large for polynomials."""
        import torch
        torch.manual_seed(seed)
        scale = 0.5 if self.similarity == "quadratic" else 1.0
        heads = self.g or self.h
        q = scale * torch.randn(1, self.h, self.queries, self.D)
        k = scale * torch.randn(1, heads, self.n, self.D)
        return q, k, torch.randn(1, heads, self.n, self.D)


def root(D):
    """1/sqrt(D)"""
    return 1.0 / math.sqrt(D)
