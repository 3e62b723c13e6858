"""Vector code in functions that numba compiles. The one file that imports numba.

LLVM's own vectoriser does not find register tiles, so `intrinsic` functions write them as
vector instructions: a tile is a block of sums that stay in registers while one loop goes over
what is summed up. Addresses are raw: nothing here checks a bound, whoever calls does the
arithmetic, and the tests put a page that must not be touched behind every buffer.

What is compiled is kept on disk, so that a second process does not compile again: in
`__pycache__` beside the source, or in NUMBA_CACHE_DIR, or in numba's folder of the user where
that cannot be written. It may be deleted at any time. Numba looks at the date of the file that
a function stands in, not at what that file imports, so here the folder has the sources' hash in
its name.
"""

import hashlib
import os
import sys
from pathlib import Path

import numba
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ._ir import CONTRACT, INDEX, SMALL, halves, ir, load_some, spread, store_some


def _machine():
    """(bytes in a vector, rows and vectors of `tile`, rows and columns of `dots`)."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    features = features.split(",")
    if "+avx512f" in features:
        return 64, (8, 2), (4, 6)                       # 32 registers
    if "+avx2" in features:
        return 32, (4, 3), (3, 4)                       # 16 registers
    return 16, *(((4, 4), (4, 6)) if "aarch64" in triple else ((4, 3), (3, 4)))


BYTES, TILE, DOTS = _machine()


def _folder():
    """Where compiled functions are kept: another one when a source of this package changes."""
    here = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    name = "tinygrad_nn-" + hashlib.sha256(sources).hexdigest()[:16]
    return os.path.join(numba.config.CACHE_DIR or here / "__pycache__", name)


FOLDER = _folder()


def compiled(function):
    """Decorator: compiled for the types of the arguments when they first come, or taken from
    the disk."""
    # error_model: a check for division by zero would stop vectorisation. nogil: our threads.
    how = {"nogil": True, "error_model": "numpy"}
    users, numba.config.CACHE_DIR = numba.config.CACHE_DIR, FOLDER
    try:
        return numba.njit(function, cache=True, **how)
    except RuntimeError:                            # there is no folder that can be written to
        return numba.njit(function, **how)
    finally:
        numba.config.CACHE_DIR = users


class Writer:
    """Writes vector instructions for elements of one type."""

    def __init__(self, context, builder, scalar):
        self.context, self.b = context, builder
        self.scalar = ir.FloatType() if scalar == types.float32 else ir.DoubleType()
        self.size = scalar.bitwidth // 8
        self.lanes = BYTES // self.size
        self.vector = ir.VectorType(self.scalar, self.lanes)

    def at(self, kind, array, index):
        """The address of an element of a flat array."""
        data = self.context.make_array(kind)(self.context, self.b, array).data
        return self.b.gep(data, [index])

    def step(self, pointer, index):
        index = ir.Constant(INDEX, index) if isinstance(index, int) else index
        return self.b.gep(pointer, [index])

    def load(self, pointer):
        pointer = self.b.bitcast(pointer, self.vector.as_pointer())
        return self.b.load(pointer, align=self.size)

    def store(self, value, pointer):
        align = self.size if value.type == self.vector else 1
        self.b.store(value, self.b.bitcast(pointer, value.type.as_pointer()), align=align)

    def spread(self, value):
        """A vector of one scalar."""
        return spread(self.b, value, self.lanes)

    def zeros(self):
        return ir.Constant(self.vector, [0.0] * self.lanes)

    def fma(self, x, y, z):
        return self.b.fadd(self.b.fmul(x, y, flags=CONTRACT), z, flags=CONTRACT)

    def sums(self, rows, columns):
        """Vectors of zeros by (row, column), each of which stays in a register."""
        cells = {(r, c): cgutils.alloca_once(self.b, self.vector)
                 for r in range(rows) for c in range(columns)}
        for cell in cells.values():
            self.b.store(self.zeros(), cell)
        return cells

    def add(self, cell, x, y):
        self.b.store(self.fma(x, y, self.b.load(cell)), cell)

    def total(self, v):
        """The sum of the elements of a vector, by halves."""
        n = self.lanes
        while n > 1:
            v, n = self.b.fadd(*halves(self.b, v, n)), n // 2
        return self.b.extract_element(v, SMALL(0))

    def mask(self, start, stop):
        """Which of the elements from ``start`` on are before ``stop``."""
        left, most = self.b.sub(stop, start), ir.Constant(INDEX, self.lanes)
        left = self.b.select(self.b.icmp_signed("<", left, most), left, most)
        # SMALL: half as many instructions as with 64 bits
        count = ir.Constant(ir.VectorType(SMALL, self.lanes), list(range(self.lanes)))
        return self.b.icmp_signed("<", count, self.spread(self.b.trunc(left, SMALL)))

    def load_some(self, pointer, mask):
        """A vector with zeros, and no access to memory, outside of the mask."""
        pointer = self.b.bitcast(pointer, self.vector.as_pointer())
        return load_some(self.b, pointer, self.vector, self.size, mask)

    def store_some(self, value, pointer, mask):
        """Store the elements of the mask."""
        pointer = self.b.bitcast(pointer, value.type.as_pointer())
        store_some(self.b, value, pointer, self.size if value.type == self.vector else 1, mask)

    def loop(self, stop, step=1):
        """``with loop(stop, step) as i``, for i in range(0, stop, step)."""
        return cgutils.for_range_slice(self.b, ir.Constant(INDEX, 0), stop,
                                       ir.Constant(INDEX, step), INDEX)


def _element(array):
    return array.dtype.bitwidth // 8


@intrinsic
def lanes(typing, array):
    """How many elements of an array's dtype are in a vector."""
    number = BYTES // _element(array)
    return types.int64(array), lambda context, b, signature, args: ir.Constant(INDEX, number)


