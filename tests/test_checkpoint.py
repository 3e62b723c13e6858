"""Checkpoints: a run that is killed anywhere and resumed ends with the same bytes; and what a
resumed run must have in common with the one before."""

import contextlib
import functools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training import BATCHES, EPOCHS, Everything, data, network

import tinygrad_nn as tn
from tinygrad_nn import nn, optim, train
from tinygrad_nn.train import _checkpoint


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """No test here switches the machine off."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of a run that nobody disturbs."""
    return Everything(tmp_path_factory.mktemp("whole")).fit().outcome()


def check_same(outcome, want):
    assert outcome.keys() == want.keys()
    for name in want:
        assert outcome[name] == want[name], f"{name} differs"


class Killed(BaseException):
    """As little to be caught as SIGKILL."""


class KillAt(train.Callback):
    """Kills at a step (counted over the whole run): before its update, after it, or at the end
    of its epoch."""

    def __init__(self, step, where):
        self.step, self.where = step, where

    def settings(self):
        return None

    def on_gradients(self, run): self._kill(run.steps, "update")
    def on_step(self, run): self._kill(run.steps, "step")
    def on_epoch(self, run): self._kill(run.steps, "epoch")

    def _kill(self, steps, where):
        if where == self.where and steps >= self.step:
            raise Killed


# ---------------------------------------------------------------- resume is exact

@pytest.mark.parametrize("seed", range(20))
def test_killed_at_random_it_ends_with_the_same_bytes(seed, tmp_path, uninterrupted):
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 1, 2, 3))):
        kill = KillAt(draw.randrange(EPOCHS * BATCHES),
                      draw.choice(("update", "step", "epoch")))
        with pytest.raises(Killed):
            Everything(tmp_path, more=[kill]).fit()
            raise Killed                    # it was past that point already
    check_same(Everything(tmp_path).fit().outcome(), uninterrupted)


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("which", [1, 2, 3, 7, 12])
def test_killed_while_it_writes(call, which, tmp_path, monkeypatch, uninterrupted):
    """Dead before the n-th time that a file is made, flushed or renamed; what a killed process
    cannot do either, such as removing its temporary file, is not done."""
    count, dead = [], []

    def deadly(f):
        def run(*args, **kwargs):
            count.append(1)
            if len(count) >= which or dead:
                dead.append(1)
                raise Killed
            return f(*args, **kwargs)
        return run
    with monkeypatch.context() as m:
        if call == "open":
            m.setattr(tn._files, "open", deadly(open), raising=False)
        else:
            m.setattr(os, call, deadly(getattr(os, call)))
        m.setattr(os, "unlink", lambda path: None)
        with pytest.raises(Killed):
            Everything(tmp_path).fit()
    (tmp_path / ".mine.part").touch()
    check_same(Everything(tmp_path).fit().outcome(), uninterrupted)
    assert [f.name for f in tmp_path.glob("*.part")] == [".mine.part"]     # theirs are gone


