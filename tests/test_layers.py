"""Dropout, Embedding, Flatten, and layers composed: a CNN and attention beside PyTorch."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn.testing import laid_out

RNG = np.random.default_rng(0)
F64 = {"dtype": np.float64}


def same(a, b, **kw):
    a = a.data if isinstance(a, Tensor) else a
    np.testing.assert_allclose(a, b, **{"rtol": 1e-10, "atol": 1e-12, **kw})


# ---------------------------------------------------------------- Dropout

@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**16), st.sampled_from([np.float32, np.float64]))
def test_dropout_scales_what_it_keeps(p, seed, dtype):
    x = Tensor(np.random.default_rng(seed).uniform(1, 2, (4, 5)).astype(dtype))
    y = nn.Dropout(p, rng=seed)(x)
    kept = y.data != 0 if p else np.ones((4, 5), bool)
    assert y.dtype == dtype
    scale = 1 / (1 - p) if p < 1 else 0.0
    same(y, np.where(kept, x.data * scale, 0), rtol=1e-6)
    y.sum().backward() if p else None
    if p:
        same(x.grad, kept * scale, rtol=1e-6)
    assert p < 1 or not kept.any()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    n = 200_000
    y = nn.Dropout(p, rng=0)(np.ones(n))
    error = 5 * np.sqrt(p * (1 - p) / n)                    # five standard deviations
    assert abs(np.mean(y == 0) - p) < error
    assert abs(y.mean() - 1) < error / (1 - p)


def test_dropout_draws_from_a_generator_of_its_own():
    x = np.ones((100, 10))
    a, b = nn.Dropout(rng=3), nn.Dropout(rng=3)
    first, second = a(x), a(x)
    assert (first != second).any()
    np.testing.assert_array_equal(b(x), first)
    state = b.rng.bit_generator.state                       # what a checkpoint keeps
    np.testing.assert_array_equal(b(x), second)
    b.rng.bit_generator.state = state
    np.testing.assert_array_equal(b(x), second)
    shared = np.random.default_rng(3)
    np.testing.assert_array_equal(nn.Dropout(rng=shared)(x), first)
    assert nn.Dropout(rng=shared).rng is shared
    assert (nn.Dropout()(x) != nn.Dropout()(x)).any()
    for twin in (copy.deepcopy(a), pickle.loads(pickle.dumps(a))):
        np.testing.assert_array_equal(twin(x), copy.deepcopy(a)(x))
    same(nn.Dropout(rng=3)(x.astype(np.float32)), first)    # whatever the dtype


def test_dropout_in_evaluation_is_the_identity_and_draws_nothing():
    layer = nn.Dropout(0.5, rng=0).eval()
    before = layer.rng.bit_generator.state
    x = Tensor(np.ones(5))
    assert layer(x) is x and layer.rng.bit_generator.state == before
    assert nn.Dropout(0.0)(x) is x


def test_dropout_is_a_selection():
    """What was dropped is zero and has gradient zero, whatever it was."""
    x = Tensor(np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    y = nn.Dropout(0.5, rng=0)(np.sqrt(x))                  # drops the last three
    y.sum().backward()
    same(y, [2, 2, 2, 0, 0, 0])
    same(x.grad, [1, 1, 1, 0, 0, 0])
    same(nn.Dropout(0.5, rng=0)(np.array([1.0, 1, 1, np.inf, np.nan, 1])), y.data)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_a_p_that_is_no_probability(p):
    with pytest.raises(ValueError, match=f"p must be a probability, within 0..1, got {p}"):
        nn.Dropout(p)


def test_dropout_within_derivatives():
    layer = nn.Dropout(0.5, rng=0)
    x = RNG.standard_normal(6)

    def f(x):
        layer.rng = np.random.default_rng(0)
        return layer(x) ** 3
    assert tn.gradcheck(f, x, order=2)
    assert repr(layer) == "Dropout(0.5)" and layer.parameters() == []


# ---------------------------------------------------------------- Embedding

@pytest.mark.parametrize("indices", [[1, 2], [[0, 4, 4], [2, 0, 4]], 3, [],
                                     np.array([[1]], "u1"), np.zeros((2, 0), int)])
def test_embedding_looks_rows_up_and_adds_their_gradients(indices):
    layer = nn.Embedding(5, 3, rng=0, **F64)
    y = layer(indices)
    at = np.asarray(indices).astype(int)
    same(y, layer.weight.data[at])
    g = RNG.standard_normal(y.shape)
    y.backward(g)
    want = np.zeros((5, 3))
    for k, i in np.ndenumerate(at):
        want[i] += g[k]
    same(layer.weight.grad, want)


@pytest.mark.parametrize("padding_idx", [1, -4])
def test_the_padding_row_is_zero_and_stays(padding_idx):
    layer = nn.Embedding(5, 3, padding_idx, rng=0)
    same(layer.weight.data[1], [0, 0, 0])
    layer.weight.data = np.arange(15, dtype=np.float32).reshape(5, 3)     # even if it is not
    y = layer([1, 2, 1])
    same(y, layer.weight.data[[1, 2, 1]])
    (y ** 2).sum().backward()
    assert (layer.weight.grad[1] == 0).all() and (layer.weight.grad[2] != 0).all()
    slope = tn.jvp(lambda m: m([1, 2]), (layer,), (layer,))[1]
    same(slope, np.where([[False], [True]], layer.weight.data[[1, 2]], 0))
    assert repr(layer) == "Embedding(5, 3, padding_idx=1)"


def test_embedding_is_torchs():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Embedding(7, 4, padding_idx=2, dtype=torch.float64)
    ours = nn.Embedding(7, 4, padding_idx=2, **F64)
    ours.load_state_dict(theirs.state_dict())
    at = RNG.integers(0, 7, (5, 6))
    y, t = ours(at), theirs(torch.tensor(at))
    (np.tanh(y) ** 2).sum().backward()
    (t.tanh() ** 2).sum().backward()
    same(y, t.detach().numpy())
    same(ours.weight.grad, theirs.weight.grad.numpy())


@pytest.mark.parametrize("indices, error, message", [
    ([0, 5], IndexError, "index 5 is not in 0 .. 4"),
    ([[-1]], IndexError, "index -1 is not in 0 .. 4"),
    ([0.0], TypeError, "takes integers, got dtype float64"),
    ([True], TypeError, "takes integers, got dtype bool"),
    (Tensor([0.0]), TypeError, r"takes integers, got a Tensor: pass its .data.astype\(int\)")])
def test_indices_that_are_none(indices, error, message):
    with pytest.raises(error, match=message) as raised:
        nn.Sequential(nn.Embedding(5, 3))(indices)
    assert str(raised.value).startswith("0: Embedding(5, 3)")


@pytest.mark.parametrize("arguments, message", [
    ((0, 3), "num_embeddings must be an integer of at least 1, got 0"),
    ((5, 0.5), "embedding_dim must be an integer"),
    ((5, 3, 5), "padding_idx=5 is not one of 5 rows"),
    ((5, 3, -6), "padding_idx must be an integer of at least -5, got -6")])
def test_embeddings_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.Embedding(*arguments)


# ---------------------------------------------------------------- Flatten

@pytest.mark.parametrize("arguments, shape, result", [
    ((), (2, 3, 4, 5), (2, 60)), ((), (2, 3), (2, 3)), ((0,), (2, 3, 4), (24,)),
    ((2, 3), (2, 3, 4, 5), (2, 3, 20)), ((-3, -2), (2, 3, 4, 5), (2, 12, 5)),
    ((), (0, 3, 4), (0, 12)), ((), (2, 0, 4), (2, 0)), ((1, 1), (2, 3, 4), (2, 3, 4))])
def test_flatten(arguments, shape, result):
    x = RNG.standard_normal(shape)
    y = nn.Flatten(*arguments)(Tensor(x))
    same(y, x.reshape(result))
    if x.size:
        assert tn.gradcheck(lambda x: nn.Flatten(*arguments)(x) ** 2, x[:1, :2])


@pytest.mark.parametrize("arguments, shape", [
    ((), (3,)), ((3,), (2, 3, 4)), ((2, 1), (2, 3, 4)), ((1, 3), (2, 3, 4)), ((), ())])
def test_axes_that_are_none(arguments, shape):
    with pytest.raises(tn.ShapeError, match=r"there are no such axes in shape \("):
        nn.Flatten(*arguments)(np.ones(shape))


# ---------------------------------------------------------------- selections of large arrays

@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "negative", "read-only"])
@pytest.mark.parametrize("shape", [(300, 500), (40, 50), (5,)])
def test_the_slope_of_relu_is_zero_whatever_arrives(shape, layout, dtype):
    x = laid_out(RNG.standard_normal(shape).astype(dtype), layout)
    g = laid_out(RNG.standard_normal(shape).astype(dtype), layout)
    g = np.where(RNG.random(shape) < 0.1, np.array([np.nan], dtype), g)
    t = Tensor(x)
    tn.relu(t).backward(g)
    np.testing.assert_array_equal(t.grad, np.where(x > 0, g, 0))
    assert t.grad.dtype == dtype
    t.grad = None
    np.where(x > 0, t, 1).backward(g)
    np.testing.assert_array_equal(t.grad, np.where(x > 0, g, 0))
    slope = tn.jvp(lambda x: tn.relu(x) + np.maximum(x, 0.0), (x,), (g,))[1]
    np.testing.assert_array_equal(slope, np.where(x > 0, 2 * g, 0))
    rows = tn.vjp(tn.relu, x)[1]
    np.testing.assert_array_equal(rows(g)[0], np.where(x > 0, g, 0))


# ---------------------------------------------------------------- layers composed

def networks():
    """A CNN of every layer for images, ours and PyTorch's, with the same weights."""
    torch = pytest.importorskip("torch")
    both = []
    for lib, kw in ((nn, F64), (torch.nn, {"dtype": torch.float64})):
        both.append(lib.Sequential(
            lib.Conv2d(3, 4, 3, padding=1, **kw), lib.BatchNorm2d(4, **kw), lib.ReLU(),
            lib.MaxPool2d(2), lib.Conv2d(4, 6, 3, stride=2, groups=2, bias=False, **kw),
            lib.GroupNorm(3, 6, **kw), lib.Sigmoid(), lib.AdaptiveAvgPool2d((2, 1)),
            lib.AvgPool2d((2, 1), stride=1), lib.Dropout(0.0), lib.Flatten(),
            lib.LayerNorm(6, **kw), lib.Linear(6, 2, **kw)))
    ours, theirs = both
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


