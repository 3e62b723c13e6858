"""Layers: what they hold and the one operation that each applies. Batches are rows."""

import math

import numpy as np

from .._errors import ShapeError
from .._tensor import Tensor
from ..rules import dense
from ..rules._windows import whole
from ._module import Module


class Linear(Module):
    """``y = x @ weight.T + bias``: (N, in_features) to (N, out_features).

    ``weight`` (out, in) and ``bias`` (out,) start uniform in ±1/sqrt(in_features), as in
    PyTorch. ``rng``: a seed or a NumPy Generator; ``dtype``: of the parameters.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Linear(3, 2, rng=0)(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    def __init__(self, in_features, out_features, bias=True, *, rng=None, dtype=np.float32):
        whole("Linear: in_features", in_features)
        whole("Linear: out_features", out_features)
        rng = np.random.default_rng(rng)
        bound = 1 / np.sqrt(in_features)

        def uniform(*shape):
            return Tensor(rng.uniform(-bound, bound, shape).astype(dtype))
        self.weight = uniform(out_features, in_features)
        self.bias = uniform(out_features) if bias else None

    def forward(self, x):
        if x.shape[-1:] != self.weight.shape[1:]:
            raise ShapeError(f"{self!r} expects inputs of shape (N, {self.weight.shape[1]}), "
                             f"got {x.shape}")
        y = dense(x, self.weight)
        return y if self.bias is None else y + self.bias

    def _multiply_adds(self, x_shape, y_shape):
        return math.prod(y_shape) * self.weight.shape[1]

    def _settings(self):
        out, in_ = self.weight.shape
        return f"{in_}, {out}" + ("" if self.bias is not None else ", bias=False")
