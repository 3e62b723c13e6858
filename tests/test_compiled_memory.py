"""What compiled steps hold and allocate: blocks of the plan, updates in the old places."""

import tracemalloc
import weakref

import numpy as np
import pytest
from compiling import everything, same, training
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import kernels, nn, optim
from tinygrad_nn.kernels import _threads
from tinygrad_nn.rules import _convolution, _convolution_pooled, _pooling

FORMS = [True, False] if kernels.available() else [False]


def compile_kernels(monkeypatch, whether):
    if not whether:
        for name in ("available", "generates"):
            monkeypatch.setattr(kernels, name, lambda: False)


def images():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, rng=0), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.2, rng=1), nn.Conv2d(8, 16, 3, rng=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 7 * 7, 10, rng=3)), (48, 3, 64, 64)


def rows():
    return nn.Sequential(nn.Linear(256, 512, rng=0), nn.ReLU(), nn.Dropout(0.3, rng=1),
                         nn.Linear(512, 512, rng=2), nn.ReLU(), nn.Linear(512, 10, rng=3)), (
                             128, 256)


class Attention(nn.Module):
    def __init__(self):
        self.query, self.key, self.value = (nn.Linear(128, 128, rng=k) for k in range(3))
        self.norm, self.up, self.down = nn.LayerNorm(128), nn.Linear(128, 256, rng=3), (
            nn.Linear(256, 128, rng=4))
        self.head = nn.Linear(128, 10, rng=5)

    def forward(self, x):
        scores = self.query(x) @ np.swapaxes(self.key(x), -1, -2) / np.sqrt(128.0).item()
        x = self.norm(x + tn.softmax(scores) @ self.value(x))
        x = x + self.down(nn.GELU("tanh")(self.up(x)))
        return self.head(np.mean(x, axis=1))


def attention():
    return Attention(), (16, 64, 128)


@pytest.mark.parametrize("compiled_kernels", FORMS)
@pytest.mark.parametrize("network", [rows, images, attention])
def test_a_step_allocates_no_array(network, compiled_kernels, monkeypatch):
    """After the first compiled run, but for what is returned."""
    compile_kernels(monkeypatch, compiled_kernels)
    monkeypatch.setattr(_threads, "count", lambda: 1)   # who comes late makes its memory late
    model, shape = network()
    opt = optim.Adam(model.parameters())
    x = np.random.default_rng(0).normal(size=shape).astype("f4")
    t = np.arange(shape[0]) % 10
    step = tn.compile(training(model, opt))
    for _ in range(8):
        step(x, t)
    with memory() as used:
        step(x, t)
        before = used()[0]
        tracemalloc.reset_peak()
        for _ in range(3):
            step(x, t)
        peak = used()[1]
    # two threads with three of NumPy's own buffers each, 8,192 numbers; an array is larger
    assert peak - before < 120_000


def large_step(model, opt, keep=lambda: None):
    """A compiled step of a regression."""
    @tn.compile
    def step(x, t):
        loss = nn.mse_loss(model(x), t)
        loss.backward()
        opt.step()
        keep()
        opt.zero_grad()
        return loss
    return step


def wide(inputs=300, dtype=np.float64):
    """A layer whose weights are larger than its inputs and results together."""
    model = nn.Sequential(nn.Linear(inputs, 512, rng=0, dtype=dtype), nn.ReLU(),
                          nn.Linear(512, 1, rng=1, dtype=dtype))
    rng = np.random.default_rng(1)
    return model, rng.normal(size=(8, inputs)).astype(dtype), np.ones((8, 1), dtype)


def test_recorded_calls_update_in_place_like_compiled_ones(monkeypatch):
    """No call needs more than the gradient of the large layer besides what is there."""
    compile_kernels(monkeypatch, False)                 # numba needs memory to compile
    model, x, t = wide(10_000, np.float32)
    w, opt = model[0].weight, optim.Adam(model.parameters())
    step = large_step(model, opt)
    for _ in range(4):
        address = w.data.ctypes.data
        with memory() as used:
            step(x, t)
            peak = used()[1]
        assert w.data.ctypes.data == address
        assert peak < 1.3 * w.data.nbytes


