"""Callbacks that watch a number of the history for its best value."""

import math
import os

from .._files import remove_parts
from .._messages import whole
from .._safetensors import save_weights
from ._callbacks import Callback, check_folder, check_name


class Watching(Callback):
    """The base of the two below: whether this epoch is the best so far."""

    def __init__(self, monitor, mode):
        if mode not in (None, "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'min' or 'max', got "
                             f"{mode!r}")
        mode = mode or ("max" if "accuracy" in monitor else "min")
        self.monitor, self.sign = monitor, 1 if mode == "max" else -1
        self.begin()

    def begin(self):
        """Nothing was seen yet."""
        self.best = None

    def on_start(self, run):
        check_name(type(self).__name__, self.monitor, run)
        if not run.steps:                   # not resumed: what another run reached is no matter
            self.begin()

    def better(self, run, than, by=0.0):
        """Whether the last row is better than the value ``than`` by more than ``by``; than None
        any number is, and nan never."""
        value = run.history[-1][self.monitor]
        if than is None:
            return not math.isnan(value)
        return self.sign * (value - than) > by

    def settings(self):
        return {"monitor": self.monitor, "sign": self.sign}


class EarlyStopping(Watching):
    """Stops when ``monitor`` has not become better by more than ``min_delta`` for ``patience``
    epochs, and in the end gives the model the weights of its best epoch.

    ``monitor`` is a name of the history. Better is more for a name that says accuracy and less
    for others, or what ``mode`` says ("min", "max"). The best weights are put back (buffers
    too) whether or not it stopped early; ``best_epoch`` and ``best`` say when and what it was.
    The optimiser stays where the last epoch left it.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x, model = np.ones((8, 1), np.float32), tn.nn.Linear(1, 1, rng=0)
    >>> stop = tn.train.EarlyStopping("loss", patience=2, min_delta=10.0)
    >>> len(tn.train.fit(model, (x, x), tn.nn.mse_loss, tn.optim.SGD(model.parameters()), 50,
    ...                  callbacks=[stop], progress=False)), stop.best_epoch
    (3, 1)
    """

    def __init__(self, monitor="val_loss", patience=5, min_delta=0.0, mode=None):
        super().__init__(monitor, mode)
        self.patience, self.min_delta = whole("EarlyStopping: patience", patience), min_delta

    def begin(self):
        self.best = self.best_epoch = self.weights = None

    def on_epoch(self, run):
        if self.better(run, self.best, self.min_delta):
            self.best, self.best_epoch = run.history[-1][self.monitor], run.epoch
            self.weights = run.model.state_dict()
        elif run.epoch - (self.best_epoch or 0) >= self.patience:
            run.stopped = (f"{self.monitor} has not become better for {self.patience} "
                           f"epoch{'s' * (self.patience > 1)}")

    def on_end(self, run):
        if self.weights is not None:
            run.model.load_state_dict(self.weights)

    def settings(self):
        return {**super().settings(), "patience": self.patience, "min_delta": self.min_delta}

    def state_dict(self):
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self.weights}

    def load_state_dict(self, state):
        vars(self).update(state)


class SaveBest(Watching):
    """Writes the model's weights to a file each time ``monitor`` is better than ever before.

    ``monitor`` and ``mode`` as in `EarlyStopping`. The file holds what `save_weights` writes,
    with the epoch and the value as metadata, and is replaced as a whole or not at all:
    ``model.load_state_dict(tn.load_weights(path))`` reads it.
    """

    def __init__(self, path, monitor="val_loss", mode=None):
        super().__init__(monitor, mode)
        self.path = os.fspath(path)

    def on_start(self, run):
        super().on_start(run)
        check_folder("SaveBest", self.path)
        remove_parts(self.path)

    def on_epoch(self, run):
        if self.better(run, self.best):
            self.best = run.history[-1][self.monitor]
            save_weights(self.path, run.model, {"epoch": str(run.epoch),
                                                self.monitor: repr(self.best)})

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, state):
        self.best = state["best"]
