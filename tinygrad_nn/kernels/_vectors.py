"""Elementwise functions on vectors of numbers, written down in LLVM's code.

LLVM has no vector form of the C library's exp, log and tanh, and calls them number by number.
So they stand here, as range reduction and polynomial, right for nan, infinities, zeros of both
signs and subnormal numbers, and within 2.5 units in the last place (exp and log: 1).

The polynomials are Taylor's, long enough for the reduced range, so there are no coefficients to
believe in: exp(r) for |r| <= log(2) / 2, and atanh(s) for |s| <= 3 - sqrt(8), by which
log(m) = 2 atanh((m - 1) / (m + 1)) for m within sqrt(2) of 1. The reductions are those of Cody
and Waite, *Software manual for the elementary functions* (1980); log(m) is put together as
f - s (f - R) and log1p corrected as in Sun's fdlibm (1993).
"""

import ctypes
import math
from fractions import Fraction

from ._ir import CONTRACT, ir

BIT = ir.IntType(1)


class Kind:
    """float32 or float64: its type, and what its functions need to know of it."""

    def __init__(self, size):
        self.size = size
        self.type = ir.FloatType() if size == 4 else ir.DoubleType()
        self.bits = ir.IntType(8 * size)
        self.mantissa, self.bias = (23, 127) if size == 4 else (52, 1023)
        self.magic = 1.5 * 2.0 ** self.mantissa     # added, it rounds to an integer
        self.magic_bits = ((self.bias + self.mantissa << 1) + 1) << (self.mantissa - 1)
        self.ln2 = 355 / 512 if size == 4 else float.fromhex("0x1.62e42feep-1")
        self.ln2_rest = float(_ln2() - Fraction(self.ln2))
        self.terms = (8, 5) if size == 4 else (14, 11)          # of exp, of log
        self.exp_range = (-104.0, 89.0) if size == 4 else (-746.0, 710.0)
        self.expm1_least = -18.0 if size == 4 else -38.0
        self.tanh_most = 10.0 if size == 4 else 20.0
        self.least = 2.0 ** (1 - self.bias)                     # normal number
        self.up = self.mantissa + 2                             # powers of 2 to make one normal

    def __repr__(self):
        return f"f{self.size}"

    def rounded(self, x):
        """A number as one of this kind, infinite where it is too large."""
        return (ctypes.c_float if self.size == 4 else ctypes.c_double)(x).value


def _ln2():
    return 2 * sum(Fraction(1, (2 * k + 1) * 3 ** (2 * k + 1)) for k in range(40))


FLOAT, DOUBLE = Kind(4), Kind(8)


class Value:
    """A vector of numbers of a `Kind`, of integers of its size, or of truth values (kind None);
    operators write an instruction each. Numbers may stand in the place of vectors."""

    __slots__ = ("b", "ir", "kind", "lanes")

    def __init__(self, b, value, kind, lanes):
        self.b, self.ir, self.kind, self.lanes = b, value, kind, lanes

    def like(self, value, kind=False):
        return Value(self.b, value, self.kind if kind is False else kind, self.lanes)

    def number(self, x):
        """A vector of one number."""
        if isinstance(x, Value):
            return x
        element, x = (self.kind.type, self.kind.rounded(x)) if self.kind else (BIT, int(x))
        return self.like(ir.Constant(ir.VectorType(element, self.lanes), [x] * self.lanes))

    def __add__(self, x):
        return self.like(self.b.fadd(self.ir, self.number(x).ir, flags=CONTRACT))

    def __sub__(self, x):
        return self.like(self.b.fsub(self.ir, self.number(x).ir, flags=CONTRACT))

    def __mul__(self, x):
        return self.like(self.b.fmul(self.ir, self.number(x).ir, flags=CONTRACT))

    def __truediv__(self, x):
        return self.like(self.b.fdiv(self.ir, self.number(x).ir))

    def __rsub__(self, x):
        return self.number(x) - self

    def __rmul__(self, x):
        return self.number(x) * self

    def __rtruediv__(self, x):
        return self.number(x) / self

    def __neg__(self):
        return self.like(self.b.fneg(self.ir))

    def __and__(self, x):
        return self.like(self.b.and_(self.ir, self.number(x).ir))

    def __or__(self, x):
        return self.like(self.b.or_(self.ir, self.number(x).ir))

    def __xor__(self, x):
        return self.like(self.b.xor(self.ir, self.number(x).ir))

    def is_(self, sign, x):
        """Comparison: of a nan only != is true."""
        compare = self.b.fcmp_unordered if sign == "!=" else self.b.fcmp_ordered
        return self.like(compare(sign, self.ir, self.number(x).ir), None)

    def nan(self):
        return self.like(self.b.fcmp_unordered("uno", self.ir, self.ir), None)

    def choose(self, a, b):
        """a where this is true, else b; one of them a vector."""
        some = a if isinstance(a, Value) else b
        a, b = some.number(a), some.number(b)
        return some.like(self.b.select(self.ir, a.ir, b.ir))

    def called(self, name, *more):
        """One of LLVM's own functions, which are instructions."""
        kind, module = self.ir.type, self.b.module
        name = f"llvm.{name}.v{self.lanes}f{8 * self.kind.size}"
        found = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(kind, [kind] * (1 + len(more))), name)
        return self.like(self.b.call(found, [self.ir, *(v.ir for v in more)]))

    # ------------------------------------------------------------ kinds and bits

    def to(self, kind):
        """Of another kind."""
        if kind is self.kind:
            return self
        if kind is None:
            return self.is_("!=", 0)
        vector = ir.VectorType(kind.type, self.lanes)
        if self.kind is None:
            one = Value(self.b, None, kind, self.lanes).number(1)
            return self.choose(one, 0)
        convert = self.b.fpext if kind is DOUBLE else self.b.fptrunc
        return self.like(convert(self.ir, vector), kind)

    def integers(self, x=None):
        """The bits as integers, or a vector of the integer ``x``."""
        vector = ir.VectorType(self.kind.bits, self.lanes)
        return self.b.bitcast(self.ir, vector) if x is None else ir.Constant(
            vector, [x] * self.lanes)

    def of_bits(self, integers):
        return self.like(self.b.bitcast(integers, ir.VectorType(self.kind.type, self.lanes)))

    def power_of_two(self, k):
        """2.0 ** k for integers k."""
        shifted = self.b.add(k, self.integers(self.kind.bias))
        return self.of_bits(self.b.shl(shifted, self.integers(self.kind.mantissa)))


