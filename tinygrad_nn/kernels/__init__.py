"""Compiled kernels for arrays: where numba is installed (extra ``fast``) and where it pays.

    __init__       which of the two forms of a function runs
    _convolution   conv2d and its two transposes: arrays in, arrays out
    _pooling       max pooling
    _geometry      convolution as sums over shifted rows: shapes, places, sizes
    _loops         the loops of convolution around the tiles, compiled by numba
    _pooled_loops, _pooled_tiles        the loops and tiles of convolution with pooling
    _pool_loops    those of pooling
    _products      products of matrices with few rows
    _product_loops, _product_tiles      their loops and tiles
    _ir            what all writers of vector code need of LLVM's instructions
    _numba         register tiles in vector code; the one file that imports numba
    _blas          products by BLAS on our threads; the one file that imports threadpoolctl
    _threads       our own threads
    _looks         how they look out for work, a moment, before they sleep
    _chains        a kernel for each chain of elementwise steps and sums, by its description
    _tables        its loops over rows and columns
    _vectors       exp, log, tanh and their like, on vectors
    _llvm          from LLVM's text to a function, kept on disk

A function of `tinygrad_nn.rules` that has a form here says so with `also_compiled`. Without
numba its own NumPy code runs, and the results are the same up to rounding. What numba makes of
the loops, and `_chains`, is kept on disk; `_numba` and `_llvm` say where.

Which form runs depends on shapes and dtypes alone, never on what ran before, so that a
computation gives the same bits each time.
"""

import contextlib
import functools
import importlib
from contextvars import ContextVar

import numpy as np

LEAST = 1 << 18                 # multiplications; below it NumPy takes less than 0.1 ms
_left_out = ContextVar("left_out", default=False)


def also_compiled(module, work):
    """Decorator: the function of that name in a module of this package takes the place of a
    NumPy one for float32 and float64, where ``work(*arguments)`` is `LEAST` or more. Both
    write into ``out``, one array or a tuple of them, where it is given.

    Two attributes: ``plain``, the NumPy one; ``pays(*arguments)``, whether it is replaced.
    """
    def decorate(plain):
        def pays(*args):
            return work(*args) >= LEAST and _precise(args) and available()

        @functools.wraps(plain)
        def call(*args, out=None):
            if pays(*args):
                compiled = importlib.import_module(f".{module}", __name__)
                return getattr(compiled, plain.__name__)(plain, *args, out=out)
            return plain(*args, out=out)
        call.plain, call.pays = plain, pays
        return call
    return decorate


def _precise(args):
    """Whether the result of these arguments is float32 or float64."""
    dtype = np.result_type(*(a.dtype for a in args if hasattr(a, "dtype")))
    return dtype == np.float32 or dtype == np.float64


@contextlib.contextmanager
def left_out():
    """A block of code in which NumPy does everything: where a few calls are not worth what it
    takes to import numba and to compile, half a second and more."""
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


def available():
    """Whether numba is installed, works with this NumPy, may compile, and is not left out."""
    return not _left_out.get() and _installed()


@functools.cache
def _installed():
    try:
        from . import _numba
    except ImportError:
        return False
    return not _numba.numba.config.DISABLE_JIT


def generates():
    """Whether kernels for chains of operations (`_chains`) can be made besides."""
    if not available():
        return False
    from . import _llvm
    return _llvm.works()
