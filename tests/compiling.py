"""How tests compare compiled functions with the functions themselves: bit for bit."""

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn


def bits(tree):
    """The content of nested lists, tuples and dicts of arrays and Tensors, to be compared."""
    if isinstance(tree, dict):
        return {k: bits(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [bits(v) for v in tree]
    if isinstance(tree, Tensor):
        return "tensor", bits(tree.data)
    if isinstance(tree, nn.Module):
        return bits(tree.state_dict())
    if isinstance(tree, (np.ndarray, np.generic)):
        nans = np.isnan(tree) if tree.dtype.kind == "f" else False
        return tree.dtype, tree.shape, np.where(nans, 0, tree).tolist(), np.sum(nans)
    return tree


def same(a, b):
    assert bits(a) == bits(b)


def agree(f, *calls):
    """``f`` and its compiled form on each of these arguments, three times over."""
    compiled = tn.compile(f)
    for args in [a for a in calls for _ in range(4)]:
        with np.errstate(all="ignore"):
            same(compiled(*args), f(*args))
    return compiled


def training(model, opt):
    """A step of training as anybody writes it, to be compiled."""
    def step(x, t):
        loss = nn.cross_entropy(model(x), t)
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss
    return step


def network(dtype):
    return nn.Sequential(
        nn.Linear(5, 8, rng=0, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.ReLU(),
        nn.Dropout(0.3, rng=1), nn.Linear(8, 6, rng=2, dtype=dtype),
        nn.LayerNorm(6, dtype=dtype), nn.GELU(), nn.Linear(6, 3, rng=3, dtype=dtype))


def image_network(dtype):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, rng=0, dtype=dtype), nn.BatchNorm2d(4, dtype=dtype),
        nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2, rng=1, dtype=dtype), nn.SiLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.5, rng=2),
        nn.Linear(3, 3, rng=3, dtype=dtype))


def everything(model, opt):
    """All state of a training run."""
    draws = [m.rng.bit_generator.state for m in model.modules() if hasattr(m, "rng")]
    grads = [p.grad for p in model.parameters()]
    return bits([model.state_dict(), opt.state_dict(), grads]), draws
