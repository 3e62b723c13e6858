"""Data in, NumPy arrays out: pictures, folders of pictures, the course's files, drawings.

Loaded when ``tinygrad_nn.data`` is first used, so that ``import tinygrad_nn`` imports neither
Pillow nor h5py. Knows nothing of Tensors.
"""

from ._course import read_course
from ._drawings import write_drawings
from ._folders import ImageSet, read_folder, split
from ._images import IMAGE_SUFFIXES, read_image

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageSet",
    "read_course",
    "read_folder",
    "read_image",
    "split",
    "write_drawings",
]
