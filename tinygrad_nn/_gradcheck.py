"""Derivatives checked against differences: both modes, any order, one random direction for
each input, or every entry of the Jacobian.

What decides is the error bar of the differences (`_differences`) and the rounding of both
sides, never a tolerance that somebody chose. A direction that disagrees is looked at again with
finer steps and with the inputs disturbed by rounding errors, before it counts; then its
coordinates are halved until the wrong one is found, and `_blame` looks for the operation.
"""

import numpy as np

from ._blame import blame, recorded
from ._core import Box
from ._differences import FINER, START, SURE, slope
from ._errors import GradcheckError
from ._findings import Finding, GradcheckReport, flat
from ._modes import no_grad
from ._transforms import flatten, grad, jvp, tree_map, vjp

MODES = ("forward", "reverse")
observers = []                  # called with the report of every check


def gradcheck(f, *inputs, order=1, modes=MODES, full=False, seed=0):
    """Compare the derivatives of ``f`` with differences that know their own error.

    ``inputs``: arrays, or lists, tuples, dicts and Modules of arrays; they are copied to
    float64, and so the whole computation is promoted. ``f`` returns an array or a tree of
    arrays of any shape. For each array in them one random direction (drawn with ``seed``) is
    checked in each mode; with ``full`` every entry of the Jacobian. ``order=2`` checks the
    gradient of a random projection of ``f`` in the same way too, and so on.

    Returns a `GradcheckReport`, which is true and prints as a table, or raises
    `GradcheckError` with the report as ``.report``: the wrong input, index and values, the
    operation whose rule is to blame, and code that shows it. Where one-sided derivatives
    differ (a kink), any value between them is right; the report names the operation. Elements
    of the inputs that are not finite are left as they are. Where nothing can be measured
    (``f`` is not finite at this point, or only noise), it raises as well.

    >>> import numpy as np, tinygrad_nn as tn
    >>> report = tn.gradcheck(lambda x: np.exp(x) * x, np.array([0.5, -1.0]), order=2)
    >>> report.verdict, report.digits > 9
    ('right', True)
    """
    report = check(f, inputs, order, modes, full, seed)
    if not report:
        raise GradcheckError(str(report), report)
    return report


def check(f, inputs, order=1, modes=MODES, full=False, seed=0, blaming=True):
    """The report of `gradcheck`, whatever it says; without ``blaming`` no operation in it."""
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or set(modes) - set(MODES):
        raise ValueError(f"modes={modes!r}: expected 'forward', 'reverse' or both")
    if order not in (1, 2, 3, 4):
        raise ValueError(f"order={order!r}: expected 1 or 2, at most 4")
    inputs = tuple(tree_map(lambda x, k=k: _array(x, k), x) for k, x in enumerate(inputs))
    report, unit = GradcheckReport(f, inputs, recorded), None
    with no_grad(), np.errstate(all="ignore"):  # f may close over Tensors, such as weights
        for k in range(1, order + 1):
            if report.verdict == "right":
                p = _Problem(f, inputs, k, seed, unit)
                unit = unit if unit is not None else min(1.0, np.max(np.abs(p.y), initial=0.0))
                _check(p, modes, full, report)
                report.evaluations += p.evaluations
                if blaming and (report.wrong or report.kinked > bool(report.kinks)):
                    blame(report, p.f, k, check)
    if blaming:
        for observe in observers:
            observe(report)
    return report


def _array(x, k):
    x = x.data if isinstance(x, Box) else np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"input {k} holds {x.dtype}: derivatives are by real numbers, close "
                        "over everything else")
    return np.array(x, np.float64)