def polynomial(x, coefficients):
    """Highest power first."""
    y = x.number(coefficients[0])
    for c in coefficients[1:]:
        y = y * x + c
    return y


def maximum(x, y):
    """The larger; nan where one is."""
    return x.nan().choose(x, x.is_(">", y).choose(x, y))


def minimum(x, y):
    return x.nan().choose(x, x.is_("<", y).choose(x, y))


def clip(x, low, high):
    """As np.clip, for limits that are numbers or None."""
    x = x if low is None else x.is_("<", low).choose(low, x)
    return x if high is None else x.is_(">", high).choose(high, x)


def _reduced(x):
    """(r, k as integers): x = r + k log(2)."""
    kind = x.kind
    t = x * (1 / math.log(2)) + kind.magic
    k = t - kind.magic
    r = x - k * kind.ln2 - k * kind.ln2_rest
    return r, x.b.sub(t.integers(), t.integers(kind.magic_bits))


def _taylor(r, first, n):
    """Sum of r^i / (i + first)! up to the power n - first."""
    return polynomial(r, [1 / math.factorial(i) for i in range(n - 1, first - 1, -1)])


def exp(x):
    kind = x.kind
    r, k = _reduced(clip(x, *kind.exp_range))
    half = x.b.ashr(k, x.integers(1))               # 2^k in two steps: it may overflow, or be
    p = _taylor(r, 0, kind.terms[0])                # too small for one
    return p * x.power_of_two(half) * x.power_of_two(x.b.sub(k, half))


def expm1(x):
    kind = x.kind
    r, k = _reduced(clip(x, kind.expm1_least, kind.exp_range[1]))
    p = r + r * r * _taylor(r, 2, kind.terms[0])
    half = x.power_of_two(x.b.sub(k, x.integers(1)))
    y = half * p + (half - 0.5)
    return x.is_("==", 0).choose(x, y + y)


def tanh(x):
    e = expm1(2 * clip(x.called("fabs"), None, x.kind.tanh_most))
    return (e / (e + 2)).called("copysign", x)


def log(x):
    kind, b = x.kind, x.b
    small = x.is_("<", kind.least)
    i = small.choose(x * 2.0 ** kind.up, x).integers()
    low = x.number(math.sqrt(0.5)).integers()
    k = b.ashr(b.sub(i, low), x.integers(kind.mantissa))
    f = x.of_bits(b.sub(i, b.shl(k, x.integers(kind.mantissa)))) - 1
    k = x.of_bits(b.add(k, x.integers(kind.magic_bits))) - kind.magic
    k = small.choose(k - kind.up, k)
    s = f / (f + 2)
    z = s * s
    rest = z * polynomial(z, [2 / (2 * i + 1) for i in range(kind.terms[1], 0, -1)])
    y = k * kind.ln2 + (f - (s * (f - rest) - k * kind.ln2_rest))
    y = x.is_("<", math.inf).choose(y, x)           # infinity and nan are their own
    return x.is_(">", 0).choose(y, x.is_("==", 0).choose(
        x.number(-math.inf), x.is_("<", 0).choose(x.number(math.nan), x)))


def log1p(x):
    u = x + 1
    y = log(u) + (x - (u - 1)) / u
    usual = x.is_(">", -1) & x.is_("<", math.inf)
    y = usual.choose(y, log(u))
    return x.is_("==", 0).choose(x, y)


def logaddexp(x, y):
    """log(exp(x) + exp(y)), also of two equal infinities."""
    d = (x - y).called("fabs")
    larger = maximum(x, y)
    return x.is_("==", y).choose(x + math.log(2), larger + log1p(exp(-d)))
