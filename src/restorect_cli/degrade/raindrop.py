"""Raindrops on the lens or a window: out-of-focus drops that show the scene upside down.

A drop is a small wide-angle lens. With a height map H over the picture, the surface normal has
n_z = 1/sqrt(1 + |grad H|^2), and a pixel inside a drop sees the surroundings at

    drop centre + grad H · n_z · f        (f about half to one picture height)

which gives the inverted picture; the rim, where n_z is small, is dark. The sky, the sun and white parts of the picture
are brighter than white, so they shine in drops. Because the camera focuses on the scene, its aperture, a disc or a
polygon, blurs the drops. They are blended as a premultiplied layer:

    y = (1 - o a) x + o L

All in linear light. The tests compare coverage and brightness with real pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import FloatImage

Mask = NDArray[np.float32]
GAMMA = np.float32(2.2)
MOST_DROPS = 1500  # of a picture or crop, to save time
BRIGHTEST = np.float32(12)  # of the surroundings without the sun; 1 is the white of the picture


def drops(
    image: FloatImage,
    rng: np.random.Generator,
    coverage: float | None = None,
    picture_height_px: float | None = None,
    whole: FloatImage | None = None,
) -> FloatImage:
    """Wet `image` (H,W,3) in [0,1].

    `coverage` scales the number of drops (1 is typical, drawn if None). If `image` is a crop, `picture_height_px` is
    the height of the whole picture, which sets the size of the drops, and `whole` is that picture shrunk to any size,
    which the drops show.
    """
    height, width = image.shape[:2]
    picture_height = float(height if picture_height_px is None else picture_height_px)
    # From drizzle on a distant window behind a sharp lens to single large drops close by. Photographs to repair are
    # larger than most training pictures, so a drop covers more pixels.
    scale = picture_height / 480 * float(np.exp(rng.uniform(np.log(0.35), np.log(2.6))))
    linear = np.clip(image, 0, 1) ** GAMMA
    shown = shrunk(linear, max(1, height // 100)) if whole is None else np.clip(whole, 0, 1) ** GAMMA
    drop_height, centre_row, centre_column = height_map(height, width, scale, rng, coverage)
    surroundings = environment(shown, picture_height, (height, width), rng)
    layer, mask = refract(
        surroundings, drop_height, centre_row, centre_column, rng.uniform(0.5, 1) * picture_height, rng
    )
    radius = max(0.6, float(np.exp(rng.uniform(np.log(1.6), np.log(16)))) * scale)
    blades, turn = (0, 0.0) if rng.random() < 0.5 else (int(rng.integers(5, 10)), rng.uniform(0, 2 * np.pi))
    blurred = aperture_blur(np.concatenate([layer, mask[..., None]], axis=2), radius, blades, turn)
    layer, mask = blurred[..., :3], blurred[..., 3:]
    opacity = np.float32(rng.uniform(0.8, 1.0))
    background = linear * np.float32(rng.uniform(0.95, 1.0))
    if rng.random() < 0.5:  # the wet film between the drops
        veil = np.float32(rng.uniform(0, 0.08))
        background = (1 - veil) * background + veil * shown.mean(axis=(0, 1))
    wet = (1 - opacity * mask) * background + opacity * layer
    encoded: FloatImage = (np.clip(wet, 0, 1) ** (1 / GAMMA)).astype(np.float32)
    return encoded


def height_map(
    height: int, width: int, scale: float, rng: np.random.Generator, coverage: float | None = None
) -> tuple[Mask, Mask, Mask]:
    """Drop heights in pixels, and per pixel the row and column of the drop it belongs to; each (H,W).

    H = r · (0.35 to 0.7) · sqrt(1 - q²), q the distance in units of the drop's outline: a circle with four random
    harmonics whose upper half is stretched, as by gravity. Merged by maximum. Every picture has its own typical size
    of drops: the smaller, the more drops.
    """
    amount = np.exp(rng.uniform(np.log(0.5), np.log(6.0))) if coverage is None else coverage
    typical = float(np.exp(rng.uniform(np.log(3), np.log(11))))  # radius; a spray has small and many drops
    area = height * width / (480.0 * 720.0 * scale**2)  # in pictures of the reference size
    count = max(1, int(rng.poisson(200 * (8 / typical) ** 2 * amount * area)))
    heights = np.zeros((height, width), np.float32)
    rows_of, columns_of = np.zeros_like(heights), np.zeros_like(heights)
    for _ in range(min(count, MOST_DROPS)):
        radius = scale * float(np.clip(rng.lognormal(np.log(typical), 0.65), 1, 26))
        _add_drop(heights, rows_of, columns_of, radius, rng)
    return heights, rows_of, columns_of


def _add_drop(heights: Mask, rows_of: Mask, columns_of: Mask, radius: float, rng: np.random.Generator) -> None:
    height, width = heights.shape
    row, column = rng.uniform(-radius, height + radius), rng.uniform(-radius, width + radius)
    reach = radius * 1.9
    top, bottom = max(0, int(row - reach)), min(height, int(row + reach) + 1)
    left, right = max(0, int(column - reach)), min(width, int(column + reach) + 1)
    if top >= bottom or left >= right:
        return
    dy, dx = np.mgrid[top:bottom, left:right].astype(np.float32)
    dy, dx = dy - row, dx - column
    stretch = rng.uniform(1, 1.5)
    dy = np.where(dy < 0, dy / stretch, dy)
    angle = np.arctan2(dy, dx)
    outline = np.ones_like(angle)
    for harmonic in range(2, 6):
        outline += rng.normal(0, 0.12 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    q = np.hypot(dy, dx) / (radius * np.maximum(outline, 0.3))
    own = radius * rng.uniform(0.35, 0.7) * np.sqrt(np.clip(1 - q * q, 0, None))
    window = np.s_[top:bottom, left:right]
    higher = own > heights[window]
    heights[window] = np.where(higher, own, heights[window])
    rows_of[window] = np.where(higher, row, rows_of[window])
    columns_of[window] = np.where(higher, column, columns_of[window])


@dataclass(frozen=True)
class Surroundings:
    """What the drops show: `image` in linear light, in cells of `side` pixels; the frame starts at `origin`."""

    image: FloatImage
    side: float
    origin: tuple[float, float]  # row and column, in cells

    def at(self, rows: Mask, columns: Mask) -> FloatImage:
        """Colours (H,W,3) at pixel positions of the frame, which may lie outside it."""
        # The nearest cell will do: a drop shrinks what it shows more than tenfold.
        wanted = zip((rows, columns), self.origin, self.image.shape[:2], strict=True)
        row, column = (np.clip(np.floor(p / self.side + first), 0, n - 1).astype(np.intp) for p, first, n in wanted)
        colours: FloatImage = self.image[row, column]
        return colours


def environment(
    shown: FloatImage, picture_height_px: float, frame: tuple[int, int], rng: np.random.Generator
) -> Surroundings:
    """The picture mirrored outwards by 3/4 of its height and 1/2 of its width, bright sky above, mean ground below.

    The mirrored picture fades into the sky, either evenly up to the top or close above the frame.

    In half of all pictures some light is brighter than the picture can show: its white, the sky, sometimes the sun.
    `shown` is the picture in linear light, shrunk: drops show it small, and the shrinking is their blur.
    A `frame` (rows, columns) smaller than the picture lies anywhere in it.
    """
    sky = np.quantile(shown.reshape(-1, 3), rng.uniform(0.9, 0.99), axis=0) * rng.uniform(1, 1.8)
    if rng.random() < 0.5:  # grey or pale blue, even if the picture shows another
        pale = np.array([rng.uniform(0.8, 1), rng.uniform(0.9, 1), 1]) * rng.uniform(0.5, 1.5)
        sky = sky + rng.uniform(0.4, 1) * (pale - sky)
    bright = rng.random() < 0.5
    if bright:
        sky = sky * np.exp(rng.uniform(0, np.log(4)))
        white = np.clip((shown.min(axis=2, keepdims=True) - 0.7) / 0.3, 0, 1)  # clipped by the camera
        shown = shown * (1 + white * np.float32(np.exp(rng.uniform(0, np.log(8)))))
    ground = shown.mean(axis=(0, 1))
    height, width = shown.shape[:2]
    up, aside = max(1, (3 * height) // 4), max(1, width // 2)
    wide = np.pad(shown, ((up, up), (aside, aside), (0, 0)), mode="symmetric")
    ramp = np.linspace(0, 1, up, dtype=np.float32)[:, None, None]
    near = ramp ** np.float32(np.exp(rng.uniform(np.log(0.7), np.log(6))))
    wide[:up] = near * wide[:up] + (1 - near) * sky
    wide[-up:] = (1 - ramp) * wide[-up:] + ramp * ground
    brightest = BRIGHTEST if bright else np.float32(1.8)
    wide = np.minimum(wide, brightest).astype(np.float32)
    if bright and rng.random() < 0.5:
        _add_sun(wide, up, rng)
    side = picture_height_px / height
    top, left = (
        margin + rng.random() * max(0.0, own - extent / side)
        for margin, own, extent in zip((up, aside), (height, width), frame, strict=True)
    )
    return Surroundings(wide, side, (top, left))


def _add_sun(wide: FloatImage, up: int, rng: np.random.Generator) -> None:
    """A disc far brighter than the sky, in the upper part of the surroundings."""
    rows, columns = np.mgrid[: len(wide), : wide.shape[1]].astype(np.float32)
    row, column = rng.uniform(0, 1.3) * up, rng.uniform(0, wide.shape[1])
    radius = rng.uniform(0.02, 0.08) * up
    colour = np.array([1, rng.uniform(0.85, 1), rng.uniform(0.7, 1)], np.float32) * np.exp(
        rng.uniform(np.log(10), np.log(200))
    )
    share = np.clip(radius + 0.5 - np.hypot(rows - row, columns - column), 0, 1)[..., None]
    wide += share * colour.astype(np.float32)


def shrunk(image: FloatImage, side: int) -> FloatImage:
    """Mean of cells of `side` pixels; incomplete cells at the right and bottom are dropped."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    cells = image[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    means: FloatImage = cells.mean(axis=(1, 3), dtype=np.float32)
    return means


