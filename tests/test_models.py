"""The cat classifier: its shape, its start, and its gradients against those written by hand;
the shapes of the convolutional networks."""

import itertools

import numpy as np
import pytest
from derivatives import same

import tinygrad_nn as tn
from tinygrad_nn import nn, optim
from tinygrad_nn.models import CatClassifier, conv_net, keras_net


def test_the_cat_classifier_is_the_tutorials_network():
    model = CatClassifier((12, 5, 4, 1), rng=0)
    kinds = [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear, nn.Sigmoid]
    assert [type(m) for m in model.layers] == kinds
    assert [p.shape for p in model.parameters()] == [(5, 12), (5,), (4, 5), (4,), (1, 4), (1,)]
    assert next(n for n, _ in model.named_parameters()) == "layers.0.weight"
    assert all(p.dtype == np.float32 for p in model.parameters())
    p = model(np.random.default_rng(0).uniform(size=(7, 12)).astype(np.float32))
    assert p.shape == (7, 1) and ((p.data > 0) & (p.data < 1)).all()
    assert CatClassifier(rng=0).layers[0].weight.shape == (20, 12288)


def test_its_weights_are_the_tutorials():
    draw = np.random.RandomState(1).randn
    layers = (12, 5, 4, 1)
    model = CatClassifier(layers, randn=np.random.RandomState(1).randn, dtype=np.float64)
    for k, (n_in, n_out) in enumerate(itertools.pairwise(layers)):
        linear = model.layers[2 * k]
        np.testing.assert_array_equal(linear.weight.data, draw(n_out, n_in) / np.sqrt(n_in))
        np.testing.assert_array_equal(linear.bias.data, np.zeros(n_out))
    model = CatClassifier((12, 5, 1), init_scale=0.01, randn=np.random.RandomState(1).randn,
                          dtype=np.float64)
    first = np.random.RandomState(1).randn(5, 12)
    np.testing.assert_allclose(model.layers[0].weight.data, first * 0.01, rtol=1e-15)


def test_its_seed_decides():
    a, b, c = (CatClassifier((6, 3, 1), rng=k) for k in (1, 1, 2))
    np.testing.assert_array_equal(a.layers[0].weight.data, b.layers[0].weight.data)
    assert (a.layers[0].weight.data != c.layers[0].weight.data).any()


@pytest.mark.parametrize("layers", [(), (5,), (5, 0, 1), (5, -1)])
def test_it_refuses_layers_that_are_none(layers):
    with pytest.raises(ValueError, match=r"layers|features"):
        CatClassifier(layers)


def tutorial_step(parameters, x, y):
    """Cost and gradients as the tutorials write them: samples in columns, by hand."""
    m = x.shape[1]
    caches, a = [], x
    for k, (w, b) in enumerate(parameters):
        z = w @ a + b
        caches.append((a, z))
        a = np.maximum(0, z) if k < len(parameters) - 1 else 1 / (1 + np.exp(-z))
    cost = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / m
    grads, dz = [], a - y
    for k in reversed(range(len(parameters))):
        a_prev, _ = caches[k]
        grads.insert(0, (dz @ a_prev.T / m, np.mean(dz, axis=1, keepdims=True)))
        if k:
            da_prev = parameters[k][0].T @ dz
            dz = da_prev * (caches[k - 1][1] > 0)
    return cost, grads


@pytest.mark.parametrize("layers", [(30, 1), (30, 7, 1), (30, 20, 7, 5, 1)])
@pytest.mark.parametrize("with_logits", [False, True])
def test_gradients_written_by_hand_are_the_engines(layers, with_logits):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(30, 40)), rng.integers(0, 2, (1, 40))
    model = CatClassifier(layers, randn=np.random.RandomState(1).randn, dtype=np.float64)
    opt = optim.SGD(model.parameters(), lr=0.075)
    by_hand = [(m.weight.data.copy(), m.bias.data[:, None].copy())
               for m in model.layers if isinstance(m, nn.Linear)]
    for _ in range(60):
        cost, grads = tutorial_step(by_hand, x, y)
        if with_logits:
            loss = nn.binary_cross_entropy_with_logits(model.layers[:-1](x.T), y.T)
        else:
            loss = nn.binary_cross_entropy(model(x.T), y.T)
        loss.backward()
        same(loss.data, cost, rtol=1e-12)
        found = [m for m in model.layers if isinstance(m, nn.Linear)]
        for layer, (dw, db) in zip(found, grads, strict=True):
            scale = max(np.abs(dw).max(), np.abs(db).max())
            same(layer.weight.grad, dw, rtol=0, atol=1e-12 * scale)
            same(layer.bias.grad, db[:, 0], rtol=0, atol=1e-12 * scale)
        opt.step()
        opt.zero_grad()
        by_hand = [(w - 0.075 * dw, b - 0.075 * db)
                   for (w, b), (dw, db) in zip(by_hand, grads, strict=True)]
    for layer, (w, b) in zip(found, by_hand, strict=True):
        same(layer.weight.data, w, rtol=1e-10)
        same(layer.bias.data, b[:, 0], rtol=1e-10, atol=1e-12)


def test_it_learns():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(200, 6)).astype(np.float32)
    t = (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)             # not linearly separable
    model = CatClassifier((6, 16, 8, 1), rng=0)
    opt = optim.SGD(model.parameters(), lr=0.5)
    costs = []
    for _ in range(700):
        loss = nn.binary_cross_entropy(model(x), t)
        loss.backward()
        opt.step()
        opt.zero_grad()
        costs.append(float(loss))
    assert costs[0] > 0.6 and costs[-1] < 0.2
    with tn.no_grad():
        p = model(x)
    assert type(p) is np.ndarray and ((p > 0.5) == t).mean() > 0.95


def test_the_convolutional_networks():
    model = conv_net((3, 8, 16), 20, 4, hidden=6, dropout=0.3, rng=0)
    kinds = [nn.Conv2d, nn.MaxPool2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(m) for m in model] == [*kinds * 2, nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU,
                                        nn.Dropout, nn.Linear]
    assert model[10].weight.shape == (6, 16 * 5 * 5)
    assert model(np.zeros((2, 3, 20, 20), np.float32)).shape == (2, 4)
    model = keras_net(64, rng=0)
    assert sum(p.data.size for p in model.parameters()) == (
        3 * 9 * 32 + 32 + 32 * 31 * 31 * 128 + 128 + 128 + 1)
    assert model(np.zeros((2, 3, 64, 64), np.float32)).shape == (2, 1)
    for wrong in (lambda: conv_net((3,), 8, 1), lambda: conv_net((3, 4, 4), 3, 1),
                  lambda: keras_net(3)):
        with pytest.raises(ValueError, match=r"sides|pixels a side"):
            wrong()