def test_a_convolutional_network_is_torchs():
    torch = pytest.importorskip("torch")
    ours, theirs = networks()
    x = RNG.standard_normal((4, 3, 10, 8))
    for _ in range(3):
        y, t = ours(x), theirs(torch.tensor(x))
        same(y, t.detach().numpy())
        (y ** 2).sum().backward()
        (t ** 2).sum().backward()
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            same(p.grad, q.grad.numpy(), atol=1e-10, err_msg=name)
            p.data = p.data - 0.1 * p.grad
        with torch.no_grad():
            for q in theirs.parameters():
                q -= 0.1 * q.grad
        ours.zero_grad(), theirs.zero_grad()
    for name, b in ours.named_buffers():
        same(b, theirs.state_dict()[name].numpy(), err_msg=name)
    ours.eval(), theirs.eval()
    same(ours(x), theirs(torch.tensor(x)).detach().numpy())


def test_second_order_of_a_convolutional_network_is_torchs():
    torch = pytest.importorskip("torch")
    ours, theirs = networks()
    x = RNG.standard_normal((3, 3, 8, 8))
    g = tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(ours(x) ** 3))(x) ** 2))(x)
    leaf = torch.tensor(x, requires_grad=True)
    inner, = torch.autograd.grad((theirs(leaf) ** 3).sum(), leaf, create_graph=True)
    outer, = torch.autograd.grad((inner ** 2).sum(), leaf)
    same(g, outer.numpy(), rtol=1e-10, atol=1e-10 * np.abs(outer.numpy()).max())


