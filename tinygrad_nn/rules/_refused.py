"""The rest of NumPy: functions with derivative zero, and those with none, with the rewrite."""

import numpy as np

from .._table import refuse, zero

zero(np.around, np.angle, np.imag, np.isreal, np.iscomplex, np.digitize, np.isin, np.nanargmax,
     np.nanargmin, np.array_equiv, np.common_type, np.einsum_path, np.diag_indices_from,
     np.tril_indices_from, np.triu_indices_from)
for _name in ("in1d",):                                 # until NumPy 2.3
    if hasattr(np, _name):
        zero(getattr(np, _name))

refuse("it writes into its first argument. np.where(mask, src, dst) makes a new array, "
       "np.broadcast_to(x, shape) a full one, np.stack([x, y]) one of several parts",
       np.copyto)
refuse("it writes into its first argument: np.where(mask, new, x) makes a new array, with "
       "mask = np.isin(np.arange(x.size), positions).reshape(x.shape)", np.put)
refuse("it writes into its first argument: np.where(mask, new, x) makes a new array",
       np.place, np.putmask)
refuse("it writes into its first argument: np.where(mask, new, x) makes a new array, with "
       "mask = np.zeros(x.shape, bool) filled by np.put_along_axis(mask, indices, True, axis)",
       np.put_along_axis)
refuse("it writes into its first argument: np.where(np.eye(n, dtype=bool), value, x) makes a "
       "new array", np.fill_diagonal)
refuse("it is about integers. Pass .data.astype(int)",
       np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.bitwise_count, np.invert,
       np.left_shift, np.right_shift, np.gcd, np.lcm, np.packbits, np.unpackbits,
       np.ravel_multi_index, np.unravel_index)
refuse("its arguments are indices, integers or booleans: pass .data.astype(int), or a "
       "comparison", np.ix_)
refuse("it is about dates", np.busday_count, np.busday_offset, np.is_busday,
       np.datetime_as_string, np.isnat)
refuse("it gives complex numbers: np.sort orders real ones", np.sort_complex)
refuse("a file holds numbers without their graph: pass .data",
       np.save, np.savez, np.savez_compressed, np.savetxt)
refuse("it gives or takes complex numbers, derivatives are of real ones: np.convolve and "
       "np.correlate have rules, products with matrices of sines and cosines as well",
       np.fft.fft, np.fft.fft2, np.fft.fftn, np.fft.ifft, np.fft.ifft2, np.fft.ifftn,
       np.fft.rfft, np.fft.rfft2, np.fft.rfftn, np.fft.irfft, np.fft.irfft2, np.fft.irfftn,
       np.fft.hfft, np.fft.ihfft)
for _fn in (np.emath.sqrt, np.emath.log, np.emath.log2, np.emath.log10, np.emath.power,
            np.emath.arccos, np.emath.arcsin, np.emath.arctanh):
    refuse(f"outside the real domain it gives complex numbers: np.{_fn.__name__} stays within",
           _fn)
refuse("outside the real domain it gives complex numbers: np.log(x) / np.log(n) stays within",
       np.emath.logn)
