"""Callbacks: what a training run does besides learning. `Callback` is the form of all.

Those that watch a number of the history stand in `_watching`, checkpoints in `_checkpoint`.
"""

import csv
import json
import math
import os

import numpy as np

from .._errors import NonFiniteError
from .._modes import debug_nans
from .._transforms import flatten
from ..optim import ReduceLROnPlateau
from ..optim import Schedule as OptimSchedule


class Callback:
    """The base of callbacks: methods that `fit` calls, all of which do nothing here.

    They get the `Run`: ``run.model``, ``run.optimizer``, ``run.epoch`` (epochs done),
    ``run.step``, ``run.history`` …; a sentence assigned to ``run.stopped`` ends it after this
    epoch. They are called in the order of the list, `Checkpoint` last; ``on_start`` in the
    opposite order. One that keeps a state overrides ``state_dict`` and ``load_state_dict``, and
    its run can be resumed.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class ClipNorm(tn.train.Callback):
    ...     def on_gradients(self, run):
    ...         tn.optim.clip_grad_norm(run.optimizer.parameters, 1.0)
    """

    def on_start(self, run):
        """Before the first epoch; a resumed run is already where it was."""

    def on_gradients(self, run):
        """After the backward pass of a step, before the update."""

    def on_step(self, run):
        """After the update."""

    def on_epoch(self, run):
        """After an epoch and its validation; ``run.history[-1]`` is its row."""

    def on_end(self, run):
        """After the last epoch, unless an exception ended the run."""

    def close(self):
        """At the very end, whatever ended the run."""

    def settings(self):
        """What must be the same in a run that is resumed, {name: value}; None for a callback
        that only looks on, which such a run may have or not."""
        return {}

    def state_dict(self):
        """What a checkpoint keeps of it: numbers, strings, lists, dicts by name, arrays."""
        return {}

    def load_state_dict(self, state):
        """Take over what `state_dict` gave."""


class Schedule(Callback):
    """Steps a learning-rate schedule of `optim`, ``per="epoch"`` or ``per="step"``.

    `optim.ReduceLROnPlateau` is given ``monitor``, a name of the history, each epoch.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x, model = np.ones((8, 1), np.float32), tn.nn.Linear(1, 1, rng=0)
    >>> opt = tn.optim.SGD(model.parameters(), lr=0.1)
    >>> halve = tn.train.Schedule(tn.optim.ExponentialLR(opt, 0.5))
    >>> tn.train.fit(model, (x, x), tn.nn.mse_loss, opt, 3, callbacks=[halve],
    ...              progress=False)["lr"]
    [0.1, 0.05, 0.025]
    """

    def __init__(self, schedule, per="epoch", monitor="val_loss"):
        if not isinstance(schedule, OptimSchedule):
            raise TypeError("Schedule takes a schedule of optim, got "
                            f"{type(schedule).__name__}")
        if per not in ("epoch", "step"):
            raise ValueError(f"Schedule: per must be 'epoch' or 'step', got {per!r}")
        self.plateau = isinstance(schedule, ReduceLROnPlateau)
        if self.plateau and per == "step":
            raise ValueError("Schedule: ReduceLROnPlateau looks at an epoch, per='epoch'")
        self.schedule, self.per, self.monitor = schedule, per, monitor

    def on_start(self, run):
        if self.schedule.optimizer is not run.optimizer:
            raise ValueError(f"Schedule: {type(self.schedule).__name__} belongs to another "
                             "optimiser than the one that fit was given")
        if self.plateau:
            check_name("Schedule", self.monitor, run)

    def on_step(self, run):
        if self.per == "step":
            self.schedule.step()

    def on_epoch(self, run):
        if self.plateau:
            self.schedule.step(run.history[-1][self.monitor])
        elif self.per == "epoch":
            self.schedule.step()

    def settings(self):
        return {"schedule": type(self.schedule).__name__, "per": self.per,
                **({"monitor": self.monitor} if self.plateau else {}),
                **self.schedule.state_dict()}

    def state_dict(self):
        return self.schedule.state_dict()

    def load_state_dict(self, state):
        self.schedule.load_state_dict(state)


class Log(Callback):
    """Writes each row of the history to a file as it comes: ``.csv``, or ``.jsonl`` with a JSON
    object a line, where numbers that are not finite are null.

    A new run begins the file anew; a resumed one writes the rows so far and goes on.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        if not self.path.endswith((".csv", ".jsonl")):
            raise ValueError(f"Log: the name of the file must end in .csv or .jsonl, got "
                             f"{self.path!r}")

    def settings(self):
        return None

    def on_start(self, run):
        self._write("w", run.history)

    def on_epoch(self, run):
        self._write("a", run.history[-1:])

    def _write(self, mode, rows):
        with open(self.path, mode, encoding="utf-8", newline="") as f:
            if self.path.endswith(".csv"):
                header = [row.keys() for row in rows if row["epoch"] == 1]
                csv.writer(f).writerows([*header, *(row.values() for row in rows)])
            else:
                f.writelines(json.dumps({k: v if math.isfinite(v) else None
                                         for k, v in row.items()}) + "\n" for row in rows)


class StopOnNan(Callback):
    """Raises `NonFiniteError` at the first step whose loss or gradients are not finite, before
    the update: the model stays as it was before that step.

    The message says where it came from: the step is done again under `debug_nans`, which names
    the operation and its line.
    """

    def settings(self):
        return None

    def on_gradients(self, run):
        if not math.isfinite(run.value):
            what = f"the loss is {run.value}"
        else:
            wrong = [name for name, p in run.model.named_parameters()
                     if p.grad is not None and not np.isfinite(p.grad).all()]
            if not wrong:
                return
            what = f"the gradient of {wrong[0]} is not finite"
        raise NonFiniteError(f"epoch {run.epoch + 1}, step {run.step + 1}: {what}. "
                             f"{self._cause(run)}")

    def _cause(self, run):
        for what, tree in zip(("samples", "targets"), run.batch, strict=True):
            if not all(_finite(a) for _, a in flatten(tree)):
                return f"The {what} of this batch hold a nan or an infinity already"
        for name, a in run.model.state_dict().items():
            if not _finite(a):
                return (f"{name} held a nan or an infinity before this step: was the learning "
                        f"rate ({run.optimizer.lr:g}) too high?")
        try:
            with debug_nans():
                run.again()
        except NonFiniteError as error:
            return f"The cause: {error}"
        return "Done again under debug_nans, the step did not show where"


def _finite(a):
    a = np.asarray(a)
    return a.dtype.kind != "f" or bool(np.isfinite(a).all())


def check_folder(who, path):
    """Raise where there is no folder for a file, or one in its place, before there is something
    to write."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"{who}: {path} is a folder: name a file, "
                                f"{os.path.join(path, 'run.safetensors')}")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{who}: there is no folder {folder} for {path}")


def check_name(who, name, run):
    """Raise unless the history will hold this name."""
    if name not in run.names:
        hint = ": pass validation to fit" if name.startswith("val_") else ""
        raise ValueError(f"{who}: monitor={name!r} is no name of the history, which will hold "
                         f"{', '.join(run.names)}{hint}")
