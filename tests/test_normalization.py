"""Batch, layer and group normalisation: against their formulas and PyTorch, in both modes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn.rules import standardize

RNG = np.random.default_rng(0)
F64 = {"dtype": np.float64}


def same(a, b, **kw):
    a = a.data if isinstance(a, Tensor) else a
    np.testing.assert_allclose(a, b, **{"rtol": 1e-10, "atol": 1e-12, **kw})


def standard(x, axes, eps):
    """The definition."""
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + eps)


def varied(layer):
    """The layer with weights, biases and statistics unlike those that it starts with."""
    for p in layer.parameters():
        p.data = RNG.uniform(0.5, 1.5, p.shape)
    for name, b in layer.named_buffers():
        if b.ndim:
            setattr(layer, name, RNG.uniform(0.5, 1.5, b.shape))
    return layer


# (our layer, PyTorch's arguments, shape of inputs)
CASES = [("BatchNorm1d", (4,), {}, (5, 4)), ("BatchNorm1d", (3,), {"eps": 0.1}, (4, 3, 2)),
         ("BatchNorm2d", (3,), {"momentum": 0.3}, (4, 3, 2, 5)),
         ("BatchNorm2d", (2,), {"affine": False}, (2, 2, 3, 3)),
         ("LayerNorm", (4,), {}, (3, 4)), ("LayerNorm", ((2, 3),), {"eps": 0.01}, (4, 2, 3)),
         ("LayerNorm", (4,), {"bias": False}, (2, 3, 4)),
         ("LayerNorm", (4,), {"elementwise_affine": False}, (4,)),
         ("GroupNorm", (2, 6), {}, (3, 6, 2, 2)),
         ("GroupNorm", (3, 3), {"eps": 0.1}, (2, 3, 4)),
         ("GroupNorm", (1, 4), {"affine": False}, (3, 4))]
IDS = [f"{name} {args} {kw}" for name, args, kw, _ in CASES]


def loss(layer, x):
    return np.sum(np.tanh(layer(x)) ** 2 * np.arange(1.0, np.size(x) + 1).reshape(np.shape(x)))


@pytest.mark.parametrize("name, args, kw, shape", CASES, ids=IDS)
def test_values_gradients_and_second_order_are_torchs(name, args, kw, shape):
    torch = pytest.importorskip("torch")
    ours = varied(getattr(nn, name)(*args, **kw, **F64))
    theirs = getattr(torch.nn, name)(*args, **kw, dtype=torch.float64)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    x = RNG.standard_normal(shape) * 3 + 1
    t = torch.tensor(x, requires_grad=True)
    scale = torch.arange(1.0, x.size + 1, dtype=torch.float64).reshape(shape)

    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        want = (theirs(t).tanh() ** 2 * scale).sum()
        inner, *of_parameters = torch.autograd.grad(
            want, [t, *theirs.parameters()], create_graph=True)
        outer, = torch.autograd.grad((inner ** 2).sum(), t)
        v = Tensor(x)
        got = loss(ours, v)
        got.backward()
        same(got.data, want.item())
        same(v.grad, inner.detach().numpy())
        for p, q in zip(ours.parameters(), of_parameters, strict=True):
            same(p.grad, q.detach().numpy())
        ours.zero_grad()
        for k, b in ours.state_dict().items():
            same(b, theirs.state_dict()[k].numpy())
        now = ours.state_dict()
        second = tn.grad(lambda x: np.sum(tn.grad(lambda x: loss(ours, x))(x) ** 2))(x)
        same(second, outer.numpy(), rtol=1e-10, atol=1e-10 * outer.abs().max().item())
        ours.load_state_dict(now)                   # that moved the running statistics


@pytest.mark.parametrize("name, args, kw, shape", CASES, ids=IDS)
def test_the_formula_and_the_gradient_kit(name, args, kw, shape):
    layer = varied(getattr(nn, name)(*args, **kw, **F64))
    x = RNG.standard_normal(shape) * 3 + 1
    eps = kw.get("eps", 1e-5)
    view, axes, by = x, (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    if name == "LayerNorm":
        by = layer.normalized_shape
        axes = tuple(range(-len(by), 0))
    elif name == "GroupNorm":
        view, axes = x.reshape(shape[0], args[0], -1), (2,)
    want = standard(view, axes, eps).reshape(shape)
    if layer.weight is not None:
        want = want * layer.weight.data.reshape(by)
    if layer.bias is not None:
        want = want + layer.bias.data.reshape(by)
    same(layer(x), want)
    assert tn.gradcheck(layer, x, order=2)
    assert tn.gradcheck(lambda m: m(x), layer) if layer.parameters() else True


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([(0,), (1, 2), (2, 0)]), st.booleans())
def test_standardize_in_both_modes_with_all_three_outputs(seed, axes, wide):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 2, 4)) * (100 if wide else 1)
    weights = rng.standard_normal(3)

    def f(x):
        return [w * v for w, v in zip(weights, standardize(x, axes=axes, eps=0.5), strict=True)]
    assert tn.gradcheck(f, x, order=2)


# ---------------------------------------------------------------- running statistics

def test_running_statistics():
    layer = nn.BatchNorm2d(3, momentum=0.25)
    x = RNG.standard_normal((4, 3, 5, 5)).astype(np.float32) * 2 + 3
    start = layer.running_mean
    y = layer(Tensor(x))
    same(start, np.zeros(3))                                # replaced, not written to
    same(layer.running_mean, 0.25 * x.mean(axis=(0, 2, 3)), rtol=1e-5)
    same(layer.running_var, 0.75 + 0.25 * x.var(axis=(0, 2, 3), ddof=1), rtol=1e-5)
    assert layer.num_batches_tracked == 1
    assert y.dtype == np.float32
    state = layer.state_dict()
    assert {k: (v.shape, v.dtype) for k, v in state.items()} == {
        "weight": ((3,), np.float32), "bias": ((3,), np.float32),
        "running_mean": ((3,), np.float32), "running_var": ((3,), np.float32),
        "num_batches_tracked": ((), np.int64)}
    layer.eval()
    before = layer.state_dict()
    z = layer(x)
    want = (x - before["running_mean"][:, None, None]) / np.sqrt(
        before["running_var"][:, None, None] + 1e-5)
    same(z.data, want, rtol=1e-4, atol=1e-5)
    for k, v in layer.state_dict().items():
        np.testing.assert_array_equal(v, before[k])         # evaluation moves nothing


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_statistics_are_plain_in_any_derivative_and_keep_their_dtype(dtype):
    layer = nn.BatchNorm1d(2)
    x = RNG.standard_normal((5, 2)).astype(dtype)
    runs = [lambda: layer(x), lambda: layer(Tensor(x)),
            lambda: tn.grad(lambda x: np.sum(layer(x) ** 3))(x),
            lambda: tn.hvp(lambda x: np.sum(layer(x) ** 3), x, x),
            lambda: tn.jvp(layer, (x,), (x,)), lambda: tn.jacobian(layer)(x[:3])]
    for i, run in enumerate(runs, 1):
        run()
        assert type(layer.running_mean) is np.ndarray and layer.running_mean.dtype == np.float32
        assert type(layer.running_var) is np.ndarray and layer.running_var.dtype == np.float32
        assert layer.num_batches_tracked == i
    with tn.no_grad():
        assert isinstance(layer(Tensor(x)), np.ndarray)


def test_no_gradient_flows_through_the_running_statistics():
    layer = nn.BatchNorm1d(2, **F64)
    x = Tensor(RNG.standard_normal((4, 2)))
    layer(x).sum().backward()
    first, x.grad = x.grad, None
    layer(Tensor(x.data * 2))
    layer(x).sum().backward()
    same(x.grad, first)


def test_training_a_network_with_batch_norm_by_transform():
    """The module is a copy within the transform: its own statistics are those of before."""
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4))
    x = RNG.standard_normal((6, 3)).astype(np.float32)
    g = tn.grad(lambda m: np.sum(m(x) ** 3))(model)
    model_loss = np.sum(model(x) ** 3)
    model_loss.backward()
    for a, b in zip(g.parameters(), model.parameters(), strict=True):
        same(a, b.grad, rtol=1e-4, atol=1e-4)
    assert model[1].num_batches_tracked == 1


def test_float32_is_as_exact_as_the_data():
    x = (RNG.standard_normal((64, 8)) + 1e3).astype(np.float32)
    y = nn.BatchNorm1d(8)(x)
    same(y.data, standard(x.astype(np.float64), (0,), 1e-5), rtol=0, atol=1e-3)


def test_what_is_kept_for_the_backward_pass_is_one_array():
    x = Tensor(RNG.standard_normal((64, 64, 8, 8)))
    with memory() as used:
        y, _, _ = standardize(x, axes=(0, 2, 3), eps=1e-5)
        assert used()[0] < 1.05 * x.data.nbytes             # the result itself
    del y


@pytest.mark.parametrize("layer, shape", [
    (nn.LayerNorm(3, **F64), (0, 3)), (nn.LayerNorm(3, **F64), (2, 0, 3)),
    (nn.GroupNorm(2, 4, **F64), (0, 4, 2)), (nn.BatchNorm1d(3, **F64).eval(), (0, 3))])
def test_an_empty_batch_stays_empty(layer, shape):
    x = Tensor(np.ones(shape))
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape
    assert all((p.grad == 0).all() for p in layer.parameters())
    assert tn.jvp(layer, (x.data,), (x.data,))[1].shape == shape


# ---------------------------------------------------------------- settings and errors

def test_what_they_say_of_themselves():
    for layer, text in ((nn.BatchNorm1d(3), "BatchNorm1d(3)"),
                        (nn.BatchNorm2d(3, 1e-3, 0.2, False),
                         "BatchNorm2d(3, momentum=0.2, eps=0.001, affine=False)"),
                        (nn.LayerNorm(4, bias=False), "LayerNorm((4,), bias=False)"),
                        (nn.LayerNorm([2, 3], elementwise_affine=False),
                         "LayerNorm((2, 3), elementwise_affine=False)"),
                        (nn.GroupNorm(2, 4, eps=0.1), "GroupNorm(2, 4, eps=0.1)")):
        assert repr(layer) == text


@pytest.mark.parametrize("make, message", [
    (lambda: nn.BatchNorm2d(0), "BatchNorm2d: num_features must be an integer of at least 1"),
    (lambda: nn.BatchNorm1d(3, eps=0), "BatchNorm1d: eps must be positive, got 0"),
    (lambda: nn.BatchNorm1d(3, eps=np.nan), "eps must be positive, got nan"),
    (lambda: nn.BatchNorm1d(3, momentum=1.5), "momentum must be within 0..1, got 1.5"),
    (lambda: nn.LayerNorm(()), "normalized_shape names no axis"),
    (lambda: nn.LayerNorm((3, 0)), "normalized_shape must be an integer of at least 1, got 0"),
    (lambda: nn.GroupNorm(3, 4), "4 channels do not divide into 3 groups"),
    (lambda: nn.GroupNorm(0, 4), "num_groups must be an integer of at least 1")])
def test_settings_that_are_none(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer, shape, message", [
    (nn.BatchNorm1d(3), (2, 4), r"inputs of shape \(N, 3\) or \(N, 3, L\), got \(2, 4\)"),
    (nn.BatchNorm1d(3), (2, 3, 4, 5), r"got \(2, 3, 4, 5\)"),
    (nn.BatchNorm2d(3), (2, 3), r"expects inputs of shape \(N, 3, H, W\), got \(2, 3\)"),
    (nn.BatchNorm2d(3), (2, 4, 5, 5), r"got \(2, 4, 5, 5\)"),
    (nn.BatchNorm1d(3), (1, 3), r"cannot be trained on 1 value\(s\) per channel, got shape "
     r"\(1, 3\): use a larger batch, or .eval\(\)"),
    (nn.BatchNorm2d(3), (1, 3, 1, 1), "cannot be trained on 1 value"),
    (nn.BatchNorm2d(3), (0, 3, 2, 2), "cannot be trained on 0 value"),
    (nn.LayerNorm((2, 3)), (4, 3), r"expects inputs of shape \(…, 2, 3\), got \(4, 3\)"),
    (nn.LayerNorm(3), (), r"got \(\)"),
    (nn.GroupNorm(2, 4), (3, 6), r"expects inputs of shape \(N, 4, …\), got \(3, 6\)"),
    (nn.GroupNorm(2, 4), (4,), r"got \(4,\)")])
def test_inputs_that_do_not_fit_are_named_with_the_layers_path(layer, shape, message):
    with pytest.raises(tn.ShapeError, match=message) as error:
        nn.Sequential(nn.Sequential(layer))(Tensor(np.ones(shape)))
    assert str(error.value).startswith("0.0")
    assert repr(layer) in str(error.value)


def test_one_value_per_channel_will_do_in_evaluation():
    layer = nn.BatchNorm2d(3).eval()
    assert layer(np.ones((1, 3, 1, 1), np.float32)).shape == (1, 3, 1, 1)
