"""The split of labelled samples into a part to learn from and a part to test with.

Knows labels and which files are copies of each other; may not know pictures.

A picture that lies in a folder twice would be learnt by heart on one side and asked for on the
other: files of identical bytes go to one side together. Only files of equal length are read.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np

from .._errors import DataError


def split(data, fraction=0.2, seed=0):
    """Split into ``(train, test)``: two sorted int64 arrays of indices into ``data``.

    ``data`` is an `ImageFolder`, an `ImageSet`, an `ArrayDataset` or a one-dimensional array of
    labels. ``fraction`` of each class (rounded, at least one picture, never all) goes to the
    test part, drawn by ``seed``, an int or a ``np.random.Generator``. Files with the same
    content stay together; where copies do not fit into the fraction, the test part of that
    class is as large as they allow. `DataError` when a class has fewer than two different
    pictures.

        >>> split([0, 0, 0, 0, 1, 1], fraction=0.5, seed=1)
        (array([2, 3, 5]), array([0, 1, 4]))
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, ends excluded; got {fraction!r}")
    y = np.asarray(getattr(data, "y", data))
    if y.ndim != 1: raise DataError(f"labels must be one-dimensional; got shape {y.shape}")
    if not len(y): raise DataError("there is nothing to split: no labels were given")
    originals = _originals(data.paths) if hasattr(data, "paths") else range(len(y))
    copies = {}
    for i, original in enumerate(originals): copies.setdefault(original, []).append(i)
    test = _draw(y, copies, originals, fraction, seed, getattr(data, "classes", None))
    return np.flatnonzero(~test), np.flatnonzero(test)


def _draw(y, copies, originals, fraction, seed, classes):
    """Which samples are to test with: bool (n,); ``copies``: {original: what equals it}."""
    rng = np.random.default_rng(seed)
    test, placed = np.zeros(len(y), bool), set()
    name = lambda label: repr(str(classes[label] if classes else label))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        of_class = Counter(originals[i] for i in members)
        if len(of_class) < 2: raise DataError(_single(name(label), len(members)))
        left = np.clip(round(fraction * len(members)), 1, len(members) - 1)
        left -= np.count_nonzero(test[members])
        drawn = [originals[i] for i in rng.permutation(members)]
        for original in drawn:
            if original not in placed and of_class[original] <= left:
                test[copies[original]] = True
                left -= of_class[original]
            placed.add(original)
        if not test[members].any():                   # more copies of each than may be drawn
            test[copies[min(drawn, key=of_class.get)]] = True
    for label in np.unique(y):
        if test[y == label].all() or not test[y == label].any():
            raise DataError(f"class {name(label)} cannot be on both sides of the split, "
                            "because its pictures also lie in other classes: remove the copies")
    return test


def _single(name, count):
    what = "only one picture" if count == 1 else f"{count} copies of one picture and no other"
    return (f"class {name} has {what}; a split needs at least two of each class, one to train "
            "on and one to test with: add pictures to it")


def _originals(paths):
    """For each file the place of the first one with the same bytes: a list of n ints."""
    sizes = [_read(path, os.path.getsize) for path in paths]
    often, first = Counter(sizes), {}
    return [i if often[size] == 1 else first.setdefault((size, _read(path, _digest)), i)
            for i, (path, size) in enumerate(zip(paths, sizes, strict=True))]


def _digest(path):
    return hashlib.blake2b(Path(path).read_bytes()).digest()


def _read(path, ask):
    try:
        return ask(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", path) from error
