"""What is measured: the rows, and who takes part in each.

A new row is a problem in `workloads.py`, a function for it in files of `frameworks/`, and an
entry here. Imports no framework, since the parent process must stay small and quiet.
"""

from dataclasses import dataclass, field, replace

from . import THREADS
from . import _contestants as who

TIMED = {"seconds": 0.25, "idle": 0.1}          # a batch, and the pause after it
QUICK = {"seconds": 0.02, "idle": 0.05}


@dataclass(frozen=True)
class Row:
    """``problem`` is a function of workloads.py and ``settings`` its arguments; ``small``
    replaces some of them for a label, or for "quick". The results of the first ``checked``
    steps must agree to ``tolerance``, relative. ``memory``: also measure what a step holds;
    ``growth``: by how much memory rises in those first steps.

    ``way``: "steps" in turn; "busy", these beside a busy process too; "fit", where a step is an
    epoch; "whole" or "caches", runs in processes of their own (`_fresh`). ``rival``: how the
    label begins of whom a summary compares with; else the fastest of all.
    """

    title: str
    problem: str
    settings: dict
    contestants: dict
    tolerance: float
    checked: int = 1
    memory: bool = False
    growth: bool = False
    way: str = "steps"
    rounds: int = 15
    threads: int = THREADS
    rival: str = ""
    small: dict = field(default_factory=dict)

    def settings_for(self, label, quick):
        small = self.small.get("quick" if quick else label, {})
        return {**self.settings, **small}


# Float32 losses of all frameworks agree to 2e-7 (JAX and TensorFlow with Adam: 2e-6). With
# these seeds and rates, found by trying, a layer that is not updated or a ReLU without its
# slope changes one of the first 8 losses by 2e-5 at least (W1: 3e-3, W4b: 6e-5, W5: 9e-5). With
# most seeds a forgotten bias is lost in the rounding.
LOSS = 5e-6


def chain(title, contestants, tolerance, n, size, **more):
    return Row(title, "chain", {"n": n, "size": size}, contestants, tolerance, rival="torch",
               **more)


def mlp(title, layers, samples, seed, contestants=who.MLP, **settings):
    return Row(title, "mlp", {"layers": layers, "samples": samples, "seed": seed, **settings},
               contestants, LOSS, checked=8)


def network(title, image, convolutions, layers, samples, classes, seed, rate,
            contestants=who.NETWORK):
    settings = {"image": image, "convolutions": convolutions, "layers": layers,
                "samples": samples, "classes": classes, "seed": seed, "rate": rate}
    return Row(title, "network", settings, contestants, LOSS, checked=8, growth=True)


def trained(name, row, contestants, rounds):
    return replace(row, title=f"2,500 steps of {name}, from the first call on", way="whole",
                   settings={**row.settings, "iterations": 2500}, contestants=contestants,
                   checked=1, rounds=rounds, small={"quick": {"iterations": 10}})


def begun(name, row):
    """Of those that compile something."""
    compiling = {k: f for k, f in row.contestants.items()
                 if k.split()[0] != "torch" and "without" not in k}
    return replace(row, title=f"the first three steps of {name}, from a built model, in a new "
                   "process and in a second one", contestants=compiling, checked=3,
                   growth=False, way="caches", rounds=2)


def fit(title, row, contestants, tolerance, quick, problem="network", **settings):
    """Epochs with the network of ``row``."""
    kept = {k: v for k, v in row.settings.items() if problem == "network" or k not in (
        "samples", "classes")}
    return Row(title, problem, {**kept, "batch": 32, **settings}, contestants, tolerance,
               way="fit", rival="tensorflow (Keras fit)", small={"quick": quick})


CHAIN = ("chain of 1,000 multiplications and additions on 10 numbers (float64, Python floats "
         "as constants), forward and backward")
LONG = ("chain of 1,000,000 operations on 2 numbers (float64, Python floats as constants), "
        "forward and backward; torch 100,000")
