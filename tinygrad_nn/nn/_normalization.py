"""Normalisation layers: mean 0 and variance 1, then a learnt scale and shift."""

import math

import numpy as np

from .._errors import ShapeError
from .._tensor import Tensor
from .._transforms import stop_gradient
from ..rules import standardize
from ..rules._windows import whole
from ._module import Module


class _Norm(Module):
    """What all have in common: ``weight``, ones at first, and ``bias``, zeros; or None."""

    def __init__(self, shape, eps, weight, bias, dtype):
        if not eps > 0:
            raise ValueError(f"{type(self).__name__}: eps must be positive, got {eps!r}")
        self.eps = float(eps)                   # a float64 of NumPy's would promote
        self.weight = Tensor(np.ones(shape, dtype)) if weight else None
        self.bias = Tensor(np.zeros(shape, dtype)) if bias else None

    def _affine(self, y, shape):
        """``y * weight + bias``, both in ``shape``."""
        if self.weight is not None:
            y = y * np.reshape(self.weight, shape)
        return y if self.bias is None else y + np.reshape(self.bias, shape)

    def _settings(self):
        text = "" if self.eps == 1e-5 else f", eps={self.eps:g}"
        if self.weight is None:
            text += f", {self.switch}=False"
        elif self.bias is None:
            text += ", bias=False"
        return text

    switch = "affine"       # the argument that leaves out weight and bias


class _BatchNorm(_Norm):
    """The mean and the variance of each channel: in training those over the batch, in
    evaluation those that ran along, plain arrays without a gradient."""

    axes = ()               # how many axes its inputs may have, and their shapes, for messages
    shapes = ""

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, *, dtype=np.float32):
        name = type(self).__name__
        self.num_features = whole(f"{name}: num_features", num_features)
        super().__init__(num_features, eps, affine, affine, dtype)
        if not 0 <= momentum <= 1:
            raise ValueError(f"{name}: momentum must be within 0..1, got {momentum!r}")
        self.momentum = float(momentum)
        self.register_buffer("running_mean", np.zeros(num_features, dtype))
        self.register_buffer("running_var", np.ones(num_features, dtype))
        self.register_buffer("num_batches_tracked", np.array(0))

    def forward(self, x):
        if np.ndim(x) not in self.axes or x.shape[1] != self.num_features:
            shapes = self.shapes.replace("C", str(self.num_features))
            raise ShapeError(f"{self!r} expects inputs of shape {shapes}, got {np.shape(x)}")
        shape = (1, -1) + (1,) * (x.ndim - 2)
        if self.training:
            return self._affine(self._by_batch(x), shape)
        mean, var = np.reshape(self.running_mean, shape), np.reshape(self.running_var, shape)
        return self._affine((x - mean) * (1 / np.sqrt(var + self.eps)), shape)

    def _by_batch(self, x):
        n = math.prod(x.shape) // self.num_features
        if n < 2:
            raise ShapeError(f"{self!r} cannot be trained on {n} value(s) per channel, got "
                             f"shape {x.shape}: use a larger batch, or .eval()")
        y, mean, var = standardize(x, axes=(0, *range(2, x.ndim)), eps=self.eps)
        self.running_mean = self._moved(self.running_mean, mean)
        self.running_var = self._moved(self.running_var, var * (n / (n - 1)))
        self.num_batches_tracked = self.num_batches_tracked + 1
        return y

    def _moved(self, old, new):
        new = np.reshape(stop_gradient(new), old.shape).astype(old.dtype)
        return (1 - self.momentum) * old + self.momentum * new

    def _settings(self):
        text = "" if self.momentum == 0.1 else f", momentum={self.momentum:g}"
        return f"{self.num_features}{text}" + super()._settings()


class BatchNorm1d(_BatchNorm):
    """Normalises each of C features of (N, C) or (N, C, L) to mean 0 and variance 1.

    In training mean and variance are those of the batch, and ``running_mean`` and
    ``running_var`` (the unbiased one) follow them: ``(1 - momentum) * old + momentum * new``.
    In evaluation (``model.eval()``) those are used. ``weight`` (C,) and ``bias`` (C,), unless
    ``affine=False``, scale and shift the result. Ioffe and Szegedy, *Batch Normalization*
    (2015).

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.BatchNorm1d(2)
    >>> layer(np.array([[1.0, 5.0], [3.0, 5.0]])).data.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> layer.running_mean
    array([0.2, 0.5], dtype=float32)
    """

    axes, shapes = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of images (N, C, H, W); all else as `BatchNorm1d`."""

    axes, shapes = (4,), "(N, C, H, W)"


class LayerNorm(_Norm):
    """Normalises the last axes, those of ``normalized_shape``, of each sample by itself.

    ``weight`` and ``bias`` have that shape; ``elementwise_affine=False`` leaves out both,
    ``bias=False`` the second. Ba, Kiros and Hinton, *Layer Normalization* (2016).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.LayerNorm(2)(np.array([[1.0, 5.0], [3.0, -3.0]])).data.round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    switch = "elementwise_affine"

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *,
                 dtype=np.float32):
        shape = normalized_shape if np.iterable(normalized_shape) else (normalized_shape,)
        self.normalized_shape = tuple(whole("LayerNorm: normalized_shape", n) for n in shape)
        if not self.normalized_shape:
            raise ValueError("LayerNorm: normalized_shape names no axis")
        super().__init__(self.normalized_shape, eps, elementwise_affine,
                         elementwise_affine and bias, dtype)

    def forward(self, x):
        k = len(self.normalized_shape)
        if np.shape(x)[-k:] != self.normalized_shape:
            shape = ", ".join(map(str, self.normalized_shape))
            raise ShapeError(f"{self!r} expects inputs of shape (…, {shape}), got "
                             f"{np.shape(x)}")
        y, _, _ = standardize(x, axes=tuple(range(x.ndim - k, x.ndim)), eps=self.eps)
        return self._affine(y, self.normalized_shape)

    def _settings(self):
        return f"{self.normalized_shape}" + super()._settings()


class GroupNorm(_Norm):
    """Normalises groups of channels of each sample (N, C, …) by itself.

    ``num_groups`` divides ``num_channels``; ``weight`` and ``bias`` are (C,), unless
    ``affine=False``. Wu and He, *Group Normalization* (2018).

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.GroupNorm(2, 4)(np.array([[1.0, 5.0, 3.0, -3.0]])).data.round(3)
    array([[-1.,  1.,  1., -1.]])
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, dtype=np.float32):
        self.num_groups = whole("GroupNorm: num_groups", num_groups)
        self.num_channels = whole("GroupNorm: num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels do not divide into "
                             f"{num_groups} groups")
        super().__init__(num_channels, eps, affine, affine, dtype)

    def forward(self, x):
        if np.ndim(x) < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(f"{self!r} expects inputs of shape (N, {self.num_channels}, …), "
                             f"got {np.shape(x)}")
        groups = (self.num_groups, self.num_channels // self.num_groups)
        y = np.reshape(x, (len(x), *groups, *x.shape[2:]))
        y, _, _ = standardize(y, axes=tuple(range(2, y.ndim)), eps=self.eps)
        return self._affine(np.reshape(y, x.shape), (1, -1) + (1,) * (x.ndim - 2))

    def _settings(self):
        return f"{self.num_groups}, {self.num_channels}" + super()._settings()
