"""What compiled functions see: arrays in objects of all kinds are kept up to date, and those
that cannot be seen are named. Never is one frozen."""

import collections
import dataclasses
import enum
import functools
import types

import numpy as np
import pytest
from compiling import same

import tinygrad_nn as tn


class Slots:
    __slots__ = ("m",)

    def __init__(self, m):
        self.m = m


@dataclasses.dataclass(slots=True)
class Data:
    m: np.ndarray
    log: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    m: np.ndarray


class Hidden:
    """Its array is reached by names that the function does not write."""

    def __init__(self, m):
        self._m, self.log = m, []

    @property
    def m(self):
        return self._m

    def __getattr__(self, name):
        if name == "late":
            return self._m + 1
        raise AttributeError(name)

    def __matmul__(self, x):
        return self._m * x

    def __getitem__(self, index):
        return self._m[index]


class Dict(dict):
    pass


class Numbers:
    m = np.ones(3)

    @classmethod
    def scale(cls):
        return cls.m


def attribute(make):
    """An object whose ``m`` is replaced, written to, and assigned by the function."""
    def prepare():
        s = make(np.ones(3))

        def f(x):
            s.m = s.m * 0.5 + x
            return s.m * 2
        return f, {4: lambda: setattr(s, "m", np.zeros(3)), 6: lambda: s.m.fill(3.0)}
    return prepare


def item(make):
    def prepare():
        s = make([np.ones(3)])

        def f(x):
            s[0] = s[0] * 0.5 + x
            return s[0] * 2
        return f, {4: lambda: s.__setitem__(0, np.zeros(3)), 6: lambda: s.append(np.ones(3))}
    return prepare


def with_attributes():
    s = Dict(a=np.ones(3))
    s.scale = np.ones(3)
    return lambda x: x * s["a"] * s.scale, {4: lambda: setattr(s, "scale", np.zeros(3)),
                                            6: lambda: s.update(a=np.zeros(3))}


def frozen():
    s = [Frozen(np.ones(3))]
    return lambda x: x * s[0].m, {4: lambda: s.__setitem__(0, Frozen(np.zeros(3))),
                                  6: lambda: s[0].m.fill(5.0)}


def hidden(use):
    def prepare():
        s = Hidden(np.ones(3))
        changes = {4: lambda: setattr(s, "_m", np.zeros(3)), 6: lambda: s._m.fill(5.0)}
        return functools.partial(use, s), changes
    return prepare


def function_attribute():
    def f(x):
        return x * f.m
    f.m = np.ones(3)
    return f, {4: lambda: setattr(f, "m", np.zeros(3)), 6: lambda: f.m.fill(5.0)}


def class_attribute():
    class Mine(Numbers):
        m = np.ones(3)
    s = Mine()
    return lambda x: x * s.m + s.scale(), {4: lambda: setattr(Mine, "m", np.zeros(3)),
                                           5: lambda: setattr(s, "m", np.full(3, 7.0))}


@pytest.mark.parametrize("prepare", [
    attribute(Slots), attribute(Data), attribute(lambda m: types.SimpleNamespace(m=m)),
    item(list), item(lambda items: collections.deque(items, maxlen=1)), with_attributes, frozen,
    hidden(lambda s, x: x * s.m), hidden(lambda s, x: x * s.late), hidden(lambda s, x: s @ x),
    hidden(lambda s, x: s[1] * x), function_attribute, class_attribute])
def test_arrays_in_objects_are_kept_up_to_date(prepare):
    (f, changes), (g, other) = prepare(), prepare()
    compiled = tn.compile(f)
    for k in range(9):
        changes.get(k, int)()
        other.get(k, int)()
        same(compiled(np.full(3, k + 1.0)), g(np.full(3, k + 1.0)))


class Mode(enum.Enum):
    ADD = 1
    MULTIPLY = 2


@pytest.mark.parametrize("values", [
    (np.sin, np.cos, np.sin), (abs, float.__neg__, abs), (Mode.ADD, Mode.MULTIPLY, Mode.ADD),
    ({"add"}, {"multiply"}, {"add"}), (range(2), range(3), range(2)), ("add", "a", "add"),
    (np.vectorize(len), np.vectorize(max), None), (object(), object(), 5)], ids=repr)
def test_everything_else_is_part_of_the_program(values):
    """It may come back; nothing is run that was compiled for another."""
    holder = types.SimpleNamespace(value=values[0])

    def f(x):
        if isinstance(holder.value, set):
            return x + ("add" in holder.value)
        return x * values.index(holder.value)
    compiled = tn.compile(f)
    for value in values:
        holder.value = value
        for _ in range(3):
            same(compiled(np.ones(3)), f(np.ones(3)))
    if isinstance(values[0], set):
        holder.value = changing = {"add"}
        for _ in range(3):
            same(compiled(np.ones(3)), f(np.ones(3)))
        changing.clear()
        same(compiled(np.ones(3)), f(np.ones(3)))


def test_a_branch_on_a_named_member_of_an_enumeration():
    holder = types.SimpleNamespace(mode=Mode.ADD)

    def f(x):
        if np.ndim(x) == 2:
            raise ValueError(Mode.ADD)
        return x + 1 if holder.mode is Mode.ADD else x * 3
    compiled = tn.compile(f)
    for mode in (Mode.ADD, Mode.MULTIPLY, Mode.ADD):
        holder.mode = mode
        for _ in range(3):
            same(compiled(np.ones(3)), f(np.ones(3)))
    with pytest.raises(ValueError, match="ADD"):
        compiled(np.ones((1, 1)))


def test_code_that_is_gone_is_not_taken_for_what_comes_after_it():
    f = tn.compile(lambda scale, x: scale(x))
    for k in range(12):                     # each time new code, perhaps where the last one lay
        same(f(eval(f"lambda x: x * {k // 3}"), np.ones(3)), np.full(3, float(k // 3)))


def test_what_a_log_holds_is_not_looked_at():
    s = Hidden(np.ones(3))
    f = tn.compile(lambda x: s @ x)
    for k in range(6):
        s.log.append(np.ones(k))
        f(np.ones(3))
    assert len(f._made) == 1 and not f._recordings


def test_an_array_that_cannot_be_seen_is_named():
    table = np.empty(2, object)
    table[0] = np.ones(3)
    for f in (lambda x: x * table[0], functools.partial(np.multiply, np.ones(3))):
        compiled = tn.compile(f)
        compiled(np.ones(3))
        with pytest.raises(tn.GraphError, match=r"np\.multiply in .* got an array of shape "
                                                r"\(3,\) from where compile does not look"):
            compiled(np.ones(3))
