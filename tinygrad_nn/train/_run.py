"""`Run`: what a training works on and how far it has come; one step of it.

This is the state that callbacks see and checkpoints keep. The loop itself is in `_fit`.
"""

import functools

import numpy as np

from .._compile import Compiled
from .._errors import GraphError
from .._messages import name_of
from .._tensor import Tensor
from ._callbacks import Callback
from ._evaluate import measured, scalar
from ._fingerprint import fingerprint
from ._history import History
from ._metrics import Averages


class Run:
    """A run of `fit`, as callbacks get it.

    ``model``, ``loss``, ``optimizer``, ``metrics``: what `fit` was given; ``epochs``: how many
    it is to be. ``epoch``: epochs done; ``step``: steps done of the present epoch; ``steps``:
    of all; ``history``: a row for each epoch done; ``averages``: those of the present one;
    ``batch``: the present one, (x, t), and ``value``, its loss; ``names``: what a row of the
    history holds. ``stopped``: a sentence that says why no further epoch shall begin, to be set
    by a callback.
    """

    def __init__(self, model, loss, optimizer, epochs, *, feed, metrics, callbacks,
                 validation=None, validation_steps=None, compile=False):
        self.model, self.loss, self.optimizer, self.epochs = model, loss, optimizer, epochs
        self.feed, self.metrics, self.callbacks = feed, metrics, callbacks
        self.validation, self.validation_steps = validation, validation_steps
        self.epoch = self.step = self.steps = 0
        self.history, self.averages = History(), Averages(metrics)
        self.batch = self.value = self.stopped = None
        means = ("loss", *metrics)
        validated = [f"val_{name}" for name in means] if validation is not None else []
        self.names = ("epoch", *means, *validated, "lr")
        self.notes = []                     # sentences for the person, shown at the start
        self.keeping = [c for c in callbacks if type(c).state_dict is not Callback.state_dict]
        self.generators = dict(model.named_generators())
        self._buffers = [(p.owner, p.path) for p in model._unique("buffer")]
        self._differentiate = differentiation(model, loss)
        self._learn, self._update = self._differentiate, optimizer.step
        if compile:
            # A run that goes on must not show where: some of its first steps are recorded anew.
            exact = any(getattr(c, "resume", False) for c in callbacks)
            self._learn = Compiled(self._learn, exact)
            self._update = Compiled(self._update, exact)

    # ------------------------------------------------------------ what the loop does

    def learn(self, batch):
        """One step; where anything raises before the update, nothing was learnt from it."""
        self.batch, self._before = batch, self._passing()
        try:
            y, loss = self._learn(*batch)
            self.value = loss.item()
            self.averages.add(self.value, y.data, batch[1])
            self.call("on_gradients")
            self._update()
        except BaseException:
            self._put_back()
            raise
        finally:
            self.optimizer.zero_grad()
        self.step += 1
        self.steps += 1
        self.call("on_step")

    def validate(self):
        """{"val_loss": …} of the model as it is, in evaluation mode; nothing without data."""
        if self.validation is None:
            return {}
        means = measured(self.model, self.validation, self.loss, self.metrics,
                         self.validation_steps, "validation")
        return {f"val_{name}": mean for name, mean in means.items()}

    def end_epoch(self, validated):
        """Write the row of the epoch that is done, and go on to the next."""
        self.epoch, self.step = self.epoch + 1, 0
        self.history.append({"epoch": self.epoch, **self.averages.result(), **validated,
                             "lr": self.optimizer.lr})
        self.averages = Averages(self.metrics)
        self.call("on_epoch")

    def call(self, name):
        """Call this method of every callback."""
        for callback in self.callbacks:
            getattr(callback, name)(self)

    # ------------------------------------------------------------ one step

    def again(self):
        """Forward and backward on the present batch as the first time."""
        self._put_back()
        self.optimizer.zero_grad()
        self._differentiate(*self.batch)

    def _passing(self):
        """What a forward pass changes: a copy of the buffers and of the generators' states."""
        return ([np.array(getattr(owner, path)) for owner, path in self._buffers],
                [g.bit_generator.state for g in self.generators.values()])

    def _put_back(self):
        buffers, states = self._before
        for (owner, path), value in zip(self._buffers, buffers, strict=True):
            setattr(owner, path, value)
        for generator, state in zip(self.generators.values(), states, strict=True):
            generator.bit_generator.state = state

    # ------------------------------------------------------------ state

    @functools.cached_property
    def fingerprint(self):
        """What a run that goes on from this one must have in common with it; to be asked for
        first at its start, before anything has changed."""
        return fingerprint(self)

    def state_dict(self):
        """Everything that changes in a run: numbers, strings, lists and dicts, and arrays."""
        optimizer = self.optimizer.state_dict()
        kept = optimizer["state"]           # by position or name: JSON has no dicts by position
        return {"model": self.model.state_dict(),
                "generators": {name: g.bit_generator.state
                               for name, g in self.generators.items()},
                "optimizer": {**optimizer, "state": list(kept.values()), "keys": list(kept)},
                "callbacks": [c.state_dict() for c in self.keeping],
                "pass": self.feed.number, "offset": self.feed.offset, "epoch": self.epoch,
                "step": self.step, "steps": self.steps, "averages": self.averages.sums,
                "history": list(self.history), "stopped": self.stopped}

    def load_state_dict(self, state):
        """Go on where the run was that gave this state."""
        self.model.load_state_dict(state["model"])
        for name, generator in self.generators.items():
            generator.bit_generator.state = state["generators"][name]
        optimizer = dict(state["optimizer"])
        optimizer["state"] = dict(zip(optimizer.pop("keys"), optimizer["state"], strict=True))
        self.optimizer.load_state_dict(optimizer)
        for callback, kept in zip(self.keeping, state["callbacks"], strict=True):
            callback.load_state_dict(kept)
        self.feed.number, self.feed.offset = state["pass"], state["offset"]
        self.epoch, self.step, self.steps = state["epoch"], state["step"], state["steps"]
        self.averages.sums = state["averages"]
        self.history[:], self.stopped = state["history"], state["stopped"]


def differentiation(model, loss):
    """A function of a batch that leaves the gradients in the parameters: (predictions,
    loss)."""
    def differentiate(x, t):
        y = model(x)
        value = scalar(loss, loss(y, t))
        if not isinstance(value, Tensor):
            raise GraphError(f"the loss {name_of(loss)} gave a plain number: it depends on no "
                             "parameter. Is all of the model frozen, was .data taken, or is "
                             "this within no_grad?")
        value.backward()
        return y, value
    return differentiate
