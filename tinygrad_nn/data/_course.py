"""The two ``.h5`` files of the course's cat classifier -> arrays; the one file with h5py.

Knows the layout of those files; may not know any other data, nor import h5py before it is asked
to read (it is the extra ``data``).
"""

from pathlib import Path

import numpy as np

from .._errors import DataError, MissingExtraError

FILES = ("train_catvnoncat.h5", "test_catvnoncat.h5")


def read_course(folder):
    """Read the course's files: ``(train_x, train_y, test_x, test_y, classes)``.

    ``folder`` holds ``train_catvnoncat.h5`` and ``test_catvnoncat.h5``. The pictures are uint8
    as stored, (209, 64, 64, 3) and (50, 64, 64, 3); the labels int64, (209,) and (50,), 1 for a
    cat; ``classes`` is ``("non-cat", "cat")``. ``MissingExtraError`` without h5py;
    ``DataError`` when a file is missing, is not HDF5, or lacks a key.

        train_x, train_y, test_x, test_y, classes = read_course("datasets")
        train_x.shape, train_y.sum()                    # (209, 64, 64, 3), 72
    """
    h5py = _h5py()
    train, test = (Path(folder) / name for name in FILES)
    train_x, train_y = _read(h5py, train, ("train_set_x", "train_set_y"))
    test_x, test_y, names = _read(h5py, test, ("test_set_x", "test_set_y", "list_classes"))
    classes = tuple(name.decode() if isinstance(name, bytes) else name for name in names)
    return (*_checked(train_x, train_y, train), *_checked(test_x, test_y, test), classes)


def _h5py():
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("reading the course's .h5 files needs h5py, which is not "
                                "installed: pip install 'tinygrad_nn[data]'") from error
    return h5py


def _read(h5py, path, keys):
    if not path.is_file():
        raise DataError(f"{path} does not exist; the folder must hold the course's files "
                        f"{' and '.join(FILES)}", path)
    try:
        with h5py.File(path, "r") as file:
            missing = [key for key in keys if not isinstance(file.get(key), h5py.Dataset)]
            if missing:
                found = ", ".join(file) or "no keys"
                raise DataError(f"{path} is not the course's file: it lacks the key "
                                f"{', '.join(missing)} and has {found}", path)
            return [file[key][()] for key in keys]
    except OSError as error:
        raise DataError(f"{path} cannot be read as HDF5: {error}", path) from error


def _checked(x, y, path):
    """Pictures as stored and labels as a flat int64 array, one for each picture."""
    y = np.ravel(y)                                   # some copies store the labels as (1, n)
    if x.ndim != 4 or x.shape[-1] != 3 or x.dtype != np.uint8 or len(x) != len(y):
        raise DataError(f"{path} should hold uint8 pictures of shape (n, s, s, 3), n labels; "
                        f"got {x.dtype} {x.shape}, {len(y)} labels", path)
    return x, y.astype(np.int64)
