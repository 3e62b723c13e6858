"""What `fit`, `evaluate` and `predict` refuse, and what they say."""

import functools

import numpy as np
import pytest
from fitting import LABELS, Loader, X, fit, plain

import tinygrad_nn as tn
from tinygrad_nn import nn, optim, train


@pytest.mark.parametrize(("change", "kind", "sentence"), [
    ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    ({"epochs": -3}, ValueError, "epochs must be at least 1, got -3"),
    ({"epochs": 1.5}, TypeError, "epochs must be a whole number, got 1.5"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1"),
    ({"validation": (X, LABELS), "validation_steps": 0}, ValueError, "validation_steps must"),
    ({"validation_steps": 1}, ValueError, "without validation data"),
    ({"metrics": ["acuracy"]}, ValueError, "there is no metric 'acuracy'; there are accuracy"),
    ({"metrics": "accuracy"}, TypeError, "metrics takes a list"),
    ({"metrics": {"loss": train.accuracy}}, ValueError, "'loss' is reported anyway"),
    ({"metrics": {"one": lambda y, t: 1.0}}, tn.ShapeError,
     r"the metric one gave shape \(\) for 32 samples"),
    ({"data": (X, LABELS[:3])}, tn.ShapeError, "50 samples .* and 3 targets"),
    ({"data": (X[:0], LABELS[:0])}, tn.DataError, "the arrays are empty"),
    ({"data": []}, tn.DataError, "there is no batch at all: .* drop_last"),
    ({"data": [X]}, TypeError, r"a batch must be a pair \(x, t\), got a ndarray"),
    ({"data": [(X, LABELS, X)]}, TypeError, "got a tuple of 3"),
    ({"data": 3}, TypeError, "expected two arrays .* got int"),
    ({"data": iter([(X, LABELS)])}, tn.DataError, "no batch in pass 2: an iterator"),
    ({"loss": functools.partial(nn.cross_entropy, reduction="none")}, tn.ShapeError,
     r"gave an array of shape \(32,\): it must be one number"),
    ({"loss": lambda y, t: nn.cross_entropy(y.data, t)}, tn.GraphError, "gave a plain number"),
    ({"callbacks": [print]}, TypeError, "callbacks must be Callbacks, got builtin"),
    ({"validation": (X[:, :2], LABELS)}, tn.ShapeError,
     r"validation: samples of shape \(50, 2\), those of the training data have \(50, 4\)"),
    ({"validation": (X, np.eye(3)[LABELS])}, tn.ShapeError, "validation: targets of shape"),
    ({"validation": (X, LABELS + 1)}, tn.DataError, "validation: it holds class 3, of which"),
    ({"validation": (X[:0], LABELS[:0])}, tn.DataError, "validation: the arrays are empty"),
    ({"validation": []}, tn.DataError, "validation: there is no batch"),
    ({"validation": iter([(X, LABELS)])}, TypeError, "an iterator only once"),
    ({"validation": [(X, LABELS + 1)]}, ValueError, "validation: cross_entropy: labels must"),
    ({"validation": [(X[:, :2], LABELS)]}, tn.ShapeError, "validation: 0: .*expects inputs"),
])
def test_what_is_wrong_is_said_and_nothing_is_learnt(change, kind, sentence):
    model = plain()
    before = model.state_dict()
    learns = change.get("data").__class__.__name__ == "list_iterator"
    with pytest.raises(kind, match=sentence):
        fit(model, **change)
    if not learns:
        np.testing.assert_equal(model.state_dict(), before)


def test_integers_that_are_no_classes_may_be_new_in_validation():
    class First(nn.Module):
        def __init__(self):
            self.w = tn.Tensor(np.ones(4, np.float32))

        def forward(self, x):
            return x @ self.w
    fit(First(), (X, LABELS), nn.mse_loss, validation=(X, LABELS + 7))


def test_data_that_are_gone_through_are_not_asked_for_more():
    asked = []

    class Counting:
        def __iter__(self):
            asked.append(True)
            return iter([(X, LABELS)])
    fit(plain(), Counting(), epochs=3)
    assert len(asked) == 3


def test_classes_of_loaders_must_agree():
    class Folder(Loader):
        def __init__(self, *classes):
            super().__init__()
            self.classes = classes
    with pytest.raises(tn.DataError, match=r"its classes are cat, fish; .* cat, dog; both"):
        fit(plain(), Folder("cat", "dog"), validation=Folder("cat", "fish"))
    fit(plain(), Folder("cat", "dog"), validation=Folder("cat", "dog"), epochs=1)


def test_model_and_optimiser_must_be_what_they_are_and_fit():
    model = plain()
    with pytest.raises(TypeError, match="fit takes a module, got function"):
        train.fit(lambda x: x, (X, LABELS), nn.mse_loss, optim.SGD(model.parameters()), 1)
    with pytest.raises(TypeError, match="fit takes an optimiser of optim, got float"):
        train.fit(model, (X, LABELS), nn.mse_loss, 0.1, 1)
    with pytest.raises(ValueError, match="holds none of this model's parameters"):
        train.fit(model, (X, LABELS), nn.mse_loss, optim.SGD(plain().parameters()), 1)


@pytest.mark.parametrize(("metric", "y", "t", "sentence"), [
    (train.accuracy, np.zeros((3, 1)), np.zeros(3, int), "binary_accuracy"),
    (train.accuracy, np.zeros(3), np.zeros(3, int), "two classes or more"),
    (train.accuracy, np.zeros((3, 2)), np.zeros((3, 1), int), r"labels have shape \(3,\)"),
    (train.binary_accuracy, np.zeros((3, 1)), np.zeros(3), "reshape the targets"),
])
def test_metrics_refuse_shapes_that_would_broadcast(metric, y, t, sentence):
    with pytest.raises(tn.ShapeError, match=sentence):
        metric(y, t)
