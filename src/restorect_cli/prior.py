"""What the prior graph sees of a picture: a thumbnail, and how rough the picture is at the finest scale.

The thumbnail tells the light and the scene; noise is averaged away in it, so nine numbers measured at full
resolution tell the noise. Both are computed once per picture, so every tile is restored under the same prior.

Training measures its statistics with these very functions. `prior_inputs` (streamed) and `prior_inputs_batch`
(vectorised) add in the same order and give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .source import Image, PictureSource

CELL_PX = 8
"""Side of a statistics cell: 56 differences each, enough for an RMS good to about 10 %."""

QUANTILES = (0.1, 0.5, 0.9)
"""The 10 % quantile finds the flattest cells, where what is left is noise; 90 % tells texture."""

STATISTICS = len(QUANTILES) * 3
LEAST_USABLE_SHARE = 0.02
"""Share of cells that must hold more than black and white; else all are measured."""

MIN_THUMB_PX = 8
"""Smaller thumbnails are padded with their edge, so that the prior's strided convolutions have room."""

STATISTICS_MAX_PIXELS = 4_000_000
"""Above this only every k-th band of 8 rows is measured: 60,000 cells fix a quantile far better than needed."""

_STRIP_PIXELS = 1_000_000  # read at a time: 12 MB of float32


@dataclass(frozen=True)
class PriorInputs:
    """`thumb` (h, w, 3) float32, at least 8×8; `statistics` (9,) float32, [r10, g10, b10, r50, …, b90]."""

    thumb: Image
    statistics: NDArray[np.float32]


