"""What the tests of derivatives share: each way to one derivative, and how near is the same."""

import itertools

import numpy as np

import tinygrad_nn as tn


def same(a, b, **kw):
    """Equal but for rounding."""
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-12, **kw})


def forward(f):
    """The derivative along ones, by forward mode."""
    return lambda x: tn.jvp(f, (x,), (np.ones(np.shape(x)),))[1]


def by_vjp(f):
    """The gradient of the sum of the outputs, by a pullback."""
    return lambda x: tn.vjp(f, x)[1](np.ones(np.shape(x)))[0]


# Of a function of a number all four are its derivative, so they may follow in any order.
ONCE = {"grad": tn.grad, "jvp": forward, "vjp": by_vjp, "jacobian": tn.jacobian}
ORDERS = [*itertools.product(["grad", "jvp"], repeat=1),
          *itertools.product(["grad", "jvp"], repeat=2),
          *itertools.product(["grad", "jvp"], repeat=3), ("vjp",) * 3,
          ("vjp", "jacobian", "jvp"), ("jacobian", "jvp", "vjp"), ("grad",) * 4, ("jvp",) * 4]
