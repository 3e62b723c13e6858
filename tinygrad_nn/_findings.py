"""What `gradcheck` found: the judgement of one direction, and the report that people read."""

import math

import numpy as np

from ._differences import SURE
from ._transforms import flatten

ROUNDING = 1e3                  # what a derivative may lose by itself, in units of eps
BLURRED = 1e-4                  # a relative error bar that tells nothing any more
TOO_STEEP = 1e9                 # times the function's size, for a step of 1: sin(1e12) is noise


def flat(y):
    """All arrays of a tree as one, in float64."""
    return np.concatenate([np.ravel(np.asarray(v, np.float64)) for _, v in flatten(y)]
                          or [np.zeros(0)])


class Finding:
    """One direction in one mode: ``verdict`` is "right", "wrong" or "unmeasured".

    ``s``: the differences; ``got``: the derivative that is judged, summed of terms of the size
    ``size``; arrays over the outputs, or one element where ``u`` weights them. ``floor``: what
    rounding alone makes of a zero.
    """

    def __init__(self, v, u, s, got, size, eps, floor):
        self.v, self.u, self.s, self.got, self.eps = v, u, s, got, eps
        self.inputs = np.count_nonzero(v)
        # rounding errors are relative to the largest element, as in a product of matrices, and
        # an error bar that is narrow beside the others is so by chance
        self.norm, bar = (np.max(np.where(np.isfinite(a), a, 0.0), initial=0.0)
                          for a in (size, s.error))
        self.slack = ROUNDING * eps * (self.norm + np.abs(s.value)) + floor + (
            SURE * min(bar, 1e-9 * self.norm))
        self._judge()

    def _judge(self):
        s, got = self.s, self.got
        gap, tolerance = np.abs(got - s.value), SURE * s.error + self.slack
        between = (got >= s.low - self.slack) & (got <= s.high + self.slack)
        explained = (((s.kink | s.jump) & between & np.isfinite(got))
                     | (np.isinf(got) & (np.sign(got) == s.grows)))
        close = gap <= tolerance
        size = np.maximum(np.abs(s.value), np.abs(got))
        known = s.error <= np.maximum(BLURRED * np.maximum(size, 0.01 * self.norm),
                                      min(1e8 * self.eps, 1e-3) * s.size)
        wrong = ~(close | explained) & np.isfinite(s.error) & (s.resolved | np.isnan(got))
        rough = np.isfinite(got) & (size > TOO_STEEP * s.size)
        wrong, unknown = wrong & ~rough, ~(wrong | explained | (close & known)) | rough
        with np.errstate(invalid="ignore"):
            self.excess = np.where(wrong, np.nan_to_num(gap / tolerance, nan=np.inf), 0.0)
        self.kink = bool(np.any(s.kink | s.jump))
        self.smooth = not self.kink     # if it is wrong, then not for a choice at a kink
        self.verdict = ("wrong" if np.any(wrong) else
                        "unmeasured" if np.any(unknown) else "right")
        plain = ~explained & np.isfinite(gap)
        scale = np.max(np.abs(s.value), initial=0.0, where=plain)
        bar, gap = (np.max(a, initial=0.0, where=plain) for a in (s.error, gap))
        measured = scale > SURE * bar       # else the derivative is zero, as far as one sees
        self.bar = bar / scale if measured else 0.0
        self.digits = min(16.0, -math.log10(gap / scale)) if measured and gap else 16.0
        self.rank = (("right", "unmeasured", "wrong").index(self.verdict),
                     np.max(self.excess), -self.digits)

    def excused(self):
        """The same, found right: only kinks of its parts explain it."""
        self.verdict, self.kink = "right", True
        self.rank = (0, 0.0, -self.digits)
        return self

    def forgive(self, noise):
        """Judge again with the derivative's own noise, unless that is no noise but a branch."""
        small = noise <= 1e-3 * (np.abs(self.got) + np.abs(self.s.value))
        self.slack = self.slack + np.where(small, noise, 0.0)
        self._judge()

    def where(self, shapes, shape):
        """(output, input index, derivative given, by differences, error bar), by one input
        element where only one was moved; output and index are None for several at once."""
        k = int(np.argmax(self.excess))
        index, per = None, 1.0
        if self.inputs == 1:
            i = int(np.flatnonzero(self.v)[0])
            index, per = tuple(map(int, np.unravel_index(i, shape))), self.v.flat[i]
        output = k
        if self.u is not None:
            output = int(np.flatnonzero(self.u)[0]) if np.count_nonzero(self.u) == 1 else None
            per = per * (1.0 if output is None else self.u[output])
        return (None if output is None else _output(output, shapes), index,
                self.got[k] / per, self.s.value[k] / per, self.s.error[k] / abs(per))


