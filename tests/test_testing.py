"""The strategies for tests: each draws what it promises and shrinks to what can be read and
pasted; rows of sample arguments. See `test_programs`, `test_check_op` and `test_plugin`."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import testing
from tinygrad_nn._transforms import flatten
from tinygrad_nn.testing import (
    ROWS,
    arrays,
    broadcastable,
    calls,
    check_op,
    code,
    laid_out,
    layouts,
    op_arguments,
    row,
    shapes,
)

A = np.array
VECTORS = ["real", "nonzero", "distinct", "positive", "nonnegative", "unit", "above1"]
MATRICES = ["well_conditioned", "positive_definite", "symmetric", "triangular", "orthogonal"]
LAYOUTS = ["C", "F", "strided", "negative", "read-only"]
MINUS_ZERO = -0.0
any_of_them = settings(max_examples=3000, phases=[Phase.generate])      # found, not shrunk
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def again(text):
    """The value of code that was printed."""
    return eval(text, {"np": np, "tn": tn})


# ---------------------------------------------------------------- shapes and layouts

def test_shapes():
    for wanted in ((), (1,), (3,), (0,), (2, 0), (2, 1, 3), (3, 3, 3)):
        assert find(shapes(), lambda s, wanted=wanted: s == wanted) == wanted
    assert find(shapes(), lambda s: True) == ()

    @quick
    @given(shapes(max_dims=2, max_side=4, empty=False))
    def limits(shape):
        assert len(shape) <= 2 and all(1 <= n <= 4 for n in shape)
    limits()


@quick
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), broadcastable(n))))
def test_broadcastable(drawn):
    n, found = drawn
    assert len(found) == n
    np.broadcast_shapes(*found)


def test_broadcastable_finds_what_goes_wrong():
    assert find(broadcastable(2), lambda s: s[0] == s[1] == ()) == ((), ())
    for wanted in (lambda a, b: len(a) > len(b) > 0, lambda a, b: a != b and len(a) == len(b),
                   lambda a, b: 0 in a and 1 in b, lambda a, b: a == b == (2, 3)):
        a, b = find(broadcastable(2), lambda s, wanted=wanted: wanted(*s), settings=any_of_them)
        assert wanted(a, b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0), (3, 1, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layouts(layout, shape, dtype):
    x = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape) + 0.25
    y = laid_out(x, layout)
    np.testing.assert_array_equal(x, y)
    assert y.dtype == x.dtype and not np.shares_memory(x, y)
    assert y.flags.writeable == (layout != "read-only")
    if shape == (2, 3):
        assert y.flags.c_contiguous == (layout in ("C", "read-only"))
        assert y.flags.f_contiguous == (layout == "F")
        assert (y.strides[-1] < 0) == (layout == "negative")
    if layout in ("strided", "negative") and not shape:
        assert y.base is not None and y.base.size > 1
    z = again(code(y))
    np.testing.assert_array_equal(z, y)
    assert (z.strides, z.dtype, z.flags.writeable) == (y.strides, y.dtype, y.flags.writeable)


def test_every_layout_is_drawn():
    for layout in LAYOUTS:
        assert find(layouts(), lambda name, layout=layout: name == layout) == layout
        x = find(arrays((2, 2), layout=layouts()), lambda x, layout=layout: (
            f"'{layout}'" in code(x) or (layout == "C" and "laid_out" not in code(x))))
        assert x.tolist() == [[0.25, 0.1], [0.06, 0.07]]
    with pytest.raises(ValueError, match=r"layout='D': expected one of C, F, strided"):
        laid_out(np.ones(2), "D")


# ---------------------------------------------------------------- arrays

@pytest.mark.parametrize("domain", VECTORS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_are_in_general_position(domain, dtype):
    low, high = {"positive": (0.2, 3), "nonnegative": (0.2, 3), "unit": (-0.9, 0.9),
                 "above1": (1.2, 4)}.get(domain, (-3, 3))

    @quick
    @given(arrays(shapes(max_dims=2, max_side=4), domain=domain, dtype=dtype))
    def check(x):
        assert x.dtype == dtype and x.flags.c_contiguous and x.flags.writeable
        assert np.all((x > low - 1e-6) & (x < high + 1e-6))
        assert np.all(np.abs(2 * x - np.round(2 * x)) > 0.0999)
        v = np.abs(x.ravel().astype(float))
        ratio = v[:, None] / v
        ratio = np.maximum(ratio, 1 / ratio)[~np.eye(v.size, dtype=bool)]
        assert np.all(np.abs(ratio - np.round(ratio)) > 1e-6)       # so no two are equal
    check()


@pytest.mark.parametrize("domain, points", [
    ("real", [0.0, MINUS_ZERO, 1.0, -1.0, 0.5, -0.5, 2.0, 1.5, 5e-324, -5e-324, 1e30, -1e30]),
    ("nonzero", [1.0, -1.0, 5e-324, -1e30]), ("distinct", [0.0, 1.0, 1e30]),
    ("positive", [1.0, 0.5, 5e-324, 1e30]), ("nonnegative", [0.0, 1.0, 1e30]),
    ("unit", [0.0, MINUS_ZERO, 0.5, -0.5, 5e-324]), ("above1", [2.0, 1.5, 1e30])])
def test_special_points_are_found_and_stay_in_the_domain(domain, points):
    for p in points:
        def is_p(x, p=p):
            return np.any((x == p) & (np.signbit(x) == np.signbit(p)))
        assert is_p(find(arrays(domain=domain, special=True), is_p, settings=any_of_them))

    inside = {"nonzero": lambda x: x != 0, "positive": lambda x: x > 0,
              "nonnegative": lambda x: x >= 0, "unit": lambda x: np.abs(x) < 1,
              "above1": lambda x: x > 1}.get(domain, np.isfinite)

    @quick
    @given(arrays(domain=domain, special=True), arrays((4,), domain="distinct", special=True))
    def check(x, y):
        assert np.all(inside(x)) and len(set(y.tolist())) == 4
    check()


def test_special_points_of_single_precision():
    tiny = find(arrays(dtype=np.float32, special=True), lambda x: np.any((x > 0) & (x < 1e-44)))
    assert tiny.dtype == np.float32 and tiny == np.finfo(np.float32).smallest_subnormal
    assert again(code(tiny)) == tiny


def test_ties_within_an_array_and_between_two():
    x = find(arrays((3,), special=True), lambda x: x[0] == x[2] != x[1])
    assert x[1] == 0.25
    a, b = find(op_arguments(np.maximum, special=True), lambda xs: np.any(xs[0] == xs[1]))
    assert a.shape == b.shape == () and a == b == 0
    assert find(arrays(special=True), lambda x: np.any(x == 0)) == 0        # nothing else left
    assert find(arrays((2,), special=[0.25]), lambda x: x[0] == x[1]).tolist() == [0.25, 0.25]


def test_special_points_of_ones_own():
    x = find(arrays((2,), special=[7.0]), lambda x: 7 in x and 0.25 in x)
    assert sorted(x) == [0.25, 7]
    assert find(arrays((), domain="positive", special=[-1.0]), lambda x: True) == 0.25


def test_shrinking_ends_at_readable_numbers():
    assert find(arrays(), lambda x: True) == 0.25
    assert find(arrays((2,)), lambda x: True).tolist() == [0.25, 0.1]
    assert find(arrays((2,)), lambda x: x[1] < 0).tolist() == [0.25, -0.1]
    assert len(str(find(arrays((1,)), lambda x: x[0] > 2)[0])) <= len("2.25")
    x = find(arrays(), lambda x: x.ndim == 2 and np.any(x < 0))
    assert x.shape == (1, 1) and x < 0 and len(repr(x.item())) <= 5
    x = find(arrays((5, 5)), lambda x: True)            # more numbers have more decimals
    assert len(set(x.ravel())) == 25 and x[0, 0] == 0.25


def test_each_element_shrinks_by_itself():
    x = find(arrays((3,), special=True), lambda x: x[1] == -1e30)
    assert x.tolist() == [-1e30] * 3 or x.tolist() == [0.25, -1e30, 0.1]
    x = find(arrays((3,)), lambda x: x[1] > 2.7)
    assert x[[0, 2]].tolist() == [0.25, 0.1] and x[1] > 2.7


@pytest.mark.parametrize("domain", MATRICES)
@pytest.mark.parametrize("special", [False, True])
def test_matrices(domain, special):
    @quick
    @given(arrays(st.sampled_from([(1, 1), (2, 2), (3, 3), (2, 3, 3), (0, 0), (2, 0, 0)]),
                  domain=domain, special=special))
    def check(x):
        if domain == "orthogonal":
            np.testing.assert_allclose(x @ np.swapaxes(x, -1, -2), np.broadcast_to(
                np.eye(x.shape[-1]), x.shape), atol=1e-14)
            assert x.size == 0 or special or x.shape[-1] == 1 or np.all(np.round(x, 12) == x)
        if domain in ("symmetric", "positive_definite"):
            np.testing.assert_array_equal(x, np.swapaxes(x, -1, -2))
        if domain == "positive_definite":
            np.linalg.cholesky(x)
        if domain == "triangular":
            assert not np.triu(x, 1).any() and np.all(np.diagonal(x, axis1=-2, axis2=-1) > 1)
        if domain == "well_conditioned" and x.size:
            assert np.all(np.linalg.cond(x) < 30)
    check()


def test_matrices_of_other_shapes():
    x = find(arrays((4, 2), domain="well_conditioned"), lambda x: True)
    assert x.shape == (4, 2) and np.linalg.matrix_rank(x) == 2
    assert find(arrays(domain="symmetric"), lambda x: True).tolist() == [[0.25]]
    assert find(arrays((2, 2), domain="orthogonal", special=True), lambda x: True).size == 4
    for shape, expected in (((3,), "a square"), ((2, 3), "a square")):
        with pytest.raises(ValueError, match=expected):
            find(arrays(shape, domain="symmetric"), lambda x: True)
    with pytest.raises(ValueError, match="two sides"):
        find(arrays((3,), domain="well_conditioned"), lambda x: True)


def test_wrong_arguments_of_arrays():
    with pytest.raises(ValueError, match=r"domain='reel': expected one of real, nonzero"):
        arrays(domain="reel")
    with pytest.raises(ValueError, match="at most 256"):
        find(arrays((20, 20)), lambda x: True)


# ---------------------------------------------------------------- code

@pytest.mark.parametrize("value", [
    A(0.25), A([0.25, -0.0]), A([[1e30, 5e-324]]), A([np.nan, np.inf, -np.inf]),
    np.zeros((0, 3)), A([0.1, 1 / 3], np.float32), A([1, 2]), A([True, False]),
    np.float32(0.1), np.float64(1 / 3),
    {"w": A([0.25]), "b": [A(1.0), (A(2.0),)]}, (1, "a", None, 2.5, slice(0, 2)), [], (),
    np.zeros((2, 0), np.float32), np.int64(3), float("inf")])
def test_code_gives_the_value_back(value):
    back = again(code(value))
    for (a, x), (b, y) in zip(flatten(value), flatten(back), strict=True):
        assert a == b and type(x) is type(y)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.shape == y.shape
            assert x.tobytes() == y.tobytes()               # the sign of 0 as well
        np.testing.assert_equal(x, y)


def test_code_of_functions_and_types():
    assert code([np.float64, np.matmul, np.linalg.norm, tn.relu, "x"]) == (
        "[np.float64, np.matmul, np.linalg.norm, tn.relu, 'x']")


# ---------------------------------------------------------------- arguments of operations

def test_op_arguments_of_functions():
    @quick
    @given(op_arguments(np.matmul), op_arguments(np.log), op_arguments(np.arctanh))
    def check(ab, x, u):
        np.matmul(*ab)
        assert np.all(x[0] > 0) and np.all(np.abs(u[0]) < 1)
    check()


@quick
@given(st.sampled_from(ROWS).flatmap(lambda r: st.tuples(st.just(r), op_arguments(
    r, dtype=st.sampled_from([np.float32, np.float64]), layout=layouts()))))
def test_op_arguments_of_rows(drawn):
    row, xs = drawn
    assert len(xs) == len(row.domains) and len({x.dtype for x in xs}) == 1
    with np.errstate(all="ignore"):
        row.call(*xs)


def test_what_op_arguments_cannot_know():
    with pytest.raises(ValueError, match=r"no row calls np\.stack with arrays alone, \d+ call "
                       r"it otherwise: give one of \[r for r in tn\.testing\.ROWS if r\.fn"):
        op_arguments(np.stack)
    with pytest.raises(ValueError, match=r"or at all: tn\.testing\.row\(len, \.\.\.\) adds"):
        op_arguments(len)


def test_a_row_of_ones_own():
    before = len(ROWS)
    try:
        mine = row(abs, "unit")
        assert repr(mine) == "abs" and mine.kwargs == {} and ROWS[-1] is mine
        assert find(op_arguments(abs), lambda xs: xs[0].size == 3)[0].max() < 0.9
        check_op(mine, examples=5)
        two = calls(np.sum, {"axis": 0}, {"axis": -1, "keepdims": True}, shapes=[((2, 3),)])
        assert [r.kwargs for r in two] == [{"axis": 0}, {"axis": -1, "keepdims": True}]
        assert two[1].call(np.ones((2, 3))).shape == (2, 1)
        with pytest.raises(ValueError, match="domain='uni'"):
            row(abs, "uni")
        pair = row(np.add, "real", "positive", note="again")
        assert pair.shapes == testing.BROADCAST and repr(pair) == "add again"
    finally:
        del ROWS[before:]
