"""Clipping of gradients."""

import copy
import math

import numpy as np
import pytest
from optimisers import SHAPES

import tinygrad_nn as tn
from tinygrad_nn import Tensor, optim

A = np.array


def with_gradients(*gradients):
    parameters = [Tensor(np.zeros_like(g)) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g
    return [*parameters, Tensor([5.0])]                     # and one without


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 3.0, 1e3, math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_grad_norm(max_norm, dtype):
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=s).astype(dtype) for s in SHAPES]
    copies = copy.deepcopy(gradients)
    parameters = with_gradients(*gradients)
    norm = optim.clip_grad_norm(iter(parameters), max_norm)
    want = math.sqrt(math.fsum(float(v) ** 2 for g in gradients for v in g.ravel()))
    assert isinstance(norm, float) and norm == pytest.approx(want, rel=1e-12)
    factor = min(1.0, max_norm / (want + 1e-6))
    for p, g, same in zip(parameters, gradients, copies, strict=False):
        assert p.grad.dtype == dtype and p.grad.shape == g.shape
        np.testing.assert_allclose(p.grad, g * factor, rtol=1e-12 if dtype == "f8" else 1e-6)
        np.testing.assert_array_equal(g, same)
    assert parameters[-1].grad is None


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e3])
def test_clipping_in_pytorch(max_norm):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=s) for s in SHAPES]
    theirs = [torch.zeros(s, dtype=torch.float64) for s in SHAPES]
    for by_norm in (True, False):
        for t, g in zip(theirs, gradients, strict=True):
            t.grad = torch.tensor(g)
        ours = with_gradients(*gradients)
        if by_norm:
            norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm).item()
            assert optim.clip_grad_norm(ours, max_norm) == pytest.approx(norm, rel=1e-12)
        else:
            torch.nn.utils.clip_grad_value_(theirs, max_norm)
            optim.clip_grad_value(ours, max_norm)
        for p, t in zip(ours, theirs, strict=False):
            np.testing.assert_allclose(p.grad, t.grad.numpy(), rtol=1e-12)


def test_the_norm_of_float32_gradients_does_not_overflow():
    parameters = with_gradients(np.full(4, 3e38, np.float32), A([4e38 / 4], np.float32))
    assert optim.clip_grad_norm(parameters, 1.0) == pytest.approx(math.hypot(6e38, 1e38))
    assert np.linalg.norm([p.grad[0] for p in parameters[:2]]) == pytest.approx(
        math.hypot(3e38, 1e38) / math.hypot(6e38, 1e38))
    tiny = with_gradients(np.full(4, 1e-30, np.float32))
    assert optim.clip_grad_norm(tiny, 1.0) == pytest.approx(2e-30)


def test_norms_of_large_empty_and_oddly_laid_out_gradients():
    g = np.random.default_rng(0).normal(size=(300, 500))
    for a in (g, g.T, g[::-1, ::2], np.asfortranarray(g), np.zeros((0, 3))):
        p = Tensor(np.zeros(a.shape))
        p.grad = a
        assert optim.clip_grad_norm([p], math.inf) == pytest.approx(
            math.sqrt(np.sum(a * a)), rel=1e-12)


def test_clip_grad_value():
    g = A([[-3.0, 0.2], [0.7, 5.0]], np.float32)
    parameters = with_gradients(g)
    assert optim.clip_grad_value(parameters, 0.5) is None
    assert parameters[0].grad.dtype == np.float32
    np.testing.assert_array_equal(parameters[0].grad, A([[-0.5, 0.2], [0.5, 0.5]], np.float32))
    assert g[0, 0] == -3


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_clipping_refuses(clip):
    w = Tensor([1.0])
    with pytest.raises(tn.GraphError, match=r"\(\) before backward\(\)"):
        clip([w], 1.0)
    w.grad = A([1.0])
    for limit in (-1.0, math.nan):
        with pytest.raises(ValueError, match=r"clip_grad_(norm|value): (max_norm|clip_value)"):
            clip([w], limit)
    for parameters in ([], [np.ones(2)], w, [w, w]):
        with pytest.raises((ValueError, TypeError), match=clip.__name__):
            clip(parameters, 1.0)
