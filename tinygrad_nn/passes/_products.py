"""Products written with ``@`` by what runs those of linear layers: tiles, or BLAS on threads of
ours, beside which its own would get in the way of all kernels (`kernels._blas`)."""

from dataclasses import replace

import numpy as np

from .. import kernels
from .._symbol import Var
from ..kernels._blas import starts_threads
from ..rules._products import product


def products(program):
    """With `product` in the place of np.matmul, for matrices where that is something else."""
    return program.with_(equations=tuple(
        replace(e, fn=product) if _fits(e) else e for e in program.equations))


def _fits(e):
    return (e.fn is np.matmul and not e.kwargs and not (e.lazy or e.again)
            and all(isinstance(a, Var) and len(a.shape) == 2 for a in e.args)
            and (product.pays(*e.args) or starts_threads(*e.args)) and kernels.available())
