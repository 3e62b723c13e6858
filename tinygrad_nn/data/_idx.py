"""IDX files, the format of MNIST and Fashion-MNIST -> arrays.

Knows the layout of IDX and what the four files of such a data set are called; may not know any
other data.

An IDX file is two zero bytes, a byte for the type, a byte for the number of axes, the length of
each axis as a big-endian 32-bit number, then the values, the last axis fastest (LeCun, *The
MNIST database of handwritten digits*). gzip is told by its first two bytes, not by the name.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from .._errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
            "Bag", "Ankle boot")
DIGITS = tuple("0123456789")

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
DEFLATE = 1032                             # gzip shrinks by no more than this


def fashion_mnist(folder=None):
    """Fashion-MNIST: ``(train_x, train_y, test_x, test_y, classes)``.

    ``folder`` holds the four IDX files, gzipped or not; None is where Debian's package
    ``dataset-fashion-mnist`` puts them. The pictures are uint8 as stored, (60000, 28, 28) and
    (10000, 28, 28), grey, 255 the garment; the labels int64, (60000,) and (10000,); ``classes``
    the names of the ten. `DataError` when a file is missing, damaged or something else.

        train_x, train_y, test_x, test_y, classes = fashion_mnist()
        loader = DataLoader(ArrayDataset(train_x, train_y), 32, shuffle=True)
    """
    if folder is None and not DEBIAN.is_dir():
        raise DataError(f"Fashion-MNIST is not in {DEBIAN}: apt-get install "
                        "dataset-fashion-mnist puts it there (Debian, Ubuntu), or name a "
                        "folder that holds its four IDX files", DEBIAN)
    return (*_four(Path(folder or DEBIAN), len(GARMENTS)), GARMENTS)


def mnist(folder):
    """MNIST, the handwritten digits: what `fashion_mnist` gives, from the files in ``folder``.

        train_x, train_y, test_x, test_y, classes = mnist("datasets/mnist")
    """
    return (*_four(Path(folder), len(DIGITS)), DIGITS)


def read_idx(path):
    """Read one IDX file, gzipped or not, as an array of the type and shape that it names.

    `DataError`, with the path, when the file is missing, is not IDX, or holds fewer or more
    values than its header says.

        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     header = bytes([0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3])     # uint8, 2 × 3
        ...     written = file.write(header + bytes([1, 2, 3, 4, 5, 6]))
        ...     file.flush()
        ...     read_idx(file.name)
        array([[1, 2, 3],
               [4, 5, 6]], dtype=uint8)
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            most = os.fstat(raw.fileno()).st_size * (DEFLATE if zipped else 1)
            if not zipped: return _read(raw, most, path)
            with gzip.open(raw) as file: return _read(file, most, path)
    except FileNotFoundError:
        raise DataError(f"the IDX file {path} does not exist", path) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the IDX file {path} cannot be read: {error}", path) from error


def _read(file, most, path):
    """The array of an open file whose content is no longer than ``most`` bytes."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or head[3] == 0:
        raise DataError(f"{path} is not an IDX file: it begins with {head!r}, expected two "
                        "zero bytes, a type and a number of axes", path)
    dtype, axes = np.dtype(TYPES[head[2]]), file.read(4 * head[3])
    if len(axes) < 4 * head[3]: raise DataError(f"{path} ends within its header", path)
    shape = struct.unpack(f">{head[3]}I", axes)
    count = math.prod(shape) * dtype.itemsize
    values = file.read(count + 1) if count <= most else b""
    if len(values) != count:
        got = "more" if len(values) > count else "fewer"
        raise DataError(f"{path} should hold {count} bytes of values, {dtype.name} of shape "
                        f"{shape}, and holds {got}: was it copied whole?", path)
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _four(folder, classes):
    """Pictures and labels of both parts, each checked against the other."""
    parts = []
    for part in ("train", "t10k"):
        images, labels = (_find(folder, part, kind) for kind in ("images-idx3", "labels-idx1"))
        x, y = read_idx(images), read_idx(labels)
        if x.ndim != 3 or x.dtype != np.uint8:
            raise DataError(f"{images} should hold uint8 pictures of shape (n, height, width); "
                            f"got {x.dtype} {x.shape}", images)
        if y.shape != x.shape[:1] or y.dtype != np.uint8 or y.max(initial=0) >= classes:
            raise DataError(f"{labels} should hold {len(x)} labels below {classes}, one for "
                            f"each picture; got {y.dtype} {y.shape}, the largest "
                            f"{y.max(initial=0)}", labels)
        parts += [x, y.astype(np.int64)]
    return parts


def _find(folder, part, kind):
    """The path of one of the four files; mirrors differ in a hyphen and in gzip."""
    names = [f"{part}-{name}-ubyte{suffix}" for suffix in ("", ".gz")
             for name in (kind, kind.replace("-", "."))]
    for name in names:
        if (folder / name).is_file(): return folder / name
    raise DataError(f"{folder / names[0]} does not exist, gzipped or not; the folder must hold "
                    "the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                    "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (for Fashion-MNIST: "
                    "apt-get install dataset-fashion-mnist)", folder / names[0])
