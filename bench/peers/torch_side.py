"""The attentions in PyTorch: the formula, its fused operators, compositions by feature maps, and
some of these on oneDNN's matrix product. Each function takes an Attention and q, k, v and returns a
call without arguments."""
import torch
import torch.nn.functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from spec import root

CHUNK = 128


def hidden(a):
    """True where a query does not see a key; None where it sees all."""
    if not (a.causal or a.window):
        return None
    i, j = torch.arange(a.n)[:, None], torch.arange(a.n)[None, :]
    mask = j > i
    return mask | (i - j >= a.window) if a.window else mask


def bias(a):
    """What is added to the scores of softmax: [h or 1, n, n], or None."""
    mask = hidden(a)
    if a.alibi:
        distance = (torch.arange(a.n)[:, None] - torch.arange(a.n)[None, :]).float()
        full = -torch.tensor(a.slope())[:, None, None] * distance
        return full.masked_fill_(mask, float("-inf"))
    if mask is None:
        return None
    return torch.zeros(1, a.n, a.n).masked_fill_(mask, float("-inf"))


def eager(a, q, k, v):
    """The formula with n x n matrices, in place where it can be."""
    if a.similarity == "quadratic":
        def run():
            w = (q @ k.transpose(-1, -2)).add_(1).square_()
            if a.causal:
                w = w.tril_()
            return (w @ v).div_(w.sum(-1, keepdim=True))
        return run
    added, scale = bias(a), root(a.D)
    if k.shape[1] != q.shape[1]:
        q = q.unflatten(1, (k.shape[1], -1)).squeeze(3)
        shape = (1, a.h, a.queries, a.D)
    else:
        shape = q.shape

    def run():
        s = (q @ k.transpose(-1, -2)).mul_(scale)
        if a.cap:
            s = s.div_(a.cap).tanh_().mul_(a.cap)
        if added is not None:
            s = s.add_(added)
        return (torch.softmax(s, -1) @ v).view(shape)
    return run


def sdpa(a, q, k, v):
    """scaled_dot_product_attention, with a float mask where it has no name for the mask."""
    mask = bias(a) if a.alibi or a.window else None
    causal = a.causal and mask is None
    grouped = k.shape[1] != q.shape[1]
    return lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal,
                                                  enable_gqa=grouped)


def block_mask(a, visible):
    """flex's block mask from the blocks themselves: create_block_mask makes an n x n matrix."""
    blocks = torch.arange(0, a.n, CHUNK)
    least = blocks[:, None] - blocks[None, :] - (CHUNK - 1)     # of i - j in a block
    most = least + 2 * (CHUNK - 1)
    window = a.window or a.n
    whole = (least >= 0) & (most < window)
    partly = (most >= 0) & (least < window) & ~whole
    lists = []
    for chosen in (partly, whole):
        order = torch.argsort(chosen.int(), dim=-1, descending=True, stable=True)
        lists += [chosen.sum(-1)[None, None].int(), order[None, None].int()]
    return BlockMask.from_kv_blocks(*lists, BLOCK_SIZE=CHUNK, mask_mod=visible,
                                    seq_lengths=(a.n, a.n))


def flex(a, q, k, v):
    """flex_attention, compiled; (s + 1)^2 as the softmax of 2 log|s + 1|."""
    torch._dynamo.reset()
    slope = torch.tensor(a.slope())

    def score(s, b, h, i, j):
        if a.similarity == "quadratic":
            return 2 * torch.log(torch.abs(s + 1))
        if a.cap:
            s = a.cap * torch.tanh(s / a.cap)
        return s - slope[h] * (i - j) if a.alibi else s

    def visible(b, h, i, j):
        return (j <= i) & (i - j < a.window) if a.window else j <= i

    blocks = block_mask(a, visible) if a.causal or a.window else None
    modified = a.similarity == "quadratic" or a.cap or a.alibi
    scale = 1.0 if a.similarity == "quadratic" else None
    call = torch.compile(flex_attention, dynamic=False)
    return lambda: call(q, k, v, score_mod=score if modified else None, block_mask=blocks,
                        scale=scale)


def onednn_product(x, y):
    """x @ y^T by oneDNN, for matrices."""
    return torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "")


def onednn(a, q, k, v):
    """Softmax head by head: both products by oneDNN, the rest by torch."""
    added, scale = bias(a), root(a.D)

    def run():
        out = torch.empty_like(q)
        for head in range(a.h):
            s = onednn_product(q[0, head], k[0, head]).mul_(scale)
            if added is not None:
                s = s.add_(added[0])
            out[0, head] = onednn_product(torch.softmax(s, -1), v[0, head].t().contiguous())
        return out
    return run


