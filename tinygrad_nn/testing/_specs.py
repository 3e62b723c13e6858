"""One row of sample arguments (or more) for every rule of the table.

A row says how to call the function and from which domain its array arguments are drawn:

    real      anything in ±3, no two equal, none within 0.05 of 0 or of an integer or half
    distinct  without ties, even among special points
    positive  0.2 .. 3            unit   -0.9 .. 0.9        above1   1.2 .. 4

and the other domains of `tinygrad_nn.testing.arrays`. Shapes: ``BROADCAST`` draws shapes that
broadcast, a list gives the shapes of the arguments to choose from, one tuple of shapes for each
choice. Tests read the rows; they know no rule.
"""

import functools
from dataclasses import dataclass

import numpy as np

from .. import rules
from .._core import astype, getitem
from .._transforms import stop_gradient
from ..nn import _cross_entropy, _losses
from ..rules import _norms, _products, _shape
from ._matrices import check_domain

BROADCAST = "broadcast"
ANY = [((),), ((0,),), ((1,),), ((3,),), ((2, 3),), ((2, 1, 2),), ((2, 0),)]
FILLED = [s for s in ANY if 0 not in s[0]]
AXES = [((3,),), ((2, 3),), ((2, 1, 2),)]


@dataclass(eq=False)
class Row:
    """``call(*arrays)`` uses the rule of ``fn``; domains and shapes are those of the arrays.

    ``kwargs``: where the call is ``fn(*arrays, **kwargs)``, else None. ``special``: whether it
    can be asked at special points.
    """

    fn: object
    call: object
    domains: tuple
    shapes: object
    note: str = ""
    kwargs: dict | None = None
    special: bool = True

    def __repr__(self):
        return f"{getattr(self.fn, '__name__', self.fn)}{self.note and ' ' + self.note}"


ROWS = []


def row(fn, *domains, call=None, shapes=None, note="", kwargs=None, special=True):
    """Say how ``fn`` is called with arrays, for `op_arguments`, `check_op` and `programs`.

    ``domains``: one for each array (see `arrays`), "real" alone if there is none. ``shapes``: a
    list of choices, each a tuple of the shapes of all arrays; without it any shape, or shapes
    that broadcast. ``call``: a function of the arrays, where more has to be said than
    ``fn(*arrays, **kwargs)``; ``note`` tells it from other rows. ``special=False``: to be asked
    in general position only, since it jumps at special points. Returns the row.

    >>> import numpy as np, tinygrad_nn as tn
    >>> row = tn.testing.row(np.matmul, "real", "real", shapes=[((2, 3), (3,))], note="again")
    >>> row, tn.testing.ROWS.pop() is row
    (matmul again, True)
    """
    domains = domains or ("real",)
    for domain in domains:
        check_domain(domain)
    if shapes is None:
        shapes = ANY if len(domains) == 1 else BROADCAST
    kwargs = kwargs or {}
    call = call or (functools.partial(fn, **kwargs) if kwargs else fn)
    new = Row(fn, call, domains, shapes, note, kwargs
              if call is fn or isinstance(call, functools.partial) else None, special)
    ROWS.append(new)
    return new


def calls(fn, *variants, domain="real", shapes=AXES, special=True):
    """A row for each variant of the keywords of a function of one array.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.testing.calls(np.sum, {"axis": 0}, {"keepdims": True})
    [sum {'axis': 0}, sum {'keepdims': True}]
    >>> del tn.testing.ROWS[-2:]
    """
    return [row(fn, domain, shapes=shapes, note=str(kw), kwargs=kw, special=special)
            for kw in variants]


# ---------------------------------------------------------------- elementwise
for _fn in (np.negative, np.positive, np.square, np.exp, np.exp2, np.expm1, np.sin, np.cos,
            np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.absolute, np.fabs, np.deg2rad,
            np.rad2deg, np.radians, np.degrees, np.nan_to_num, np.reciprocal, np.cbrt,
            rules.relu, rules.sigmoid, rules.softplus, rules.leaky_relu, rules.elu, rules.silu,
            rules.gelu, rules.erf, rules.erfc):
    row(_fn)
calls(rules.leaky_relu, {"negative_slope": 0.3}, {"negative_slope": -2.0})
calls(rules.elu, {"alpha": 0.6})
calls(rules.gelu, {"approximate": "tanh"})
for _fn in (np.sqrt, np.log, np.log2, np.log10, np.log1p):
    row(_fn, "positive")
for _fn in (np.tan, np.arcsin, np.arccos, np.arctanh):
    row(_fn, "unit")
row(np.arccosh, "above1")
for _fn in (np.add, np.subtract, np.multiply, np.divide, np.arctan2, np.hypot, np.logaddexp,
            np.logaddexp2, np.maximum, np.minimum, np.fmax, np.fmin, np.remainder, np.fmod):
    row(_fn, "real", "real", shapes=BROADCAST)
