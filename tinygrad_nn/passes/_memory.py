"""The memory plan: in which block of memory each value of a program lies.

Blocks are made once and used again in every call; a value whose last reader has run gives its
block away, at once to the result of that reader where it may be written over. What a call
returns is not in a block. What it leaves in a parameter or a buffer goes straight there: into
the array that is there (`Target.inplace`), if nothing reads the old values afterwards and
nothing that may raise comes after, so that a call that fails leaves all as it was.
"""

from dataclasses import dataclass, field

import numpy as np

from .._core import astype, getitem
from .._graph import guarded
from .._program import contiguous, uses
from .._symbol import Var
from ._forms import INTO, TAKEN, form_of, overwrites


@dataclass(frozen=True)
class Target:
    """An output that is written where it belongs: its number among the outputs, the input whose
    place it takes, and whether it may be written over that."""

    output: int
    old: Var
    inplace: bool


@dataclass
class Plan:
    """``root``: of each variable the one whose memory it lies in. A root has a ``block``, or a
    target (``targets``), or is an input, or is made anew in each call. ``sizes``: of the
    blocks, in bytes. ``last``: the equation that reads a root last. ``late``: for each guard
    the lazy equations of its mask; ``repaired``: the guards that write where they read."""

    root: dict = field(default_factory=dict)
    block: dict = field(default_factory=dict)
    targets: dict = field(default_factory=dict)
    sizes: list = field(default_factory=list)
    last: dict = field(default_factory=dict)
    late: dict = field(default_factory=dict)
    repaired: set = field(default_factory=set)

    def __str__(self):
        total = sum(self.sizes)
        return (f"{len(self.block)} values in {len(self.sizes)} blocks, {total:,} bytes; "
                f"{sum(t.inplace for t in self.targets.values())} of "
                f"{len(self.targets)} updates in place")


def plan(program, into=False):
    """The `Plan` of a program; ``into``: all outputs go into arrays that the caller gives."""
    p = Plan()
    reads = _reads(program, p)
    _share_memory(program, p, reads)
    end = len(program.equations)
    for i, names in enumerate(reads):
        for v in names:
            p.last[p.root[v]] = i
    kept = [p.root[v] if isinstance(v, Var) else None for _, v in program.outputs]
    p.last.update((v, end) for v in kept if v is not None)
    if into:
        p.targets = {v: Target(k, None, False) for k, v in enumerate(kept)}
    else:
        _choose_targets(program, p, kept)
    _fill_blocks(program, p, reads, set(kept))
    return p


def _reads(program, p):
    """For each equation what it reads; a guard also what its mask would be made of."""
    lazy = {v: e for e in program.equations if e.lazy for v in e.outs}
    reads = []
    for e in program.equations:
        names = [] if e.lazy else uses(e)
        if e.fn is guarded:
            p.late[e] = _slice(e.args[1], lazy)
            names += [v for step in p.late[e] for v in uses(step)]
        reads.append([v for v in names if v not in lazy])
    return reads


def _slice(mask, lazy):
    """The lazy equations that a mask needs, in their order."""
    needed, waiting = set(), [mask]
    while waiting:
        v = waiting.pop()
        if isinstance(v, Var) and v in lazy and lazy[v] not in needed:
            needed.add(lazy[v])
            waiting += uses(lazy[v])
    return [e for e in dict.fromkeys(lazy.values()) if e in needed]


def _share_memory(program, p, reads):
    """Views lie where their bases do, and so does what was guarded: it is repaired there, if
    nobody reads the array as it was."""
    final = {v: i for i, names in enumerate(reads) for v in names}
    members = {v: [v] for v in program.inputs}
    p.root.update((v, v) for v in program.inputs)
    for i, e in enumerate(program.equations):
        bases = e.bases
        if e.fn is guarded and isinstance(e.args[0], Var) and e.args[0].shape:
            bases = e.args[:1]
            root = p.root[e.args[0]]
            if root is e.args[0] and root not in program.inputs and all(
                    final.get(v, -1) <= i for v in members[root]):
                p.repaired.add(e)
        for v, base in zip(e.outs, bases, strict=True):
            p.root[v] = v if base is None else p.root[base]
            members.setdefault(p.root[v], []).append(v)


