"""Linear algebra at its special points: singular matrices, equal eigenvalues, refusals."""

import itertools

import numpy as np
import pytest
from test_zeros import FIRST, SECOND, check

import tinygrad_nn as tn
from tinygrad_nn.rules import _decompositions, _linalg
from tinygrad_nn.rules._linalg import mT

L = np.linalg
EYE = np.eye(3)
WEIGHTS = np.arange(1.0, 10.0).reshape(3, 3)
RNG = np.random.default_rng(0)
RANK_ONE = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0])
RANK_TWO = RANK_ONE + np.outer([0.0, 1.0, 1.0], [2.0, 1.0, 0.0])


def norm(x, ord):
    return _decompositions.matrix_norm_by_svd(x, ord, (0, 1), False)


def along(f, a, e):
    """``f`` as a function of one number, on the line through ``a`` in direction ``e``."""
    return lambda s: f(a + s * e)


def both(f, a, want, **tolerance):
    """The gradient in reverse and in forward mode."""
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(tn.grad(f)(a), want, err_msg="reverse", **tolerance)
        units = np.eye(a.size).reshape(-1, *a.shape)
        got = np.array([tn.jvp(f, (a,), (e,))[1] for e in units]).reshape(a.shape)
    np.testing.assert_allclose(got, want, err_msg="forward", **tolerance)


# ---------------------------------------------------------------- determinants

@pytest.mark.parametrize("a", [np.zeros((3, 3)), RANK_ONE, RANK_TWO, EYE, np.diag([2., 0, 0])])
def test_det_is_exact_at_singular_matrices(a):
    minors = [[L.det(np.delete(np.delete(a, i, 0), j, 1)) * (-1) ** (i + j) for j in range(3)]
              for i in range(3)]
    both(L.det, a, minors, atol=1e-13)
    e = RNG.normal(size=(3, 3))
    cubic = np.polyfit([-2.0, -1.0, 1.0, 2.0], [L.det(a + s * e) for s in (-2, -1, 1, 2)], 3)
    f = along(L.det, a, e)
    for name, derivative in SECOND.items():
        np.testing.assert_allclose(derivative(f)(0.0), 2 * cubic[1], atol=1e-12, err_msg=name)


def test_det_of_a_batch_with_a_singular_matrix_and_of_no_rows():
    a = np.stack([RANK_TWO, 2 * EYE])
    both(lambda a: np.sum(L.det(a)), a, [tn.grad(L.det)(RANK_TWO), 4 * EYE])
    assert tn.grad(lambda a: L.det(a) * 3.0)(np.zeros((0, 0))).shape == (0, 0)


def test_slogdet_at_a_singular_matrix_is_nan_there_only():
    a = np.stack([np.zeros((3, 3)), 2 * EYE])
    with np.errstate(all="ignore"):
        g = tn.grad(lambda a: L.slogdet(a).logabsdet[1] + L.slogdet(a)[0][1])(a)
        all_of_it = tn.grad(lambda a: np.sum(L.slogdet(a)[1]))(a)
    np.testing.assert_allclose(g[1], EYE / 2)
    np.testing.assert_allclose(all_of_it[1], EYE / 2)
    assert np.isnan(all_of_it[0]).all()


# ---------------------------------------------------------------- equal eigenvalues

@pytest.mark.parametrize("values", [
    lambda a: np.sum(L.eigvalsh(a)), lambda a: np.sum(L.eigh(a)[0]),
    lambda a: np.sum(L.eigh(a).eigenvalues), lambda a: np.sum(L.svd(a)[1]),
    lambda a: np.sum(L.svdvals(a)), lambda a: np.sum(L.svd(a, compute_uv=False)),
    lambda a: np.sum(L.svd(a, hermitian=True).S), lambda a: norm(a, "nuc")])
def test_values_keep_their_derivative_where_they_are_equal(values):
    both(values, EYE, EYE, atol=1e-14)
    both(lambda a: values(a) ** 2, EYE, 6 * EYE, atol=1e-14)


