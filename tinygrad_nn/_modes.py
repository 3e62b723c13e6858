"""`no_grad` and `debug_nans`: what is switched on for a block of code, per thread and per task.

The open blocks are a tuple in a context variable, empty as a rule, which is all that the short
path of an operation looks at. A block opened by a generator counts only while that generator is
running, so that what it yields to is not switched with it.
"""

import contextlib
import functools
import inspect
import sys
from contextvars import ContextVar

import numpy as np

from ._errors import NonFiniteError
from ._messages import line_of, name_of
from ._table import RULES

_open = ContextVar("open_blocks", default=())
modes = _open.get
GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
INSIDE = ("tinygrad_nn", "numpy.", "hypothesis")    # modules whose lines nobody wants to see
DRIVERS = ("contextlib", "_pytest.fixtures")        # they run a generator as part of a block


class _Entry:
    """A block while it is open, the generator frame that it was opened in, if any, and whether
    it was closed from another context."""

    __slots__ = ("block", "closed", "frame")

    def __init__(self, block, frame):
        self.block, self.frame, self.closed = block, frame, False


class _Block(contextlib.ContextDecorator):
    def __init__(self):
        self._entries = []

    def _recreate_cm(self):
        return type(self)()

    def __enter__(self):
        entry = _Entry(self, _generator(sys._getframe(1)))
        self._entries.append(entry)
        _open.set((*modes(), entry))
        return self

    def __exit__(self, *exc):
        """Close the last entry of this context; or, of a generator that another context closes,
        the one that it opened, which its own context forgets when it next looks."""
        here, frame = modes(), _generator(sys._getframe(1))
        mine = [e for e in self._entries if e in here] or [
            e for e in self._entries if frame is not None and e.frame is frame]
        if mine:
            self._entries.remove(mine[-1])
            mine[-1].closed = mine[-1] not in here
            _open.set(tuple(e for e in here if e is not mine[-1]))

    def __call__(self, f):
        if inspect.isgeneratorfunction(f):
            @functools.wraps(f)
            def run(*args, **kwargs):
                with self._recreate_cm():
                    return (yield from f(*args, **kwargs))
        elif inspect.iscoroutinefunction(f):
            @functools.wraps(f)
            async def run(*args, **kwargs):
                with self._recreate_cm():
                    return await f(*args, **kwargs)
        elif inspect.isasyncgenfunction(f):
            @functools.wraps(f)
            async def run(*args, **kwargs):
                with self._recreate_cm():
                    async for value in f(*args, **kwargs):
                        yield value
        else:
            return super().__call__(f)
        return run


def _generator(frame):
    """The frame of the generator that opens a block, unless a `with` statement drives it."""
    while _module(frame) == "contextlib":
        frame = frame.f_back
    if not frame.f_code.co_flags & GENERATOR or _module(frame.f_back) in DRIVERS:
        return None
    return frame


def _module(frame):
    return frame.f_globals.get("__name__") if frame is not None else None


class no_grad(_Block):
    """Within it operations on Tensors give plain arrays; a ``with`` block or a decorator.

    Per thread, async task and generator. Running transforms (``grad``, ``jvp`` …) are not
    affected.
    """


class debug_nans(_Block):
    """Within it the first operation that makes a nan or an infinity raises `NonFiniteError`.

    Forward or backward, if its inputs had none: the message names the operation, your file and
    line, the first index and the values there. Costs nothing where it is not used.

    >>> import numpy as np, tinygrad_nn as tn
    >>> with tn.debug_nans():
    ...     tn.grad(lambda x: np.sqrt(x * 0.0))(1.0)        # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    tinygrad_nn._errors.NonFiniteError: ...
    """

    def __init__(self):
        super().__init__()
        self.suspects = {}                  # the first non-finite tangent of each level


class unchecked(_Block):
    """Within it `debug_nans` is silent: a rule's own operations, judged by their result."""


class recording(_Block):
    """Within it what `remat` computes again is recorded and checked like the first time."""


