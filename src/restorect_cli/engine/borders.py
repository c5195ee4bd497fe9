"""The picture inside uniform borders: white mats, black bars, frames of several colours.

A border says nothing of the light or the noise, yet it fills a good part of the thumbnail: a dark photograph on a white
mat passes for a bright one. Only the prior looks through this; borders are restored like everything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .source import Image, PictureSource

UNIFORM = 2.5 / 255  # how far a border's pixels stray from its colour: a JPEG's do by a level or two
DIFFERENT = 4.5 / 255  # and how far the picture does, at half its pixels
SOFT_EDGE_PX = 16  # a JPEG's block with halved colours, in which the picture rings into its border
UNTIL_THEN = 0.15  # share of pixels that differ by half as much two lines before: the end comes at once
LEAST_BORDER_PX = 4
LEAST_INSIDE_PX = 16
FRAMES = 4  # one inside the other that are taken off
_STRIP_PIXELS = 1_000_000  # read at a time: 12 MB of float32

SIDES = ("top", "bottom", "left", "right")
NO_LINES: tuple[int, Image] = (0, np.zeros(3, np.float32))


@dataclass(frozen=True)
class Inside:
    """Part of a source, as a source: rows top..bottom and columns left..right, ends excluded."""

    source: PictureSource
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def window(self, y0: int, y1: int, x0: int, x1: int) -> Image:
        return self.source.window(self.top + y0, self.top + y1, self.left + x0, self.left + x1)

    def coverage(self, y0: int, y1: int) -> Image | None:
        rows = self.source.coverage(self.top + y0, self.top + y1)
        return None if rows is None else rows[:, self.left : self.right]


def inside_borders(source: PictureSource) -> PictureSource:
    """The picture without its uniform borders; the source itself where there are none, or nothing but border.

    A border is at least 4 lines of one opaque colour along a whole side; at its end, within two lines, at least half
    the pixels between the other borders begin to differ from it. A transparent one counts as picture: the prior
    averages by visibility.
    """
    found = Inside(source, 0, source.height, 0, source.width)
    for _ in range(FRAMES):
        smaller = _without_frame(found)
        if smaller == found:
            break
        found = smaller
    is_whole = (found.height, found.width) == (source.height, source.width)
    return source if is_whole or min(found.height, found.width) < LEAST_INSIDE_PX else found


def _without_frame(part: Inside) -> Inside:
    """What is left without the even lines along each side, as far as they have a clear end and are opaque."""
    even = [_even_lines(part, side) for side in SIDES]
    while any(count for count, _ in even):
        inner = _shrunk(part, [count for count, _ in even])
        if min(inner.height, inner.width) < LEAST_INSIDE_PX:
            return part
        ends = [_clear_end(inner, side, *found) for side, found in zip(SIDES, even, strict=True)]
        failed = [bool(count) and end is None for (count, _), end in zip(even, ends, strict=True)]
        if not any(failed):
            smaller = _shrunk(inner, [end or 0 for end in ends])
            return smaller if _is_opaque(part, smaller) else part
        even = [NO_LINES if lost else found for lost, found in zip(failed, even, strict=True)]
    return part


def _lines(part: Inside, side: str, a: int, b: int) -> Image:
    """Lines a to b of the part, counted from this side inwards: (b−a, length, 3)."""
    height, width = part.height, part.width
    if side == "top":
        return part.window(a, b, 0, width)
    if side == "bottom":
        return part.window(height - b, height - a, 0, width)[::-1]
    columns: Image
    if side == "left":
        columns = part.window(0, height, a, b).swapaxes(0, 1)
    else:
        columns = part.window(0, height, width - b, width - a).swapaxes(0, 1)[::-1]
    return columns


def _shrunk(part: Inside, lines: list[int]) -> Inside:
    top, bottom, left, right = lines
    return Inside(part.source, part.top + top, part.bottom - bottom, part.left + left, part.right - right)


def _even_lines(part: Inside, side: str) -> tuple[int, Image]:
    """How many lines from this side on are of one colour, and that colour; none where they are few, or all."""
    count, length = (part.height, part.width) if side in ("top", "bottom") else (part.width, part.height)
    at, step = 0, SOFT_EDGE_PX
    first = _lines(part, side, 0, 1)[0]
    colour: Image = (first.max(axis=0) + first.min(axis=0)) / 2
    while at < count:
        strip = _lines(part, side, at, min(count, at + step))
        uneven = np.flatnonzero(np.abs(strip - colour).max(axis=(1, 2)) > UNIFORM)
        if uneven.size:
            lines = at + int(uneven[0])
            return (lines, colour) if lines >= LEAST_BORDER_PX else NO_LINES
        at += len(strip)
        step = min(2 * step, max(SOFT_EDGE_PX, _STRIP_PIXELS // length))
    return NO_LINES


def _clear_end(inner: Inside, side: str, count: int, colour: Image) -> int | None:
    """The line near this side where half the pixels begin to differ from the border's colour; None if there is none.

    A clipped sky or a night fails here: it ends unevenly.
    """
    if count == 0:
        return None
    most = (inner.height if side in ("top", "bottom") else inner.width) - 1
    strip = _lines(inner, side, 0, min(most, SOFT_EDGE_PX))
    strays = np.abs(strip - colour).max(axis=2)
    typical = np.median(strays, axis=1)
    contrast = float(typical.max())
    if contrast <= DIFFERENT:
        return None
    end = int(np.argmax(typical >= contrast / 2))
    is_sudden = end < 2 or (strays[end - 2] > contrast / 2).mean() < UNTIL_THEN
    return end if is_sudden else None


def _is_opaque(whole: Inside, part: Inside) -> bool:
    """Whether everything of `whole` that is not in `part` is fully visible."""
    rows = max(1, _STRIP_PIXELS // whole.source.width)
    for y in range(whole.top, whole.bottom, rows):
        end = min(whole.bottom, y + rows)
        coverage = whole.source.coverage(y, end)
        if coverage is None:
            return True
        outside = np.ones(coverage.shape, bool)
        outside[:, : whole.left], outside[:, whole.right :] = False, False
        outside[max(part.top - y, 0) : max(part.bottom - y, 0), part.left : part.right] = False
        if (coverage[outside] < 1).any():
            return False
    return True
