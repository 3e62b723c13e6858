"""What is refused, each with the sentence that says why and what to write instead."""

import inspect
import math
import operator
import re
import traceback

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


def boxes(x):
    """A leaf, a recorded Tensor, and the variables of reverse and of forward mode."""
    leaf = Tensor(x)
    yield leaf
    yield leaf * 1.0
    kept = []
    tn.grad(lambda v: kept.append(v) or np.sum(v))(x)
    tn.jvp(lambda v: kept.append(v) or v, (x,), (x,))
    yield from kept


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


# ---------------------------------------------------------------- NumPy asks for a plain array

REMEDY = r"np\.stack\(\[\.\.\.\]\).*\.data"
CONVERSIONS = {
    "np.asarray": np.asarray, "np.array": np.array,
    "np.array of a list": lambda t: np.array([t, t]),
    "np.asarray of a tuple": lambda t: np.asarray((t, t)),
    "nested list": lambda t: np.array([[t, 1.0], [2.0, t]]),
    "np.array with dtype": lambda t: np.array(t, np.float32), "np.r_": lambda t: np.r_[t, 1.0],
    "np.c_": lambda t: np.c_[t, t], "np.full": lambda t: np.full(3, t),
    "np.ascontiguousarray": np.ascontiguousarray, "np.asanyarray": np.asanyarray,
    "np.sum of a list": lambda t: np.sum([t, t]), "np.exp of a list": lambda t: np.exp([t, t]),
    "np.mean of a list": lambda t: np.mean([t, 1.0]), "np.arange": np.arange,
    "np.vectorize": lambda t: np.vectorize(abs)(t),
    "np.testing": lambda t: np.testing.assert_allclose(np.ones(2), t),
    "c[:] = t": lambda t: np.zeros(2).__setitem__(slice(None), t),
    "c[mask] = t": lambda t: np.zeros(2).__setitem__(A([True, True]), t),
    "c.dot(t)": lambda t: np.ones(2).dot(t), "c[t]": lambda t: np.ones(3)[t],
    "Generator.normal": lambda t: np.random.default_rng(0).normal(t),
}


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("x", [A([1.0, 2.0]), A(1.0)], ids=["1-d", "0-d"])
def test_no_silent_conversion_to_an_array(name, x):
    for t in boxes(x):
        with pytest.raises(tn.DetachError, match=REMEDY):
            CONVERSIONS[name](t)


ITEM_ASSIGNMENTS = {
    "c[0] = t": lambda t: np.zeros(2).__setitem__(0, t),
    "c[0, 0] = t": lambda t: np.zeros((2, 2)).__setitem__((0, 0), t),
    "c.flat[0] = t": lambda t: np.zeros(2).flat.__setitem__(0, t),
    "c.fill(t)": lambda t: np.zeros(2).fill(t),
    "np.fromiter": lambda t: np.fromiter([t], float),
    "0-d": lambda t: np.zeros(()).__setitem__((), t),
}


@pytest.mark.parametrize("name", ITEM_ASSIGNMENTS)
@pytest.mark.parametrize("x", [A(1.0), A([1.0]), A([1.0, 2.0])], ids=str)
def test_no_silent_assignment_of_an_element(name, x):
    for t in boxes(x):
        with pytest.raises((TypeError, ValueError)) as error:
            ITEM_ASSIGNMENTS[name](t)
        if name == "c[0] = t":                      # NumPy puts its own error on top of ours
            causes = (error.value, error.value.__cause__)
            assert any(isinstance(e, tn.DetachError) for e in causes)