def process(folder):
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, [str(here.parent), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen([sys.executable, str(here / "training.py"), str(folder)],
                            env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


@pytest.mark.parametrize("written", [1, 4])
def test_sigkill(written, tmp_path, uninterrupted):
    """A process that is killed once it has written so many checkpoints, then started again."""
    killed, seen = process(tmp_path), set()
    while len(seen) < written and killed.poll() is None:
        with contextlib.suppress(FileNotFoundError):    # between two renames
            seen.add((tmp_path / "run.safetensors").stat().st_mtime_ns)
    killed.kill()
    killed.communicate()
    again = process(tmp_path)
    said = again.communicate()[0].decode()
    assert again.returncode == 0, said
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    check_same({what: bytes.fromhex(text) for what, text in outcome.items()}, uninterrupted)


def test_resuming_what_is_done_changes_nothing(tmp_path, uninterrupted):
    Everything(tmp_path).fit()
    again = Everything(tmp_path, more=[KillAt(0, "step")]).fit()
    check_same(again.outcome(), uninterrupted)


def test_early_stopping_survives(tmp_path):
    """Killed after it stopped, and before the best weights were put back."""
    class Never(train.Callback):
        def on_end(self, run): raise Killed
        def settings(self): return None

    def run(folder, more=()):
        one = Everything(folder, more=more)
        one.stop.patience, one.stop.min_delta = 1, 10.0
        return one
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    want = run(tmp_path / "a").fit()
    assert len(want.history) == 2
    killed = run(tmp_path / "b", [Never()])
    killed.callbacks.insert(0, killed.callbacks.pop())
    with pytest.raises(Killed):
        killed.fit()
    check_same(run(tmp_path / "b").fit().outcome(), want.outcome())


def test_more_epochs_than_before_are_as_if_there_had_been_more_from_the_start(tmp_path):
    def run(name, epochs):
        model = network(0)
        opt = optim.RMSprop(model.parameters(), lr=1e-2, momentum=0.5)
        file = tmp_path / f"{name}.safetensors"
        history = train.fit(model, data()[0], nn.cross_entropy, opt, epochs, progress=False,
                            callbacks=[train.Checkpoint(file, resume=True)])
        return history, model.state_dict(), opt.state_dict()
    run("short", 2)
    np.testing.assert_equal(run("short", 5), run("long", 5))
    with pytest.raises(tn.DataError, match="5 epochs are done there, and fit was asked for 3"):
        run("short", 3)


class Loader:
    """Batches by pass; counts how many it had to make."""

    def __init__(self, start=True):
        self.made, self.batches = 0, self._from_start if start else self._whole

    def _from_start(self, epoch, start=0):
        (x, t), rng = data()[0], np.random.default_rng([1, epoch])
        order = rng.permutation(len(x))
        for i in range(10 * start, len(x), 10):
            self.made += 1
            yield x[order[i:i + 10]], t[order[i:i + 10]]

    def _whole(self, epoch, start=0):
        for k, batch in enumerate(self._from_start(epoch)):
            if k >= start:
                yield batch


def generator():
    for epoch in range(100):
        yield from Loader().batches(epoch)


@pytest.mark.parametrize("make", [Loader, generator, lambda: list(Loader().batches(0))])
@pytest.mark.parametrize("steps", [None, 3, 7])
def test_every_kind_of_data_goes_on_where_it_was(make, steps, tmp_path):
    if make is generator and steps is None:
        steps = 5
    def run(name, kill):
        model, source = network(0), make()
        opt = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        file = tmp_path / f"{name}.safetensors"
        history = train.fit(model, source, nn.cross_entropy, opt, 4, progress=False,
                            steps_per_epoch=steps, callbacks=[
                                train.Checkpoint(file, every_steps=2, resume=True),
                                KillAt(kill, "step")])
        return history, model.state_dict(), opt.state_dict(), source
    *want, _ = run("whole", 999)
    with pytest.raises(Killed):
        run("killed", 9)
    *got, source = run("killed", 999)
    np.testing.assert_equal(got, want)
    if make is Loader and steps is None:
        assert source.made == 20 - 8 + 1        # and the first batch, for the fingerprint


def test_a_checkpoint_changes_nothing_in_the_run_itself(tmp_path, uninterrupted):
    one = Everything(tmp_path, every=1, steps=1).fit()
    other = Everything(tmp_path / "none")
    other.folder.mkdir()
    other.callbacks = other.callbacks[1:]
    check_same(one.outcome(), other.fit().outcome())
    check_same(one.outcome(), uninterrupted)


def test_pictures_that_a_loader_changes_come_again_as_they_were(tmp_path):
    """Threads, a random order, augmentation, batch norm, dropout and a schedule by steps."""
    rng, change = np.random.default_rng(7), tn.data.augment
    pixels = rng.integers(0, 256, (22, 8, 8, 3), np.uint8)
    samples = tn.data.ArrayDataset(pixels, np.arange(22) % 2)
    augment = change.Compose([change.RandomHorizontalFlip(), change.RandomAffine(9, (0.1, 0.1)),
                              change.RandomResizedCrop(6), change.ColorJitter(0.2, 0.2)])

    def run(name, seed, kill=10 ** 9):
        rng, loader = np.random.default_rng(seed), tn.data.DataLoader(
            samples, 4, shuffle=True, drop_last=True, seed=5, augment=augment)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.BatchNorm2d(4), nn.ReLU(),
            nn.MaxPool2d(2), nn.Dropout(0.3, rng=rng), nn.Flatten(), nn.Linear(36, 2, rng=rng))
        opt = optim.Adam(model.parameters())
        cycle = optim.OneCycleLR(opt, 0.02, epochs=4, steps_per_epoch=len(loader))
        history = train.fit(model, loader, nn.cross_entropy, opt, 4, progress=False, callbacks=[
            train.Schedule(cycle, per="step"), KillAt(kill, "step"), train.Checkpoint(
                tmp_path / f"{name}.safetensors", every_steps=3, resume=True)])
        return history, model.state_dict(), opt.state_dict(), rng.bit_generator.state
    want = run("whole", 0)
    assert len(set(want[0]["loss"])) == 4
    for seed, kill in enumerate((4, 8, 10, 17)):        # killed four times on its way
        with pytest.raises(Killed):
            run("killed", seed, kill)
    np.testing.assert_equal(run("killed", 99), want)


def test_a_compiled_run_goes_on_like_one_that_is_not(tmp_path, uninterrupted):
    with pytest.raises(Killed):
        Everything(tmp_path, more=[KillAt(13, "step")]).fit(compile=True)
    check_same(Everything(tmp_path).fit(compile=True).outcome(), uninterrupted)


def test_what_cannot_be_kept_is_said_before_the_first_step(tmp_path):
    class Keeping(train.Callback):
        def __init__(self, kept): self.kept = kept
        def state_dict(self): return self.kept
    for kept, said in (({"f": {"g": [print]}}, "0.f.g.0 is <built-in function print"),
                       ({"a": {3: 1}}, "callbacks.0.a has a key 3")):
        with pytest.raises(TypeError, match=said):
            fit_line(tmp_path / "a.safetensors", more=[KillAt(0, "update"), Keeping(kept)])


# ---------------------------------------------------------------- the files

def test_the_predecessor_stays_and_takes_over(tmp_path, uninterrupted, capsys):
    with pytest.raises(Killed):
        Everything(tmp_path, more=[KillAt(17, "step")]).fit()
    file, before = tmp_path / "run.safetensors", tmp_path / "run.previous.safetensors"
    assert json.loads(tn.load_metadata(file)["state"])["steps"] == 15
    assert json.loads(tn.load_metadata(before)["state"])["steps"] == 12
    damaged = bytearray(file.read_bytes())
    damaged[-5] ^= 1
    file.write_bytes(damaged)
    check_same(Everything(tmp_path).fit(progress=True).outcome(), uninterrupted)
    said = capsys.readouterr().out.splitlines()
    assert "is not what its checksum says" in said[0]
    assert said[1] == f"Going on after epoch 2, step 2 of {before}."
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "best.safetensors", "log.csv", "log.jsonl", "run.previous.safetensors",
        "run.safetensors"]