@pytest.mark.parametrize("vectors", [
    lambda a: np.sum(L.eigh(a)[1] ** 3), lambda a: np.sum(L.svd(a)[0] ** 3),
    lambda a: np.sum(L.svd(a)[2] ** 3),
    lambda a: np.sum(WEIGHTS * ((v := L.eigh(a))[1] * np.exp(v[0])) @ v[1].T)])
def test_vectors_of_equal_values_have_no_derivative_rather_than_a_wrong_one(vectors):
    for derivative in FIRST.values():
        with np.errstate(all="ignore"):
            assert np.isnan(derivative(along(vectors, EYE, WEIGHTS))(0.0))


@pytest.mark.parametrize(("ord", "want"), [(2, EYE / 3), (-2, EYE / 3), ("nuc", EYE)])
def test_norms_by_singular_values_that_tie_share_evenly(ord, want):
    both(lambda a: norm(a, ord), EYE, want, atol=1e-14)
    both(lambda a: norm(a, ord), np.zeros((3, 3)), np.zeros((3, 3)))


def test_nuclear_norm_has_a_second_derivative_at_the_identity():
    e = RNG.normal(size=(3, 3))
    skew = (e - e.T) / 2
    check(along(lambda a: norm(a, "nuc"), EYE, e), 0.0, np.trace(e), np.sum(skew * skew))


def test_cond_at_the_identity_and_where_it_is_infinite():
    both(L.cond, EYE, np.zeros((3, 3)), atol=1e-14)
    for p in (None, -2, 1, -np.inf):
        assert np.isinf(L.cond(tn.Tensor(np.zeros((2, 2))), p).item())
        both(lambda a, p=p: np.sum(L.cond(a, p)), np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))
    a = np.stack([np.zeros((2, 2)), np.diag([1.0, 2.0])])
    alone = tn.grad(lambda a: L.cond(a, 1))(a[1])
    both(lambda a: L.cond(a, 1)[1], a, [np.zeros((2, 2)), alone])
    assert np.isnan(L.cond(tn.Tensor(np.full((2, 2), np.nan)), 1).item())


# ---------------------------------------------------------------- one triangle

@pytest.mark.parametrize(("f", "upper"), [
    (lambda a: np.sum(L.eigvalsh(a) ** 3), False),
    (lambda a: np.sum(L.eigvalsh(a, "U") ** 3), True),
    (lambda a: np.sum(L.eigh(a, "u")[1] * WEIGHTS), True),
    (lambda a: np.sum(L.cholesky(a) * WEIGHTS), False),
    (lambda a: np.sum(L.cholesky(a, upper=True) * WEIGHTS), True),
    (lambda a: np.sum(L.pinv(a, hermitian=True) * WEIGHTS), False)])
def test_the_gradient_lies_in_the_triangle_that_is_read(f, upper):
    a = np.diag([3.0, 5.0, 9.0]) + 0.5
    g = tn.grad(f)(a)
    assert not np.any(np.tril(g, -1) if upper else np.triu(g, 1)) and np.all(g[g != 0])
    e = np.triu(WEIGHTS, 1) if not upper else np.tril(WEIGHTS, -1)
    assert tn.jvp(f, (a,), (e,))[1] == 0
    symmetric = tn.grad(lambda a: f((a + a.T) / 2))(a)
    np.testing.assert_allclose(symmetric, (g + g.T) / 2)


# ---------------------------------------------------------------- completing columns

def test_completing_columns_follow_as_a_subspace():
    a = RNG.normal(size=(5, 2))

    def projector(a, complete):
        if complete is None:
            return EYE5 - a @ L.inv(a.T @ a) @ a.T
        rest = complete(a)[:, 2:]
        return rest @ rest.T
    EYE5 = np.eye(5)
    for complete in (lambda a: L.svd(a)[0], lambda a: mT(L.svd(a.T)[2]),
                     lambda a: L.qr(a, "complete")[0]):
        e = RNG.normal(size=a.shape)
        for derivatives in (FIRST, SECOND):
            for derivative in derivatives.values():
                got, want = (derivative(along(lambda a, c=c: np.sum(projector(a, c) ** 3),
                                              a, e))(0.0) for c in (complete, None))
                np.testing.assert_allclose(got, want, rtol=1e-8)
    np.testing.assert_allclose(tn.grad(lambda a: np.sum(L.svd(a)[1]))(a),
                               tn.grad(lambda a: np.sum(L.svdvals(a)))(a))


