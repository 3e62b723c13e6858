"""Module: what belongs to it, modes, buffers, state."""


import numpy as np
import pytest
from modules import BUFFERS, NAMES, Net, Norm, X, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn

A = np.array


# ---------------------------------------------------------------- what belongs to it

def test_lists_and_dicts_are_looked_into():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert all(isinstance(p, Tensor) for p in net.parameters())
    assert [n for n, _ in net.named_buffers()] == BUFFERS
    assert [type(b) for b in net.buffers()] == [np.ndarray] * 2
    names = [n for n, _ in net.named_modules()]
    assert names == ["", "first", "blocks.0", "blocks.1.deep.0"]
    assert net.modules()[0] is net and net.modules()[2] is net.blocks[0]
    assert net.children() == [net.first, net.blocks[0], net.blocks[1]["deep"][0]]
    assert nn.Sequential(net).children() == [net]


@pytest.mark.parametrize("call_super", [False, True])
def test_super_init_makes_no_difference(call_super):
    class Model(nn.Module):
        def __init__(self):
            if call_super:
                super().__init__()
            self.layer = Norm()

        def forward(self, x):
            return self.layer(x)
    model, other = Model(), Model()
    assert model.training and list(dict(model.named_parameters())) == ["layer.weight"]
    model.eval().freeze()
    model.register_buffer("extra", np.ones(1))
    assert other.training and other.layer.training and len(other.parameters()) == 1
    assert "extra" not in other.state_dict() and "extra" not in nn.Module().state_dict()
    assert nn.Module.training is True and nn.Module().parameters() == []


@pytest.mark.parametrize("value", [Tensor(np.ones(2)), nn.ReLU()])
def test_a_parameter_or_layer_of_the_class_is_refused(value):
    with pytest.raises(TypeError, match=rf"Net\.part is a {type(value).__name__} of the class"):
        type("Net", (nn.Module,), {"part": value})


def test_a_module_that_is_part_of_itself_says_so():
    net = nn.Sequential(nn.ReLU())
    net[0].parents = [net]
    with pytest.raises(tn.GraphError, match=r"0\.parents\.0 is a module that it is itself"):
        net.parameters()


def test_keywords_reach_forward():
    class Masked(nn.Module):
        def forward(self, x, *, mask=None):
            return x if mask is None else x * mask
    assert Masked()(2.0, mask=3.0) == 6.0


# ---------------------------------------------------------------- modes

def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    net.blocks[0].eval()
    assert net.training and not net.again.training
    with pytest.raises(TypeError, match=r"train\(mode\) takes True or False, got list"):
        net.train([1])


def test_a_layer_that_stays_in_evaluation():
    class Fixed(Norm):
        def train(self, mode=True):
            return super().train(False)
    net = nn.Sequential(Fixed(), nn.ReLU()).train()
    assert not net[0].training and net[1].training and net.training


# ---------------------------------------------------------------- buffers

def test_buffers_are_state_and_no_parameters():
    layer = Norm()
    layer(A([[2.0, 4.0], [4.0, 8.0]]))
    same(layer.running_mean, [1.5, 3.0])
    state = layer.state_dict()
    assert list(state) == ["weight", "running_mean", "num_batches_tracked"]
    assert state["num_batches_tracked"].dtype == np.int64
    assert state["num_batches_tracked"].shape == () and state["num_batches_tracked"] == 1
    state["running_mean"][:] = 9
    same(layer.running_mean, [1.5, 3.0])
    other = Norm()
    other.load_state_dict(state)
    same(other.running_mean, [9, 9])
    assert other.num_batches_tracked == 1 and other.num_batches_tracked.dtype == np.int64


@pytest.mark.parametrize(("name", "array", "error", "sentence"), [
    ("a.b", np.ones(1), ValueError, "must be an identifier, got 'a.b'"),
    (3, np.ones(1), ValueError, "must be an identifier, got 3"),
    ("weight", np.ones(1), ValueError, "Norm has an attribute weight already"),
    ("forward", np.ones(1), ValueError, "Norm has an attribute forward already"),
    ("fresh", Tensor(np.ones(1)), tn.DetachError, "buffer fresh must be a plain array")])
