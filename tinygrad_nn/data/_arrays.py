"""Arrays that are in memory, as a data set: the course's files, IDX files, any two of your own.

Knows dtypes and layouts; may not know files, batches or what will be trained on it.
"""

import copy
import operator

import numpy as np

from .._errors import DataError


class ArrayDataset:
    """Rows of ``x`` with rows of ``y``: ``dataset[i]`` is ``(x, y)`` of row i.

    uint8 values are pixels: they stay bytes in memory, and come out as float32 in 0..1, with
    the channels first: pictures (n, h, w) as (1, h, w); (n, h, w, 3) and (n, h, w, 1) as
    (3, h, w) and (1, h, w); (n, 3, h, w), (n, 1, h, w) and flat rows (n, features) as they lie.
    Every other ``x`` comes out as it is. Integer and boolean ``y`` come out as int64, floats as
    they are. `DataError` where the numbers of rows differ, or uint8 pictures have neither 1 nor
    3 channels.

        >>> pictures = np.full((5, 28, 28), 51, dtype=np.uint8)
        >>> x, y = ArrayDataset(pictures, [0, 1, 2, 3, 4])[3]
        >>> x.shape, x.dtype, x.max(), y
        ((1, 28, 28), dtype('float32'), np.float32(0.2), np.int64(3))
    """

    def __init__(self, x, y):
        x, y = np.asarray(x), np.asarray(y)
        for name, a in (("x", x), ("y", y)):
            if a.ndim < 1 or a.dtype.kind not in "buif":
                raise DataError(f"{name} must be an array of numbers with one row for each "
                                f"sample; got {a.dtype} of shape {a.shape}")
        if len(x) != len(y):
            raise DataError(f"x has {len(x)} rows and y has {len(y)}; each row of x needs its "
                            "row of y")
        self.x = _channels_first(x) if x.dtype == np.uint8 else x
        self.y = y if y.dtype.kind == "f" else y.astype(np.int64)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        i = operator.index(i)
        return _values(self.x[i]), self.y[i]

    def rows(self, indices):
        """``(x, y)``, the rows at an array of ``indices``, in its order."""
        return _values(self.x[indices]), self.y[indices]

    def subset(self, indices):
        """The data set of the rows at ``indices``, a copy, as `split` gives them, or where a
        mask is true."""
        part = copy.copy(self)
        part.x, part.y = self.x[indices], self.y[indices]
        return part

    def __repr__(self):
        return (f"ArrayDataset(x {self.x.dtype} {self.x.shape}, "
                f"y {self.y.dtype} {self.y.shape})")


def _values(x):
    return np.divide(x, np.float32(255), order="C") if x.dtype == np.uint8 else x


def _channels_first(x):
    """A view of uint8 pictures (n, ...) as (n, channels, height, width); flat rows as it is."""
    if x.ndim == 3: return x[:, None]
    if x.ndim == 4 and x.shape[3] in (1, 3): return x.transpose(0, 3, 1, 2)
    if x.ndim == 2 or (x.ndim == 4 and x.shape[1] in (1, 3)): return x
    raise DataError("uint8 pictures must be of shape (n, h, w), or (n, h, w, c) or "
                    f"(n, c, h, w) with 1 or 3 channels; got {x.shape}")