def test_damage_everywhere_is_an_error_and_no_new_beginning(tmp_path):
    file = tmp_path / "run.safetensors"
    file.write_bytes(b"nonsense")
    with pytest.raises(tn.DataError, match="no safetensors file"):
        Everything(tmp_path).fit()
    assert file.read_bytes() == b"nonsense"
    tn.save_weights(file, {"a": np.ones(3)})
    with pytest.raises(tn.DataError, match="is no checkpoint of this version"):
        Everything(tmp_path).fit()


def test_without_resume_it_begins_anew(tmp_path):
    class First(train.Callback):
        def on_start(self, run): self.steps = run.steps
        def settings(self): return None
    Everything(tmp_path).fit()
    again, first = Everything(tmp_path), First()
    again.callbacks[0].resume = False
    again.callbacks.append(first)
    again.fit()
    assert first.steps == 0 and len(again.history) == EPOCHS


def test_weights_of_a_checkpoint_can_be_had_by_other_programs(tmp_path):
    one = Everything(tmp_path)
    one.stop.on_end = lambda run: None
    one.fit()
    arrays = tn.load_weights(tmp_path / "run.safetensors")
    weights = {k.removeprefix("model."): a for k, a in arrays.items() if k.startswith("model.")}
    np.testing.assert_equal(weights, one.model.state_dict())


