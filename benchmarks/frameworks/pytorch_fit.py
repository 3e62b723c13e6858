"""PyTorch: whole epochs of the loop that people write over a `DataLoader`, eager."""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from . import pytorch, timed


def arrays(p):
    data = TensorDataset(torch.from_numpy(p.x), torch.from_numpy(p.y))
    return _fit(p, DataLoader(data, p.batch, shuffle=p.shuffle))


def pictures(p):
    """Decoded by Pillow in two processes that stay."""
    loader = DataLoader(Files(p.files, p.network.x.shape[-1]), p.network.batch,
                        shuffle=p.shuffle, num_workers=2, persistent_workers=True)
    return _fit(p.network, loader, p.batches)


class Files(Dataset):
    """Pictures as arrays (3, side, side) with labels (1,)."""

    def __init__(self, files, side):
        self.files, self.side = files, side

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        picture = Image.open(path).resize((self.side, self.side), Image.Resampling.BILINEAR)
        x = np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255)
        return x, np.array([label], np.float32)


def _fit(p, loader, batches=None):
    model, loss_of, optimiser = pytorch.network_model(p, fused=True)
    binary = p.y.dtype.kind == "f"

    def right(y, t):
        return (((y > 0) == (t > 0.5)) if binary else y.argmax(1) == t).sum().item()

    def epoch():
        total = hits = n = 0
        for k, (x, t) in enumerate(loader):
            if k == batches:
                break
            y = model(x)
            loss = loss_of(y, t)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            total, hits, n = total + loss.item() * len(x), hits + right(y, t), n + len(x)
        return total / n

    return timed(epoch)