def test_what_somebody_holds_is_not_written_over():
    model, x, t = wide()
    w, opt = model[0].weight, optim.Adam(model.parameters())
    step = large_step(model, opt)
    for _ in range(5):
        old, view = w.data, opt.state[0]["exp_avg"].T
        copies = old.copy(), view.copy()
        step(x, t)
        assert w.data is not old and not np.shares_memory(opt.state[0]["exp_avg"], view)
        np.testing.assert_array_equal(old, copies[0])
        np.testing.assert_array_equal(view, copies[1])


def test_old_weights_may_be_put_back():
    """Also by the function itself, after the update."""
    model, x, t = wide()
    w, opt = model[0].weight, optim.Adam(model.parameters())
    held = w.data

    @tn.compile
    def step(x, t):
        before = w.data
        loss = nn.mse_loss(model(x), t)
        loss.backward()
        opt.step()
        opt.zero_grad()
        w.data = before
        return loss
    values = held.copy()
    for _ in range(4):
        step(x, t)
        np.testing.assert_array_equal(w.data, values)
        np.testing.assert_array_equal(held, values)


def test_arrays_that_are_views_or_read_only_are_replaced():
    model, x, t = wide()
    w = model[0].weight
    for whole in (np.zeros((2, *w.shape)), np.zeros(w.shape)):
        w.data = whole[0] if whole.ndim == 3 else whole
        whole.flags.writeable = whole.ndim == 3
        step = large_step(model, optim.SGD(model.parameters(), lr=0.1))
        for _ in range(4):
            step(x, t)
        assert w.data.any() and not whole.any()


@pytest.mark.parametrize("keep", [False, True])
def test_waiting_changes_no_bit(keep, monkeypatch):
    """The gradients of large weights, read by the function or left there, and their updates."""
    compile_kernels(monkeypatch, False)                 # generated ones round less
    found = []
    for wrap in (tn.compile, lambda f: f):
        model, x, t = wide()
        opt = optim.Adam(model.parameters(), lr=0.01)
        seen = []

        @wrap
        def step(x, t, model=model, opt=opt):
            loss = nn.mse_loss(model(x), t)
            loss.backward()
            norm = optim.clip_grad_norm(model.parameters(), 0.5) if keep else loss
            opt.step()
            after = np.sum(model[0].weight.data)        # already the new ones
            if not keep:
                opt.zero_grad()
            return loss, norm, after
        for k in range(5):
            seen.append([float(v.item()) for v in step(x * (k + 1), t)])
            seen.append([p.grad is None or p.grad.copy() for p in model.parameters()])
            opt.zero_grad()
        found.append((seen, model.state_dict(), opt.state_dict()))
    same(*found)


def test_large_gradients_are_returned():
    model, x, _ = wide()
    w = model[0].weight.data
    f = tn.compile(tn.value_and_grad(lambda w: np.sum(np.square(tn.relu(x @ w.T)))))
    for _ in range(4):
        value, g = f(w)
        y = np.maximum(x @ w.T, 0)
        assert value.item() == pytest.approx(np.sum(y * y), rel=1e-12)
        np.testing.assert_allclose(g, 2 * y.T @ x, rtol=1e-12, atol=1e-12)


def test_a_call_that_fails_after_the_update_leaves_all_as_it_was():
    model, x, t = wide()
    opt = optim.Adam(model.parameters())
    before = everything(model, opt)

    def fail():
        raise ZeroDivisionError
    step = large_step(model, opt, fail)
    with pytest.raises(ZeroDivisionError):
        step(x, t)
    assert everything(model, opt) == before


def test_a_link_holds_nothing_of_earlier_calls():
    model, x, t = wide()
    step = large_step(model, optim.Adam(model.parameters()))
    for _ in range(3):
        step(x, t)
    batch, w = x.copy(), model[0].weight.data.copy()
    gone = [weakref.ref(batch), weakref.ref(w)]
    model[0].weight.data = w
    step(batch, t)
    model[0].weight.data = w.copy()
    del batch, w
    step(x, t)
    assert all(r() is None for r in gone)


