"""Modules that several test files take apart."""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-14, **kw})


class Norm(nn.Module):
    """A running mean, its counter, and a scale."""

    def __init__(self, n=2):
        self.weight = Tensor(np.arange(1.0, n + 1))
        self.register_buffer("running_mean", np.zeros(n))
        self.register_buffer("num_batches_tracked", np.array(0))

    def forward(self, x):
        if self.training:
            mean = np.mean(tn.stop_gradient(x), 0)
            self.running_mean = 0.5 * self.running_mean + 0.5 * mean
            self.num_batches_tracked = self.num_batches_tracked + 1
            return self.weight * x
        return self.weight * (x - self.running_mean)


class Net(nn.Module):
    """No call of super().__init__(), lists, a dict, a shared parameter and a shared layer."""

    def __init__(self):
        self.first = nn.Linear(3, 2, rng=0, dtype=np.float64)
        self.blocks = [Norm(), {"deep": (nn.Linear(2, 2, rng=1, dtype=np.float64), "text")}]
        self.scales = [Tensor(np.ones(2)), None, Tensor(np.full(2, 0.5))]
        self.tied = self.first.bias
        self.again = self.blocks[0]
        self.settings = {"a": [1, 2], "b": np.ones(3)}

    def forward(self, x):
        x = np.tanh(self.blocks[0](self.first(x)))
        x = self.blocks[1]["deep"][0](x) * self.scales[0] + self.scales[2] * self.tied
        return self.again(x)


NAMES = ["first.weight", "first.bias", "blocks.0.weight", "blocks.1.deep.0.weight",
         "blocks.1.deep.0.bias", "scales.0", "scales.2"]
BUFFERS = ["blocks.0.running_mean", "blocks.0.num_batches_tracked"]
X = np.random.default_rng(0).normal(size=(4, 3))


def loss(model):
    return np.mean(model(X) ** 2)
