"""How structural zeros travel: through linear operations, in random programs, to where
contributions meet, and at what cost."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn

A = np.array


# ---------------------------------------------------------------- linear operations in between

BETWEEN = {
    "reshape": lambda y: np.reshape(y, (3, 1)), "transpose": lambda y: np.stack([y, y]).T,
    "swapaxes": lambda y: np.swapaxes(y[None, :, None], 0, 1), "sum": np.sum,
    "sum axis": lambda y: np.sum(np.stack([y, y[::-1], y]), axis=0),
    "sum keepdims": lambda y: np.sum(y[:, None], axis=1, keepdims=True), "mean": np.mean,
    "mean axis": lambda y: np.mean(np.stack([y, 2 * y]), axis=0),
    "broadcast_to": lambda y: np.broadcast_to(y, (2, 3)),
    "broadcast by *": lambda y: y * np.ones((2, 1)),
    "broadcast by +": lambda y: y + np.zeros((2, 1)),
    "row and column": lambda y: y[:, None] + y[None, :],
    "concatenate": lambda y: np.concatenate([y, 2 * y, [7.0]]),
    "concatenate of parts": lambda y: np.concatenate([y[2:], y[:2]]),
    "stack": lambda y: np.stack([y, y[::-1]], axis=1),
    "block": lambda y: np.block([[y, y], [y, y]]),
    "hstack": lambda y: np.hstack([y, y]), "flip": np.flip, "roll": lambda y: np.roll(y, 1),
    "tile": lambda y: np.tile(y, (2, 2)), "repeat": lambda y: np.repeat(y, 2),
    "pad": lambda y: np.pad(y, 1), "pad edge": lambda y: np.pad(y, 1, mode="edge"),
    "cumsum": np.cumsum, "moveaxis": lambda y: np.moveaxis(y[None], 0, -1),
    "squeeze": lambda y: np.squeeze(y[None]), "expand_dims": lambda y: np.expand_dims(y, 1),
    "slices": lambda y: y[1:] + y[:-1], "astype": lambda y: y.astype(np.float64),
    "copy": np.copy, "scaled": lambda y: -3 * y / 2 + 1,
    "trace": lambda y: np.trace(y[:, None] + y),
    "several": lambda y: np.sum(np.tile(np.flip(np.reshape(y, (1, 3)) * 2, 1), (2, 1)), axis=0),
}
INNER = {"sqrt": np.sqrt, "log": np.log, "power": lambda x: x ** 1.5}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("inner", INNER)
def test_zeros_pass_through_linear_operations(name, inner):
    between, inner = BETWEEN[name], INNER[inner]
    x = A([0.0, 1.0, 4.0])
    touched = between(A([1.0, 0, 0])) != between(A([0.0, 0, 0]))     # made with x[0]

    def f(x):
        return np.sum(np.where(touched, 0.5, between(inner(x)))) + np.sum(x)

    def g(x):
        return np.sum(tn.grad(f)(x) * A([1.0, 2.0, 3.0]))

    def numeric(f, at_zero):
        steps = np.eye(3)[1:] * 1e-6
        return [at_zero] + [(f(x + d) - f(x - d)) / 2e-6 for d in steps]

    def same(got, want):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-8)
    with np.errstate(all="ignore"):
        want, want2 = numeric(f, 1.0), numeric(g, 0.0)
        same(tn.grad(f)(x), want)
        same(tn.grad(g)(x), want2)
        same([tn.jvp(f, (x,), (unit,))[1] for unit in np.eye(3)], want)
        same([tn.jvp(g, (x,), (unit,))[1] for unit in np.eye(3)], want2)
        same(tn.hvp(f, x, A([1.0, 2.0, 3.0])), want2)


def test_a_broadcast_condition():
    x = A([0.0, 1.0, 4.0])

    def f(x):
        return np.sum(np.where(np.ones((2, 3)) * x > 0, np.log(x) * np.ones((2, 1)), 0.0))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(tn.grad(f)(x), [0, 2, 0.5])
        np.testing.assert_allclose(tn.hessian(f)(x), np.diag([0, -2, -1 / 8]))


def test_selections_of_whole_rows_and_of_reductions():
    x = A([0.0, 1.0, 4.0])
    cases = [
        (lambda x: np.sum(np.log(x)[x > 0]), [0, 1, 0.25]),
        (lambda x: np.sum(np.log(x)[1:]), [0, 1, 0.25]),
        (lambda x: np.sum(np.log(x)[[2, 1, 1]]), [0, 2, 0.25]),
        (lambda x: np.sum(np.log(x)[A([False, True, True])] * 2), [0, 2, 0.5]),
        (lambda x: np.sum((np.log(x)[:, None] + x)[1:, 1]), [0, 3, 0.25]),
        (lambda x: np.max(np.log(x)), [0, 0, 0.25]),
        (lambda x: np.min(1 / x), [0, 0, -1 / 16]),
        (lambda x: np.sum(np.maximum(np.log(x), -1.0)), [0, 1, 0.25]),
        (lambda x: np.sum(np.clip(np.sqrt(x), 0.5, 1.5)), [0, 0.5, 0]),
        (lambda x: np.where(False, np.sum(np.log(x)), np.sum(x)), [1, 1, 1]),
        (lambda x: np.sum(np.where(x > 0, np.log(x) - np.max(np.log(x)), 0.0)), [0, 1, -0.25]),
        (lambda x: np.sum(np.sort(np.log(x))[1:]), [0, 1, 0.25]),
        (lambda x: np.sum(np.take_along_axis(np.log(x), A([2, 1]), axis=0)), [0, 1, 0.25]),
    ]
    for f, want in cases:
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(tn.grad(f)(x), want)
            got = [tn.jvp(f, (x,), (unit,))[1] for unit in np.eye(3)]
            np.testing.assert_allclose(got, want)
            assert np.isfinite(tn.hessian(f)(x)).all()


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=6),
       st.sampled_from([np.log, np.sqrt, lambda x: 1 / x, lambda x: x ** 1.5, np.cbrt, np.log2,
                        lambda x: x * np.log(x), lambda x: np.sin(x) / x, np.log10,
                        lambda x: np.exp(1 / x), lambda x: x ** -0.5,
                        lambda x: 0.3 ** (1 / x)]))
@settings(max_examples=25, deadline=None)
def test_where_is_the_derivative_of_the_selected_elements_alone(values, inner):
    x = A(values)
    m = x > 0

    def selected(x):
        return np.sum(inner(x) * inner(x))
    with np.errstate(all="ignore"):
        want, want2 = np.zeros(x.shape), np.zeros(x.shape)
        want[m] = tn.grad(selected)(x[m])
        want2[m] = tn.hvp(selected, x[m], np.ones(m.sum()))
        for f in (lambda x: np.sum(np.where(x > 0, inner(x) * inner(x), 1.0)),
                  lambda x: np.sum((inner(x) * inner(x))[x > 0]),
                  lambda x: np.sum(np.where(x > 0, inner(x), 0.0)
                                   * np.where(x > 0, inner(x), 9.0))):
            np.testing.assert_allclose(tn.grad(f)(x), want, rtol=1e-12)
            np.testing.assert_allclose(tn.hvp(f, x, np.ones_like(x)), want2, rtol=1e-12)
            again = tn.grad(lambda x, f=f: np.sum(tn.grad(f)(x)))(x)
            np.testing.assert_allclose(again, want2, rtol=1e-12)


# ---------------------------------------------------------------- random programs
# The oracle is the work-around that other engines ask for: give the dangerous function a safe
# argument where it is not selected. Same selections, same values, no division by zero.

DANGEROUS = [np.log, np.sqrt, lambda x: 1 / x, lambda x: x ** 1.5, lambda x: x * np.log(x),
             lambda x: np.sin(x) / x, lambda x: np.exp(-1 / x), lambda x: np.cbrt(x) * x,
             lambda x: np.log(x) ** 2, lambda x: np.tanh(np.log(x)) / x,
             lambda x: x / np.abs(x),
             lambda x: np.sqrt(np.sqrt(x)), lambda x: np.abs(x * np.log(x)),
             lambda x: np.hypot(x, 0.0) / x]
MOVES = [lambda y: y, lambda y: y[::-1][::-1], lambda y: y.reshape(-1, 1).T.reshape(-1),
         lambda y: np.stack([y, y])[0], lambda y: np.concatenate([y, y])[:len(y)],
         lambda y: np.broadcast_to(y, (2, len(y)))[1], lambda y: 1 - y * 2, np.tanh, np.abs,
         lambda y: np.pad(y, 1)[1:-1], lambda y: np.roll(np.roll(y, 1), -1),
         lambda y: np.tile(y, 2)[:len(y)], lambda y: y.astype(np.float64),
         lambda y: np.split(np.concatenate([y, y]), 2)[1], lambda y: np.take(y, range(len(y))),
         lambda y: np.sum(np.stack([y, 0.5 * y]), axis=0), lambda y: np.repeat(y, 2)[::2],
         lambda y: np.mean(np.stack([y, y]), axis=0), lambda y: np.clip(y, -2.0, 2.0),
         lambda y: np.diagonal(y[:, None] + np.zeros(len(y))), lambda y: np.maximum(y, -3.0),
         lambda y: np.cumsum(np.stack([y, y]), axis=0)[0]]
SMOOTH = [np.sin, lambda x: x * x, np.exp, tn.sigmoid, lambda x: x + 1.0, tn.softplus]


def random_program(seed, live, safe):
    def f(x):
        draw = random.Random(seed)
        values = [x * 0.5]
        for _ in range(draw.randint(1, 3)):
            y = draw.choice(DANGEROUS)(np.where(live, x, 0.7) if safe else x)
            for _ in range(draw.randint(0, 3)):
                y = draw.choice(MOVES)(y)
            if draw.random() < 0.3:
                y = y * draw.choice(SMOOTH)(x)
            other = draw.choice([0.0, draw.choice(SMOOTH)(x), draw.choice(values)])
            y = draw.choice([
                lambda y, o: np.where(live, y, o), lambda y, o: np.where(~live, o, tn.relu(y)),
                lambda y, o: np.where(live, y, o) + np.where(live, 2 * y[::-1][::-1], 0.3),
            ])(y, other)
            if draw.random() < 0.4:
                y = draw.choice(SMOOTH)(draw.choice(MOVES)(y)) * draw.choice(values)
            values.append(y)
        return sum(values[1:], values[0])
    return f


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_against_their_safe_form(seed):
    rng = np.random.default_rng(seed)
    x = rng.choice([0.0, 0.5, 1.3, 2.0], size=rng.integers(2, 5))
    w, v = rng.normal(size=(2, len(x)))

    def derivatives(safe):
        f = random_program(seed, x != 0, safe)
        total = lambda x: np.sum(f(x) * w)
        leaf = tn.Tensor(x)
        total(leaf).backward()
        directional = lambda g: lambda x: tn.jvp(g, (x,), (v,))[1]
        return {"backward": leaf.grad, "grad": tn.grad(total)(x), "jvp": directional(total)(x),
                "jacobian": tn.jacobian(f)(x), "hvp": tn.hvp(total, x, v),
                "reverse twice": tn.grad(lambda x: np.sum(tn.grad(total)(x) * v))(x),
                "reverse of forward": tn.grad(directional(total))(x),
                "forward twice": directional(directional(total))(x),
                "third": tn.grad(directional(directional(total)))(x)}
    with np.errstate(all="ignore"):
        want, got = derivatives(True), derivatives(False)
    for name, a in want.items():
        scale = np.max(np.abs(a))
        np.testing.assert_allclose(got[name], a, rtol=1e-7, atol=1e-9 * scale, err_msg=name)


# ---------------------------------------------------------------- where contributions meet

def test_a_live_contribution_wins():
    for f in (lambda y, x: np.where(x > 0, y, 0.0) + y,
              lambda y, x: y + np.where(x > 0, y, 0.0),
              lambda y, x: np.where(x > 0, y, 0.0) + np.where(x > 1, y, 0.0) + y,
              lambda y, x: y * 2 + np.maximum(y, 5.0) + y[::-1][::-1],
              lambda y, x: np.where(x > 0, y, 0.0) + np.where(x == 0, y, 0.0),
              lambda y, x: np.where(x > 0, y, 0.0) + np.where(x > 0, 0.0, y),
              lambda y, x: y[1:].sum() + y[:1].sum() + np.zeros(2),
              lambda y, x: (np.where(x > 0, y, 0.0)
                            + np.where(x > 0, 1.0, y.reshape(2, 1)[:, 0]))):
        g = tn.grad(lambda x, f=f: np.sum(f(np.sqrt(x), x)))(A([0.0, 1.0]))
        assert g[0] == np.inf and np.isfinite(g[1])
        w = tn.Tensor([0.0, 1.0])
        f(np.sqrt(w), w).sum().backward()
        np.testing.assert_array_equal(w.grad, g)


def test_masks_of_several_branches_join():
    x = A([0.0, 0.0, 1.0, 4.0])
    a, b = A([0, 0, 1, 0]) > 0, A([0, 0, 1, 1]) > 0

    def f(x):
        y = np.log(x)
        z = y * 2
        return (np.sum(np.where(a, y, 0.0)) + np.sum(z[3:])
                + np.sum(np.where(b, z, y * 3).reshape(2, 2)[1]))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(tn.grad(f)(x), [0, 0, 3, 1])
        np.testing.assert_allclose(tn.hessian(f)(x), np.diag([0, 0, -3, -0.25]))


def test_a_leaf_and_a_computed_tensor_in_one_selection():
    c = A([True, False, True])
    w = tn.Tensor(np.ones(3))
    (np.where(c, w, w * 2) + np.where(c, w * 3, w) + np.maximum(w, w * 5)).sum().backward()
    np.testing.assert_array_equal(w.grad, [9, 8, 9])


# ---------------------------------------------------------------- cost

def test_masks_of_a_residual_network_take_linear_time():
    def f(x, n):
        for _ in range(n):
            x = x + np.sin(x) * 0.1
        return np.where(x > 0, x, np.log(-x))
    with np.errstate(all="ignore"):
        start = time.perf_counter()
        got = tn.grad(tn.grad(lambda x: f(x, 8)))(0.3)
        short = time.perf_counter() - start
        np.testing.assert_allclose(got, tn.jvp(tn.grad(lambda x: f(x, 8)), (0.3,), (1.0,))[1])
        start = time.perf_counter()
        tn.grad(tn.grad(lambda x: f(x, 16)))(0.3)
    assert time.perf_counter() - start < 8 * short + 0.2          # exponential: 256 times


def test_masks_of_a_deep_chain_do_not_recurse():
    x = w = tn.Tensor([0.0, 1.0])
    with np.errstate(all="ignore"):
        x = np.log(x)
        for _ in range(5000):
            x = x * 1.0001
        np.where([False, True], x, 0.0).sum().backward()
    np.testing.assert_allclose(w.grad, [0, 1.0001 ** 5000])

    def f(x):
        for _ in range(1500):
            x = x + np.sin(x) * 1e-4
        return np.maximum(x, -7.0)
    assert np.isfinite(tn.grad(tn.grad(f))(0.5))


def test_a_deep_chain_of_selections():
    w = x = tn.Tensor([0.5, 2.0])
    for _ in range(6000):
        x = np.maximum(x, 1.0) * 1.0
    x.sum().backward()
    np.testing.assert_array_equal(w.grad, [0, 1])
    del x
