"""Where batches come from: arrays, loaders, any iterable; and how far one has come in them.

Data are gone through pass by pass. A pass is a pure function of its number (arrays here and
loaders draw their order from seed and pass), so a number and an offset say where a run stands,
and that is all that a checkpoint has to keep of its data.
"""

import numpy as np

from .._errors import DataError, ShapeError
from .._messages import whole


class ArrayBatches:
    """Batches of two arrays, each pass in an order that depends on (seed, pass) alone.

    ``batch_size=None`` is the full batch: the arrays as they are. The last batch of a pass may
    be smaller. ``seed=None``: in the order of the arrays.
    """

    def __init__(self, x, t, batch_size, seed=None, what="data"):
        if len(x) != len(t):
            raise ShapeError(f"{what}: {len(x)} samples (shape {x.shape}) and {len(t)} targets "
                             f"(shape {t.shape}); each sample needs one")
        if not len(x):
            raise DataError(f"{what}: the arrays are empty, of shapes {x.shape} and {t.shape}")
        self.x, self.t, self.seed = x, t, seed
        self.batch_size = len(x) if batch_size is None else whole("batch_size", batch_size)

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def batches(self, number, start=0):
        """The batches of one pass, from that number on."""
        n, size = len(self.x), self.batch_size
        if size >= n:                       # not even a view: the same objects every time
            yield from [(self.x, self.t)][start:]
            return
        shuffled = self.seed is not None
        order = np.random.default_rng((self.seed, number)).permutation(n) if shuffled else None
        for i in range(start * size, n, size):
            rows = order[i:i + size] if shuffled else slice(i, i + size)
            yield self.x[rows], self.t[rows]


def source(data, batch_size, seed=None, what="data"):
    """What a person passed as data, with the arrays of a pair made batches."""
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(
            isinstance(a, np.ndarray) and a.ndim for a in data):
        return ArrayBatches(*data, batch_size, seed, what)
    return batched(data, what, "two arrays (x, t)")


def batched(data, what, else_):
    """``data``, if batches can be had of it; a data set has samples."""
    if not hasattr(data, "batches") and not hasattr(data, "__iter__"):
        raise TypeError(f"{what}: expected {else_}, a loader, or another iterable of batches "
                        f"(x, t), got {type(data).__name__}")
    return data


def one_pass(data, number=0, start=0):
    """An iterator over the batches of one pass, without the first ``start``."""
    if hasattr(data, "batches"):
        return iter(data.batches(number, start) if start else data.batches(number))
    batches = iter(data)
    for _ in range(start):
        next(batches, None)
    return batches


def used_up(data):
    """Whether data can be gone through once only: an iterator, such as a generator."""
    return hasattr(data, "__next__") and not hasattr(data, "batches")


def pair(batch, what):
    """``batch`` as (x, t), or an error."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        got = type(batch).__name__
        got += f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(f"{what}: a batch must be a pair (x, t), got a {got}")
    return tuple(batch)


class Feed:
    """The batches of a run, epoch after epoch.

    An epoch is one pass over the data, or ``steps`` batches: then the next epoch goes on where
    this one stopped, into the next pass if need be.
    """

    def __init__(self, data, steps=None):
        self.data = data
        self.steps = None if steps is None else whole("steps_per_epoch", steps)
        self.number = self.offset = 0       # the pass, and the batches of it that were taken
        self.iterator = None

    def length(self):
        """Batches in an epoch, or None where the data do not say."""
        if self.steps is not None or not hasattr(self.data, "__len__"):
            return self.steps
        return len(self.data)

    def rest_of_epoch(self, taken):
        """The batches of this epoch but for those taken already."""
        while self.steps is None or taken < self.steps:
            batch = self._next()
            if batch is not None:
                taken += 1
                yield pair(batch, "data")
            elif self.steps is None:
                return

    def _next(self):
        """The next batch of this pass; or None at its end, with the next one begun."""
        if self.iterator is None:
            self.iterator = one_pass(self.data, self.number, self.offset)
        batch = next(self.iterator, None)
        if batch is not None:
            self.offset += 1
            return batch
        if not self.offset:
            raise DataError("data: " + (
                f"there is no batch in pass {self.number + 1}: an iterator can be gone through "
                "once only; pass a list or a loader, or steps_per_epoch" if self.number else
                "there is no batch at all: is a batch larger than the data, with drop_last?"))
        self.number, self.offset, self.iterator = self.number + 1, 0, None
        return None

    def close(self):
        """Leave the present pass, so that a loader's threads end; a person's iterator stays."""
        if not used_up(self.data) and hasattr(self.iterator, "close"):
            self.iterator.close()
        self.iterator = None