SHORTER = {"torch": {"n": 100_000}, "quick": {"n": 20_000}}
W1 = mlp("one full-batch step, MLP 12288-20-7-5-1, 209 samples, float32, SGD",
         [12288, 20, 7, 5, 1], 209, seed=5)
W2 = mlp("one full-batch step, MLP 49152-20-7-5-1, 1,323 samples, float32, SGD",
         [49152, 20, 7, 5, 1], 1323, seed=9)
W3 = network("one step on a batch of 32, MLP 784-128-10, float32, cross-entropy, Adam",
             [784], [], [128], 32, 10, seed=1, rate=1e-3)
W4 = network("one step on a batch of 32 images 3 x 256 x 256: conv 32 (3 x 3), ReLU, pool 2, "
             "linear 128, ReLU, linear 1, float32, binary cross-entropy, Adam",
             [3, 256, 256], [32], [128], 32, 1, seed=2, rate=1e-5, contestants=who.PICTURES)
W4b = network("the same at 64 x 64", [3, 64, 64], [32], [128], 32, 1, seed=2, rate=1e-4,
              contestants=who.PICTURES)
W5 = network("one step on a batch of 64 images 1 x 28 x 28: conv 16, ReLU, pool 2, conv 32, "
             "ReLU, pool 2, linear 10, float32, cross-entropy, Adam",
             [1, 28, 28], [16, 32], [], 64, 10, seed=3, rate=1e-3, contestants=who.PICTURES)
M4 = Row("layer_norm(x + gelu(x)) of (4096, 1024), float32, gelu by tanh; forward, and "
         "backward from a given gradient to x, weight and bias", "block",
         {"rows": 4096, "features": 1024, "seed": 4}, who.BLOCK, tolerance=1e-5)

ROWS = {
    "M1": chain(CHAIN, who.CHAIN, 1e-10, 1000, 10),
    "M1a": replace(chain("the same with arrays as constants", who.CHAIN, 1e-10, 1000, 10),
                   settings={"n": 1000, "size": 10, "arrays": True}),
    "W1": W1,
    "W2": W2,
    "W1-2500": trained("W1", W1, who.TRAINING, rounds=2),
    # One round, and without PyTorch, which takes three times as long as JAX in W2.
    "W2-2500": trained("W2", W2, {k: f for k, f in who.TRAINING.items() if k != "torch"},
                       rounds=1),
    "M3": mlp("one full-batch step, MLP 2-16-16-1, 100 samples, float32, hinge loss, SGD",
              [2, 16, 16, 1], 100, seed=1, contestants=who.SMALL, rate=0.1, hinge=True),
    "W3": W3,
    "W4": W4,
    "W4b": W4b,
    "W5": W5,
    "W5-busy": replace(W5, title="W5 with both CPUs for itself, and with a busy loop on one",
                       growth=False, contestants=who.NETWORK, way="busy"),
    "M4": replace(M4, small={"quick": {"rows": 64}}),
    "fit-arrays": fit("an epoch of `fit`, 60,000 samples in batches of 32, shuffled; W3's "
                      "network, Adam, loss and accuracy", W3, who.FIT_ARRAYS, 1e-3,
                      {"samples": 640}, samples=60_000),
    "fit-pictures": fit("an epoch of `fit`, 640 JPEG files of 256 x 256 from a folder, decoded "
                        "to 64 x 64, in batches of 32, shuffled; W4b's network, Adam, loss and "
                        "accuracy", W4b, who.FIT_PICTURES, 0.05,
                        {"count": 4, "copies": 64, "side": 64}, "pictures", count=32,
                        copies=10, side=256),
    "first-W5": begun("W5", W5),
    "first-M4": begun("M4", M4),
    "import": None,                        # `_imports.py`
    "deep": chain(LONG, who.DEEP, 1e-8, 1_000_000, 2, memory=True, small=SHORTER),
    "deep-a": replace(chain("the same with arrays as constants", who.DEEP, 1e-8, 1_000_000, 2,
                            memory=True, small=SHORTER),
                      settings={"n": 1_000_000, "size": 2, "arrays": True}),
}
