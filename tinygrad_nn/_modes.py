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

_open = ContextVar("open_blocks", default=())
modes = _open.get
GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class _Block(contextlib.ContextDecorator):
    def _recreate_cm(self):
        return type(self)()

    def __enter__(self):
        frame = sys._getframe(1)
        _open.set((*modes(), (self, frame if frame.f_code.co_flags & GENERATOR else None)))

    def __exit__(self, *exc):
        entries = modes()
        mine = max(i for i, (block, _) in enumerate(entries) if block is self)
        _open.set(entries[:mine] + entries[mine + 1:])

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
        else:
            return super().__call__(f)
        return run


class no_grad(_Block):
    """Within it operations on Tensors give plain arrays: ``with tn.no_grad():``, or a
    decorator.

    Per thread, async task and generator. Running transforms (``grad``, ``jvp`` …) are not
    affected.
    """


class debug_nans(_Block):
    """Within it the first operation that makes a nan or an infinity raises `NonFiniteError`.

    Forward or backward, if its inputs had none: the message names the operation, your file and
    line, the first index and the values there. Costs nothing where it is not used.

    >>> import numpy as np, tinygrad_nn as tn
    >>> with tn.debug_nans():
    ...     tn.grad(lambda x: np.sqrt(x * 0.0))(1.0)
    Traceback (most recent call last):
    ...
    tinygrad_nn._errors.NonFiniteError: ...
    """


def is_open(kind):
    """Whether a block of this kind is open for the code that runs now."""
    return any(type(block) is kind and (frame is None or _running(frame))
               for block, frame in modes())


def _running(frame):
    f = sys._getframe(1)
    while f is not None and f is not frame:
        f = f.f_back
    return f is not None


# ---------------------------------------------------------------- what debug_nans reports

REMEDY = {
    np.sqrt: "if this is a length, np.linalg.norm has the derivative 0 at 0",
    np.log: "np.where(x > 0, np.log(x), 0.0) is exact at 0, backward too; tn.log_softmax and "
            "the losses on logits never take the logarithm of 0",
    np.divide: "np.where selects without touching what it does not select, backward too",
    np.exp: "tn.softmax, tn.logsumexp and tn.sigmoid do not overflow",
}


def check_forward(fn, values, out):
    """Raise if ``fn`` made a nan or an infinity of finite values."""
    outs = out if isinstance(out, tuple) else (out,)
    for y in outs:
        bad = _first(y)
        if bad is not None and all(_first(v) is None for v in values):
            raise NonFiniteError(
                f"{name_of(fn)} gave {y[bad]} at index {bad} of its result, "
                f"{_here(values, bad, y)}{_remedy(fn)}")


def check_backward(n, g, ds):
    """Raise if the rule of node ``n`` made a nan or an infinity of a finite gradient."""
    for k, d in enumerate(ds):
        bad = _first(d)
        if bad is not None and _first(g) is None:
            saved = n.saved if isinstance(n.saved, tuple) else (n.saved,)
            raise NonFiniteError(
                f"the gradient of {name_of(n.plan.fn)} by argument {k} is {d[bad]} at index "
                f"{bad}, {_here((g, *saved), bad, d)}; recorded in {line_of(n)}"
                f"{_remedy(n.plan.fn)}")


def _first(v):
    """The index of the first element that is not finite, or None."""
    if not isinstance(v, (np.ndarray, np.generic, float)) or np.asarray(v).dtype.kind != "f":
        return None
    wrong = ~np.isfinite(v)
    return tuple(map(int, np.argwhere(wrong)[0])) if np.any(wrong) else None


def _here(values, index, like):
    """The values at ``index`` where they have the shape of the result, else their shapes."""
    parts = []
    for v in values:
        if isinstance(v, (np.ndarray, np.generic, float, int)):
            try:
                parts.append(str(np.broadcast_to(v, np.shape(like))[index]))
            except ValueError:
                parts.append(f"an array of shape {np.shape(v)}")
    return "from " + " and ".join(parts)


def _remedy(fn):
    return f" ({REMEDY[fn]})" if fn in REMEDY else ""
