"""A call of a function with drawn arguments, and what is said if something is wrong with it."""

import functools
import inspect
from collections.abc import Hashable

import numpy as np
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

from .._core import Box
from .._errors import GradcheckError
from .._table import RULES
from .._transforms import flatten
from ._arrays import arrays, as_strategy, op_arguments
from ._code import code, defined, laid_out, layout_of, public_name
from ._matrices import check_domain
from ._specs import BROADCAST, ROWS, Row


class Case:
    """A function (or row) with inputs ``xs`` and keywords; calling it with inputs calls it.

    ``title``: what messages begin with. Inputs are arrays, for `check_function` also trees.
    """

    def __init__(self, title, fn, xs, kwargs):
        self.title, self.fn, self.xs, self.kwargs = title, fn, xs, kwargs
        self.call = fn.call if isinstance(fn, Row) else fn
        self.codes = tuple(map(code, xs))               # before anything writes to them

    def __call__(self, *xs):
        return self.call(*xs, **self.kwargs)

    @functools.cached_property
    def sizes(self):
        """The magnitudes of all numbers of the inputs, in one array."""
        leaves = [v.data if isinstance(v, Box) else v for _, v in flatten(self.xs)]
        return np.abs(np.concatenate([np.ravel(v) for v in leaves] or [np.zeros(0)]))

    def key(self):
        """What tells this case from others."""
        return id(self.fn), self.codes, code(self.kwargs)

    def is_any(self):
        """True: any case is wanted."""
        return True

    def is_empty(self):
        """Whether an array has no element."""
        return any(x.size == 0 for x in self.xs)

    def has_several(self):
        """Whether an array has several elements, that can tie or be exchanged."""
        return any(x.size > 1 for x in self.xs)

    def shows_layout(self):
        """Whether an array of several elements does not lie in memory as they always do."""
        return any(x.size > 1 and layout_of(x) != "C" for x in self.xs)

    def is_moderate(self):
        """Whether no number is so large or small that differences and sums lose it."""
        return np.all((self.sizes > 1e-9) & (self.sizes < 20) | (self.sizes == 0))

    def mixes_magnitudes(self):
        """Whether some numbers are so large or small that they lose others, or are lost."""
        return not (self.is_moderate() or np.all(self.sizes > 1e20)
                    or np.all(self.sizes < 1e-20))

    def in_general_position(self):
        """Whether no special point is there, so that layout and precision change no more than
        the rounding."""
        return self.is_moderate() and np.all(self.sizes > 0.04)

    def is_one_operation(self):
        """Whether the function itself has a rule, and is not written in other functions."""
        fn = self.fn.fn if isinstance(self.fn, Row) and self.fn.kwargs is not None else self.fn
        rule = RULES.get(fn) if isinstance(fn, Hashable) else None
        return rule is not None and rule.kind != "composite"

    def attempt(self, run, line, doing):
        """What ``run()`` gives; an exception, met ``doing`` that, is what is wrong."""
        __tracebackhide__ = True
        try:
            return run()
        except UnsatisfiedAssumption:                   # the function itself asks for another
            raise
        except Exception as error:
            return self.fail(f"{type(error).__name__} {doing}: {error}", line)

    def fail(self, what, line, report=None):
        """Raise `GradcheckError`: what is wrong, and code that ends in ``line`` and shows it.

        ``line`` may use ``{call}``, the call with the arrays, ``{f}``, a function of the
        arrays, and ``{xs}``, their names.
        """
        __tracebackhide__ = True
        lines, name = self.definition()
        names = [f"x{k}" for k in range(len(self.xs))]
        xs = ", ".join(names)
        words = "".join(f", {k}={code(v)}" for k, v in self.kwargs.items())
        call = f"{name}({xs}{words})"
        lines = ["import numpy as np, tinygrad_nn as tn", *lines,
                 *(f"{n} = {x}" for n, x in zip(names, self.codes, strict=True)),
                 line.format(call=call, f=f"(lambda {xs}: {call})" if words else name, xs=xs)]
        example = "\n".join(lines)
        error = GradcheckError(f"{self.title}: {what}\n\nAn example:\n\n{example}", report)
        error.example = example
        raise error from None

    def definition(self):
        """(lines of code, the name by which they know the function)."""
        if isinstance(self.fn, Row):
            number = next(k for k, row in enumerate(ROWS) if row is self.fn)
            return [f"f = tn.testing.ROWS[{number}].call           # {self.fn}"], "f"
        return defined(self.fn)


def name_in_text(fn):
    """What messages call a function or row."""
    return repr(fn) if isinstance(fn, Row) else public_name(fn)


def cases(fn, arguments, keywords, special, layout, dtype):
    """A strategy for a `Case`: see `check_op` for what the parameters mean."""
    rows, title = rows_of(fn, arguments, keywords), f"check_op of {name_in_text(fn)}"
    dtypes = as_strategy(dtype)

    @st.composite
    def of_rows(draw):
        row = draw(st.sampled_from(rows))
        xs = draw(op_arguments(row, draw(dtypes), layout, special))
        return Case(title, row if row in known else row.call, xs, draw(words))

    @st.composite
    def of_strategies(draw):
        dtype = draw(dtypes)
        drawn = [draw(arrays(domain=a, special=special) if isinstance(a, str) else a)
                 for a in arguments]
        xs = [laid_out(np.asarray(x, dtype), draw(as_strategy(layout))) for x in drawn]
        return Case(title, fn, xs, draw(words))
    known = [row for row in rows if any(row is r for r in ROWS)]
    words = st.fixed_dictionaries({name: as_strategy(v) for name, v in keywords.items()})
    return of_rows() if rows else of_strategies()


def rows_of(fn, arguments, keywords):
    """The rows that say what to draw; none where some strategy does."""
    if arguments is None:
        if isinstance(fn, Row):
            return [fn]
        known = [r for r in ROWS if r.fn is fn]
        if known and not keywords:
            return known
        arguments = ["real"] * _count(fn)
    for domain in arguments:
        if isinstance(domain, str):
            check_domain(domain)
    if all(isinstance(a, str) for a in arguments):
        return [Row(fn, fn, tuple(arguments), BROADCAST)]
    return []


def _count(fn):
    """How many arguments of ``fn`` have to be given by position."""
    if isinstance(fn, np.ufunc):
        return fn.nin
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:                                      # some functions written in C
        parameters = ()
    n = sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            for p in parameters)
    if not n:
        raise ValueError(f"how many arrays does {public_name(fn)} take? Its signature does not "
                         "say: give arguments=, a domain or a strategy for each")
    return n
