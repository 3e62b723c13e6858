"""What a case has to survive: every question that `check_op` asks, and what it says of a no.

Knows no rule, and draws nothing.
"""

import numpy as np
from hypothesis import reject

from .._gradcheck import check
from .._tensor import Tensor
from .._transforms import flatten, grad, jvp
from ._specs import Row

# code that shows what is wrong: see `Case.fail`
VALUES, DTYPE = "print({call})", "print({call}.dtype)"
GRADCHECK = "print(tn.gradcheck({f}, {xs}))"
TENSORS = "print({f}(*map(tn.Tensor, [{xs}])))"
GRADIENT = "print(tn.grad(lambda *xs: tn.testing.total({f}(*xs)), range(len([{xs}])))({xs}))"
TANGENT = "print(tn.jvp({f}, [{xs}], [np.ones_like(x) for x in [{xs}]]))"


def examine(case, ref, order):
    """Raise what is wrong with one case; otherwise the verdict of its gradcheck."""
    __tracebackhide__ = True
    before = [x.copy() for x in case.xs]
    plain = case.attempt(lambda: _arrays(case(*case.xs)), VALUES, "of arrays") if (
        ref is None) else _compared(case, ref)
    for k, (x, b) in enumerate(zip(case.xs, before, strict=True)):
        if not np.array_equal(x, b, equal_nan=True):
            case.fail(f"it writes to its argument {k}", VALUES)
    _check_layout(case, plain)
    if not isinstance(case.fn, Row):
        _check_dtypes(case, plain, ref)
    boxed = case.attempt(lambda: _leaves(case(*map(Tensor, case.xs))), TENSORS, "of Tensors")
    for got, want in zip(boxed, plain, strict=True):
        got = got.data if isinstance(got, Tensor) else np.asarray(got)
        if got.dtype != want.dtype or got.shape != want.shape or not (
                case.mixes_magnitudes() or _alike(case, got, want)):
            case.fail(f"a Tensor gives {_brief(got)}, an array {_brief(want)}", TENSORS)
    if any(isinstance(y, Tensor) for y in boxed):
        _check_gradients(case)
    return check_derivatives(case, order)


# ---------------------------------------------------------------- values

def _compared(case, ref):
    """The values of the function, once they are those of ``ref``; rejects what ``ref`` does."""
    __tracebackhide__ = True
    try:
        want = _arrays(ref(*case.xs, **case.kwargs))
    except Exception:
        reject()
    got = case.attempt(lambda: _arrays(case(*case.xs)), VALUES, "of arrays")
    if len(got) != len(want):
        case.fail(f"the function gives {len(got)} arrays, ref gives {len(want)}", VALUES)
    for y, w in zip(got, want, strict=True):
        if y.shape != w.shape or not _alike(case, y, w, np.isfinite(w)):
            case.fail(f"the function gives {_brief(y)}, ref gives {_brief(w)}", VALUES)
    return got


def _check_dtypes(case, plain, ref):
    """Results have the dtype of those of ``ref``, or of the arguments."""
    __tracebackhide__ = True
    want = [np.result_type(*case.xs)] * len(plain) if ref is None else [
        y.dtype for y in _arrays(ref(*case.xs, **case.kwargs))]
    for y, dtype in zip(plain, want, strict=True):
        if y.dtype != dtype and (ref is not None or y.dtype.kind == "f"):
            case.fail(f"the result is {y.dtype}, expected {dtype}", DTYPE)


def total(y):
    """The sum of all floating elements of an array or tree, weighted by 1 to 2 by position, so
    that exchanging two elements changes it.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.testing.total([np.array([1.0, 10.0]), np.array(100.0)]))
    121.0
    """
    parts = [np.sum(v * np.reshape(np.linspace(1, 2, v.size, dtype=v.dtype), v.shape))
             for v in _leaves(y) if getattr(v, "dtype", np.dtype(int)).kind == "f"]
    return sum(parts[1:], parts[0]) if parts else np.float64(0)


def _check_layout(case, plain):
    """Whether contiguous arrays give the same values."""
    __tracebackhide__ = True
    if case.in_general_position():
        for y, w in zip(plain, _arrays(case(*(x.copy("C") for x in case.xs))), strict=True):
            if not _alike(case, y, w):
                case.fail(f"the function gives {_brief(y)}, of contiguous arrays "
                          f"{_brief(w)}", VALUES)


def _leaves(y):
    return [v for _, v in flatten(y)]


def _arrays(y):
    return list(map(np.asarray, _leaves(y)))


def _brief(y):
    return f"{np.array2string(y, threshold=20)} ({y.dtype}, shape {y.shape})"


