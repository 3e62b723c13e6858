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


def conv_net(channels, size, outputs, *, hidden=None, dropout=0.0, rng=None):
    """A small convolutional network: (N, channels[0], size, size) to (N, outputs) logits.

    A block for each further number of ``channels``: a 3 × 3 convolution to so many, max pooling
    that halves the sides, batch norm, ReLU. Then dropout, one dense layer of ``hidden`` units
    with ReLU and dropout where given, and the last dense layer.

    Normalisation and ReLU come after the pooling, where a quarter of the numbers is left: with
    them before it a step takes up to half as long again.

    >>> import numpy as np
    >>> conv_net((1, 8, 16), 28, 10, hidden=32, rng=0)(np.zeros((5, 1, 28, 28))).shape
    (5, 10)
    """
    if len(channels) < 2 or size >> len(channels) - 1 < 1:
        raise ValueError(f"conv_net: channels={channels!r} must name those of the input and of "
                         f"at least one block, and each block halves the sides, here {size}")
    rng, layers = np.random.default_rng(rng), []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1, rng=rng), nn.MaxPool2d(2),
                   nn.BatchNorm2d(after), nn.ReLU()]
    layers.append(nn.Flatten())
    widths = [channels[-1] * (size >> len(channels) - 1) ** 2, *([hidden] if hidden else [])]
    for before, after in itertools.pairwise([*widths, outputs]):
        layers += [nn.Dropout(dropout, rng=rng)] if dropout else []
        layers += [nn.Linear(before, after, rng=rng), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def keras_net(size, *, rng=None):
    """The network of the Keras tutorial on cats and dogs: one convolution and two dense layers.

    Conv2D 32 of 3 × 3 without padding, ReLU, max pooling, flatten, dense 128, ReLU, dense 1;
    (N, 3, size, size) to (N, 1) logits, the tutorial's sigmoid being left to the loss.
    """
    rng, side = np.random.default_rng(rng), (size - 2) // 2
    if side < 1:
        raise ValueError(f"keras_net: pictures must have at least 4 pixels a side, got {size}")
    return nn.Sequential(nn.Conv2d(3, 32, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(32 * side ** 2, 128, rng=rng), nn.ReLU(),
                         nn.Linear(128, 1, rng=rng))
