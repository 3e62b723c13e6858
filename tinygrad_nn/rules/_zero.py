"""Functions whose derivative is zero wherever they have one: they return plain arrays."""

import numpy as np

from .._table import zero

zero(  # comparisons and tests
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isfinite, np.isinf, np.isnan, np.isposinf, np.isneginf, np.signbit, np.iscomplexobj,
    np.isrealobj, np.isclose, np.allclose, np.array_equal, np.logical_and, np.logical_or,
    np.logical_not, np.logical_xor, np.all, np.any)
zero(  # steps
    np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.fix, np.floor_divide,
    np.spacing)
zero(  # positions
    np.argmax, np.argmin, np.argsort, np.argpartition, np.argwhere, np.nonzero, np.flatnonzero,
    np.count_nonzero, np.searchsorted, np.lexsort)
zero(  # what depends on shape and dtype alone, and text
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like,
    np.result_type, np.can_cast, np.min_scalar_type, np.array_repr, np.array_str,
    np.array2string, np.shares_memory, np.may_share_memory)
