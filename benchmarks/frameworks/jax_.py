"""JAX, the whole step in one `jit`; old parameters are given back to it (donated)."""

from functools import partial

import jax
import jax.numpy as jnp


def chain(p):
    jax.config.update("jax_enable_x64", True)
    n, seed = p.n, jnp.asarray(p.seed)
    factor, term = p.factor, p.term

    def f(x):
        for _ in range(n // 2):
            x = x * factor
            x = x + term
        return x

    @jax.jit
    def both(x, seed):
        y, pullback = jax.vjp(f, x)
        return y, *pullback(seed)

    x = jnp.asarray(p.x)
    return lambda: jax.block_until_ready(both(x, seed))


def mlp(p):
    x, y = jnp.asarray(p.x), jnp.asarray(p.y)
    layers = [(jnp.array(w), jnp.array(b)) for w, b in zip(p.weights, p.biases, strict=True)]
    rate, hinge = p.rate, p.hinge

    def loss_of(layers, x, y):
        a = x
        for w, b in layers[:-1]:
            a = jax.nn.relu(a @ w.T + b)
        w, b = layers[-1]
        if hinge:
            return jnp.mean(jax.nn.relu(1 - y * (a @ w.T + b)))
        q = jax.nn.sigmoid(a @ w.T + b)
        return -jnp.mean(y * jnp.log(q) + (1 - y) * jnp.log1p(-q))

    @partial(jax.jit, donate_argnums=0)
    def update(layers, x, y):
        loss, g = jax.value_and_grad(loss_of)(layers, x, y)
        return loss, jax.tree.map(lambda w, d: w - rate * d, layers, g)

    def step():
        nonlocal layers
        loss, layers = jax.block_until_ready(update(layers, x, y))
        return (loss,)
    return step


def network(p):
    p = p.channels_last() if p.x.ndim == 4 else p
    x, y = jnp.asarray(p.x), jnp.asarray(p.y)
    params = [(jnp.array(w), jnp.array(b)) for w, b in zip(p.weights, p.biases, strict=True)]
    state = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    (beta1, beta2), eps, rate, binary = p.betas, p.eps, p.rate, p.y.dtype.kind == "f"

    def loss_of(params, x, y):
        for k, (w, b) in enumerate(params):
            if w.ndim == 4:
                x = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID",
                                                 dimension_numbers=("NHWC", "HWIO", "NHWC"))
                x = jax.lax.reduce_window(jax.nn.relu(x + b), -jnp.inf, jax.lax.max,
                                          (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            else:
                x = x.reshape(len(x), -1) @ w.T + b
                x = jax.nn.relu(x) if k < len(params) - 1 else x
        if binary:
            return jnp.mean(jax.nn.softplus(x) - x * y)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1))

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params, m, v, t, x, y):
        loss, g = jax.value_and_grad(loss_of)(params, x, y)
        m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, g)
        v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, g)
        params = jax.tree.map(lambda w, m, v: w - rate / (1 - beta1 ** t) * m / (
            jnp.sqrt(v / (1 - beta2 ** t)) + eps), params, m, v)
        return loss, params, m, v

    t = 0

    def step():
        nonlocal params, state, t
        t += 1
        loss, params, *state = jax.block_until_ready(
            update(params, *state, jnp.float32(t), x, y))
        return (loss,)
    return step


def block(p):
    @jax.jit
    def both(x, weight, bias, seed):
        def f(x, weight, bias):
            h = x + jax.nn.gelu(x, approximate=True)
            d = h - jnp.mean(h, axis=1, keepdims=True)
            variance = jnp.mean(d * d, axis=1, keepdims=True)
            return d * jax.lax.rsqrt(variance + p.eps) * weight + bias
        y, pullback = jax.vjp(f, x, weight, bias)
        return y, *pullback(seed)

    arrays = [jnp.asarray(a) for a in p]
    return lambda: jax.block_until_ready(both(*arrays))