def test_trees_come_back_as_they_were(tmp_path):
    path = tmp_path / "tree.safetensors"
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 3, 4)).transpose(p) for p in
              ((0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1))]
    arrays += [np.array(3.5), np.zeros((0, 3)), np.arange(5), np.ones((3, 1), order="F"),
               np.asfortranarray(rng.normal(size=(4, 5)).astype(np.float32))]
    tree = {"a": [1, 2.5, None, "x", True, float("inf")], "b": {"c.d": arrays}, "e": [],
            "f": np.float64(0.1), "g": 2 ** 100, "h": (1, 2)}
    _checkpoint.write_tree(path, tree)
    got = _checkpoint.read_tree(path)
    assert got["a"] == tree["a"] and got["e"] == [] and got["f"] == 0.1 and got["g"] == 2 ** 100
    assert got["h"] == [1, 2]
    for a, b in zip(arrays, got["b"]["c.d"], strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
        assert [s for s, n in zip(a.strides, a.shape, strict=True) if n > 1] == (
            [s for s, n in zip(b.strides, b.shape, strict=True) if n > 1])


def test_numbers_of_every_generator_go_on(tmp_path):
    for kind in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64):
        model = nn.Dropout(0.5, rng=np.random.Generator(kind(1)))
        model.rng.random(3, np.float32)
        _checkpoint.write_tree(tmp_path / "g.safetensors", model.rng.bit_generator.state)
        other = np.random.Generator(kind(2))
        other.bit_generator.state = _checkpoint.read_tree(tmp_path / "g.safetensors")
        np.testing.assert_array_equal(other.random(9, np.float32),
                                      model.rng.random(9, np.float32))


# ---------------------------------------------------------------- what differs is named

def fit_line(file, *, x=None, t=None, layers=None, opt=None, loss=nn.cross_entropy, more=(),
             **options):
    (a, b), validation = data()
    model = layers() if layers else nn.Sequential(
        nn.Linear(6, 8, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=0), nn.Linear(8, 3, rng=0))
    opt = opt(model) if opt else optim.SGD(model.parameters(), lr=0.1)
    arguments = {"validation": validation, "progress": False, **options}
    source = arguments.pop("data", (a if x is None else x, b if t is None else t))
    return train.fit(model, source, loss, opt, arguments.pop("epochs", 2), callbacks=[
        train.Checkpoint(file, resume=True), *more], **arguments)


def layers(p=0.5, width=8, frozen=False, kind=np.random.PCG64):
    model = nn.Sequential(nn.Linear(6, width, rng=0), nn.ReLU(),
                          nn.Dropout(p, rng=np.random.Generator(kind(0))),
                          nn.Linear(width, 3, rng=0))
    if frozen:
        model[0].freeze()
    return model


class Other(train.Callback):
    """One that may change what is learnt."""


@pytest.mark.parametrize(("change", "words"), [
    ({"x": data()[0][0] * 2}, ["the data, samples", "CRC-32"]),
    ({"t": 2 - data()[0][1]}, ["the data, targets"]),
    ({"x": data()[0][0].astype(np.float64)}, ["float32 (47, 6)", "float64 (47, 6)"]),
    ({"batch_size": 16}, ["batch size and seed: 32 and 0 there and 16 and 0 here"]),
    ({"seed": 1}, ["batch size and seed"]),
    ({"validation": None}, ["the validation data, samples", "nothing here"]),
    ({"validation": (data()[1][0] + 1, data()[1][1])}, ["the validation data, samples"]),
    ({"validation_steps": 1}, ["the validation steps: all there and 1 here"]),
    ({"steps_per_epoch": 1}, ["the steps per epoch: all there and 1 here"]),
    ({"metrics": ["accuracy"]}, ["the metrics: none there and accuracy here"]),
    ({"loss": functools.partial(nn.cross_entropy, label_smoothing=0.1)},
     ["the loss: cross_entropy there and cross_entropy(label_smoothing=0.1) here"]),
    ({"layers": functools.partial(layers, 0.4)},
     ["the module 2: Dropout(0.5) there and Dropout(0.4) here"]),
    ({"layers": functools.partial(layers, width=9)},
     ["the module 0: Linear(6, 8) there", "0.bias"]),
    ({"layers": functools.partial(layers, frozen=True)},
     ["the array 0.weight: float32 (8, 6) there and float32 (8, 6), frozen here"]),
    ({"layers": functools.partial(layers, kind=np.random.SFC64)},
     ["the generator 2.rng: PCG64 there and SFC64 here"]),
    ({"opt": lambda m: optim.Adam(m.parameters(), lr=0.1)}, ["the optimiser: SGD", "Adam"]),
    ({"opt": lambda m: optim.SGD(m.parameters(), lr=0.01)}, ["'lr': 0.1,", "'lr': 0.01,"]),
    ({"more": [train.EarlyStopping(patience=2)]},
     ["callback 1: nothing there and EarlyStopping{"]),
    ({"more": [Other()]}, ["callback 1: nothing there and Other{} here"]),
    ({"data": [data()[0]]}, ["the data: nothing there and list here"]),
])
def test_a_run_that_differs_is_told_what_differs(change, words, tmp_path):
    file = tmp_path / "run.safetensors"
    fit_line(file)
    before = file.read_bytes()
    with pytest.raises(tn.DataError, match="this run cannot go on from there") as error:
        fit_line(file, **{"epochs": 3, **change})
    assert error.value.path == str(file)
    for word in words:
        assert word in str(error.value)
    assert file.read_bytes() == before
    fit_line(file, epochs=3)


