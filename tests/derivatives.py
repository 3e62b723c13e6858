"""What the tests of derivatives share: every way to one derivative, every kind of box, how near
is the same, and the line that an error should name."""

import inspect
import itertools

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import Tensor


def same(a, b, **kw):
    """Equal but for rounding."""
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-12, **kw})


def forward(f):
    """The derivative along ones, by forward mode."""
    return lambda x: tn.jvp(f, (x,), (np.ones_like(x),))[1]


def by_vjp(f):
    """The gradient of the sum of the outputs, by a pullback."""
    return lambda x: tn.vjp(f, x)[1](np.ones(np.shape(x)))[0]


# Of a function of a number all four are its derivative, so they may follow in any order.
ONCE = {"grad": tn.grad, "jvp": forward, "vjp": by_vjp, "jacobian": tn.jacobian}
ORDERS = [*itertools.product(["grad", "jvp"], repeat=1),
          *itertools.product(["grad", "jvp"], repeat=2),
          *itertools.product(["grad", "jvp"], repeat=3), ("vjp",) * 3,
          ("vjp", "jacobian", "jvp"), ("jacobian", "jvp", "vjp"), ("grad",) * 4, ("jvp",) * 4]


def boxes(x):
    """``x`` as a leaf, a recorded Tensor, and the variables of reverse and of forward mode."""
    found = [Tensor(x), Tensor(x) * 1.0]
    tn.grad(lambda v: found.append(v) or np.sum(v))(x)
    tn.jvp(lambda v: found.append(v) or v, (x,), (x,))
    return found


def constant(*shape):
    """Numbers between 1 and 2, the same at every call."""
    return np.random.default_rng(0).uniform(1, 2, shape)


def line(offset=0):
    """The number of the caller's line."""
    return inspect.currentframe().f_back.f_lineno + offset
