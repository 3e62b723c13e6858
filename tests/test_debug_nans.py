"""What `debug_nans` reports, forward and backward, and what it leaves alone."""

import contextlib
import re

import numpy as np
import pytest
from derivatives import line

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array
X = A([4.0, 0.0, 1.0])
ONES = np.ones(3)
pytestmark = pytest.mark.usefixtures("silence")


@contextlib.contextmanager
def reported(*parts):
    """Within it a NonFiniteError is raised whose message has these parts, each a pattern."""
    with pytest.raises(tn.NonFiniteError) as error, tn.debug_nans():
        yield
    for part in parts:
        assert re.search(part, str(error.value)), f"{part!r} is not in: {error.value}"


# ---------------------------------------------------------------- forward

FORWARD = {     # a computation, and what its report says
    "log": (lambda: np.log(Tensor(X)), r"np\.log .*gave -inf at index \(1,\)", r"from 0\.0"),
    "divide": (lambda: 1.0 / Tensor(X), r"np\.divide .*gave inf at index \(1,\)",
               r"from 1\.0 and 0\.0"),
    "divide, broadcast": (lambda: Tensor(X[:2])[:, None] / A([1.0, 0.0]),
                          r"np\.divide .*gave inf at index \(0, 1\)", r"from 4\.0 and 0\.0"),
    "0 / 0": (lambda: Tensor(0.0) / 0.0, r"np\.divide .*gave nan at index \(\)",
              "0.0 and 0.0"),
    "power": (lambda: Tensor(X) ** -1, r"np\.power .*gave inf at index \(1,\)", "0.0 and -1"),
    "exp": (lambda: np.exp(Tensor(A([1.0, 800.0]))), r"np\.exp .*gave inf at index \(1,\)",
            r"from 800\.0"),
    "exp of float32": (lambda: np.exp(Tensor(A([1.0, 100.0], "f4"))), r"np\.exp .*gave inf",
                       r"from 100\.0"),
    "a subtraction": (lambda: Tensor(A([1e308])) - A([-1e308]), r"np\.subtract .*gave inf",
                      r"1e\+308 and -1e\+308"),
    "matmul": (lambda: Tensor([[1.0, 1.0], [1e300, 1.0]]) @ A([[1e300], [1.0]]),
               r"np\.matmul .*gave inf at index \(1, 0\)", r"\(2, 2\) and .*\(2, 1\)"),
    "a reduction": (lambda: Tensor([1e308, 1e308]).sum(), r"np\.sum .*gave inf at index \(\)",
                    r"\(2,\)"),
    "a method": (lambda: Tensor(X).log(), r"np\.log .*gave -inf"),
    "a conversion": (lambda: Tensor([1e300]).astype(np.float32), "astype .*gave inf",
                     r"from 1e\+300"),
    "arcsin": (lambda: np.arcsin(Tensor([0.5, 2.0])), r"np\.arcsin .*gave nan at index \(1,\)",
               r"from 2\.0"),
    "a composite": (lambda: np.var(Tensor([1.0]), ddof=1), "gave nan"),
    "a list": (lambda: np.log(np.concatenate([Tensor([1.0]), Tensor([0.0])])),
               r"np\.log .*gave -inf at index \(1,\)"),
    "no_grad": (tn.no_grad()(lambda: np.log(Tensor(X))), r"np\.log .*gave -inf"),
    "grad": (lambda: tn.grad(lambda x: np.sum(np.log(x)))(X),
             r"np\.log .*gave -inf at index \(1,\)"),
    "grad of grad": (lambda: tn.grad(tn.grad(lambda x: np.log(x)))(0.0),
                     r"np\.log .*gave -inf"),
    "jvp": (lambda: tn.jvp(np.log, (X,), (ONES,)), r"np\.log .*gave -inf at index \(1,\)"),
    "hvp": (lambda: tn.hvp(lambda x: np.sum(np.log(x)), X, ONES), r"np\.log .*gave -inf"),
    "jacobian": (lambda: tn.jacobian(np.log)(X), r"np\.log .*gave -inf"),
    "remat": (lambda: tn.remat(lambda x: np.log(x) * 2)(Tensor(X)), r"np\.log .*gave -inf"),
    "a module": (lambda: tn.nn.Sequential(lambda x: 1 / x, tn.nn.ReLU())(Tensor(X)),
                 r"np\.divide .*gave inf"),
    "custom_vjp": (lambda: tn.custom_vjp(reciprocal, None)(Tensor(X)),
                   r"reciprocal .*gave inf at index \(1,\)", r"from 0\.0"),
    "custom_jvp": (lambda: tn.custom_jvp(reciprocal, None)(Tensor(X)),
                   "reciprocal .*gave inf"),
    "a primitive": (lambda: inverse(Tensor(X)), r"inverse .*gave inf at index \(1,\)"),
    "a primitive in grad": (lambda: tn.grad(lambda x: np.sum(inverse(x)))(X),
                            "inverse .*gave inf"),
}


