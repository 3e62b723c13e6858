"""Check derivatives of code of your own: an operation, a layer, a model, and a trap.

    pip install '.[test]' && python examples/check_gradients.py

Each part shows code that is right, then the same with a mistake in it, and what is said of it.
"""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import nn, testing

# ---------------------------------------------------------------- an operation


def softsign_with(rule):
    """x / (1 + |x|) as an operation whose derivative is ``rule``."""
    @tn.primitive
    def softsign(x):
        return x / (1 + np.abs(x))
    tn.rules.elementwise(softsign, rule)
    return softsign


def an_operation():
    """`check_op` draws shapes, layouts, dtypes and special points, for values and derivatives
    of both modes and two orders."""
    right = softsign_with(lambda x: 1 / (1 + np.abs(x)) ** 2)
    testing.check_op(right, ref=lambda x: x / (1 + np.abs(x)))
    print("softsign: right")
    show(testing.check_op, softsign_with(lambda x: 1 / (1 + np.abs(x))))    # square forgotten


# ---------------------------------------------------------------- a layer

class Gate(nn.Module):
    """x * sigmoid(x * weight), with a derivative of its own: half of it or all."""

    def __init__(self, size, whole=True):
        self.weight = tn.Tensor(np.ones(size, np.float32))

        def gate(x, w):
            return x * tn.sigmoid(x * w)

        def pull(g, x, w):
            s = tn.sigmoid(x * w)
            by_product = g * x * s * (1 - s)
            return g * s + (by_product * w if whole else 0), np.sum(by_product * x, 0)
        self.gate = tn.custom_vjp(gate, pull)

    def forward(self, x):
        """(N, size) to (N, size)."""
        return self.gate(x, self.weight)


def a_layer():
    """A layer is a function of its parameters and its input."""
    x = np.random.default_rng(0).normal(size=(4, 3))
    print(tn.gradcheck(lambda gate, x: gate(x), Gate(3), x))
    show(tn.gradcheck, lambda gate, x: gate(x), Gate(3, whole=False), x)


# ---------------------------------------------------------------- a whole model with its loss

def a_model():
    """All parameters by name, in float64; the operation that is wrong is found among all."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8, 5)), rng.integers(0, 3, 8)

    def model(gate):
        return nn.Sequential(nn.Linear(5, 6, rng=1), gate, nn.Linear(6, 3, rng=2))
    print(tn.gradcheck(lambda m: nn.cross_entropy(m(x), t), model(Gate(6)), order=2))
    show(tn.gradcheck, lambda m: nn.cross_entropy(m(x), t), model(Gate(6, whole=False)))


# ---------------------------------------------------------------- a trap

@tn.primitive
def exp_ratio(x):
    """(exp(x) - 1) / x, which is 1 at 0."""
    return np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x))


@tn.primitive
def exp_ratio_slope(x):
    """The derivative of `exp_ratio`; at 0 it should be 1/2."""
    x1 = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 0.0, (np.exp(x1) - np.expm1(x1) / x1) / x1)


tn.rules.elementwise(exp_ratio, lambda x: exp_ratio_slope(x))


def a_trap():
    """Wrong at one point only, which no normal draw hits; `check_op` goes there on purpose, and
    shrinks what it found to one number."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        tn.gradcheck(exp_ratio, rng.normal(size=10))
    print("exp_ratio: right at 100 x 10 normal draws")
    show(testing.check_op, exp_ratio, order=1)


def show(check, *args, **kwargs):
    """Print what a check that must fail says."""
    try:
        check(*args, **kwargs)
    except tn.GradcheckError as error:
        print(f"\n{error}\n")
    else:
        raise SystemExit("the mistake was not found")


if __name__ == "__main__":
    for part in (an_operation, a_layer, a_model, a_trap):
        print(f"--- {part.__name__.replace('_', ' ')}")
        part()
