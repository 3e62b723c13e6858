"""Derivatives by differences, each with an error bar; and kinks, jumps and borders, told apart.

Ridders' method: central differences at halved steps, extrapolated to step 0 by Neville's
scheme, whose neighbouring entries differ by about the error (C. J. F. Ridders, "Accurate
computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4, 1982). So neither a
step nor a tolerance has to be chosen: steps shrink until the error bar stops falling.
Differences to each side, of the same values, show where the derivative jumps.

Rejected: the complex step. It is exact for analytic functions and silently wrong for abs, max
and whatever else asks for the order of its arguments.
"""

import numpy as np

START, ROWS, DEPTH = 2.0 ** -6, 13, 7        # first step; steps at most; columns of a table
FINER = 2.0 ** -8                           # of the first step, where that was too long
SURE = 10.0                                 # error bars to either side that count as agreement


class Slope:
    """The derivative of a curve at t = 0: arrays over its elements, one more for each fact.

    ``value``, ``error``: the derivative and its error bar (of one side at a border of the
    domain); ``low``, ``high``: the one-sided derivatives in order, widened by their bars;
    ``kink``: they differ; ``jump``: the curve itself is not continuous, then they are those of
    the side where it is, or without limit if there is none; ``grows``: +1 or -1
    where differences grow without limit; ``size``: how large the curve is around 0;
    ``spread``: the larger error bar of the two sides; ``resolved``: it is small, and the last
    differences tend to the value, so the steps were short enough. (Differences of a function
    that varies faster than the steps can agree by chance, but not to either side.)
    """

    __slots__ = ("error", "grows", "high", "jump", "kink", "low", "resolved", "size", "spread",
                 "value")

    def __init__(self, **arrays):
        for name, a in arrays.items():
            setattr(self, name, a)

    def widened(self):
        """The slope by one input alone: where some outputs have a kink, the others do as well.

        Equal numbers, sorted, for example: the one that moves becomes the first or the last,
        and yet it is right to say that it is the second.
        """
        if not np.any(self.kink):
            return self
        ends = {"low": np.fmin(self.low, np.min(self.low[self.kink])),
                "high": np.fmax(self.high, np.max(self.high[self.kink])),
                "kink": ~self.jump}
        return Slope(**{name: ends.get(name, getattr(self, name)) for name in Slope.__slots__})

    def part(self, where):
        """The same facts of some elements, a slice."""
        return Slope(**{name: getattr(self, name)[where] for name in Slope.__slots__})

    def projected(self, u):
        """The slope of the weighted sum of all elements, as one element."""
        used = u != 0
        ends = np.where(used, u, 1) * np.where(used, [self.low, self.high], 0)
        return Slope(value=_one(u @ self.value), error=_one(np.abs(u) @ self.error),
                     low=_one(np.sum(np.min(ends, 0))), high=_one(np.sum(np.max(ends, 0))),
                     kink=_one(np.any(self.kink & used)), jump=_one(np.any(self.jump & used)),
                     grows=_one(np.sign(np.sum(np.sign(u) * self.grows))),
                     spread=_one(np.abs(u) @ self.spread), size=_one(np.abs(u) @ self.size),
                     resolved=_one(np.all(self.resolved | ~used)))

    def better(self, other):
        """Element by element this one, or the other, finer one: where this is not resolved, or
        the other one is as well and they differ (steps can skip over the same jumps each)."""
        same = (self.low <= other.high) & (other.low <= self.high) | self.kink
        mine = np.where(other.resolved, self.resolved & ~self.jump & same,
                        self.resolved & ~self.jump | (self.spread <= other.spread))
        return Slope(**{name: np.where(mine, getattr(self, name), getattr(other, name))
                        for name in Slope.__slots__})


def _one(x):
    return np.reshape(x, 1)


def slope(curve, y, eps, start=START):
    """The derivative of ``curve(t)``, a flat array, at t = 0, where it is ``y``.

    ``eps``: the relative rounding error of its elements. Steps that leave the domain (a result
    that is not finite) are shortened.
    """
    t = start
    for _ in range(5):
        up, down = curve(t), curve(-t)
        if np.all(np.isfinite(up)) and np.all(np.isfinite(down)):
            break
        t /= 8
    table, largest = _Table(y), np.abs(y)
    with np.errstate(all="ignore"):
        for k in range(ROWS):
            if k:
                t /= 2
                up, down = curve(t), curve(-t)
            size = np.fmax(np.fmax(np.abs(up), np.abs(down)), largest)
            largest = np.where(size < np.inf, size, largest)
            # the central differences, those to either side, and what either side tends to
            values = np.stack([(up - down) / (2 * t), (up - y) / t, (y - down) / t, up, down])
            # rounding of the results, and of the inputs that are moved by about their size * t
            noise = 8 * eps * largest + eps * np.abs(values[[0, 1, 2, 1, 2]])
            table.add(values, noise / [[2 * t], [t], [t], [1], [1]])
            if k >= 4 and table.settled():
                break
        return _judged(table, y, largest, eps)


