"""Colour profiles: a file's own colours to sRGB and back, at 16 bits, through libvips and Little CMS."""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, UnavailableError
from .faults import at_limit
from .picture import Pixels, to_depth
from .vips import from_vips, pyvips, to_vips

# Farther than this from sRGB, anywhere on the test colours, and a profile is converted; nearer, the conversion could
# only add rounding. The sRGB profiles of HP, Adobe, Google and libvips all lie within 1/255 of one another.
SRGB_TOLERANCE = 2 / 255


class BadProfileError(ValueError):
    """The profile is damaged or is for another kind of pixels."""


class Profile:
    """A profile for pixels of 1 (grey) or 3 (RGB) bands."""

    def __init__(self, icc: bytes, bands: int) -> None:
        """Raises BadProfileError where the profile cannot convert such pixels to sRGB."""
        self.bands = bands
        check(icc, "L" if bands == 1 else "RGB")
        # libvips takes an output profile by file name only, unless it goes through float Lab, four times slower
        self._file = _temporary_file(icc)
        self._finalizer = weakref.finalize(self, os.unlink, self._file)
        steps = np.linspace(0, 65535, 9).round().astype(np.uint16)
        colours = steps[:, None] if bands == 1 else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
        colours = np.ascontiguousarray(colours[None])
        srgb = self.to_srgb(colours)
        self.is_srgb = bool(np.abs(srgb - colours / np.float32(65535)).max() <= SRGB_TOLERANCE)
        try:
            self.from_srgb(srgb)
            self.has_reverse = True
        except BadProfileError:  # a scanner's or camera's may describe only what its pixels look like
            self.has_reverse = False

    def to_srgb(self, samples: Pixels) -> NDArray[np.float32]:
        """H×W×bands in the profile's space → H×W×3 float32 sRGB in [0, 1]; colours outside sRGB are clipped."""
        image = to_vips(np.ascontiguousarray(to_depth(samples, 16)))
        return self._run(lambda: image.icc_transform("srgb", input_profile=self._file, depth=16, intent="relative"), 3)

    def from_srgb(self, srgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """H×W×3 float32 sRGB (clipped to [0, 1]) → H×W×bands float32 in the profile's space, full scale 1."""
        image = to_vips(to_depth(srgb, 16))
        return self._run(
            lambda: image.icc_transform(self._file, input_profile="srgb", depth=16, intent="relative"), self.bands
        )

    def _run(self, make: Callable[[], Any], bands: int) -> NDArray[np.float32]:
        try:
            samples = from_vips(make())
        except pyvips.Error as error:
            said = error.detail or str(error)
            limit = at_limit(said)
            if limit is not None:  # which says nothing about the profile
                raise UnavailableError(f"cannot convert the colours, {limit.problem}", limit.fix) from error
            raise BadProfileError(said) from error
        if samples.shape[2] != bands:
            raise BadProfileError(f"the profile is for {samples.shape[2]} channels, not {bands}")
        return to_depth(samples, 32)


def check(icc: bytes, mode: str) -> None:
    """That the profile converts pixels of this Pillow mode to sRGB; libvips silently takes another where it cannot.

    Raises BadProfileError.
    """
    from PIL import ImageCms

    try:
        profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
        ImageCms.buildTransform(profile, srgb, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError) as error:
        raise BadProfileError(str(error)) from None


def _temporary_file(data: bytes) -> str:
    name = None
    try:
        descriptor, name = tempfile.mkstemp(prefix="restorect-", suffix=".icc")
        with open(descriptor, "wb") as file:
            file.write(data)
    except BaseException as error:
        if name is not None:
            os.unlink(name)
        if not isinstance(error, OSError):
            raise
        raise OutputError(f"cannot write a temporary file, {error.strerror}", "free space or set TMPDIR") from None
    return name