def thumb_factor(height: int, width: int, prior_px: int) -> int:
    """The smallest whole f for which f×f cells make a thumbnail of at most `prior_px` on its longer side."""
    return max(1, -(-max(height, width) // prior_px))


def prior_inputs(source: PictureSource, prior_px: int) -> PriorInputs:
    """Thumbnail and statistics of `source`, read once from top to bottom in strips of about a megapixel.

    Thumbnail: box mean over f×f cells (`thumb_factor`); cells cut by the border average what is there, transparent
    pixels count by their alpha, and a cell without a visible pixel takes the mean of the whole picture: a cut-out is
    no darker than the same thing in a photograph.
    Statistics: quantiles over 8×8 cells (from the top left, incomplete ones dropped; a side shorter than 8
    makes the cells that short) of the RMS of the horizontal first difference divided by √2, which for white
    noise is its standard deviation. Above `STATISTICS_MAX_PIXELS` every k-th band of 8 rows is measured.

    Cells more than a quarter saturated (0 and below, 1 and above) are left out: noise shows little there. With
    13 % of black bars the 10 % quantile would be zero, and a denoiser told so left noise of sigma 25 at 23.6 dB
    instead of 31.9; a clipped sky does the same.
    """
    height, width = source.height, source.width
    factor = thumb_factor(height, width, prior_px)
    cell_rows, every = min(CELL_PX, height), _band_stride(height, width)
    strip_rows = CELL_PX * max(1, _STRIP_PIXELS // (CELL_PX * width))

    thumb_rows: list[Image] = []
    area_rows: list[Image] = []
    roughness: list[Image] = []
    row_sum, area_sum = np.zeros((width, 3), np.float32), np.zeros((width, 1), np.float32)
    for y0 in range(0, height, strip_rows):
        y1 = min(height, y0 + strip_rows)
        strip, coverage = source.window(y0, y1, 0, width), source.coverage(y0, y1)
        for y, row in enumerate(strip, start=y0):
            row_sum += row
            area_sum += 1 if coverage is None else coverage[y - y0, :, None]
            if (y + 1) % factor == 0 or y + 1 == height:
                thumb_rows.append(_sum_runs(row_sum, factor))
                area_rows.append(_sum_runs(area_sum, factor))
                row_sum[:], area_sum[:] = 0, 0
        bands = [
            strip[top : top + cell_rows]
            for top in range(0, len(strip) - cell_rows + 1, cell_rows)
            if (y0 + top) // cell_rows % every == 0
        ]
        if bands:
            roughness.append(_cell_roughness(np.stack(bands)))
    thumb = _mean_of_the_visible(np.stack(thumb_rows), np.stack(area_rows))
    cells = np.concatenate(roughness).reshape(-1, 3)
    return PriorInputs(_pad_thumb(thumb[None])[0], _quantiles(cells))


def prior_inputs_batch(images: Image, prior_px: int) -> tuple[Image, NDArray[np.float32]]:
    """The same for (B, H, W, 3) float32 in memory: thumbs (B, h, w, 3) and statistics (B, 9)."""
    batch, height, width, _ = images.shape
    factor = thumb_factor(height, width, prior_px)
    row_sums = np.moveaxis(_sum_runs(np.moveaxis(images, 1, -2), factor), -2, 1)
    column_sums = _sum_runs(row_sums, factor)
    thumbs = column_sums / _cell_areas(height, width, factor)

    cell_rows = min(CELL_PX, height)
    whole_bands = images[:, : height // cell_rows * cell_rows].reshape(batch, -1, cell_rows, width, 3)
    cells = _cell_roughness(whole_bands[:, :: _band_stride(height, width)]).reshape(batch, -1, 3)
    return _pad_thumb(thumbs), np.stack([_quantiles(own) for own in cells])


def _band_stride(height: int, width: int) -> int:
    return max(1, -(-height * width // STATISTICS_MAX_PIXELS))


def _sum_runs(values: Image, run: int) -> Image:
    """Sums of `run` neighbours along the last axis but one; a shorter last run sums what is there."""
    sums: Image = values[..., ::run, :].copy()
    for offset in range(1, run):
        part = values[..., offset::run, :]
        sums[..., : part.shape[-2], :] += part
    return sums


def _mean_of_the_visible(sums: Image, areas: Image) -> Image:
    """Sums (h, w, 3) over visible areas (h, w, 1); where nothing is visible the mean of all, 0 if nothing at all is."""
    visible = areas > 1e-3
    whole = sums.sum(axis=(0, 1)) / max(float(areas.sum()), 1e-3)
    mean: Image = np.where(visible, sums / np.where(visible, areas, 1), whole).astype(np.float32)
    return mean


def _cell_areas(height: int, width: int, factor: int) -> Image:
    """Pixels in each thumbnail cell, shape (h, w, 1)."""
    rows, columns = (
        np.minimum(factor, size - np.arange(0, size, factor)).astype(np.float32) for size in (height, width)
    )
    return (rows[:, None] * columns)[..., None]


def _cell_roughness(bands: Image) -> Image:
    """RMS horizontal first difference / √2 within each cell of bands (…, rows, W, 3): shape (…, cells, 3).

    Negative for saturated cells (−0 included): the sign bit is the mark.
    """
    width = bands.shape[-2]
    cell_columns = min(CELL_PX, width)
    cells = width // cell_columns
    if cell_columns == 1:
        return np.zeros((*bands.shape[:-3], cells, 3), np.float32)
    # Flattened, the neighbour to the right is three values on: long contiguous rows are what numpy does fast.
    flat = bands[..., : cells * cell_columns, :].reshape(*bands.shape[:-2], -1)
    squares: Image = np.zeros_like(flat)
    np.subtract(flat[..., 3:], flat[..., :-3], out=squares[..., :-3])
    np.square(squares, out=squares)
    row_sums: Image = squares[..., 0, :].copy()
    for row in range(1, squares.shape[-2]):
        row_sums += squares[..., row, :]
    by_cell = row_sums.reshape(*row_sums.shape[:-1], cells, cell_columns, 3)
    sums: Image = by_cell[..., 0, :].copy()
    for column in range(1, cell_columns - 1):  # the last difference reaches into the next cell
        sums += by_cell[..., column, :]
    differences = squares.shape[-2] * (cell_columns - 1)
    roughness: Image = np.sqrt(sums / np.float32(2 * differences))
    saturated = ((flat <= 0) | (flat >= 1)).sum(axis=-2, dtype=np.uint8)  # over the rows of a band, 8 at most
    by_cell_too = saturated.reshape(*saturated.shape[:-1], cells, cell_columns * 3).sum(axis=-1, dtype=np.uint16)
    largely = by_cell_too * 4 > squares.shape[-2] * cell_columns * 3
    return np.where(largely[..., None], -roughness, roughness)


def _quantiles(cells: Image) -> NDArray[np.float32]:
    """(cells, 3) to (9,), linear between neighbours, of the cells that are not saturated."""
    usable = ~np.signbit(cells[:, 0])
    measured = cells[usable] if usable.mean() >= LEAST_USABLE_SHARE else np.abs(cells)
    quantiles: NDArray[np.float32] = np.quantile(measured, QUANTILES, axis=0).reshape(STATISTICS).astype(np.float32)
    return quantiles


def _pad_thumb(thumbs: Image) -> Image:
    missing = [max(0, MIN_THUMB_PX - size) for size in thumbs.shape[1:3]]
    if not any(missing):
        return thumbs
    return np.pad(thumbs, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