for _fn in (np.power, np.float_power):
    row(_fn, "positive", "real", shapes=BROADCAST)
    row(_fn, "real", call=lambda x, fn=_fn: fn(x, 3), note="to an integer")
row(np.divmod, "real", "real", shapes=BROADCAST)
row(np.heaviside, "real", "real", shapes=BROADCAST,
    call=lambda a, b: np.heaviside(np.where(a > b, a, 0.0), b))
row(np.where, "real", "real", shapes=BROADCAST, call=lambda a, b: np.where(a > b, a, b))
row(np.select, "real", "real", shapes=BROADCAST,
    call=lambda a, b: np.select([a > b, a > 0], [a, a * b], 2.0))
row(np.clip, "real", call=lambda x: np.clip(x, -1.0, 1.0))
row(np.clip, "real", call=lambda x: np.clip(x, None, 1.0), note="above only")
row(np.clip, "real", call=lambda x: x.clip(min=-1.0), note="method, below only")
row(_losses._bernoulli_loss, "unit", "unit", shapes=BROADCAST,
    call=lambda p, t: _losses._bernoulli_loss(0.5 + p / 2, 0.5 + t / 2))
row(_losses._bernoulli_loss_of_logits, "real", "unit", shapes=BROADCAST)
calls(_losses._huber, {"delta": 1.0}, {"delta": 0.45})
_picks = {"index": np.array([1, 5, 3]), "scale": np.array([0.5, -2.0, 3.0])}
calls(_cross_entropy._picked, _picks, {**_picks, "scale": -0.25}, {**_picks, "total": True},
      shapes=[((2, 3),)])
calls(_cross_entropy._put_back, {**_picks, "into": (2, 3)}, shapes=[((3,),), ((),)])

# ---------------------------------------------------------------- reductions
_axes = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}]
_two = [((2, 3),), ((2, 1, 2),)]
for _fn in (np.sum, np.mean, np.max, np.min, np.ptp, np.linalg.norm, rules.logsumexp):
    calls(_fn, *_axes)
    calls(_fn, {"axis": (0, 1)}, {"axis": (0, -1), "keepdims": True}, shapes=_two)
for _fn in (np.sum, np.mean):
    row(_fn, shapes=[s for s in ANY if _fn is np.sum or 0 not in s[0]], note="any shape")
    calls(_fn, {"axis": 1, "where": np.array([True, False, True])}, shapes=[((2, 3),)])
calls(np.sum, {"initial": 2.0}, {"dtype": np.float64})
for _fn in (np.sum, np.max, np.prod, np.ptp, np.cumsum, np.cumprod, rules.logsumexp):
    calls(_fn, {"axis": 0}, {"axis": -1}, shapes=[((),)])       # NumPy lets 0-d pass for 1-d
calls(np.var, *_axes, {"ddof": 1}, shapes=[((3,),), ((2, 3),)])
calls(np.var, {"axis": 1, "where": np.array([True, False, True])}, shapes=[((2, 3),)])
calls(np.std, *_axes, shapes=[((3,),), ((3, 2),)])
calls(np.cumsum, {}, {"axis": 0}, {"axis": -1})
calls(np.trace, {"dtype": np.float64}, shapes=[((3, 3),)])
calls(np.trace, {}, {"offset": 1}, {"offset": -1}, shapes=[((3, 3),), ((2, 3),), ((3, 2, 2),)])
calls(np.linalg.norm, {"ord": 1}, {"ord": np.inf}, {"ord": -np.inf}, {"ord": 3}, {"ord": 2},
      shapes=[((3,),)])
calls(np.linalg.norm, {"ord": "fro"}, {"ord": 1}, {"ord": -1}, {"ord": np.inf},
      {"ord": -np.inf, "keepdims": True}, shapes=[((2, 3),)])
row(_norms._length)
row(_norms._p_length, call=lambda x: _norms._p_length(x, ord=3), shapes=FILLED)
for _fn in (rules.softmax, rules.log_softmax):
    calls(_fn, {}, {"axis": 0})

# ---------------------------------------------------------------- form and order
row(np.copy)
row(np.ravel)
row(np.reshape, call=lambda x: np.reshape(x, -1))
row(np.reshape, call=lambda x: np.reshape(x, (3, 2), order="F"), shapes=[((2, 3),)], note="F")
row(np.transpose)
calls(np.transpose, {"axes": (2, 0, 1)}, {"axes": (-1, 0, 1)}, shapes=[((2, 1, 3),)])
calls(np.swapaxes, {"axis1": 0, "axis2": -1}, shapes=_two)
calls(np.moveaxis, {"source": 0, "destination": -1}, {"source": (0, 1), "destination": (1, 2)},
      shapes=[((2, 1, 3),)])