@intrinsic
def take(typing, counter, at):
    """``counter[at]``, and add 1 to it, as one step that no other thread comes between."""
    def write(context, b, signature, args):
        data = context.make_array(signature.args[0])(context, b, args[0]).data
        return b.atomic_rmw("add", b.gep(data, [args[1]]), ir.Constant(INDEX, 1), "monotonic")
    return types.int64(counter, types.int64), write


@intrinsic
def give_way(typing):
    """Let another thread have the processor if one wants it."""
    def write(context, b, signature, args):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        call = cgutils.get_or_insert_function(
            b.module, ir.FunctionType(ir.IntType(32), []), name)
        b.call(call, [])
        return context.get_dummy_value()
    return types.void(), write


def _tile(vectors):
    @intrinsic
    def tile(typing, out, out_at, out_step, w, w_at, x, x_at, offsets, count):
        i64 = types.int64
        signature = types.void(out, i64, i64, w, i64, x, i64, offsets, i64)

        def write(context, b, signature, args):
            v = Writer(context, b, out.dtype)
            target = v.at(out, args[0], args[1])
            weights, source = v.at(w, args[3], args[4]), v.at(x, args[5], args[6])
            places = v.at(offsets, args[7], ir.Constant(INDEX, 0))
            rows = TILE[0]
            sums = v.sums(rows, vectors)
            with v.loop(args[8]) as (k, _):
                here = v.step(source, b.load(v.step(places, k)))
                pixels = [v.load(v.step(here, c * v.lanes)) for c in range(vectors)]
                those = v.step(weights, b.mul(k, ir.Constant(INDEX, rows)))
                for r in range(rows):
                    weight = v.spread(b.load(v.step(those, r)))
                    for c in range(vectors):
                        v.add(sums[r, c], weight, pixels[c])
            for (r, c), cell in sums.items():
                row = v.step(target, b.mul(args[2], ir.Constant(INDEX, r)))
                v.store(b.load(cell), v.step(row, c * v.lanes))
            return context.get_dummy_value()
        return signature, write
    return tile


# out[r, v] = sum over k of w[k, r] * x[offsets[k] + v]: TILE[0] rows of TILE[1] vectors, or of
# one. w is packed, TILE[0] numbers for each k; row r begins at out_at + r * out_step.
tile, narrow_tile = _tile(TILE[1]), _tile(1)


