"""What the prior graph sees of a picture: a thumbnail, and how rough the picture is at the finest scale.

The thumbnail shows the light and the scene but averages noise away, so nine numbers measured at full resolution
describe the noise. Both are computed once per picture, so every tile is restored under the same prior.

Training uses these same functions. A model given thumbnails of another size than in training leaves rain that lies
along a row (11 dB instead of 27). `prior_inputs` (streamed) and `statistics_batch` (vectorised) add in the same order
and give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .borders import inside_borders
from .source import Image, PictureSource

CELL_PX = 8
"""Side of a statistics cell: 56 differences each, enough for an RMS good to about 10 %."""

QUANTILES = (0.1, 0.5, 0.9)
"""The 10 % quantile finds the flattest cells, which hold only noise; the 90 % quantile measures texture."""

STATISTICS = len(QUANTILES) * 3
LEAST_USABLE_SHARE = 0.02
"""If fewer cells than this share hold more than black and white, all are measured."""

THUMB_SHAPE = (100, 150)
"""Rows and columns of every thumbnail, for any picture: close to 3:2, and one shape so that they can be stacked."""

STATISTICS_MAX_PIXELS = 4_000_000
"""Above this only every k-th band of 8 rows is measured: 60,000 cells fix a quantile far better than needed."""

_STRIP_PIXELS = 1_000_000  # read at a time: 12 MB of float32


@dataclass(frozen=True)
class PriorInputs:
    """`thumb` (*THUMB_SHAPE, 3) float32; `statistics` (9,) float32, [r10, g10, b10, r50, …, b90]."""

    thumb: Image
    statistics: NDArray[np.float32]


def prior_inputs(source: PictureSource) -> PriorInputs:
    """Thumbnail and statistics of `source`, read once from top to bottom in strips of about a megapixel.

    Thumbnail: the whole picture squeezed to `THUMB_SHAPE`, a portrait turned a quarter left onto its side (the prior
    pools over position). Each cell is the mean of the pixels whose centres lie in it, or the nearest pixel if cells
    are smaller than pixels. Transparent pixels count by their alpha, and a cell without a visible pixel takes the mean
    of the whole picture, so a cut-out looks no darker than the same object in a photograph.
    Statistics: quantiles over 8×8 cells (from the top left, incomplete ones dropped; a side shorter than 8
    makes the cells that short) of the RMS of the horizontal first difference divided by √2, which for white
    noise is its standard deviation. Above `STATISTICS_MAX_PIXELS` every k-th band of 8 rows is measured.

    Cells more than a quarter saturated (0 and below, 1 and above) are left out, because noise shows little there. With
    13 % of black bars the 10 % quantile would be zero; a denoiser given that left noise of sigma 25 at 23.6 dB instead
    of 31.9. A clipped sky has the same effect.

    Uniform borders (mats, bars) are left out of both: everything here is of the picture inside them.
    """
    source = inside_borders(source)
    height, width = source.height, source.width
    cell_rows, every = min(CELL_PX, height), _band_stride(height, width)
    strip_rows = CELL_PX * max(1, _STRIP_PIXELS // (CELL_PX * width))
    thumb = _Thumbnail(height, width)
    roughness: list[Image] = []
    for y0 in range(0, height, strip_rows):
        y1 = min(height, y0 + strip_rows)
        strip = source.window(y0, y1, 0, width)
        thumb.add(y0, strip, source.coverage(y0, y1))
        bands = [
            strip[top : top + cell_rows]
            for top in range(0, len(strip) - cell_rows + 1, cell_rows)
            if (y0 + top) // cell_rows % every == 0
        ]
        if bands:
            roughness.append(_cell_roughness(np.stack(bands)))
    cells = np.concatenate(roughness).reshape(-1, 3)
    return PriorInputs(thumb.finish(), _quantiles(cells))


def thumbnail(image: Image) -> Image:
    """The thumbnail alone, of (H, W, 3) float32 in memory."""
    thumb = _Thumbnail(*image.shape[:2])
    thumb.add(0, image, None)
    return thumb.finish()


def statistics_batch(images: Image) -> NDArray[np.float32]:
    """The statistics alone, of (B, H, W, 3) float32 in memory: (B, 9)."""
    batch, height, width, _ = images.shape
    cell_rows = min(CELL_PX, height)
    whole_bands = images[:, : height // cell_rows * cell_rows].reshape(batch, -1, cell_rows, width, 3)
    cells = _cell_roughness(whole_bands[:, :: _band_stride(height, width)]).reshape(batch, -1, 3)
    return np.stack([_quantiles(own) for own in cells])


class _Thumbnail:
    """Sums over thumbnail cells of a picture that comes in strips."""

    def __init__(self, height: int, width: int) -> None:
        self._portrait = height > width
        rows, columns = THUMB_SHAPE[::-1] if self._portrait else THUMB_SHAPE
        self._row_starts, self._row_of = _cells(height, rows)
        self._column_starts, self._column_of = _cells(width, columns)
        self._sums = np.zeros((len(self._row_starts), len(self._column_starts), 3), np.float32)
        self._areas = np.zeros((len(self._row_starts), len(self._column_starts), 1), np.float32)

    def add(self, y0: int, strip: Image, coverage: Image | None) -> None:
        """Take the rows from `y0` on."""
        y1 = y0 + len(strip)
        first = int(np.searchsorted(self._row_starts, y0, side="right")) - 1
        bounds = [*self._row_starts[first:].tolist(), y1]
        for cell, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True), start=first):
            top, bottom = max(start, y0) - y0, min(stop, y1) - y0
            if top >= bottom:
                break
            # Row by row, so that the borders of strips do not change the last bit.
            for y in range(top, bottom):
                self._sums[cell] += np.add.reduceat(strip[y], self._column_starts, axis=0)
                seen = np.ones(strip.shape[1], np.float32) if coverage is None else coverage[y]
                self._areas[cell] += np.add.reduceat(seen, self._column_starts)[:, None]

    def finish(self) -> Image:
        cells = _mean_of_the_visible(self._sums, self._areas)
        thumb = cells[self._row_of][:, self._column_of]
        return np.ascontiguousarray(np.rot90(thumb) if self._portrait else thumb)


def _cells(size: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First pixel of each cell along a side of `size` pixels, and the cell each of `count` thumbnail pixels shows."""
    if size >= count:
        return np.floor(np.arange(count) * (size / count) + 0.5).astype(np.intp), np.arange(count)
    return np.arange(size), np.floor((np.arange(count) + 0.5) * (size / count)).astype(np.intp)


def _band_stride(height: int, width: int) -> int:
    return max(1, -(-height * width // STATISTICS_MAX_PIXELS))


def _mean_of_the_visible(sums: Image, areas: Image) -> Image:
    """Sums (h, w, 3) over visible areas (h, w, 1); a hidden cell takes the mean of all, 0 if all are hidden."""
    visible = areas > 1e-3
    whole = sums.sum(axis=(0, 1)) / max(float(areas.sum()), 1e-3)
    mean: Image = np.where(visible, sums / np.where(visible, areas, 1), whole).astype(np.float32)
    return mean


def _cell_roughness(bands: Image) -> Image:
    """RMS horizontal first difference / √2 within each cell of bands (…, rows, W, 3): shape (…, cells, 3).

    Negative for saturated cells (−0 included): the sign bit is the mark.
    """
    width = bands.shape[-2]
    cell_columns = min(CELL_PX, width)
    cells = width // cell_columns
    if cell_columns == 1:
        return np.zeros((*bands.shape[:-3], cells, 3), np.float32)
    # In flattened rows the right neighbour is three values on; numpy is fast on long contiguous rows.
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
