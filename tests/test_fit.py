"""`fit`, `evaluate`, `predict`: the loop against one by hand, averages, modes and errors."""

import functools
import signal

import numpy as np
import pytest
from derivatives import same

import tinygrad_nn as tn
from tinygrad_nn import nn, optim, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


def network(seed=0):
    return nn.Sequential(nn.Linear(4, 8, rng=seed), nn.BatchNorm1d(8), nn.ReLU(),
                         nn.Dropout(0.25, rng=seed), nn.Linear(8, 3, rng=seed))


def plain(seed=0):
    return nn.Sequential(nn.Linear(4, 3, rng=seed))


def fit(model, data=(X, LABELS), loss=nn.cross_entropy, epochs=2, **options):
    options.setdefault("progress", False)
    return train.fit(model, data, loss, optim.SGD(model.parameters(), lr=0.1), epochs,
                     **options)


def equal_models(a, b):
    for (name, x), (other, y) in zip(a.state_dict().items(), b.state_dict().items(),
                                     strict=True):
        assert name == other and x.tobytes() == y.tobytes(), name


def by_hand(model, batches_of, epochs, lr=0.1):
    """The loop of the README, and the losses that it saw: [(loss, samples)] for each epoch."""
    opt, seen = optim.SGD(model.parameters(), lr=lr), []
    for epoch in range(epochs):
        seen.append([])
        for x, t in batches_of(epoch):
            loss = nn.cross_entropy(model(x), t)
            loss.backward()
            opt.step()
            opt.zero_grad()
            seen[-1].append((loss.item(), len(t)))
    return seen