# ---------------------------------------------------------------- rank

def test_pinv_of_a_matrix_of_lower_rank_along_that_rank():
    x, y = RNG.normal(size=(2, 4, 2))
    w = RNG.normal(size=(4, 4))
    for cut in ({}, {"rcond": 1e-10}, {"rtol": np.array(1e-10)}):
        def f(x, cut=cut):
            return np.sum(w * L.pinv(x @ y.T, **cut))
        assert tn.gradcheck(f, x, order=2)


def test_pinv_with_a_cut_off_that_cuts():
    a = np.diag([5.0, 3.0, 1.0]) + 0.1 * RNG.normal(size=(3, 3))
    u, s, vh = L.svd(a)
    np.testing.assert_allclose(L.pinv(a, 0.4), (vh[:2].T / s[:2]) @ u[:, :2].T)
    assert tn.gradcheck(lambda a: L.pinv(a, 0.4), a, order=2)
    assert tn.gradcheck(lambda a: L.pinv(a, rtol=[0.4, 0.1]), np.stack([a, a]))
    both(lambda a: np.sum(L.pinv(a, 0.4)), np.zeros((2, 2)), np.zeros((2, 2)))


def test_lstsq_gives_what_numpy_gives_and_refuses_lower_rank():
    tall, y = RNG.normal(size=(4, 2)), RNG.normal(size=4)
    for a, b in ((tall, y), (tall, y[:, None]), (tall.T, y[:2]), (tall[:2], y[:2])):
        got, want = L.lstsq(tn.Tensor(a), b), L.lstsq(a, b)
        assert isinstance(got, tuple) and len(got) == 4 and got[2] == want[2] == 2
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(getattr(g, "data", g), w)
            assert np.shape(g) == np.shape(w)
    with pytest.raises(tn.NoRuleError, match=r"matrix \(3, 3\) of rank 1: the solution jumps"):
        L.lstsq(tn.Tensor(RANK_ONE), np.ones(3))


def test_an_inverse_that_does_not_exist_is_numpys_error():
    with pytest.raises(L.LinAlgError, match="Singular"):
        L.inv(tn.Tensor(np.zeros((2, 2))))
    with pytest.raises(L.LinAlgError, match="Singular"):
        L.solve(np.zeros((2, 2)), tn.Tensor(np.ones(2)))
    with pytest.raises(L.LinAlgError, match="positive definite"):
        L.cholesky(tn.Tensor(-EYE))


# ---------------------------------------------------------------- forms

@pytest.mark.parametrize("f", [
    L.eigh, L.slogdet, L.qr, L.svd, lambda a: L.svd(a, hermitian=True),
    lambda a: L.svd(a, full_matrices=False), lambda a: L.qr(a, "complete")])
def test_several_results_come_as_numpys_named_tuples(f):
    want = f(2 * EYE)
    for got in (f(tn.Tensor(2 * EYE)), tn.jvp(f, (2 * EYE,), (EYE,))[0]):
        assert type(got) is type(want) and got._fields == want._fields


def test_constants_may_be_lists_and_integers():
    t = tn.Tensor([1.0, 2.0])
    for f in (lambda x: L.solve([[2, 0], [1, 1]], x), lambda x: np.kron([1, 2], x),
              lambda x: np.vecdot([[1, 2]], x), lambda x: L.outer([1, 2], x),
              lambda x: L.multi_dot([[[1, 2]], [[1, 0], [2, 1]], x]),
              lambda x: np.cross([1, 2, 3], x[[0, 1, 1]]),
              lambda x: L.cross(x[[0, 1, 1]], EYE), lambda x: L.lstsq([[2, 0], [1, 1]], x)[0]):
        np.testing.assert_allclose(f(t).data, f(t.data))


@pytest.mark.parametrize("f", [
    L.solve, np.kron, L.lstsq, np.vecdot, np.cross, lambda a, b: L.multi_dot([a, b, a]),
    lambda a, b: L.solve(a, b[0]), lambda a, b: L.lstsq(a, b[0])[:2],
    lambda a, b: L.lstsq(a[:, :2], b[0])[:2]])
