"""`remat`: values computed again instead of stored."""

import functools
import threading

import numpy as np
import pytest
from derivatives import ONCE, ORDERS, line, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- the same derivatives

def layers(x):
    for _ in range(3):
        x = np.sin(x) * x + np.where(x > 0, np.log1p(np.abs(x)), x)
    return x


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_remat_in_every_order_and_mode(order):
    again, plain = tn.remat(layers), layers
    for name in order:
        again, plain = ONCE[name](again), ONCE[name](plain)
    same(again(0.7), plain(0.7), rtol=1e-9)


def total(f):
    return lambda x: np.sum(np.sin(f(x)))


REMAT = {   # wrapped in another way, always the same function
    "the whole": lambda x: tn.remat(layers)(x),
    "twice": lambda x: tn.remat(tn.remat(layers))(x),
    "nested": lambda x: tn.remat(
        lambda x: tn.remat(np.sin)(x) * 1.0 + layers(x) - np.sin(x))(x),
    "within": lambda x: tn.remat(lambda y: y * 1.0)(layers(x)),
    "a closure": lambda x: tn.remat(lambda c: layers(x) * c)(1.0),
    "a computed closure": lambda x: (lambda z: tn.remat(lambda c: layers(z) * c)(1.0))(+x),
    "closure and argument": lambda x: tn.remat(lambda z: layers(z) + 0.5 * x - 0.5 * z)(x),
    "one argument twice": lambda x: tn.remat(lambda a, b: 2 * layers(a) - layers(b))(x, x),
    "a chain": lambda x: functools.reduce(lambda v, _: tn.remat(
        lambda x: np.sin(x) * x + np.where(x > 0, np.log1p(np.abs(x)), x))(v), range(3), x),
    "a grad inside": lambda x: tn.remat(tn.grad(lambda v, c: np.sum(v * c)))(np.ones(2),
                                                                             layers(x)),
    "a jvp inside": lambda x: tn.remat(lambda x: tn.jvp(lambda v: v * layers(x), (x,), (
        np.ones(2),))[1])(x),
    "a custom function inside": lambda x: tn.remat(lambda x: tn.custom_vjp(
        layers, lambda g, x: tn.vjp(layers, x)[1](g)[0])(x))(x),
    "within a custom rule": lambda x: tn.custom_vjp(
        layers, lambda g, x: tn.vjp(tn.remat(layers), x)[1](g)[0])(x),
}


@pytest.mark.parametrize("name", REMAT)
def test_remat_in_every_arrangement(name):
    f, x, v = REMAT[name], A([0.7, -0.3]), A([1.0, -2.0])
    same(f(x), layers(x))
    assert not isinstance(f(x), Tensor)
    same(tn.grad(total(f))(x), tn.grad(total(layers))(x))
    for a, b in zip(tn.jvp(f, (x,), (v,)), tn.jvp(layers, (x,), (v,)), strict=True):
        same(a, b)
    same(tn.jacobian(f)(x), tn.jacobian(layers)(x))
    same(tn.hessian(total(f))(x), tn.hessian(total(layers))(x), rtol=1e-10)
    same(tn.hvp(total(f), x, v), tn.hvp(total(layers), x, v), rtol=1e-10)
    same(tn.grad(lambda x: np.sum(tn.grad(total(f))(x) ** 2))(x),
         tn.grad(lambda x: np.sum(tn.grad(total(layers))(x) ** 2))(x), rtol=1e-10)
    pullback = tn.vjp(f, x)[1]
    for g in (v, -v):                               # any number of times
        same(pullback(g)[0], tn.vjp(layers, x)[1](g)[0])
    w = Tensor(x)
    f(w * 1.0).backward(v)
    same(w.grad, tn.vjp(layers, x)[1](v)[0])


def model():
    return tn.nn.Sequential(tn.nn.Linear(3, 5, rng=0), tn.nn.ReLU(), tn.nn.Linear(5, 2, rng=1))