def refract(
    surroundings: Surroundings,
    heights: Mask,
    rows_of: Mask,
    columns_of: Mask,
    reach_px: float,
    rng: np.random.Generator,
) -> tuple[FloatImage, Mask]:
    """The premultiplied drop layer (H,W,3) and its mask (H,W); `reach_px` is the formula's f."""
    slope_row, slope_column = np.gradient(heights)
    normal = 1 / np.sqrt(1 + slope_row**2 + slope_column**2)
    seen = surroundings.at(rows_of + slope_row * normal * reach_px, columns_of + slope_column * normal * reach_px)
    mask = (heights > 0).astype(np.float32)
    shade = normal ** rng.uniform(0.3, 1.5) * rng.uniform(0.8, 1.2)
    return (seen * (shade * mask)[..., None]).astype(np.float32), mask


def aperture_blur(image: FloatImage, radius_px: float, blades: int = 0, turn: float = 0.0) -> FloatImage:
    """Convolve (H,W,C) with the out-of-focus spot of an aperture; edges repeat.

    A disc of `radius_px`, or the regular polygon with this many `blades` around it, turned by `turn` radians.
    """
    margin = int(np.ceil(radius_px)) + 1
    rows, columns = np.mgrid[-margin : margin + 1, -margin : margin + 1].astype(np.float32)
    if blades:
        sides = turn + 2 * np.pi * np.arange(blades) / blades
        inner = radius_px * np.cos(np.pi / blades)  # from the centre to a side
        distance = np.max([rows * np.sin(a) + columns * np.cos(a) for a in sides], axis=0) - inner
    else:
        distance = np.hypot(rows, columns) - radius_px
    spot = np.clip(0.5 - distance, 0, 1)
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(spot / spot.sum(), s=shape)[..., None]
    blurred = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * spectrum, s=shape, axes=(0, 1))
    return blurred[2 * margin :, 2 * margin :].astype(np.float32)[: image.shape[0], : image.shape[1]]
