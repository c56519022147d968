"""The attentions in JAX, jitted. Each function takes an Attention and torch's q, k, v and returns a
call without arguments that waits for its result."""
import jax
import jax.numpy as jnp
from jax import lax

from spec import root

CHUNK = 128


def arrays(*tensors):
    """JAX arrays of torch tensors."""
    return [jnp.asarray(t.numpy()) for t in tensors]


def waiting(call):
    """The call and its result, computed."""
    return lambda: call().block_until_ready()


def transposed(x):
    """x with its last two axes exchanged."""
    return jnp.swapaxes(x, -1, -2)


def jit(function, *inputs):
    """A call of the jitted function on its inputs."""
    compiled = jax.jit(function)
    return waiting(lambda: compiled(*inputs))


def positions(a):
    """Columns i and rows j."""
    return jnp.arange(a.n)[:, None], jnp.arange(a.n)[None, :]


def direct(a, q, k, v):
    """The formula with n x n matrices."""
    def attend(q, k, v):
        s = q @ transposed(k)
        i, j = positions(a)
        if a.similarity == "quadratic":
            w = (s + 1) ** 2
            w = jnp.where(j <= i, w, 0) if a.causal else w
            return (w @ v) / w.sum(-1, keepdims=True)
        s = s * root(a.D)
        if a.cap:
            s = a.cap * jnp.tanh(s / a.cap)
        if a.alibi:
            s = s - jnp.array(a.slope(), jnp.float32)[:, None, None] * (i - j)
        if a.causal or a.window:
            seen = (j <= i) & (i - j < a.window) if a.window else j <= i
            s = jnp.where(seen, s, -jnp.inf)
        return jax.nn.softmax(s, -1) @ v

    def grouped(q, k, v):
        heads = q.reshape(1, k.shape[1], -1, a.D)
        s = heads @ transposed(k) * root(a.D)
        return (jax.nn.softmax(s, -1) @ v).reshape(q.shape)
    return jit(attend if k.shape[1] == q.shape[1] else grouped, *arrays(q, k, v))


def dot_product(a, q, k, v):
    """jax.nn.dot_product_attention, whose layout [b, n, h, D] inputs and output have."""
    q, k, v = arrays(*(t.transpose(1, 2).contiguous() for t in (q, k, v)))
    window = (a.window - 1, 0) if a.window else None

    def attend(q, k, v):
        bias = None
        if a.alibi:
            i, j = positions(a)
            bias = -jnp.array(a.slope(), jnp.float32)[:, None, None] * (i - j)
            bias = bias[None]
        return jax.nn.dot_product_attention(q, k, v, bias=bias, is_causal=a.causal,
                                            local_window_size=window)
    return jit(attend, q, k, v)


def feature_map(a):
    """A function from [..., D] to features whose products are the similarity."""
    if a.similarity == "elu":
        return lambda x: jax.nn.elu(x) + 1

    def phi(x):
        y = 2.0 ** 0.5 * x
        pairs = [x[..., i:i + 1] * y[..., i + 1:] for i in range(a.D - 1)]
        return jnp.concatenate([jnp.ones_like(x[..., :1]), y, x * x, *pairs], -1)
    return phi


def with_one(v):
    """v and a column of ones, whose sum is the normaliser."""
    return jnp.concatenate([v, jnp.ones_like(v[..., :1])], -1)


def divided(x):
    """Sums over the normaliser in the last column."""
    return x[..., :-1] / x[..., -1:]


def features(a, q, k, v):
    """Linear attention by features of all keys and queries."""
    phi = feature_map(a)

    def attend(q, k, v):
        return divided(phi(q) @ (transposed(phi(k)) @ with_one(v)))
    return jit(attend, *arrays(q, k, v))


def chunked(a, q, k, v):
    """Causal linear attention: a scan over chunks."""
    phi, size = feature_map(a), min(CHUNK, a.n)

    def attend(q, k, v):
        def body(state, part):
            x, y, w = part
            fx, fy = phi(x), phi(y)
            pairs = (x @ transposed(y) + 1) ** 2 if a.similarity == "quadratic" \
                else fx @ transposed(fy)
            out = fx @ state + jnp.tril(pairs) @ w
            return state + transposed(fy) @ w, divided(out)

        def split(x):
            return jnp.moveaxis(x[0].reshape(a.h, -1, size, x.shape[-1]), 1, 0)
        state = jnp.zeros((a.h, a.features, a.D + 1))
        _, outs = lax.scan(body, state, (split(q), split(k), split(with_one(v))))
        return jnp.moveaxis(outs, 0, 1).reshape(1, a.h, a.n, a.D)
    return jit(attend, *arrays(q, k, v))


def stepper(a, q, k, v):
    """A call (t) that adds token t to a state, donated so that it is updated in place."""
    phi = feature_map(a)
    q, k, v = arrays(q, k, v)
    ones = with_one(v)
    tokens = [(q[0, :, t:t + 1], k[0, :, t:t + 1], ones[0, :, t:t + 1]) for t in range(a.n)]
    kept = [jnp.zeros((a.h, a.features, a.D + 1))]

    def one(state, x, y, w):
        state = state + transposed(phi(y)) @ w
        return state, divided(phi(x) @ state)
    compiled = jax.jit(one, donate_argnums=0)

    def step(t):
        kept[0], out = compiled(kept[0], *tokens[t])
        return out.block_until_ready()
    return step
