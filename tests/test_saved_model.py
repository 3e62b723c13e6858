"""Models in one file: built again from it alone, or refused with what to do instead."""

import copy
import inspect
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn.models import CatClassifier
from tinygrad_nn.nn._config import Unwritable

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


class Net(nn.Module):
    """A class of a user's, with arguments of every kind that can be written."""

    def __init__(self, sizes, *more, scale=1.0, names=None, head=None, dtype=np.float32,
                 rng=None, limits=(0.0, float("inf")), **options):
        n_in, n_out = sizes
        self.first = nn.Linear(n_in, n_out, rng=rng, dtype=dtype)
        self.head, self.scale, self.limits = head, scale, limits
        self.more, self.names, self.options = list(more), names, options

    def forward(self, x):
        x = np.clip(self.first(x) * self.scale, *self.limits)
        for m in self.more:
            x = m(x)
        return x if self.head is None else self.head(x)


class Grown(nn.Module):
    """One that depends on more than its arguments, and says so."""

    def __init__(self, n=1):
        self.layers = [nn.Linear(6, 6, rng=i) for i in range(n)]

    def config(self):
        return {"n": np.int64(len(self.layers))}

    def forward(self, x):
        for m in self.layers:
            x = m(x)
        return x


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def again(path, model, known=(), **more):
    """The model as it comes back from the file, having passed all comparisons."""
    x = X.astype(model.parameters()[0].dtype)
    before = model.training
    tn.save_model(path, model, **more)
    assert model.training == before
    found = tn.load_model(path, known=known).model
    assert type(found) is type(model) and repr(found) == repr(model) and not found.training
    assert all(not m.training for m in found.modules())
    np.testing.assert_equal(found.state_dict(), model.state_dict())
    assert list(found.state_dict()) == list(model.state_dict())
    assert [p.dtype for p in found.parameters()] == [p.dtype for p in model.parameters()]
    with tn.no_grad():
        np.testing.assert_array_equal(found(x), copy.deepcopy(model).eval()(x))
    return found


@pytest.mark.parametrize("make", [
    lambda: nn.Linear(6, 3),
    lambda: nn.Linear(np.int64(6), 3, bias=False, rng=np.random.default_rng(1)),
    lambda: nn.Linear(out_features=3, in_features=6, dtype=np.float64),
    lambda: nn.Sequential(nn.Linear(6, 4, rng=0), nn.ReLU(), nn.Linear(4, 2), nn.Sigmoid()),
    lambda: nn.Sequential(nn.Linear(6, 4), nn.Sequential(nn.Sequential(nn.Linear(4, 1)))),
    lambda: nn.Sequential(nn.Linear(6, 4), np.tanh, tn.relu, tn.softmax),
    lambda: CatClassifier((6, 5, 4, 1), rng=3),
    lambda: CatClassifier([6, 1], init_scale=0.01, randn=np.random.RandomState(1).randn,
                          dtype=np.dtype("f8")),
], ids=range(8))
def test_models_of_the_library_come_back(path, make):
    again(path, make())


IMAGES = (2, 4, 8, 8)
LAYERS = [  # each with all its settings other than the defaults, and the shape of its input
    (nn.Linear(6, 3, bias=False, dtype="f8"), (5, 6)),
    (nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
     IMAGES),
    (nn.MaxPool2d((2, 3), stride=1, padding=1), IMAGES),
    (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), IMAGES),
    (nn.AdaptiveAvgPool2d((3, 2)), IMAGES), (nn.Flatten(2, 3), IMAGES),
    (nn.BatchNorm1d(6, eps=1e-3, momentum=0.4, affine=False), (5, 6)),
    (nn.BatchNorm2d(4, momentum=0.4), IMAGES),
    (nn.LayerNorm((8, 8), eps=1e-3, bias=False), IMAGES),
    (nn.GroupNorm(2, 4, eps=1e-3, affine=False), IMAGES),
    (nn.Dropout(0.25, rng=3), (5, 6)), (nn.Embedding(7, 3, padding_idx=-1, rng=0), None),
    (nn.ReLU(), (5, 6)), (nn.LeakyReLU(0.3), (5, 6)), (nn.ELU(0.5), (5, 6)),
    (nn.GELU("tanh"), (5, 6)), (nn.SiLU(), (5, 6)), (nn.Tanh(), (5, 6)),
    (nn.Sigmoid(), (5, 6)), (nn.Softplus(), (5, 6)), (nn.Softmax(0), (5, 6)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: type(v).__name__)
