"""`Embedding`: a table of vectors, looked up by integers."""

import numpy as np

from .._core import Box, traced
from .._tensor import Tensor
from .._transforms import stop_gradient
from ..rules._windows import whole
from ._checks import check_rows
from ._module import Module


class Embedding(Module):
    """Integers of any shape to vectors: (…,) to (…, embedding_dim), rows of ``weight``.

    ``weight`` (num_embeddings, embedding_dim) starts standard normal, as in PyTorch. The row
    ``padding_idx``, if given (negative: from the end), starts as zeros and gets no gradient.
    An index that is no integer or not in 0 .. num_embeddings - 1 is an error.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Embedding(10, 3, rng=0)
    >>> layer([[1, 2], [9, 1]]).shape
    (2, 2, 3)
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, *, rng=None,
                 dtype=np.float32):
        n = whole("Embedding: num_embeddings", num_embeddings)
        shape = n, whole("Embedding: embedding_dim", embedding_dim)
        weight = np.random.default_rng(rng).standard_normal(shape).astype(dtype)
        if padding_idx is not None:
            if not -n <= whole("Embedding: padding_idx", padding_idx, least=-n) < n:
                raise ValueError(f"Embedding: padding_idx={padding_idx} is not one of {n} rows")
            padding_idx %= n
            weight[padding_idx] = 0
        self.padding_idx = padding_idx
        self.weight = Tensor(weight)

    def forward(self, indices):
        indices, n = self._checked(indices), self.weight.shape[0]
        check_rows(indices, n, repr(self))
        y = self.weight[indices]
        if self.padding_idx is None:
            return y
        return np.where((indices == self.padding_idx)[..., None], stop_gradient(y), y)

    def _checked(self, indices):
        if isinstance(indices, Box) and not traced(indices):
            raise TypeError(f"{self!r} takes integers, got a Tensor: pass its "
                            ".data.astype(int)")
        indices = indices if traced(indices) else np.asarray(indices)
        if indices.dtype.kind not in "iu" and indices.size:
            raise TypeError(f"{self!r} takes integers, got dtype {indices.dtype}")
        return indices.astype(np.intp)

    def _settings(self):
        n, dim = self.weight.shape
        pad = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{n}, {dim}{pad}"