class _Problem:
    """``f`` of some order at its inputs, its derivatives along directions, and what they cost.

    A direction changes one input (the array number ``i``); the derivative along it is an array
    over all output elements, or one number for the outputs weighted by ``u``.
    """

    def __init__(self, f, inputs, order, seed, unit):
        self.rng = np.random.default_rng(seed)
        for _ in range(order - 1):
            f = _projected_gradient(f, inputs, self.rng)
        self.f, self.inputs, self.order = f, inputs, order
        self.names = [name for k, x in enumerate(inputs)
                      for name, _ in flatten(x, f"input {k}")]
        self.leaves = [x for _, x in flatten(inputs)]
        y = f(*self.copies())
        self.y, self.again, self.evaluations = flat(y), flat(f(*self.copies())), 2
        parts = [np.asarray(v) for _, v in flatten(y)]
        self.shapes = [v.shape for v in parts]
        self.eps = max([np.finfo(v.dtype).eps for v in parts if v.dtype.kind == "f"], default=0)
        # what rounding makes of a derivative that is zero; of a gradient in units of f at most
        self.floor = self.eps * np.abs(self.y if unit is None else np.full(self.y.shape, unit))
        self.u = _signs(self.rng, self.y.shape) / (1 + np.abs(self.y))
        self.pulled = {}

    def copies(self, leaves=None):
        """The inputs, or trees of the same form with other leaves."""
        leaves = iter(self.leaves if leaves is None else leaves)
        return tree_map(lambda _: next(leaves).copy(), self.inputs)

    def differences(self, i, v, start):
        """The derivative along ``v`` by differences: a `Slope`."""
        def curve(t):
            self.evaluations += 1
            moved = list(self.leaves)
            moved[i] = np.asarray(moved[i] + t * v)
            try:
                y = flat(self.f(*self.copies(moved)))
            except (ValueError, ArithmeticError):
                y = None
            if y is None or y.shape != self.y.shape:        # the step left the domain of f
                return np.full(self.y.shape, np.nan)
            return y
        return slope(curve, self.y, self.eps, start)

    def claim(self, mode, i, v, u=None, leaves=None):
        """The derivative that a mode gives, and the size of the terms it was summed of."""
        if mode == "forward":
            tangents = [np.zeros_like(x) for x in self.leaves]
            tangents[i] = v
            self.evaluations += 1
            got = flat(jvp(self.f, self.copies(leaves), self.copies(tangents))[1])
            return got, np.abs(got)
        key = "all" if u is None else "u" if u is self.u else None
        if leaves is not None or key not in self.pulled:
            rows = self._gradients(leaves, np.eye(self.y.size) if u is None else u[None])
            if leaves is None and key:
                self.pulled[key] = rows
        else:
            rows = self.pulled[key]
        terms = np.where(np.ravel(v) != 0, rows[i], 0.0) * np.ravel(v)
        return terms.sum(-1), np.abs(terms).sum(-1)

    def _gradients(self, leaves, weights):
        """For each input the gradients of the outputs weighted by each row of ``weights``."""
        self.evaluations += 1
        y, pull = vjp(self.f, *self.copies(leaves))
        found = [[] for _ in self.leaves]
        ends = np.cumsum([np.prod(s, dtype=int) for s in self.shapes])[:-1]
        for u in weights:
            parts = iter(np.split(u, ends))
            seeds = tree_map(lambda v: next(parts).reshape(np.shape(v)), y)  # noqa: B023
            for rows, (_, g) in zip(found, flatten(pull(seeds)), strict=True):
                rows.append(np.ravel(g))
        return [np.array(rows, np.float64) for rows in found]


def _projected_gradient(f, inputs, rng):
    """The gradient of the sum of all outputs with random weights, a function of all inputs."""
    weights = tree_map(lambda v: _signs(rng, np.shape(v)), f(*tree_map(np.copy, inputs)))

    def total(*xs):
        parts = [np.sum(v * w) for (_, v), (_, w)
                 in zip(flatten(f(*xs)), flatten(weights), strict=True)]
        return sum(parts[1:], parts[0])
    return grad(total, argnums=tuple(range(len(inputs))))


def _signs(rng, shape):
    """Random numbers of either sign, of a half to 1: none is too small to count."""
    r = rng.uniform(-0.5, 0.5, shape)
    return r + np.copysign(0.5, r)


def _scale(x):
    """How far each element may move for a step of 1: by its own size, so that none passes 0 and
    none is lost beside larger ones."""
    return np.where(x == 0, 1.0, np.maximum(np.abs(x), 0.01))