def test_every_layer_comes_back(path, layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("f4") if shape else [[0, 6], [3, 3]]
    layer = copy.deepcopy(layer)
    layer(x)                                    # running statistics are no longer those of new
    tn.save_model(path, layer)
    found = tn.load_model(path).model
    assert repr(found) == repr(layer) and found.config() == layer.config()
    np.testing.assert_equal(found.state_dict(), layer.state_dict())
    with tn.no_grad():
        np.testing.assert_array_equal(found(x), layer.eval()(x))


def test_no_layer_is_left_out():
    every = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert every - {type(layer).__name__ for layer, _ in LAYERS} == {"Module", "Sequential"}


def test_classes_and_preprocessing_come_back(path):
    preprocessing = {"size": np.int64(64), "scale": 1 / 255, "mean": np.array([0.1, 0.2], "f4"),
                     "std": (1, 2.5), "how": {"order": "RGB", "crop": None, "flip": False}}
    again(path, nn.Linear(6, 2), classes=("кот", "other"), preprocessing=preprocessing)
    model, classes, found = tn.load_model(path)
    assert isinstance(model, nn.Linear) and classes == ("кот", "other")
    assert found == {"size": 64, "scale": 1 / 255,
                     "mean": [float(np.float32(0.1)), float(np.float32(0.2))], "std": [1, 2.5],
                     "how": {"order": "RGB", "crop": None, "flip": False}}
    again(path, nn.Linear(6, 2), classes=iter("ab"))
    assert tn.load_model(path).classes == ("a", "b")
    again(path, nn.Linear(6, 2))
    assert tn.load_model(path)[1:] == (None, None)
    assert set(tn.load_metadata(path)) == {"architecture"}
    other = nn.Linear(6, 2)                     # weights like any others
    other.load_state_dict(tn.load_weights(path))


def test_classes_of_a_user_with_every_kind_of_argument(path):
    head = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Sigmoid())
    model = Net((6, 4), nn.ReLU(), np.abs, scale=np.float32(0.5), names=["a", {"b": (1, None)}],
                head=head, limits=(-float("inf"), 0.75), rng=7, extra=[True, 2**70], other="x")
    found = again(path, model, known=[Net])
    assert (found.scale, found.names, found.limits) == (0.5, ["a", {"b": (1, None)}],
                                                        (-float("inf"), 0.75))
    assert found.options == {"extra": [True, 2**70], "other": "x"}
    assert type(found.options["extra"][0]) is bool and found.more[1] is np.abs
    with pytest.raises(tn.DataError, match=r"Net is no module of this library.*known=\[Net\]"):
        tn.load_model(path)
    by_hand = Net((6, 4), nn.ReLU(), np.abs, head=copy.deepcopy(head))
    by_hand.load_state_dict(tn.load_weights(path))


def test_arguments_are_those_at_the_time_of_building(path):
    sizes = [6, 4]
    model = Net(sizes)
    sizes[0] = 99
    assert model.config()["sizes"] == [6, 4]
    again(path, model, known=[Net])


def test_a_module_used_twice_stays_one(path):
    shared = nn.Linear(6, 6, rng=0)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    found = again(path, model)
    assert found[0] is found[2] and len(found.parameters()) == 2


def test_what_a_class_says_of_itself_is_written(path):
    model = Grown()
    model.layers.append(nn.Linear(6, 6, rng=5))
    found = again(path, model, known=[Grown])
    assert len(found.layers) == 2


def test_a_sequential_is_described_as_it_is_now(path):
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    setattr(model, "1", nn.Sigmoid())
    assert isinstance(again(path, model)[1], nn.Sigmoid)


