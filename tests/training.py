"""A run that a test, or a process that a test kills, can stop and start again.

    python training.py FOLDER        trains there, going on from what an earlier process left
"""

import json
import sys
from pathlib import Path

import numpy as np

from tinygrad_nn import nn, optim, train

EPOCHS, BATCHES = 6, 5


def data():
    """(x, t) and validation data of three classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(47, 6)).astype(np.float32)
    t = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    return (x, t), (x[:13], t[:13])


def network(seed):
    """Everything that has a state: batch norm, two dropouts that share a generator, one of
    another kind, a frozen layer, weights in Fortran order."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Linear(6, 8, rng=seed), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2, rng=rng),
        nn.Linear(8, 8, rng=seed), nn.ReLU(), nn.Dropout(0.2, rng=rng),
        nn.Dropout(0.1, rng=np.random.Generator(np.random.MT19937(seed))),
        nn.Linear(8, 3, rng=seed))
    model[0].weight.data = np.asfortranarray(model[0].weight.data)
    model[4].bias.data = np.full(8, 0.1, np.float32)
    model[4].freeze()
    return model


class Everything:
    """Model, optimiser, callbacks of a run. One that goes on from a file begins with other
    weights and generators, all of which must be replaced."""

    def __init__(self, folder, more=(), every=2, steps=3):
        self.folder = Path(folder)
        written = [*self.folder.glob("run.safetensors"), *self.folder.glob("run.previous.*")]
        self.model = network(len(written))
        self.opt = optim.AdamW(self.model.named_parameters(), lr=1e-2)
        cycle = optim.OneCycleLR(self.opt, 0.05, total_steps=EPOCHS * BATCHES)
        plateau = optim.ReduceLROnPlateau(self.opt, patience=0, threshold=0.5)
        self.stop = train.EarlyStopping(patience=5)
        self.callbacks = [
            train.Checkpoint(self.folder / "run.safetensors", every, steps, resume=True),
            train.Schedule(cycle, per="step"), train.Schedule(plateau), self.stop,
            train.SaveBest(self.folder / "best.safetensors"),
            train.Log(self.folder / "log.csv"), train.Log(self.folder / "log.jsonl"), *more]

    def fit(self, **options):
        learn, validation = data()
        self.history = train.fit(
            self.model, learn, nn.cross_entropy, self.opt, EPOCHS, batch_size=10, seed=3,
            validation=validation, metrics=["accuracy"], callbacks=self.callbacks,
            **{"progress": False, **options})
        return self

    def outcome(self):
        """{what: bytes} of everything that a run leaves behind."""
        state = self.opt.state_dict()
        found = {f"model {k}": a.tobytes() for k, a in self.model.state_dict().items()}
        found |= {f"optimiser {k} {name}": a.tobytes()
                  for k, arrays in state["state"].items() for name, a in arrays.items()}
        found["settings"] = repr(state["settings"]).encode()
        found["generators"] = repr([(k, g.bit_generator.state) for k, g in
                                    self.model.named_generators()]).encode()
        found["schedules"] = repr([c.schedule.state_dict() for c in self.callbacks
                                   if isinstance(c, train.Schedule)]).encode()
        found["stopping"] = repr((self.stop.best, self.stop.best_epoch)).encode()
        found["history"] = json.dumps(self.history).encode()
        return found | {name: (self.folder / name).read_bytes()
                        for name in ("best.safetensors", "log.csv", "log.jsonl")}


if __name__ == "__main__":
    run = Everything(sys.argv[1]).fit()
    lines = {k: v.hex() for k, v in run.outcome().items()}
    (run.folder / "outcome.json").write_text(json.dumps(lines))