def _bands(x):
    """Masks of the elements that can be moved together: finite, of like magnitude."""
    if np.max(np.abs(x), initial=0.0) <= 1e4:
        return [np.ones(x.shape, bool)] if x.size else []
    band = np.where(np.abs(x) > 1e4, np.log10(np.abs(x)) // 8 + 1, 0)
    return [(band == b) & np.isfinite(x) for b in np.unique(band) if np.isfinite(b)]


# ---------------------------------------------------------------- checking

def _check(p, modes, full, report):
    """Check one order and put what was found into the report."""
    if not np.array_equal(p.y, p.again, equal_nan=True):
        report.cannot_be_measured("f gives other values at the same inputs: it draws random "
                                  "numbers, or changes what it closes over")
    elif not np.all(np.isfinite(p.y)):
        k = int(np.argmin(np.isfinite(p.y)))
        what = "f" if p.order == 1 else f"the derivative of order {p.order - 1}"
        report.cannot_be_measured(f"{what} is {p.y[k]} at this point (output element {k})")
    for i, x in enumerate(p.leaves if not report.reason and p.y.size else ()):
        for mode, found in _input(p, i, x, modes, full, report):
            report.add(p, i, mode, found)


def _input(p, i, x, modes, full, report):
    """(mode, what was found at worst) for one input."""
    worst, kinked = {}, False
    if full:
        directions = [np.where(np.arange(x.size) == k, _scale(x).ravel(), 0.0).reshape(x.shape)
                      for k in np.flatnonzero(np.isfinite(x))]
    else:
        directions = [np.where(m, _signs(p.rng, x.shape) * _scale(x), 0.0) for m in _bands(x)]
    # looked at after a kink only: equal numbers that move together stay equal
    together = [np.where(m, np.max(np.abs(x[m]), initial=0.01), 0.0) for m in _bands(x)]
    for n, v in enumerate([*directions, *together]):
        if n >= len(directions) and not kinked:
            break
        d = _Direction(p, i, v)
        report.directions += 1
        for mode in modes:
            u = None if full or mode == "forward" else p.u
            found = _compare(d, u, mode)
            kinked |= found.kink
            if found.verdict == "wrong" and not full:
                found = _narrowed(d, mode, u, found)
            if mode not in worst or found.rank > worst[mode].rank:
                worst[mode] = found
    report.kinked |= kinked
    return worst.items()


class _Direction:
    """A direction and the differences along it, made finer on demand."""

    def __init__(self, p, i, v):
        self.p, self.i, self.v, self.slopes = p, i, v, []

    def slope(self, k):
        """The best of the differences with ``k`` finer beginnings."""
        while len(self.slopes) <= k:
            s = self.p.differences(self.i, self.v, START * FINER ** len(self.slopes))
            self.slopes.append(self.slopes[-1].better(s) if self.slopes else s)
        return self.slopes[k]

    def part(self, where):
        """The same direction in some coordinates only (flat indices)."""
        v = np.zeros_like(self.v)
        v.flat[where] = self.v.flat[where]
        return _Direction(self.p, self.i, v)


def _compare(d, u, mode):
    """Differences and one mode along a direction, for all outputs or weighted by ``u``."""
    p = d.p
    got, size = p.claim(mode, d.i, d.v, u)
    for k in range(3):              # a kink must be one at every step, a mismatch too
        s = d.slope(k)
        if np.count_nonzero(d.v) == 1 and (u is None or np.count_nonzero(u) == 1):
            s = s.widened()
        s = s if u is None else s.projected(u)
        floor = p.floor if u is None else np.abs(u) @ p.floor
        found = Finding(d.v, u, s, got, size, p.eps, floor)
        if found.verdict == "right" and (k or not found.kink):
            break
    if found.verdict == "wrong":
        noise = np.zeros_like(got)
        for _ in range(2):          # what rounding errors of the inputs do to the derivative
            leaves = [x * (1 + 8 * p.eps * _signs(p.rng, x.shape)) for x in p.leaves]
            noise = np.maximum(noise, np.abs(p.claim(mode, d.i, d.v, u, leaves)[0] - got))
        found.forgive(SURE * noise)
    return found


def _narrowed(d, mode, u, found):
    """Halve the inputs of a wrong direction, then its outputs, until one of each is left that
    is wrong; what is not wrong in parts is right if one of them is at a kink, and the whole
    bends there as well."""
    if found.inputs > 1:
        parts = [(d.part(w), u) for w in np.array_split(np.flatnonzero(d.v), 2)]
    elif u is not None and np.count_nonzero(u) > 1:
        parts = [(d, np.where(np.isin(np.arange(u.size), w), u, 0.0))
                 for w in np.array_split(np.flatnonzero(u), 2)]
    else:
        return found
    tried = [(_compare(*part, mode), part) for part in parts]
    wrong = sorted((t for t in tried if t[0].verdict == "wrong"), key=lambda t: -t[0].rank[1])
    for part_found, (part, weights) in wrong:
        narrow = _narrowed(part, mode, weights, part_found)
        if narrow.verdict == "wrong":
            return narrow
        found.kink |= narrow.kink
    kinked = [t for t, _ in tried if t.kink] + [found] * found.kink
    return kinked[0].excused() if kinked and not found.smooth else found
