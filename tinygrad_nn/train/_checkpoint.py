"""`Checkpoint`: a run in a file, written so that being killed at any moment loses nothing.

The file is a safetensors file: the arrays under dotted names, all else as JSON in its metadata,
nothing pickled. The memory layout of an array that is not in C order is noted and restored: the
same numbers in another layout may take another path through BLAS, and end in other last bits.
"""

import json
import os

import numpy as np

from .._errors import DataError
from .._files import remove_parts
from .._messages import whole
from .._safetensors import read, save_weights
from ._callbacks import Callback, check_folder
from ._fingerprint import differences

FORMAT = "1"


class Checkpoint(Callback):
    """Writes the whole state of a run to ``path``, and goes on from there with ``resume=True``.

    Written after every ``every`` epochs, after the last one, and, with ``every_steps``, after
    so many steps as well. The file takes the place of the one before at once, which stays
    beside it under the name ``….previous.safetensors``.

    With ``resume=True`` the run goes on from ``path`` where that is there, from its predecessor
    where ``path`` is missing or damaged, and begins anew where neither is. The same program
    started again thus ends with the same bytes (weights, optimiser, schedules, generators of
    dropout, history) as if it had not been stopped, on the same machine with as many threads.
    That needs the same data, settings and versions: `DataError` names what differs. ``epochs``
    may be more than before. What belongs to neither modules nor optimiser nor callbacks (a
    generator within a loss) is not kept, and a pass over the data must depend on nothing but
    its number.

    The weights can be had without a run: they are the arrays "model.…" of the file.

    >>> import tempfile, numpy as np, tinygrad_nn as tn
    >>> path, x = tempfile.mkdtemp() + "/run.safetensors", np.ones((8, 1), np.float32)
    >>> def run(epochs):
    ...     model = tn.nn.Linear(1, 1, rng=0)
    ...     opt = tn.optim.SGD(model.parameters(), lr=0.1)
    ...     return tn.train.fit(model, (x, x), tn.nn.mse_loss, opt, epochs,
    ...                         callbacks=[tn.train.Checkpoint(path, resume=True)])
    >>> history = run(1)                                        # doctest: +ELLIPSIS
    epoch 1 of 1: loss ...
    >>> history = run(2)                                        # doctest: +ELLIPSIS
    Going on after epoch 1 of ...
    epoch 2 of 2: loss ...
    """

    def __init__(self, path, every=1, every_steps=None, resume=False):
        self.path, self.resume = os.fspath(path), resume
        self.every = whole("Checkpoint: every", every)
        self.every_steps = None if every_steps is None else whole("Checkpoint: every_steps",
                                                                  every_steps)

    def settings(self):
        return None

    def on_start(self, run):
        check_folder("Checkpoint", self.path)
        remove_parts(_beside(self.path, "new"))
        here = run.fingerprint                  # of the beginning: nothing is loaded yet
        _without_arrays(run.state_dict(), "", {})       # what cannot be kept is said now
        if self.resume:
            self._resume(run, here)

    def on_step(self, run):
        if self.every_steps and run.steps % self.every_steps == 0:
            self.save(run)

    def on_epoch(self, run):
        if run.epoch % self.every == 0 or run.epoch >= run.epochs or run.stopped is not None:
            self.save(run)

    def save(self, run):
        """Write the file now."""
        new, old = _beside(self.path, "new"), _beside(self.path, "previous")
        write_tree(new, {"fingerprint": run.fingerprint, **run.state_dict()})
        if os.path.exists(self.path):
            os.replace(self.path, old)
        os.replace(new, self.path)

    def _resume(self, run, here):
        state, path = self._latest(run)
        if state is None:
            return
        wrong = differences(state.pop("fingerprint"), here)
        if wrong:
            raise DataError(f"{path}: this run cannot go on from there, it would not end as the"
                            " one that wrote it. What differs: " + "; ".join(wrong), path)
        if state["epoch"] > run.epochs:
            raise DataError(f"{path}: {state['epoch']} epochs are done there, and fit was "
                            f"asked for {run.epochs}", path)
        run.load_state_dict(state)
        where = f"epoch {run.epoch}" + (f", step {run.step}" if run.step else "")
        run.notes.append(f"Going on after {where} of {path}.")

    def _latest(self, run):
        """(state, path) of the newest file that is whole, or (None, None)."""
        found, failure = [p for p in (self.path, _beside(self.path, "previous"))
                          if os.path.exists(p)], None
        for path in found:
            try:
                return read_tree(path), path
            except DataError as error:
                failure = failure or error
                run.notes.append(str(error))
        if failure is not None:
            raise failure
        return None, None


def _beside(path, word):
    stem, suffix = os.path.splitext(path)
    return f"{stem}.{word}{suffix}"


# ---------------------------------------------------------------- trees in files

def write_tree(path, tree):
    """Write dicts by name, lists, numbers, strings, None and arrays to one file; `TypeError`
    names anything else."""
    arrays = {}
    text = json.dumps(_without_arrays(tree, "", arrays))
    save_weights(path, arrays, {"checkpoint": FORMAT, "state": text})


def read_tree(path):
    """What `write_tree` wrote; `DataError` for a file that is damaged or something else."""
    arrays, metadata = read(path)
    if metadata.get("checkpoint") != FORMAT:
        raise DataError(f"{path} is no checkpoint of this version of the library", path)
    return _with_arrays(json.loads(metadata["state"]), arrays)


def _without_arrays(tree, name, arrays):
    """The tree with each array moved to ``arrays``, and its name there in its place."""
    if isinstance(tree, dict):
        wrong = [k for k in tree if not isinstance(k, str)]
        if wrong:
            raise TypeError(f"a checkpoint keeps dicts by name; {name} has a key {wrong[0]!r}")
        dot = name and name + "."
        return {k: _without_arrays(v, f"{dot}{k}", arrays) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_arrays(v, f"{name}.{i}", arrays) for i, v in enumerate(tree)]
    if isinstance(tree, np.ndarray):
        arrays[name] = tree
        return {"$array": name, "axes": _axes(tree)}
    tree = tree.item() if isinstance(tree, np.generic) else tree
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError("a checkpoint keeps numbers, strings, lists, dicts by name and arrays; "
                    f"{name} is {tree!r}")


def _with_arrays(tree, arrays):
    if isinstance(tree, list):
        return [_with_arrays(v, arrays) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if "$array" in tree:
        return _laid_out(arrays[tree["$array"]], tree["axes"])
    return {k: _with_arrays(v, arrays) for k, v in tree.items()}


def _axes(a):
    """The axes from the largest stride to the smallest: 0, 1, … for C order."""
    return sorted(range(a.ndim), key=lambda k: -abs(a.strides[k]))


def _laid_out(a, axes):
    """A copy of ``a`` whose strides fall in this order of the axes."""
    return np.ascontiguousarray(a.transpose(axes)).transpose(np.argsort(axes)) if a.ndim else a