class _Table:
    """Neville's tables, one row for each step, and the entry with the least error bar.

    Five at once, for arrays like ``like``: the first has errors of the powers 2, 4, 6 … of the
    step, the others of 1, 2, 3 ….
    """

    POWERS = np.array([2, 1, 1, 1, 1])[:, None]

    def __init__(self, like):
        self.row, self.last, self.stale = [], np.nan, 0
        self.best = np.full((5, like.size), np.nan)
        self.error, self.noise = np.full_like(self.best, np.inf), None
        self.ratio = np.zeros_like(self.best)   # growth of the raw value from step to step
        self.most = np.zeros_like(self.best)    # the largest raw value

    def add(self, value, noise):
        """Add a row: the raw values of a step, and their rounding errors."""
        row = [value]
        best, error = np.full_like(value, np.nan), np.full_like(value, np.inf)
        if self.row:
            self.ratio = np.where(np.isfinite(value), value / self.row[0], self.ratio)
        for j, old in enumerate(self.row[:DEPTH]):
            new = row[-1] + (row[-1] - old) / (2.0 ** (self.POWERS * (j + 1)) - 1)
            bar = np.maximum(np.abs(new - row[-1]), np.abs(new - old)) + noise
            best, error = np.where(bar < error, new, best), np.fmin(bar, error)
            row.append(new)
        if len(row) > 2:        # neighbours can agree by chance, the best of two steps seldom
            error = np.fmax(error, np.abs(best - self.last))
        self.before = self.row[0] if self.row else value
        self.last, self.row, self.noise = best, row, noise
        self.most = np.fmax(self.most, np.where(np.isfinite(value), np.abs(value), 0.0))
        self.stale = 0 if np.any(error[0] < 0.5 * self.error[0]) else self.stale + 1
        self.best = np.where(error < self.error, best, self.best)
        self.error = np.fmin(error, self.error)

    def settled(self):
        """Whether more rows would gain nothing: precise, down at the noise, or no better."""
        error = self.error[0]
        return self.stale >= 3 or np.all(
            (error <= 1e-10 * np.abs(self.best[0])) | (error <= 4 * self.noise[0]))


def _judged(table, y, largest, eps):
    central, right, left, above, below = table.best
    bar, right_bar, left_bar, above_bar, below_bar = table.error
    # where the curve tends to another value, the differences go like 1/t
    up = (np.abs(above - y) > SURE * above_bar) & (table.ratio[1] > 1.7)
    down = (np.abs(below - y) > SURE * below_bar) & (table.ratio[2] > 1.7)
    jump = up | down
    apart = SURE * (right_bar + left_bar) + 1e-4 * (np.abs(right) + np.abs(left))
    # at a border of the domain and at a jump one side counts alone
    sided = np.isfinite(right_bar) & ~up
    other = np.isfinite(left_bar) & ~down
    alone = ~np.isfinite(bar) | (jump & (sided | other))
    ends = np.array([right - SURE * right_bar, right + SURE * right_bar,
                     left - SURE * left_bar, left + SURE * left_bar])
    ends[:2, up] = ends[2:, down] = np.nan
    endless = ~(table.error <= 1e-3 * np.abs(table.best)) & (table.ratio > 1.1)
    growth = np.where(endless & np.isfinite(table.row[0]), np.sign(table.row[0]), 0.0)
    spread = np.fmax(np.where(sided, right_bar, 0.0), np.where(other | ~sided, left_bar, 0.0))
    # two steps can agree by chance: the last ones must be on their way to the same value
    way = np.abs(table.row[0] - table.before) + table.noise + table.error
    agree = np.all((np.abs(table.row[0] - table.best) <= SURE * way)[:3]
                   | ~np.isfinite(table.error[:3]), 0)
    steepest = np.fmax(np.where(sided, np.abs(right), 0.0), np.where(other, np.abs(left), 0.0))
    return Slope(
        value=np.where(alone, np.where(sided, right, left), central),
        error=np.where(alone, np.where(sided, right_bar, left_bar), bar),
        low=np.where(up & down, -np.inf, np.fmin.reduce(ends)),
        high=np.where(up & down, np.inf, np.fmax.reduce(ends)),
        kink=(np.abs(right - left) > apart) & ~jump, jump=jump,
        grows=np.where(growth[1] != 0, growth[1], growth[2]), size=largest, spread=spread,
        resolved=agree & ((spread <= 0.01 * steepest)
                          | (spread <= 1e-6 * np.max(table.most[1:3], 0))
                          | (spread <= min(1e8 * eps, 1e-3) * largest)))
