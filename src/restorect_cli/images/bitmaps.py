"""BMP, which the libvips wheel does not read, through Pillow. Eight bits and no metadata: nothing is lost."""

from __future__ import annotations

import io
import mmap
import warnings
from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..one_line import folded
from .faults import of_codec
from .picture import Meta, Picture


def decode_bitmap(data: bytes | mmap.mmap, name: str, check_size: Callable[[int, int], None]) -> Picture:
    """The picture in these bytes; `check_size(width, height)` may refuse it before it is decoded.

    Raises InputError.
    """
    from PIL import Image  # most runs never meet a BMP

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # check_size has the say
            image = Image.open(io.BytesIO(data[:]), formats=["BMP"])
            check_size(*image.size)
            stored = image.mode
            if stored not in ("1", "L", "P", "RGB", "RGBA"):
                raise InputError(f"cannot read {name}, its pixels are of kind {stored}", "save it as PNG or TIFF")
            samples = np.array(image.convert({"1": "L", "P": "RGB"}.get(stored, stored)))
    except Image.DecompressionBombError as error:  # Pillow's own limit, 179 megapixels
        raise InputError(f"cannot read {name}, {folded(error)}", "shrink the image or cut it into parts") from None
    except (OSError, SyntaxError, ValueError, ArithmeticError) as error:
        raise of_codec(name, "bmp", data, folded(error)) from None
    samples = samples.reshape(*samples.shape[:2], -1)
    has_alpha = samples.shape[2] == 4
    meta = Meta(
        format="bmp",
        width=samples.shape[1],
        height=samples.shape[0],
        bits=8,
        is_grey=samples.shape[2] == 1,
        has_alpha=has_alpha,
    )
    alpha = np.ascontiguousarray(samples[:, :, 3]) if has_alpha else None
    return Picture(np.ascontiguousarray(samples[:, :, :3]), alpha, meta)
