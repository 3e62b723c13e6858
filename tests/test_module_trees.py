"""A module under the transforms, and its generators."""


import numpy as np
import pytest
from modules import NAMES, Net, Norm, X, loss, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn._transforms import flatten, tree_map

A = np.array


# ---------------------------------------------------------------- a tree for the transforms

def test_a_module_is_a_tree_of_its_parameters():
    net = Net()
    names = [name for name, _ in flatten(net, "net")]
    assert names == ["net." + n for n in NAMES]
    assert all(type(v) is np.ndarray for _, v in flatten(net))
    assert flatten(net)[0][1] is net.first.weight.data
    assert flatten([net, 1.0])[-1] == ("[1]", 1.0)
    twin = tree_map(lambda v: v * 2, net)
    assert type(twin) is Net and twin.first is not net.first
    same(twin.first.weight, net.first.weight.data * 2)
    assert twin.tied is twin.first.bias and twin.again is twin.blocks[0]
    assert twin.settings is net.settings and twin.blocks[1]["deep"][1] == "text"
    assert twin.scales[1] is None
    assert [n for n, _ in twin.named_parameters()] == NAMES
    assert list(twin.state_dict()) == list(net.state_dict())
    assert isinstance(net.first.weight, Tensor) and len(net.parameters()) == len(NAMES)
    with pytest.raises(tn.ShapeError, match=r"two trees differ in form: a Net .* and a Linear"):
        tree_map(np.add, net, net.first)


def test_the_gradient_is_a_module_of_the_same_form():
    net = Net().eval()
    g = tn.grad(loss)(net)
    loss(net).backward()
    assert type(g) is Net
    for (name, p), (also, d) in zip(net.named_parameters(), g.named_parameters(), strict=True):
        assert name == also and type(d) is np.ndarray and d.dtype == p.dtype
        same(d, p.grad)
    same(g.first.weight, net.first.weight.grad)
    same(g.tied, net.tied.grad)                     # the sum of both uses
    value, again = tn.value_and_grad(loss)(net)
    assert isinstance(value, (float, np.ndarray)) and float(value) == loss(net).item()
    same(again.scales[0], g.scales[0])


def test_models_are_gradchecked_by_name_in_both_modes_to_second_order():
    net = Net().eval()
    assert tn.gradcheck(loss, net, order=2)
    assert tn.gradcheck(lambda net, x: net(x), net, X)
    with pytest.raises(tn.GradcheckError, match=r"input 0\.first\.weight"):
        tn.gradcheck(lambda m: loss(m) + tn.stop_gradient(np.sum(m.first.weight)), net)


def test_jvp_vjp_hvp_jacobian_and_hessian_of_a_module():
    net = Net().eval()
    g = tn.grad(loss)(net)
    y, dy = tn.jvp(loss, (net,), (g,))
    same(y, loss(net).data)
    same(dy, sum(np.sum(v * v) for _, v in flatten(g)))
    y, pullback = tn.vjp(lambda m: m(X), net)
    same(pullback(2 * y / y.size)[0].first.bias, g.first.bias)
    h = tn.hvp(loss, net, g)
    assert type(h) is Net and type(h.first.weight) is np.ndarray
    eps = 1e-6
    above, below = (tn.grad(loss)(tree_map(lambda v, d, s=s: v + s * eps * d, net, g))
                    for s in (1, -1))
    for (_, v), (_, a), (_, b) in zip(flatten(h), flatten(above), flatten(below), strict=True):
        same(v, (a - b) / (2 * eps), rtol=1e-6, atol=1e-8)
    full = tn.hessian(loss)(net)
    by_hand = sum(np.tensordot(np.asarray(block), d, d.ndim) for (_, block), (_, d)
                  in zip(flatten(full.first.bias), flatten(g), strict=True))
    same(h.first.bias, by_hand, rtol=1e-9)
    rows = tn.jacobian(lambda m: m(X))(net)
    assert rows.blocks[0].weight.shape == (4, 2, 2)


