"""`Dropout`, and the one place where a layer draws random numbers."""

import numpy as np

from ._module import Module


def draw(rng, shape):
    """Float32 numbers of ``shape``, uniform in 0..1, the next ones of the Generator ``rng``.

    All randomness within a training step goes through this function.
    """
    return rng.random(shape, np.float32)


class Dropout(Module):
    """Zeros for a random share ``p`` of the elements, the rest times 1 / (1 - p).

    In training only: in evaluation it is the identity. Which elements, is drawn from
    ``self.rng``, a Generator of its own (``rng``: a seed or a Generator), whose state a
    checkpoint can keep. Srivastava et al., *Dropout* (2014).

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(6))
    array([2., 2., 2., 0., 0., 0.])
    >>> layer.eval()(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p=0.5, *, rng=None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be a probability, within 0..1, got {p!r}")
        self.p, self.rng = float(p), np.random.default_rng(rng)

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        kept = draw(self.rng, np.shape(x)) >= self.p
        return np.where(kept, x * (1 / (1 - self.p) if self.p < 1 else 0.0), 0.0)

    def _settings(self):
        return f"{self.p}"
