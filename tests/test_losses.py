"""Losses: naive loops, gradients to second order, errors, and PyTorch as an oracle.

Of the two binary cross-entropies the tests of values and stability are in `test_nn`.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn

A = np.array
REDUCTIONS = ("mean", "sum", "none")


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-14, **kw})


def reduce(losses, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


# ---------------------------------------------------------------- two arrays of one shape

def huber(x, t, delta=1.0):
    d = abs(x - t)
    return d * d / 2 if d <= delta else delta * (d - delta / 2)


PAIRS = {  # name: (loss, the loss of one pair of numbers, how targets are drawn)
    "mse_loss": (nn.mse_loss, lambda x, t: (x - t) ** 2, "normal"),
    "l1_loss": (nn.l1_loss, lambda x, t: abs(x - t), "normal"),
    "huber_loss": (nn.huber_loss, huber, "normal"),
    "huber_loss, 0.3": (lambda x, t, reduction="mean": nn.huber_loss(x, t, reduction, 0.3),
                        lambda x, t: huber(x, t, 0.3), "normal"),
    "hinge_loss": (nn.hinge_loss, lambda x, t: max(0.0, 1 - t * x), "sign"),
    "binary_cross_entropy": (nn.binary_cross_entropy, lambda p, t: -(
        t * math.log(p) + (1 - t) * math.log(1 - p)), "unit"),
    "binary_cross_entropy_with_logits": (
        nn.binary_cross_entropy_with_logits, lambda z, t: math.log(
            1 + math.exp(-abs(z))) + max(z, 0) - z * t, "unit"),
}


def drawn(name, shape=(4, 3), seed=0):
    rng, kind = np.random.default_rng(seed), PAIRS[name][2]
    x = rng.uniform(0.05, 0.95, shape) if name == "binary_cross_entropy" else (
        rng.normal(0, 2, shape))
    t = {"normal": rng.normal(0, 2, shape), "unit": rng.uniform(0, 1, shape),
         "sign": rng.choice([-1.0, 1.0], shape)}[kind]
    return x, t


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_pairs_are_their_definition(name, reduction):
    loss, one, _ = PAIRS[name]
    for shape in ((4, 3), (5,), (), (2, 1, 3)):
        x, t = drawn(name, shape)
        each = np.reshape([one(a, b) for a, b in zip(x.ravel(), t.ravel(), strict=True)], shape)
        same(loss(x, t, reduction=reduction), reduce(each, reduction))
        y = loss(Tensor(x.astype(np.float32)), t, reduction=reduction)
        assert isinstance(y, Tensor) and y.dtype == np.float32
        assert y.shape == (shape if reduction == "none" else ())
    same(loss(x, t), np.mean(each))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_gradients_by_predictions_and_targets(name, reduction):
    loss, _, kind = PAIRS[name]
    x, t = drawn(name)
    assert tn.gradcheck(lambda x: loss(x, t, reduction=reduction), x, order=2)
    if kind == "normal":
        assert tn.gradcheck(lambda x, t: loss(x, t, reduction=reduction), x, t, order=2)


def test_kinks():
    x = A([1.0, 2.0])
    same(tn.grad(lambda x: nn.l1_loss(x, A([1.0, 0.0])))(x), [0, 0.5])
    same(tn.grad(lambda x: nn.hinge_loss(x, A([1, 1])))(x), [0, 0])
    same(tn.grad(lambda x: nn.huber_loss(x, A([0.0, 0.0]), "sum"))(x), [1, 1])


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("x", "t"), [((5, 1), (5,)), ((5,), (5, 1)), ((5,), ()), ((), (1,)),
                                      ((5, 1), (1, 1)), ((2, 3), (3, 2))])
def test_losses_never_broadcast(name, x, t):
    loss = PAIRS[name][0]
    for target in (np.ones(t), np.ones(t).tolist(), Tensor(np.ones(t))):
        with pytest.raises(tn.ShapeError, match=name.partition(",")[0]) as error:
            loss(Tensor(np.full(x, 0.5)), target)
        assert f"{x} and targets of shape {t}" in str(error.value)


@pytest.mark.parametrize("name", PAIRS)
def test_an_empty_batch_and_other_reductions(name):
    loss = PAIRS[name][0]
    with pytest.raises(tn.ShapeError, match=r"the mean over an empty batch, of shape \(0, 2\)"):
        loss(np.zeros((0, 2)), np.zeros((0, 2)))
    assert loss(np.zeros((0, 2)), np.zeros((0, 2)), reduction="sum") == 0
    assert loss(np.zeros((0, 2)), np.zeros((0, 2)), reduction="none").shape == (0, 2)
    with pytest.raises(ValueError, match=r"reduction='average', expected 'mean', 'sum'"):
        loss(A([0.5]), A([1.0]), reduction="average")


@pytest.mark.parametrize("loss", [nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits])
@pytest.mark.parametrize("wrong", [-0.1, 1.001, 255.0, np.nan, np.inf])
def test_targets_outside_0_to_1(loss, wrong):
    t = A([[0.0], [wrong], [1.0]])
    for target in (t, Tensor(t)):
        with pytest.raises(ValueError, match=rf"{loss.__name__}: targets must lie in 0\.\.1, "
                           r"got .* at index \(1, 0\)"):
            loss(np.full((3, 1), 0.5), target)
    assert loss(A([0.5, 0.5]), [0, 1]) > 0


def test_probabilities_outside_0_to_1():
    with pytest.raises(ValueError, match=r"predictions must lie in 0\.\.1, got -3.0 at index "
                       r"\(0,\); logits go into binary_cross_entropy_with_logits"):
        nn.binary_cross_entropy(Tensor([-3.0, 0.5]), [0, 1])
    assert np.isnan(nn.binary_cross_entropy(A([np.nan, 0.5]), [0, 1]))


@pytest.mark.parametrize(("wrong", "value"), [([0, 1, 1], "0.0"), ([1, -1, 2], "2.0"),
                                              ([1, 1, np.nan], "nan")])
def test_hinge_targets(wrong, value):
    with pytest.raises(ValueError, match=rf"must be -1 or 1, got {value} at .*2 \* t - 1"):
        nn.hinge_loss(np.zeros(3), wrong)


@pytest.mark.parametrize("delta", [0, -1.0, np.nan])
def test_huber_delta(delta):
    with pytest.raises(ValueError, match="delta must be positive"):
        nn.huber_loss(np.zeros(2), np.zeros(2), delta=delta)


def test_settings_of_double_precision_do_not_promote():
    z, one = Tensor(np.zeros((2, 3), np.float32)), np.float64(1.0)
    x = z[:, 0]
    for loss in (nn.huber_loss(x, np.ones(2), delta=one), nn.cross_entropy(
            z, [0, 1], weight=np.ones(3), label_smoothing=one / 8), nn.cross_entropy(
            z, np.full((2, 3), 1 / 3), weight=np.ones(3), label_smoothing=one / 8),
            nn.mse_loss(x, np.ones(2)), nn.nll_loss(z, [0, 1], weight=np.ones(3)),
            tn.leaky_relu(x, one), tn.elu(x, one)):
        assert loss.dtype == np.float32
    for f in (tn.leaky_relu, tn.elu):
        assert tn.jvp(lambda x, f=f: f(x, one), (x.data,), (x.data,))[1].dtype == np.float32


def test_lists_and_integers_are_predictions_too():
    assert nn.mse_loss([1, 2], [1, 4]) == 2.0
    assert nn.l1_loss(A([1, 2]), [0.5, 2]) == 0.25
    same(nn.cross_entropy([[0, 0]], [1]), np.log(2))


# ---------------------------------------------------------------- classes, by loops

def by_loops(z, t, weight=None, reduction="mean", smoothing=0.0):
    """Cross-entropy one prediction after another, as its definition says."""
    n, c, *rest = z.shape
    w = np.ones(c) if weight is None else weight
    losses, total = np.zeros((n, *rest)), 0.0
    for i in np.ndindex(n, *rest):
        at = (i[0], slice(None), *i[1:])
        logp = z[at] - max(z[at]) - math.log(sum(math.exp(v - max(z[at])) for v in z[at]))
        if t.shape == z.shape:
            target = (1 - smoothing) * t[at] + smoothing / c
            total += 1
        else:
            target = (1 - smoothing) * np.eye(c)[t[i]] + smoothing / c
            total += w[t[i]]
        losses[i] = -sum(target * w * logp)
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / total}[reduction]


SHAPES = [(5, 4), (1, 1), (3, 4, 2), (2, 3, 2, 2), (2, 3, 1)]
CASES = list(itertools.product(REDUCTIONS, (False, True), (0.0, 0.1, 1.0)))


def problem(shape, probabilities, seed=0):
    rng = np.random.default_rng(seed)
    n, c, *rest = shape
    if probabilities:
        t = rng.uniform(0.1, 1, shape)
        t /= t.sum(1, keepdims=True)
    else:
        t = rng.integers(0, c, (n, *rest))
    return rng.normal(0, 2, shape), t, rng.uniform(0.2, 2, c)


@pytest.mark.parametrize(("reduction", "weighted", "smoothing"), CASES)
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_is_its_definition(shape, probabilities, reduction, weighted, smoothing):
    z, t, w = problem(shape, probabilities)
    w = w if weighted else None
    want = by_loops(z, t, w, reduction, smoothing)
    got = nn.cross_entropy(z, t, w, reduction, smoothing)
    same(got, want)
    assert np.shape(got) == np.shape(want)
    single = nn.cross_entropy(Tensor(z.astype(np.float32)), t, w, reduction, smoothing)
    assert isinstance(single, Tensor) and single.dtype == np.float32
    same(single.data, want, rtol=1e-5, atol=1e-6)
    same(nn.cross_entropy(z[::-1], t[::-1], w, reduction, smoothing),
         want[::-1] if reduction == "none" else want)


@pytest.mark.parametrize(("reduction", "weighted", "smoothing"), CASES)
@pytest.mark.parametrize("shape", SHAPES[::2])
def test_gradients_of_cross_entropy(shape, reduction, weighted, smoothing):
    z, t, w = problem(shape, False)
    w = w if weighted else None
    assert tn.gradcheck(lambda z: nn.cross_entropy(z, t, w, reduction, smoothing), z, order=2)
    z, t, _ = problem(shape, True)
    assert tn.gradcheck(lambda z, t: nn.cross_entropy(z, t, w, reduction, smoothing), z, t,
                        order=2)


@given(st.integers(1, 5), st.integers(1, 6), st.lists(st.integers(1, 3), max_size=2),
       st.integers(0, 2 ** 16), st.sampled_from([1.0, 30.0, 1e4]))
@settings(max_examples=30, deadline=None)
def test_the_gradient_is_softmax_minus_one_hot(n, c, rest, seed, size):
    z, t, _ = problem((n, c, *rest), False, seed)
    z = z * size
    w = Tensor(z)
    nn.cross_entropy(w, t).backward()
    hot = np.moveaxis(np.eye(c)[t], -1, 1)
    same(w.grad, (tn.softmax(z, axis=1) - hot) / t.size, atol=1e-15)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_nll_loss_of_log_probabilities_is_cross_entropy(shape, weighted, reduction):
    z, t, w = problem(shape, False)
    w = w if weighted else None
    y = tn.log_softmax(z, axis=1)
    same(nn.nll_loss(y, t, w, reduction), nn.cross_entropy(z, t, w, reduction))
    assert tn.gradcheck(lambda z: nn.nll_loss(tn.log_softmax(z, axis=1), t, w, reduction), z,
                        order=2)


def test_what_nll_does_not_pick_has_no_part_in_the_gradient():
    p = Tensor([[0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        nn.nll_loss(np.log(p), [0]).backward()
    same(p.grad, [[-2, 0, 0]])


def test_extreme_logits():
    z = A([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    w = Tensor(z)
    with tn.debug_nans():
        loss = nn.cross_entropy(w, [1, 2], reduction="sum")
        loss.backward()
    same(loss.data, 2e4 + np.log(2))
    same(w.grad, [[1, -1, 0], [0, 0.5, -0.5]])
    w = Tensor(A([[0.0, -np.inf, 0.0]]))                    # a class that was ruled out
    nn.cross_entropy(w, [0]).backward()
    same(w.grad, [[-0.5, 0, 0.5]])


def test_labels_may_be_of_any_integer_type_and_layout():
    z, t, w = problem((6, 200, 30), False)
    want = nn.cross_entropy(z, t, w.repeat(1))
    for kind in (np.uint8, np.int16, np.int32, np.uint64):
        same(nn.cross_entropy(z, t.astype(kind), w), want)
    same(nn.cross_entropy(z, t.tolist(), w.tolist()), want)
    same(nn.cross_entropy(np.asfortranarray(z), np.asfortranarray(t), w), want)
    one_hot = np.moveaxis(np.eye(200, dtype=int)[t], -1, 1)
    same(nn.cross_entropy(z, one_hot), nn.cross_entropy(z, t))


def test_a_changed_label_array_does_not_disturb_the_gradient():
    z, t, _ = problem((5, 4), False)
    w, labels = Tensor(z), t.copy()
    loss = nn.cross_entropy(w, labels)
    labels[:] = 0
    loss.backward()
    same(w.grad, (tn.softmax(z) - np.eye(4)[t]) / 5)


# ---------------------------------------------------------------- errors

Z = np.zeros((3, 4))


@pytest.mark.parametrize(("z", "t", "error", "sentence"), [
    (Z, [0, 4, 1], ValueError, r"labels must lie in 0\.\.3, the number of classes is 4, got 4 "
     r"at index \(1,\)"),
    (Z, [0, 1, -1], ValueError, r"got -1 at index \(2,\)"),
    (Z, [0.0, 1.0, 2.0], TypeError, r"labels must be integers, got dtype float64: \.astype"),
    (Z, [True, False, True], TypeError, "labels must be integers, got dtype bool"),
    (Z, np.zeros((3, 5)), tn.ShapeError, r"labels of shape \(3,\) or probabilities \(3, 4\), "
     r"got shape \(3, 5\)"),
    (Z, np.zeros((3, 1), int), tn.ShapeError, r"labels of shape \(3,\).*got shape \(3, 1\)"),
    (Z, [0, 1], tn.ShapeError, r"predictions of shape \(3, 4\).*got shape \(2,\)"),
    (Z, np.full((3, 4), 1.5), ValueError, r"target probabilities must lie in 0\.\.1, got 1\.5"),
    (np.zeros((2, 4, 5)), np.zeros(2, int), tn.ShapeError, r"labels of shape \(2, 5\)"),
    (np.zeros(4), 1, tn.ShapeError, r"predictions are \(N, C\) or .*got shape \(4,\)"),
    (np.zeros((3, 0)), [0, 0, 0], tn.ShapeError, "at least one class"),
    (np.zeros((0, 4)), np.zeros(0, int), tn.ShapeError, "the mean over an empty batch"),
])
def test_cross_entropy_refuses(z, t, error, sentence):
    for predictions in (z, Tensor(z)):
        with pytest.raises(error, match=f"cross_entropy: .*{sentence}"):
            nn.cross_entropy(predictions, t)


@pytest.mark.parametrize(("keywords", "error", "sentence"), [
    ({"label_smoothing": 1.1}, ValueError, r"label_smoothing must lie in 0\.\.1, got 1\.1"),
    ({"label_smoothing": -0.1}, ValueError, r"label_smoothing must lie in 0\.\.1, got -0\.1"),
    ({"weight": np.ones(3)}, tn.ShapeError, r"weight has a factor for each of the 4 "
     r"classes, shape \(4,\), got shape"),
    ({"reduction": None}, ValueError, "reduction=None, expected 'mean', 'sum' or 'none'")])
@pytest.mark.parametrize("t", [A([0, 1, 2]), np.full((3, 4), 0.25)], ids=["labels", "shares"])
def test_cross_entropy_refuses_settings(t, keywords, error, sentence):
    with pytest.raises(error, match=f"cross_entropy: {sentence}"):
        nn.cross_entropy(Z, t, **keywords)


def test_nll_loss_refuses():
    with pytest.raises(tn.ShapeError, match=r"nll_loss: .* labels of shape \(3,\), got shape "
                       r"\(3, 4\)"):
        nn.nll_loss(Z, Z)
    with pytest.raises(ValueError, match=r"nll_loss: labels must lie in 0\.\.3"):
        nn.nll_loss(Z, [0, 1, 9])
    with pytest.raises(tn.ShapeError, match="nll_loss: weight has a factor"):
        nn.nll_loss(Z, [0, 1, 2], weight=[1.0])


# ---------------------------------------------------------------- PyTorch

@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def agree(torch, ours, theirs, x, *more):
    """Values, gradients and a second derivative of a fixed projection, to 1e-10."""
    t = torch.tensor(x, requires_grad=True)
    y = theirs(t, *map(torch.tensor, more))
    w = np.random.default_rng(1).normal(size=tuple(y.shape))
    g, = torch.autograd.grad((y * torch.tensor(w)).sum(), t, create_graph=True)

    def first(x):
        return tn.grad(lambda x: np.sum(ours(x, *more) * w))(x)
    pairs = [(ours(x, *more), y), (first(x), g)]
    if g.requires_grad:
        h, = torch.autograd.grad((g ** 2).sum(), t)
        pairs.append((tn.grad(lambda x: np.sum(first(x) ** 2))(x), h))
    for got, want in pairs:
        same(got, want.detach().numpy(force=True), rtol=1e-10, atol=1e-10)
    tensor = Tensor(x)
    np.sum(ours(tensor, *more) * w).backward()
    same(tensor.grad, g.detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_pytorch_agrees_on_losses_of_pairs(torch, name, reduction):
    base, _, delta = name.partition(", ")
    keywords = {"delta": float(delta)} if delta else {}
    theirs = getattr(torch.nn.functional, base, None) or (      # PyTorch has no such hinge
        lambda x, t, reduction: {"mean": torch.mean, "sum": torch.sum, "none": torch.clone}[
            reduction]((1 - t * x).relu()))
    x, t = drawn(name)
    agree(torch, lambda x, t: getattr(nn, base)(x, t, reduction=reduction, **keywords),
          lambda x, t: theirs(x, t, reduction=reduction, **keywords), x, t)


@pytest.mark.parametrize(("reduction", "weighted", "smoothing"), CASES)
@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_pytorch_agrees_on_cross_entropy(torch, shape, probabilities, reduction, weighted,
                                         smoothing):
    z, t, w = problem(shape, probabilities)
    weight = torch.tensor(w) if weighted else None
    agree(torch, lambda z, t: nn.cross_entropy(z, t, w if weighted else None, reduction,
                                               smoothing),
          lambda z, t: torch.nn.functional.cross_entropy(
              z, t, weight, reduction=reduction, label_smoothing=smoothing), z, t)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_pytorch_agrees_on_nll_loss(torch, shape, weighted, reduction):
    z, t, w = problem(shape, False)
    weight = torch.tensor(w) if weighted else None
    agree(torch, lambda z, t: nn.nll_loss(tn.log_softmax(z, axis=1), t,
                                          w if weighted else None, reduction),
          lambda z, t: torch.nn.functional.nll_loss(
              torch.log_softmax(z, 1), t, weight, reduction=reduction), z, t)