calls(np.squeeze, {}, {"axis": 1}, shapes=[((2, 1),)])
calls(np.expand_dims, {"axis": 0}, {"axis": (0, -1)})
row(np.broadcast_to, call=lambda x: np.broadcast_to(x, (2, 2, 3)),
    shapes=[((),), ((3,),), ((2, 1),), ((1, 3),)])
row(np.atleast_1d)
row(np.atleast_2d)
calls(np.flip, {}, {"axis": 0}, {"axis": (0, -1)}, shapes=_two)
calls(np.flipud, {}, shapes=_two)
calls(np.fliplr, {}, shapes=_two)
calls(np.roll, {"shift": 2}, {"shift": 1, "axis": 0}, {"shift": (1, -1), "axis": (0, 1)},
      shapes=_two)
calls(np.rot90, {}, {"k": 2}, {"k": 3}, {"k": 0}, {"axes": (1, 0)}, shapes=_two)
calls(np.tile, {"reps": 2}, {"reps": (2, 1, 2)}, {"reps": (3,)})
calls(np.repeat, {"repeats": 2}, {"repeats": 3, "axis": 0}, {"repeats": [1, 2], "axis": 0},
      shapes=_two)
for _mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
    calls(np.pad, {"pad_width": ((1, 2), (0, 1)), "mode": _mode}, shapes=[((3, 2),)])
calls(np.pad, {"pad_width": 1}, shapes=[((),), ((2, 1),)])
calls(np.pad, {"pad_width": 1}, {"pad_width": (1, 0), "constant_values": 3.0})
row(_shape._pad_constant, shapes=[((2,),)],
    call=lambda x: _shape._pad_constant(x, width=((1, 2),), constant_values=2.0))
calls(np.triu, {}, {"k": 1}, {"k": -1}, shapes=[((3, 3),), ((2, 3),), ((2, 2, 3),), ((3,),)])
calls(np.tril, {}, {"k": 1}, {"k": -1}, shapes=[((3, 3),), ((2, 3),), ((2, 2, 3),), ((3,),)])
calls(np.diagonal, {}, {"offset": 1}, {"offset": -1}, {"axis1": 1, "axis2": 0},
      shapes=[((3, 3),), ((2, 3),), ((3, 2, 2),)])
calls(np.diag, {}, {"k": 1}, {"k": -2}, shapes=[((3,),), ((3, 3),), ((2, 3),)])
calls(np.sort, {}, {"axis": 0}, {"axis": None})
calls(np.partition, {"kth": 1}, {"kth": 0, "axis": 0}, domain="distinct",
      shapes=[((3,),), ((2, 3),)])
calls(np.take, {"indices": [0, 1, 0]}, {"indices": 1, "axis": 0},
      {"indices": [[0, -1]], "axis": -1}, {"indices": [5], "mode": "wrap"}, shapes=_two)
calls(np.take_along_axis, {"indices": np.array([[1, 0, 1]]), "axis": 0}, shapes=[((2, 3),)])
row(astype, call=lambda x: astype(x, np.float64))
row(_shape.scatter, call=lambda g: _shape.scatter(g, np.array([0, 2, 0]), (4,)),
    shapes=[((3,),)])
for _i in (0, slice(None, None, -1), None, ..., (0, slice(1)), np.array([True, False]),
           np.array([1, 0, 1]), (slice(None), [0, 0]), (np.array([0, 1]), np.array([1, 1])),
           (None, ..., 0), (np.array([[0], [1]]), np.array([0, 1]))):
    row(getitem, call=lambda x, i=_i: x[i], shapes=[((2, 3),)], note=str(_i))

# ---------------------------------------------------------------- joining and splitting
_pair = [((2, 3), (2, 3)), ((1, 2), (1, 2)), ((0, 2), (0, 2))]
for _fn in (np.stack, np.vstack, np.hstack, np.column_stack, np.block, np.concatenate):
    row(_fn, "real", "real", call=lambda a, b, fn=_fn: fn([a, b]), shapes=_pair)
row(np.hstack, "real", "real", call=lambda a, b: np.hstack([a, b]), shapes=[((2,), (3,))])
row(np.concatenate, "real", "real", call=lambda a, b: np.concatenate([a, b, a], axis=1),
    shapes=[((2, 3), (2, 1))], note="axis 1")
row(np.concatenate, "real", "real", call=lambda a, b: np.concatenate((a, b), axis=None),
    shapes=_pair, note="axis None")
row(np.stack, "real", "real", call=lambda a, b: np.stack([a, b], axis=-1), shapes=_pair)
row(np.block, "real", "real", call=lambda a, b: np.block([[a, b], [b, a]]), shapes=_pair,
    note="nested")