def test_register_buffer_refuses(name, array, error, sentence):
    with pytest.raises(error, match=sentence):
        Norm().register_buffer(name, array)


def test_a_buffer_may_be_registered_again():
    layer = Norm()
    layer.register_buffer("running_mean", np.ones(3))
    same(layer.running_mean, [1, 1, 1])
    assert len(layer.buffers()) == 2


def test_a_tensor_in_a_buffer_is_found():
    layer = Norm()
    layer.running_mean = layer.weight * 0.5
    with pytest.raises(tn.DetachError, match=r"running_mean of Norm holds a Tensor.*\.data"):
        layer.state_dict()


# ---------------------------------------------------------------- state

def test_all_that_is_wrong_with_a_state_is_said_at_once_and_nothing_changes():
    net = Net()
    net.first.freeze()
    before = net.state_dict()
    state = {k: v + 1 for k, v in before.items()}
    del state["first.weight"], state["blocks.0.running_mean"]
    state["scales.0"] = np.ones(3)
    state["scales.2"] = np.ones(2, complex)
    state["blocks.0.num_batches_tracked"] = np.array(1.5)
    state["stranger"] = np.ones(1)
    state["first.bias"], state["tied"] = np.ones(2), np.zeros(2)
    with pytest.raises(tn.ShapeError, match="these weights do not fit Net: ") as error:
        net.load_state_dict(state)
    for part in ("missing first.weight", "missing blocks.0.running_mean", "unexpected stranger",
                 "scales.0 has shape (3,), expected (2,)",
                 "scales.2 has dtype complex128, expected float64",
                 "num_batches_tracked has dtype float64, expected int64"):
        assert part in str(error.value)
    after = net.state_dict()
    assert all(np.array_equal(after[k], before[k]) for k in before)


def test_a_shared_parameter_may_be_given_under_any_of_its_names():
    net = Net()
    state = {k: v + 1 for k, v in net.state_dict().items()}
    state["again.weight"] = state.pop("blocks.0.weight")
    state["tied"] = state["first.bias"].copy()
    net.load_state_dict(state)
    same(net.blocks[0].weight.data, state["again.weight"])
    state["tied"] = state["first.bias"] + 1
    with pytest.raises(tn.ShapeError, match=r"first\.bias and tied are one array here"):
        net.load_state_dict(state)


@pytest.mark.parametrize("state", [[np.ones(2)], "weights.npz", None])
def test_a_state_that_is_no_dict(state):
    with pytest.raises(TypeError, match=r"takes a dict of arrays by name, got (list|str|None)"):
        Net().load_state_dict(state)


def test_a_state_of_tensors():
    net, other = Net(), Net()
    for p in other.parameters():
        p.data = p.data + 1
    net.load_state_dict({**dict(other.named_parameters()), **dict(other.named_buffers())})
    same(net.first.weight.data, other.first.weight.data)
    assert net.first.weight.data is not other.first.weight.data


def test_a_state_dict_of_pytorch_loads_unrenamed():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.ReLU()), torch.nn.Linear(4, 2)).double()
    theirs[2][0].weight = theirs[2][0].weight
    ours = nn.Sequential(nn.Linear(3, 4, rng=0), np.tanh, nn.Sequential(
        nn.Linear(4, 4, rng=0), nn.ReLU()), nn.Linear(4, 2, rng=0))
    ours.load_state_dict(theirs.state_dict())
    assert ours[0].weight.dtype == np.float32
    same(ours(X).data, theirs(torch.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})

    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 3)
            self.b = torch.nn.Linear(3, 3)
            self.b.weight = self.a.weight
    assert "b.weight" in Tied().state_dict()

    class Ours(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight
    model, tied = Ours(), Tied()
    model.load_state_dict(tied.state_dict())
    assert model.a.weight is model.b.weight
    model.load_state_dict(dict(tied.named_parameters()))
    same(model.b.weight.data, tied.a.weight.detach().numpy())
