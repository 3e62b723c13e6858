"""Data in, NumPy arrays out: pictures, folders, IDX files, the course's files; batches of them.

    train = data.ImageFolder("photos/train", size=64)             # decodes when it is asked
    loader = data.DataLoader(train, batch_size=32, shuffle=True, seed=0,
                             augment=data.augment.RandomHorizontalFlip())
    for x, y in loader: ...                 # float32 (N, 3, 64, 64) in 0..1, int64 (N,)

`read_folder`, `read_course`, `fashion_mnist` and `mnist` give whole arrays, `ArrayDataset`
makes a data set of arrays, `split` and `folds` divide labelled samples.

Loaded when ``tinygrad_nn.data`` is first used, so that ``import tinygrad_nn`` imports neither
Pillow nor h5py. Knows nothing of Tensors.
"""

from . import augment
from ._arrays import ArrayDataset
from ._course import read_course
from ._drawings import write_drawings
from ._folders import ImageSet, read_folder
from ._idx import fashion_mnist, mnist, read_idx
from ._image_folder import ImageFolder
from ._images import IMAGE_SUFFIXES, read_image
from ._loader import DataLoader
from ._splits import folds, split

__all__ = [  # noqa: RUF022    in plain order, which the tests hold; ruff puts capitals first
    "ArrayDataset",
    "DataLoader",
    "IMAGE_SUFFIXES",
    "ImageFolder",
    "ImageSet",
    "augment",
    "fashion_mnist",
    "folds",
    "mnist",
    "read_course",
    "read_folder",
    "read_idx",
    "read_image",
    "split",
    "write_drawings",
]
