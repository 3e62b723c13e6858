"""Batches of a data set, put together by threads while the last batch is being used.

Knows order, batches, threads and which random numbers are a sample's own; may not know what a
sample is. What a data set must have: ``len(dataset)``, and ``dataset[i]``, which is ``(x, y)``
and may be called from several threads at once. Where it has ``rows(indices)`` too, which gives
a whole batch at once (`ArrayDataset`), no threads are started unless samples are augmented: a
batch of 32 rows takes less time than handing it over.

Randomness is a function of (seed, epoch, sample index) and of nothing else. Philox is a random
generator that can start anywhere: its key is (seed, epoch), and its 256-bit counter begins at
the sample index, in the highest word. So the order of an epoch and the augmentation of a sample
are the same after a resumption, for any number of threads and any size of batch.
"""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from .._errors import DataError
from .._messages import whole

PIECE = 8                                  # samples that a thread prepares before it looks up
THREADS = "tinygrad_nn-loader"
ORDER, SAMPLE = 0, 1                       # what random numbers are for: a word of the counter


class DataLoader:
    """Batches ``(x, y)`` of a data set, an epoch each time it is iterated over.

    ``x`` holds the samples along a new first axis: pictures are float32 (N, C, H, W) in 0..1,
    C 1 or 3; the labels are int64 (N,). ``batch_size=None`` makes one batch of everything. The
    last batch of an epoch is smaller where the numbers do not divide, or left out with
    ``drop_last``. ``shuffle`` draws a new order for each epoch. ``augment``: a function
    ``(x, rng) -> x`` of one sample, such as those of ``data.augment``. The draws depend on
    (``seed``, epoch, sample index) only.

    ``num_workers`` threads decode and augment ahead, as many batches as there are threads; 0
    does it in the thread that asks. What they raise is raised where the batch is asked for.
    When the loop ends, by ``break`` or an exception too, the threads end with it.

    ``loader.epoch`` is the number of the epoch that the next loop will be; set it to go on
    where another run stopped. `DataError` where the data set is empty, or ``drop_last`` leaves
    no batch.

        >>> from tinygrad_nn import data
        >>> dataset = data.ArrayDataset(np.zeros((5, 28, 28), np.uint8), np.arange(5))
        >>> loader = data.DataLoader(dataset, batch_size=2, shuffle=True, seed=1)
        >>> len(loader)
        3
        >>> for x, y in loader: print(x.shape, y)
        (2, 1, 28, 28) [3 2]
        (2, 1, 28, 28) [0 1]
        (1, 1, 28, 28) [4]
    """

    def __init__(self, dataset, batch_size=32, shuffle=False, drop_last=False, seed=0, *,
                 augment=None, num_workers=2):
        self.dataset, self.shuffle, self.drop_last = dataset, shuffle, drop_last
        self.batch_size = None if batch_size is None else whole("batch_size", batch_size)
        self.seed, self.augment = whole("seed", seed, 0), augment
        self.num_workers, self.epoch = whole("num_workers", num_workers, 0), 0
        if self.seed >= 2 ** 64: raise ValueError(f"seed must be below 2 ** 64, got {seed}")
        if not len(dataset): raise DataError("the data set is empty: there is nothing to load")
        if not len(self):
            raise DataError(f"the data set has {len(dataset)} samples, and drop_last leaves no "
                            f"batch of {batch_size}: make the batches smaller, or leave "
                            "drop_last out")

    def __len__(self):
        """The number of batches in an epoch."""
        if self.batch_size is None: return 1
        n, size = len(self.dataset), self.batch_size
        return n // size if self.drop_last else -(-n // size)

    def __iter__(self):
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def batches(self, epoch, start=0):
        """The batches of one epoch, from number ``start`` on, which costs nothing to reach."""
        order = self._order(whole("epoch", epoch, 0))
        size, start = self.batch_size or len(order), whole("start", start, 0)
        batches = (order[k * size:(k + 1) * size] for k in range(start, len(self)))
        if self.augment is None and hasattr(self.dataset, "rows"):
            return map(self.dataset.rows, batches)
        work = lambda piece: [self._sample(epoch, i) for i in piece.tolist()]
        if not self.num_workers: return (_stacked(work(batch)) for batch in batches)
        return _in_threads(work, batches, self.num_workers)

    def __repr__(self):
        return (f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, "
                f"shuffle={self.shuffle}, drop_last={self.drop_last}, seed={self.seed}, "
                f"augment={self.augment!r})")

    def _order(self, epoch):
        """Every index once. Each sample's place is decided by a number of its own."""
        n = len(self.dataset)
        if not self.shuffle: return np.arange(n)
        return np.argsort(_philox(self.seed, epoch, ORDER, 0).random_raw(n), kind="stable")

    def _sample(self, epoch, i):
        x, y = self.dataset[i]
        if self.augment is None: return x, y
        rng = np.random.Generator(_philox(self.seed, epoch, SAMPLE, i))
        try:
            return self.augment(x, rng), y
        except Exception as error:
            path = self.dataset.paths[i] if hasattr(self.dataset, "paths") else None
            raise DataError(f"augment failed on sample {i}{f' ({path})' if path else ''}: "
                            f"{type(error).__name__}: {error}", path) from error


def _philox(seed, epoch, purpose, index):
    return np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64),
                            counter=np.array([0, 0, purpose, index], dtype=np.uint64))


def _in_threads(work, batches, count):
    """Batches in order, prepared by ``count`` threads, that many batches ahead."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=THREADS)
    pieces = lambda batch: [pool.submit(work, batch[k:k + PIECE])
                            for k in range(0, len(batch), PIECE)]
    try:
        coming = map(pieces, batches)
        waiting = deque(islice(coming, count))
        while waiting:
            waiting.extend(islice(coming, 1))
            yield _stacked([sample for piece in waiting.popleft() for sample in piece.result()])
    finally:                    # the garbage collector may come by here in one of the threads
        ours = threading.current_thread().name.startswith(THREADS)
        pool.shutdown(wait=not ours, cancel_futures=True)


def _stacked(samples):
    x, y = zip(*samples, strict=True)
    shapes = sorted({np.shape(a) for a in x})
    if len(shapes) > 1:
        raise DataError("the samples of a batch must have one shape; got "
                        f"{' and '.join(map(str, shapes[:3]))}")
    return np.stack(x), np.stack(y)
