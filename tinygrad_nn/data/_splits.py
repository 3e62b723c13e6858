"""Splits of labelled samples into a part to learn from and a part to test with.

Knows labels and which samples are copies of each other; may not know pictures.

A picture that is there twice would be learnt by heart on one side and asked for on the other:
files of identical bytes, or identical rows of an `ArrayDataset`, go to one side together. Only
files of equal length are read.
"""

import hashlib
import operator
import os
from collections import Counter
from pathlib import Path

import numpy as np

from .._errors import DataError
from ._arrays import ArrayDataset


def split(data, fraction=0.2, seed=0):
    """Split into ``(train, test)``: two sorted int64 arrays of indices into ``data``.

    ``data`` is an `ImageFolder`, an `ImageSet`, an `ArrayDataset` or a one-dimensional array of
    labels. ``fraction`` of each class (rounded, at least one picture, never all) goes to the
    test part, drawn by ``seed``, an int or a ``np.random.Generator``. Samples with the same
    content stay together; where copies do not fit into the fraction, the test part of that
    class is as large as they allow. `DataError` when a class has fewer than two different
    pictures.

        >>> split([0, 0, 0, 0, 1, 1], fraction=0.5, seed=1)
        (array([2, 3, 5]), array([0, 1, 4]))
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, ends excluded; got {fraction!r}")
    y, originals = _labels(data), _originals(data)
    test = _draw(y, originals, fraction, seed, lambda label: _name(data, label))
    return np.flatnonzero(~test), np.flatnonzero(test)


def folds(data, k=5, seed=0):
    """Split ``k`` times for cross-validation: a list of k pairs ``(train, held_out)``.

    Every sample is held out exactly once; the held-out parts have equally many samples of each
    class, or one more or less, as far as copies allow. ``data``, ``seed``, copies and the
    arrays as in `split`. `DataError` when a class has fewer than k different samples.

        >>> for train, held_out in folds([0, 0, 0, 0, 1, 1], k=2, seed=1): print(held_out)
        [0 2 4]
        [1 3 5]
    """
    k = operator.index(k)
    if k < 2: raise ValueError(f"k must be at least 2; got {k}")
    y, originals = _labels(data), _originals(data)
    copies, rng = _copies(originals), np.random.default_rng(seed)
    labels, of = np.unique(y, return_inverse=True)
    fold, counts = np.full(len(y), -1), np.zeros((k, len(labels)), int)
    for column, label in enumerate(labels):
        members = rng.permutation(np.flatnonzero(of == column))
        drawn = dict.fromkeys(originals[i] for i in members)
        if len(drawn) < k:
            raise DataError(f"class {_name(data, label)} has too few different pictures for "
                            f"{k} folds, {len(drawn)}: add pictures to it, or make fewer folds")
        for original in sorted(drawn, key=lambda o: -len(copies[o])):    # large lots first
            if fold[original] < 0:
                f = min(range(k), key=lambda f: (counts[f, column], counts[f].sum()))
                fold[copies[original]] = f
                np.add.at(counts[f], of[copies[original]], 1)
    if not counts.all():
        label = labels[np.flatnonzero((counts == 0).any(axis=0))[0]]
        raise DataError(_elsewhere(_name(data, label)))
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(k)]


def _labels(data):
    y = np.asarray(getattr(data, "y", data))
    if y.ndim != 1: raise DataError(f"labels must be one-dimensional; got shape {y.shape}")
    if not len(y): raise DataError("there is nothing to split: no labels were given")
    return y


def _name(data, label):
    classes = getattr(data, "classes", None)
    return repr(str(classes[label] if classes else label))


def _draw(y, originals, fraction, seed, name):
    """Which samples are to test with: bool (n,); ``name`` says what a class is called."""
    rng, copies = np.random.default_rng(seed), _copies(originals)
    test, placed = np.zeros(len(y), bool), set()
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
            raise DataError(_elsewhere(name(label)))
    return test


def _elsewhere(name):
    return (f"class {name} cannot be on both sides of the split, because its pictures also lie "
            "in other classes: remove the copies")


def _single(name, count):
    what = "only one picture" if count == 1 else f"{count} copies of one picture and no other"
    return (f"class {name} has {what}; a split needs at least two of each class, one to train "
            "on and one to test with: add pictures to it")


# ---------------------------------------------------------------- copies


def _originals(data):
    """For each sample the place of the first one that equals it: a list of n ints."""
    if isinstance(data, ArrayDataset):
        keys = [hashlib.blake2b(row.tobytes()).digest() for row in data.x]
    elif hasattr(data, "paths"):
        sizes = [_read(path, os.path.getsize) for path in data.paths]
        often = Counter(sizes)
        keys = [path if often[size] == 1 else (size, _read(path, _digest))
                for path, size in zip(data.paths, sizes, strict=True)]
    else:
        return list(range(len(_labels(data))))
    first = {}
    return [first.setdefault(key, i) for i, key in enumerate(keys)]


def _copies(originals):
    """{original: the places of all that equal it, its own first}."""
    copies = {}
    for i, original in enumerate(originals): copies.setdefault(original, []).append(i)
    return copies


def _digest(path):
    return hashlib.blake2b(Path(path).read_bytes()).digest()


def _read(path, ask):
    try:
        return ask(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", path) from error
