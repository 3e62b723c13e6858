"""nn.summary: rows, totals, and that it leaves the model alone."""

import itertools

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn.models import CatClassifier


class Block(nn.Module):
    """Parameters of its own, a shared layer that is called twice, two outputs."""

    def __init__(self):
        self.linear = nn.Linear(4, 4, rng=0)
        self.scale = Tensor(np.ones(4, np.float32))
        self.register_buffer("calls", np.array(0))

    def forward(self, x):
        self.calls = self.calls + 1
        if self.training:
            raise AssertionError("in training mode")
        x = np.tanh(self.linear(self.linear(x)))
        return x * self.scale, np.sum(x, 1)


class Head(nn.Module):
    def forward(self, pair):
        return pair[0] + pair[1][:, None]


def model():
    return nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, Block(), Head())


def test_rows_and_totals():
    found = nn.summary(model(), (5, 3))
    assert [(r.name, r.layer, r.output_shape, r.parameters) for r in found.rows] == [
        ("0", "Linear(3, 4)", (5, 4), 16), ("2", "Block()", ((5, 4), (5,)), 4),
        ("2.linear", "Linear(4, 4)", (5, 4), 20), ("2.linear", "Linear(4, 4)", (5, 4), 0),
        ("3", "Head()", (5, 4), 0)]
    assert [r.multiply_adds for r in found.rows] == [60, 0, 80, 80, 0]
    assert [r.output_bytes for r in found.rows] == [80, 100, 80, 80, 80]
    assert found.parameters == 40 and found.frozen_parameters == 0
    assert found.parameter_bytes == 160 and found.output_bytes == 420
    assert found.multiply_adds == 220


def test_the_tutorials_network():
    found = nn.summary(CatClassifier(), (209, 12288))
    sizes = [12288, 20, 7, 5, 1]
    pairs = list(itertools.pairwise(sizes))
    assert found.parameters == sum(a * b + b for a, b in pairs)
    assert found.multiply_adds == 209 * sum(a * b for a, b in pairs)
    assert [r.name for r in found.rows] == [f"layers.{i}" for i in range(8)]


def test_the_model_is_left_as_it_was():
    net = model()
    net.train()
    net[0].eval()
    for p in net.parameters():
        p.grad = np.ones(p.shape, p.dtype)
    before, held = net.state_dict(), [id(p) for p in net.parameters()]
    nn.summary(net, (2, 3))
    assert net.training and net[2].training and not net[0].training
    assert [id(p) for p in net.parameters()] == held
    assert all(p.grad is not None and p.node is None for p in net.parameters())
    after = net.state_dict()
    assert all(np.array_equal(after[k], before[k]) for k in before)
    assert all("forward" not in vars(m) for m in net.modules())


def test_frozen_and_shared_parameters_are_counted_once():
    net = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=0))
    net[1].weight = net[0].weight
    net[1].freeze()
    found = nn.summary(net, (1, 3))
    assert found.parameters == 9 + 3 + 9 + 3 and found.frozen_parameters == 12
    net[1].unfreeze()
    found = nn.summary(net, (1, 3))
    assert found.parameters == 15 and [r.parameters for r in found.rows] == [12, 3]


def test_it_reads_as_a_table():
    text = str(nn.summary(CatClassifier((12288, 20, 1)), (1000, 12288)))
    assert repr(nn.summary(CatClassifier((12288, 20, 1)), (1000, 12288))) == text
    lines = text.splitlines()
    assert lines[0].split() == ["name", "layer", "output", "parameters", "memory",
                                "multiply-adds"]
    assert lines[2].split("  ")[-1].strip() == "245,760,000" and "80.0 kB" in lines[2]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == ("parameters 245,801 (0 frozen), 983.2 kB; outputs 168.0 kB; "
                         "multiply-adds 245,780,000")


def test_a_module_of_its_own_and_other_dtypes():
    found = nn.summary(nn.Linear(3, 2, dtype=np.float64), (4, 3), dtype=np.float64)
    assert found.rows[0].name == "" and found.rows[0].output_bytes == 64

    class Table(nn.Module):
        def __init__(self):
            self.weight = Tensor(np.ones((10, 4)))

        def forward(self, indices):
            return self.weight[indices]
    assert nn.summary(Table(), (2, 7), dtype=int).rows[0].output_shape == (2, 7, 4)


@pytest.mark.parametrize("shape", [3, (), None, (0, 3), (2.0, 3), "ab"])
def test_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match=r"input_shape is the shape of a batch.*got"):
        nn.summary(nn.Linear(3, 2), shape)


def test_an_input_that_does_not_fit_names_the_layer():
    with pytest.raises(tn.ShapeError, match=r"^0: Linear\(3, 4\) expects"):
        nn.summary(model(), (5, 7))
