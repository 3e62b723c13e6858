"""Module: what belongs to it, modes, buffers, freezing, state, paths in errors, transforms."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim
from tinygrad_nn._transforms import flatten, tree_map

A = np.array


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-14, **kw})


class Norm(nn.Module):
    """A running mean, its counter, and a scale."""

    def __init__(self, n=2):
        self.weight = Tensor(np.arange(1.0, n + 1))
        self.register_buffer("running_mean", np.zeros(n))
        self.register_buffer("num_batches_tracked", np.array(0))

    def forward(self, x):
        if self.training:
            mean = np.mean(tn.stop_gradient(x), 0)
            self.running_mean = 0.5 * self.running_mean + 0.5 * mean
            self.num_batches_tracked = self.num_batches_tracked + 1
            return self.weight * x
        return self.weight * (x - self.running_mean)


class Net(nn.Module):
    """No call of super().__init__(), lists, a dict, a shared parameter and a shared layer."""

    def __init__(self):
        self.first = nn.Linear(3, 2, rng=0, dtype=np.float64)
        self.blocks = [Norm(), {"deep": (nn.Linear(2, 2, rng=1, dtype=np.float64), "text")}]
        self.scales = [Tensor(np.ones(2)), None, Tensor(np.full(2, 0.5))]
        self.tied = self.first.bias
        self.again = self.blocks[0]
        self.settings = {"a": [1, 2], "b": np.ones(3)}

    def forward(self, x):
        x = np.tanh(self.blocks[0](self.first(x)))
        x = self.blocks[1]["deep"][0](x) * self.scales[0] + self.scales[2] * self.tied
        return self.again(x)


NAMES = ["first.weight", "first.bias", "blocks.0.weight", "blocks.1.deep.0.weight",
         "blocks.1.deep.0.bias", "scales.0", "scales.2"]
BUFFERS = ["blocks.0.running_mean", "blocks.0.num_batches_tracked"]
X = np.random.default_rng(0).normal(size=(4, 3))


def loss(model):
    return np.mean(model(X) ** 2)


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


# ---------------------------------------------------------------- freezing

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


# ---------------------------------------------------------------- errors name the layer

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


# ---------------------------------------------------------------- a tree for the transforms

def test_a_module_is_a_tree_of_its_parameters():
    net = Net()
    names = [name for name, _ in flatten(net, "net")]
    assert names == ["net." + n for n in NAMES]
    assert all(type(v) is np.ndarray for _, v in flatten(net))
    assert flatten(net)[0][1] is net.first.weight.data
    assert flatten([net, 1.0])[-1] == ("[1]", 1.0)
    twin = tree_map(lambda v: v * 2, net)
    assert type(twin) is Net and twin.first is not net.first
    same(twin.first.weight, net.first.weight.data * 2)
    assert twin.tied is twin.first.bias and twin.again is twin.blocks[0]
    assert twin.settings is net.settings and twin.blocks[1]["deep"][1] == "text"
    assert twin.scales[1] is None
    assert [n for n, _ in twin.named_parameters()] == NAMES
    assert list(twin.state_dict()) == list(net.state_dict())
    assert isinstance(net.first.weight, Tensor) and len(net.parameters()) == len(NAMES)
    with pytest.raises(tn.ShapeError, match=r"two trees differ in form: a Net .* and a Linear"):
        tree_map(np.add, net, net.first)


def test_the_gradient_is_a_module_of_the_same_form():
    net = Net().eval()
    g = tn.grad(loss)(net)
    loss(net).backward()
    assert type(g) is Net
    for (name, p), (also, d) in zip(net.named_parameters(), g.named_parameters(), strict=True):
        assert name == also and type(d) is np.ndarray and d.dtype == p.dtype
        same(d, p.grad)
    same(g.first.weight, net.first.weight.grad)
    same(g.tied, net.tied.grad)                     # the sum of both uses
    value, again = tn.value_and_grad(loss)(net)
    assert isinstance(value, (float, np.ndarray)) and float(value) == loss(net).item()
    same(again.scales[0], g.scales[0])


def test_models_are_gradchecked_by_name_in_both_modes_to_second_order():
    net = Net().eval()
    assert tn.gradcheck(loss, net, order=2)
    assert tn.gradcheck(lambda net, x: net(x), net, X)
    with pytest.raises(tn.GradcheckError, match=r"input 0\.first\.weight"):
        tn.gradcheck(lambda m: loss(m) + tn.stop_gradient(np.sum(m.first.weight)), net)


def test_jvp_vjp_hvp_jacobian_and_hessian_of_a_module():
    net = Net().eval()
    g = tn.grad(loss)(net)
    y, dy = tn.jvp(loss, (net,), (g,))
    same(y, loss(net).data)
    same(dy, sum(np.sum(v * v) for _, v in flatten(g)))
    y, pullback = tn.vjp(lambda m: m(X), net)
    same(pullback(2 * y / y.size)[0].first.bias, g.first.bias)
    h = tn.hvp(loss, net, g)
    assert type(h) is Net and type(h.first.weight) is np.ndarray
    eps = 1e-6
    above, below = (tn.grad(loss)(tree_map(lambda v, d, s=s: v + s * eps * d, net, g))
                    for s in (1, -1))
    for (_, v), (_, a), (_, b) in zip(flatten(h), flatten(above), flatten(below), strict=True):
        same(v, (a - b) / (2 * eps), rtol=1e-6, atol=1e-8)
    full = tn.hessian(loss)(net)
    by_hand = sum(np.tensordot(np.asarray(block), d, d.ndim) for (_, block), (_, d)
                  in zip(flatten(full.first.bias), flatten(g), strict=True))
    same(h.first.bias, by_hand, rtol=1e-9)
    rows = tn.jacobian(lambda m: m(X))(net)
    assert rows.blocks[0].weight.shape == (4, 2, 2)


def test_second_derivatives_where_gradients_coincide():
    """Both parameters get one and the same box as gradient: they stay two."""
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = Tensor(np.ones(2)), Tensor(np.ones(2))

    def f(m):
        return np.sum((m.a + m.b) ** 3)

    def size(m):
        return sum(np.sum(g ** 2) for g in tn.grad(f)(m).parameters())
    model = Two()
    assert len(tn.grad(f)(model).parameters()) == 2
    same(tn.grad(size)(model).a, np.full(2, 2 * 12 * 12.0 * 2))
    assert tn.gradcheck(size, model)


def test_a_step_by_functions_alone():
    net = Net().eval()
    was = loss(net).item()
    new = net
    for _ in range(5):
        new = tree_map(lambda p, g: p - 0.05 * g, new, tn.grad(loss)(new))
    assert float(loss(new)) < was and loss(net).item() == was
    state = new.state_dict()
    net.load_state_dict(state)
    same(loss(net).data, loss(new))
    new.load_state_dict({k: v + 1 for k, v in state.items()})
    same(new.first.weight, state["first.weight"] + 1)
    assert new.tied is new.first.bias


def test_frozen_parameters_and_buffers_are_carried_along():
    net = Net().eval()
    net.first.freeze()
    g = tn.grad(loss)(net)
    assert [n for n, _ in g.named_parameters()] == [n for n, _ in net.named_parameters()]
    assert g.first.weight is net.first.weight and not g.training
    same(g.blocks[0].running_mean, net.blocks[0].running_mean)
    net.unfreeze()
    full = tn.grad(loss)(net)
    same(g.scales[0], full.scales[0])


def test_what_forward_changes_stays_in_the_copy():
    layer = Norm()
    x = A([[2.0, 4.0]])

    def f(m):
        return np.sum(m(x)), m.running_mean
    g, mean = tn.grad(f, has_aux=True)(layer)
    same(mean, [1, 2])
    same(layer.running_mean, [0, 0])
    same(g.weight, x[0])


def test_a_module_beside_other_arguments_and_in_containers():
    net = Net().eval()
    g = tn.grad(lambda tree: loss(tree["net"]) * tree["scale"])({"net": net, "scale": 2.0})
    same(g["net"].first.weight, 2 * tn.grad(loss)(net).first.weight)
    same(g["scale"], loss(net).data)
    by_x, by_net = tn.grad(lambda x, m: np.mean(m(x) ** 2), argnums=(0, 1))(X, net)
    assert by_x.shape == X.shape and type(by_net) is Net
    assert tn.grad(lambda m, x: np.sum(x))(nn.ReLU(), X).parameters() == []


def test_a_gradient_penalty_through_the_parameters():
    net = Net().eval()

    def penalty(m):
        return np.sum(tn.grad(lambda x: np.sum(m(x)))(X) ** 2)
    assert tn.gradcheck(penalty, net)
    penalty(net).backward()
    same(net.first.weight.grad, tn.grad(penalty)(net).first.weight)


def test_a_module_changed_within_the_function():
    layer = nn.Linear(3, 2, rng=0, dtype=np.float64)

    def without_bias(m):
        m.bias = None
        return np.sum(m(X) ** 2)
    g = tn.grad(without_bias)(layer)
    same(g.bias, [0, 0])
    assert isinstance(layer.bias, Tensor)


# ---------------------------------------------------------------- generators

def test_generators_are_found_by_name_and_are_no_part_of_the_state():
    shared = np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(0.5, rng=shared), nn.Linear(2, 2, rng=0),
                          nn.Dropout(0.5, rng=shared))
    model.others = {"a": [np.random.default_rng(1)], "b": 3}
    assert [(name, g is shared) for name, g in model.named_generators()] == [
        ("0.rng", True), ("others.a.0", False)]
    assert list(model.state_dict()) == ["1.weight", "1.bias"]
    assert len(model.modules()) == 4 and len(model.parameters()) == 2
    copy = tn.grad(lambda m: np.sum(m(np.ones((1, 2)))))(model)
    assert copy[1].weight.shape == (2, 2)