def _choose_targets(program, p, kept):
    by_name = {name: v for v, name in program.inputs.items()}
    makers = {v: i for i, e in enumerate(program.equations) for v in e.outs}
    risky = max((i for i, e in enumerate(program.equations) if _may_raise(e)), default=-1)
    for k, (name, v) in enumerate(program.outputs):
        root, old = kept[k], by_name.get(name)
        i = makers.get(root)
        if (root is None or old is None or i is None or kept.count(root) > 1
                or v.strides != root.strides or v.shape != root.shape
                or (old.shape, old.dtype, old.strides) != (v.shape, v.dtype, v.strides)
                or form_of(program.equations[i]) is None):
            continue
        e = program.equations[i]
        free = p.last.get(old, -1) < i or (
            p.last[old] == i and old in uses(e) and overwrites(e, form_of(e), old, root)
            and not any(p.root[u] is old for u in uses(e) if u is not old))
        p.targets[root] = Target(k, old, free and i > risky)


def _may_raise(e):
    """Whether running an equation on arrays of the right shapes can fail."""
    if e.fn is getitem and any(v is not e.args[0] for v in uses(e)):    # an index of this call
        return not e.lazy
    if e.lazy or e.fn in (astype, getitem, guarded) or (
            all(e.bases) and getattr(e.fn, "__module__", "").startswith("numpy")):
        return False
    if isinstance(e.fn, np.ufunc) or isinstance(getattr(e.fn, "__self__", None), np.ufunc):
        return e.fn is np.power and e.outs[0].dtype.kind in "iu"        # by a negative one
    form = form_of(e)
    return (form is TAKEN and not e.kwargs) or (
        form in (None, INTO) and not hasattr(e.fn, "safe"))


def _fill_blocks(program, p, reads, kept):
    free, dying = [], {}
    for root, i in p.last.items():
        dying.setdefault(i, []).append(root)
    for i, e in enumerate(program.equations):
        form = None if e.lazy else form_of(e)
        ends = list(dying.get(i, ()))
        for v in e.outs if form else ():
            if p.root[v] is not v or v in kept or v in p.targets:
                continue
            over = next((p.root[u] for u in uses(e) if p.root[u] in ends and _is_whole(u, p)
                         and overwrites(e, form, u, v) and not any(
                             p.root[w] is p.root[u] for w in reads[i] if w is not u)), None)
            if over is None:
                p.block[v] = _take(v, free, p.sizes)
            else:
                p.block[v] = p.block[over]
                ends.remove(over)
            if v not in p.last:                         # a draw that nobody reads
                ends.append(v)
        free += [p.block[root] for root in ends if root in p.block]


def _is_whole(v, p):
    """Whether a variable lies in a block from its beginning to its end."""
    root = p.root[v]
    return root in p.block and (v is root or (v.size == root.size and contiguous(v)
                                              and contiguous(root)))


def _take(v, free, sizes):
    """A block for ``v``: the smallest free one that is large enough, of equal ones the last
    that was freed; else the largest, which grows; else a new one."""
    need = extent(v)
    fitting = [b for b in reversed(free) if sizes[b] >= need]
    if not free:
        sizes.append(need)
        return len(sizes) - 1
    b = min(fitting, key=sizes.__getitem__) if fitting else max(free, key=sizes.__getitem__)
    free.remove(b)
    sizes[b] = max(sizes[b], need)
    return b


def extent(v):
    """The bytes from the first to the last element."""
    if 0 in v.shape:
        return 0
    return v.dtype.itemsize + sum((n - 1) * s for n, s in zip(v.shape, v.strides, strict=True))