def test_second_derivatives_where_gradients_coincide():
    """Both parameters get one and the same box as gradient: they stay two."""
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = Tensor(np.ones(2)), Tensor(np.ones(2))

    def f(m):
        return np.sum((m.a + m.b) ** 3)

    def size(m):
        return sum(np.sum(g ** 2) for g in tn.grad(f)(m).parameters())
    model = Two()
    assert len(tn.grad(f)(model).parameters()) == 2
    same(tn.grad(size)(model).a, np.full(2, 2 * 12 * 12.0 * 2))
    assert tn.gradcheck(size, model)


def test_a_step_by_functions_alone():
    net = Net().eval()
    was = loss(net).item()
    new = net
    for _ in range(5):
        new = tree_map(lambda p, g: p - 0.05 * g, new, tn.grad(loss)(new))
    assert float(loss(new)) < was and loss(net).item() == was
    state = new.state_dict()
    net.load_state_dict(state)
    same(loss(net).data, loss(new))
    new.load_state_dict({k: v + 1 for k, v in state.items()})
    same(new.first.weight, state["first.weight"] + 1)
    assert new.tied is new.first.bias


def test_frozen_parameters_and_buffers_are_carried_along():
    net = Net().eval()
    net.first.freeze()
    g = tn.grad(loss)(net)
    assert [n for n, _ in g.named_parameters()] == [n for n, _ in net.named_parameters()]
    assert g.first.weight is net.first.weight and not g.training
    same(g.blocks[0].running_mean, net.blocks[0].running_mean)
    net.unfreeze()
    full = tn.grad(loss)(net)
    same(g.scales[0], full.scales[0])


def test_what_forward_changes_stays_in_the_copy():
    layer = Norm()
    x = A([[2.0, 4.0]])

    def f(m):
        return np.sum(m(x)), m.running_mean
    g, mean = tn.grad(f, has_aux=True)(layer)
    same(mean, [1, 2])
    same(layer.running_mean, [0, 0])
    same(g.weight, x[0])


def test_a_module_beside_other_arguments_and_in_containers():
    net = Net().eval()
    g = tn.grad(lambda tree: loss(tree["net"]) * tree["scale"])({"net": net, "scale": 2.0})
    same(g["net"].first.weight, 2 * tn.grad(loss)(net).first.weight)
    same(g["scale"], loss(net).data)
    by_x, by_net = tn.grad(lambda x, m: np.mean(m(x) ** 2), argnums=(0, 1))(X, net)
    assert by_x.shape == X.shape and type(by_net) is Net
    assert tn.grad(lambda m, x: np.sum(x))(nn.ReLU(), X).parameters() == []


def test_a_gradient_penalty_through_the_parameters():
    net = Net().eval()

    def penalty(m):
        return np.sum(tn.grad(lambda x: np.sum(m(x)))(X) ** 2)
    assert tn.gradcheck(penalty, net)
    penalty(net).backward()
    same(net.first.weight.grad, tn.grad(penalty)(net).first.weight)


def test_a_module_changed_within_the_function():
    layer = nn.Linear(3, 2, rng=0, dtype=np.float64)

    def without_bias(m):
        m.bias = None
        return np.sum(m(X) ** 2)
    g = tn.grad(without_bias)(layer)
    same(g.bias, [0, 0])
    assert isinstance(layer.bias, Tensor)


# ---------------------------------------------------------------- generators

def test_generators_are_found_by_name_and_are_no_part_of_the_state():
    shared = np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(0.5, rng=shared), nn.Linear(2, 2, rng=0),
                          nn.Dropout(0.5, rng=shared))
    model.others = {"a": [np.random.default_rng(1)], "b": 3}
    assert [(name, g is shared) for name, g in model.named_generators()] == [
        ("0.rng", True), ("others.a.0", False)]
    assert list(model.state_dict()) == ["1.weight", "1.bias"]
    assert len(model.modules()) == 4 and len(model.parameters()) == 2
    copy = tn.grad(lambda m: np.sum(m(np.ones((1, 2)))))(model)
    assert copy[1].weight.shape == (2, 2)