def test_attention_is_torchs_to_second_order():
    torch = pytest.importorskip("torch")
    n, length, dim = 2, 5, 4
    x = RNG.standard_normal((n, length, dim))
    linears = [torch.nn.Linear(dim, dim, dtype=torch.float64) for _ in range(4)]
    norm = torch.nn.LayerNorm(dim, dtype=torch.float64)
    ours = [nn.Linear(dim, dim, **F64) for _ in linears]
    our_norm = nn.LayerNorm(dim, **F64)
    for a, b in zip([*ours, our_norm], [*linears, norm], strict=True):
        a.load_state_dict(b.state_dict())

    def attend(x, linears, norm, softmax, transposed):
        q, k, v = (f(x) for f in linears[:3])
        weights = softmax(q @ transposed(k) / dim ** 0.5, -1)
        return norm(x + linears[3](weights @ v))

    def loss(x):
        return np.sum(np.tanh(attend(x, ours, our_norm, tn.softmax,
                                     lambda k: np.swapaxes(k, 1, 2))) ** 2)

    def theirs(x):
        return (attend(x, linears, norm, torch.softmax,
                       lambda k: k.transpose(1, 2)).tanh() ** 2).sum()
    leaf = torch.tensor(x, requires_grad=True)
    inner, = torch.autograd.grad(theirs(leaf), leaf, create_graph=True)
    outer, = torch.autograd.grad((inner ** 2).sum(), leaf)
    same(loss(x), theirs(leaf).item())
    same(tn.grad(loss)(x), inner.detach().numpy())
    same(tn.grad(lambda x: np.sum(tn.grad(loss)(x) ** 2))(x), outer.numpy(), atol=1e-11)
    v = RNG.standard_normal(x.shape)
    _, want = torch.autograd.functional.hvp(theirs, torch.tensor(x), torch.tensor(v))
    same(tn.hvp(loss, x, v), want.numpy(), atol=1e-11)


