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
    "tinygrad_nn (compiled)": "ours.mlp_compiled",
    "numpy (course)": "plain.mlp_course",
    "numpy (tuned)": "plain.mlp_tuned",
    "torch": "pytorch.mlp",
    "torch.compile": "pytorch_compile.mlp",
    "jax (jit)": "jax_.mlp",
    "tensorflow (function)": "tensorflow_.mlp",
    "mygrad (no guard)": "mygrad_.mlp",
    "autograd": "autograd_.mlp",
}
TRAINING = {
    "tinygrad_nn (compiled)": "ours.mlp_compiled",
    "tinygrad_nn (closed form)": "ours.mlp_closed_form",
    **{label: MLP[label] for label in ("numpy (tuned)", "torch", "torch.compile", "jax (jit)",
                                       "tensorflow (function)")},
}
SMALL = {
    "tinygrad_nn": "ours.mlp",
    "tinygrad_nn (compiled)": "ours.mlp_compiled",
    "numpy": "plain.mlp_tuned",
    "torch": "pytorch.mlp",
    "torch.compile": "pytorch_compile.mlp",
    "jax (jit)": "jax_.mlp",
    "tensorflow (function)": "tensorflow_.mlp",
}
DEEP = {label: CHAIN[label] for label in ("tinygrad_nn", "numpy", "torch")}
NETWORK = {
    "tinygrad_nn": "ours.network",
    "tinygrad_nn (compiled)": "ours.network_compiled",
    "numpy": "plain.network",
    "torch": "pytorch.network",
    "torch (channels last, fused)": "pytorch.network_tuned",
    "torch.compile": "pytorch_compile.network",
    "jax (jit)": "jax_.network",
    "tensorflow (function)": "tensorflow_.network",
}
PICTURES = {**NETWORK, "torch (malloc, channels last, fused)": "pytorch.network_tuned"}
BLOCK = {
    "tinygrad_nn": "ours.block",
    "tinygrad_nn (compiled)": "ours.block_compiled",
    "numpy": "plain.block",
    "torch": "pytorch.block",
    "torch.compile": "pytorch_compile.block",
    "jax (jit)": "jax_.block",
    "tensorflow (function)": "tensorflow_.block",
}
FIT_ARRAYS = {
    "tinygrad_nn": "ours_fit.arrays",
    "tinygrad_nn (compiled)": "ours_fit.arrays_compiled",
    "numpy": "plain_fit.arrays",
    "torch (DataLoader)": "pytorch_fit.arrays",
    "tensorflow (Keras fit)": "keras_fit.arrays",
}
FIT_PICTURES = {
    "tinygrad_nn (cached)": "ours_fit.pictures_cached",
    "tinygrad_nn (compiled)": "ours_fit.pictures",
    "numpy": "plain_fit.pictures",
    "torch (DataLoader)": "pytorch_fit.pictures",
    "tensorflow (Keras fit, cached)": "keras_fit.pictures_cached",
    "tensorflow (Keras fit)": "keras_fit.pictures",
}
# Malloc never gives pages back and never asks for single ones: with its defaults each large
# array of a step is fresh pages, that the system fills with zeros. (A threshold would do for
# arrays up to 32 MB only.)
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 40),
          "MALLOC_TOP_PAD_": str(2 ** 26)}
TUNED = "(malloc"               # what is in the label of a contestant that runs with this
TIMED = {"seconds": 0.25, "rounds": 15, "idle": 0.1}
QUICK = {"seconds": 0.02, "rounds": 3, "idle": 0.05}


@dataclass(frozen=True)
class Row:
    """``problem`` is a function of workloads.py and ``settings`` its arguments; ``small``
    replaces some of them for a label, or for "quick". The results of the first ``checked``
    steps must agree to ``tolerance``, relative. ``memory``: also measure what a step holds;
    ``growth``: by how much memory rises in those first steps. ``fit``: a step is an epoch."""

    title: str
    problem: str
    settings: dict
    contestants: dict
    tolerance: float
    checked: int = 1
    memory: bool = False
    growth: bool = False
    fit: bool = False
    small: dict = field(default_factory=dict)

    def settings_for(self, label, quick):
        small = self.small.get("quick" if quick else label, {})
        return {**self.settings, **small}


