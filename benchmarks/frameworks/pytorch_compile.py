"""PyTorch with `torch.compile` for forward and backward, and the fastest eager update: Adam
fused, SGD as it is. (To compile the update as well was no faster in W3, and slower in M3.)

Inductor writes C++, so that it takes a compiler; where there is none, nothing of this runs.
"""

import torch

from . import pytorch


def mlp(p):
    loss_of, optimiser = pytorch.mlp_parts(p)
    return pytorch.training(torch.compile(loss_of), optimiser)


def network(p):
    loss_of, optimiser = pytorch.network_parts(p, fused=True)
    return pytorch.training(torch.compile(loss_of), optimiser)


def block(p):
    f, leaves, seed = pytorch.block_parts(p)
    return pytorch.there_and_back(torch.compile(f), leaves, seed)