def reciprocal(x):
    return 1 / x


@tn.primitive
def inverse(x):
    return 1 / x


tn.rules.elementwise(inverse, lambda y: -y * y)


@pytest.mark.parametrize("name", FORWARD)
def test_the_first_operation_that_is_not_finite(name):
    f, *parts = FORWARD[name]
    with reported(*parts):
        f()
    f() if name not in ("custom_vjp", "custom_jvp") else None       # off again


def test_the_report_names_the_users_file_and_line():
    w = Tensor(X)
    with reported(rf"np\.log .*test_debug_nans\.py, line {line() + 1}\b"):
        np.log(w)
    with reported(rf"np\.divide .*test_debug_nans\.py, line {line() + 1}\b"):
        tn.grad(tn.grad(lambda x: 1.0 / x))(0.0)
    with reported(rf"np\.log .*test_debug_nans\.py, line {line() + 1}\b"):
        tn.jvp(lambda x: np.log(x), (X,), (ONES,))
    with reported(rf"np\.sum .*test_debug_nans\.py, line {line() + 1}\b"):
        Tensor([1e308, 1e308]).sum()


def test_it_stops_there():
    seen = []
    with reported("np.log"):
        y = np.log(Tensor(X))
        seen.append(y)
    assert not seen


def test_a_non_finite_error_is_a_floating_point_error():
    with pytest.raises(FloatingPointError), tn.debug_nans():
        np.log(Tensor(0.0))
    assert issubclass(tn.NonFiniteError, tn.TinygradError)


# ---------------------------------------------------------------- backward

def root_sum(x):
    return np.sum(np.sqrt(x))


BACKWARD = {    # a computation of finite values, and what the report on its gradient says
    "sqrt": (lambda: root_sum(Tensor(X)).backward(),
             r"gradient of np\.sqrt .*is inf at index \(1,\)", r"from 1\.0 and 0\.0"),
    "divide": (lambda: np.sum(A([1e200]) / Tensor([1e-100])).backward(),
               r"gradient of np\.divide .*is -inf at index \(0,\)"),
    "matmul": (lambda: np.sum((Tensor([[0.0]]) @ A([[1e300]])) * 1e300).backward(),
               r"gradient of np\.matmul .*is inf at index \(0, 0\)"),
    "power": (lambda: np.sum(Tensor(X) ** 0.5).backward(), r"gradient of np\.power .*is inf"),
    "a seed": (lambda: np.exp(Tensor([700.0])).backward(A([1e10])),
               r"gradient of np\.exp .*is inf at index \(0,\)", r"10000000000\.0"),
    "a composite": (lambda: (np.dot(Tensor([0.0]), [1e300]) * 1e300).backward(),
                    r"gradient of np\.matmul .*is inf"),
    "grad": (lambda: tn.grad(root_sum)(X), r"gradient of np\.sqrt .*inf at index \(1,\)"),
    "vjp": (lambda: tn.vjp(np.sqrt, X)[1](ONES), r"gradient of np\.sqrt .*\(1,\)"),
    "jacobian, one row": (lambda: tn.jacobian(root_sum)(X), r"gradient of np\.sqrt "),
    "jacobian, many rows": (lambda: tn.jacobian(np.sqrt)(X), r"gradient of np\.sqrt "),
    "hessian": (lambda: tn.hessian(root_sum)(X), r"gradient of np\.sqrt .*index \(1,\)"),
    "hvp": (lambda: tn.hvp(root_sum, X, ONES), r"gradient of np\.sqrt .*index \(1,\)"),
    "grad of grad": (lambda: tn.grad(lambda x: np.sum(tn.grad(root_sum)(x) ** 2))(X),
                     r"gradient of np\.sqrt .*index \(1,\)"),
    "second order alone": (lambda: tn.grad(tn.grad(lambda x: x ** 1.5))(0.0),
                           "gradient of np"),
    "hessian, second order alone": (lambda: tn.hessian(lambda x: np.sum(x ** 1.5))(X),
                                    "gradient of np"),
    "remat": (lambda: tn.remat(lambda x: np.sqrt(x) * 2)(Tensor(0.0)).backward(),
              r"gradient of np\.sqrt .*is inf"),
    "custom_vjp": (lambda: tn.custom_vjp(double, lambda g, x: g / x)(Tensor(X)).backward(ONES),
                   r"gradient of double .*is inf at index \(1,\)"),
    "custom_vjp in grad": (lambda: tn.grad(lambda x: np.sum(tn.custom_vjp(
        double, lambda g, x: g / x)(x)))(X), r"gradient of double .*is inf at index \(1,\)"),
    "a primitive": (lambda: np.sum(steep(Tensor(X))).backward(),
                    r"gradient of steep .*is inf at index \(1,\)", r"0\.0"),
}


