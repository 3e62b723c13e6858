"""The tutorials' networks, a few lines each."""

import itertools

import numpy as np

from . import nn


class CatClassifier(nn.Module):
    """The tutorials' deep network: linear -> ReLU for each hidden layer, linear -> sigmoid at
    last.

    ``layers``: the sizes, input first; (N, layers[0]) pixels in 0..1 to (N, layers[-1])
    probabilities. Weights start as ``randn(n, n_before) / sqrt(n_before)``, or times
    ``init_scale`` where given (0.01 is the course's two-layer warm-up), biases 0. ``randn``:
    what draws them, e.g. ``np.random.RandomState(1).randn``, the tutorial's stream; else
    ``rng`` (a seed or a Generator).
    """

    def __init__(self, layers=(12288, 20, 7, 5, 1), *, init_scale=None, rng=None, randn=None,
                 dtype=np.float32):
        if len(layers) < 2:
            raise ValueError(f"CatClassifier: layers={layers!r} must name at least the sizes "
                             "of the input and of the output")
        rng = np.random.default_rng(rng)
        randn = randn or (lambda *shape: rng.standard_normal(shape))
        blocks = []
        for n_in, n_out in itertools.pairwise(layers):
            linear = nn.Linear(n_in, n_out, rng=rng, dtype=dtype)
            w = randn(n_out, n_in)
            w = w / np.sqrt(n_in) if init_scale is None else w * init_scale
            linear.weight.data = w.astype(dtype)
            linear.bias.data = np.zeros(n_out, dtype)
            blocks += [linear, nn.ReLU()]
        blocks[-1] = nn.Sigmoid()
        self.layers = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layers(x)