NUMBERS = {
    "float": float, "int": int, "complex": complex, "math.exp": math.exp, "range": range,
    "list index": lambda t: [1, 2][t], "operator.index": operator.index, "hex": hex,
    "math.sqrt": math.sqrt, "repetition": lambda t: [0] * t if t.size > 1 else [0][:t],
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_no_silent_conversion_to_a_number(name, shape):
    for t in boxes(np.ones(shape)):
        with pytest.raises(tn.DetachError, match=r"number.*\.item\(\)"):
            NUMBERS[name](t)


def test_what_gives_the_number():
    for t in boxes(A(2.5)):
        assert t.item() == 2.5 and type(t.item()) is float
        assert f"{t:.2f}" == "2.50" and bool(t) and "2.5" in str(t)


def test_indexing_with_a_tensor():
    i = Tensor(1.0)
    for t in boxes(A([1.0, 2.0])):
        for index in (i, (i,), [i], (0, i), slice(i, None), (..., i), t):
            with pytest.raises((tn.DetachError, TypeError)):
                t[index]
    with pytest.raises(tn.DetachError, match=r"index.*\.data"):
        _ = Tensor([1.0])[i]


# ---------------------------------------------------------------- writing in place

def test_item_assignment_to_a_tensor():
    for t in boxes(A([1.0, 2.0])):
        for index in (0, slice(None), A([True, False]), (..., 0)):
            with pytest.raises(tn.DetachError, match=r"np\.where.*\.data\["):
                t[index] = 3.0
        with pytest.raises(tn.DetachError):
            t[0] += 1
        with pytest.raises((TypeError, AttributeError)):
            del t[0]


AUGMENTED = {"+": "t += 1.0", "-": "t -= 1.0", "*": "t *= 2.0", "/": "t /= 2.0",
             "**": "t **= 2.0", "//": "t //= 2.0", "%": "t %= 2.0", "@": "t @= m"}


@pytest.mark.parametrize("sign", AUGMENTED)
def test_augmented_assignment_to_a_leaf(sign):
    t = Tensor(A([3.0, 4.0]))
    sign_ = re.escape(sign)
    with pytest.raises(tn.DetachError, match=rf"{sign_}=.*leaf.*\.data {sign_}="):
        exec(AUGMENTED[sign], {}, {"t": t, "m": np.eye(2)})
    np.testing.assert_array_equal(t.data, [3, 4])


@pytest.mark.parametrize("sign", AUGMENTED)
def test_augmented_assignment_rebinds_computed_tensors(sign):
    w = Tensor(A([3.0, 4.0]))
    start = w * 1.0
    names = {"t": start, "m": np.eye(2)}
    exec(AUGMENTED[sign], {}, names)
    np.testing.assert_array_equal(start.data, [3, 4])
    if sign != "//":
        assert isinstance(names["t"], Tensor) and names["t"] is not start
        names["t"].sum().backward()
        assert w.grad is not None

    def f(x):
        names = {"t": x, "m": np.eye(2)}
        exec(AUGMENTED[sign], {}, names)
        return np.sum(names["t"])
    x = A([3.0, 4.0])
    np.testing.assert_allclose(tn.grad(f)(x), np.zeros(2) if sign == "//" else w.grad)
    np.testing.assert_array_equal(x, [3, 4])
    tn.jvp(f, (x,), (x,))
    np.testing.assert_array_equal(x, [3, 4])


@pytest.mark.parametrize("sign", [s for s in AUGMENTED if s != "@"])
def test_augmented_assignment_of_a_tensor_to_an_array(sign):
    for t in boxes(A([3.0, 4.0])):
        c = A([1.0, 2.0])
        with pytest.raises(tn.DetachError, match=r"a = a \+ t"):
            exec(f"c {sign}= t", {}, {"c": c, "t": t})
        np.testing.assert_array_equal(c, [1, 2])


def test_rebinding_a_loss_is_right():
    w = Tensor(A([1.0, 2.0]))
    loss = (w * w).sum()
    loss += (w * 3).sum()
    loss /= 2
    loss.backward()
    np.testing.assert_array_equal(w.grad, [2.5, 3.5])
    total = 0.0
    for x in w:
        total += x * x
    total.backward()


OUT = {
    "np.add": lambda t, o: np.add(t, 1.0, out=o), "np.exp": lambda t, o: np.exp(t, out=o),
    "np.sum": lambda t, o: np.sum(t, axis=0, keepdims=True, out=o),
    "np.matmul": lambda t, o: np.matmul(np.eye(2), t, out=o),
    "np.clip": lambda t, o: np.clip(t, 0, 1, out=o),
    "np.concatenate": lambda t, o: np.concatenate([t[:1], t[1:]], out=o),
    "np.stack": lambda t, o: np.stack([t[0], t[1]], out=o),
    "np.cumsum": lambda t, o: np.cumsum(t, out=o),
    "np.max": lambda t, o: np.max(t, keepdims=True, out=o),
    "np.einsum": lambda t, o: np.einsum("i->i", t, out=o),
    "np.dot": lambda t, o: np.dot(np.eye(2), t, out=o),
    "np.take": lambda t, o: np.take(t, [0, 1], out=o),
    "np.mean": lambda t, o: np.mean(t, axis=0, out=o), "t.sum": lambda t, o: t.sum(out=o),
    "np.floor": lambda t, o: np.floor(t, out=o), "np.var": lambda t, o: np.var(t, out=o),
    "np.greater": lambda t, o: np.greater(t, 0, out=o), "positional": lambda t, o: np.exp(t, o),
    "np.round": lambda t, o: np.round(t, out=o), "np.outer": lambda t, o: np.outer(t, t, out=o),
    "np.add.reduce": lambda t, o: np.add.reduce(t, out=o),
    "np.add.accumulate": lambda t, o: np.add.accumulate(t, out=o),
}


@pytest.mark.parametrize("name", OUT)
def test_out_is_refused_with_the_rewrite(name):
    for t in boxes(A([1.0, 2.0])):
        o = np.zeros(2)
        with pytest.raises(tn.DetachError, match=r"out=.*y = np\."):
            OUT[name](t, o)
        np.testing.assert_array_equal(o, 0)


@pytest.mark.parametrize("run", [
    lambda t: np.add(np.ones(2), 1.0, out=t), lambda t: np.sum(np.ones((2, 2)), axis=0, out=t),
    lambda t: np.exp(np.ones(2), t), lambda t: np.add(np.ones(2), 1.0, out=(t,)),
    lambda t: np.concatenate([np.ones(1), np.ones(1)], out=t),
])
def test_a_tensor_as_out_is_refused(run):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises(tn.DetachError, match="out="):
            run(t)


@pytest.mark.parametrize("run", [
    lambda t: np.add.at(np.zeros(2), [0], t), lambda t: np.copyto(np.zeros(2), t),
    lambda t: np.put(np.zeros(2), [0, 1], t), lambda t: np.full_like(np.zeros(2), t),
    lambda t: np.place(np.zeros(2), A([True, True]), t),
    lambda t: np.putmask(np.zeros(2), A([True, True]), t),
    lambda t: np.fill_diagonal(np.zeros((2, 2)), t), lambda t: np.full(2, t, like=t),
    lambda t: np.put_along_axis(np.zeros(2), A([0, 1]), t, 0),
])
def test_functions_that_write_in_place(run):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises((tn.NoRuleError, tn.DetachError)):
            run(t)


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
