"""A folder with one sub-folder of pictures per class: its classes, files and labels; arrays.

Knows names, order, labels and what to do about pictures that cannot be read; may not know how a
picture is decoded (``_images``) nor what will be trained on it.

`read_folder` holds everything in memory at once, in one array that is allocated before the
first picture is read: 2,000 pictures at 64 × 64 take 98 MB. `ImageFolder` (``_image_folder``)
reads a picture when it is asked for it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._errors import DataError
from .._messages import whole
from ._images import is_picture, read_image

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
LAYOUT = "one sub-folder of pictures for each class is expected, such as {0}/cats and {0}/dogs"


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Pictures with their labels: row i of ``x`` is ``paths[i]`` and shows ``classes[y[i]]``.

    ``x`` float32 (n, size, size, 3) in 0..1; ``y`` int64 (n,); ``paths`` a list of n ``Path``;
    ``classes`` a tuple of names; ``skipped`` a list of one ``DataError`` for each picture that
    could not be read.
    """

    x: np.ndarray
    y: np.ndarray
    paths: list
    classes: tuple
    skipped: list

    @property
    def class_indices(self):
        """The label of each class: {name: label}."""
        return class_indices(self.classes)

    def __len__(self):
        return len(self.y)

    def __repr__(self):
        return (f"ImageSet({counts(self.y, self.classes)}; x {self.x.shape}, "
                f"{len(self.skipped)} skipped)")


def read_folder(folder, size, positive=None, on_unreadable="skip"):
    """Read every picture in the sub-folders of ``folder`` as an ``ImageSet`` of side ``size``.

    A sub-folder is a class, named after it, in sorted order. Of two classes, class 1 is the one
    called ``positive``, else ``cat`` or ``cats`` (in any case), else the last. Pictures come in
    order of class, then of name. Hidden files and files that are no pictures are passed over.

    A picture that cannot be read is left out and listed in ``.skipped`` with its reason, or
    raised with ``on_unreadable="error"``. ``DataError`` when the folder is missing, is a file,
    has fewer than two sub-folders, or one of them has no picture that can be read.

        >>> import tempfile
        >>> from tinygrad_nn.data import write_drawings
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_folder(write_drawings(folder + "/pets", count=2, size=16), 16)
        ImageSet(0: 2 other, 1: 2 cats; x (4, 16, 16, 3), 0 skipped)
    """
    check_policy(on_unreadable)
    folder, size = Path(folder), whole("size", size)
    classes, files = class_files(folder, positive)
    x = np.empty((len(files), size, size, 3), dtype=np.float32)
    y, paths, skipped = [], [], []
    for label, path in files:
        try:
            x[len(y)] = read_image(path, size)
        except DataError as error:
            if on_unreadable == "error": raise
            skipped.append(DataError(str(error), path))    # fresh: a traceback holds pixels
        else:
            y.append(label); paths.append(path)
    check_every_class(folder, classes, y, skipped)
    return ImageSet(x[:len(y)], np.array(y, dtype=np.int64), paths, classes, skipped)


# ---------------------------------------------------------------- what both readers share

def class_files(folder, positive=None, classes=None):
    """The names of the classes, and ``(label, path)`` of each picture, in order.

    ``classes``: the names that are expected, in the order of their labels.
    """
    names = _classes(folder)
    if classes is None: classes = _order(names, positive, folder)
    elif set(classes) != set(names) or len(classes) != len(names):
        raise DataError(f"{folder} has the classes {', '.join(names)}; expected "
                        f"{', '.join(classes)}, the same folders as where those came from",
                        folder)
    return tuple(classes), [(label, path) for label, name in enumerate(classes)
                            for path in _pictures(folder / name)]


def check_policy(on_unreadable):
    """ValueError unless it says what to do about a picture that cannot be read."""
    if on_unreadable not in ("skip", "error"):
        raise ValueError(f'on_unreadable must be "skip" or "error"; got {on_unreadable!r}')


def check_every_class(folder, classes, y, skipped):
    """DataError unless every label is among ``y``."""
    for label, name in enumerate(classes):
        if label in y: continue
        path = folder / name
        failed = [error for error in skipped if Path(error.path).parent == path]
        raise DataError(f"the class folder {path} {_lack(path, failed)}; put pictures into it, "
                        f"or take it out of {folder}", path)


def class_indices(classes):
    """``{"dogs": 0, "cats": 1}``."""
    return {name: label for label, name in enumerate(classes)}


def counts(y, classes):
    """``0: 800 dogs, 1: 800 cats``."""
    return ", ".join(f"{label}: {np.count_nonzero(y == label)} {name}"
                     for label, name in enumerate(classes))


def _classes(folder):
    """The names of the class folders, at least two of them."""
    if not os.path.exists(folder):
        raise DataError(f"the folder {folder} does not exist; {LAYOUT.format(folder)}", folder)
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is a file, not a folder; give the folder that holds the "
                        "class folders", folder)
    names = [path.name for path in _entries(folder) if os.path.isdir(path)]
    if names and all(name.lower().removesuffix("_set") in PARTS for name in names):
        part = next((name for name in names if name.lower().startswith("train")), names[0])
        raise DataError(f"{folder} holds the parts of a data set ({', '.join(names)}) and not "
                        f"its classes: give {folder / part}, which should hold one sub-folder "
                        "of pictures for each class", folder)
    if len(names) >= 2: return names
    if names:
        raise DataError(f"{folder} has only one class folder, {names[0]!r}, and so nothing to "
                        "tell apart: add a folder with pictures of something else", folder)
    holds = "holds pictures directly but" if _pictures(folder) else "has"
    raise DataError(f"{folder} {holds} no class folders; {LAYOUT.format(folder)}", folder)


def _order(names, positive, folder):
    """The class names as a tuple whose index is the label."""
    if positive is not None and (len(names) != 2 or positive not in names):
        raise DataError(f"positive={positive!r} must name one of two class folders; "
                        f"{folder} has {', '.join(names)}", folder)
    if len(names) != 2: return tuple(names)
    cats = [name for name in names if name.lower() in ("cat", "cats")]
    one = positive or (cats[0] if len(cats) == 1 else names[1])
    return (*(name for name in names if name != one), one)


def _lack(path, failed):
    if failed: return f"has no picture that can be read ({len(failed)} failed; {failed[0]})"
    inner = [entry.name for entry in _entries(path) if os.path.isdir(entry)]
    if not inner: return "holds no pictures"
    return f"holds only folders ({', '.join(inner[:3])}); give {path} if you meant those"


def _pictures(folder):
    return [path for path in _entries(folder) if is_picture(path) and not os.path.isdir(path)]


def _entries(folder):
    """What is in a folder, sorted by name, hidden things left out."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"cannot look into {folder}: {error.strerror}", folder) from error
    return [folder / name for name in names if not name.startswith((".", "__MACOSX"))]