def test_one_argument_may_be_constant(f):
    a, b = EYE * 3 + 0.1 * RNG.normal(size=(3, 3)), WEIGHTS
    assert tn.gradcheck(lambda a: f(a, b), a, order=2)
    assert tn.gradcheck(lambda b: f(a, b), b, order=2)


def test_matrix_power_0_is_a_constant():
    y = L.matrix_power(tn.Tensor(np.ones((2, 3, 3), np.float32)), 0)
    np.testing.assert_array_equal(y, L.matrix_power(np.ones((2, 3, 3), np.float32), 0))
    assert y.dtype == np.float32
    both(lambda a: np.sum(L.matrix_power(a, 0) * a), EYE, EYE)


def test_vector_norm_of_order_0_counts():
    assert L.vector_norm(tn.Tensor([1.0, 0.0, 2.0]), ord=0) == 2
    both(lambda x: np.sum(L.vector_norm(x, ord=0)), np.array([1.0, 0.0]), [0, 0])


def test_multi_dot_multiplies_in_the_cheapest_order(monkeypatch):
    shapes = []
    real = np.matmul
    monkeypatch.setattr(_linalg.np, "matmul", lambda a, b: shapes.append(
        (a.shape, b.shape)) or real(a, b))
    sizes = (5, 1, 6, 1, 4)
    xs = [RNG.normal(size=s) for s in itertools.pairwise(sizes)]
    got = L.multi_dot([tn.Tensor(xs[0]), *xs[1:]])
    np.testing.assert_allclose(got.data, L.multi_dot(xs))
    assert sum(a[0] * a[1] * b[1] for a, b in shapes) == 6 + 4 + 20


# ---------------------------------------------------------------- refusals and messages

@pytest.mark.parametrize(("f", "error", "message"), [
    (L.eig, tn.NoRuleError, "linalg.eig of a Tensor is refused: its results are complex in "
     "general; use np.linalg.eigh"),
    (L.eigvals, tn.NoRuleError, "complex in general; use np.linalg.eigh or eigvalsh"),
    (lambda a: L.qr(a, "raw"), tn.NoRuleError, "mode='raw' has no derivative rule: use"),
    (lambda a: np.cross(a[:, :2], a), tn.NoRuleError, r"length 2 .* write a\[..., 0\] \* b"),
    (lambda a: np.cross(a[:, :1], a), ValueError, "expected vectors of length 3"),
    (lambda a: L.multi_dot([a]), ValueError, "at least two arrays, got 1"),
    (lambda a: L.multi_dot([a, a[0], a]), L.LinAlgError, "expected matrices, the first"),
    (lambda a: L.matrix_power(a[:2], 2), L.LinAlgError, r"\(2, 3\): the last two axes"),
    (lambda a: L.matrix_power(a, 0.5), TypeError, "integer"),
    (lambda a: L.tensorinv(a, 0), ValueError, "ind=0: expected a positive"),
    (lambda a: L.tensorsolve(a[:2], a[0, :2]), L.LinAlgError, "as large as the square"),
    (lambda a: L.outer(a, a), ValueError, "expected vectors"),
    (lambda a: np.matrix_transpose(a[0]), ValueError, "at least 2 axes"),
    (lambda a: L.cond(a[:0]), L.LinAlgError, "empty matrix"),
    (lambda a: L.vector_norm(a, axis=2), np.exceptions.AxisError, "axis 2 is out of bounds"),
    (lambda a: L.solve(a, a[:2]), ValueError, "solve"),
    (lambda a: L.multi_dot([a, a], out=np.ones((3, 3))), tn.DetachError, "use its result")])
def test_messages(f, error, message):
    with pytest.raises(error, match=message):
        f(tn.Tensor(WEIGHTS))


def test_zero_derivatives():
    assert L.matrix_rank(tn.Tensor(RANK_ONE)) == 1
    assert not isinstance(L.matrix_rank(tn.Tensor(RANK_ONE), tol=1e-3), tn.Tensor)
