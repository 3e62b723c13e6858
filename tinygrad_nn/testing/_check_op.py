"""`check_op`: an operation on everything that can be drawn for it, down to one small example.

Knows no rule. What it asks of an operation is asked of every operation of the table by this
project's own tests, with this function.
"""

import warnings

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import strategies as st

from .._errors import GradcheckError
from .._gradcheck import check
from .._tensor import Tensor
from .._transforms import flatten, grad, jvp
from ._arrays import as_strategy, layouts
from ._cases import Case, cases, name_in_text
from ._code import LAYOUTS
from ._specs import Row
from ._values import SPECIAL

MANY = 40                       # so many examples, and every special point has its own
VALUES, DTYPE = "print({call})", "print({call}.dtype)"
GRADCHECK = "print(tn.gradcheck({f}, {xs}))"
TENSORS = "print({f}(*map(tn.Tensor, [{xs}])))"
GRADIENT = "print(tn.grad(lambda *xs: tn.testing.total({f}(*xs)), range(len([{xs}])))({xs}))"
TANGENT = "print(tn.jvp({f}, [{xs}], [np.ones_like(x) for x in [{xs}]]))"


def check_op(fn, ref=None, arguments=None, keywords=None, order=2, examples=100):
    """Draw all that an operation must survive, and raise `GradcheckError` where it does not.

    ``fn``: a function of arrays, such as a new primitive, or a row of `ROWS`. ``ref``: a
    function that gives the same values. ``arguments``: for each array a domain (see `arrays`)
    or a strategy; if left out, those of the rows of ``fn``, or "real" for each parameter
    without a default. ``keywords``: a dict of values or strategies.

    Each of the ``examples`` draws shapes (0-d, empty and broadcast ones among them), layouts,
    float64 or float32, and special points. Checked are: values, shape and dtype (those of
    ``ref``; else the dtype of the arguments), that a Tensor gives what an array gives, shape
    and dtype of gradients and tangents, and that they depend neither on layout nor, but for
    rounding, on precision, that no argument is written to, and by `gradcheck` the derivatives
    up to ``order`` in both modes. A point at which nothing can be measured is no failure,
    unless all are such. The message has the smallest example that was found, as code.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.testing.check_op(np.hypot, lambda a, b: np.sqrt(a * a + b * b), examples=20)
    """
    __tracebackhide__ = True
    verdicts = {}
    for special, layout, n in _plan(examples):
        drawn = cases(fn, arguments, keywords or {}, special, layout)
        _run(drawn, lambda case: _examine(case, ref, order), n, verdicts)
    _check_measured(f"check_op of {name_in_text(fn)}", verdicts)


def check_function(f, *inputs, order=1, examples=100):
    """`gradcheck` of ``f`` at drawn points: the failure that it raises is the smallest found.

    ``inputs``: what `gradcheck` takes, or strategies for it (see `arrays`), in any mixture.
    Raises `GradcheckError` with the example as code. A point at which nothing can be measured
    is no failure, unless all are such.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.testing.arrays((3,), special=True)
    >>> tn.testing.check_function(lambda x, y: np.sum(np.abs(x - y)), x, np.ones(3), examples=9)
    """
    __tracebackhide__ = True
    verdicts, title = {}, f"check_function of {name_in_text(f)}"
    drawn = st.tuples(*map(as_strategy, inputs)).map(lambda xs: Case(title, f, list(xs), {}))
    _run(drawn, lambda case: _check_derivatives(case, order), examples, verdicts)
    _check_measured(title, verdicts)


def _check_measured(title, verdicts):
    if "right" not in verdicts.values():
        raise GradcheckError(f"{title}: at none of {len(verdicts)} drawn points could the "
                             "derivative be measured. Draw points within its domain")


def _plan(examples):
    """(special points, layout, how many examples) of each part of the drawing. Left to chance
    alone, a hundred examples miss one special point in three."""
    if examples < MANY:
        return [(False, layouts(), examples - examples // 2)] + [
            (True, layouts(), examples // 2)] * (examples > 1)
    return [*((False, layout, examples // 11) for layout in LAYOUTS),
            *(([p], layouts(), examples // 25) for p in SPECIAL)]


def _run(drawn, examine, examples, verdicts):
    """Examine so many different cases: hypothesis draws about every second one again."""
    __tracebackhide__ = True
    left, failed = examples, False

    @settings(max_examples=3 * examples, deadline=None, database=None, print_blob=False,
              verbosity=Verbosity.quiet, report_multiple_bugs=False,
              suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink))
    @given(drawn)
    def run(case):
        __tracebackhide__ = True
        nonlocal left, failed
        key = case.key()
        if key in verdicts or not (left or failed):
            return
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")             # special points overflow on purpose
            left -= not failed
            try:
                verdicts[key] = examine(case)
            except GradcheckError:
                failed = True
                raise
    run()


def _examine(case, ref, order):
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
    return _check_derivatives(case, order)


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
    return sum(parts[1:], parts[0])


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
    if case.in_general_position() and list(map(np.shape, _leaves(case(*plain)))) == case.shapes:
        for k, (g, e) in enumerate(zip(grads, gradient(*plain), strict=True)):
            if not np.allclose(g, e, 0, size, equal_nan=True):
                case.fail(f"the gradient by argument {k} is {_brief(g)}, of the same values as "
                          f"contiguous arrays of float64 {_brief(e)}", GRADIENT)


def _check_derivatives(case, order):
    """The verdict of gradcheck, at huge and tiny numbers of the first order alone."""
    __tracebackhide__ = True
    moderate = case.is_moderate()
    order = order if moderate else 1
    line = GRADCHECK if order == 1 else GRADCHECK[:-2] + f", order={order}))"
    report = case.attempt(lambda: check(case.steady, case.xs, order), line, "in gradcheck")
    if report.verdict == "wrong":
        if case.mixes_magnitudes() or all(
                abs(got) + abs(want) < 1e-270 for *_, got, want, _ in report.wrong):
            return "unmeasured"                         # digits are lost, whatever the rule is
        case.fail(str(report).partition("\n\nTo reproduce")[0], line, report)
    if report.kinks and moderate and case.is_one_operation():
        _check_kink(case)
    return report.verdict


def _check_kink(case, h=1e-6):
    """Whether the derivative along ones is larger than on both sides: an operation may be right
    about each of two elements that tie, and count both."""
    __tracebackhide__ = True
    xs = [np.array(x, np.float64) for x in case.xs]
    y, dy = map(_arrays, jvp(case, xs, list(map(np.ones_like, xs))))
    up, down = (_arrays(case(*(x + t for x in xs))) for t in (h, -h))
    for f, t, above, below in zip(y, dy, up, down, strict=True):
        most = np.maximum(np.abs(above - f), np.abs(f - below)) / h
        if np.any(np.abs(t) > 1.001 * most + 1e-6):
            case.fail(f"the derivative along ones is {_brief(t)}, by differences it is at most "
                      f"{_brief(most)} to either side: what ties is counted twice", TANGENT)
