"""Modules, layers, losses, and SGD."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim

A = np.array


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-14, **kw})


class Scale(nn.Module):
    def __init__(self, n=2):
        self.factor = Tensor(np.arange(1.0, n + 1))
        self.note = "not a parameter"
        self.table = np.ones(3)

    def forward(self, x):
        return self.factor * x


class Tree(nn.Module):
    def __init__(self):
        self.first = Scale()
        self.branches = [Scale(), nn.Sequential(Scale(), nn.ReLU())]
        self.shift = Tensor(np.zeros(2))
        self.again = self.first

    def forward(self, x):
        x = self.first(x) + self.shift
        for branch in self.branches:
            x = branch(x)
        return self.again(x)


# ---------------------------------------------------------------- Module

def test_parameters_have_dotted_names_in_the_order_of_assignment():
    tree = Tree()
    names = [name for name, _ in tree.named_parameters()]
    assert names == ["first.factor", "branches.0.factor", "branches.1.0.factor", "shift"]
    assert [id(p) for p in tree.parameters()] == [id(p) for _, p in tree.named_parameters()]
    assert dict(tree.named_parameters())["shift"] is tree.shift
    assert list(dict(tree.named_parameters(prefix="net."))) == ["net." + n for n in names]


def test_a_module_without_parameters_or_forward():
    assert nn.ReLU().parameters() == [] and nn.Module().parameters() == []
    with pytest.raises(NotImplementedError, match=r"Module does not define forward"):
        nn.Module()(1.0)


def test_a_shared_parameter_gets_both_gradients():
    tree = Tree()
    y = tree(A([1.0, 1.0]))
    y.sum().backward()
    f = A([1.0, 2.0])
    same(y.data, f ** 4)
    same(tree.first.factor.grad, 2 * f ** 3)
    same(tree.shift.grad, f ** 3)
    tree.zero_grad()
    assert all(p.grad is None for p in tree.parameters())


def test_what_was_computed_is_not_a_parameter():
    model = Scale()
    model.last = model(A([1.0, 2.0]))
    assert [n for n, _ in model.named_parameters()] == ["factor"]


def test_state_dict_is_a_copy():
    tree = Tree()
    state = tree.state_dict()
    assert list(state) == [n for n, _ in tree.named_parameters()]
    assert all(type(v) is np.ndarray for v in state.values())
    state["shift"][:] = 9
    same(tree.shift.data, [0, 0])
    other = Tree()
    other.load_state_dict(state)
    same(other.shift.data, [9, 9])
    state["shift"][:] = 7
    same(other.shift.data, [9, 9])


def test_load_state_dict_keeps_parameters_and_their_dtype():
    model = nn.Linear(2, 3, rng=0)
    weight = model.weight
    model.load_state_dict({"weight": np.ones((3, 2)), "bias": [1.0, 2.0, 3.0]})
    assert model.weight is weight and model.weight.dtype == np.float32
    same(model.bias.data, [1, 2, 3])


def test_weights_that_do_not_fit_are_all_reported_and_nothing_is_changed():
    model = Tree()
    state = model.state_dict()
    state = {k: v + 1 for k, v in state.items() if k != "first.factor"}
    state["shift"] = np.zeros(5)
    state["extra"] = np.zeros(1)
    before = model.state_dict()
    with pytest.raises(tn.ShapeError) as error:
        model.load_state_dict(state)
    text = str(error.value)
    assert "Tree" in text and "missing first.factor" in text and "unexpected extra" in text
    assert "shift" in text and "(5,)" in text and "(2,)" in text
    for name, p in model.named_parameters():
        same(p.data, before[name])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_modules_can_be_copied_and_pickled(duplicate):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU(), nn.Linear(2, 1, rng=1))
    x = np.ones((4, 3), np.float32)
    model(x).sum().backward()
    twin = duplicate(model)
    same(twin(x).data, model(x).data)
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    twin[0].weight.data += 1
    assert not np.allclose(twin(x).data, model(x).data)


def test_repr_is_the_tree():
    inner = nn.Sequential(nn.ReLU(), nn.Linear(2, 1, bias=False))
    lines = [line.strip() for line in repr(nn.Sequential(nn.Linear(3, 2), inner)).splitlines()]
    assert lines[0] == "Sequential("
    assert lines[1] == "(0): Linear(3, 2)" and lines[3] == "(0): ReLU()"
    assert lines[4] == "(1): Linear(2, 1, bias=False)"
    assert repr(nn.Sigmoid()) == "Sigmoid()"


# ---------------------------------------------------------------- layers

def test_linear():
    layer = nn.Linear(3, 2, rng=0)
    assert layer.weight.shape == (2, 3) and layer.bias.shape == (2,)
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    y = layer(x)
    assert y.shape == (5, 2) and y.dtype == np.float32
    same(y.data, x @ layer.weight.data.T + layer.bias.data, rtol=1e-6)
    g = np.arange(10.0, dtype=np.float32).reshape(5, 2)
    y.backward(g)
    same(layer.weight.grad, g.T @ x, rtol=1e-6)
    same(layer.bias.grad, g.sum(0), rtol=1e-6)
    assert layer.weight.grad.dtype == np.float32 and layer.weight.grad.flags.c_contiguous


def test_linear_initialisation():
    layer = nn.Linear(400, 50, rng=7)
    for p in layer.parameters():
        assert (np.abs(p.data) <= 1 / 20).all() and abs(p.data.mean()) < 0.02
    assert layer.weight.data.std() == pytest.approx(1 / 20 / np.sqrt(3), rel=0.05)
    again = nn.Linear(400, 50, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(layer.weight.data, again.weight.data)
    assert (nn.Linear(400, 50, rng=8).weight.data != layer.weight.data).any()
    assert nn.Linear(2, 2, dtype=np.float64).weight.dtype == np.float64
    rng = np.random.default_rng(0)
    first, second = nn.Linear(2, 2, rng=rng), nn.Linear(2, 2, rng=rng)
    assert (first.weight.data != second.weight.data).any()


@pytest.mark.parametrize("shape", [(3,), (1, 3), (0, 3), (2, 4, 3)])
def test_linear_takes_any_leading_axes(shape):
    layer = nn.Linear(3, 2, rng=0, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=shape)
    assert tn.gradcheck(lambda x: layer(x), x)
    w, b = layer.weight.data, layer.bias.data
    assert tn.gradcheck(lambda x, w: tn.rules.dense(x, w) + b, x, w, order=2)
    layer(x).sum().backward()
    same(layer.weight.grad, np.ones((2, 1)) * x.reshape(-1, 3).sum(0))
    assert layer(x).shape == (*shape[:-1], 2)


def test_linear_without_bias():
    layer = nn.Linear(3, 2, bias=False, rng=0)
    assert [n for n, _ in layer.named_parameters()] == ["weight"] and layer.bias is None
    same(layer(np.zeros((1, 3), np.float32)).data, 0)


@pytest.mark.parametrize("shape", [(5, 4), (3, 5), (4,), ()])
def test_linear_refuses_other_sizes(shape):
    for x in (np.ones(shape), Tensor(np.ones(shape))):
        with pytest.raises(tn.ShapeError, match=r"Linear\(3, 2\).*\(N, 3\)") as error:
            nn.Linear(3, 2)(x)
        assert str(shape) in str(error.value)


@pytest.mark.parametrize("sizes", [(0, 1), (1, -2), (2.0, 1), ("3", 1), (None, 1)])
def test_linear_refuses_sizes_that_are_not_positive_integers(sizes):
    with pytest.raises((ValueError, TypeError), match=r"Linear: (in|out)_features"):
        nn.Linear(*sizes)


def test_relu_and_sigmoid():
    x = A([[-1.0, 0.0, 2.0]])
    same(nn.ReLU()(x), [[0, 0, 2]])
    same(nn.Sigmoid()(x), 1 / (1 + np.exp(-x)))
    for layer in (nn.ReLU(), nn.Sigmoid()):
        assert layer.parameters() == []
        assert isinstance(layer(Tensor(x)), Tensor) and type(layer(x)) is np.ndarray


# ---------------------------------------------------------------- Sequential

def test_sequential():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, nn.Linear(4, 2, rng=1),
                          lambda x: x * 2)
    x = np.ones((5, 3), np.float32)
    want = np.tanh(model[0](x).data) @ model[2].weight.data.T + model[2].bias.data
    same(model(x).data, 2 * want, rtol=1e-6)
    names = [n for n, _ in model.named_parameters()]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(model) == 4 and list(model)[1] is np.tanh and model[-2] is model[2]
    head = model[:2]
    assert isinstance(head, nn.Sequential) and head[0] is model[0] and len(head) == 2
    same(nn.Sequential()(x), x)


@pytest.mark.parametrize("what", [3, None, [nn.ReLU()], "ReLU"])
def test_sequential_refuses_what_cannot_be_called(what):
    with pytest.raises(TypeError, match=r"Sequential takes modules or functions, got \w+"):
        nn.Sequential(nn.ReLU(), what)


# ---------------------------------------------------------------- losses

LOSSES = [nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits]


def test_binary_cross_entropy_is_the_mean_of_its_definition():
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.01, 0.99, (7, 1)), rng.integers(0, 2, (7, 1))
    want = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))
    same(nn.binary_cross_entropy(p, t), want)
    same(nn.binary_cross_entropy_with_logits(np.log(p / (1 - p)), t), want)
    loss = nn.binary_cross_entropy(Tensor(p), t)
    assert isinstance(loss, Tensor) and loss.shape == ()
    same(loss.data, want)
    w = Tensor(p)
    nn.binary_cross_entropy(w, t).backward()
    same(w.grad, (p - t) / (p * (1 - p)) / 7)
    z = Tensor(np.log(p / (1 - p)))
    nn.binary_cross_entropy_with_logits(z, t).backward()
    same(z.grad, (p - t) / 7)


@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(0, 1)), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_two_forms_agree_and_are_differentiable(gradcheck, pairs):
    z, t = (A(v) for v in zip(*pairs, strict=True))
    same(nn.binary_cross_entropy(tn.sigmoid(z), t), nn.binary_cross_entropy_with_logits(z, t),
         rtol=1e-9)
    gradcheck(lambda z: nn.binary_cross_entropy(tn.sigmoid(z), t), z)
    gradcheck(nn.binary_cross_entropy_with_logits, z, t)
    same(tn.grad(lambda z: nn.binary_cross_entropy(tn.sigmoid(z), t))(z),
         (tn.sigmoid(z) - t) / len(z), rtol=1e-9)


def test_losses_to_second_order():
    z, t = A([-1.0, 0.5, 2.0]), A([0.0, 1.0, 0.3])
    assert tn.gradcheck(lambda z: nn.binary_cross_entropy(tn.sigmoid(z), t), z, order=2)
    assert tn.gradcheck(lambda z: nn.binary_cross_entropy_with_logits(z, t), z, order=2)
    assert tn.gradcheck(nn.binary_cross_entropy_with_logits, z, A([0.1, 0.9, 0.3]), order=2)
    p = tn.sigmoid(z)
    same(tn.hessian(lambda z: nn.binary_cross_entropy_with_logits(z, t))(z),
         np.diag(p * (1 - p) / 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_are_stable(dtype):
    z = A([-1e4, -100.0, 0.0, 100.0, 1e4], dtype)
    for t in (np.zeros(5, dtype), np.ones(5, dtype)):
        w = Tensor(z)
        loss = nn.binary_cross_entropy_with_logits(w, t)
        loss.backward()
        want = np.mean(np.maximum(np.where(t == 1, -z, z), 0) + np.log(2) * (z == 0))
        same(loss.data, want, rtol=1e-6)
        same(w.grad, (tn.sigmoid(z) - t) / 5, rtol=1e-6)
        assert loss.dtype == dtype and w.grad.dtype == dtype
        w = Tensor(A([0.0, 1e-30, 0.5, 1 - 1e-7, 1.0], dtype))
        loss = nn.binary_cross_entropy(w, t)
        loss.backward()
        assert np.isfinite(loss.item()) and loss.item() < 101 and np.isfinite(w.grad).all()
    w = Tensor(A([0.0, 1.0], dtype))
    loss = nn.binary_cross_entropy(w, A([0, 1]))
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize("p", [1e-9, 1e-6, 0.3, 1 - 1e-6])
def test_the_gradient_of_small_probabilities_is_exact(p):
    for t in (0.0, 1.0, 0.25):
        g = tn.grad(lambda p, t=t: nn.binary_cross_entropy(p, A([t])))(A([p]))
        same(g, [(p - t) / (p * (1 - p))], rtol=1e-9)
        by_target = tn.grad(lambda t, p=p: nn.binary_cross_entropy(A([p]), t))(A([t]))
        same(by_target, [np.log1p(-p) - np.log(p)], rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("p, t", [((5, 1), (5,)), ((5,), (5, 1)), ((5, 1), (4, 1)),
                                  ((5, 1), ()), ((5, 1), (1, 1))])
def test_losses_never_broadcast(loss, p, t):
    for target in (np.zeros(t), Tensor(np.zeros(t)), np.zeros(t).tolist()):
        with pytest.raises(tn.ShapeError, match="binary_cross_entropy") as error:
            loss(Tensor(np.full(p, 0.5)), target)
        assert str(p) in str(error.value) and str(t) in str(error.value)


@pytest.mark.parametrize("loss", LOSSES)
def test_targets_may_be_of_any_kind(loss):
    p = np.full((3, 1), 0.25, np.float32)
    want = loss(p, A([[1], [0], [1]], np.float32))
    for t in ([[1], [0], [1]], A([[1], [0], [1]]), A([[1.0], [0], [1]]),
              A([[1], [0], [1]], bool), A([[1], [0], [1]], np.uint8)):
        y = loss(Tensor(p), t)
        assert y.dtype == np.float32
        same(y.data, want)
    t = Tensor(A([[1.0], [0.0], [1.0]], np.float32))
    loss(p, t).backward()
    assert t.grad.shape == (3, 1)


# ---------------------------------------------------------------- SGD

def test_sgd():
    w, b = Tensor(A([1.0, 2.0])), Tensor(A(3.0, np.float32))
    opt = optim.SGD([w, b], lr=0.1)
    old = w.data
    (w @ A([1.0, 10.0]) * 2 + b * 5).backward()
    assert opt.step() is None
    same(w.data, [0.8, 0.0], atol=1e-12)
    same(b.data, 2.5)
    assert b.dtype == np.float32 and type(b.data) is np.ndarray and b.shape == ()
    np.testing.assert_array_equal(old, [1, 2])      # nothing is changed in place
    opt.lr = 1.0
    opt.step()
    same(w.data, [-1.2, -20])
    opt.zero_grad()
    assert w.grad is None and b.grad is None


def test_sgd_leaves_what_has_no_gradient():
    w, v = Tensor([1.0]), Tensor([1.0])
    opt = optim.SGD([w, v], lr=0.5)
    (w * 2).sum().backward()
    opt.step()
    assert w.item() == 0.0 and v.item() == 1.0


@pytest.mark.parametrize("parameters, lr, error, message", [
    ([], 0.1, ValueError, "no parameters"), (iter(()), 0.1, ValueError, "no parameters"),
    ([np.ones(2)], 0.1, TypeError, "takes Tensors, got ndarray"),
    ([Tensor([1.0])] * 2, 0.1, ValueError, "twice"),
    ([Tensor([1.0])], -0.1, ValueError, "learning rate.*-0.1"),
    ([Tensor([1.0])], np.nan, ValueError, "learning rate.*nan"),
])
def test_sgd_refuses(parameters, lr, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(parameters, lr)


def test_sgd_takes_leaves_only():
    w = Tensor([1.0])
    with pytest.raises((tn.GraphError, TypeError, ValueError)):
        opt = optim.SGD([w * 2], lr=0.1)
        w.grad = opt.parameters[0].grad = np.ones(1)
        opt.step()


def test_a_step_before_backward_says_so():
    model = nn.Linear(2, 1)
    opt = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(tn.GraphError, match=r"step\(\) before backward\(\)"):
        opt.step()
    before = model.state_dict()
    model(np.ones((1, 2), np.float32)).sum().backward()
    opt.step()
    assert (model.weight.data != before["weight"]).all()
