"""The problems: data, initial weights and what is computed, the same for every framework.

Knows NumPy only. All is drawn from fixed seeds, so each worker process makes its own copy.
"""

import itertools
from typing import NamedTuple

import numpy as np


class Chain(NamedTuple):
    """n operations, alternately ``y * factor`` and ``y + term``, and back with the seed."""

    x: np.ndarray
    factor: float | np.ndarray
    term: float | np.ndarray
    seed: np.ndarray
    n: int

    @property
    def expected(self):
        """(y, gradient of x) in closed form; half a million roundings leave 9 digits."""
        growth = 1.0001 ** (self.n // 2)
        y = self.x * growth + 0.1 * (growth - 1) / (1.0001 - 1)
        return y, self.seed * growth


class Mlp(NamedTuple):
    """Full-batch descent on a network of ReLU layers with a sigmoid and cross-entropy last."""

    x: np.ndarray                    # (samples, features)
    y: np.ndarray                    # (samples, 1), zeros and ones
    weights: list[np.ndarray]        # (out, in) of each layer
    biases: list[np.ndarray]         # (out,)
    rate: float

    expected = None                  # the hand-written step is the reference


def chain(n, size, arrays=False):
    """``arrays``: the constants are arrays of the same size in place of Python floats."""
    x = np.linspace(0.5, 1.5, size)
    factor, term = 1.0001, 0.1
    if arrays:
        factor, term = np.full(size, factor), np.full(size, term)
    return Chain(x, factor, term, np.linspace(1.0, 2.0, size), n)


def mlp(layers, samples, seed, rate=0.0075):
    """Pixels uniform in 0..1, random labels, weights ``randn / sqrt(inputs)``, biases 0."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, layers[0]), dtype=np.float32)
    y = rng.integers(0, 2, (samples, 1)).astype(np.float32)
    weights = [rng.standard_normal((n, m), dtype=np.float32) / np.float32(m ** 0.5)
               for m, n in itertools.pairwise(layers)]
    return Mlp(x, y, weights, [np.zeros(n, np.float32) for n in layers[1:]], rate)
