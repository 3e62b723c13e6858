"""PyTorch with `torch.compile`: forward and backward in one function, the update in another.

The backward pass is compiled with the forward one. Inductor writes C++, so that it takes a
compiler; where there is none, nothing of this file runs.
"""

import torch

from . import pytorch


def mlp(p):
    return _training(*pytorch.mlp_parts(p))


def network(p):
    return _training(*pytorch.network_parts(p))


def block(p):
    f, leaves, seed = pytorch.block_parts(p)
    return pytorch.there_and_back(torch.compile(f), leaves, seed)


def _training(loss_of, optimiser):
    loss_of, update = torch.compile(loss_of), torch.compile(optimiser.step)

    def step():
        loss = loss_of()
        loss.backward()
        update()
        optimiser.zero_grad()
        return (loss.detach(),)
    return step
