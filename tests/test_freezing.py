"""Parameters of a module that are frozen for a while."""

import copy
import pickle

import numpy as np
import pytest
from modules import BUFFERS, NAMES, Net, X, loss, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim


def test_freezing_makes_plain_arrays_and_keeps_them_in_the_state():
    net = Net()
    loss(net).backward()
    before, weight = net.state_dict(), net.first.weight
    assert net.first.freeze() is net.first
    assert type(net.first.weight) is np.ndarray and net.first.weight is weight.data
    assert weight.grad is None                      # an optimiser that holds it leaves it out
    names = ["tied" if n == "first.bias" else n for n in NAMES if n != "first.weight"]
    assert sorted(n for n, _ in net.named_parameters()) == sorted(names)
    net.freeze()
    assert net.parameters() == [] and type(net.scales[2]) is np.ndarray
    assert type(net(X)) is np.ndarray
    after = net.state_dict()
    assert after.keys() == before.keys() == {*NAMES, *BUFFERS}
    for name in NAMES:
        same(after[name], before[name])
    assert net.unfreeze() is net
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert net.first.weight is weight and net.tied is net.first.bias


def test_a_frozen_model_loads_and_unfreezes_with_the_loaded_values():
    net, other = Net().freeze(), Net()
    state = {k: v + 1 for k, v in other.state_dict().items()}
    net.load_state_dict(state)
    assert net.first.bias is net.tied
    same(net.first.bias, state["first.bias"])
    for frozen in (net, net.unfreeze()):
        for name, v in frozen.state_dict().items():
            same(v, state[name])
    assert isinstance(net.first.bias, Tensor) and net.first.bias is net.tied


def test_an_optimiser_goes_on_with_an_unfrozen_parameter():
    net = Net()
    opt = optim.SGD(net.parameters(), lr=0.1)
    before = net.state_dict()
    net.first.freeze()
    loss(net).backward()
    opt.step()
    opt.zero_grad()
    frozen = net.state_dict()
    same(frozen["first.weight"], before["first.weight"])
    assert (frozen["scales.0"] != before["scales.0"]).all()
    net.unfreeze()
    loss(net).backward()
    opt.step()
    assert (net.first.weight.data != before["first.weight"]).all()


def test_freezing_twice_and_in_parts():
    net = Net()
    net.blocks[0].freeze()
    net.freeze()
    net.freeze()
    assert net.parameters() == []
    net.blocks[0].unfreeze()
    assert [n for n, _ in net.named_parameters()] == ["blocks.0.weight"]
    net.unfreeze().unfreeze()
    assert [n for n, _ in net.named_parameters()] == NAMES


def test_a_new_tensor_in_the_place_of_a_frozen_one_is_a_parameter():
    layer = nn.Linear(2, 1).freeze()
    layer.bias = Tensor(np.zeros(1))
    assert [n for n, _ in layer.named_parameters()] == ["bias"]
    layer.unfreeze()
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]


def test_a_shared_parameter_frozen_at_one_place_keeps_both_values():
    net = Net()
    net.first.freeze()
    net.tied.data = net.tied.data + 1                   # trained on, outside of net.first
    state = net.state_dict()
    same(state["tied"], state["first.bias"] + 1)
    twin = Net()
    twin.first.freeze()
    twin.load_state_dict(state)
    same(twin(X).data, net(X).data)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_modes_buffers_and_what_is_frozen(duplicate):
    net = Net()
    net.first.freeze()
    net.eval()
    net.blocks[0].running_mean = np.ones(2)
    twin = duplicate(net)
    same(twin(X).data, net(X).data)
    assert not twin.training and not twin.first.training
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in net.named_parameters()]
    twin.unfreeze()
    twin.first.weight.data += 1
    same(net.first.weight, Net().first.weight.data)
    g = duplicate(tn.grad(loss)(net))
    assert [n for n, _ in g.named_parameters()] == [n for n, _ in net.named_parameters()]
    same(g.blocks[0].weight, tn.grad(loss)(net).blocks[0].weight)
    assert g.again.weight is g.blocks[0].weight
