"""A picture as the network sees it, and the network's change carried back into the file's own colours.

The network works on sRGB-encoded RGB. Converting a wide-gamut file there and back would clip and round every pixel, so
only the *change* travels back:

    out = x + P(restored) − P(x_srgb)        P: sRGB → the file's profile

An identity network therefore returns the file's own pixels, in every depth and profile. Grey goes in as three equal
channels, and the mean of their changes comes back; so does a grey picture that is stored as RGB, which a network would
tint. Where there is alpha the network sees the picture premultiplied
(over black: what an invisible pixel holds is arbitrary and must not leak into its neighbours); the change is divided
by alpha on the way back, and invisible pixels stay as they are. Alpha itself is never changed.

Float samples are taken as sRGB-encoded with white at 1, like integers divided by full scale; values outside [0, 1]
are passed on unclipped. A linear-light file is thus seen too dark: encode it before, or give it a profile.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .icc import Profile
from .picture import DTYPES, Picture, Pixels, to_depth

ROWS_AT_ONCE_PX = 1 << 20  # apply() works on about a megapixel at a time: 12 MB per float copy
GREY_ROWS = 64

# Blended tiles differ from the untiled result by about 1e-7. Divided by a small alpha that would become visible, so
# smaller changes count as none; one step of 16 bits is 1.5e-5.
NO_CHANGE = np.float32(1e-6)


class WorkingView:
    """A Picture seen as network input, and an output buffer of the file's own depth that is filled in rows.

    >>> view = WorkingView(picture)
    >>> view.apply(0, network(view.window(0, view.height, 0, view.width)))
    >>> restored = view.result()
    """

    height: int  # pixels
    width: int

    def __init__(self, picture: Picture, *, depth: int | None = None) -> None:
        """`depth` (8 or 16) makes the output buffer deeper or shallower than the file; None keeps the file's."""
        self.height, self.width = picture.pixels.shape[:2]
        self._picture = picture
        self._bits = depth or picture.meta.bits
        self._out = np.empty(picture.pixels.shape, DTYPES[self._bits])
        self._is_done = np.zeros(self.height, bool)
        self._is_grey_rgb: bool | None = None  # looked for when the first change comes back
        icc, bands = picture.meta.icc, picture.pixels.shape[2]
        profile = Profile(icc, bands) if icc else None
        self._profile = None if profile is None or profile.is_srgb else profile

    def window(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        """Rows y0..y1 and columns x0..x1 (ends excluded) as float32 (y1−y0, x1−x0, 3) sRGB, premultiplied by alpha."""
        srgb = self._srgb(self._picture.pixels[y0:y1, x0:x1])
        if self._picture.alpha is not None:
            srgb *= to_depth(self._picture.alpha[y0:y1, x0:x1], 32)[..., None]
        return srgb

    def coverage(self, y0: int, y1: int) -> NDArray[np.float32] | None:
        """Alpha of these rows as float32 (y1−y0, width) in [0, 1], by which `window` is premultiplied; None without."""
        if self._picture.alpha is None:
            return None
        alpha: NDArray[np.float32] = to_depth(self._picture.alpha[y0:y1], 32)
        return alpha

    def apply(self, y0: int, restored_rows: NDArray[np.float32]) -> None:
        """Carry the change of these rows, float32 (h, width, 3) as `window` gave them, into the result from y0 on.

        Raises ValueError for rows that do not fit the picture.
        """
        height, width, channels = restored_rows.shape
        if y0 < 0 or y0 + height > self.height or width != self.width or channels != 3:
            raise ValueError(f"rows {restored_rows.shape} at {y0} do not fit {self.height}×{self.width}×3")
        step = max(ROWS_AT_ONCE_PX // self.width, 1)
        for start in range(0, height, step):
            self._apply(y0 + start, restored_rows[start : start + step])
        self._is_done[y0 : y0 + height] = True

    def result(self, depth: int | None = None) -> Picture:
        """The restored picture with the file's own alpha and facts, at `depth` bits (None: as the buffer is).

        Raises ValueError while rows are missing.
        """
        if not self._is_done.all():
            raise ValueError(f"{np.count_nonzero(~self._is_done)} rows have not been restored")
        bits = depth or self._bits
        alpha = self._picture.alpha
        return Picture(
            pixels=to_depth(self._out, bits),
            alpha=None if alpha is None else to_depth(alpha, bits),
            meta=replace(self._picture.meta, bits=bits),
        )

    def _srgb(self, samples: Pixels) -> NDArray[np.float32]:
        if self._profile is not None:
            return self._profile.to_srgb(samples)
        encoded: NDArray[np.float32] = to_depth(samples, 32)
        if encoded.shape[2] == 1:
            return np.repeat(encoded, 3, axis=2)
        return encoded.copy() if encoded is samples else encoded  # never hand out the file's own pixels

    def _apply(self, y0: int, restored: NDArray[np.float32]) -> None:
        y1 = y0 + len(restored)
        samples = self._picture.pixels[y0:y1]
        if self._is_grey_rgb is None:
            self._is_grey_rgb = is_grey_rgb(self._picture.pixels)
        is_plain = self._profile is None and self._picture.alpha is None and samples.dtype != np.float32
        if is_plain:  # x + (restored − x) rounds to the same number as restored
            is_colour = samples.shape[2] == 3 and not self._is_grey_rgb
            own = restored if is_colour else restored.mean(axis=2, keepdims=True, dtype=np.float32)
        else:
            own = self._changed(samples, y0, restored)
        self._out[y0:y1] = to_depth(own, self._bits)

    def _changed(self, samples: Pixels, y0: int, restored: NDArray[np.float32]) -> NDArray[np.float32]:
        """x + P(restored) − P(x_srgb) for these rows: float32, the file's own bands, full scale 1."""
        y1 = y0 + len(restored)
        srgb = self._srgb(samples)
        if self._picture.alpha is None:
            change: NDArray[np.float32] = restored - srgb
        else:
            alpha = to_depth(self._picture.alpha[y0:y1], 32)[..., None]
            change = restored - srgb * alpha
        change[np.abs(change) < NO_CHANGE] = 0
        if self._picture.alpha is not None:
            change = np.divide(change, alpha, out=np.zeros_like(change), where=alpha > 0)
        if self._profile is not None:
            change = self._profile.from_srgb(srgb + change) - self._profile.from_srgb(srgb)
        elif samples.shape[2] == 1:
            change = change.mean(axis=2, keepdims=True, dtype=np.float32)
        if self._is_grey_rgb:
            change = change.mean(axis=2, keepdims=True, dtype=np.float32)
        changed: NDArray[np.float32] = to_depth(samples, 32) + change
        return changed


def is_grey_rgb(pixels: Pixels) -> bool:
    """Whether red, green and blue are the same in every pixel of H×W×3; usually the first rows say no."""
    if pixels.shape[2] != 3:
        return False
    for y in range(0, len(pixels), GREY_ROWS):
        red, green, blue = np.moveaxis(pixels[y : y + GREY_ROWS], 2, 0)
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            return False
    return True