def test_frozen_models_and_copies_come_back(path):
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    model.freeze()
    tn.save_model(path, model)
    np.testing.assert_equal(tn.load_model(path).model.state_dict(), model.state_dict())
    for other in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert list(other.config()) == ["modules"]
        assert other[0].config() == model[0].config()
        tn.save_model(path, other)


def test_the_arguments_are_no_part_of_the_module():
    inner = nn.Linear(2, 2)
    model = Net((2, 2), head=inner)
    assert len(model.modules()) == 3 and len(model.parameters()) == 4
    assert nn.ReLU().config() == {} and nn.Linear(3, 2, rng=0).config() == {
        "in_features": 3, "out_features": 2, "bias": True, "dtype": np.dtype("f4")}
    with pytest.raises(TypeError):
        nn.ReLU(3)
    with pytest.raises(TypeError):
        nn.Linear(3)
    big = np.zeros(10)                          # no array is kept for the sake of a description
    assert isinstance(Net((2, 2), names=big).config()["names"], Unwritable)


# ---------------------------------------------------------------- what is refused

def refused(path, error, message, model, **more):
    with pytest.raises(error, match=message):
        tn.save_model(path, model, **more)
    assert not path.exists()


def test_arguments_that_cannot_be_written(path):
    for value, text in ((np.zeros(2), "<ndarray>"), (object(), "<object>"), ({1: 2}, "<dict>"),
                        (lambda x: x, "<lambda>"), (print, "print"), (np.add, "add"),
                        (1j, "<complex>"), (np.dtype("M8"), "M8")):
        refused(path, TypeError, rf"cannot write Net\(head=…\), which is .*{text}.*config\(\)",
                Net((6, 4), head=value))
    refused(path, TypeError, r"cannot write Net\(more=…\)",
            Net((6, 4), nn.Sequential(nn.ReLU(), lambda x: x).forward))
    refused(path, TypeError, r"cannot write Sequential\(modules=…\)",
            nn.Sequential(nn.Linear(6, 2), lambda x: x))


def test_models_that_were_changed_after_they_were_built(path):
    model = Net((6, 4))
    model.first = nn.Linear(6, 5)
    refused(path, ValueError, "arguments of this Net do not build one like it", model)
    model = Net((6, 4))
    model.extra = nn.Linear(1, 1)
    refused(path, ValueError, "do not build one like it", model)
    model = Net((6, 4))
    model.first.weight.data = model.first.weight.data.astype(np.float64)
    refused(path, ValueError, "do not build one like it", model)
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    model[1].p = 0.1
    refused(path, ValueError, "do not build one like it", model)
    model = CatClassifier((6, 3, 1))
    setattr(model.layers, "1", nn.Sigmoid())    # no weights, another function
    refused(path, ValueError, "do not build one like it", model)
    model = Grown()
    model.config = lambda: {"n": "three"}
    refused(path, ValueError, r"do not build one like it \(.*str", model)


def test_two_classes_of_one_name(path):
    class Linear(nn.Module):
        def forward(self, x):
            return x
    refused(path, TypeError, "a class Linear and there is another one of that name",
            nn.Sequential(Linear()))
    one, two = (type("Mine", (nn.Module,), {"forward": lambda self, x: x}) for _ in range(2))
    refused(path, TypeError, "another one of that name", nn.Sequential(one(), two()))


@pytest.mark.parametrize("more, message", [
    ({"classes": "cat"}, "classes must be a list of names, got 'cat'"),
    ({"classes": [1, 2]}, "classes must be a list of names"),
    ({"preprocessing": [1]}, "preprocessing must be a dict, got list"),
    ({"preprocessing": {1: 2}}, "preprocessing must hold finite numbers"),
    ({"preprocessing": {"a": {"b": np.nan}}}, r"preprocessing\['a'\]\['b'\] must hold finite"),
    ({"preprocessing": {"a": object()}}, "must hold finite numbers, strings"),
])
def test_other_things_that_are_refused(path, more, message):
    refused(path, TypeError, message, nn.Linear(2, 2), **more)


