"""Raindrops on the lens or on a window: out-of-focus drops that show the scene upside down.

A drop is a small wide-angle lens. With a height map H over the picture, the surface normal has
n_z = 1/sqrt(1 + |grad H|^2), and a pixel inside a drop sees the surroundings at

    drop centre + grad H · n_z · f        (f about half to one picture height)

which gives the inverted picture; the rim, where n_z is small, is dark. Because the camera focuses on
the scene, the drops are blurred by a disc and blended as a premultiplied layer:

    y = (1 - o a) x + o L

All in linear light. Coverage and brightness are held against real pairs in the tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .noise import FloatImage

Mask = NDArray[np.float32]
GAMMA = np.float32(2.2)


def drops(
    image: FloatImage, rng: np.random.Generator, coverage: float | None = None, picture_height_px: float | None = None
) -> FloatImage:
    """Wet `image` (H,W,3) in [0,1].

    `coverage` scales the number of drops (1 is typical, drawn if None). `picture_height_px` is the
    height of the whole picture when `image` is a crop of it: drops have a size in the picture.
    """
    height, width = image.shape[:2]
    scale = (height if picture_height_px is None else picture_height_px) / 480 * rng.uniform(0.8, 1.6)
    linear = np.clip(image, 0, 1) ** GAMMA
    drop_height, centre_row, centre_column = height_map(height, width, scale, rng, coverage)
    surroundings = environment(linear, scale, rng)
    layer, mask = refract(surroundings, drop_height, centre_row, centre_column, rng)
    radius = max(0.6, float(np.exp(rng.uniform(np.log(1.2), np.log(9)))) * scale)
    layer, mask = disc_blur(layer, radius), disc_blur(mask[..., None], radius)
    opacity = np.float32(rng.uniform(0.8, 1.0))
    background = linear * np.float32(rng.uniform(0.95, 1.0))
    if rng.random() < 0.5:  # the wet film between the drops
        veil = np.float32(rng.uniform(0, 0.08))
        background = (1 - veil) * background + veil * background.mean(axis=(0, 1))
    wet = (1 - opacity * mask) * background + opacity * layer
    encoded: FloatImage = (np.clip(wet, 0, 1) ** (1 / GAMMA)).astype(np.float32)
    return encoded


def height_map(
    height: int, width: int, scale: float, rng: np.random.Generator, coverage: float | None = None
) -> tuple[Mask, Mask, Mask]:
    """Drop heights in pixels, and per pixel the row and column of the drop it belongs to; each (H,W).

    H = r · (0.35 to 0.7) · sqrt(1 - q²), q the distance in units of the drop's own outline: a circle
    with four random harmonics whose upper half is stretched, as gravity leaves it. Merged by maximum.
    """
    amount = np.exp(rng.uniform(np.log(0.3), np.log(4.0))) if coverage is None else coverage
    area = height * width / (480.0 * 720.0 * scale**2)  # in pictures of the reference size
    count = max(1, int(rng.poisson(200 * amount * area)))
    heights = np.zeros((height, width), np.float32)
    rows_of, columns_of = np.zeros_like(heights), np.zeros_like(heights)
    for _ in range(min(count, 900)):
        radius = scale * float(np.clip(rng.lognormal(np.log(8), 0.65), 2.5, 26))
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


def environment(linear: FloatImage, scale: float, rng: np.random.Generator) -> FloatImage:
    """What the drops can see: the frame mirrored outwards, bright sky above, mean ground below; blurred."""
    height, width = linear.shape[:2]
    up, side = (3 * height) // 4, width // 2
    wide = np.pad(linear, ((up, up), (side, side), (0, 0)), mode="symmetric")
    sky = np.quantile(linear.reshape(-1, 3), rng.uniform(0.9, 0.99), axis=0) * rng.uniform(1, 1.8)
    ground = linear.mean(axis=(0, 1))
    ramp = np.linspace(0, 1, up, dtype=np.float32)[:, None, None]
    wide[:up] = ramp * wide[:up] + (1 - ramp) * sky
    wide[-up:] = (1 - ramp) * wide[-up:] + ramp * ground
    return _gaussian_blur(np.minimum(wide, 1.8).astype(np.float32), rng.uniform(1, 3) * scale)


def refract(
    surroundings: FloatImage, heights: Mask, rows_of: Mask, columns_of: Mask, rng: np.random.Generator
) -> tuple[FloatImage, Mask]:
    """The premultiplied drop layer (H,W,3) and its mask (H,W)."""
    height, width = heights.shape
    slope_row, slope_column = np.gradient(heights)
    normal = 1 / np.sqrt(1 + slope_row**2 + slope_column**2)
    reach = rng.uniform(0.5, 1.0) * height
    rows = rows_of + slope_row * normal * reach + (surroundings.shape[0] - height) // 2
    columns = columns_of + slope_column * normal * reach + (surroundings.shape[1] - width) // 2
    seen = surroundings[
        np.clip(np.round(rows), 0, surroundings.shape[0] - 1).astype(np.intp),
        np.clip(np.round(columns), 0, surroundings.shape[1] - 1).astype(np.intp),
    ]
    mask = (heights > 0).astype(np.float32)
    shade = normal ** rng.uniform(0.3, 1.5) * rng.uniform(0.9, 1.2)
    return (seen * (shade * mask)[..., None]).astype(np.float32), mask


def disc_blur(image: FloatImage, radius_px: float) -> FloatImage:
    """Convolve (H,W,C) with a disc, the out-of-focus spot of a round aperture; edges repeat."""
    margin = int(np.ceil(radius_px)) + 1
    grid = np.mgrid[-margin : margin + 1, -margin : margin + 1].astype(np.float32)
    disc = np.clip(radius_px + 0.5 - np.hypot(grid[0], grid[1]), 0, 1)
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(disc / disc.sum(), s=shape)[..., None]
    blurred = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * spectrum, s=shape, axes=(0, 1))
    return blurred[2 * margin :, 2 * margin :].astype(np.float32)[: image.shape[0], : image.shape[1]]


def _gaussian_blur(image: FloatImage, sigma_px: float) -> FloatImage:
    return np.stack([_box_blur(image[..., c], max(1, round(sigma_px))) for c in range(3)], axis=-1)


def _box_blur(plane: Mask, radius_px: int) -> Mask:
    """Two box passes, near enough to a Gaussian for a backdrop that a drop shrinks a hundredfold."""
    for _ in range(2):
        for axis in (0, 1):
            moved = np.moveaxis(plane, axis, 0)
            padded = np.pad(moved, ((radius_px + 1, radius_px), (0, 0)), mode="edge").cumsum(axis=0, dtype=np.float64)
            size = 2 * radius_px + 1
            plane = np.moveaxis(((padded[size:] - padded[:-size]) / size).astype(np.float32), 0, axis)
    return plane
