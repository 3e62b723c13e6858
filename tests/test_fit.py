"""`fit`, `predict`: the loop against one by hand, modes, interruptions, compiled steps."""

import functools
import signal

import numpy as np
import pytest
from fitting import LABELS, Failing, Loader, X, by_hand, equal_models, fit, network, plain

import tinygrad_nn as tn
from tinygrad_nn import nn, optim, train


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Also where a shell has started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# ---------------------------------------------------------------- the loop

def test_it_is_the_loop_that_people_write():
    loader, ours, theirs = Loader(), network(), network()
    history = fit(ours, loader, epochs=3)
    seen = by_hand(theirs, Loader().batches, 3)
    equal_models(ours, theirs)
    assert loader.asked == [0, 1, 2]
    for loss, batches in zip(history["loss"], seen, strict=True):
        np.testing.assert_allclose(loss, sum(v * n for v, n in batches) / 50, rtol=1e-12)


def test_arrays_are_shuffled_by_seed_and_epoch():
    def batches(seed):
        def of(epoch):
            order = np.random.default_rng((seed, epoch)).permutation(50)
            return [(X[order[i:i + 32]], LABELS[order[i:i + 32]]) for i in (0, 32)]
        return of
    a, b, c, d = (network() for _ in range(4))
    fit(a)
    by_hand(b, batches(0), 2)
    equal_models(a, b)
    fit(c, seed=5)
    by_hand(d, batches(5), 2)
    equal_models(c, d)
    assert (a[0].weight.data != c[0].weight.data).any()


def test_the_full_batch_is_the_arrays_themselves():
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen.append(x)
            return super().forward(x)
    model = nn.Sequential(Watching(4, 3, rng=0))
    fit(model, epochs=3, batch_size=None)
    assert len(seen) == 3 and all(x is X for x in seen)


def test_any_iterable_of_batches_will_do():
    batches = [(X[:20], LABELS[:20]), (X[20:], LABELS[20:])]
    a, b, c = (network() for _ in range(3))
    fit(a, batches)
    by_hand(b, lambda epoch: batches, 2)
    equal_models(a, b)
    fit(c, (batch for _ in range(2) for batch in batches), steps_per_epoch=2)
    equal_models(a, c)


def test_steps_per_epoch_go_on_where_the_last_epoch_stopped():
    loader, ours, theirs = Loader(), network(), network()
    history = fit(ours, loader, epochs=2, steps_per_epoch=6)      # of 4 batches in a pass
    stream = [b for k in range(3) for b in Loader().batches(k)]
    by_hand(theirs, lambda epoch: stream[6 * epoch:6 * epoch + 6], 2)
    equal_models(ours, theirs)
    assert loader.asked == [0, 1, 2] and len(history) == 2


def test_a_loader_that_is_left_within_a_pass_is_closed():
    closed = []

    class Closing(Loader):
        def batches(self, epoch):
            try:
                yield from super().batches(epoch)
            finally:
                closed.append(epoch)
    fit(plain(), Closing(), epochs=1, steps_per_epoch=2)
    assert closed == [0]
    train.evaluate(plain(), Closing(), nn.cross_entropy, steps=1)
    assert closed == [0, 0]


def test_stale_gradients_are_not_learnt_from():
    a, b = plain(), plain()
    nn.cross_entropy(a(100 * X), LABELS).backward()
    fit(a)
    fit(b)
    equal_models(a, b)
    assert a[0].weight.grad is None


# ---------------------------------------------------------------- predict

def test_predict_keeps_the_order_and_needs_no_targets():
    model = network()
    want = model.eval()(X).data
    model.train()
    for data in (X, [X[:7], X[7:]], [(X[:7], LABELS[:7]), (X[7:], LABELS[7:])],
                 iter([X[:7], X[7:]])):
        np.testing.assert_allclose(train.predict(model, data), want, rtol=1e-5, atol=1e-6)
    assert train.predict(model, X, batch_size=3).dtype == np.float32
    assert train.predict(model, X, batch_size=10, steps=2).shape == (20, 3)
    assert isinstance(train.predict(model, X), np.ndarray)


def test_predict_refuses_what_would_not_be_in_order():
    class Samples:
        def __len__(self): return 2
        def __getitem__(self, i): return X[i], LABELS[i]
    with pytest.raises(TypeError, match=r"predict: expected an array, a .* got Samples"):
        train.predict(network(), Samples())
    for name in ("shuffle", "drop_last"):
        samples = tn.data.ArrayDataset(X, LABELS)
        right = tn.data.DataLoader(samples, 16, **{name: False})
        assert train.predict(network(), right).shape == (50, 3)
        with pytest.raises(ValueError, match=f"the loader has {name}=True"):
            train.predict(network(), tn.data.DataLoader(samples, 16, **{name: True}))


# ---------------------------------------------------------------- modes and interruptions

def test_modes_are_set_and_put_back():
    seen = []

    class Noting(nn.Module):
        def forward(self, x):
            seen.append(self.training)
            return x
    model = nn.Sequential(nn.Linear(4, 3, rng=0), Noting())
    model.eval()
    model[0].training = True
    fit(model, epochs=1, batch_size=None, validation=(X, LABELS))
    assert seen == [False, True, False]                 # tried, trained, validated
    assert [m.training for m in model.modules()] == [False, True, False]
    model.train()
    train.predict(model, X)
    assert all(m.training for m in model.modules())
    with pytest.raises(tn.ShapeError):
        train.evaluate(model, (X[:, :2], LABELS), nn.cross_entropy)
    assert all(m.training for m in model.modules())


def state_of(model, opt):
    return (model.state_dict(), opt.state_dict(),
            [g.bit_generator.state for _, g in model.named_generators()])


