"""Averages and metrics of `fit` and `evaluate`."""

import functools

import numpy as np
import pytest
from derivatives import same
from fitting import LABELS, Loader, X, equal_models, fit, network, plain

from tinygrad_nn import nn, train


@pytest.mark.parametrize("batch_size", [1, 7, 32, 50, 1000, None])
def test_evaluate_does_not_depend_on_how_the_data_were_cut(batch_size):
    model = network().eval()
    y = model(X).data
    want = {"loss": float(nn.cross_entropy(y.astype(np.float64), LABELS)),
            "accuracy": float(np.mean(y.argmax(1) == LABELS))}
    got = train.evaluate(model, (X, LABELS), nn.cross_entropy, ["accuracy"],
                         batch_size=batch_size)
    assert got["accuracy"] == want["accuracy"]
    np.testing.assert_allclose(got["loss"], want["loss"], rtol=1e-6)


def test_validation_is_the_evaluation_at_the_end_of_each_epoch():
    rows = []

    class Evaluating(train.Callback):
        def on_epoch(self, run):
            rows.append(train.evaluate(run.model, (X[:9], LABELS[:9]), nn.cross_entropy,
                                       ["accuracy"], batch_size=4))
    history = fit(network(), validation=(X[:9], LABELS[:9]), metrics=["accuracy"], epochs=3,
                  callbacks=[Evaluating()])
    assert history["val_accuracy"] == [row["accuracy"] for row in rows]
    np.testing.assert_allclose(history["val_loss"], [row["loss"] for row in rows], rtol=1e-6)
    assert list(history[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"]


def test_validation_does_not_change_the_training():
    a, b = network(), network()
    fit(a)
    fit(b, validation=Loader(), validation_steps=1)
    equal_models(a, b)


def test_accuracies():
    y = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [np.nan, 0.0, 1.0]])
    same(train.accuracy(y, np.array([1, 2, 0])), np.array([True, False, False]))
    same(train.accuracy(y, np.eye(3)[[1, 0, 0]]), np.array([True, True, False]))
    images = np.moveaxis(np.stack([y[:2], y[:2]]), 2, 1)                    # (2, 3, 2)
    same(train.accuracy(images, np.array([[1, 1], [0, 0]])),
         np.array([[True, False], [False, True]]))
    p, t = np.array([[0.2], [0.7], [np.nan], [0.5]]), np.array([[0], [1], [0], [0]])
    same(train.binary_accuracy(p, t), np.array([[True], [True], [False], [True]]))
    same(train.binary_accuracy_with_logits(p - 0.5, 2 * t - 1),
         np.array([[True], [True], [False], [True]]))


@pytest.mark.parametrize(("loss", "right"), [
    (nn.binary_cross_entropy, [0, 0, 1]),
    (nn.binary_cross_entropy_with_logits, [1, 1, 1]),
    (functools.partial(nn.binary_cross_entropy_with_logits, reduction="mean"), [1, 1, 1]),
])
def test_accuracy_is_the_one_that_fits_the_loss(loss, right):
    class Given(nn.Module):
        def forward(self, x):
            return x
    x = np.array([0.1, 0.4, 0.9])
    t = np.ones(3)
    got = train.evaluate(Given(), (x, t), loss, ["accuracy"])
    assert got["accuracy"] == np.mean(right)


def test_metrics_of_ones_own_by_name():
    model = plain()
    got = train.evaluate(model, (X, LABELS), nn.cross_entropy, {
        "top": lambda y, t: np.max(y, axis=1), "right": "accuracy"}, batch_size=7)
    np.testing.assert_allclose(got["top"], np.mean(np.max(model(X).data, 1)), rtol=1e-6)
    assert set(got) == {"loss", "top", "right"}


def test_the_mean_is_over_elements_where_there_are_several_a_sample():
    t = np.stack([LABELS, LABELS], axis=1)

    class Twice(nn.Module):
        def forward(self, x):
            return np.stack([x[:, :3], -x[:, :3]], axis=2)
    got = train.evaluate(Twice(), (X, t), nn.cross_entropy, ["accuracy"], batch_size=7)
    y = Twice()(X)
    assert got["accuracy"] == np.mean(np.argmax(y, 1) == t)