def _output(k, shapes):
    """Name of the output element ``k`` of all, counted through several arrays."""
    for j, shape in enumerate(shapes):
        n = int(np.prod(shape, dtype=int))
        if k < n:
            index = tuple(map(int, np.unravel_index(k, shape)))
            return (f"[{j}]" if len(shapes) > 1 else "") + (f"[{', '.join(map(str, index))}]"
                                                           if index else "")
        k -= n
    return None


class GradcheckReport:
    """What `gradcheck` found; true if everything is right; prints as a table.

    ``verdict``: "right", "wrong" or "unmeasured"; ``digits``: the worst agreement, in decimal
    digits; ``rows``: (input, shape, mode, order, digits, relative error bar, verdict);
    ``kinks``: names of the operations at a kink; ``blamed``: the name of the operation whose
    rule is wrong, or None; ``snippet``: code that shows it; ``directions`` and ``evaluations``:
    how many were tried, and how often ``f`` ran, in whatever mode.
    """

    def __init__(self, f, inputs, recorded):
        self.f, self.inputs, self.rows, self._recorded = f, inputs, [], recorded
        self.verdict, self.reason, self.digits = "right", "", 16.0
        self.kinked, self.kinks, self.blamed, self.snippet = False, [], None, ""
        self.wrong, self.notes, self.astray = [], [], None
        self.directions = self.evaluations = 0

    def __bool__(self):
        return self.verdict == "right"

    def add(self, p, i, mode, found):
        """Add the worst finding of one input in one mode."""
        self.rows.append((p.names[i], p.leaves[i].shape, mode, p.order, found.digits, found.bar,
                          found.verdict))
        if found.verdict != "wrong":
            self.digits = min(self.digits, found.digits)
        else:
            self.verdict = "wrong"
            self.astray = self.astray or (i, found.v)   # the input, and a direction in it
            self.wrong.append((mode, p.order, p.names[i],
                               *found.where(p.shapes, p.leaves[i].shape)))
        if found.verdict == "unmeasured" and self.verdict == "right":
            self.verdict = "unmeasured"
            self.reason = (f"the differences by {p.names[i]} are too noisy: the function "
                           "varies faster than steps can follow, or has few digits")

    def cannot_be_measured(self, reason):
        """Note why nothing can be said."""
        self.verdict, self.reason = "unmeasured", reason

    @property
    def operations(self):
        """The names of the operations that ``f`` uses, each once."""
        return tuple(dict.fromkeys(op.name for op in self._recorded(self.f, self.inputs)))

    def __str__(self):
        lines = [f"gradcheck: {self.verdict}" + (f": {self.reason}" if self.reason else "")]
        lines += [f"  {note}" for note in self.notes]
        for mode, order, name, output, index, got, want, bar in self.wrong:
            by = f"{name} at index {index}" if index is not None else (
                f"{name} along a random direction")
            of = f"output{output}" if output is not None else "a combination of the outputs"
            lines.append(f"  {mode} mode, order {order}: the derivative of {of} by {by} is "
                         f"{got:.10g}, differences give {want:.10g} ± {bar:.1g}")
        if self.rows:
            width = max(len(f"{r[0]} {r[1]}") for r in self.rows)
            lines.append(f"  {'':{width}}  mode     order  digits  error bar")
            lines += [f"  {f'{name} {shape}':{width}}  {mode:8} {order:5}  "
                      + (f"{digits:6.1f}  {bar:9.1e}" if verdict == "right" else
                         "at a kink" if self.verdict == "right" else verdict)
                      for name, shape, mode, order, digits, bar, verdict in self.rows]
        if self.kinks:
            lines.append(f"  at a kink of {', '.join(self.kinks)}: one-sided derivatives "
                         "differ, any value between them is right")
        if self.snippet:
            lines += ["", "To reproduce:", "", self.snippet]
        return "\n".join(lines)

    __repr__ = __str__
