"""How a call is written so that its result goes into an array that is there already.

A `Form` knows for which equations of its function that works, and gives the source of the
call; ``write.ref`` names a value in it, ``write.bind`` an object. ``inplace``: the positions of
the arguments that the output may overwrite, because each element is read before it is written;
or `EVERY`, or `NONE`. A primitive may say by itself how it does it: ``fn.into(out, …)``, where
``out`` is a tuple if it gives several arrays; and with ``fn.safe`` that it does not fail on
arrays of its shapes, whatever their values.
"""

from typing import NamedTuple

import numpy as np

from .._core import astype
from .._program import contiguous
from .._table import masked
from ..rules._shape import _join
from ._expand import share

EVERY, NONE = range(64), ()
OPERATORS = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/"}


class Form(NamedTuple):
    """``source(e, out, write)`` is a statement that leaves the result of ``e`` in ``out``, the
    name of an array or, where there are several, a list of names."""

    source: object
    fits: object = lambda e: True
    inplace: object = NONE
    rowwise: bool = False           # some rows of the result need those rows of the arguments
    reduces: bool = False           # of its axes


def form_of(e):
    """The form in which an equation can be run, or None: then it makes a new array."""
    if hasattr(e.fn, "overwrites"):
        return FUSED
    if not all(v.shape and min(v.strides) >= 0 for v in e.outs):
        return None                                         # numbers are made anew
    if e.several:
        return INTO if hasattr(e.fn, "into") else None
    if isinstance(e.fn, np.ufunc):
        plain = e.fn.nout == 1 and not e.kwargs and len(e.args) == e.fn.nin
        return (MATRIX if e.fn.signature else ELEMENTWISE) if plain else None
    if isinstance(getattr(e.fn, "__self__", None), np.ufunc):
        return REDUCTION if REDUCTION.fits(e) else None
    form = FORMS.get(e.fn) or (INTO if hasattr(e.fn, "into") else None)
    return form if form and form.fits(e) else None


def _ufunc(e, out, write):
    out = f"out={out}" if e.fn in (np.maximum, np.minimum) else out     # NumPy wants the name
    return f"{write.bind(e.fn)}({', '.join(write.operands(e))}, {out})"


def _reduce(e, out, write):
    axis, keep = (write.ref(e.kwargs.get(k, d)) for k, d in (("axis", 0), ("keepdims", False)))
    more = f", {write.ref(e.kwargs['initial'])}" if "initial" in e.kwargs else ""
    return (f"{write.bind(e.fn)}({write.ref(e.args[0])}, {axis}, None, {out}, "
            f"{keep}{more})")


def _reduce_fits(e):
    return (e.fn.__name__ == "reduce" and len(e.args) == 1
            and e.kwargs.keys() <= {"axis", "keepdims", "initial"})


def _converted(e, out, write):
    return f"{write.bind(np.copyto)}({out}, {write.ref(e.args[0])}, 'unsafe')"


def _chosen(e, out, write):
    condition, a, b = map(write.ref, e.args)
    put = write.bind(np.copyto)
    return f"{put}({out}, {b}, 'unsafe'); {put}({out}, {a}, 'unsafe', {condition})"


def _chosen_fits(e):
    return len(e.args) == 3 and getattr(e.args[0], "dtype", "") == "bool"


def _masked(e, out, write):
    x, mask = e.args
    return (f"{write.bind(np.multiply)}({write.bits(x)}, {write.ref(mask)}, "
            f"{write.bits(e.outs[0], out)})")


def _shared(e, out, write):
    total, n = map(write.ref, e.args)
    return f"{write.bind(np.true_divide)}({total}, {n}, {out}, casting='unsafe')"


def _laid_out(e, out, write):
    """A reshape that has to copy."""
    x = e.args[0]
    return f"{write.bind(np.copyto)}({out}.reshape({x.shape}), {write.ref(x)})"


def _joined(e, out, write):
    return (f"{write.bind(np.concatenate)}({write.ref(e.args)}, {write.ref(e.kwargs['axis'])}, "
            f"{out})")


def _taken(e, out, write):
    y, index = map(write.ref, e.args)
    mode = e.kwargs.get("mode", "raise")
    return f"{write.bind(np.take)}({y}, {index}, None, {out}, {mode!r})"


def _drawn(e, out, write):
    generator, size, *dtype = map(write.ref, (*e.args, *e.kwargs.values()))
    name = e.fn.__name__
    return f"{generator}.{name}({size}, {', '.join([*dtype, out])})" if dtype else (
        f"{generator}.{name}({size}, out={out})")


def _drawn_fits(e):
    return len(e.args) in (2, 3) and not e.kwargs and e.outs[0].strides is not None


def _into(e, out, write):
    more = [f"{k}={write.ref(v)}" for k, v in e.kwargs.items()]
    out = f"({', '.join(out)},)" if e.several else out
    return f"{write.bind(e.fn.into)}({', '.join([out, *map(write.ref, e.args), *more])})"


def _clipped(e, out, write):
    low, high = (write.ref(a) for a in (*e.args[1:], None)[:2])
    return f"{write.ref(e.args[0])}.clip({low}, {high}, {out})"


def _clipped_fits(e):
    return len(e.args) in (2, 3) and not e.kwargs and getattr(e.args[0], "shape", ()) != ()


def _fused(e, outs, write):
    run = write.bind(e.fn.bound(type(write)))
    return f"{run}({', '.join([*map(write.ref, e.args), *outs])})"


def overwrites(e, form, v, out):
    """Whether the result ``out`` of ``e`` may lie where its argument ``v`` does."""
    if form is FUSED:
        return e.fn.overwrites(v, out)
    return (v.shape, v.dtype, v.strides) == (out.shape, out.dtype, out.strides) and all(
        i in form.inplace for i, a in enumerate(e.args) if a is v) and not any(
        a is v for a in e.kwargs.values())


ELEMENTWISE = Form(_ufunc, inplace=EVERY, rowwise=True)
MATRIX = Form(_ufunc)
INTO = Form(_into)
FUSED = Form(_fused)
TAKEN = Form(_taken, lambda e: len(e.args) == 2 and e.kwargs in ({}, {"mode": "clip"}))
REDUCTION = Form(_reduce, _reduce_fits, rowwise=True, reduces=True)
FORMS = {
    astype: Form(_converted, inplace=EVERY, rowwise=True),
    np.copy: Form(_converted, lambda e: len(e.args) == 1 and not e.kwargs, EVERY, True),
    np.where: Form(_chosen, _chosen_fits, (2,), True),
    np.clip: Form(_clipped, _clipped_fits, (0,), True),
    masked: Form(_masked, inplace=(0,), rowwise=True),
    share: Form(_shared, inplace=EVERY, rowwise=True),
    _join: Form(_joined),
    np.reshape: Form(_laid_out, lambda e: e.bases == (None,) and contiguous(e.outs[0])
                     and len(e.args) < 3 and e.kwargs.get("order", "C") == "C"),
    np.take: TAKEN,
    np.random.Generator.random: Form(_drawn, _drawn_fits),
    np.random.Generator.standard_normal: Form(_drawn, _drawn_fits),
}
