"""libvips, quiet, and its images as arrays. Everything of ours that needs pyvips imports it from here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips
import pyvips.error

from .picture import Pixels

__all__ = ["from_vips", "pyvips", "to_vips"]

BAND_FORMATS = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
INTERPRETATIONS = {
    **{(1, 8): "b-w", (1, 16): "grey16", (1, 32): "b-w"},
    **{(3, 8): "srgb", (3, 16): "rgb16", (3, 32): "scrgb"},
}


def _message(text: Any) -> str:
    """What libvips says, as text. Its messages can quote bytes of a damaged file, which are in no encoding."""
    if text == pyvips.ffi.NULL:
        return "NULL"
    raw = pyvips.ffi.string(text)
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


# pyvips decodes messages strictly: a warning about a damaged file then ends as a traceback on standard error, printed
# from inside a callback where nobody can catch it, and an error as a UnicodeDecodeError in place of pyvips.Error.
# These are the two places that look the function up; other strings are decoded as before.
for _place in (pyvips, pyvips.error):
    _place._to_string = _message


def to_vips(samples: Pixels) -> Any:
    """A libvips image that looks at the C-contiguous array H×W×C without copying it; C is 1 or 3, or one more."""
    height, width, bands = samples.shape
    image = pyvips.Image.new_from_memory(samples, width, height, bands, BAND_FORMATS[samples.dtype.name])
    return image.copy(interpretation=INTERPRETATIONS[1 if bands < 3 else 3, samples.dtype.itemsize * 8])


def from_vips(image: Any) -> Pixels:
    """The pixels of a libvips image, H×W×C, read-only. Raises pyvips.Error."""
    dtype = {vips: numpy for numpy, vips in BAND_FORMATS.items()}[image.format]
    return np.frombuffer(image.write_to_memory(), dtype).reshape(image.height, image.width, image.bands)
