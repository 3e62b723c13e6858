"""`summary`: what a forward pass of a model makes and costs, layer by layer.

The pass runs on a copy of the module tree whose layers note their calls, so that nothing of the
model itself (mode, buffers, gradients) has to be put back.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._modes import no_grad
from .._transforms import flatten
from ._module import Module
from ._tree import children, rebuild

HEAD = ("name", "layer", "output", "parameters", "memory", "multiply-adds")


class Row(NamedTuple):
    """One call of a layer: its output's shape (of several outputs, a tuple of shapes) and
    bytes, how many numbers its own parameters have, and its multiplications with additions."""

    name: str
    layer: str
    output_shape: tuple
    parameters: int
    output_bytes: int
    multiply_adds: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What `summary` found; ``print`` shows it as a table."""

    rows: tuple
    parameters: int             # numbers in all parameters, shared ones once
    frozen_parameters: int      # those of them that are frozen
    parameter_bytes: int
    output_bytes: int           # of all rows
    multiply_adds: int          # of all rows

    def __str__(self):
        cells = [HEAD, *((r.name, r.layer, str(r.output_shape), f"{r.parameters:,}",
                          _memory(r.output_bytes), f"{r.multiply_adds:,}") for r in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(c.ljust(w) if i < 3 else c.rjust(w)
                           for i, (c, w) in enumerate(zip(row, widths, strict=True)))
                 for row in cells]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([
            *lines, lines[1],
            f"parameters {self.parameters:,} ({self.frozen_parameters:,} frozen), "
            f"{_memory(self.parameter_bytes)}; outputs {_memory(self.output_bytes)}; "
            f"multiply-adds {self.multiply_adds:,}"])

    __repr__ = __str__


def summary(model, input_shape, dtype=np.float32):
    """Rows and totals of one forward pass of ``model`` on zeros of ``input_shape``.

    ``input_shape`` is that of a batch, (N, …); ``dtype`` that of the input, an integer one for
    a model that begins with an `Embedding`. The pass runs in evaluation mode, without
    gradients, and leaves the model as it is. Each call of a module without submodules is a row,
    and of one that has parameters of its own; functions in between are not listed. Memory is
    that of the outputs, in bytes.

    >>> from tinygrad_nn import nn
    >>> nn.summary(nn.Sequential(nn.Linear(20, 3), nn.ReLU()), (32, 20))
    name  layer          output   parameters  memory  multiply-adds
    ---------------------------------------------------------------
    0     Linear(20, 3)  (32, 3)          63   384 B          1,920
    1     ReLU()         (32, 3)           0   384 B              0
    ---------------------------------------------------------------
    parameters 63 (0 frozen), 252 B; outputs 768 B; multiply-adds 1,920
    """
    if not isinstance(input_shape, (tuple, list)) or not input_shape or not all(
            isinstance(n, (int, np.integer)) and n > 0 for n in input_shape):
        raise ValueError("summary: input_shape is the shape of a batch, such as (32, 784), got "
                         f"{input_shape!r}")
    probe = rebuild(model, [v for _, v in children(model)]).eval()
    held = {p.key: p for p in probe._parts() if p.role in ("parameter", "frozen")}
    rows, waiting = [], set(held)
    for name, module in Module.named_modules(probe):
        mine = [p for p in module._own() if p.role in ("parameter", "frozen")]
        if mine or not Module.children(module):
            vars(module)["forward"] = _noting(module, name, mine, rows, waiting)
    with no_grad():
        probe(np.zeros(tuple(input_shape), dtype))
    sizes = {key: np.size(p.value) for key, p in held.items()}
    return Summary(
        tuple(rows), sum(sizes.values()),
        sum(sizes[key] for key, p in held.items() if p.role == "frozen"),
        sum(np.asarray(p.value).nbytes for p in held.values()),
        sum(r.output_bytes for r in rows), sum(r.multiply_adds for r in rows))


def _noting(module, name, mine, rows, waiting):
    """The ``forward`` of the module, adding a row for each call, in the order of the calls."""
    forward = module.forward

    def noting(*args, **kwargs):
        place = len(rows)
        rows.append(None)
        y = forward(*args, **kwargs)
        shape = _shape(y)
        new = {p.key: np.size(p.value) for p in mine if p.key in waiting}
        waiting.difference_update(new)                  # shared by two layers, counted once
        rows[place] = Row(name, module._title(), shape, sum(new.values()),
                          sum(np.asarray(v).nbytes for _, v in flatten(y)),
                          module._multiply_adds(_shape(args[0] if args else ()), shape))
        return y
    return noting


def _shape(tree):
    """The shape of an array, a tuple of shapes of what a tree holds."""
    shapes = tuple(np.shape(v) for _, v in flatten(tree))
    return shapes[0] if len(shapes) == 1 else shapes


def _memory(n):
    """Bytes as a person reads them: 512 B, 1.5 kB, 2.4 GB."""
    if n < 1000:
        return f"{n} B"
    power = min(int(math.log10(n) / 3), 4)
    return f"{n / 1000 ** power:.1f} {' kMGT'[power]}B"
