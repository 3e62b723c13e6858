"""How tests make programs of functions and run them."""

import warnings

import numpy as np
from hypothesis import strategies as st

from tinygrad_nn._program import Program
from tinygrad_nn._symbol import Symbol, Trace, Var, mapped
from tinygrad_nn.passes._emit import Writer


def program(f, *arrays, **named):
    """A function of arrays as a program; its inputs are called x0, x1, …, or by these names."""
    trace = Trace()
    arrays = {f"x{k}": a for k, a in enumerate(arrays)} | named
    symbols = {name: trace.stand_in(a) for name, a in arrays.items()}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = f(*symbols.values())
    out = out if isinstance(out, tuple) else (out,)
    return Program({s.var: name for name, s in symbols.items()}, tuple(trace.equations),
                   tuple((f"return {k}", v.var if isinstance(v, Symbol) else v)
                         for k, v in enumerate(out)))


def evaluate(program, values):
    """The outputs of a program for the values of its inputs, by running its equations."""
    known = dict(zip(program.inputs, values, strict=True))

    def value(v):
        return known[v] if isinstance(v, Var) else v
    for e in program.equations:
        args, kwargs = mapped(value, (e.args, e.kwargs))
        if hasattr(e.fn, "program"):                    # a group
            out = evaluate(e.fn.program, args)
        else:
            out = e.fn(*args, **kwargs)
        known.update(zip(e.outs, out if e.several else (out,), strict=True))
    return [value(v) for _, v in program.outputs]


def run(p, *values):
    """The outputs of a program, by its generated function, when it uses its blocks again."""
    p = Program(p.inputs, p.equations, p.outputs)
    function = Writer(p).function()
    with np.errstate(all="ignore"):
        function(list(values), [])
        return function(list(values), [])


def table(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def text(p):
    """The equations and outputs."""
    return [line.strip() for line in str(p).partition("equations\n")[2].replace(
        "outputs\n", "").splitlines()]


def keeps_bits(f, *passes, **arrays):
    """The program of ``f`` after the passes; it gives the same bits, interpreted and run."""
    values = list(arrays.values())
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = program(f, **arrays)
        want = evaluate(p, values)
        for one in passes:
            p = one(p)
        known = [arrays[name] for name in p.inputs.values()]
        for got in (evaluate(p, known), run(p, *known)):
            for a, b in zip(got, want, strict=True):
                assert np.shape(a) == np.shape(b)
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return p


def drawn(operations, least, most):
    """Functions of two arrays that apply some of these operations, each of two of the values
    so far."""
    index = st.integers(0, 9)
    steps = st.tuples(st.sampled_from(range(len(operations))), index, index)
    return st.lists(steps, min_size=least, max_size=most).map(
        lambda steps: Drawn(operations, steps))


class Drawn:
    def __init__(self, operations, steps):
        self.operations, self.steps = operations, steps

    def __repr__(self):
        return f"Drawn({self.steps})"

    def __call__(self, a, b):
        values = [a, b]
        for k, i, j in self.steps:
            x, y = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(self.operations[k](x, y))
        return np.sum(np.sin(values[-1])) + np.mean(values[-2])