# ---------------------------------------------------------------- results where one wants them

def operations():
    """(function, arguments, keywords) of every operation with ``into``."""
    rng = np.random.default_rng(0)
    how = (2, 1), ((1, 2), (0, 1)), (1, 2), 2

    def normal(*shape):
        return rng.normal(size=shape).astype("f4")
    for size in (9, 60):                                # plain kernels, compiled ones
        x, w, b = normal(3, 4, size, size), normal(6, 2, 3, 2), normal(6)
        y = _convolution._conv2d(x, w, how=how)
        yield _convolution._conv2d, (x, w), {"how": how}
        yield _convolution._conv2d_with_bias, (x, w, b), {"how": how}
        yield _convolution._conv2d_dx, (y, w), {"into": x.shape, "how": how}
        yield _convolution._conv2d_dw, (y, x), {"into": w.shape, "how": how}
        both = {"how": how, "window": (2, 3)}
        top, chosen = _convolution_pooled._peaks(x, w, b, **both)
        yield _convolution_pooled._peaks, (x, w, b), both
        both["chosen"] = chosen
        yield _convolution_pooled._pooled_dx, (top, w), {**both, "into": x.shape}
        yield _convolution_pooled._pooled_dw, (top, x), {**both, "into": w.shape}
        for windows in (((2, 2), (2, 2), ((0, 0), (0, 0))), ((3, 3), (2, 1), ((1, 1), (0, 1)))):
            chosen = _pooling._maxima(x, windows=windows)
            y = _pooling._pick(x, chosen, windows=windows)
            image = x.shape[2:]
            yield _pooling._maxima, (x,), {"windows": windows}
            yield _pooling._pick, (x, chosen), {"windows": windows}
            yield _pooling._put, (y,), {"chosen": chosen, "image": image, "windows": windows}
            yield _pooling._total, (x,), {"windows": windows}
            yield _pooling._spread, (y,), {"image": image, "windows": windows}
        yield tn.erf, (x,), {}
        yield tn.erfc, (x,), {}


@pytest.mark.parametrize("compiled_kernels", FORMS)
def test_results_go_where_they_are_told(compiled_kernels, monkeypatch):
    compile_kernels(monkeypatch, compiled_kernels)
    for fn, args, kwargs in operations():
        want = fn(*args, **kwargs)
        several = isinstance(want, tuple)
        outs = tuple(np.full_like(a, 77) for a in (want if several else (want,)))
        fn.into(outs if several else outs[0], *args, **kwargs)
        for a, b in zip(outs, want if several else (want,), strict=True):
            assert a.tobytes() == b.tobytes(), (fn, kwargs)


def test_what_is_returned_is_used_again_when_nobody_holds_it():
    x = np.random.default_rng(0).normal(size=(600, 500))

    @tn.compile
    def f(x):
        return np.exp(x) * 2 + x
    want = np.exp(x) * 2 + x
    for _ in range(3):
        f(x)
    first = f(x)
    place = first.ctypes.data
    view = first[5:, ::2]
    del first
    other = f(x + 1)                                    # the view still needs the first one
    assert other.ctypes.data != place
    same(view, want[5:, ::2])
    held = [f(x) for _ in range(3)]
    assert len({a.ctypes.data for a in (*held, other, view.base)}) == 5
    same(np.stack(held), np.stack([want] * 3))
    place = held.pop().ctypes.data
    assert f(x).ctypes.data == place
    f(x).flags.writeable = False                        # gone, but not to be written to
    same(f(x), want)
    tensor = tn.compile(lambda t: np.exp(t) * 2 + t)
    kept = [tensor(tn.Tensor(x + k)) for k in range(6)]
    for k, t in enumerate(kept):
        same(t.data, np.exp(x + k) * 2 + (x + k))
