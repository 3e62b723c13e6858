"""Runs PyTorch's samples through PyTorch and through our calls, and compares.

For each sample: the values; the gradient by every differentiable input, for a random
cotangent; and the tangent of forward mode along a random direction, whose product with the
cotangent must be that of the gradient with the direction. An error is
``|ours - theirs| / (0.1 + |theirs|)`` and may be 1e-8: rtol 1e-8 with atol 1e-9. Shapes,
dtypes and the places of nan and inf must be equal.

The samples are those of PyTorch's ``op_db`` for float64 on the CPU, all of them, from fixed
seeds; float32 tensors among them (weights) are made float64.
"""

import dataclasses
import functools
import random
import types
import warnings

import numpy as np

import tinygrad_nn as tn

from .kinks import SAMPLES
from .mapping import NAMES, OPS, PREPARED, REFUSED, TOLERANCES, VIEWS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

TOLERANCE = 1e-8
FLOOR = 0.1

torch.set_num_threads(1)


@dataclasses.dataclass
class Result:
    """What was found for one operator, all its variants together."""

    name: str
    samples: int = 0
    run: int = 0
    refused: list = dataclasses.field(default_factory=list)         # messages
    mismatches: list = dataclasses.field(default_factory=list)      # sentences
    kinks: int = 0                  # samples whose gradient is a documented choice of ours
    value: float = 0.0              # the worst error of each
    gradient: float = 0.0
    tangent: float = 0.0


# ---------------------------------------------------------------- samples

def variants(name, ops=OPS):
    """(full name, entry of op_db, our call) of every variant of an operator."""
    for op in op_db:
        full = f"{op.name}/{op.variant_test_name}" if op.variant_test_name else op.name
        call = ops.get(full) or ops.get(op.name)
        if op.name == name and call:
            yield full, op, call


def samples(op):
    """PyTorch's samples of one variant, the same in every run."""
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        found = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    random.setstate(state)
    return found


def arguments(sample, wrap, dtype=lambda v: v):
    """(args, kwargs) of a sample, with ``wrap`` of each tensor and ``dtype`` of each dtype."""
    def convert(v):
        if isinstance(v, torch.Tensor):
            return wrap(v)
        if isinstance(v, (tuple, list)):
            return (tuple if isinstance(v, tuple) else list)(map(convert, v))
        return dtype(v) if isinstance(v, torch.dtype) else v
    return (tuple(map(convert, (sample.input, *sample.args))),
            {k: convert(v) for k, v in sample.kwargs.items()})


def is_variable(x):
    return x.requires_grad and x.is_floating_point()


def parts(y):
    """The arrays of a result, which may be a tuple or a list of them."""
    return [v for p in y for v in parts(p)] if isinstance(y, (tuple, list)) else [y]


def same(*args):
    return args


def identity(y):
    return y


# ---------------------------------------------------------------- one sample, both ways

def theirs(op, name, sample, cotangent):
    """PyTorch's (variables, values, gradients, cotangents) as arrays."""
    leaves = []

    def for_torch(x):
        if not is_variable(x):
            return x.double() if x.is_floating_point() else x
        leaves.append(x.detach().double().clone().requires_grad_())
        return leaves[-1]
    args, kwargs = arguments(sample, for_torch)
    y = op.op(*PREPARED.get(name, same)(*args), **kwargs)
    y = parts(VIEWS.get(name, identity)(y))
    gs = [cotangent(tuple(v.shape)) for v in y]
    pairs = [(v, torch.as_tensor(g)) for v, g in zip(y, gs, strict=True) if v.requires_grad]
    grads = [None] * len(leaves)
    if pairs and leaves:
        roots, seeds = zip(*pairs, strict=True)
        grads = torch.autograd.grad(roots, leaves, seeds, allow_unused=True)
    grads = [torch.zeros_like(x) if g is None else g
             for x, g in zip(leaves, grads, strict=True)]
    xs, y, grads = ([v.detach().numpy() for v in vs] for vs in (leaves, y, grads))
    return xs, y, grads, gs


def ours(call, name, sample):
    """Our call as a function of the variables, giving the list of its results."""
    def f(*xs):
        leaves = iter(xs)

        def for_numpy(x):
            if is_variable(x):
                return next(leaves)
            x = x.detach().numpy()
            return x.astype(float) if x.dtype.kind == "f" else x
        args, kwargs = arguments(sample, for_numpy,
                                 lambda v: torch.empty(0, dtype=v).numpy().dtype)
        y = call(*PREPARED.get(name, same)(*args), **kwargs)
        return parts(VIEWS.get(name, identity)(y))
    return f


def pull(f, xs, gs):
    """Our values and gradients."""
    if not xs:
        return f(), ()
    y, pullback = tn.vjp(f, *xs)
    fit = [g if v.dtype.kind == "f" else np.zeros(v.shape) for v, g in zip(y, gs, strict=True)]
    return y, pullback(fit)


def error(mine, right):
    """The largest relative difference; inf where shape, dtype, nan or inf disagree."""
    mine = np.asarray(mine)
    if mine.shape != right.shape:
        return np.inf
    if right.dtype.kind != "f":
        return 0.0 if np.array_equal(mine, right) else np.inf
    finite = np.isfinite(right)
    if (mine.dtype != right.dtype
            or not np.array_equal(mine[~finite], right[~finite], equal_nan=True)):
        return np.inf
    found = np.abs(mine - right)[finite] / (FLOOR + np.abs(right[finite]))
    return np.inf if np.isnan(found).any() else float(found.max(initial=0.0))


