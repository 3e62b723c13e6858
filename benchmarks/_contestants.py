"""Who takes part: tables of label -> function of `frameworks/`; a label's first word is its
package. The last variant of ours in a table is the one that ratios are about."""

CHAIN = {
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
    "tinygrad_nn (without numba)": "ours.mlp_compiled",
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
    **{label: MLP[label] for label in ("numpy (tuned)", "torch", "jax (jit)",
                                       "tensorflow (function)")},
}
SMALL = {
    "tinygrad_nn": "ours.mlp",
    "tinygrad_nn (without numba)": "ours.mlp_compiled",
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
    "tinygrad_nn (without numba)": "ours.network_compiled",
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
    "tinygrad_nn (without numba)": "ours.block_compiled",
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
    "tinygrad_nn (decoding)": "ours_fit.pictures",
    "tinygrad_nn (compiled)": "ours_fit.pictures_cached",
    "numpy": "plain_fit.pictures",
    "torch (DataLoader)": "pytorch_fit.pictures",
    "tensorflow (Keras fit, cached)": "keras_fit.pictures_cached",
    "tensorflow (Keras fit)": "keras_fit.pictures",
}
# The variables of a contestant with such a word in its label.
#
# Malloc never gives pages back and never asks for single ones: with its defaults each large
# array of a step is fresh pages, that the system fills with zeros. (A threshold would do for
# arrays up to 32 MB only.)
VARIABLES = {
    "malloc": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 ** 40),
               "MALLOC_TOP_PAD_": str(2 ** 26)},
    "without numba": {"NUMBA_DISABLE_JIT": "1"},
}
# numpy is always one more
PEERS = ("torch", "torch.compile", "jax", "tensorflow", "mygrad", "autograd")
