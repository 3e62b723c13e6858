"""Callbacks: when they are called, schedules, early stopping, the best weights, logs, nan."""

import csv
import json
import math
import re

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn, optim, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
T = X @ np.array([[1.0], [2.0], [-1.0]], np.float32)


def line():
    return nn.Linear(3, 1, rng=0)


def fit(model=None, epochs=3, opt=None, **options):
    model = model or line()
    opt = opt or optim.SGD(model.parameters(), lr=0.1)
    return train.fit(model, (X, T), nn.mse_loss, opt, epochs, batch_size=10, progress=False,
                     **options)


class Scripted(train.Callback):
    """Says what the validation loss of each epoch was, whatever it was; and sets the weights to
    the number of the epoch."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch(self, run):
        run.history[-1][self.name] = self.values[run.epoch - 1]
        run.model.weight.data = np.full((1, 3), run.epoch, np.float32)


# ---------------------------------------------------------------- the protocol

def test_when_they_are_called():
    calls = []

    class Noting(train.Callback):
        def __init__(self, name): self.name = name
        def on_start(self, run): calls.append((self.name, "start"))
        def on_gradients(self, run):
            assert run.model.weight.grad is not None and run.batch[0].shape == (10, 3)
            calls.append((self.name, "gradients", run.step))
        def on_step(self, run):
            assert run.model.weight.grad is None
            calls.append((self.name, "step", run.step, run.steps))
        def on_epoch(self, run): calls.append((self.name, "epoch", run.epoch, run.step))
        def on_end(self, run): calls.append((self.name, "end"))
        def close(self): calls.append((self.name, "close"))
    fit(epochs=2, steps_per_epoch=1, callbacks=[Noting("a"), Noting("b")])
    assert calls[:2] == [("b", "start"), ("a", "start")]
    assert [c[1:] for c in calls if c[0] == "a"] == [
        ("start",), ("gradients", 0), ("step", 1, 1), ("epoch", 1, 0),
        ("gradients", 0), ("step", 1, 2), ("epoch", 2, 0), ("end",), ("close",)]
    assert [c[1:] for c in calls if c[0] == "a"] == [c[1:] for c in calls if c[0] == "b"]


def test_one_that_clips_gradients():
    class Clip(train.Callback):
        def on_gradients(self, run):
            optim.clip_grad_norm(run.optimizer.parameters, 1e-3)
    model, before = line(), line().state_dict()
    fit(model, epochs=1, callbacks=[Clip()])
    moved = np.sqrt(sum(np.sum((model.state_dict()[k] - before[k]) ** 2) for k in before))
    assert 0 < moved <= 4 * 0.1 * 1e-3 * 1.01


def test_one_that_stops():
    class Stop(train.Callback):
        def on_epoch(self, run):
            if run.epoch == 2:
                run.stopped = "that is enough"
    assert len(fit(epochs=9, callbacks=[Stop()])) == 2


def test_close_comes_whatever_ended_the_run():
    closed = []

    class Failing(train.Callback):
        def on_step(self, run): raise RuntimeError("no")
        def on_end(self, run): pytest.fail("it did not come to an end")
        def close(self): closed.append(True)
    with pytest.raises(RuntimeError):
        fit(callbacks=[Failing()])
    assert closed == [True]


# ---------------------------------------------------------------- schedules

def test_schedules_per_epoch_and_per_step():
    model = line()
    opt = optim.SGD(model.parameters(), lr=8.0e-3)
    per_epoch = train.Schedule(optim.StepLR(opt, 2, 0.5))
    assert fit(model, 5, opt, callbacks=[per_epoch])["lr"] == [8e-3, 8e-3, 4e-3, 4e-3, 2e-3]
    model = line()
    opt = optim.SGD(model.parameters(), lr=1e-3)
    rates = []

    class Noting(train.Callback):
        def on_gradients(self, run): rates.append(run.optimizer.lr)
    cycle = optim.OneCycleLR(opt, 0.1, epochs=3, steps_per_epoch=4, cycle_momentum=False)
    fit(model, 3, opt, callbacks=[Noting(), train.Schedule(cycle, per="step")])
    other = optim.SGD(line().parameters(), lr=1e-3)
    cycle, want = optim.OneCycleLR(other, 0.1, total_steps=12, cycle_momentum=False), []
    for _ in range(12):
        want.append(other.lr)
        cycle.step()
    assert rates == want


def test_reduce_on_plateau_watches_the_history():
    model = line()
    opt = optim.SGD(model.parameters(), lr=1.0)
    plateau = optim.ReduceLROnPlateau(opt, patience=1, factor=0.5)
    history = fit(model, 6, opt, validation=(X, T), callbacks=[
        Scripted([3.0, 2.0, 2.0, 2.0, 1.0, 1.0]), train.Schedule(plateau)])
    assert history["lr"] == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_schedules_that_do_not_fit():
    model = line()
    opt = optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(ValueError, match="belongs to another optimiser"):
        fit(callbacks=[train.Schedule(optim.ExponentialLR(opt, 0.5))])
    with pytest.raises(ValueError, match="per must be 'epoch' or 'step', got 'batch'"):
        train.Schedule(optim.ExponentialLR(opt, 0.5), per="batch")
    with pytest.raises(ValueError, match="ReduceLROnPlateau looks at an epoch"):
        train.Schedule(optim.ReduceLROnPlateau(opt), per="step")
    with pytest.raises(TypeError, match="takes a schedule of optim, got SGD"):
        train.Schedule(opt)
    with pytest.raises(TypeError, match=r"got ExponentialLR: train\.Schedule\(schedule\)"):
        fit(callbacks=[optim.ExponentialLR(opt, 0.5)])
    plateau = train.Schedule(optim.ReduceLROnPlateau(opt))
    with pytest.raises(ValueError, match=r"monitor='val_loss' .* loss, lr: pass validation"):
        fit(model, opt=opt, callbacks=[plateau])


# ---------------------------------------------------------------- the best epoch

@pytest.mark.parametrize(("values", "patience", "epochs", "best"), [
    ([5, 4, 3, 3.5, 3.2, 9, 9], 2, 5, 3),
    ([5, 4, 3, 3.5, 2, 9, 9], 2, 7, 5),
    ([1, 2, 3, 4, 5, 6, 7], 3, 4, 1),
    ([5, math.nan, math.nan, 1, 1, 1, 1], 3, 7, 4),
    ([7, 6, 5, 4, 3, 2, 1], 1, 7, 7),
])
def test_early_stopping_gives_back_the_best_weights(values, patience, epochs, best):
    model, stop = line(), train.EarlyStopping(patience=patience)
    history = fit(model, 7, validation=(X, T), callbacks=[Scripted(values), stop])
    assert len(history) == epochs and (stop.best_epoch, stop.best) == (best, values[best - 1])
    np.testing.assert_array_equal(model.weight.data, np.full((1, 3), best, np.float32))


def test_early_stopping_of_what_is_better_when_more_and_by_how_much():
    model, values = line(), [0.5, 0.6, 0.605, 0.609, 0.9]
    stop = train.EarlyStopping("val_accuracy", patience=2, min_delta=0.01)
    history = fit(model, 5, validation=(X, T), metrics={"accuracy": lambda y, t: y > 0},
                  callbacks=[Scripted(values, "val_accuracy"), stop])
    assert len(history) == 4 and stop.best_epoch == 2
    stop = train.EarlyStopping("loss", patience=1, mode="max")
    assert len(fit(callbacks=[Scripted([1.0, 2.0, 1.5], "loss"), stop])) == 3
    assert stop.best == 2.0


def test_early_stopping_says_why(capsys):
    model = line()
    train.fit(model, (X, T), nn.mse_loss, optim.SGD(model.parameters(), lr=1e-3), 9,
              validation=(X, T),
              callbacks=[Scripted([1.0] * 9), train.EarlyStopping(patience=2)])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Stopped after epoch 3: val_loss has not become better for 2 epochs.")


def test_a_callback_used_again_begins_anew(tmp_path):
    stop, save = train.EarlyStopping(patience=1), train.SaveBest(tmp_path / "b.safetensors")
    fit(epochs=2, validation=(X, T), callbacks=[Scripted([1.0, 2.0]), stop, save])
    model = line()
    fit(model, epochs=2, validation=(X, T), callbacks=[Scripted([9.0, 8.0]), stop, save])
    assert stop.best == save.best == 8.0 and model.weight.data[0, 0] == 2


def test_buffers_belong_to_the_best_weights():
    model = nn.Sequential(nn.Linear(3, 1, rng=0), nn.BatchNorm1d(1))
    model.weight = tn.Tensor(np.zeros((1, 3)))
    kept = []

    class Keeping(train.Callback):
        def on_epoch(self, run): kept.append(run.model.state_dict())
    fit(model, 3, validation=(X, T),
        callbacks=[Scripted([2.0, 1.0, 3.0]), Keeping(), train.EarlyStopping(patience=5)])
    np.testing.assert_equal(model.state_dict(), kept[1])
    assert (kept[1]["1.running_mean"] != kept[2]["1.running_mean"]).all()


def test_the_best_weights_in_a_file(tmp_path):
    path, model = tmp_path / "best.safetensors", line()
    fit(model, 4, validation=(X, T),
        callbacks=[Scripted([3.0, 1.5, 2.0, math.nan]), train.SaveBest(path)])
    np.testing.assert_array_equal(tn.load_weights(path)["weight"], np.full((1, 3), 2))
    assert tn.load_metadata(path) == {"epoch": "2", "val_loss": "1.5"}
    assert model.weight.data[0, 0] == 4
    other = line()
    other.load_state_dict(tn.load_weights(path))
    assert [f.name for f in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("make", [
    lambda name: train.EarlyStopping(name), lambda name: train.SaveBest("unused", name)])
def test_a_name_that_the_history_lacks(make):
    with pytest.raises(ValueError, match=r"'val_accuracy' is no name .* epoch, loss, lr: pass"):
        fit(callbacks=[make("val_accuracy")])
    with pytest.raises(ValueError, match="'acc' is no name of the history"):
        fit(callbacks=[make("acc")])


def test_a_folder_that_is_not_there_is_found_missing_at_once(tmp_path):
    model = line()
    with pytest.raises(FileNotFoundError, match="SaveBest: there is no folder"):
        fit(model, callbacks=[train.SaveBest(tmp_path / "no" / "best.safetensors", "loss")])
    np.testing.assert_equal(model.state_dict(), line().state_dict())


def test_wrong_settings():
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'least'"):
        train.EarlyStopping(mode="least")
    with pytest.raises(ValueError, match="patience must be at least 1, got 0"):
        train.EarlyStopping(patience=0)
    with pytest.raises(ValueError, match=r"must end in \.csv or \.jsonl, got 'log.txt'"):
        train.Log("log.txt")


# ---------------------------------------------------------------- logs

def test_logs(tmp_path):
    table, lines = tmp_path / "log.csv", tmp_path / "log.jsonl"
    table.write_text("an older run\n")
    history = fit(validation=(X, T), epochs=3, callbacks=[
        Scripted([1.0, math.inf, 3.0]), train.Log(table), train.Log(str(lines))])
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [list(map(float, row.values())) for row in rows] == [
        list(row.values()) for row in history]
    assert list(rows[0]) == ["epoch", "loss", "val_loss", "lr"]
    found = [json.loads(text) for text in lines.read_text().splitlines()]
    assert [row["val_loss"] for row in found] == [1.0, None, 3.0]
    assert [row["loss"] for row in found] == history["loss"]


def test_what_a_callback_adds_to_a_row_is_logged(tmp_path):
    class Adding(train.Callback):
        def on_epoch(self, run): run.history[-1]["norm"] = 2.0 * run.epoch
    history = fit(callbacks=[Adding(), train.Log(tmp_path / "log.csv")])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,lr,norm" and lines[3].endswith(",6.0")
    assert history["norm"] == [2.0, 4.0, 6.0]


def test_logs_are_there_while_the_run_goes_on(tmp_path):
    seen = []

    class Reading(train.Callback):
        def on_epoch(self, run):
            seen.append(len((tmp_path / "log.csv").read_text().splitlines()))
    fit(callbacks=[train.Log(tmp_path / "log.csv"), Reading()])
    assert seen == [2, 3, 4]


# ---------------------------------------------------------------- nan

class Net(nn.Module):
    """A line and what comes behind it."""

    def __init__(self, behind):
        self.line, self.behind = nn.Linear(3, 1, rng=0), behind
        self.drop, self.norm = nn.Dropout(0.5, rng=0), nn.BatchNorm1d(3)

    def forward(self, x):
        return self.behind(self.line(self.drop(self.norm(x))))


def state_of(model):
    return model.state_dict(), [g.bit_generator.state for _, g in model.named_generators()]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("behind", "words"), [
    (lambda y: y + np.log(y * 0.0), ("loss is -?(inf|nan)", r"np\.log in .*gave -inf")),
    (lambda y: y + np.sqrt(y * 0.0), ("the gradient of line.weight is not finite",
                                      r"the gradient of np\.sqrt .*is (inf|nan)")),
])
def test_stop_on_nan_names_operation_and_line(behind, words):
    model = Net(behind)
    before = state_of(model)
    with pytest.raises(tn.NonFiniteError) as error:
        fit(model, callbacks=[train.StopOnNan()])
    text = str(error.value)
    assert text.startswith("epoch 1, step 1: ")
    for word in (*words, re.escape(__file__) + r", line \d+"):
        assert re.search(word, text), text
    np.testing.assert_equal(state_of(model), before)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_stop_on_nan_does_the_same_step_again():
    """The dropout mask decides whether there is a nan: the second time must draw it again."""
    model = Net(lambda y: y)

    class Rare(nn.Module):
        def forward(self, x):
            return np.log(np.where(np.all(x == 0, axis=1, keepdims=True), 0.0, 1.0)
                          * tn.Tensor(np.ones(()))) + np.sum(x, axis=1, keepdims=True)
    model.behind = lambda y: y
    model.line = nn.Sequential(Rare(), nn.Linear(1, 1, rng=0))
    with pytest.raises(tn.NonFiniteError, match=r"step \d+: the loss is inf.*np\.log in"):
        fit(model, 50, callbacks=[train.StopOnNan()])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_stop_on_nan_where_no_operation_is_to_blame():
    model = Net(lambda y: y)
    x = X.copy()
    x[5, 1] = np.nan
    opt = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(tn.NonFiniteError, match="The samples of this batch hold a nan"):
        train.fit(model, (x, T), nn.mse_loss, opt, 1, batch_size=None, progress=False,
                  callbacks=[train.StopOnNan()])
    with pytest.raises(tn.NonFiniteError, match="The targets of this batch hold a nan"):
        train.fit(model, (X, x[:, 1:2]), nn.mse_loss, opt, 1, batch_size=None, progress=False,
                  callbacks=[train.StopOnNan()])
    model.line.weight.data = np.full((1, 3), np.inf, np.float32)
    with pytest.raises(tn.NonFiniteError, match=r"line.weight held a nan .* rate \(0.1\) too"):
        fit(model, opt=opt, callbacks=[train.StopOnNan()])


def test_stop_on_nan_lets_finite_steps_pass():
    a, b = Net(lambda y: y), Net(lambda y: y)
    fit(a, callbacks=[train.StopOnNan()])
    fit(b)
    np.testing.assert_equal(state_of(a), state_of(b))
