"""The problems: data, initial weights and what is computed, the same for every framework.

Knows NumPy only. All is drawn from fixed seeds, so each worker process makes its own copy.
"""

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path
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
    """Full-batch descent on a network of ReLU layers with a sigmoid and cross-entropy last, or
    with ``hinge`` that loss of what the last layer gives."""

    x: np.ndarray                    # (samples, features)
    y: np.ndarray                    # (samples, 1), zeros and ones; with ``hinge`` -1 and 1
    weights: list[np.ndarray]        # (out, in) of each layer
    biases: list[np.ndarray]         # (out,)
    rate: float
    hinge: bool
    iterations: int                  # of a whole training; 0: a step is one of them

    expected = None                  # the hand-written step is the reference


class Network(NamedTuple):
    """A classifier and one batch, trained by Adam.

    Weights with four axes are convolutions, each followed by ReLU and 2 x 2 max pooling; then
    the images are flattened; weights with two axes are linear layers with ReLU between them.
    Integer labels mean softmax and cross-entropy, floats a logit and binary cross-entropy.
    """

    x: np.ndarray                    # (samples, features), or images (N, C, H, W)
    y: np.ndarray                    # (samples,) labels, or (samples, 1) zeros and ones
    weights: list[np.ndarray]        # (out, in) or (out, in, kh, kw)
    biases: list[np.ndarray]
    rate: float
    batch: int = 0                   # samples of a batch of `fit`; 0: x is one batch
    shuffle: bool = True
    betas = (0.9, 0.999)
    eps = 1e-8

    expected = None

    def head(self, batches):
        """The same with the first samples only, in their order."""
        n = batches * self.batch
        return self._replace(x=self.x[:n], y=self.y[:n], shuffle=False)

    def channels_last(self):
        """The same for frameworks that like images as (N, H, W, C), kernels (kh, kw, in, out),
        with the columns of the first linear layer in that order."""
        kernels = [w.transpose(2, 3, 1, 0).copy() for w in self.weights if w.ndim == 4]
        first, *rest = [w for w in self.weights if w.ndim == 2]
        channels = kernels[-1].shape[-1]
        side = int((first.shape[1] // channels) ** 0.5)
        first = first.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
        return self._replace(x=self.x.transpose(0, 2, 3, 1).copy(),
                             weights=[*kernels, first.reshape(len(first), -1), *rest])


class Pictures(NamedTuple):
    """JPEG files to train a `Network` on, decoded and made smaller on the way."""

    folder: str                      # within TMPDIR, which belongs to the worker
    classes: list[str]               # sub-folders, in the order of the labels
    network: Network                 # ``x`` and ``y`` are empty, of the shapes of a sample
    batches: int                     # of an epoch
    shuffle: bool = True

    def head(self, batches):
        return self._replace(batches=batches, shuffle=False)

    @property
    def files(self):
        """[(path, label)], class by class, by name."""
        return [(path, label) for label, name in enumerate(self.classes)
                for path in sorted((Path(self.folder) / name).iterdir())]


class Block(NamedTuple):
    """``y = layer_norm(x + gelu(x))`` over the last axis, gelu by its tanh formula, and back
    from the gradient of y to those of x, weight and bias."""

    x: np.ndarray                    # (rows, features)
    weight: np.ndarray               # (features,)
    bias: np.ndarray                 # (features,)
    seed: np.ndarray                 # (rows, features), the gradient of y
    eps = 1e-5

    expected = None


def chain(n, size, arrays=False):
    """``arrays``: the constants are arrays of the same size in place of Python floats."""
    x = np.linspace(0.5, 1.5, size)
    factor, term = 1.0001, 0.1
    if arrays:
        factor, term = np.full(size, factor), np.full(size, term)
    return Chain(x, factor, term, np.linspace(1.0, 2.0, size), n)


def mlp(layers, samples, seed, rate=0.0075, hinge=False, iterations=0):
    """Pixels uniform in 0..1, random labels, weights ``randn / sqrt(inputs)``, biases 0."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, layers[0]), dtype=np.float32)
    y = rng.integers(0, 2, (samples, 1)).astype(np.float32)
    weights = [rng.standard_normal((n, m), dtype=np.float32) / np.float32(m ** 0.5)
               for m, n in itertools.pairwise(layers)]
    return Mlp(x, 2 * y - 1 if hinge else y, weights,
               [np.zeros(n, np.float32) for n in layers[1:]], rate, hinge, iterations)


def network(image, convolutions, layers, samples, classes, seed, rate, batch=0):
    """``image``: (C, H, W), or (features,); ``convolutions``: channels of each, 3 x 3;
    ``layers``: the linear layers' outputs, ``classes`` at last (1: a logit)."""
    rng = np.random.default_rng(seed)
    x = rng.random((samples, *image), dtype=np.float32)
    y = (rng.integers(0, classes, samples) if classes > 1
         else rng.integers(0, 2, (samples, 1)).astype(np.float32))
    shapes, channels, side = [], image[0], image[-1]
    for n in convolutions:
        shapes.append((n, channels, 3, 3))
        channels, side = n, (side - 2) // 2
    inputs = channels * side * side if convolutions else channels
    for n in (*layers, classes):
        shapes.append((n, inputs))
        inputs = n
    bounds = [np.float32(1 / np.prod(s[1:]) ** 0.5) for s in shapes]      # as PyTorch
    weights = [(2 * rng.random(s, dtype=np.float32) - 1) * b
               for s, b in zip(shapes, bounds, strict=True)]
    return Network(x, y, weights, [np.zeros(len(w), np.float32) for w in weights], rate,
                   batch)


def pictures(count, copies, side, **settings):
    """``count`` drawings of each of two classes, ``side`` pixels wide, ``copies`` times."""
    folder = tempfile.mkdtemp()
    subprocess.run([sys.executable, "-c", DRAWING, folder, str(count), str(side)], check=True)
    for file in list(Path(folder).glob("*/*.jpg")):
        for k in range(1, copies):
            (file.parent / f"{file.stem}-{k}.jpg").write_bytes(file.read_bytes())
    empty = network(samples=0, classes=1, **settings)
    return Pictures(folder, ["other", "cats"], empty, 2 * count * copies // empty.batch)


DRAWING = """
import sys
from pathlib import Path
from PIL import Image
from tinygrad_nn.data import write_drawings
folder, count, side = sys.argv[1:]
for file in write_drawings(folder, int(count), int(side)).glob("*/*.png"):
    Image.open(file).save(file.with_suffix(".jpg"), quality=90)
    file.unlink()
(Path(folder) / "drawings.json").unlink()
"""


def block(rows, features, seed):
    """Normal samples, weights near 1, biases near 0."""
    rng = np.random.default_rng(seed)
    x, g = (rng.standard_normal((rows, features), dtype=np.float32) for _ in range(2))
    weight, bias = (np.float32(0.1) * rng.standard_normal(features, dtype=np.float32)
                    for _ in range(2))
    return Block(x, 1 + weight, bias, g)
