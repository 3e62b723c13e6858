"""Transforms of functions of lists, tuples and dicts of arrays."""

import collections

import numpy as np
import pytest
from derivatives import same

import tinygrad_nn as tn

A = np.array
Pair = collections.namedtuple("Pair", "w b")


def loss_of_tree(p):
    return np.sum(p["layers"][0].w * 2) + np.sum(p["layers"][1].b ** 2) + p["scale"] * 3 \
        + np.sum(p["t"][0] * p["t"][1][0])


def tree():
    return {"layers": [Pair(np.ones(2), 1.0), Pair(A(0.5), A([1.0, 2.0]))],
            "scale": np.float32(2), "t": (A([1.0]), [A([4.0], np.float32)]),
            "none": [], "e": ()}


def test_arguments_may_be_nested_trees():
    g = tn.grad(loss_of_tree)(tree())
    assert list(g) == ["layers", "scale", "t", "none", "e"]
    assert type(g["layers"][0]) is Pair and type(g["t"]) is tuple and type(g["t"][1]) is list
    same(g["layers"][0].w, [2, 2])
    same(g["layers"][0].b, 0)
    same(g["layers"][1].b, [2, 4])
    assert g["scale"] == 3 and g["scale"].dtype == np.float32
    same(g["t"][0], [4])
    assert g["t"][1][0].dtype == np.float32 and g["none"] == [] and g["e"] == ()


def test_trees_in_the_other_transforms():
    p = {"a": A([1.0, 2.0]), "b": (A([3.0, 4.0]), 2.0)}
    f = lambda p: (p["a"] * p["b"][0], {"s": np.sum(p["a"]) * p["b"][1]})
    y, pullback = tn.vjp(f, p)
    assert type(y) is tuple and type(y[1]) is dict
    same(y[0], [3, 8])
    same(y[1]["s"], 6)
    g, = pullback((A([1.0, 10.0]), {"s": 2.0}))
    same(g["a"], [3 + 4, 40 + 4])
    same(g["b"][0], [1, 20])
    same(g["b"][1], 6)
    t = {"a": A([1.0, 0.0]), "b": (A([0.0, 1.0]), 1.0)}
    y2, dy = tn.jvp(f, (p,), (t,))
    same(y2[0], y[0])
    same(dy[0], [3, 2])
    same(dy[1]["s"], 2 + 3)
    jac = tn.jacobian(f)(p)
    same(jac[0]["a"], np.diag([3, 4]))
    same(jac[0]["b"][0], np.diag([1, 2]))
    same(jac[0]["b"][1], [0, 0])
    same(jac[1]["s"]["a"], [2, 2])
    same(jac[1]["s"]["b"][1], 3)
    total = lambda p: np.sum(p["a"] ** 2 * p["b"][0]) * p["b"][1]
    hes = tn.hessian(total)(p)
    same(hes["a"]["a"], np.diag([12, 16]))
    same(hes["a"]["b"][1], [6, 16])
    same(hes["b"][1]["a"], [6, 16])
    same(hes["b"][0]["b"][0], np.zeros((2, 2)))
    h = tn.hvp(total, p, t)
    same(h["a"], [12 + 6, 16 + 8])
    same(h["b"][1], 6 + 4)


def test_dictionaries_are_matched_by_key():
    x = {"a": 1.0, "b": 2.0}
    f = lambda d: d["a"] * 10 + d["b"] * 100
    swapped = {"b": 0.0, "a": 1.0}
    assert tn.jvp(f, (x,), (swapped,))[1] == 10
    assert tn.hvp(lambda d: f(d) ** 2 / 2, x, swapped)["a"] == 100
    _, pullback = tn.vjp(lambda x: {"a": x * 10, "b": x * 100}, 1.0)
    assert pullback(swapped)[0] == 10


@pytest.mark.parametrize("other", [
    {"x": 1.0, "y": 2.0}, {"a": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, [1.0, 2.0], (1.0, 2.0),
    1.0, {"a": [1.0], "b": 2.0},
])
def test_trees_of_another_form_are_refused(other):
    x = {"a": 1.0, "b": 2.0}
    f = lambda d: d["a"] * 10 + d["b"]
    _, pullback = tn.vjp(lambda x: {"a": x, "b": x}, 1.0)
    for run in (lambda: tn.jvp(f, (x,), (other,)), lambda: pullback(other),
                lambda: tn.hvp(f, x, other)):
        with pytest.raises((tn.ShapeError, TypeError)):
            run()


def test_containers_keep_their_kind():
    x = collections.OrderedDict(b=1.0, a=A([2.0, 3.0]))
    g = tn.grad(lambda d: d["b"] * np.sum(d["a"]))(x)
    assert list(g) == ["b", "a"] and g["b"] == 5
    g = tn.grad(lambda p: p.w * p.b)(Pair(2.0, 3.0))
    assert type(g) is Pair and (g.w, g.b) == (3, 2)
    nested = [[1.0, [2.0, (3.0,)]]]
    assert tn.grad(lambda t: t[0][0] * t[0][1][0] * t[0][1][1][0])(nested) == [[6, [3, (2,)]]]


def test_a_function_may_change_the_containers_it_gets():
    def f(p):
        p["w"][0] = p["w"].pop() * p.pop("b")
        return np.sum(p["w"][0])
    tree = {"w": [1.0, 2.0], "b": A([3.0, 4.0])}
    g = tn.grad(f)(tree)
    assert list(g) == ["w", "b"] and g["w"][0] == 0 and g["w"][1] == 7
    np.testing.assert_array_equal(g["b"], [2, 2])
    assert tree["w"] == [1.0, 2.0] and "b" in tree
    y, pullback = tn.vjp(f, tree)
    assert y == 14 and pullback(1.0)[0]["w"][1] == 7


def test_a_tree_used_in_two_arguments():
    p = [1.0, 2.0]
    a, b = tn.grad(lambda p, q: p[0] * q[1], argnums=(0, 1))(p, p)
    assert a == [2, 0] and b == [0, 1]