# Float32 losses of all frameworks agree to 2e-7 (JAX and TensorFlow with Adam: 2e-6). With
# these seeds and rates, found by trying, a layer that is not updated or a ReLU without its
# slope changes one of the first 8 losses by 2e-5 at least (W1: 3e-3, W4b: 6e-5, W5: 9e-5). With
# most seeds a forgotten bias is lost in the rounding.
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
    "W1-2500": Row("2,500 steps of W1, from the first call on", "mlp",
                   {"layers": [12288, 20, 7, 5, 1], "samples": 209, "seed": 5,
                    "iterations": 2500}, TRAINING, tolerance=LOSS,
                   small={"quick": {"iterations": 10}}),
    "W2-2500": Row("2,500 steps of W2, from the first call on", "mlp",
                   {"layers": [49152, 20, 7, 5, 1], "samples": 1323, "seed": 9,
                    "iterations": 2500}, TRAINING, tolerance=LOSS,
                   small={"quick": {"iterations": 10}}),
    "M3": Row("one full-batch step, MLP 2-16-16-1, 100 samples, float32, hinge loss, SGD",
              "mlp", {"layers": [2, 16, 16, 1], "samples": 100, "seed": 1, "rate": 0.1,
                      "hinge": True}, SMALL, tolerance=LOSS, checked=8),
    "W3": Row("one step on a batch of 32, MLP 784-128-10, float32, cross-entropy, Adam",
              "network", {"image": [784], "convolutions": [], "layers": [128], "samples": 32,
                          "classes": 10, "seed": 1, "rate": 1e-3}, NETWORK,
              tolerance=LOSS, checked=8, growth=True),
    "W4": Row("one step on a batch of 32 images 3 x 256 x 256: conv 32 (3 x 3), ReLU, pool 2, "
              "linear 128, ReLU, linear 1, float32, binary cross-entropy, Adam", "network",
              {"image": [3, 256, 256], "convolutions": [32], "layers": [128], "samples": 32,
               "classes": 1, "seed": 2, "rate": 1e-5}, PICTURES, tolerance=LOSS, checked=8,
              growth=True),
    "W4b": Row("the same at 64 x 64", "network",
               {"image": [3, 64, 64], "convolutions": [32], "layers": [128], "samples": 32,
                "classes": 1, "seed": 2, "rate": 1e-4}, PICTURES, tolerance=LOSS, checked=8,
               growth=True),
    "W5": Row("one step on a batch of 64 images 1 x 28 x 28: conv 16, ReLU, pool 2, conv 32, "
              "ReLU, pool 2, linear 10, float32, cross-entropy, Adam", "network",
              {"image": [1, 28, 28], "convolutions": [16, 32], "layers": [], "samples": 64,
               "classes": 10, "seed": 3, "rate": 1e-3}, PICTURES, tolerance=LOSS, checked=8,
              growth=True),
    "M4": Row("layer_norm(x + gelu(x)) of (4096, 1024), float32, gelu by tanh; forward, and "
              "backward from a given gradient to x, weight and bias", "block",
              {"rows": 4096, "features": 1024, "seed": 4}, BLOCK, tolerance=1e-5,
              small={"quick": {"rows": 64}}),
    "fit-arrays": Row("an epoch of `fit`, 60,000 samples in batches of 32, shuffled; W3's "
                      "network, Adam, loss and accuracy", "network",
                      {"image": [784], "convolutions": [], "layers": [128], "samples": 60_000,
                       "classes": 10, "seed": 1, "rate": 1e-3, "batch": 32}, FIT_ARRAYS,
                      tolerance=1e-3, fit=True, small={"quick": {"samples": 640}}),
    "fit-pictures": Row("an epoch of `fit`, 640 JPEG files of 256 x 256 from a folder, decoded "
                        "to 64 x 64, in batches of 32, shuffled; W4b's network", "pictures",
                        {"count": 32, "copies": 10, "side": 256, "image": [3, 64, 64],
                         "convolutions": [32], "layers": [128], "seed": 2, "rate": 1e-4,
                         "batch": 32}, FIT_PICTURES, tolerance=0.05, fit=True,
                        small={"quick": {"count": 4, "copies": 64, "side": 64}}),
    "import": None,                        # `_imports.py`
    "deep": Row("chain of 1,000,000 operations on 2 numbers (float64, Python floats as "
                "constants), forward and backward; torch 100,000", "chain",
                {"n": 1_000_000, "size": 2}, DEEP, tolerance=1e-8, memory=True,
                small={"torch": {"n": 100_000}, "quick": {"n": 20_000}}),
    "deep-a": Row("the same with arrays as constants", "chain",
                  {"n": 1_000_000, "size": 2, "arrays": True}, DEEP, tolerance=1e-8,
                  memory=True, small={"torch": {"n": 100_000}, "quick": {"n": 20_000}}),
}
# numpy is always one more
PEERS = ("torch", "torch.compile", "jax", "tensorflow", "mygrad", "autograd")
