"""What a file holds beside its picture: further pages, a gain map, a video, layers. All that is lost is named."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field

from . import containers, heif_boxes, jpeg_parts, tiff
from .gainmap import taken_out
from .picture import GainMap, Pixels

HEAD_BYTES = 1 << 20  # an APNG says before its pixels how many there are


@dataclass
class Beside:
    """The findings, in words for `Meta.left_out` and `Meta.notes`."""

    frames: int = 1  # full pictures, the first included
    gain_map: GainMap | None = None
    left_out: list[str] = field(default_factory=list)  # what no result will hold
    remarks: list[str] = field(default_factory=list)  # what is lost without harm

    def notes(self) -> list[str]:
        frames = [f"the file holds {self.frames} images; only the first is restored"] if self.frames > 1 else []
        return [*frames, *(f"the file also holds {what}, which is left out" for what in self.left_out), *self.remarks]


def beside_the_picture(
    format: str,
    data: bytes | mmap.mmap,
    inside: tiff.Contents | None,
    pages: int,
    upright: Callable[[Pixels], Pixels] | None,
) -> Beside:
    """The findings in a file of this format.

    `inside` are a TIFF's, `pages` is what libvips counts, `upright` turns samples as the picture is turned (None: not).
    """
    beside = Beside(pages)
    if format == "png":  # libvips shows the still image of an APNG, and does not count the others
        beside.frames = containers.png_frames(bytes(data[:HEAD_BYTES]))
    elif format == "avif":
        beside.left_out += heif_boxes.beside_the_picture(data)
    elif format == "tiff" and inside is not None:
        _in_tiff(inside, beside)
    elif format == "jpeg":
        _in_jpeg(data, upright, beside)
    return beside


def _in_tiff(inside: tiff.Contents, beside: Beside) -> None:
    beside.frames = inside.pictures
    if inside.is_cut:
        beside.remarks.append("the file is cut short behind the picture")
    if not inside.picture.is_first:
        beside.remarks.append("the first image in the file is a thumbnail; the full picture is restored")
    elif inside.copies:
        beside.remarks.append("smaller copies of the picture in the file (previews, a pyramid) are left out")
    if inside.has_layers:
        beside.left_out.append("the layers of a Photoshop document")


def _in_jpeg(data: bytes | mmap.mmap, upright: Callable[[Pixels], Pixels] | None, beside: Beside) -> None:
    found = jpeg_parts.parts(data)
    beside.frames += found.pictures
    if found.gain_map is not None:
        beside.gain_map = taken_out(data, found.gain_map, upright)
        if beside.gain_map is None:
            beside.left_out.append("an HDR gain map that is damaged")
    if found.has_video:
        beside.left_out.append("the video of a motion photo")
    if found.is_cut:
        beside.remarks.append("the file is cut short behind the picture")
    if found.previews:
        beside.remarks.append("previews of the unrepaired picture are left out")
    if found.unknown_bytes:
        beside.remarks.append(f"{found.unknown_bytes} bytes that another program put behind the picture are left out")
