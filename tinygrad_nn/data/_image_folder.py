"""A folder of pictures as a data set that decodes a picture when it is asked for it.

Knows when to decode and what to keep in memory; may not know how a folder is laid out
(``_folders``), how a picture is decoded (``_images``), nor batches.

What is kept: the first decoded pictures that fit into a number of bytes, never thrown out. An
epoch asks for every picture once, so keeping the latest ones instead would find none of them
again in a folder that is larger than the memory given.
"""

import copy
import operator
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .._errors import DataError
from .._messages import whole
from ._folders import check_every_class, check_policy, class_files, class_indices, counts
from ._images import as_floats, decode

OVERHEAD = 256                             # bytes of an array beside its values, about


class ImageFolder:
    """Pictures in one sub-folder per class: ``dataset[i]`` is ``(x, label)`` of ``paths[i]``.

    ``x`` is float32 (3, size, size) in 0..1, or (1, size, size) with ``grey``, decoded as
    `read_image` does, squashed to a square; ``label`` an int. A sub-folder is a class, in
    sorted order; of two classes, class 1 is the one called ``positive``, else ``cat`` or
    ``cats`` (in any case), else the last. ``classes``: the names in the order of another
    folder's labels, such as ``classes=train.classes``. Decoded pictures are kept up to
    ``cache_bytes``.

    - ``classes`` a tuple of names, ``class_indices`` the dict {name: label};
    - ``y`` int64 (n,), ``paths`` a list of n ``Path``, in order of class, then of name;
    - ``skipped`` a list of one `DataError` for each picture that was left out.

    With ``on_unreadable="error"`` nothing is decoded before it is asked for, and a picture that
    cannot be decoded raises then, with its path. With ``"skip"`` every picture is decoded once
    at the start, and those that cannot be are left out and counted, so that ``len``, ``y`` and
    ``paths`` say what there is from the first batch on. `DataError` when the folder is missing,
    is a file, has fewer than two sub-folders or other classes than ``classes``, holds only
    ``train`` and ``test``, or one of the classes has no picture.

        >>> import tempfile
        >>> from tinygrad_nn.data import write_drawings
        >>> folder = tempfile.TemporaryDirectory()
        >>> pets = ImageFolder(write_drawings(folder.name + "/pets", count=2, size=16), 16)
        >>> pets
        ImageFolder(0: 2 other, 1: 2 cats; 16 × 16)
        >>> pets.class_indices
        {'other': 0, 'cats': 1}
        >>> x, label = pets[3]
        >>> x.shape, x.dtype, label, pets.paths[3].parent.name
        ((3, 16, 16), dtype('float32'), 1, 'cats')
        >>> folder.cleanup()
    """

    def __init__(self, root, size, *, positive=None, classes=None, grey=False,
                 on_unreadable="error", cache_bytes=2 ** 28):
        check_policy(on_unreadable)
        if positive is not None and classes is not None:
            raise ValueError("classes= already says which class is 1: leave positive= out")
        self.root, self.size, self.grey = Path(root), whole("size", size), grey
        self.classes, files = class_files(self.root, positive, classes)
        self.y = np.array([label for label, _ in files], dtype=np.int64)
        self.paths = [path for _, path in files]
        self.on_unreadable, self.skipped, self._kept = on_unreadable, [], _Kept(cache_bytes)
        if on_unreadable == "skip": self._leave_out()
        check_every_class(self.root, self.classes, self.y, self.skipped)

    @property
    def class_indices(self):
        """The label of each class: {name: label}."""
        return class_indices(self.classes)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        i = operator.index(i)
        try:
            x = self._decoded(self.paths[i])
        except DataError as error:
            if self.on_unreadable == "skip": raise
            raise DataError(f'{error}; ImageFolder(…, on_unreadable="skip") leaves out what '
                            "cannot be read", error.path) from error
        return as_floats(x.transpose(2, 0, 1).copy()), int(self.y[i])

    def subset(self, indices):
        """The data set of the pictures at ``indices``, as `split` gives them, or where a mask,
        such as ``pets.y == 1``, is true.

            train, test = data.split(pets)
            train, test = pets.subset(train), pets.subset(test)
        """
        part, rows = copy.copy(self), np.arange(len(self))[indices]
        part.y, part.paths = self.y[rows], [self.paths[i] for i in rows]
        return part

    def __repr__(self):
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return (f"ImageFolder({counts(self.y, self.classes)}; {self.size} × {self.size}"
                f"{skipped})")

    def _decoded(self, path):
        """The picture as uint8 or float32 (size, size, channels), to be read only."""
        x = self._kept.pictures.get(path)
        if x is None:
            x = decode(path, self.size, self.grey)
            self._kept.offer(path, x)
        return x

    def _leave_out(self):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            failures = list(pool.map(self._failure, self.paths))
        good = [i for i, failure in enumerate(failures) if failure is None]
        self.skipped = [failure for failure in failures if failure is not None]
        self.y, self.paths = self.y[good], [self.paths[i] for i in good]

    def _failure(self, path):
        try:
            self._decoded(path)
        except DataError as error:
            return DataError(str(error), path)        # fresh: a traceback holds pixels


class _Kept:
    """Decoded pictures by path, until their bytes are used up."""

    def __init__(self, budget):
        self.left, self.pictures, self.lock = budget, {}, threading.Lock()

    def offer(self, path, x):
        with self.lock:
            if path not in self.pictures and x.nbytes + OVERHEAD <= self.left:
                self.left -= x.nbytes + OVERHEAD
                self.pictures[path] = x