class Loader:
    """A loader by its interface alone: ``batches(epoch)`` and a length."""

    def __init__(self, size=16):
        self.size, self.asked = size, []

    def __len__(self):
        return -(-len(X) // self.size)

    def batches(self, epoch):
        self.asked.append(epoch)
        order = np.random.default_rng([7, epoch]).permutation(len(X))
        for i in range(0, len(X), self.size):
            yield X[order[i:i + self.size]], LABELS[order[i:i + self.size]]


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


# ---------------------------------------------------------------- averages and metrics

@pytest.mark.parametrize("batch_size", [1, 7, 32, 50, 1000, None])
def test_evaluate_does_not_depend_on_how_the_data_were_cut(batch_size):
    model = network().eval()
    y = model(X).data
    want = {"loss": float(nn.cross_entropy(y.astype(np.float64), LABELS)),
            "accuracy": float(np.mean(y.argmax(1) == LABELS))}
    got = train.evaluate(model, (X, LABELS), nn.cross_entropy, ["accuracy"],
                         batch_size=batch_size)
    assert got["accuracy"] == want["accuracy"]
    np.testing.assert_allclose(got["loss"], want["loss"], rtol=1e-6)


def test_validation_is_the_evaluation_at_the_end_of_each_epoch():
    rows = []

    class Evaluating(train.Callback):
        def on_epoch(self, run):
            rows.append(train.evaluate(run.model, (X[:9], LABELS[:9]), nn.cross_entropy,
                                       ["accuracy"], batch_size=4))
    history = fit(network(), validation=(X[:9], LABELS[:9]), metrics=["accuracy"], epochs=3,
                  callbacks=[Evaluating()])
    assert history["val_accuracy"] == [row["accuracy"] for row in rows]
    np.testing.assert_allclose(history["val_loss"], [row["loss"] for row in rows], rtol=1e-6)
    assert list(history[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr"]


def test_validation_does_not_change_the_training():
    a, b = network(), network()
    fit(a)
    fit(b, validation=Loader(), validation_steps=1)
    equal_models(a, b)


def test_accuracies():
    y = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [np.nan, 0.0, 1.0]])
    same(train.accuracy(y, np.array([1, 2, 0])), np.array([True, False, False]))
    same(train.accuracy(y, np.eye(3)[[1, 0, 0]]), np.array([True, True, False]))
    images = np.moveaxis(np.stack([y[:2], y[:2]]), 2, 1)                    # (2, 3, 2)
    same(train.accuracy(images, np.array([[1, 1], [0, 0]])),
         np.array([[True, False], [False, True]]))
    p, t = np.array([[0.2], [0.7], [np.nan], [0.5]]), np.array([[0], [1], [0], [0]])
    same(train.binary_accuracy(p, t), np.array([[True], [True], [False], [True]]))
    same(train.binary_accuracy_with_logits(p - 0.5, 2 * t - 1),
         np.array([[True], [True], [False], [True]]))


@pytest.mark.parametrize(("loss", "right"), [
    (nn.binary_cross_entropy, [0, 0, 1]),
    (nn.binary_cross_entropy_with_logits, [1, 1, 1]),
    (functools.partial(nn.binary_cross_entropy_with_logits, reduction="mean"), [1, 1, 1]),
])
def test_accuracy_is_the_one_that_fits_the_loss(loss, right):
    class Given(nn.Module):
        def forward(self, x):
            return x
    x = np.array([0.1, 0.4, 0.9])
    t = np.ones(3)
    got = train.evaluate(Given(), (x, t), loss, ["accuracy"])
    assert got["accuracy"] == np.mean(right)


def test_metrics_of_ones_own_by_name():
    model = plain()
    got = train.evaluate(model, (X, LABELS), nn.cross_entropy, {
        "top": lambda y, t: np.max(y, axis=1), "right": "accuracy"}, batch_size=7)
    np.testing.assert_allclose(got["top"], np.mean(np.max(model(X).data, 1)), rtol=1e-6)
    assert set(got) == {"loss", "top", "right"}


def test_the_mean_is_over_elements_where_there_are_several_a_sample():
    t = np.stack([LABELS, LABELS], axis=1)

    class Twice(nn.Module):
        def forward(self, x):
            return np.stack([x[:, :3], -x[:, :3]], axis=2)
    got = train.evaluate(Twice(), (X, t), nn.cross_entropy, ["accuracy"], batch_size=7)
    y = Twice()(X)
    assert got["accuracy"] == np.mean(np.argmax(y, 1) == t)


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


class Failing(nn.Module):
    """The identity, until it has been called ``n`` times."""

    def __init__(self, n, fail):
        self.n, self.fail = n, fail

    def forward(self, x):
        if self.training:
            self.n -= 1
            if not self.n:
                self.fail()
        return x


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


# ---------------------------------------------------------------- history and progress

def test_history_prints_as_a_table_and_gives_columns():
    history = fit(plain(), epochs=3)
    assert history["epoch"] == [1, 2, 3] and history[-1]["epoch"] == 3
    assert isinstance(history, train.History) and len(str(history).splitlines()) == 4
    assert str(train.History()) == "no epochs"
    with pytest.raises(KeyError, match="it has epoch, loss, lr"):
        history["accuracy"]
    long = train.History({"epoch": k, "loss": 1.0 / k} for k in range(1, 1001))
    lines = str(long).splitlines()
    assert len(lines) == 42 and "…" in lines[21] and lines[-1].split() == ["1000", "0.001"]


def test_progress_off_a_terminal_is_a_line_an_epoch(capsys):
    fit(plain(), epochs=2, metrics=["accuracy"], validation=(X, LABELS), progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for k, line in enumerate(lines, 1):
        assert line.startswith(f"epoch {k} of 2: loss ")
        for word in ("accuracy", "val_loss", "val_accuracy", " s)"):
            assert word in line
    fit(plain(), epochs=1000, batch_size=None, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21 and lines[-1].startswith("epoch 1000 of 1000")
    fit(plain())
    assert capsys.readouterr().out == ""


class Terminal:
    """A stream that says it is a terminal, and keeps what is written."""

    def __init__(self): self.text = ""
    def isatty(self): return True
    def write(self, s): self.text += s
    def flush(self): pass


def test_progress_on_a_terminal_renews_its_line(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(train._progress, "OFTEN", -1)
    monkeypatch.setenv("COLUMNS", "200")
    fit(plain(), epochs=2, batch_size=10, metrics=["accuracy"], progress=True)
    shown = terminal.text.split("\r")[1:]
    assert len(shown) == 12 and terminal.text.count("\n") == 2
    assert shown[1].startswith("epoch 1 of 2   step 2 of 5   loss ")
    assert "accuracy" in shown[1] and " a second   " in shown[1] and " s left" in shown[1]
    assert shown[5].startswith("epoch 1 of 2: loss ") and shown[5].endswith("\n")
    assert shown[10].startswith("epoch 2 of 2   step 5 of 5") and "left" not in shown[10]
    assert len(shown[5].rstrip("\n")) >= len(shown[4].rstrip())     # nothing old stays


def test_progress_of_equal_steps(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(train._progress, "OFTEN", -1)
    monkeypatch.setenv("COLUMNS", "200")
    progress = train.Progress(3, terminal)
    for i in range(3):
        progress(i, cost=0.5)
    assert terminal.text.count("\r") == 3 and terminal.text.count("\n") == 1
    assert "iteration 2 of 3   cost 0.5000   " in terminal.text and "s left" in terminal.text
    progress = train.Progress(2500)
    for i in range(2500):
        progress(i, cost=0.5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 and lines[1] == "iteration 250: cost 0.5000"


def test_progress_ends_its_line_before_an_error(monkeypatch):
    def fail():
        raise RuntimeError
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(train._progress, "OFTEN", -1)
    with pytest.raises(RuntimeError):
        fit(nn.Sequential(plain(), Failing(2, fail)), batch_size=10, progress=True)
    assert terminal.text.count("\r") == 1 and terminal.text.endswith("\n")


def test_progress_without_a_length_learns_it_from_the_first_epoch(monkeypatch):
    class Unmeasured:
        def __iter__(self):
            return Loader(10).batches(0)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(train._progress, "OFTEN", -1)
    monkeypatch.setenv("COLUMNS", "200")
    fit(plain(), Unmeasured(), epochs=2, progress=True)
    shown = terminal.text.split("\r")[1:]
    assert shown[1].startswith("epoch 1 of 2   step 2   loss") and "left" not in shown[1]
    assert shown[7].startswith("epoch 2 of 2   step 2 of 5   loss") and "left" in shown[7]


@pytest.mark.parametrize(("seconds", "text"), [
    (0.04, "0.0 s"), (9.96, "10.0 s"), (45.4, "45 s"), (200, "3 min 20 s"),
    (3900.2, "1 h 5 min")])
def test_durations(seconds, text):
    assert train._progress.duration(seconds) == text


# ---------------------------------------------------------------- errors

@pytest.mark.parametrize(("change", "kind", "sentence"), [
    ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    ({"epochs": -3}, ValueError, "epochs must be at least 1, got -3"),
    ({"epochs": 1.5}, TypeError, "epochs must be a whole number, got 1.5"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1"),
    ({"validation": (X, LABELS), "validation_steps": 0}, ValueError, "validation_steps must"),
    ({"validation_steps": 1}, ValueError, "without validation data"),
    ({"metrics": ["acuracy"]}, ValueError, "there is no metric 'acuracy'; there are accuracy"),
    ({"metrics": "accuracy"}, TypeError, "metrics takes a list"),
    ({"metrics": {"loss": train.accuracy}}, ValueError, "'loss' is reported anyway"),
    ({"metrics": {"one": lambda y, t: 1.0}}, tn.ShapeError,
     r"the metric one gave shape \(\) for 32 samples"),
    ({"data": (X, LABELS[:3])}, tn.ShapeError, "50 samples .* and 3 targets"),
    ({"data": (X[:0], LABELS[:0])}, tn.DataError, "the arrays are empty"),
    ({"data": []}, tn.DataError, "there is no batch at all: .* drop_last"),
    ({"data": [X]}, TypeError, r"a batch must be a pair \(x, t\), got a ndarray"),
    ({"data": [(X, LABELS, X)]}, TypeError, "got a tuple of 3"),
    ({"data": 3}, TypeError, "expected two arrays .* got int"),
    ({"data": iter([(X, LABELS)])}, tn.DataError, "no batch in pass 2: an iterator"),
    ({"loss": functools.partial(nn.cross_entropy, reduction="none")}, tn.ShapeError,
     r"gave an array of shape \(32,\): it must be one number"),
    ({"loss": lambda y, t: nn.cross_entropy(y.data, t)}, tn.GraphError, "gave a plain number"),
    ({"callbacks": [print]}, TypeError, "callbacks must be Callbacks, got builtin"),
    ({"validation": (X[:, :2], LABELS)}, tn.ShapeError,
     r"validation: samples of shape \(50, 2\), those of the training data have \(50, 4\)"),
    ({"validation": (X, np.eye(3)[LABELS])}, tn.ShapeError, "validation: targets of shape"),
    ({"validation": (X, LABELS + 1)}, tn.DataError, "validation: it holds class 3, of which"),
    ({"validation": (X[:0], LABELS[:0])}, tn.DataError, "validation: the arrays are empty"),
    ({"validation": []}, tn.DataError, "validation: there is no batch"),
    ({"validation": iter([(X, LABELS)])}, TypeError, "an iterator only once"),
    ({"validation": [(X, LABELS + 1)]}, ValueError, "validation: cross_entropy: labels must"),
    ({"validation": [(X[:, :2], LABELS)]}, tn.ShapeError, "validation: 0: .*expects inputs"),
])
def test_what_is_wrong_is_said_and_nothing_is_learnt(change, kind, sentence):
    model = plain()
    before = model.state_dict()
    learns = change.get("data").__class__.__name__ == "list_iterator"
    with pytest.raises(kind, match=sentence):
        fit(model, **change)
    if not learns:
        np.testing.assert_equal(model.state_dict(), before)


def test_integers_that_are_no_classes_may_be_new_in_validation():
    class First(nn.Module):
        def __init__(self):
            self.w = tn.Tensor(np.ones(4, np.float32))

        def forward(self, x):
            return x @ self.w
    fit(First(), (X, LABELS), nn.mse_loss, validation=(X, LABELS + 7))


def test_data_that_are_gone_through_are_not_asked_for_more():
    asked = []

    class Counting:
        def __iter__(self):
            asked.append(True)
            return iter([(X, LABELS)])
    fit(plain(), Counting(), epochs=3)
    assert len(asked) == 3


def test_classes_of_loaders_must_agree():
    class Folder(Loader):
        def __init__(self, *classes):
            super().__init__()
            self.classes = classes
    with pytest.raises(tn.DataError, match=r"its classes are cat, fish; .* cat, dog; both"):
        fit(plain(), Folder("cat", "dog"), validation=Folder("cat", "fish"))
    fit(plain(), Folder("cat", "dog"), validation=Folder("cat", "dog"), epochs=1)


def test_model_and_optimiser_must_be_what_they_are_and_fit():
    model = plain()
    with pytest.raises(TypeError, match="fit takes a module, got function"):
        train.fit(lambda x: x, (X, LABELS), nn.mse_loss, optim.SGD(model.parameters()), 1)
    with pytest.raises(TypeError, match="fit takes an optimiser of optim, got float"):
        train.fit(model, (X, LABELS), nn.mse_loss, 0.1, 1)
    with pytest.raises(ValueError, match="holds none of this model's parameters"):
        train.fit(model, (X, LABELS), nn.mse_loss, optim.SGD(plain().parameters()), 1)


@pytest.mark.parametrize(("metric", "y", "t", "sentence"), [
    (train.accuracy, np.zeros((3, 1)), np.zeros(3, int), "binary_accuracy"),
    (train.accuracy, np.zeros(3), np.zeros(3, int), "two classes or more"),
    (train.accuracy, np.zeros((3, 2)), np.zeros((3, 1), int), r"labels have shape \(3,\)"),
    (train.binary_accuracy, np.zeros((3, 1)), np.zeros(3), "reshape the targets"),
])
def test_metrics_refuse_shapes_that_would_broadcast(metric, y, t, sentence):
    with pytest.raises(tn.ShapeError, match=sentence):
        metric(y, t)


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