def steps_by_hand(n, fail_at):
    """Model and optimiser after ``n`` steps of the first pass over the arrays."""
    model = nn.Sequential(network(), Failing(fail_at, lambda: None))
    opt = optim.Adam(model.parameters())
    order = np.random.default_rng((0, 0)).permutation(50)
    for i in range(0, 10 * n, 10):
        nn.cross_entropy(model(X[order[i:i + 10]]), LABELS[order[i:i + 10]]).backward()
        opt.step()
        opt.zero_grad()
    return state_of(model, opt)


def test_an_exception_leaves_what_was_between_two_steps():
    def fail():
        raise RuntimeError("no more")
    model = nn.Sequential(network(), Failing(3, fail))
    opt = optim.Adam(model.parameters())
    with pytest.raises(RuntimeError, match="no more"):
        train.fit(model, (X, LABELS), nn.cross_entropy, opt, 1, batch_size=10, progress=False)
    np.testing.assert_equal(state_of(model, opt), steps_by_hand(2, 9))
    assert all(p.grad is None for p in model.parameters())


def test_ctrl_c_waits_for_the_end_of_the_step():
    handler = signal.getsignal(signal.SIGINT)
    model = nn.Sequential(network(), Failing(3, lambda: signal.raise_signal(signal.SIGINT)))
    opt = optim.Adam(model.parameters())
    with pytest.raises(KeyboardInterrupt):
        train.fit(model, (X, LABELS), nn.cross_entropy, opt, 1, batch_size=10, progress=False)
    np.testing.assert_equal(state_of(model, opt), steps_by_hand(3, 9))
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_within_the_update_leaves_no_half_of_it():
    class Interrupted(optim.Adam):
        calls = 0

        def rule(self, *args, **settings):
            self.calls += 1
            if self.calls == 2:                         # the first parameter is updated
                signal.raise_signal(signal.SIGINT)
            return optim.adam(*args, **settings)
    model = nn.Sequential(network(), Failing(9, None))
    opt = Interrupted(model.parameters())
    with pytest.raises(KeyboardInterrupt):
        train.fit(model, (X, LABELS), nn.cross_entropy, opt, 1, batch_size=10, progress=False)
    got, want = state_of(model, opt), steps_by_hand(1, 9)
    want[1]["optimizer"] = "Interrupted"
    np.testing.assert_equal(got, want)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize(("ctrl_c", "kind"), [(False, ZeroDivisionError),
                                              (True, KeyboardInterrupt)])
def test_a_callback_that_fails_leaves_what_was_between_two_steps(compile, ctrl_c, kind):
    """Also where the step is a program, as it is from the third call on."""

    class Stop(train.Callback):
        def on_gradients(self, run):
            if run.steps == 3:
                _ = signal.raise_signal(signal.SIGINT) if ctrl_c else 1 / 0
    model = nn.Sequential(network())
    opt = optim.Adam(model.parameters())
    with pytest.raises(kind):
        train.fit(model, (X, LABELS), nn.cross_entropy, opt, 1, batch_size=10, progress=False,
                  callbacks=[Stop()], compile=compile)
    np.testing.assert_equal(state_of(model, opt), steps_by_hand(3 + ctrl_c, 9))


def test_ctrl_c_while_data_are_read_is_at_once():
    def batches():
        yield X[:10], LABELS[:10]
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it was not at once")
    with pytest.raises(KeyboardInterrupt):
        fit(plain(), batches(), epochs=1)


# ---------------------------------------------------------------- compiled

class Clip(train.Callback):
    def on_gradients(self, run):
        optim.clip_grad_norm(run.model.parameters(), 0.5)


@pytest.mark.parametrize("make_optimizer", [optim.Adam, functools.partial(
    optim.SGD, lr=0.05, momentum=0.9, nesterov=True)])
def test_compiled_training_is_the_same_bit_for_bit(make_optimizer):
    """Batch norm, dropout, a schedule, clipping, metrics, validation, a smaller last batch."""
    def run(compile):
        model = network()
        opt = make_optimizer(model.parameters())
        schedule = optim.CosineAnnealingLR(opt, 3 * 4)
        history = train.fit(model, (X, LABELS), nn.cross_entropy, opt, 3, batch_size=16,
                            validation=(X[:9], LABELS[:9]), metrics=["accuracy"],
                            callbacks=[Clip(), train.Schedule(schedule, per="step")],
                            progress=False, compile=compile)
        return model, history, opt
    (one, seen, opt), (two, compiled, other) = run(False), run(True)
    equal_models(one, two)
    assert list(seen) == list(compiled)
    np.testing.assert_equal(opt.state_dict(), other.state_dict())


def test_a_compiled_run_still_names_what_is_not_finite():
    model = plain()
    x = X.copy()
    x[40] = 1e30

    def loss(y, t):
        return np.mean(np.exp(y)) + nn.cross_entropy(y, t)
    with pytest.raises(tn.NonFiniteError, match=r"(?s)step \d+: the loss is inf.*np\.exp"), (
            np.errstate(all="ignore")):
        train.fit(model, (x, LABELS), loss, optim.SGD(model.parameters(), lr=0.01), 2,
                  batch_size=10, callbacks=[train.StopOnNan()], progress=False, compile=True)
    assert all(np.isfinite(a).all() for a in model.state_dict().values())


def test_a_loss_that_cannot_be_recorded_says_where():
    def loss(y, t):
        return nn.cross_entropy(y, t) if np.max(y) > 0 else np.mean(y)
    with pytest.raises(tn.DetachError, match="cannot branch on values"):
        fit(plain(), loss=loss, compile=True)
