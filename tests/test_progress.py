"""What `fit` shows and remembers: progress and history."""


import pytest
from fitting import LABELS, Failing, Loader, X, fit, plain

from tinygrad_nn import nn, train


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