row(np.append, "real", "real", call=np.append, shapes=_pair)
row(_shape._join, "real", "real", call=lambda a, b: _shape._join(a, b, axis=0), shapes=_pair)
for _fn in (np.split, np.array_split, np.hsplit, np.vsplit):
    row(_fn, call=lambda x, fn=_fn: fn(x, 2), shapes=[((2, 2),), ((4, 2, 1),)])
    row(_fn, call=lambda x, fn=_fn: fn(x, [1]), shapes=[((2, 3),)], note="at 1")
row(np.array_split, call=lambda x: np.array_split(x, 3), shapes=[((4, 2),)], note="uneven")

# ---------------------------------------------------------------- products
_matmul = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3, 2)),
           ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((2, 1, 2, 3), (2, 3, 2)), ((0, 3), (3, 2)),
           ((2, 0), (0, 2)), ((1, 2, 3), (2, 3, 1))]
row(np.matmul, "real", "real", shapes=_matmul)
row(np.dot, "real", "real",
    shapes=[*_matmul[:4], ((), (3,)), ((2, 3), ()), ((2, 3), (2, 3, 2))])
row(np.inner, "real", "real", shapes=[((3,), (3,)), ((2, 3), (4, 3)), ((), (2,))])
row(np.outer, "real", "real", shapes=[((3,), (2,)), ((), (2,)), ((2, 2), (2,))])
row(np.vdot, "real", "real", shapes=[((3,), (3,)), ((2, 2), (2, 2))])
row(np.tensordot, "real", "real", shapes=[((2, 3), (2, 3))])
row(np.tensordot, "real", "real", call=lambda a, b: np.tensordot(a, b, axes=([0, -1], [1, 0])),
    shapes=[((2, 1, 3), (3, 2, 2))], note="axes")
row(_products.dense, "real", "real", shapes=[((2, 3), (4, 3)), ((3,), (2, 3)),
                                             ((2, 2, 3), (1, 3)), ((0, 3), (2, 3))])
row(_products._einsum, "real", "real", shapes=[((2, 3), (3, 2))],
    call=lambda a, b: _products._einsum(a, b, subscripts="ij,jk->ik"))
for _text, _shapes in (("ij,jk->ik", ((2, 3), (3, 2))), ("ij,jk", ((2, 3), (3, 2))),
                       ("...i,i...->...", ((2, 3), (3, 2))), ("i,j->", ((2,), (3,))),
                       ("ii,i->i", ((3, 3), (3,))), ("iij,j->", ((2, 2, 3), (3,))),
                       ("...ij,...jk", ((2, 1, 3), (3, 2))), ("ij,ij->j", ((2, 3), (2, 3))),
                       ("bij,b->ij", ((2, 3, 1), (2,))), ("ij,jk->ik", ((2, 1), (3, 2))),
                       ("ij,ij->ij", ((1, 3), (2, 1)))):
    row(np.einsum, "real", "real", call=lambda a, b, text=_text: np.einsum(text, a, b),
        shapes=[_shapes], note=_text)
row(np.einsum, "real", "real", call=lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]),
    shapes=[((2, 3), (3, 2))], note="sublists")
row(np.einsum, call=lambda a: np.einsum("ii", a), shapes=[((3, 3),)], note="trace")

ZEROS = [  # functions with derivative zero, called on an array of distinct reals
    *((fn, fn) for fn in (np.isfinite, np.isinf, np.isnan, np.isposinf, np.isneginf, np.signbit,
                          np.iscomplexobj, np.isrealobj, np.logical_not, np.all, np.any,
                          np.sign,
                          np.floor, np.ceil, np.trunc, np.rint, np.round, np.fix, np.spacing,
                          np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.lexsort,
                          np.flatnonzero, np.count_nonzero, np.shape, np.ndim, np.size,
                          np.zeros_like, np.ones_like, np.empty_like, np.result_type,
                          np.min_scalar_type, np.array_repr, np.array_str, np.array2string)),
    *((fn, lambda x, fn=fn: fn(x, 0.5)) for fn in (
        np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
        np.isclose, np.allclose, np.array_equal, np.logical_and, np.logical_or, np.logical_xor,
        np.floor_divide)),
    (np.argpartition, lambda x: np.argpartition(x, 1)),
    (np.searchsorted, lambda x: np.searchsorted(np.arange(4.0), x)),
    (np.can_cast, lambda x: np.can_cast(x, np.float64)),
    (np.shares_memory, lambda x: np.shares_memory(x, np.ones(2))),
    (np.may_share_memory, lambda x: np.may_share_memory(x, np.ones(2))),
    (stop_gradient, stop_gradient),
]