def is_open(kind, anywhere=False):
    """The block of this kind that is open for the code that runs now, or None.

    `unchecked` hides a `debug_nans` further out (not ``anywhere``); `recording` hides a
    `no_grad` and an `unchecked`.
    """
    entries = modes()
    if any(e.closed for e in entries):
        entries = tuple(e for e in entries if not e.closed)
        _open.set(entries)
    again = False
    for entry in reversed(entries):
        block, frame = entry.block, entry.frame
        if type(block) is recording:
            if kind is no_grad:
                return None
            again = True
        elif type(block) is unchecked and kind is debug_nans and not (again or anywhere):
            return None
        elif type(block) is kind and (frame is None or _running(frame)):
            return block
    return None


def _running(frame):
    f = sys._getframe(1)
    while f is not None and f is not frame:
        f = f.f_back
    return f is not None


# ---------------------------------------------------------------- what debug_nans reports

REMEDY = {
    np.sqrt: "if this is a length, np.linalg.norm has the derivative 0 at 0",
    np.log: "np.log(np.where(x > 0, x, 1.0)) never meets 0; tn.log_softmax and the losses on "
            "logits take no logarithm of 0",
    np.divide: "1 / np.where(x != 0, x, 1.0) never meets 0",
    np.exp: "tn.softmax, tn.logsumexp and tn.sigmoid do not overflow",
}


def check_forward(fn, values, out):
    """Raise if ``fn`` made a nan or an infinity of finite values."""
    for y in out if isinstance(out, tuple) else (out,):
        bad = _first(y)
        if bad is not None and all(_first(v) is None for v in values):
            raise NonFiniteError(
                f"{name_of(fn)} in {caller()} gave {_plain(y)[bad]} at index {bad} of its "
                f"result, {_here(fn, values, bad, y)}{_remedy(fn)}")


def check_backward(n, g, ds):
    """Raise if the rule of node ``n`` made a nan or an infinity of finite values."""
    saved = n.saved if isinstance(n.saved, tuple) else (n.saved,)
    for k, d in enumerate(ds):
        bad = _first(d)
        if bad is not None and all(_first(v) is None for v in (g, *saved)):
            fn = n.plan.fn
            raise NonFiniteError(
                f"the gradient of {name_of(fn)} by argument {k} is {_plain(d)[bad]} at index "
                f"{bad}, {_here(fn, (g, *saved), bad, d)}; recorded in {line_of(n)}"
                f"{_remedy(fn)}")


def note_tangent(block, level, fn, tangents, values, t):
    """Keep the first non-finite tangent of a level: it counts only if it reaches the output,
    since a selection may still leave it out (`check_tangent`)."""
    bad = _first(t)
    if bad is not None and level not in block.suspects and all(
            _first(v) is None for v in (*tangents, *values)):
        block.suspects[level] = (
            f"the tangent of {name_of(fn)} in {caller()} is {_plain(t)[bad]} at index {bad}, "
            f"{_here(fn, (*tangents, *values), bad, t)}{_remedy(fn)}")


def check_tangent(block, level, t):
    """Raise what `note_tangent` kept if the final tangent ``t`` is not finite."""
    suspect = block.suspects.pop(level, None)
    if suspect is not None and _first(t) is not None:
        raise NonFiniteError(suspect)


def _plain(v):
    while hasattr(v, "_data"):
        v = v._data
    return np.asarray(v)


def _first(v):
    """The index of the first element that is not finite, or None."""
    if not isinstance(v, (np.ndarray, np.generic, float)) and not hasattr(v, "_data"):
        return None
    v = _plain(v)
    if v.dtype.kind != "f":
        return None
    wrong = ~np.isfinite(v)
    return tuple(map(int, np.argwhere(wrong)[0])) if np.any(wrong) else None


def _here(fn, values, index, like):
    """The values at ``index`` where that is clear, else the shapes."""
    kind, like = getattr(RULES.get(fn), "kind", None), np.shape(_plain(like))
    parts = []
    for v in values:
        if isinstance(v, (np.ndarray, np.generic, float, int)) or hasattr(v, "_data"):
            v = _plain(v)
            if kind in ("elementwise", "select") or (v.shape == like and kind != "bilinear"):
                parts.append(str(np.broadcast_to(v, like)[index]))
            else:
                parts.append(str(v.item()) if v.size == 1 else f"an array of shape {v.shape}")
    return "from " + " and ".join(parts)


def caller():
    """File and line of the first frame outside this package, NumPy, and hypothesis, which runs
    generated code that is in no module."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__", "hypothesis").startswith(INSIDE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"


def _remedy(fn):
    return f" ({REMEDY[fn]})" if fn in REMEDY else ""
