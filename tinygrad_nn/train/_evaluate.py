"""Looking at a model without training it: `evaluate`, `predict`, and what `fit` needs of them.
"""

import contextlib
import itertools

import numpy as np

from .. import nn
from .._errors import DataError, ShapeError
from .._messages import name_of, whole
from .._modes import no_grad
from ._feed import ArrayBatches, batched, one_pass, pair, source, used_up
from ._metrics import Averages, bare, resolved


def evaluate(model, data, loss, metrics=(), *, batch_size=256, steps=None):
    """The mean loss and metrics of ``model`` over ``data``: {"loss": …, "accuracy": …}.

    In evaluation mode and without gradients; the modules' modes are put back. ``data``,
    ``loss`` and ``metrics`` as in `fit`; of a loader the first pass; ``steps``: so many batches
    of it at most. The metrics do not depend on ``batch_size``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model, x = tn.nn.Linear(1, 1, rng=0), np.zeros((5, 1), np.float32)
    >>> model.bias.data[...] = 2
    >>> tn.train.evaluate(model, (x, x), tn.nn.mse_loss, batch_size=2)
    {'loss': 4.0}
    """
    data = source(data, batch_size)
    with modes_kept(model):
        return measured(model, data, loss, resolved(metrics, loss), steps)


def predict(model, data, *, batch_size=256, steps=None):
    """What ``model`` gives for every sample, one array, in the order of ``data``.

    In evaluation mode and without gradients; the modules' modes are put back. ``data``: an
    array of samples, cut into batches of ``batch_size`` (None: all at once), or a loader or an
    iterable of batches: arrays, or pairs (x, t) whose targets are left out. A loader that
    shuffles or drops a batch is refused: its predictions would not be those of the paths and
    labels of its data set, row by row.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(3, 2, rng=0), tn.nn.Dropout(0.5))
    >>> tn.train.predict(model, np.ones((1000, 3), np.float32)).shape
    (1000, 2)
    """
    if isinstance(data, np.ndarray):
        data = ArrayBatches(data, data, batch_size)
    batched(data, "predict", "an array")
    for name in ("shuffle", "drop_last"):
        if getattr(data, name, False):
            raise ValueError(f"predict: the loader has {name}=True, and what it gives is not "
                             f"its data set in order: make one with {name}=False")
    found = []
    with modes_kept(model), no_grad():
        model.eval()
        for batch in _some(data, steps, "predict"):
            found.append(model(batch[0] if isinstance(batch, (tuple, list)) else batch))
    return np.concatenate(found)


def measured(model, data, loss, metrics, steps=None, what="data"):
    """{name: mean} over one pass of ``data``; the model is in evaluation mode afterwards."""
    averages = Averages(metrics)
    model.eval()
    with no_grad():
        for batch in _some(data, steps, what):
            x, t = pair(batch, what)
            y = model(x)
            averages.add(scalar(loss, loss(y, t)), y, t)
    return averages.result()


def _some(data, steps, what):
    """The first batches of one pass, at least one."""
    steps = None if steps is None else whole("steps", steps)
    batches, n = one_pass(data), 0
    try:
        for batch in itertools.islice(batches, steps):
            n += 1
            yield batch
    finally:
        if not used_up(data) and hasattr(batches, "close"):
            batches.close()
    if not n:
        raise DataError(f"{what}: there is no batch at all: is a batch larger than the data, "
                        "with drop_last?")


def scalar(fn, loss):
    """``loss`` as ``fn`` gave it, one number for the batch, or an error."""
    if np.shape(loss):
        raise ShapeError(f"the loss {name_of(fn)} gave an array of shape {np.shape(loss)}: it "
                         "must be one number for the batch, as reduction='mean' or np.mean "
                         "makes it")
    return loss


@contextlib.contextmanager
def modes_kept(model):
    """Within it modules may be switched to training or evaluation; afterwards each is in the
    mode that it was in."""
    modes = [(m, m.training) for m in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# ---------------------------------------------------------------- validation data

def validation_source(validation, data, batch_size, steps, loss):
    """What a person passed as validation, checked against the training data."""
    if steps is not None:
        whole("validation_steps", steps)
    validation = source(validation, batch_size, what="validation")
    if used_up(validation):
        raise TypeError("validation is gone through after every epoch, an iterator only once: "
                        "pass arrays, a list of batches or a loader")
    mine, theirs = _classes(data), _classes(validation)
    if mine is not None and theirs is not None and mine != theirs:
        raise DataError(f"validation: its classes are {', '.join(theirs)}; those of the "
                        f"training data {', '.join(mine)}; both need the same ones, in one "
                        "order")
    if isinstance(data, ArrayBatches) and isinstance(validation, ArrayBatches):
        for name, a, b in (("samples", data.x, validation.x),
                           ("targets", data.t, validation.t)):
            if a.shape[1:] != b.shape[1:]:
                raise ShapeError(f"validation: {name} of shape {b.shape}, those of the "
                                 f"training data have {a.shape}: all but the first axis must "
                                 "be equal")
        if bare(loss) in (nn.cross_entropy, nn.nll_loss):
            _check_labels(data.t, validation.t)
    return validation


def _classes(data):
    """The names of the classes where a loader or its dataset says them."""
    found = getattr(data, "classes", None) or getattr(
        getattr(data, "dataset", None), "classes", None)
    return None if found is None else [str(c) for c in found]


def _check_labels(t, validation):
    if t.dtype.kind in "iu" and validation.dtype.kind in "iu":
        new = np.setdiff1d(validation, t)
        if new.size:
            raise DataError(f"validation: it holds class {new[0]}, of which the training data "
                            f"have no sample (they hold {np.unique(t).size} classes)")


def tried(model, validation, loss, metrics):
    """Run one batch of the validation data: what is wrong with them is said before the first
    epoch and not after it."""
    try:
        measured(model, validation, loss, metrics, 1, "validation")
    except (ValueError, TypeError, IndexError) as error:
        if len(error.args) == 1 and isinstance(error.args[0], str) and not str(
                error).startswith("validation"):
            error.args = (f"validation: {error.args[0]}",)
        raise