def _alike(case, got, want, where=True):
    """Whether values agree up to the rounding of results as large as these."""
    if want.dtype.kind != "f":
        return np.array_equal(got, want)
    where = np.broadcast_to(where, want.shape)
    rtol = 1e3 * max(float(np.finfo(x.dtype).eps) for x in (want, *case.xs))
    size = np.max(np.abs(want), initial=0.0, where=np.isfinite(want))
    lost = rtol * size + np.finfo(want.dtype).tiny
    return np.allclose(got[where], want[where], rtol, lost, equal_nan=True)


# ---------------------------------------------------------------- gradients

def _check_gradients(case):
    """Shape and dtype of gradients and tangents; that both modes agree; and that gradients are
    those of contiguous arrays of float64."""
    __tracebackhide__ = True
    gradient = grad(lambda *xs: total(case(*xs)), argnums=range(len(case.xs)))
    grads = case.attempt(lambda: gradient(*case.xs), GRADIENT, "in reverse mode")
    for k, (g, x) in enumerate(zip(grads, case.xs, strict=True)):
        if g.dtype != x.dtype or g.shape != x.shape:
            case.fail(f"the gradient by argument {k} is {g.dtype} of shape {g.shape}, the "
                      f"argument {x.dtype} of shape {x.shape}", GRADIENT)
    ones = [np.ones_like(x) for x in case.xs]
    tangents = case.attempt(lambda: jvp(case, case.xs, ones), TANGENT, "in forward mode")
    for y, t in zip(*map(_arrays, tangents), strict=True):
        if y.dtype != t.dtype or y.shape != t.shape:
            case.fail(f"a tangent is {t.dtype} of shape {t.shape}, the value {y.dtype} of shape"
                      f" {y.shape}", TANGENT)
    if not case.is_moderate():
        return
    rtol = 1e-9 if case.xs[0].dtype == np.float64 else 1e-3
    size = rtol * (1 + sum(np.sum(np.abs(g)) for g in grads))
    forward, reverse = total(tangents[1]), sum(map(np.sum, grads))
    if not np.allclose(forward, reverse, 0, size, equal_nan=True):
        case.fail(f"the derivative of tn.testing.total along ones is {forward} in forward mode,"
                  f" {reverse} in reverse mode", TANGENT)
    plain = [np.array(x, np.float64, order="C") for x in case.xs]
    if case.in_general_position() and list(map(np.shape, _leaves(case(*plain)))) == list(
            map(np.shape, _leaves(tangents[0]))):
        for k, (g, e) in enumerate(zip(grads, gradient(*plain), strict=True)):
            if not np.allclose(g, e, 0, size, equal_nan=True):
                case.fail(f"the gradient by argument {k} is {_brief(g)}, of the same values as "
                          f"contiguous arrays of float64 {_brief(e)}", GRADIENT)


def check_derivatives(case, order):
    """The verdict of gradcheck, at huge and tiny numbers of the first order alone."""
    __tracebackhide__ = True
    moderate = case.is_moderate()
    order = order if moderate else 1
    line = GRADCHECK if order == 1 else GRADCHECK[:-2] + f", order={order}))"
    report = case.attempt(lambda: check(case, case.xs, order), line, "in gradcheck")
    if report.verdict == "wrong" and not _is_excused(case, report):
        case.fail(str(report).partition("\n\nTo reproduce")[0], line, report)
    if report.kinks and moderate and len(case.xs) > 1 and case.is_one_operation():
        _check_kink(case)
    return "unmeasured" if not report else "right" if report.directions else "empty"


def _is_excused(case, report):
    """Whether what seems wrong is no fault of a rule: digits that are lost beside others or
    below the smallest number, or a second derivative at a kink, where there is none."""
    return (case.mixes_magnitudes()
            or all(abs(got) + abs(want) < 1e-270 for *_, got, want, _ in report.wrong)
            or (bool(report.kinks) and all(order > 1 for _, order, *_ in report.wrong)))


def _check_kink(case, h=1e-6):
    """Whether the derivative along ones is larger than on both sides: an operation may be right
    about each of two arguments that tie, and count both. (Ties within one are gradcheck's.)"""
    __tracebackhide__ = True
    xs = [np.array(x, np.float64) for x in case.xs]
    y, dy = map(_arrays, jvp(case, xs, list(map(np.ones_like, xs))))
    up, down = (_arrays(case(*(x + t for x in xs))) for t in (h, -h))
    for f, t, above, below in zip(y, dy, up, down, strict=True):
        most = np.maximum(np.abs(above - f), np.abs(f - below)) / h
        if np.any(np.abs(t) > 1.001 * most + 1e-6):
            case.fail(f"the derivative along ones is {_brief(t)}, by differences it is at most "
                      f"{_brief(most)} to either side: what ties is counted twice", TANGENT)