def error_of_tangents(gs, tangents, grads, directions):
    """How far <cotangents, tangents> is from <gradients, directions>."""
    left = [np.ravel(g * t) for g, t in zip(gs, tangents, strict=bool(directions))
            if t.dtype.kind == "f"]         # of an integer result there is neither
    right = [np.ravel(g * v) for g, v in zip(grads, directions, strict=True)]
    left, right = np.concatenate([np.zeros(1), *left]), np.concatenate([np.zeros(1), *right])
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return 0.0                          # where the gradient is nan or inf it was compared
    size = FLOOR + np.abs(left).sum() + np.abs(right).sum()
    return float(abs(left.sum() - right.sum()) / size)


def compare(result, op, name, call, sample, number):
    """Run one sample both ways and write what was found into the result."""
    rng = np.random.default_rng(number)
    xs, values, grads, gs = theirs(op, name, sample, rng.standard_normal)
    directions = tuple(rng.standard_normal(x.shape) for x in xs)
    f = ours(call, name, sample)
    try:
        y, mine = pull(f, xs, gs)
        tangents = tn.jvp(f, tuple(xs), directions)[1] if xs else []
    except tn.NoRuleError as refusal:
        result.refused.append(str(refusal))
        return
    result.run += 1
    if name in SAMPLES:
        chosen = SAMPLES[name].choice(xs, sample.args, sample.kwargs)
        if chosen and not all(map(np.allclose, chosen, grads)):
            result.kinks += 1
            grads = chosen

    def note(what, size):
        setattr(result, what, max(getattr(result, what), size))
        if not size <= TOLERANCES.get(result.name, (TOLERANCE, ""))[0]:
            result.mismatches.append(f"{name}, sample {number}, {what}: error {size:.2g} of "
                                     f"{describe(sample)}")
    for a, b in zip(y, values, strict=True):
        note("value", error(a, b))
    for a, b in zip(mine, grads, strict=True):
        note("gradient", error(a, b))
    note("tangent", error_of_tangents(gs, tangents, mine, directions))


def describe(sample):
    """The arguments of a sample in a line: shapes of tensors, all else as it is."""
    def text(v):
        if isinstance(v, torch.Tensor):
            return f"{str(v.dtype)[6:]}{list(v.shape)}"
        return f"[{', '.join(map(text, v))}]" if isinstance(v, (tuple, list)) else repr(v)
    words = [text(v) for v in (sample.input, *sample.args)]
    return f"({', '.join(words + [f'{k}={text(v)}' for k, v in sample.kwargs.items()])})"


# ---------------------------------------------------------------- all samples

def examine(name, ops=OPS):
    """The result of one operator, all its variants and samples."""
    result = Result(name)
    for full, op, call in variants(name, ops):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for number, sample in enumerate(samples(op)):
                result.samples += 1
                try:
                    compare(result, op, full, call, sample, number)
                except Exception as bug:            # of ours, of PyTorch's, of the mapping
                    result.mismatches.append(f"{full}, sample {number}: {type(bug).__name__}: "
                                             f"{str(bug)[:200]}, of {describe(sample)}")
    return result


run = functools.cache(examine)


def at_point(point):
    """Our gradients and PyTorch's of the sum where the derivative jumps, and how far forward
    mode is from ours."""
    base = point.name.partition("/")[0]
    full, op, call = next(v for v in variants(base) if point.name in (v[0], base))

    def tensor(v):
        return torch.tensor(v, requires_grad=True) if isinstance(v, np.ndarray) else v
    first, *rest = map(tensor, point.args)
    sample = types.SimpleNamespace(input=first, args=rest, kwargs=point.kwargs)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        xs, _, grads, gs = theirs(op, full, sample, np.ones)
        f = ours(call, full, sample)
        mine = pull(f, xs, gs)[1]
        directions = tuple(np.random.default_rng(0).standard_normal(x.shape) for x in xs)
        tangents = tn.jvp(f, tuple(xs), directions)[1]
    return mine, grads, error_of_tangents(gs, tangents, mine, directions)


def table(names=None):
    """The results as a Markdown table, with totals, refusals and mismatches."""
    results = [run(name) for name in names or NAMES]
    lines = ["| operator | samples | run | refused | value | gradient | tangent |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for r in results:
        lines.append(f"| {r.name} | {r.samples} | {r.run} | {len(r.refused)} | "
                     f"{r.value:.0e} | {r.gradient:.0e} | {r.tangent:.0e} |")
    total, done, refused, mismatches, kinks = (
        sum(v if isinstance(v, int) else len(v) for v in (getattr(r, k) for r in results))
        for k in ("samples", "run", "refused", "mismatches", "kinks"))
    lines += ["", f"{len(results)} operators, {total} samples, {done} run "
              f"({done / max(total, 1):.2%}), {refused} refused, {mismatches} mismatches, "
              f"{kinks} with a documented choice that is not PyTorch's. torch "
              f"{torch.__version__}, numpy {np.__version__}."]
    for title, about in (("tolerance", TOLERANCES), ("refused", REFUSED)):
        lines += [f"- {title}: {r.name}: {about[r.name][0]}, {about[r.name][1]}"
                  for r in results if r.name in about]
    lines += [f"- not PyTorch's choice: {name}: {kink.why}" for name, kink in SAMPLES.items()
              if run(name.partition("/")[0]) in results]
    return "\n".join(lines + [f"- MISMATCH: {m}" for r in results for m in r.mismatches])
