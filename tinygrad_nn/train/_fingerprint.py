"""What two runs must have in common for one to go on where the other was: words, by name."""

import functools
import os
import re
import zlib

import numpy as np

from .._transforms import flatten
from .._version import __version__
from ._feed import ArrayBatches, one_pass, used_up

MANY = 8                # differences that a message lists


def fingerprint(run):
    """{what: its description} of versions, data, model, optimiser and settings of a run."""
    found = {"the version": f"tinygrad_nn {__version__} with NumPy {np.__version__}",
             **_of_data("the data", run.feed.data),
             "the loss": described(run.loss),
             "the metrics": ", ".join(run.metrics) or "none",
             "the steps per epoch": f"{run.feed.steps or 'all'}",
             "the validation steps": f"{run.validation_steps or 'all'}"}
    if run.validation is not None:
        found |= _of_data("the validation data", run.validation)
    for name, module in run.model.named_modules():
        found[f"the module {name}" if name else "the model"] = module._title()
    moving = {name for name, _ in (*run.model.named_parameters(), *run.model.named_buffers())}
    for name, a in run.model.state_dict().items():
        frozen = "" if name in moving else ", frozen"
        found[f"the array {name}"] = f"{a.dtype} {a.shape}{frozen}"
    for name, generator in run.generators.items():
        found[f"the generator {name}"] = type(generator.bit_generator).__name__
    settings = {name: float(value) for name, value in run.optimizer.settings.items()}
    found["the optimiser"] = f"{type(run.optimizer).__name__}{settings}"
    acting = [c for c in run.callbacks if c.settings() is not None or c in run.keeping]
    return found | {f"callback {k}": f"{type(c).__name__}{c.settings()}"
                    for k, c in enumerate(acting, 1)}


def differences(there, here):
    """Sentences on what differs between the fingerprint of a checkpoint and that of a run."""
    wrong = [f"{name}: {there.get(name, 'nothing')} there and {here.get(name, 'nothing')} here"
             for name in {**there, **here} if there.get(name) != here.get(name)]
    more = len(wrong) - MANY
    return wrong[:MANY] + ([f"and {more} more"] if more > 0 else [])


def described(f):
    """A function by its name, a partial one with what it was given."""
    if isinstance(f, functools.partial):
        given = [*map(repr, f.args), *(f"{k}={v!r}" for k, v in f.keywords.items())]
        return f"{described(f.func)}({', '.join(given)})"
    return getattr(f, "__qualname__", type(f).__qualname__)


def _of_data(what, data):
    """The arrays of a pair, or of the data set of a loader, and the names and sizes of its
    files; the number of batches of other data and the numbers of the first (of all that a list
    holds)."""
    if isinstance(data, ArrayBatches):
        return {f"{what}, samples": _numbers(data.x), f"{what}, targets": _numbers(data.t),
                f"{what}, batch size and seed": f"{data.batch_size} and {data.seed}"}
    said = type(data).__repr__ is not object.__repr__ and not isinstance(data, (list, tuple))
    found = {what: re.sub(r" at 0x\w+", "", repr(data)) if said else type(data).__name__}
    if hasattr(data, "__len__"):
        found[f"{what}, batches"] = str(len(data))
    if isinstance(data, (list, tuple)):
        found[f"{what}, numbers"] = _numbers(data)
    dataset = getattr(data, "dataset", None)
    for name in ("x", "y"):
        if isinstance(getattr(dataset, name, None), np.ndarray):
            found[f"{what}, {name}"] = _numbers(getattr(dataset, name))
    if hasattr(dataset, "paths"):
        files = b"\n".join(map(_of_file, dataset.paths))
        found[f"{what}, names and sizes of files"] = _numbers(np.frombuffer(files, np.uint8))
    if not isinstance(data, (list, tuple)) and not used_up(data):
        batches = one_pass(data)
        found[f"{what}, first batch"] = _numbers(next(batches, None))
        if hasattr(batches, "close"):
            batches.close()
    return found


def _of_file(path):
    """The name of a file, whatever its bytes, and how many bytes are in it: to read them all
    would take as long as the first epoch."""
    try:
        size = os.path.getsize(path)
    except OSError:                         # whoever reads it says better what is wrong
        size = "?"
    return os.fsencode(f"{os.path.basename(path)} {size}")


def _numbers(tree):
    """Dtypes and shapes of the arrays of a tree, few as they are, and a checksum of them."""
    arrays, total = [np.asarray(a) for _, a in flatten(tree)], 0
    for a in arrays:
        total = zlib.crc32(np.ascontiguousarray(a).reshape(-1).view(np.uint8), total)
    forms = dict.fromkeys(f"{a.dtype} {a.shape}" for a in arrays)
    return f"{', '.join(list(forms)[:4])}, CRC-32 {total:08x}"
