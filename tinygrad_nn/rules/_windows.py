"""The arithmetic of windows that slide over images: integers only, for kernels and rules."""

import numpy as np

from .._errors import ShapeError


def whole(name, value, least=1):
    """``value`` as an int, of at least ``least``."""
    if not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def pair(name, value, least=1):
    """``value``, an integer or a pair of them for rows and columns, as a pair of ints."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name} must be an integer or a pair of them for rows and columns, "
                         f"got {value!r}")
    return whole(name, both[0], least), whole(name, both[1], least)


def sides(name, padding, kernel, stride, dilation):
    """Padding as ((above, below), (left, right)): from an int, a pair, "valid" or "same".

    "same": as many outputs as pixels; of an odd number of zeros the last side gets one more.
    """
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"{name}='same' needs stride 1, got {stride}")
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((n // 2, n - n // 2) for n in total)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{name} must be 'same', 'valid' or numbers, got {padding!r}")
    return tuple((n, n) for n in pair(name, 0 if padding == "valid" else padding, least=0))


def windows(what, kernel_size, stride, padding):
    """(kernel, stride, sides) of pooling: pairs, and padding of at most half a window."""
    kernel = pair(f"{what}: kernel_size", kernel_size)
    stride = kernel if stride is None else pair(f"{what}: stride", stride)
    padding = pair(f"{what}: padding", padding, least=0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{what}: padding {padding} is more than half of the window {kernel}, "
                         "so that some windows would hold nothing else")
    return kernel, stride, tuple((p, p) for p in padding)


def extents(what, image, kernel, stride, padding, dilation=(1, 1)):
    """(rows, columns) of outputs, or ShapeError where a window does not fit in the image."""
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padded = [n + sum(p) for n, p in zip(image, padding, strict=True)]
    if span[0] > padded[0] or span[1] > padded[1]:
        raise ShapeError(
            f"{what}: a window of {span[0]} x {span[1]} pixels does not fit into images of "
            f"{image[0]} x {image[1]}" + (f", {padded[0]} x {padded[1]} with their padding"
                                          if any(map(any, padding)) else ""))
    return tuple((n - k) // s + 1 for n, k, s in zip(padded, span, stride, strict=True))


def reach(start, stop, shift, stride, size):
    """Of the outputs ``start`` to ``stop``, output ``k`` reads element ``k * stride + shift``.

    Two slices: those outputs, counted from ``start``, for which there is such an element among
    ``size`` (the others read padding), and the elements.

    >>> reach(0, 4, -1, 2, 6)            # of 6 elements those at (-1) 1 3 5
    (slice(1, 4, None), slice(1, 6, 2))
    """
    low = max(start, -(shift // stride))
    high = min(stop, (size - 1 - shift) // stride + 1)
    if low >= high:
        return slice(0), slice(0)
    return (slice(low - start, high - start),
            slice(low * stride + shift, (high - 1) * stride + shift + 1, stride))


def images(what, x):
    """Raise unless ``x`` has the shape (N, C, H, W)."""
    if len(np.shape(x)) != 4:
        raise ShapeError(f"{what} expects images of shape (N, C, H, W), got {np.shape(x)}")
