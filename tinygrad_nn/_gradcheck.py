"""Derivatives checked against finite differences: both modes, first and second order."""

import numpy as np

from ._errors import GradcheckError
from ._modes import no_grad
from ._transforms import flatten, grad, jvp, tree_map, vjp


def gradcheck(f, *inputs, order=1, modes=("forward", "reverse"), eps=None, rtol=1e-5,
              atol=1e-7):
    """Compare the derivatives of ``f`` with central differences, each element, in float64.

    ``inputs``: arrays or lists, tuples and dicts of arrays; they are copied to float64. ``f``
    returns an array or a tree of arrays of any shape. With ``order=2`` the gradient of a fixed
    random projection of ``f`` is checked in the same way. Returns True, or raises
    `GradcheckError` naming mode, input, index, both values and the tolerance
    ``atol + rtol * scale``, where scale is the largest entry of that input's derivative.

    Each entry is ``(f(x + h) - f(x - h)) / 2h`` with ``h = eps * max(1, |x|)``; ``eps`` is the
    cube root of the machine precision, 6e-6, where truncation and rounding errors balance
    (Nocedal and Wright, *Numerical Optimization*, 2nd ed., section 8.1).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.gradcheck(lambda x: np.exp(x) * x, np.array([0.5, -1.0]))
    True
    """
    unknown = set(modes) - {"forward", "reverse"}
    if unknown or not modes:
        raise ValueError(f"modes={modes!r}: expected 'forward', 'reverse' or both")
    if order not in (1, 2):
        raise ValueError(f"order={order!r}: expected 1 or 2")
    if order == 2:
        gradcheck(f, *inputs, modes=modes, eps=eps, rtol=rtol, atol=atol)
    with no_grad():                     # f may close over Tensors, such as a model's weights
        return _check(f, inputs, order, modes, eps, rtol, atol)


def _check(f, inputs, order, modes, eps, rtol, atol):
    inputs = tuple(tree_map(lambda x: np.array(x, np.float64), x) for x in inputs)
    if order == 2:
        f = _projected_gradient(f, inputs)
    eps = np.finfo(np.float64).eps ** (1 / 3) if eps is None else eps
    names = [name for k, x in enumerate(inputs) for name, _ in flatten(x, f"input {k}")]
    numeric = _numeric(f, inputs, eps)
    for mode in modes:
        exact = (_forward if mode == "forward" else _reverse)(f, inputs)
        for name, x, a, b in zip(names, _arrays(inputs), exact, numeric, strict=True):
            _compare(mode, order, name, x, a, b, rtol, atol)
    return True


def _arrays(tree):
    return [np.asarray(v, np.float64) for _, v in flatten(tree)]


def _flat(y):
    return np.concatenate([v.ravel() for v in _arrays(y)] or [np.zeros(0)])


def _projected_gradient(f, inputs):
    rng = np.random.default_rng(0)
    weights = tree_map(lambda v: rng.uniform(0.5, 1.5, np.shape(v)), f(*inputs))

    def total(*xs):
        parts = [np.sum(v * w) for (_, v), (_, w)
                 in zip(flatten(f(*xs)), flatten(weights), strict=True)]
        return sum(parts[1:], parts[0])
    return grad(total, argnums=tuple(range(len(inputs))))


def _numeric(f, inputs, eps):
    """For each input the matrix (output elements, input elements) by central differences."""
    jacobians = []
    for x in (v for _, v in flatten(inputs)):
        columns = []
        for i in np.ndindex(x.shape):
            centre, h = x[i], eps * max(1.0, abs(x[i]))
            x[i] = centre + h
            above, y_above = x[i], _flat(f(*_copy(inputs)))
            x[i] = centre - h
            columns.append((y_above - _flat(f(*_copy(inputs)))) / (above - x[i]))
            x[i] = centre
        jacobians.append(np.stack(columns, 1) if columns else np.zeros((0, 0)))
    return jacobians


def _copy(inputs):
    return tree_map(np.array, inputs)


def _forward(f, inputs):
    zeros = tree_map(np.zeros_like, inputs)
    jacobians = []
    for t in (v for _, v in flatten(zeros)):
        columns = []
        for i in np.ndindex(t.shape):
            t[i] = 1.0
            columns.append(_flat(jvp(f, _copy(inputs), zeros)[1]))
            t[i] = 0.0
        jacobians.append(np.stack(columns, 1) if columns else np.zeros((0, 0)))
    return jacobians


def _reverse(f, inputs):
    y, pullback = vjp(f, *_copy(inputs))
    seeds = tree_map(lambda v: np.zeros(np.shape(v)), y)
    rows = [[] for _ in flatten(inputs)]
    for s in (v for _, v in flatten(seeds)):
        for i in np.ndindex(s.shape):
            s[i] = 1.0
            for row, g in zip(rows, _arrays(pullback(seeds)), strict=True):
                row.append(g.ravel())
            s[i] = 0.0
    return [np.stack(row) if row else np.zeros((0, 0)) for row in rows]


def _compare(mode, order, name, x, exact, numeric, rtol, atol):
    if exact.size == 0 or numeric.size == 0:
        return
    scale = np.max(np.abs(numeric), initial=0.0, where=np.isfinite(numeric))
    tolerance = atol + rtol * scale
    wrong = ~(np.abs(exact - numeric) <= tolerance)
    if wrong.any():
        k, i = np.argwhere(wrong)[np.argmax(np.abs(exact - numeric)[wrong])]
        index = tuple(int(j) for j in np.unravel_index(i, x.shape))
        raise GradcheckError(
            f"{mode} mode, order {order}: the derivative of output element {k} by {name} at "
            f"index {index} is {exact[k, i]:.10g}, central differences give "
            f"{numeric[k, i]:.10g} (tolerance {tolerance:.2g}; {wrong.sum()} of {wrong.size} "
            "entries differ)")
