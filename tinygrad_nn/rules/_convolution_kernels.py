"""Convolution and its two transposes in plain NumPy: arrays in, arrays out. Knows no box.

Where numba is installed, `tinygrad_nn.kernels` has compiled forms of all three. All of them
write into ``out`` where it is given, and what they need besides is the thread's own.

All three are products of matrices with the *patches* of the images: what lies under the weights
of the kernel, (channels * kh * kw, outputs). Patches of a whole batch would take up kh * kw
times the memory of the images, so they are copied block by block, some samples or some rows of
one sample, into one buffer that stays in the cache, and multiplied there. The zeros around an
image are never stored: `reach` tells which outputs a weight gets a pixel for.

Rejected: transforms of the image (Winograd, FFT), which round differently in float32; batches
in the innermost axis, a third faster for small images, but then every other operation and
whoever looks at the values gets arrays in an unusual order.
"""

import math

import numpy as np

from ..kernels import also_compiled
from ..kernels._threads import scratch, zeros
from ._windows import extents, reach

BLOCK = 2 ** 18                 # numbers in the buffer of patches: 1 MB in float32


class Blocks:
    """The patches of images of shape ``x`` under kernels of shape ``w``, block by block."""

    def __init__(self, x, w, stride, padding, dilation):
        self.samples, self.channels, *self.image = x
        self.outputs, _, *self.kernel = w
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.rows, self.columns = extents("conv2d", self.image, self.kernel, stride, padding,
                                          dilation)
        a_row = max(1, self.channels * math.prod(self.kernel) * self.columns)
        self.row_step = max(1, min(self.rows, BLOCK // a_row))
        self.sample_step = max(1, min(self.samples, BLOCK // (a_row * self.rows)))

    def __iter__(self):
        """(first sample, last, first row of the result, last) of each block."""
        for n in range(0, self.samples, self.sample_step):
            for r in range(0, self.rows, self.row_step):
                yield (n, min(n + self.sample_step, self.samples),
                       r, min(r + self.row_step, self.rows))

    def buffer(self, lead, dtype, use):
        """A function from a block to an array (*lead, outputs of the block), each time in the
        same memory."""
        step = self.sample_step * self.row_step * self.columns
        memory = scratch(math.prod(lead) * step, dtype, use)

        def of(block):
            n, n_stop, r, r_stop = block
            shape = (*lead, n_stop - n, r_stop - r, self.columns)
            return memory[:math.prod(shape)].reshape(shape)
        return of

    def patches(self, dtype):
        return self.buffer((self.channels, *self.kernel), dtype, "patches")

    def parts(self, dtype):
        return self.buffer((self.outputs,), dtype, "parts")

    def part(self, y, block):
        """What belongs to a block of a result (N, outputs, rows, columns), channels first."""
        n, n_stop, r, r_stop = block
        return np.swapaxes(y[n:n_stop, :, r:r_stop], 0, 1)

    def pairs(self, block, patches, x):
        """Of each weight (its place in the patches, its pixels in the images), of one shape."""
        n, n_stop, r, r_stop = block
        x = np.swapaxes(x[n:n_stop], 0, 1)
        for i in range(self.kernel[0]):
            shift = i * self.dilation[0] - self.padding[0][0]
            at_rows, rows = reach(r, r_stop, shift, self.stride[0], self.image[0])
            for j in range(self.kernel[1]):
                shift = j * self.dilation[1] - self.padding[1][0]
                at, columns = reach(0, self.columns, shift, self.stride[1], self.image[1])
                yield patches[:, i, j, :, at_rows, at], x[:, :, rows, columns]

    def gather(self, block, x, patches):
        """Copy the patches of a block from the images; zeros where there is padding."""
        if any(map(any, self.padding)):
            patches.fill(0)
        for patch, pixels in self.pairs(block, patches, x):
            np.copyto(patch, pixels)


def multiplications(y, w):
    """Of results (or gradients) and of kernels of these shapes."""
    return y[0] * y[2] * y[3] * math.prod(w)


def _of_conv2d(x, w, bias, stride, padding, dilation, groups):
    return multiplications(x.shape, w.shape) // math.prod(stride)


@also_compiled("_convolution", _of_conv2d)
def conv2d(x, w, bias, stride, padding, dilation, groups, out=None):
    """The convolution (N, O, rows, columns), with ``bias`` (O,) or None added."""
    dtype = np.result_type(*(a for a in (x, w, bias) if a is not None))
    blocks = Blocks(x.shape, w.shape, stride, padding, dilation)
    y = out
    if out is None:
        y = np.empty((len(x), len(w), blocks.rows, blocks.columns), dtype)
    w = np.reshape(w, (groups, len(w) // groups, -1)).astype(dtype, copy=False)
    bias = 0 if bias is None else bias[:, None, None, None]
    patches_of, product_of = blocks.patches(dtype), blocks.parts(dtype)
    for block in blocks:
        patches, product = patches_of(block), product_of(block)
        blocks.gather(block, x, patches)
        np.matmul(w, patches.reshape(groups, w.shape[2], -1),
                  out=product.reshape(groups, w.shape[1], -1))
        np.add(product, bias, out=blocks.part(y, block))
    return y


@also_compiled("_convolution", lambda g, x, shape, *how: multiplications(g.shape, shape))
def conv2d_dw(g, x, shape, stride, padding, dilation, groups, out=None):
    """The gradient by the weights, of this ``shape``, from the gradient ``g`` of the result."""
    dtype = np.result_type(g, x)
    blocks = Blocks(x.shape, shape, stride, padding, dilation)
    result = zeros(out, shape, dtype)
    dw = result.reshape(groups, shape[0] // groups, math.prod(shape[1:]))
    more = scratch(dw.size, dtype, "product").reshape(dw.shape)
    patches_of, part_of = blocks.patches(dtype), blocks.parts(dtype)
    for block in blocks:
        patches, part = patches_of(block), part_of(block)
        blocks.gather(block, x, patches)
        np.copyto(part, blocks.part(g, block))
        dw += np.matmul(part.reshape(groups, dw.shape[1], -1),
                        np.swapaxes(patches.reshape(groups, dw.shape[2], -1), 1, 2), out=more)
    return result


@also_compiled("_convolution", lambda g, w, *how: multiplications(g.shape, w.shape))
def conv2d_dx(g, w, shape, stride, padding, dilation, groups, out=None):
    """The gradient by the images, of this ``shape``, from the gradient ``g`` of the result."""
    dtype = np.result_type(g, w)
    blocks = Blocks(shape, w.shape, stride, padding, dilation)
    dx = zeros(out, shape, dtype)
    w = np.reshape(w, (groups, len(w) // groups, -1)).astype(dtype, copy=False)
    product = np.multiply if w.shape[1] == 1 else np.matmul         # of a column and a row
    patches_of, part_of = blocks.patches(dtype), blocks.parts(dtype)
    for block in blocks:
        patches, part = patches_of(block), part_of(block)
        np.copyto(part, blocks.part(g, block))
        product(np.swapaxes(w, 1, 2), part.reshape(groups, w.shape[1], -1),
                out=patches.reshape(groups, w.shape[2], -1))
        for patch, pixels in blocks.pairs(block, patches, dx):
            pixels += patch
    return dx
