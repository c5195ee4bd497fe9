"""A JPEG that lacks its last bytes: the rows that are whole, and how many are lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import jpeg_parts
from .faults import ENDS_EARLY
from .vips import pyvips

STRIP_PX = 8  # rows that libvips decodes at once
END = b"\xff\xd9"


SIDES = {3: "top", 4: "top", 5: "right", 6: "left", 7: "left", 8: "right"}  # where the last rows come to lie, upright


@dataclass(frozen=True)
class Saved:
    """What can be had of a JPEG that lacks its end."""

    file: bytes  # with an end marker
    lost: int  # rows as stored, at the bottom
    rows: int  # in all
    is_progressive: bool

    def note(self, orientation: int) -> str:
        """The loss in the user's words, for the picture as it is seen upright."""
        if not self.lost:
            return "the file lacks its last bytes; no row is lost"
        if self.is_progressive:
            return "the file lacks its end and is progressive: all its rows have lost detail"
        side = SIDES.get(orientation, "bottom")
        lines = "columns" if side in ("left", "right") else "rows"
        return f"the file lacks its end: {self.lost} of {self.rows} {lines} are lost, at the {side}"


def lost_rows(data: jpeg_parts.Block, load: Callable[[bytes, str], Any]) -> Saved | None:
    """What can be saved; None where there is nothing.

    `load(bytes, fail_on)` opens it. Rows count as lost from the first strip on for which bytes are missing. Of a
    progressive file every row lacks something. Damage before the end is not passed over: pyvips.Error.
    """
    if _has_no_scan(data):
        return None
    whole = bytes(data).removesuffix(b"\xff") + END
    image = load(whole, "warning")  # "error" takes an end in the middle of a row for the end
    region = pyvips.Region.new(image)
    good = 0
    try:
        while good < image.height:
            region.fetch(0, good, image.width, min(STRIP_PX, image.height - good))
            good = min(good + STRIP_PX, image.height)
    except pyvips.Error as error:
        if ENDS_EARLY not in (error.detail or ""):
            raise
        good = max(0, good - STRIP_PX)  # libvips notices one strip late, and chroma bleeds a row upwards
    is_progressive = any(s.marker == 0xC2 for s in jpeg_parts.segments(data))
    return Saved(whole, image.height - good, image.height, is_progressive) if good or is_progressive else None


def _has_no_scan(data: jpeg_parts.Block) -> bool:
    """Whether the file ends before its first scan begins."""
    last = list(jpeg_parts.segments(data))[-1:]
    after = last[0].at + 4 + len(last[0].payload) if last else 2
    return bytes(data[after : after + 2]) != b"\xff\xda"
