"""Register tiles of matrix products, as vector instructions. See `_numba`.

Matrices are given by the address of their first element, in bytes, so that any layout and what
must not be written to is one type for numba; distances of rows are in elements. Nothing outside
of the named rows and columns is read or written, but what lies ``ahead`` is fetched into the
cache, which cannot fail.
"""

from ._numba import DOTS, INDEX, Writer, intrinsic, ir, types

MANY = DOTS[0] == 4             # 32 registers, or 16
INNER = (4, 4) if MANY else (3, 4)                      # rows of either side
HEIGHTS = (12, 8, 4) if MANY else (6, 4, 2)
WIDTH = 2                       # vectors


def _at(v, address):
    return v.b.inttoptr(address, v.scalar.as_pointer())


def _rows(v, address, step, last, count):
    """Pointers to so many rows; those behind the ``last`` one are that one again."""
    b, first = v.b, _at(v, address)
    numbers = (ir.Constant(INDEX, r) for r in range(count))
    return [v.step(first, b.mul(step, b.select(b.icmp_signed("<", r, last), r, last)))
            for r in numbers]


def _fetch(v, pointer):
    """Ask for the cache line of an address."""
    b, integer = v.b, ir.IntType(32)
    byte = b.bitcast(pointer, ir.IntType(8).as_pointer())
    function = b.module.globals.get("llvm.prefetch.p0") or ir.Function(
        b.module, ir.FunctionType(ir.VoidType(), [byte.type, *[integer] * 3]),
        "llvm.prefetch.p0")
    read, keep, data = (ir.Constant(integer, n) for n in (0, 2, 1))
    b.call(function, [byte, read, keep, data])


def _totals(v, vectors):
    """The sums of the elements of each vector, in vectors.

    As many vectors as they have elements become one: of each the halves, then the quarters …
    are added, in pairs. Where there are not so many, each is cut into halves before.
    """
    def added(pair, *numbers):
        return v.b.fadd(*(v.b.shuffle_vector(*pair, ir.Constant(
            ir.VectorType(ir.IntType(32), len(some)), some)) for some in numbers))
    n = v.lanes
    while len(vectors) % n:
        n //= 2
        vectors = [added((x, x), list(range(n)), list(range(n, 2 * n))) for x in vectors]
    found = []
    for k in range(0, len(vectors), n):
        group, s = vectors[k:k + n], n // 2
        while s:
            low = [i if not i & s else n + i - s for i in range(n)]
            high = [i + s if not i & s else n + i for i in range(n)]
            group = [added(pair, low, high)
                     for pair in zip(group[:s], group[s:], strict=True)]
            s //= 2
        found += group
    return found


@intrinsic
def inner(typing, out, at, p, p_step, p_last, q, q_step, q_last, count, ahead):
    """``out[at + INNER[1] * r + c] += sum over i of p[r, i] * q[c, i]``, i < ``count``.

    INNER[0] rows of p by INNER[1] of q, of which those up to ``p_last`` and ``q_last`` are
    there. From the address ``ahead`` on as many numbers will be read soon.
    """
    i64 = types.int64
    signature = types.void(out, *[i64] * 9)

    def write(context, b, signature, args):
        v = Writer(context, b, out.dtype)
        target, count = v.at(out, args[0], args[1]), args[8]
        ps, qs = _rows(v, *args[2:5], INNER[0]), _rows(v, *args[5:8], INNER[1])
        sums, ahead = v.sums(*INNER), _at(v, args[9])

        def add(load):
            right = [load(q) for q in qs]
            for r, p in enumerate(ps):
                left = load(p)
                for c, x in enumerate(right):
                    v.add(sums[r, c], left, x)
        whole = b.and_(count, ir.Constant(INDEX, -v.lanes))
        with v.loop(whole, v.lanes) as (i, _):
            add(lambda row: v.load(v.step(row, i)))
            _fetch(v, v.step(ahead, i))
        with b.if_then(b.icmp_signed("<", whole, count)):
            mask = v.mask(whole, count)
            add(lambda row: v.load_some(v.step(row, whole), mask))
        place = target
        for total in _totals(v, [b.load(cell) for cell in sums.values()]):
            those = b.bitcast(place, total.type.as_pointer())
            total = b.fadd(b.load(those, align=v.size), total)
            b.store(total, those, align=v.size)
            place = v.step(place, total.type.count)
        return context.get_dummy_value()
    return signature, write


def _outer(rows, vectors):
    @intrinsic
    def outer(typing, out, out_step, last, onward, a, at, x, x_step, count, ahead, columns):
        i64 = types.int64
        signature = types.void(i64, i64, i64, i64, a, *[i64] * 6)

        def write(context, b, signature, args):
            v = Writer(context, b, a.dtype)
            targets = _rows(v, *args[:3], rows)
            factors, source = v.at(a, args[4], args[5]), _at(v, args[6])
            mask = v.mask(ir.Constant(INDEX, 0), args[10])

            def load(pointer):
                return v.load(pointer) if vectors > 1 else v.load_some(pointer, mask)
            sums = v.sums(rows, vectors)
            with b.if_then(b.icmp_signed("!=", args[3], ir.Constant(INDEX, 0))):
                for (r, c), cell in sums.items():
                    b.store(load(v.step(targets[r], c * v.lanes)), cell)
            with v.loop(args[8]) as (k, _):
                here = v.step(source, b.mul(k, args[7]))
                those = v.step(factors, b.mul(k, ir.Constant(INDEX, rows)))
                xs = [load(v.step(here, c * v.lanes)) for c in range(vectors)]
                for c in range(vectors):
                    _fetch(v, v.step(v.step(here, args[9]), c * v.lanes))
                for r in range(rows):
                    factor = v.spread(b.load(v.step(those, r)))
                    for c in range(vectors):
                        v.add(sums[r, c], factor, xs[c])
            for (r, c), cell in sums.items():
                place = v.step(targets[r], c * v.lanes)
                if vectors > 1:
                    v.store(b.load(cell), place)
                else:
                    v.store_some(b.load(cell), place, mask)
            return context.get_dummy_value()
        return signature, write
    return outer


# out[r, i] (+)= sum over k < count of a[at + k * height + r] * x[k, i], for as many rows as the
# height, of which those up to ``last`` are there; ``onward``: whether out has a part of the sum
# already. Of columns there are WIDTH vectors, in the narrow tiles ``columns``, up to a vector.
# Row k of what will be read next is ``ahead`` behind that of x.
tall, middle, low = (_outer(height, WIDTH) for height in HEIGHTS)
tall_narrow, middle_narrow, low_narrow = (_outer(height, 1) for height in HEIGHTS)