def test_a_module_and_its_parameters():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("f4")
    plain, again = model(), model()
    wrapped = tn.remat(again)
    opts = [tn.optim.SGD(m.parameters(), lr=0.1) for m in (plain, again)]
    for _ in range(3):
        for run, opt in zip((plain, wrapped), opts, strict=True):
            np.sum(run(x) ** 2).backward()
            opt.step()
            opt.zero_grad()
    for a, b in zip(plain.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    layered = model()
    *most, last = [tn.remat(layer) for layer in layered]
    y = x
    for layer in most:
        y = layer(y)
    np.sum(last(y) ** 2).backward()
    np.sum(model_of(plain := model(), x) ** 2).backward()
    for a, b in zip(plain.parameters(), layered.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


def model_of(module, x):
    return module(x)


def test_the_gradient_of_a_closure_and_an_argument_at_different_levels():
    w = Tensor(A([2.0, 3.0]))
    f = tn.remat(lambda x: np.sum(w * x ** 3))
    g = tn.grad(f)(A([1.0, 2.0]))
    assert isinstance(g, Tensor)
    np.sum(g).backward()
    np.testing.assert_array_equal(w.grad, [3, 12])
    w.grad = None
    np.sum(tn.grad(lambda x: tn.remat(lambda: np.sum(w * x ** 3))())(A([1.0, 2.0]))).backward()
    np.testing.assert_array_equal(w.grad, [3, 12])


def test_arguments_that_are_not_arrays():
    f = tn.remat(lambda x, i, how, c=1.0: getattr(np, how)(x[i]) * c)
    x = A([1.0, 2.0])
    for args, want in [((1, "square"), [0, 4]), ((slice(None), "square"), [2, 4]),
                       ((A([0, 0]), "square", 3.0), [12, 0]), (((0,), "negative"), [-1, 0])]:
        got = tn.grad(lambda x, args=args: np.sum(f(x, *args)))(x)
        np.testing.assert_array_equal(got, want)
        w = Tensor(x)
        np.sum(f(w, *args)).backward()
        np.testing.assert_array_equal(w.grad, want)


def test_lists_and_dicts_of_tensors_as_arguments():
    a, b = Tensor(2.0), Tensor(3.0)
    tn.remat(lambda xs: xs[0] * np.square(xs[1]))([a, b * 1.0]).backward()
    assert a.grad == 9 and b.grad == 12
    p = {"a": 2.0, "b": 3.0}
    f = lambda p: p["a"] * np.square(p["b"])
    assert tn.grad(tn.remat(f))(p) == {"a": 9, "b": 12}
    assert tn.jvp(tn.remat(f), (p,), ({"a": 1.0, "b": 0.0},))[1] == 9


def test_keyword_arguments_of_remat():
    f = tn.remat(lambda x, n=2, c=1.0: c * x ** n)
    assert tn.grad(lambda x: f(x, n=3))(2.0) == 12
    assert tn.grad(lambda c: f(2.0, n=3, c=c))(1.0) == 8
    w = Tensor(2.0)
    f(x=w, c=w).backward()
    assert w.grad == 12


def test_functions_whose_result_is_not_computed_from_the_arguments():
    x = A([2.0, 3.0])
    for f, want in [(lambda x: x, x * 2), (lambda x: A([5.0, 5.0]), [5, 5]),
                    (lambda x: x > 2, [0, 1]), (lambda x: tn.stop_gradient(x), x),
                    (lambda x: np.argmax(x), [1, 1]), (lambda x: 1.0, [1, 1])]:
        got = tn.grad(lambda x, f=f: np.sum(tn.remat(f)(x) * x))(x)
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(
        tn.grad(lambda x: np.sum(tn.remat(lambda c: x)(1.0) * x))(x), 2 * x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remat_keeps_shapes_and_dtypes(dtype):
    for shape in ((), (0,), (2, 1)):
        x = np.full(shape, 0.5, dtype)
        f = tn.remat(lambda x, c: np.sin(x) * c)
        y, pullback = tn.vjp(f, x, np.ones((3, 1, 1), dtype))
        gx, gc = pullback(y)
        assert gx.shape == shape and gc.shape == (3, 1, 1) and gx.dtype == gc.dtype == dtype


def test_remat_shows_name_docstring_and_value():
    def block(x):
        """One."""
        return np.sin(x) * 2
    again = tn.remat(block)
    assert again.__name__ == "block" and again.__doc__ == "One."
    assert "made by block" in repr(again(Tensor(1.0)))
    assert again(1.0) == block(1.0) and not isinstance(again(1.0), Tensor)


# ---------------------------------------------------------------- when f runs

@pytest.fixture
def counted():
    calls = []

    def f(x):
        calls.append(type(x))
        return np.sin(x) * x
    return f, calls


def test_the_function_runs_once_forward_and_once_backward(counted):
    f, calls = counted
    again, w = tn.remat(f), Tensor(1.0)
    y = again(w)
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2
    calls.clear()
    again(1.0)
    tn.jvp(again, (1.0,), (1.0,))                       # forward mode stores nothing anyway
    assert len(calls) == 2
    calls.clear()
    pullback = tn.vjp(again, 1.0)[1]
    pullback(1.0), pullback(2.0)
    assert len(calls) == 3


def test_under_no_grad_the_function_runs_once(counted):
    f, calls = counted
    with tn.no_grad():
        y = tn.remat(f)(Tensor(1.0))
    assert not isinstance(y, Tensor) and len(calls) == 1


def test_what_does_not_take_part_is_not_computed_again(counted):
    f, calls = counted
    w = Tensor(1.0)
    unused = tn.remat(f)(w)
    (w * 2).backward()
    assert len(calls) == 1 and w.grad == 2
    del unused


def test_backward_under_no_grad():
    """As without remat: no_grad is about recording, not about the backward pass."""
    w, c = Tensor(2.0), Tensor(3.0)
    y = tn.remat(lambda x: np.sin(x * c))(w)
    with tn.no_grad():
        y.backward()
    same(w.grad, 3 * np.cos(6.0))
    same(c.grad, 2 * np.cos(6.0))


def test_backward_in_another_thread():
    w = Tensor(2.0)
    y = tn.remat(np.sin)(w)
    with tn.no_grad():
        thread = threading.Thread(target=y.backward)
        thread.start()
        thread.join()
    same(w.grad, np.cos(2.0))


def test_a_used_graph_says_so():
    w = Tensor(2.0)
    y = tn.remat(np.sin)(w)
    y.backward()
    with pytest.raises(tn.GraphError, match="used up by an earlier backward"):
        y.backward()
    z = w * 2
    y = tn.remat(lambda x: x * z)(1.0)
    z.backward()
    with pytest.raises(tn.GraphError, match="used up by an earlier backward"):
        y.backward()


def test_an_exception_while_computing_again_touches_no_leaf():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("mine")
        return x * x
    w = Tensor(3.0)
    y = tn.remat(f)(w) + w
    with pytest.raises(KeyError, match="mine"):
        y.backward()
    assert w.grad is None
    with pytest.raises(KeyError):
        tn.remat(lambda x: {}[x])(w)


# ---------------------------------------------------------------- edges

UNSELECTED = {
    "remat of one branch": lambda x: np.where(x > 0, tn.remat(np.sqrt)(x), 0.0),
    "remat of the selection": tn.remat(lambda x: np.where(x > 0, np.sqrt(x), 0.0)),
    "remat between": lambda x: np.where(x > 0, tn.remat(lambda v: 2 * v)(np.sqrt(x)), 0.0),
    "a closure": lambda x: np.where(x > 0, tn.remat(lambda c: c * np.sqrt(x))(1.0), 0.0),
    "an index": lambda x: tn.remat(np.sqrt)(x)[np.asarray([3.0, 0.0]) > 0],
}


@pytest.mark.parametrize("name", UNSELECTED)
def test_structural_zeros_pass_through(name):
    """remat changes when a value is computed, not what its derivative is."""
    f, x = UNSELECTED[name], A([4.0, 0.0])
    slope = 0.5 if name == "remat between" else 0.25
    same(tn.grad(lambda x: np.sum(f(x)))(x), [slope, 0])
    same(tn.jvp(lambda x: np.sum(f(x)), (x,), (np.ones(2),))[1], slope)
    same(tn.hessian(lambda x: np.sum(f(x)))(x), np.diag([-slope / 8, 0]))


def draws():
    rng = np.random.default_rng(0)
    return lambda x: x * rng.normal(size=2)


def closing_over(c):
    return lambda x: np.sin(x) * c


MUTATED = {     # f, its argument, and the array that is changed between forward and backward
    "the leaf": lambda: (np.sin, (w := Tensor([1.0, 2.0]),), w.data),
    "a constant": lambda: (np.multiply, (Tensor([1.0, 2.0]), c := np.ones(2)), c),
    "a leaf in the closure": lambda: (closing_over(w := Tensor([1.0, 2.0])),
                                      (Tensor([1.0, 2.0]),), w.data),
    "a constant in the closure": lambda: (closing_over(c := A([1.0, 2.0])),
                                          (Tensor([1.0, 2.0]),), c),
    "a view of a leaf in the closure": lambda: (
        closing_over((w := Tensor([1.0, 2.0]))[:]), (Tensor([1.0, 2.0]),), w.data),
    "a term in the closure": lambda: (
        (lambda c: lambda x: np.sin(x + c))(c := A([1.0, 2.0])), (Tensor([1.0, 2.0]),), c),
    "the base of an argument": lambda: (
        np.sin, ((w := Tensor([1.0, 2.0]))[::-1],), w.data),
}


@pytest.mark.parametrize("name", MUTATED)
def test_a_change_between_forward_and_backward_is_noticed(name):
    f, args, array = MUTATED[name]()
    y = np.sum(tn.remat(f)(*args))
    array[:] = 9
    with pytest.raises(tn.MutationError, match="chang"):
        y.backward()


def wave(x):
    return x * np.sin(x)


def test_the_message_names_the_function_and_the_line():
    w = Tensor([1.0, 2.0])
    y = tn.remat(wave)(w)
    here = line(-1)
    w.data[:] = 9
    with pytest.raises(tn.MutationError, match=rf"wave needs .*test_remat.py, line {here}"):
        y.sum().backward()


def test_the_message_on_other_values_names_the_function_and_the_line_too():
    c = A([1.0, 2.0])
    y = tn.remat(closing_over(c))(Tensor([1.0, 2.0]))
    here = line(-1)
    c[:] = 9
    with pytest.raises(tn.MutationError, match=rf"lambda.*test_remat.py, line {here}"):
        y.sum().backward()


def test_other_values_the_second_time_are_noticed():
    """Random draws and state of Python: wrong gradients, were they taken as they are."""
    y = np.sum(tn.remat(draws())(Tensor([1.0, 2.0])))
    with pytest.raises(tn.GraphError, match="remat"):
        y.backward()
    state = [2.0]
    y = tn.remat(lambda x: x * state[0])(Tensor(1.0))
    state[0] = 3.0
    with pytest.raises(tn.GraphError, match="remat"):
        y.backward()


def test_what_was_not_changed_is_not_refused():
    c, w = A([1.0, 2.0]), Tensor([1.0, 2.0])
    x = w * 1.0
    y = np.sum(tn.remat(lambda x: np.sin(x) * c)(x))
    w.data[:] = 9                                   # not read: x is a value of its own
    y.backward()
    same(w.grad, np.cos([1.0, 2.0]) * c)
