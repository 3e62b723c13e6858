"""Vector code for convolution with pooling: tiles of `_pooled_loops`, as those of `_numba`.

Forward, a vector holds filters and the pixels are single numbers, so that a tile is as wide as
the pooled result asks for. Backward, a pooled gradient belongs to one window of pixels: what
is summed up is the numbers of a window, or goes back to them, in vectors of channels.
"""

from ._numba import INDEX, TILE, Writer, intrinsic, ir, largest, types

PEAKS = 6 if TILE[0] * TILE[1] > 12 else 3      # pooled results of the widest tile of `peaks`
WINDOWS = 9, 3, 1                               # vectors of the tiles `weigh_` and `spread_`


def _peaks(results):
    @intrinsic
    def peaks(typing, out, out_at, cells_at, x, x_at, pitch, w, w_at, offsets, count, bias,
              bias_at):
        i64 = types.int64
        signature = types.void(out, i64, i64, x, i64, i64, w, i64, offsets, i64, bias, i64)

        def write(context, b, signature, args):
            v = Writer(context, b, out.dtype)
            values, numbers = v.at(out, args[0], args[1]), v.at(out, args[0], args[2])
            source, weights = v.at(x, args[3], args[4]), v.at(w, args[6], args[7])
            places = v.at(offsets, args[8], ir.Constant(INDEX, 0))
            sums = v.sums(2, 2 * results)
            with v.loop(args[9]) as (k, _):
                here = v.step(source, b.load(v.step(places, k)))
                below = v.step(here, args[5])
                weight = v.load(v.step(weights, b.mul(k, ir.Constant(INDEX, v.lanes))))
                for (r, c), cell in sums.items():
                    v.add(cell, v.spread(b.load(v.step((here, below)[r], c))), weight)
            term, zero = v.load(v.at(bias, args[10], args[11])), v.zeros()
            dead = ir.Constant(v.vector, [4.0] * v.lanes)
            for p in range(results):
                window = [b.fadd(b.load(sums[r, 2 * p + c]), term)
                          for r in range(2) for c in range(2)]
                best, number = largest(b, window, v.vector)
                number = b.select(b.fcmp_ordered(">", best, zero), number, dead)
                best = b.select(b.fcmp_ordered("<=", best, zero), zero, best)   # a nan stays
                v.store(best, v.step(values, p * v.lanes))
                v.store(number, v.step(numbers, p * v.lanes))
            return context.get_dummy_value()
        return signature, write
    return peaks


# The maxima of 2 x 2 windows of ``max(sum over k of w[k] * x[offsets[k] + place] + bias, 0)``,
# for as many windows side by side and a vector of filters; into ``out`` at two places go the
# values, each a vector, and the cells they come from, as numbers: 4 where the value is 0.
peaks_1, peaks_2, peaks_3, peaks_4, peaks_5, peaks_6 = map(_peaks, range(1, 7))


def _windows(vectors, spread):
    @intrinsic
    def tile(typing, x, x_at, shifts, first, w, w_at, g, g_at, places, places_at, count):
        i64 = types.int64
        signature = types.void(x, i64, shifts, i64, w, i64, g, i64, places, i64, i64)

        def write(context, b, signature, args):
            v = Writer(context, b, x.dtype)
            source, weights = v.at(x, args[0], args[1]), v.at(w, args[4], args[5])
            table = v.at(shifts, args[2], args[3])
            pixels = [v.step(source, b.load(v.step(table, c))) for c in range(vectors)]
            gradients, where = v.at(g, args[6], args[7]), v.at(places, args[8], args[9])
            those = [v.step(weights, c * v.lanes) for c in range(vectors)]
            known = [v.load(place) for place in those] if spread else None
            # Few sums would wait for each other: two sets of them take turns.
            sets = 1 if spread or vectors > 4 else 2
            sums = None if spread else v.sums(sets, vectors)
            with v.loop(args[10], sets) as (p, _):
                for n in range(sets):
                    at = b.add(p, ir.Constant(INDEX, n))
                    place = b.sext(b.load(v.step(where, at)), INDEX)
                    gradient = v.spread(b.load(v.step(gradients, at)))
                    for c in range(vectors):
                        here = v.step(pixels[c], place)
                        if spread:
                            v.store(v.fma(gradient, known[c], v.load(here)), here)
                        else:
                            v.add(sums[n, c], gradient, v.load(here))
            if not spread:
                for c, place in enumerate(those):
                    total = b.load(sums[0, c])
                    for n in range(1, sets):
                        total = b.fadd(total, b.load(sums[n, c]))
                    v.store(b.fadd(v.load(place), total), place)
            return context.get_dummy_value()
        return signature, write
    return tile


# For p < count (even), and so many vectors v, of which v is shifts[first + v] from a place on:
# w[v] += sum over p of g[p] * x[places[p] + shifts[v]];
weigh_9, weigh_3, weigh_1 = (_windows(n, False) for n in WINDOWS)
# x[places[p] + shifts[v]] += g[p] * w[v], one p after the other.
spread_9, spread_3, spread_1 = (_windows(n, True) for n in WINDOWS)


@intrinsic
def turn(typing, out, out_at, out_step, x, x_at, x_step, rows, columns):
    """``out[c * out_step + r] = x[r * x_step + c]`` for r < ``rows``, c < ``columns``, both a
    vector's length at most. ``out`` may be of bytes."""
    i64 = types.int64
    signature = types.void(out, i64, i64, x, i64, i64, i64, i64)

    def write(context, b, signature, args):
        v = Writer(context, b, x.dtype)
        target, source = v.at(out, args[0], args[1]), v.at(x, args[3], args[4])
        full, zero = ir.Constant(INDEX, v.lanes), ir.Constant(INDEX, 0)

        def some(k, stop, count):
            """Of a line's elements those before ``count``, of one from ``stop`` on none."""
            there = b.icmp_signed("<", ir.Constant(INDEX, k), stop)
            return v.mask(zero, b.select(there, count, zero))

        def move(load, store):
            lines = [load(r, v.step(source, b.mul(args[5], ir.Constant(INDEX, r))))
                     for r in range(v.lanes)]
            for c, line in enumerate(_turned(v, lines)):
                if out.dtype != x.dtype:
                    line = b.fptoui(line, ir.VectorType(ir.IntType(8), v.lanes))
                store(c, line, v.step(target, b.mul(args[2], ir.Constant(INDEX, c))))

        rows, columns = args[6:]
        is_full = b.and_(*(b.icmp_signed("==", n, full) for n in (rows, columns)))
        with b.if_else(is_full) as (then, otherwise):
            with then:                                          # masks take as long again
                move(lambda r, place: v.load(place),
                     lambda c, line, place: v.store(line, place))
            with otherwise:
                move(lambda r, place: v.load_some(place, some(r, rows, columns)),
                     lambda c, line, place: v.store_some(line, place, some(c, columns, rows)))
        return context.get_dummy_value()
    return signature, write


def _turned(v, lines):
    """Of a square of vectors the columns."""
    lines, numbers, half = list(lines), range(v.lanes), 1
    while half < v.lanes:                       # exchange blocks of half x half beside the
        keep = [k if not k & half else v.lanes + k - half for k in numbers]         # diagonal
        move = [k + half if not k & half else v.lanes + k for k in numbers]
        kinds = [ir.Constant(ir.VectorType(ir.IntType(32), v.lanes), m) for m in (keep, move)]
        for r in numbers:
            if not r & half:
                pair = lines[r], lines[r + half]
                lines[r], lines[r + half] = (v.b.shuffle_vector(*pair, k) for k in kinds)
        half *= 2
    return lines
