"""Which values of a program share memory, and which updates go over the old arrays."""

import copy

import numpy as np
from tracing import keeps_bits, program

import tinygrad_nn as tn
from tinygrad_nn import Tensor, optim
from tinygrad_nn.passes import dead_code
from tinygrad_nn.passes._memory import plan

X = np.arange(6.0).reshape(2, 3)

def test_values_share_blocks_and_chains_run_in_place():
    def f(x):
        y = np.sqrt(np.exp(x) + 1.0) * 2.0              # a chain: one block
        z = y @ np.ones((3, 3))                         # a product: not where it reads
        return np.sum(z.T * y.T), z + 1
    p = dead_code(program(f, x=X))
    found = plan(p)
    names = {v: k for k, v in enumerate(v for e in p.equations for v in e.outs)}
    assert {names[v]: b for v, b in found.block.items()} == {0: 0, 1: 0, 2: 0, 3: 0, 4: 1, 7: 2}
    assert found.sizes == [48] * 3 and "6 values in 3 blocks, 144 bytes" in str(found)
    keeps_bits(f, x=X)


def test_a_block_grows_where_none_is_large_enough():
    def f(x):
        a = np.sum(np.exp(x[0]) + 1)
        b = np.exp(np.ones((4, 4)) * x[0, 0])
        return a + np.sum(b)
    assert plan(dead_code(program(f, x=X))).sizes == [128]
    keeps_bits(f, x=X)


def test_views_keep_their_base_alive_and_results_are_not_in_blocks():
    def f(x):
        a = np.exp(x)
        view = a.T
        b = np.sin(x) + 1                               # must not take the block of a
        return np.sum(view * b.T), b.T[0]
    p = keeps_bits(f, x=X)
    found = plan(p)
    assert not {found.root[v] for _, v in p.outputs} & found.block.keys()


def test_updates_go_in_place_only_where_a_failure_cannot_follow():
    w = Tensor(np.ones((2, 3)))
    opt = optim.SGD([w], lr=0.1, momentum=0.9)
    late = tn.primitive(lambda x: x + 1)

    def update(x):
        np.sum(w * w * x).backward()
        opt.step()
        opt.zero_grad()

    def update_first(x):
        update(x)
        return late(w.data)                             # might raise, for all that is known
    for step, inplace in ((update, [True, True]), (update_first, [False, False])):
        compiled = tn.compile(step)
        for _ in range(3):
            compiled(X)
        targets = compiled.program.plan.targets.values()
        assert [t.inplace for t in targets] == inplace
    other = copy.deepcopy(w)

    @tn.compile
    def swap(x):
        old = w.data
        w.data = w.data * 2
        return old + x                                  # the old value is still read
    for _ in range(4):
        np.testing.assert_array_equal(swap(X), other.data + X)
        other.data = other.data * 2


def test_results_go_over_arguments_that_are_views_of_whole_blocks():
    def f(x):
        a = np.exp(x)
        return np.sum(np.sqrt(a.reshape(3, 2)) * 2)     # over a
    def g(x):
        return np.sum(np.sqrt(np.exp(x)[1:]) * 2)       # not over a part of it
    assert plan(dead_code(program(f, x=X))).sizes == [48]
    assert plan(dead_code(program(g, x=X))).sizes == [48, 24]
    keeps_bits(f, x=X)
    keeps_bits(g, x=X)