def double(x):
    return 2 * x


@tn.primitive
def steep(x):
    return np.sqrt(x)


tn.rules.elementwise(steep, lambda x: 0.5 / np.sqrt(x))


@pytest.mark.parametrize("name", BACKWARD)
def test_the_first_gradient_that_is_not_finite(name):
    f, *parts = BACKWARD[name]
    with reported(*parts):
        f()
    f()                                                         # off again


def test_the_report_on_a_gradient_names_the_line_of_the_operation():
    w = Tensor(X)
    with reported(rf"np\.sqrt.*test_debug_nans\.py, line {line() + 1}\b"):
        y = np.sqrt(w)
        y.sum().backward()
    with reported(rf"np\.power.*test_debug_nans\.py, line {line() + 1}\b"):
        tn.grad(lambda x: np.sum(x ** 0.5))(X)
    with reported(rf"test_debug_nans\.py, line {line() + 1}\b"):
        tn.grad(tn.grad(lambda x: x ** 1.5))(0.0)
    with reported(rf"np\.sqrt.*test_debug_nans\.py, line {line() + 1}\b"):
        tn.hessian(lambda x: np.sum(np.sqrt(x)))(X)
    assert w.grad is None                                       # a failed backward


def test_the_graph_of_the_forward_pass_may_be_older():
    """Without the block nothing was noted, so the line is unknown, but the rest is said."""
    y = np.sqrt(Tensor(X)).sum()
    with reported(r"gradient of np\.sqrt .*is inf at index \(1,\)", "not noted"):
        y.backward()


def test_mutation_errors_of_nested_derivatives_name_the_users_line_too():
    c = np.ones(3)

    def f(x):
        y = tn.grad(lambda v: np.sum(np.sin(v * c)))(x)
        c[:] = 2
        return np.sum(y * y)
    with pytest.raises(tn.MutationError) as error:
        tn.grad(f)(X)
    assert "<string>" not in str(error.value)


# ---------------------------------------------------------------- forward mode

FORWARD_MODE = {
    "jvp": (lambda: tn.jvp(np.sqrt, (X,), (ONES,)), r"np\.sqrt", "inf", r"\(1,\)"),
    "jvp to a scalar": (lambda: tn.jvp(root_sum, (X,), (ONES,)), r"np\.sqrt", r"\(1,\)"),
    "jacobian by columns": (lambda: tn.jacobian(lambda x: np.stack([np.sqrt(x)] * 2))(X),
                            r"np\.sqrt"),
    "jvp of jvp": (lambda: tn.jvp(lambda x: tn.jvp(np.sqrt, (x,), (ONES,))[1], (X,), (ONES,)),
                   r"np\.sqrt", r"\(1,\)"),
    "second order alone": (lambda: tn.jvp(
        lambda x: tn.jvp(lambda x: x ** 1.5, (x,), (1.0,))[1], (0.0,), (1.0,)), "inf"),
    "hvp, second order alone": (lambda: tn.hvp(lambda x: np.sum(x ** 1.5), X, ONES), "inf"),
    "jvp of grad, second order alone": (
        lambda: tn.jvp(tn.grad(lambda x: x ** 1.5), (0.0,), (1.0,)), "inf"),
    "grad of jvp, second order alone": (
        lambda: tn.grad(lambda x: tn.jvp(lambda x: x ** 1.5, (x,), (1.0,))[1])(0.0), "inf"),
    "grad of jvp": (lambda: tn.grad(lambda x: tn.jvp(root_sum, (x,), (ONES,))[1])(X),
                    r"np\.sqrt"),
    "custom_jvp": (lambda: tn.jvp(tn.custom_jvp(double, lambda xs, ts: ts[0] / xs[0]), (X,),
                                  (ONES,)), "double", "inf", r"\(1,\)"),
    "a primitive": (lambda: tn.jvp(steep, (X,), (ONES,)), "steep", "inf", r"\(1,\)"),
}


@pytest.mark.parametrize("name", FORWARD_MODE)
def test_the_first_tangent_that_is_not_finite(name):
    f, *parts = FORWARD_MODE[name]
    with reported(*parts):
        f()
    f()


# ---------------------------------------------------------------- what is not reported

def log_where(x):
    return np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))


def sqrt_where(x):
    return np.sum(np.where(x > 0, np.sqrt(x), 0.0))


EXACT = {       # functions with structural zeros, finite in every order at X
    "where sqrt": sqrt_where, "where log": log_where,
    "boolean index": lambda x: np.sum(np.sqrt(x)[X > 0]),
    "maximum": lambda x: np.sum(np.maximum(np.sqrt(x), 0.5)),
    "with sum and reshape": lambda x: np.sum(np.where(
        x[None] > 0, np.reshape(np.sqrt(x), (1, 3)) * 2, 0.0), axis=0)[0],
    "select": lambda x: np.sum(np.select([x > 0], [x ** 0.5], 0.0)),
    "custom_jvp": lambda x: np.sum(np.where(x > 0, safe_root(x), 0.0)),
}
safe_root = tn.custom_jvp(np.sqrt, lambda xs, ts: ts[0] * np.where(
    xs[0] > 0, 0.5 / np.sqrt(np.where(xs[0] > 0, xs[0], 1.0)), 0.0))
USES = {
    "backward": lambda f: f(Tensor(X)).backward(), "grad": lambda f: tn.grad(f)(X),
    "vjp": lambda f: tn.vjp(f, X)[1](1.0), "jvp": lambda f: tn.jvp(f, (X,), (ONES,)),
    "jacobian": lambda f: tn.jacobian(f)(X), "hessian": lambda f: tn.hessian(f)(X),
    "columns": lambda f: tn.jacobian(lambda x: np.stack([f(x)] * 5))(X),
    "hvp": lambda f: tn.hvp(f, X, ONES),
    "grad of grad": lambda f: tn.grad(lambda x: np.sum(tn.grad(f)(x) ** 2))(X),
    "grad of jvp": lambda f: tn.grad(lambda x: tn.jvp(f, (x,), (ONES,))[1])(X),
    "jvp of jvp": lambda f: tn.jvp(lambda x: tn.jvp(f, (x,), (ONES,))[1], (X,), (ONES,)),
    "third order": lambda f: tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(
        tn.grad(f)(x)))(x)))(X),
}


def leaves(tree):
    return [v for t in tree for v in leaves(t)] if isinstance(tree, (tuple, list)) else [tree]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", EXACT)
def test_structural_zeros_are_not_reported(name, use):
    run = USES[use]
    want = leaves(run(EXACT[name]))
    assert all(v is None or np.isfinite(v).all() for v in want)
    with tn.debug_nans():
        got = leaves(run(EXACT[name]))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


NOT_FINITE = A([np.inf, 1.0, np.nan])
GIVEN = {       # nothing that these make was not there before
    "forward": lambda: np.log(Tensor(NOT_FINITE)) * 2,
    "a constant": lambda: Tensor(ONES) * NOT_FINITE,
    "another element": lambda: np.log(Tensor(A([np.inf, 0.0]))),
    "backward": lambda: np.sum(np.square(Tensor(NOT_FINITE))).backward(),
    "backward of exp": lambda: np.sum(np.exp(Tensor(NOT_FINITE))).backward(),
    "backward of a constant": lambda: np.sum(Tensor(ONES) * NOT_FINITE).backward(),
    "backward of a matmul": lambda: np.sum(Tensor(np.eye(3)) @ NOT_FINITE[:, None]).backward(),
    "a seed": lambda: (Tensor(ONES) * 2).backward(NOT_FINITE),
    "grad": lambda: tn.grad(lambda x: np.sum(x * x))(NOT_FINITE),
    "jvp": lambda: tn.jvp(lambda x: x * x, (NOT_FINITE,), (ONES,)),
    "a tangent": lambda: tn.jvp(lambda x: x * 2, (ONES,), (NOT_FINITE,)),
    "jacobian": lambda: tn.jacobian(lambda x: x * x)(NOT_FINITE),
    "hvp": lambda: tn.hvp(lambda x: np.sum(x ** 3), NOT_FINITE, ONES),
    "a part that is finite": lambda: np.sum(Tensor(NOT_FINITE)[1:2] * 2).backward(),
    "a comparison": lambda: Tensor(NOT_FINITE) > 0,
    "nansum": lambda: np.where(np.isnan(NOT_FINITE), 0.0, Tensor(NOT_FINITE)).sum(),
    "plain arrays": lambda: np.log(np.zeros(2)) + tn.sigmoid(A([-np.inf, np.nan])),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_was_not_finite_before_is_not_reported(name):
    with tn.debug_nans():
        GIVEN[name]()


def test_gradients_at_kinks_and_large_values_are_fine():
    with tn.debug_nans():
        for f in (np.linalg.norm, np.abs, np.prod, np.cumprod, np.sort, np.max,
                  lambda x: np.arctan2(x, x), lambda x: x ** 0, lambda x: np.hypot(x, x)):
            for use in USES.values():
                use(lambda x, f=f: np.sum(f(x * 0.0)))
        w = Tensor([1e-320])
        (w * 2).sum().backward()


def test_a_training_step_is_the_same_with_and_without():
    def step():
        model = tn.models.CatClassifier((4, 5, 3, 1), rng=0)
        x = np.random.default_rng(0).normal(size=(6, 4)).astype("f4")
        tn.nn.binary_cross_entropy(model(x), (x[:, :1] > 0).astype("f4")).backward()
        return [p.grad for p in model.parameters()]
    want = step()
    with tn.debug_nans():
        got = step()
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- remedies

def test_the_remedy_for_a_length_is_the_norm():
    v = np.zeros(3)
    for f in (lambda x: np.sqrt(np.sum(x ** 2)), lambda x: np.sum(x * x) ** 0.5,
              lambda x: np.sqrt(x @ x)):
        with np.errstate(all="ignore"):
            assert np.isnan(tn.grad(f)(v)).all()                # NumPy's arithmetic, unchanged
    for use in (tn.grad, tn.jacobian, tn.hessian, lambda f: lambda x: tn.hvp(f, x, ONES),
                lambda f: lambda x: f(Tensor(x)).backward()):
        with reported(r"np\.sqrt", r"np\.linalg\.norm"):
            use(lambda x: np.sqrt(np.sum(x ** 2)))(v)
        with tn.debug_nans():                                   # and that is true
            use(np.linalg.norm)(v)
    with reported(r"np\.linalg\.norm"):
        np.sum(np.sqrt(np.sum(Tensor(np.zeros((2, 3))) ** 2, axis=1))).backward()


@pytest.mark.parametrize("f, remedy", [
    (np.log, r"np\.where.*log_softmax"), (lambda x: 1 / x, r"np\.where"),
    (lambda x: np.exp(x + 1e3), r"softmax.*sigmoid")])
def test_other_remedies(f, remedy):
    with reported(remedy):
        f(Tensor(X))


def test_remedies_are_accepted_within_the_block():
    with tn.debug_nans():
        log_where(Tensor(X)).backward()
        np.sum(1 / np.where(X != 0, Tensor(X), 1.0)).backward()
        for f in (tn.softmax, tn.logsumexp, tn.sigmoid):
            np.sum(f(Tensor(X + 1e3))).backward()
