"""An error within a module names the layer's path."""

import copy

import numpy as np
import pytest
from modules import X

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn


class Failing(nn.Module):
    def __init__(self, error):
        self.error = error

    def forward(self, x):
        raise self.error


def test_an_error_names_the_path_of_the_layer():
    class Outer(nn.Module):
        def __init__(self):
            self.body = {"tail": nn.Sequential(nn.ReLU(), nn.Linear(3, 2))}

        def forward(self, x):
            return self.body["tail"](x)
    with pytest.raises(tn.ShapeError, match=r"^body\.tail\.1: Linear\(3, 2\) expects inputs"):
        Outer()(np.ones((2, 5)))
    with pytest.raises(tn.ShapeError, match=r"^Linear\(3, 2\) expects inputs"):
        nn.Linear(3, 2)(np.ones((2, 5)))


@pytest.mark.parametrize("error", [
    tn.ShapeError("no"), tn.DataError("no", "a/b"), tn.NoRuleError("no"), ValueError("no"),
    TypeError("no"), IndexError("no"), AttributeError("no"), tn.NonFiniteError("no"),
    tn.DetachError("no")])
def test_an_error_keeps_its_type_and_gets_the_layers_name_once(error):
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Sequential(Failing(error))))
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            net(1.0)
        assert caught.value is error and str(error) == "1.0.0 (Failing()): no"
        error = copy.copy(error)
        error.args = ("no",)
        vars(error).pop("_layer", None)
        net[1][0][0].error = error
    if isinstance(error, tn.DataError):
        assert error.path == "a/b"


@pytest.mark.parametrize("error", [
    KeyError("k"), OSError(2, "no"), ValueError(1, 2), ValueError(), StopIteration(),
    UnicodeDecodeError("ascii", b"", 0, 1, "no")])
def test_other_errors_are_left_as_they_are(error):
    args = error.args
    with pytest.raises(type(error)):
        nn.Sequential(Failing(error))(1.0)
    assert error.args == args


def test_errors_of_the_engine_within_a_layer():
    class Product(nn.Module):
        def __init__(self):
            self.w = Tensor(np.ones((3, 2)))

        def forward(self, x):
            return x @ self.w
    net = nn.Sequential(np.tanh, Product())
    with pytest.raises(tn.ShapeError, match=r"^1 \(Product\(\)\): np\.matmul: shapes"):
        net(np.ones((2, 5)))
    net = nn.Sequential(np.tanh, nn.Module())
    with pytest.raises(NotImplementedError, match=r"^1 \(Module\(\)\): Module does not define"):
        net(X)

    class Root(nn.Module):
        def forward(self, x):
            return np.sqrt(self.shift + x)

        def __init__(self):
            self.shift = Tensor(np.zeros(()))
    with tn.debug_nans(), np.errstate(all="ignore"), pytest.raises(
            tn.NonFiniteError, match=r"^0 \(Root\(\)\): np\.sqrt in .* gave nan"):
        nn.Sequential(Root())(-1.0)


@pytest.mark.parametrize("layer", [nn.Linear(2, 1), nn.LayerNorm(2), nn.BatchNorm1d(2)])
def test_a_list_in_place_of_an_array_names_the_layer(layer):
    with pytest.raises(AttributeError) as error:
        nn.Sequential(layer)([[1.0, 2.0], [3.0, 5.0]])
    assert str(error.value).startswith(f"0 ({layer!r}): 'list' object has no attribute")


def test_a_subclass_of_a_layer_that_forgot_super_init_says_so():
    class Half(nn.Linear):
        def __init__(self):
            self.more = 1
    with pytest.raises(AttributeError, match=r"^0 \(Half\): 'Half' object has no attribute "
                       r"'weight': does Half\.__init__ call super\(\)\.__init__\(…\)\?$"):
        nn.Sequential(Half())(X)
    assert not hasattr(nn.Sequential(Half()), "more") and copy.deepcopy(Half()).more == 1
    with pytest.raises(AttributeError, match=r"^'Linear' object has no attribute 'wieght'$"):
        nn.Linear(3, 2).wieght  # noqa: B018


def test_a_layer_that_is_no_attribute_is_passed_over():
    hidden = nn.Linear(3, 2)
    net = nn.Sequential(nn.Sequential(lambda x: hidden(x)))
    with pytest.raises(tn.ShapeError, match=r"^0: Linear\(3, 2\) expects"):
        net(np.ones((2, 5)))