def test_a_network_learns_shapes():
    """Vertical against horizontal bars."""
    x = np.zeros((64, 1, 8, 8), np.float32)
    for i in range(64):
        k = RNG.integers(0, 8)
        x[(i, 0, slice(None), k) if i % 2 else (i, 0, k)] = 1
    x += RNG.normal(0, 0.2, x.shape).astype(np.float32)
    t = (np.arange(64) % 2).astype(np.float32)[:, None]
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding="same", rng=0), nn.BatchNorm2d(4),
                          nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2, rng=1),
                          nn.Linear(64, 1, rng=2))
    opt = tn.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(60):
        loss = nn.binary_cross_entropy_with_logits(model(x), t)
        loss.backward()
        opt.step()
        opt.zero_grad()
    with tn.no_grad():
        assert ((model.eval()(x) > 0) == t).mean() > 0.95
    assert all(p.dtype == np.float32 for p in model.parameters())


@pytest.mark.parametrize("layer", [
    nn.Dropout(np.float64(0.5), rng=0), nn.LeakyReLU(np.float64(0.5)), nn.ELU(np.float64(0.5)),
    nn.BatchNorm1d(3, np.float64(0.5), np.float64(0.5)), nn.LayerNorm(3, np.float64(0.5)),
    nn.GroupNorm(1, 3, np.float64(0.5)), nn.Softmax(np.int64(1)),
    nn.Linear(np.int64(3), np.int64(3))], ids=repr)
def test_settings_that_are_numbers_of_numpys_do_not_promote(layer):
    x = RNG.standard_normal((4, 3)).astype(np.float32)
    for training in (True, False):
        y, tangent = tn.jvp(layer.train(training), (x,), (x,))
        assert layer(Tensor(x)).dtype == y.dtype == tangent.dtype == np.float32
    assert all(b.dtype == np.float32 for b in layer.buffers() if b.ndim)


def test_all_layers_stay_in_float32():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0), nn.BatchNorm2d(4), nn.ReLU(),
                          nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.MaxPool2d(2, 1),
                          nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5, rng=0),
                          nn.LayerNorm(16), nn.Linear(16, 2, rng=0), nn.BatchNorm1d(2))
    x = Tensor(RNG.standard_normal((4, 3, 12, 12)).astype(np.float32))
    y = x
    for layer in model:
        y = layer(y)
        assert y.dtype == np.float32, layer
    (y ** 2).sum().backward()
    assert x.grad.dtype == np.float32
    assert all(p.grad.dtype == np.float32 for p in model.parameters())
    model.eval()
    assert model(x).dtype == np.float32
    with tn.no_grad():
        assert model(x.data).dtype == np.float32