def test_data_sets_of_loaders_are_looked_at_whole(tmp_path):
    def loader(x, t, names="abc"):
        made = Loader()
        made.dataset = type("Set", (), {"x": x, "y": t, "paths": [f"d/{n}.png" for n in names]})
        return made
    file, (x, t) = tmp_path / "run.safetensors", data()[0]
    other = x.copy()
    other[46, 3] += 1
    fit_line(file, data=loader(x, t))
    for changed, word in ((loader(other, t), "the data, x: float32 (47, 6), CRC-32"),
                          (loader(x, t[::-1]), "the data, y: int64 (47,), CRC-32"),
                          (loader(x, t, "abd"), "the data, names and sizes of files: ")):
        with pytest.raises(tn.DataError) as error:
            fit_line(file, data=changed, epochs=3)
        assert word in str(error.value) and str(error.value).count(" there and ") == 1
    fit_line(file, data=loader(x, t), epochs=3)


def test_files_of_another_size_are_another_data_set(tmp_path):
    """Names may be any bytes; a file may be missing until somebody reads it."""
    paths = [tmp_path / "a.png", tmp_path / os.fsdecode(b"caf\xe9.png"), tmp_path / "gone.png"]
    for path in paths[:2]:
        path.write_bytes(b"12345")

    def fit(**options):
        loader = Loader()
        loader.dataset = type("Set", (), {"paths": paths})
        fit_line(tmp_path / "run.safetensors", data=loader, **options)
    fit()
    paths[1].write_bytes(b"54321!")
    with pytest.raises(tn.DataError, match="the data, names and sizes of files: "):
        fit(epochs=3)
    paths[1].write_bytes(b"54321")
    fit(epochs=3)


def test_versions_must_agree(tmp_path, monkeypatch):
    fit_line(tmp_path / "run.safetensors")
    monkeypatch.setattr(train._fingerprint, "__version__", "9.9.9")
    with pytest.raises(tn.DataError, match=r"the version: tinygrad_nn .* there and .* 9\.9\.9"):
        fit_line(tmp_path / "run.safetensors")


def test_what_only_looks_on_may_differ(tmp_path):
    file = tmp_path / "run.safetensors"
    fit_line(file)
    history = fit_line(file, epochs=3, progress=True, more=[
        train.Log(tmp_path / "log.csv"), train.StopOnNan()])
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4 == len(history) + 1


def test_many_differences_are_not_all_listed():
    there = {str(k): "a" for k in range(30)}
    found = train._fingerprint.differences(there, dict.fromkeys(there, "b"))
    assert len(found) == 9 and found[-1] == "and 22 more"


def test_descriptions_hold_no_addresses():
    class Set(Loader):
        def __repr__(self):
            return f"Set({object()!r}, {(lambda x: x)!r})"
    assert train._fingerprint._of_data("data", Set()) == (
        train._fingerprint._of_data("data", Set()))


def test_wrong_settings(tmp_path):
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        train.Checkpoint("x", every=0)
    with pytest.raises(ValueError, match="every_steps must be at least 1, got 0"):
        train.Checkpoint("x", every_steps=0)
    with pytest.raises(FileNotFoundError, match=r"Checkpoint: there is no folder .*nowhere"):
        fit_line(tmp_path / "nowhere" / "a.safetensors")
    (tmp_path / "runs").mkdir()
    for callback in (train.Checkpoint(tmp_path / "runs"), train.SaveBest(tmp_path / "runs")):
        with pytest.raises(IsADirectoryError, match="runs is a folder: name a file"):
            fit_line(tmp_path / "a.safetensors", more=[callback])
    assert [f.name for f in tmp_path.iterdir()] == ["runs"]
    file = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="only one Checkpoint can resume"):
        fit_line(file, more=[train.Checkpoint(file, resume=True)])
