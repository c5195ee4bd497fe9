"""Pictures read as windows of float32 RGB, never as a whole float copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""H×W×3, RGB, sRGB-encoded, nominally in [0, 1]; values outside are allowed and kept."""


class ImageSource(Protocol):
    """A picture that is read in windows, so a 48-megapixel file never exists as floats."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def window(self, y0: int, y1: int, x0: int, x1: int) -> Image:
        """Rows y0..y1 and columns x0..x1 (ends excluded), shape (y1−y0, x1−x0, 3)."""
        ...


class PictureSource(ImageSource, Protocol):
    """A whole picture, which may be transparent in places."""

    def coverage(self, y0: int, y1: int) -> Image | None:
        """How visible each pixel of these rows is, (y1−y0, width) in [0, 1]; None if all are.

        Windows are premultiplied by it, so an average of a picture must divide by it.
        """
        ...


@dataclass(frozen=True)
class ArraySource:
    """An image already in memory, H×W×3 float32, seen as a source; windows are views of it."""

    image: Image

    @property
    def height(self) -> int:
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    def window(self, y0: int, y1: int, x0: int, x1: int) -> Image:
        return self.image[y0:y1, x0:x1]

    def coverage(self, y0: int, y1: int) -> Image | None:
        return None
