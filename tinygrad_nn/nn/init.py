"""Initial values of parameters, by the names of the papers that proposed them.

Each takes a shape and returns a new array; ``rng`` is a seed or a NumPy Generator, ``dtype``
that of the array. The draws are made in double precision, so that a model in float32 starts as
the same model in float64 does. Of a weight of shape (out, in, *kernel), fan-in is
``in * prod(kernel)``, the number of inputs of an output, and fan-out ``out * prod(kernel)``:

    layer.weight.data = nn.init.kaiming_normal(layer.weight.shape, rng=0)
"""

import math

import numpy as np

from .._errors import ShapeError

__all__ = [
    "constant",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "normal",
    "ones",
    "orthogonal",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def zeros(shape, *, dtype=np.float32):
    """All 0."""
    return constant(shape, 0.0, dtype=dtype)


def ones(shape, *, dtype=np.float32):
    """All 1."""
    return constant(shape, 1.0, dtype=dtype)


def constant(shape, value, *, dtype=np.float32):
    """All ``value``.

    >>> from tinygrad_nn import nn
    >>> nn.init.constant(2, 0.25)
    array([0.25, 0.25], dtype=float32)
    """
    return np.full(shape, value, dtype)


def uniform(shape, low=0.0, high=1.0, *, rng=None, dtype=np.float32):
    """Uniform in low..high."""
    if not low <= high:
        raise ValueError(f"init.uniform: low={low!r} must not be above high={high!r}")
    return np.random.default_rng(rng).uniform(low, high, shape).astype(dtype)


def normal(shape, mean=0.0, std=1.0, *, rng=None, dtype=np.float32):
    """Normal with this mean and standard deviation.

    >>> from tinygrad_nn import nn
    >>> nn.init.normal((2, 3), std=0.02, rng=0).shape
    (2, 3)
    """
    if not std >= 0:
        raise ValueError(f"init.normal: std must be at least 0, got {std!r}")
    return np.random.default_rng(rng).normal(mean, std, shape).astype(dtype)


def trunc_normal(shape, mean=0.0, std=1.0, low=-2.0, high=2.0, *, rng=None, dtype=np.float32):
    """Normal, but only values in low..high: what falls outside is drawn again.

    Drawn by rejection (J. von Neumann, *Various techniques used in connection with random
    digits*, 1951) from a uniform proposal over the part of low..high within 12 std.

    >>> from tinygrad_nn import nn
    >>> bool(abs(nn.init.trunc_normal(1000, std=0.02, low=-0.04, high=0.04)).max() <= 0.04)
    True
    """
    if not std > 0:
        raise ValueError(f"init.trunc_normal: std must be positive, got {std!r}")
    a, b = max((low - mean) / std, -12.0), min((high - mean) / std, 12.0)
    if not a < b:
        raise ValueError(f"init.trunc_normal: low={low!r} and high={high!r} leave nothing of a "
                         f"normal distribution with mean {mean!r} and std {std!r}")
    rng = np.random.default_rng(rng)
    top = min(max(a, 0.0), b)                           # where the density is greatest
    z, again = np.empty(shape), np.ones(shape, bool)
    while again.any():
        n = np.count_nonzero(again)
        z[again] = rng.uniform(a, b, n)
        again[again] = rng.uniform(size=n) > np.exp((top * top - z[again] ** 2) / 2)
    return np.clip(mean + std * z, low, high).astype(dtype)


def xavier_uniform(shape, gain=1.0, *, rng=None, dtype=np.float32):
    """Uniform in ±gain sqrt(6 / (fan-in + fan-out)), for tanh and sigmoid layers.

    X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
    networks*, AISTATS 2010.
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform", shape)))
    return uniform(shape, -bound, bound, rng=rng, dtype=dtype)


def xavier_normal(shape, gain=1.0, *, rng=None, dtype=np.float32):
    """Normal with std gain sqrt(2 / (fan-in + fan-out)); source as of `xavier_uniform`."""
    std = gain * math.sqrt(2 / sum(_fans("xavier_normal", shape)))
    return normal(shape, 0.0, std, rng=rng, dtype=dtype)


def kaiming_uniform(shape, a=0.0, mode="fan_in", *, rng=None, dtype=np.float32):
    """Uniform in ±sqrt(6 / ((1 + a²) fan)), for layers before a (leaky) ReLU.

    ``a``: the slope of the rectifier where it is negative, 0 for ReLU; ``mode``: "fan_in" keeps
    the variance of the forward pass, "fan_out" that of the backward pass. K. He, X. Zhang,
    S. Ren, J. Sun, *Delving deep into rectifiers*, ICCV 2015.

    >>> import numpy as np
    >>> from tinygrad_nn import nn
    >>> bool(abs(nn.init.kaiming_uniform((8, 6), rng=0)).max() <= 1)
    True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform", shape, a, mode)
    return uniform(shape, -bound, bound, rng=rng, dtype=dtype)


def kaiming_normal(shape, a=0.0, mode="fan_in", *, rng=None, dtype=np.float32):
    """Normal with std sqrt(2 / ((1 + a²) fan)); arguments and source as `kaiming_uniform`."""
    std = _kaiming_std("kaiming_normal", shape, a, mode)
    return normal(shape, 0.0, std, rng=rng, dtype=dtype)


def lecun_normal(shape, *, rng=None, dtype=np.float32):
    """Normal with std 1 / sqrt(fan-in).

    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, *Efficient BackProp*, 1998.
    """
    fan_in, _ = _fans("lecun_normal", shape)
    return normal(shape, 0.0, 1 / math.sqrt(fan_in), rng=rng, dtype=dtype)


def orthogonal(shape, gain=1.0, *, rng=None, dtype=np.float32):
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer.

    Axes beyond the first count as one. A. Saxe, J. McClelland, S. Ganguli, *Exact solutions to
    the nonlinear dynamics of learning in deep linear neural networks*, ICLR 2014.

    >>> from tinygrad_nn import nn
    >>> w = nn.init.orthogonal((2, 5), rng=0)
    >>> (w @ w.T).round(5) + 0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    _fans("orthogonal", shape)
    rows, columns = shape[0], math.prod(shape[1:])
    x = np.random.default_rng(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(x)
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)     # else not uniform among all of them
    return np.reshape(gain * (q.T if rows < columns else q), shape).astype(dtype)


def _kaiming_std(name, shape, a, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init.{name}: mode={mode!r}, expected 'fan_in' or 'fan_out'")
    fan = _fans(name, shape)[mode == "fan_out"]
    return math.sqrt(2 / ((1 + a * a) * fan))


def _fans(name, shape):
    """(fan-in, fan-out) of a weight of this shape."""
    if np.ndim(shape) != 1 or len(shape) < 2 or min(shape) < 1:
        raise ShapeError(f"init.{name} is for weights of shape (out, in, ...), got {shape!r}; "
                         "biases start with init.zeros or init.uniform")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel
