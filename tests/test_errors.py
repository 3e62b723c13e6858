"""What is refused, each with the sentence that says why and what to write instead."""

import inspect
import operator
import re
import traceback

import numpy as np
import pytest
from derivatives import boxes

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- the tree of exceptions

def test_each_error_is_the_builtin_that_one_would_catch():
    for error, builtin in ((tn.ShapeError, ValueError), (tn.DetachError, TypeError),
                           (tn.GraphError, RuntimeError), (tn.MutationError, RuntimeError),
                           (tn.NoRuleError, NotImplementedError),
                           (tn.GradcheckError, AssertionError), (tn.DataError, ValueError),
                           (tn.MissingExtraError, ImportError)):
        assert issubclass(error, tn.TinygradError) and issubclass(error, builtin)


# ---------------------------------------------------------------- shapes that do not broadcast

@pytest.mark.parametrize("a, b, axes, sizes", [
    ((3,), (4,), (0, 0), (3, 4)), ((2, 3), (2,), (1, 0), (3, 2)),
    ((2, 3), (3, 3), (0, 0), (2, 3)), ((5, 2, 3), (4, 3), (1, 0), (2, 4)),
    ((0,), (2,), (0, 0), (0, 2)),
    ((2, 1, 3), (2, 5, 4), (2, 2), (3, 4)), ((4, 3, 2), (4, 1, 3), (2, 2), (2, 3)),
])
@pytest.mark.parametrize("fn, name", [
    (np.add, "add"), (np.multiply, "multiply"), (np.divide, "divide"), (np.maximum, "maximum"),
    (np.arctan2, "arctan2"), (np.power, "power"),
])
def test_broadcasting(a, b, axes, sizes, fn, name):
    pairs = [(Tensor(np.ones(a)), np.ones(b)), (np.ones(a), Tensor(np.ones(b))),
             (Tensor(np.ones(a)), Tensor(np.ones(b))), (Tensor(np.ones(a)), np.ones(b, int))]
    runs = [lambda x=x, y=y: fn(x, y) for x, y in pairs]
    runs += [lambda: tn.jvp(lambda x: fn(x, np.ones(b)), (np.ones(a),), (np.ones(a),)),
             lambda: tn.grad(lambda x: fn(np.ones(a), x).sum())(np.ones(b))]
    for run in runs:
        with pytest.raises(tn.ShapeError) as error:
            run()
        text = str(error.value)
        assert name in text and f"{a} and {b}" in text and "broadcast" in text
        assert re.search(rf"axis {axes[0]} of the first is {sizes[0]}\b", text)
        assert re.search(rf"axis {axes[1]} of the second is {sizes[1]}\b", text)


def test_operators_name_their_function():
    w = Tensor(np.ones(3))
    c = np.ones(2)
    for run, name in ((lambda: w + c, "np.add"), (lambda: c - w, "np.subtract"),
                      (lambda: w * c, "np.multiply"), (lambda: w / c, "np.divide"),
                      (lambda: w ** c, "np.power"), (lambda: w @ c, "np.matmul"),
                      (lambda: w * [1.0, 2.0], "np.multiply"),
                      (lambda: (1.0, 2.0) - w, "np.subtract")):
        with pytest.raises(tn.ShapeError, match=re.escape(name)):
            run()


@pytest.mark.parametrize("a, b, axes, sizes", [
    ((3,), (4,), (0, 0), (3, 4)), ((2, 3), (4,), (1, 0), (3, 4)),
    ((3,), (2, 4), (0, 0), (3, 2)), ((2, 3), (4, 5), (1, 0), (3, 4)),
    ((7, 2, 3), (7, 4, 5), (2, 1), (3, 4)),
    ((3,), (7, 4, 5), (0, 1), (3, 4)), ((7, 2, 3), (4,), (2, 0), (3, 4)),
    ((2, 3), (7, 2, 5), (1, 1), (3, 2)), ((7, 2, 3), (4, 5), (2, 0), (3, 4)),
    ((1, 3), (1, 3), (1, 0), (3, 1)), ((2, 3), (0, 5), (1, 0), (3, 0)),
])
def test_matmul(a, b, axes, sizes):
    for x, y in ((Tensor(np.ones(a)), np.ones(b)), (np.ones(a), Tensor(np.ones(b))),
                 (Tensor(np.ones(a)), Tensor(np.ones(b)))):
        with pytest.raises(tn.ShapeError) as error:
            x @ y
        text = str(error.value)
        assert "matmul" in text and f"{a} and {b}" in text and "multiply" in text
        assert re.search(rf"axis {axes[0]} of the first is {sizes[0]}\b", text)
        assert re.search(rf"axis {axes[1]} of the second is {sizes[1]}\b", text)
    for f in (lambda x: x @ np.ones(b), lambda x: np.matmul(x, np.ones(b))):
        with pytest.raises(tn.ShapeError, match="matmul"):
            tn.jvp(f, (np.ones(a),), (np.ones(a),))


def test_matmul_whose_batches_do_not_broadcast():
    with pytest.raises(tn.ShapeError) as error:
        Tensor(np.ones((2, 3, 4, 5))) @ np.ones((2, 7, 5, 6))
    text = str(error.value)
    assert "matmul" in text and "broadcast" in text
    assert "axis 1 of the first is 3" in text and "axis 1 of the second is 7" in text


@pytest.mark.parametrize("a, b", [((), (3,)), ((3,), ()), ((), ()), ((2, 3), ())])
def test_matmul_of_a_number(a, b):
    for x, y in ((Tensor(np.ones(a)), np.ones(b)), (np.ones(a), Tensor(np.ones(b)))):
        with pytest.raises(tn.ShapeError, match=r"matmul.*0-d.*\*"):
            x @ y
    with pytest.raises(tn.ShapeError, match="matmul"):
        Tensor(np.ones(3)) @ 2.0


def test_other_functions_of_shapes():
    w = Tensor(np.ones((2, 3)))
    with pytest.raises(tn.ShapeError, match=r"\(2, 3\).*\(4, 5\)"):
        np.tensordot(w, np.ones((4, 5)), 1)
    with pytest.raises(tn.ShapeError, match=r"\(2, 3\).*\(4, 5\)"):
        np.dot(w, np.ones((4, 5)))
    with pytest.raises(tn.ShapeError, match=r"\(2, 3\).*3.*\(5, 2\)|\(5, 2\).*\(2, 3\)"):
        tn.rules.dense(np.ones((5, 2)), w)
    for run in (lambda: w.reshape(4), lambda: np.concatenate([w, np.ones(3)]),
                lambda: w.sum(axis=2), lambda: np.where(np.ones(2) > 0, w, 0.0),
                lambda: np.stack([w, w[0]]),
                lambda: np.einsum("ij,jk", w, np.ones((2, 2))), lambda: w.transpose(0, 0),
                lambda: np.split(w, 2, axis=1), lambda: np.broadcast_to(w, (3, 3))):
        with pytest.raises(ValueError):             # np.exceptions.AxisError is one
            run()


# ---------------------------------------------------------------- no rule

def custom(x):
    return x


@pytest.mark.parametrize("run, name", [
    (np.fft.fft, r"np\.fft\.fft"), (np.roots, r"np\.roots"), (np.histogram, r"np\.histogram"),
    (np.sort_complex, r"np\.sort_complex"), (np.linalg.eigvals, r"np\.linalg\.eigvals"),
    (np.frompyfunc(custom, 1, 1), "custom"),
    (np.frompyfunc(custom, 2, 1).reduce, r"custom.*reduce"),
    (lambda t: np.add(t, 1.0, where=A([True, False])), r"np\.add.*where"),
    (lambda t: tn.primitive(custom)(t), "custom"),
])
def test_functions_without_a_rule_are_refused_by_name(run, name):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises(tn.NoRuleError, match=name):
            run(t)


def test_the_refusal_says_shape_and_remedy():
    with pytest.raises(tn.NoRuleError, match=r"custom .*\(2, 3\).*\.data.*tinygrad_nn\.rules"):
        tn.primitive(custom)(Tensor(np.ones((2, 3))))


def test_a_gradient_by_a_keyword_argument_is_refused_by_name():
    w = Tensor([1.0, 2.0])
    for run, name in ((lambda: np.pad(w, 1, constant_values=w[0]), "constant_values"),
                      (lambda: np.sum(w, initial=w[0]), "initial"),
                      (lambda: w.mean(where=w), "where")):
        with pytest.raises(tn.NoRuleError, match=f"{name}="):
            run()
    for run in (lambda: np.pad(np.ones(2), 1, constant_values=w[0]),
                lambda: np.sum(np.ones(2), initial=w[0])):
        with pytest.raises((tn.NoRuleError, tn.DetachError, ValueError)):   # never silently
            run()


def test_an_unknown_keyword_is_refused_by_name():
    w = Tensor([1.0, 2.0])
    with pytest.raises((tn.NoRuleError, TypeError), match="nonsense"):
        np.sum(w, nonsense=1)
    with pytest.raises((tn.NoRuleError, TypeError), match="nonsense"):
        w.sum(nonsense=1)


# ---------------------------------------------------------------- results that are not real

@pytest.mark.parametrize("f", [
    lambda t: t * 1j, lambda t: 1j * t, lambda t: t + A([1j, 2j]), lambda t: t.astype(complex),
    lambda t: t @ A([1j, 2j]), lambda t: np.where(A([True, False]), t, 1j),
    lambda t: np.concatenate([t, [1j]]), lambda t: t ** 1j,
    lambda t: t * A([1, 2], object), lambda t: np.sum(t, dtype=complex),
    lambda t: np.multiply(t, 1, dtype=complex),
])
def test_results_that_are_not_real_are_refused(f):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises((tn.NoRuleError, TypeError), match=r"complex|int|object|bool|real"):
            f(t)


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_integers_of_a_tensor_are_refused_or_plain_in_all_modes_alike(dtype):
    kinds = set()
    for t in boxes(A([1.0, 2.0])):
        try:
            kinds.add(type(t.astype(dtype)))
        except tn.NoRuleError:
            kinds.add("refused")
    assert kinds in ({"refused"}, {np.ndarray})


def test_the_refusal_of_complex_results_names_operation_and_dtype():
    with pytest.raises(tn.NoRuleError, match=r"np\.multiply.*complex128"):
        Tensor([1.0]) * 1j
    with pytest.raises(tn.NoRuleError, match=r"np\.multiply.*complex128"):
        tn.jvp(lambda x: x * 1j, (1.0,), (1.0,))


@pytest.mark.parametrize("other", ["a", None, object(), {}, {1.0}, b"x"])
def test_operands_that_are_no_numbers(other):
    for t in boxes(A([1.0, 2.0])):
        for op in (operator.add, operator.mul, operator.matmul):
            for a, b in ((t, other), (other, t)):
                with pytest.raises((TypeError, ValueError, NotImplementedError)):
                    op(a, b)


# ---------------------------------------------------------------- at the user's line

def fails(f):
    try:
        f()
    except tn.TinygradError as error:
        return error
    raise AssertionError("nothing was raised")


def test_errors_are_raised_at_the_users_line():
    w = Tensor(np.ones(3))
    here = inspect.currentframe().f_lineno
    cases = [
        lambda: w + np.ones(2),
        lambda: np.asarray(w),
        lambda: np.roots(w),
        lambda: w.backward(),
        lambda: np.add(w, 1.0, out=np.zeros(3)),
        lambda: w.sum(out=np.zeros(())),
    ]
    for k, case in enumerate(cases):
        frames = traceback.extract_tb(fails(case).__traceback__)
        assert (__file__, here + 2 + k) in [(f.filename, f.lineno) for f in frames]


def test_messages_are_sentences_without_internals():
    w = Tensor(np.ones(3))
    for case in (lambda: w + np.ones(2), lambda: np.asarray(w), lambda: float(w),
                 lambda: np.roots(w), lambda: (w * 2).backward(), lambda: np.exp(w, out=w)):
        text = str(fails(case))
        assert "_data" not in text and "<ufunc" not in text and "0x" not in text
        assert 30 < len(text) < 300
