"""tinygrad_nn: whole epochs of `train.fit`."""

import itertools
from time import perf_counter

import tinygrad_nn as tn

from . import ours


def arrays(p):
    return _fit(p, _in_order(p) if not p.shuffle else (p.x, p.y), compile=False)


def arrays_compiled(p):
    return _fit(p, _in_order(p) if not p.shuffle else (p.x, p.y), compile=True)


def pictures(p):
    """Each picture is decoded in each epoch."""
    return _fit(p.network, _loader(p, cache_bytes=0), compile=True)


def pictures_cached(p):
    """As `data.ImageFolder` does it unless told otherwise: decoded pictures stay in memory."""
    return _fit(p.network, _loader(p), compile=True)


def _in_order(p):
    ends = itertools.pairwise(range(0, len(p.x) + 1, p.batch))
    return [(p.x[i:j], p.y[i:j]) for i, j in ends]


def _loader(p, **settings):
    side = p.network.x.shape[-1]
    folder = tn.data.ImageFolder(p.folder, side, classes=p.classes, **settings)
    return tn.data.DataLoader(Columns(folder), p.network.batch, shuffle=p.shuffle), p.batches


class Columns:
    """A data set with each label as the (1,) that a network with one output is compared to."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        x, y = self.dataset[i]
        return x, [float(y)]


def _fit(p, data, compile):
    model, optimiser, loss_of = ours.network_parts(p)
    data, steps = data if isinstance(data[0], tn.data.DataLoader) else (data, None)

    def run(epochs):
        clock = Clock()
        history = tn.train.fit(model, data, loss_of, optimiser, epochs, batch_size=p.batch,
                               metrics=["accuracy"], callbacks=[clock], progress=False,
                               steps_per_epoch=steps, compile=compile)
        return clock.seconds(), history["loss"]
    return run


class Clock(tn.train.Callback):
    """When epochs end."""

    def on_start(self, run):
        self.times = [perf_counter()]

    def on_epoch(self, run):
        self.times.append(perf_counter())

    def seconds(self):
        return [b - a for a, b in itertools.pairwise(self.times)]