def test_what_is_no_module_is_refused(path):
    refused(path, TypeError, "save_model takes a module, got dict; save_weights", {})
    tn.save_model(path, nn.Linear(2, 2))
    for known in ([Net((2, 2))], [int]):
        with pytest.raises(TypeError, match="known= takes classes of modules"):
            tn.load_model(path, known=known)


LINEAR = {"module": "Linear", "config": {"in_features": 2, "out_features": 1}}


@pytest.mark.parametrize("architecture, message", [
    ("{", "the model cannot be built"), ("3", "not that of a module"), ("NaN", "not that of"),
    ('{"module": "os.system", "config": {}}', "os.system is no module of this library"),
    ('{"module": "Module", "config": {"x": 1}}', "Module has no argument x"),
    ('{"module": "Linear"}', "has no meaning"), ('{"again": 0}', "has no meaning"),
    ('{"function": "eval"}', "cannot be built: 'eval'"), ('{"dtype": "x"}', "cannot be built"),
    ('{"float": "1"}', "has no meaning"), ('{"tuple": 1}', "has no meaning"),
    ('{"dict": []}', "has no meaning"), ("[" * 10 ** 5, "cannot be built"),
    ('{"tuple": [' * 500 + "]}" * 500, "cannot be built|not that of a module"),
    (json.dumps({**LINEAR, "config": {"in_features": 2}}), "missing 1 required"),
    (json.dumps({**LINEAR, "config": {"in_features": 2, "out_features": "3"}}), "out_features"),
    (json.dumps({**LINEAR, "config": {"in_features": 2, "out_features": 10 ** 18}}), "built"),
    (json.dumps({**LINEAR, "config": {"in_features": 2, "out_features": 3}}),
     "do not fit Linear: bias has shape"),
    (json.dumps({"module": "Sequential", "config": {"modules": {"tuple": [LINEAR]}}}),
     "missing 0.bias"),
])
def test_architectures_that_are_refused(path, architecture, message):
    tn.save_weights(path, nn.Linear(2, 1), {"architecture": architecture})
    with pytest.raises(tn.DataError, match=message) as error:
        tn.load_model(path)
    assert error.value.path == str(path) and str(path) in str(error.value)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_architecture_is_built_or_refused(tmp_path_factory, data):
    """Constructors of the library called with whatever a file may say."""
    names = st.sampled_from(["CatClassifier", "Module", "Sequential",
                             *(type(layer).__name__ for layer, _ in LAYERS)])
    leaves = (st.none() | st.booleans() | st.integers(-1, 4) | st.floats(-1, 2)
              | st.sampled_from(["tanh", {"dtype": "float64"}, {"function": "np.tanh"}]))
    value = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.builds(
        lambda v: {"tuple": v}, st.lists(v, max_size=3)), max_leaves=4)

    def module(inner):
        name = data.draw(names)
        cls = getattr(nn, name, CatClassifier)
        arguments = [p for p in inspect.signature(cls).parameters if p not in ("rng", "randn")]
        chosen = data.draw(st.sets(st.sampled_from(arguments))) if arguments else ()
        return {"module": name, "config": {k: data.draw(inner) for k in chosen}}
    architecture = module(value | st.builds(lambda _: module(value), st.none()))
    path = tmp_path_factory.getbasetemp() / "any_model"
    tn.save_weights(path, {}, {"architecture": json.dumps(architecture)})
    try:
        model = tn.load_model(path).model
    except tn.DataError as error:
        assert error.path == str(path)
    else:
        assert not model.state_dict()


def test_other_files_that_are_refused(path):
    tn.save_weights(path, nn.Linear(2, 1))
    with pytest.raises(tn.DataError, match="weights and no architecture: build the model"):
        tn.load_model(path)
    for extra in ({"classes": "3"}, {"classes": "{"}, {"preprocessing": "[]"}):
        tn.save_weights(path, nn.Linear(2, 1), {"architecture": json.dumps(LINEAR), **extra})
        with pytest.raises(tn.DataError, match="cannot be built"):
            tn.load_model(path)
    with pytest.raises(FileNotFoundError):
        tn.load_model(path.with_name("none"))
