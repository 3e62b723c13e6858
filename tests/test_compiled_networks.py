"""Compiled training steps: every layer, loss and optimiser, bit for bit."""

import copy
import functools

import numpy as np
import pytest
from compiling import agree, bits, everything, image_network, network

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim

RNG = np.random.default_rng


OPTIMISERS = {
    "SGD": functools.partial(optim.SGD, lr=0.1),
    "SGD, momentum": functools.partial(optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
    "SGD, Nesterov": functools.partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": functools.partial(optim.Adam, lr=0.01, weight_decay=0.01),
    "AdamW": functools.partial(optim.AdamW, lr=0.01),
    "RMSprop": functools.partial(optim.RMSprop, momentum=0.5),
    "Adagrad": functools.partial(optim.Adagrad, lr_decay=0.1),
}


def training(make, dtype, opt_name, wrap, steps, loss=nn.cross_entropy):
    """The losses and the state after some steps: Adam and its like, a schedule for each batch,
    dropout and batch norm together, with a last batch that is smaller."""
    rng = np.random.default_rng(0)
    model = make(dtype)
    opt = OPTIMISERS[opt_name](model.parameters())
    schedule = optim.OneCycleLR(opt, max_lr=0.05, total_steps=100,
                                cycle_momentum="SGD" not in opt_name and "Ada" not in opt_name)

    def step(x, t):
        value = loss(model(x), t)
        value.backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad()
        return value
    step = wrap(step)
    losses = []
    shape = (2, 8, 8) if make is image_network else (5,)
    for k in range(steps):
        n = 3 if k % 4 == 3 else 7
        x, t = rng.normal(size=(n, *shape)).astype(dtype), rng.integers(0, 3, n)
        losses.append(step(x, t).item())
        schedule.step()
    return losses, everything(model, opt)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("make", "opt"), [
    *((network, name) for name in OPTIMISERS if name != "RMSprop"), (image_network, "Adam")])
def test_training_is_bit_for_bit_the_same(make, opt, dtype):
    assert training(make, dtype, opt, tn.compile, 24) == training(
        make, dtype, opt, lambda step: step, 24)


IMAGES, ROWS_OF_5, INDICES = (3, 4, 6, 6), (3, 5), np.array([[0, 4, 2], [1, 1, 3]])
LAYERS = [
    (nn.Linear(5, 3, rng=0), ROWS_OF_5), (nn.Linear(5, 3, bias=False, rng=0), ROWS_OF_5),
    (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, rng=0), IMAGES),
    (nn.Conv2d(4, 2, (2, 3), dilation=2, padding="same", bias=False, rng=0), IMAGES),
    (nn.MaxPool2d(3, stride=2, padding=1), IMAGES), (nn.AvgPool2d(2, padding=1), IMAGES),
    (nn.AdaptiveAvgPool2d((4, 1)), IMAGES), (nn.BatchNorm2d(4), IMAGES),
    (nn.BatchNorm1d(5, momentum=0.5), ROWS_OF_5), (nn.BatchNorm1d(5, eps=0.1), ROWS_OF_5),
    (nn.GroupNorm(2, 4), IMAGES), (nn.LayerNorm((6, 6)), IMAGES),
    (nn.Dropout(0.4, rng=0), IMAGES), (nn.Embedding(5, 4, rng=0), INDICES),
    (nn.Embedding(5, 4, padding_idx=1, rng=0), INDICES),
    (nn.Flatten(), IMAGES), *((m, ROWS_OF_5) for m in (
        nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.LeakyReLU(0.2), nn.ReLU(), nn.SiLU(),
        nn.Sigmoid(), nn.Softmax(), nn.Softplus(), nn.Tanh()))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layer", "x"), LAYERS, ids=[repr(m) for m, _ in LAYERS])
def test_every_layer_learns_the_same(layer, x, dtype):
    def run(wrap):
        model, draws = copy.deepcopy(layer), RNG(0)
        for p in model.parameters():
            p.data = p.data.astype(dtype)
        scale = Tensor(np.ones((), dtype))
        opt = optim.Adam([*model.parameters(), scale], lr=0.1)

        @wrap
        def step(x, target):
            z = scale * model(x if x.dtype.kind == "i" else scale * x)
            loss = nn.mse_loss(z, np.broadcast_to(target, z.shape))
            loss.backward()
            opt.step()
            opt.zero_grad()
            return z, loss
        seen = []
        for k in range(5):
            model.train(k != 3)
            batch = x if isinstance(x, np.ndarray) else draws.normal(size=x).astype(dtype)
            seen.append(bits(step(batch, np.ones((), dtype))))
        return seen, everything(model, opt)
    assert run(tn.compile) == run(lambda f: f)


PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
LABELS = np.array([2, 0])
LOSSES = [
    (nn.cross_entropy, LABELS, {}), (nn.cross_entropy, LABELS, {"label_smoothing": 0.1}),
    (nn.cross_entropy, LABELS, {"weight": np.array([1.0, 2.0, 0.5]), "reduction": "sum"}),
    (nn.cross_entropy, PROBABILITIES, {"label_smoothing": 0.1}),
    (nn.nll_loss, LABELS, {}), (nn.nll_loss, LABELS, {"weight": np.array([1.0, 2.0, 0.5])}),
    (nn.binary_cross_entropy_with_logits, PROBABILITIES, {}),
    (nn.binary_cross_entropy, PROBABILITIES, {"reduction": "sum"}),
    (nn.hinge_loss, np.sign(PROBABILITIES - 0.25), {}), (nn.huber_loss, PROBABILITIES, {}),
    (nn.huber_loss, PROBABILITIES, {"delta": 0.3}), (nn.l1_loss, PROBABILITIES, {}),
    (nn.mse_loss, PROBABILITIES, {"reduction": "sum"})]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "t", "kwargs"), LOSSES, ids=str)
def test_every_loss_and_its_gradient(loss, t, kwargs, dtype):
    z = RNG(0).normal(size=(2, 3)).astype(dtype)
    t = t if t.dtype.kind == "i" else t.astype(dtype)

    def f(z, t):
        p = tn.sigmoid(z) if loss is nn.binary_cross_entropy else z
        return loss(p, t, **kwargs)
    agree(tn.value_and_grad(f), (z, t))