def feature_map(a, compiled=False, few=False):
    """A function from [..., D] to features whose products are the similarity, as it is fastest:
    gathered where it is compiled, from a transposed copy for few tokens, else in slices."""
    if a.similarity == "elu":
        return lambda x: F.elu(x) + 1
    rows, columns = torch.triu_indices(a.D, a.D)
    weight = torch.where(rows == columns, 1.0, 2.0 ** 0.5)

    def gathered(x):
        return [x[..., rows] * x[..., columns] * weight]

    def transposed(x):
        t = x.reshape(-1, a.D).t().contiguous()
        pairs = t.index_select(0, rows) * t.index_select(0, columns) * weight[:, None]
        return [pairs.t().reshape(*x.shape[:-1], -1)]

    def sliced(x):
        y = 2.0 ** 0.5 * x
        return [x * x] + [x[..., i:i + 1] * y[..., i + 1:] for i in range(a.D - 1)]
    products = gathered if compiled else transposed if few else sliced
    return lambda x: torch.cat([torch.ones_like(x[..., :1]), 2.0 ** 0.5 * x, *products(x)], -1)


def with_one(v):
    """v and a column of ones, whose sum is the normaliser."""
    return torch.cat([v, torch.ones_like(v[..., :1])], -1)


def divided(x):
    """Sums over the normaliser in the last column."""
    return x[..., :-1] / x[..., -1:]


def features(a, q, k, v, compiled=False):
    """Linear attention: features of all keys, their sums, features of all queries."""
    phi = feature_map(a, compiled)

    def run():
        return divided(phi(q) @ (phi(k).transpose(-1, -2) @ with_one(v)))
    return compile_anew(run) if compiled else run


def onednn_features(a, q, k, v):
    """The same, with oneDNN's products; one head."""
    phi = feature_map(a)

    def run():
        state = onednn_product(with_one(v[0, 0]).t().contiguous(), phi(k[0, 0]).t())
        return divided(onednn_product(phi(q[0, 0]), state))[None, None]
    return run


def compile_anew(function):
    """torch.compile without what was compiled before."""
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False)


def chunked(a, q, k, v, compiled=False):
    """Causal linear attention chunk by chunk: a state, and the pairs inside a chunk."""
    phi, size = feature_map(a, compiled), min(CHUNK, a.n)

    def chunk(state, x, y, w):
        fx, fy = phi(x), phi(y)
        if a.similarity == "quadratic":
            pairs = (x @ y.transpose(-1, -2) + 1).square()
        else:
            pairs = fx @ fy.transpose(-1, -2)
        out = fx @ state + pairs.tril() @ w
        return divided(out), state + fy.transpose(-1, -2) @ w
    step = compile_anew(chunk) if compiled else chunk

    def run():
        state, outs, ones = torch.zeros(1, a.h, a.features, a.D + 1), [], with_one(v)
        for t in range(0, a.n, size):
            part = slice(t, t + size)
            out, state = step(state, q[:, :, part], k[:, :, part], ones[:, :, part])
            outs.append(out)
        return torch.cat(outs, 2)
    return run


def batched_chunks(a, q, k, v, compiled=False):
    """The same with all chunks at once and prefix sums of their states: for small feature maps."""
    phi, size = feature_map(a), min(CHUNK, a.n)

    def run():
        fx, fy, w = (t.unflatten(2, (-1, size)) for t in (phi(q), phi(k), with_one(v)))
        sums = fy.transpose(-1, -2) @ w
        before = sums.cumsum(2) - sums
        out = fx @ before + (fx @ fy.transpose(-1, -2)).tril() @ w
        return divided(out).flatten(2, 3)
    return compile_anew(run) if compiled else run


def fast_transformers(a, q, k, v, dot):
    """CausalLinearAttention of pytorch-fast-transformers, its ε left out."""
    phi = feature_map(a)

    def run():
        fx, fy = phi(q), phi(k)
        out = torch.zeros_like(v)
        dot(fx, fy, v, out)
        return out / (fx * fy.cumsum(2)).sum(-1, keepdim=True)
    return run


def stepper(a, q, k, v, compiled=False):
    """A call (t) that adds token t to a state and reads it out."""
    phi = feature_map(a, compiled, few=True)
    state = torch.zeros(a.h, a.features, a.D + 1)
    ones = with_one(v)[0]
    tokens = [(q[0, :, t:t + 1], k[0, :, t:t + 1], ones[:, t:t + 1]) for t in range(a.n)]

    def one(kept, x, y, w):
        kept.addcmul_(phi(y).transpose(-1, -2), w)
        return divided(phi(x) @ kept)
    step = compile_anew(one) if compiled else one
    return lambda t: step(state, *tokens[t])
