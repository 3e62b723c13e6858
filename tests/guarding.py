"""Arrays with a page beside them that must not be touched: whoever does dies (SIGSEGV)."""

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
NO_ACCESS = 0                                           # PROT_NONE


def guarded(shape, dtype, behind=True):
    """Zeros that end right before such a page, or (``behind=False``) begin right after it."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=int)) * dtype.itemsize
    pages = -(-max(size, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    guard = start + pages * PAGE if behind else start
    if libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(PAGE), NO_ACCESS):
        raise OSError(ctypes.get_errno(), "mprotect failed")
    offset = pages * PAGE - size if behind else PAGE
    return np.frombuffer(memory, dtype, size // dtype.itemsize, offset).reshape(shape)


class GuardedNumpy:
    """NumPy, except that the arrays that ``empty``, ``zeros`` and ``require`` give are guarded
    (and ``empty`` ones hold nan)."""

    def __init__(self, behind):
        self.behind = behind

    def __getattr__(self, name):
        return getattr(np, name)

    def zeros(self, shape, dtype=float):
        return guarded(shape, dtype, self.behind)

    def empty(self, shape, dtype=float):
        out = self.zeros(shape, dtype)
        if out.dtype.kind == "f":
            out.fill(np.nan)
        return out

    def require(self, a, dtype=None, requirements=None):
        out = self.zeros(np.shape(a), dtype or a.dtype)
        out[...] = a
        return out
