"""The training loop."""

import contextlib

from .._messages import whole
from ..nn import Module
from ..optim import Optimizer
from ._callbacks import Callback
from ._checkpoint import Checkpoint
from ._evaluate import modes_kept, tried, validation_source
from ._feed import Feed, source
from ._interrupt import CtrlC
from ._metrics import resolved
from ._progress import EpochLines
from ._run import Run


def fit(model, data, loss, optimizer, epochs, *, batch_size=32, validation=None, metrics=(),
        callbacks=(), steps_per_epoch=None, validation_steps=None, seed=0, progress=True,
        compile=False):
    """Train ``model`` until ``epochs`` epochs are done; returns the `History`.

    ``data``: two arrays (x, t), cut into batches of ``batch_size`` (None: one batch of all) in
    an order that depends on (``seed``, epoch); or a loader, whose ``batches(epoch, start=0)``
    gives those of an epoch, both counted from 0; or another iterable of batches (x, t).
    ``loss``: a function of predictions and targets that gives one number. An epoch is one pass
    over the data, or ``steps_per_epoch`` batches, each epoch going on where the last one
    stopped.

    ``validation``: data as above, gone through after each epoch in evaluation mode, all or
    ``validation_steps`` batches. ``metrics``: a list of "accuracy" (the one that fits the
    loss), names of others, and functions of (y, t) that give a number for each sample; or a
    dict of them by name. ``callbacks``: see `Callback`. ``progress``: print how it goes, one
    line that renews itself on a terminal and plain lines elsewhere. ``compile``: model, loss
    and optimiser are recorded in the first two steps of each shape and run as programs from
    then on (see `tinygrad_nn.compile`); callbacks and metrics run as they are. Beside a
    `Checkpoint` that resumes, programs keep every bit of the steps: kernels for chains, which
    round otherwise, are left out.

    The numbers of the training data are those seen on the way, before each update; those of
    the validation data ("val_loss" …) are of the model at the end of the epoch. All are means
    over samples. Afterwards the modules are in the modes that they were in before.

    An exception, Ctrl-C too, leaves model and optimiser as they were between two steps.

    >>> import numpy as np, tinygrad_nn as tn
    >>> from tinygrad_nn import nn, optim, train
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = nn.Sequential(nn.Linear(1, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1))
    >>> opt = optim.Adam(model.parameters(), lr=0.02)
    >>> history = train.fit(model, (x, x * x), nn.mse_loss, opt, epochs=30, batch_size=8,
    ...                     progress=False)
    >>> history["loss"][0] > 0.1, history["loss"][-1] < 0.01
    (True, True)
    """
    epochs = _checked(model, optimizer, epochs)
    data, metrics = source(data, batch_size, seed), resolved(metrics, loss)
    if validation is not None:
        validation = validation_source(validation, data, batch_size, validation_steps, loss)
    elif validation_steps is not None:
        raise ValueError(f"validation_steps={validation_steps!r} without validation data: pass "
                         "validation=... as well")
    callbacks = _in_order([*callbacks, *([EpochLines()] if progress else [])])
    feed, ctrl_c = Feed(data, steps_per_epoch), CtrlC()
    run = Run(model, loss, optimizer, epochs, feed=feed, metrics=metrics, callbacks=callbacks,
              validation=validation, validation_steps=validation_steps, compile=compile)
    with contextlib.ExitStack() as stack:
        for part in (modes_kept(model), ctrl_c.watched()):
            stack.enter_context(part)
        for part in (feed, *callbacks):
            stack.callback(part.close)
        if validation is not None:
            tried(model, validation, loss, metrics)
        optimizer.zero_grad()
        for callback in reversed(callbacks):
            callback.on_start(run)
        while run.epoch < epochs and run.stopped is None:
            model.train()
            for batch in feed.rest_of_epoch(run.step):
                with ctrl_c:
                    run.learn(batch)
            validated = run.validate()
            with ctrl_c:
                run.end_epoch(validated)
        run.call("on_end")
    return run.history


def _checked(model, optimizer, epochs):
    """``epochs`` as an int, once model and optimiser are found to be what they must be."""
    if not isinstance(model, Module):
        raise TypeError(f"fit takes a module, got {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit takes an optimiser of optim, got {type(optimizer).__name__}")
    if not {id(p) for p in optimizer.parameters} & {id(p) for p in model.parameters()}:
        raise ValueError("the optimiser holds none of this model's parameters: make it with "
                         "model.parameters()")
    return whole("epochs", epochs)


def _in_order(callbacks):
    """The callbacks with checkpoints last: they keep what the others have done."""
    for c in callbacks:
        if not isinstance(c, Callback):
            hint = (": train.Schedule(schedule) is one" if hasattr(c, "step") else "")
            raise TypeError(f"callbacks must be Callbacks, got {type(c).__name__}{hint}")
    if sum(isinstance(c, Checkpoint) and c.resume for c in callbacks) > 1:
        raise ValueError("only one Checkpoint can resume: a run goes on from one place")
    return sorted(callbacks, key=lambda c: isinstance(c, Checkpoint))
