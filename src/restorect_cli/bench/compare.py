"""Puts two pictures under one slider, as a page or as one picture."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageDraw

from .. import images
from ..atomic import write_file
from ..errors import InputError, OutputError, UsageError
from .metrics import to_levels
from .pictures import as_rgb
from .report import picture_data, render

LARGEST_PX = 4096  # longer side of a picture in the page
DIVIDER_PX = 3

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def compare(left: Path, right: Path, target: Path, *, overwrite: bool = False) -> None:
    """Write `target`: a page (.html) with a slider, or a picture whose left half is `left` and right half `right`.

    The smaller picture is enlarged to the other's size. Raises InputError, OutputError, UsageError.
    """
    suffix = target.suffix.lower()
    if suffix not in (".html", ".htm", *PICTURE_SUFFIXES):
        raise UsageError(f"cannot write a comparison as '{target.name}'", "end it in .html, .png, .jpg or .webp")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already", "choose another name, or --overwrite")
    before, after, note = _same_size(left, _open(left), right, _open(right))
    if suffix in PICTURE_SUFFIXES:
        write_file(target, _halves(before, after, suffix), overwrite=overwrite)
        return
    figure = {
        "caption": f"{left.name} and {right.name}, {before.width}×{before.height} pixels",
        "width": before.width,
        "height": before.height,
        "pictures": [
            {"label": label, "data": picture_data(_jpeg(picture))}
            for label, picture in ((left.name, before), (right.name, after))
        ],
        "left": 0,
        "right": 1,
    }
    page = render("compare.html.j2", title=f"{left.name} | {right.name}", figure=figure, note=note)
    write_file(target, page.encode(), overwrite=overwrite)


def _open(path: Path) -> PillowImage.Image:
    """The upright picture in 8-bit RGB, with its colour profile in `info`. Raises InputError."""
    read = images.read(path)
    picture = PillowImage.fromarray(to_levels(as_rgb(read)).astype("uint8"))
    if read.meta.icc is not None and not read.meta.is_grey:
        picture.info["icc_profile"] = read.meta.icc
    return picture


def _same_size(
    left: Path, before: PillowImage.Image, right: Path, after: PillowImage.Image
) -> tuple[PillowImage.Image, PillowImage.Image, str]:
    if before.size == after.size:
        return before, after, ""
    width, height = max(before.width, after.width), max(before.height, after.height)
    if any(abs(picture.width * height - picture.height * width) > max(width, height) for picture in (before, after)):
        sizes = " and ".join(f"{picture.width}×{picture.height}" for picture in (before, after))
        raise InputError(f"{left} and {right} have different shapes, {sizes}", "crop one to the shape of the other")
    smaller = left if before.width < width else right
    pictures = [_enlarged(picture, (width, height)) for picture in (before, after)]
    return pictures[0], pictures[1], f"{smaller.name} was enlarged to {width}×{height}."


def _enlarged(picture: PillowImage.Image, size: tuple[int, int]) -> PillowImage.Image:
    enlarged = picture.resize(size, PillowImage.Resampling.LANCZOS)
    enlarged.info = picture.info
    return enlarged


def _halves(before: PillowImage.Image, after: PillowImage.Image, suffix: str) -> bytes:
    if before.info.get("icc_profile") != after.info.get("icc_profile"):
        before, after = _in_srgb(before), _in_srgb(after)
    middle = before.width // 2
    joined = before.copy()
    joined.paste(after.crop((middle, 0, after.width, after.height)), (middle, 0))
    line = (middle - DIVIDER_PX // 2, 0, middle + DIVIDER_PX // 2, before.height)
    ImageDraw.Draw(joined).rectangle(line, fill="white")
    format = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(suffix, suffix[1:].upper())
    return _encoded(joined, format, before.info.get("icc_profile"))


def _in_srgb(picture: PillowImage.Image) -> PillowImage.Image:
    profile = picture.info.get("icc_profile")
    if profile is None:
        return picture
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    assert converted is not None  # None only when converting in place
    converted.info.pop("icc_profile", None)
    return converted


def _jpeg(picture: PillowImage.Image) -> bytes:
    profile = picture.info.get("icc_profile")
    if max(picture.size) > LARGEST_PX:
        picture = picture.copy()
        picture.thumbnail((LARGEST_PX, LARGEST_PX), PillowImage.Resampling.LANCZOS)
    return _encoded(picture, "JPEG", profile)


def _encoded(picture: PillowImage.Image, format: str, profile: bytes | None) -> bytes:
    file = io.BytesIO()
    options = {"quality": 93, **({"subsampling": 0} if format == "JPEG" else {})} if format != "PNG" else {}
    picture.save(file, format, icc_profile=profile, **options)
    return file.getvalue()