@intrinsic
def dots(typing, out, out_at, out_step, g, g_at, g_step, g_jump, x, x_at, x_jump, offsets,
         first, count, times):
    """``out[r, k] += sum over i, t of g[r, t, i] * x[t, offsets[first + k] + i]``.

    DOTS[0] rows by DOTS[1] columns, i < ``count``, a multiple of `lanes`, t < ``times``.
    Rows of ``g`` are ``g_step`` apart; from t to t + 1 it is ``g_jump`` and ``x_jump``.
    """
    i64 = types.int64
    signature = types.void(out, i64, i64, g, i64, i64, i64, x, i64, i64, offsets, i64, i64, i64)

    def write(context, b, signature, args):
        v = Writer(context, b, out.dtype)
        target = v.at(out, args[0], args[1])
        gradient, source = v.at(g, args[3], args[4]), v.at(x, args[7], args[8])
        places = v.at(offsets, args[10], args[11])
        rows, columns = DOTS
        sums = v.sums(rows, columns)
        shifts = [b.load(v.step(places, c)) for c in range(columns)]
        with v.loop(args[13]) as (t, _):
            g_t = v.step(gradient, b.mul(t, args[6]))
            x_t = v.step(source, b.mul(t, args[9]))
            with v.loop(args[12], v.lanes) as (i, _):
                here = v.step(g_t, i)
                parts = [v.load(v.step(here, b.mul(args[5], ir.Constant(INDEX, r))))
                         for r in range(rows)]
                there = v.step(x_t, i)
                for c in range(columns):
                    pixels = v.load(v.step(there, shifts[c]))
                    for r in range(rows):
                        v.add(sums[r, c], parts[r], pixels)
        for (r, c), cell in sums.items():
            place = v.step(target, b.mul(args[2], ir.Constant(INDEX, r)))
            place = v.step(place, c)
            b.store(b.fadd(b.load(place), v.total(b.load(cell))), place)
        return context.get_dummy_value()
    return signature, write


@intrinsic
def row(typing, out, out_at, x, x_at, count, term):
    """``out[i] = x[i] + term`` for i < ``count``."""
    i64 = types.int64
    signature = types.void(out, i64, x, i64, i64, out.dtype)

    def write(context, b, signature, args):
        v = Writer(context, b, out.dtype)
        target, source = v.at(out, args[0], args[1]), v.at(x, args[2], args[3])
        term = v.spread(args[5])
        with v.loop(args[4], v.lanes) as (i, _):
            mask = v.mask(i, args[4])
            value = b.fadd(v.load_some(v.step(source, i), mask), term)
            v.store_some(value, v.step(target, i), mask)
        return context.get_dummy_value()
    return signature, write


def largest(b, cells, kind):
    """(the largest of vectors, its number in them as a vector of this kind).

    Of equal numbers the first is taken, and a nan is larger than all, the last of several.
    """
    best, number = cells[0], ir.Constant(kind, [0] * kind.count)
    for k, value in enumerate(cells[1:], 1):
        larger = b.or_(b.fcmp_ordered(">", value, best), b.fcmp_unordered("uno", value, value))
        best = b.select(larger, value, best)
        number = b.select(larger, ir.Constant(kind, [k] * kind.count), number)
    return best, number


@intrinsic
def pairs(typing, y, y_at, chosen, at, x, x_at, pitch, term, count):
    """The largest of each 2 x 2 numbers of two rows, ``count`` of them side by side: the values
    of ``x + term`` into ``y``, the numbers of the cells into ``chosen``. Ties: `largest`.
    """
    i64 = types.int64
    signature = types.void(y, i64, chosen, i64, x, i64, i64, x.dtype, i64)

    def write(context, b, signature, args):
        v = Writer(context, b, x.dtype)
        source, twice = v.at(x, args[4], args[5]), b.mul(args[8], ir.Constant(INDEX, 2))
        values, numbers = v.at(y, args[0], args[1]), v.at(chosen, args[2], args[3])
        term, byte = v.spread(args[7]), ir.VectorType(ir.IntType(8), v.lanes)
        halves = [ir.Constant(ir.VectorType(ir.IntType(32), v.lanes),
                              list(range(k, 2 * v.lanes, 2))) for k in (0, 1)]
        with v.loop(args[8], v.lanes) as (i, _):
            cells, start = [], b.mul(i, ir.Constant(INDEX, 2))
            masks = [v.mask(b.add(start, ir.Constant(INDEX, k)), twice) for k in (0, v.lanes)]
            for r in range(2):
                here = v.step(source, b.add(start, b.mul(args[6], ir.Constant(INDEX, r))))
                both = [v.load_some(v.step(here, k * v.lanes), masks[k]) for k in range(2)]
                cells += [b.fadd(b.shuffle_vector(*both, half), term) for half in halves]
            best, cell = largest(b, cells, byte)
            mask = v.mask(i, args[8])
            v.store_some(best, v.step(values, i), mask)
            v.store_some(cell, v.step(numbers, i), mask)
        return context.get_dummy_value()
    return signature, write
