"""What is measured: the rows, and which function of which framework takes part in each.

A new row is a problem in `workloads.py`, a function for it in files of `frameworks/`, and an
entry here. Imports no framework, since the parent process must stay small and quiet.
"""

from dataclasses import dataclass, field

CHAIN = {                                  # label -> function; its first word is the package
    "tinygrad_nn": "ours.chain",
    "numpy": "plain.chain",
    "torch": "pytorch.chain",
    "jax (jit)": "jax_.chain",
    "tensorflow (function)": "tensorflow_.chain",
    "mygrad (no guard)": "mygrad_.chain",
    "autograd": "autograd_.chain",
}
MLP = {
    "tinygrad_nn": "ours.mlp",
    "numpy (course)": "plain.mlp_course",
    "numpy (tuned)": "plain.mlp_tuned",
    "torch": "pytorch.mlp",
    "jax (jit)": "jax_.mlp",
    "tensorflow (function)": "tensorflow_.mlp",
    "mygrad (no guard)": "mygrad_.mlp",
    "autograd": "autograd_.mlp",
}
DEEP = {label: CHAIN[label] for label in ("tinygrad_nn", "numpy", "torch")}
TIMED = {"seconds": 0.25, "rounds": 15, "idle": 0.1}
QUICK = {"seconds": 0.02, "rounds": 3, "idle": 0.05}


@dataclass(frozen=True)
class Row:
    """``problem`` is a function of workloads.py and ``settings`` its arguments; ``small``
    replaces some of them for a label, or for "quick". The results of the first ``checked``
    steps must agree to ``tolerance``, relative. ``memory``: also measure what a step holds."""

    title: str
    problem: str
    settings: dict
    contestants: dict
    tolerance: float
    checked: int = 1
    memory: bool = False
    small: dict = field(default_factory=dict)

    def settings_for(self, label, quick):
        small = self.small.get("quick" if quick else label, {})
        return {**self.settings, **small}


# Float32 losses of all frameworks agree to 2e-7. With these seeds, found by trying, a layer
# that is not updated or a ReLU without its slope changes one of the first 8 losses by 2e-5 at
# least (W1: 3e-3). With most seeds a forgotten bias is lost in the rounding.
LOSS = 5e-6

ROWS = {
    "M1": Row("chain of 1,000 multiplications and additions on 10 numbers (float64, Python "
              "floats as constants), forward and backward", "chain", {"n": 1000, "size": 10},
              CHAIN, tolerance=1e-10),
    "M1a": Row("the same with arrays as constants", "chain",
               {"n": 1000, "size": 10, "arrays": True}, CHAIN, tolerance=1e-10),
    "W1": Row("one full-batch step, MLP 12288-20-7-5-1, 209 samples, float32, SGD", "mlp",
              {"layers": [12288, 20, 7, 5, 1], "samples": 209, "seed": 5}, MLP,
              tolerance=LOSS, checked=8),
    "W2": Row("one full-batch step, MLP 49152-20-7-5-1, 1,323 samples, float32, SGD", "mlp",
              {"layers": [49152, 20, 7, 5, 1], "samples": 1323, "seed": 9}, MLP,
              tolerance=LOSS, checked=8),
    "import": None,                        # `_imports.py`
    "deep": Row("chain of 1,000,000 operations on 2 numbers (float64, Python floats as "
                "constants), forward and backward; torch 100,000", "chain",
                {"n": 1_000_000, "size": 2}, DEEP, tolerance=1e-8, memory=True,
                small={"torch": {"n": 100_000}, "quick": {"n": 20_000}}),
    "deep-a": Row("the same with arrays as constants", "chain",
                  {"n": 1_000_000, "size": 2, "arrays": True}, DEEP, tolerance=1e-8,
                  memory=True, small={"torch": {"n": 100_000}, "quick": {"n": 20_000}}),
}
PEERS = ("torch", "jax", "tensorflow", "mygrad", "autograd")        # numpy is always one
