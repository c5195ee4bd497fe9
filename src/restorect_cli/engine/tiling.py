"""Processes a picture window by window, in full-width bands from top to bottom.

    ┌───────── window ─────────┐   halo   seen by the network, its result discarded: at least its reach,
    │ halo                     │          so a tiled pass equals the whole pass
    │   ┌─────── core ───────┐ │   blend  linear ramp over the border between two cores; hides the seams
    │   │                    │ │          of a network of long but faint reach
    │   └────────────────────┘ │   core   the pixels that the window is for
    └──────────────────────────┘

All windows of a plan have one size (ONNX Runtime plans its memory once per shape) and start at multiples of the
network's size multiple (the phase of its strided convolutions). They need not be square: memory follows the area, and
a long side wastes less of it on halos.

The whole picture is never in memory: a pass holds one row of windows. Several passes (steps of the flow) run as a
chain, each pulling rows from the one before, so K steps cost K passes and not a K-fold halo.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from ..errors import UsageError
from .source import Image, ImageSource

Process = Callable[[Image], Image]
"""A window (h, w, 3) to a result of the same shape; must not change its argument."""

Emit = Callable[[int, Image], None]
"""Takes finished full-width rows (n, W, 3) that start at row y0; called from top to bottom, each row once."""


@dataclass(frozen=True)
class Axis:
    """The windows along one axis: window i covers pixels starts[i] … starts[i] + window_px, or to the end."""

    size_px: int
    window_px: int  # of all windows; may reach past the picture, by less than the multiple
    starts: tuple[int, ...]
    blend_px: int  # even

    def ramp(self, index: int) -> tuple[int, int]:
        """Where window `index` blends into the next one; (size_px, size_px) for the last."""
        if index + 1 >= len(self.starts):
            return self.size_px, self.size_px
        border = (self.starts[index + 1] + self.starts[index] + self.window_px) // 2
        return border - self.blend_px // 2, border + self.blend_px // 2

    def used(self, index: int) -> tuple[int, int]:
        """The pixels that window `index` contributes to: its core and both ramps."""
        first = self.ramp(index - 1)[0] if index else 0
        return first, self.ramp(index)[1]


@dataclass(frozen=True)
class TilePlan:
    """Rows and columns of windows; their product is the set of tiles."""

    rows: Axis
    columns: Axis

    @property
    def window_pixels(self) -> int:
        return self.rows.window_px * self.columns.window_px


def plan_tiles(height: int, width: int, *, tile_px: int, halo_px: int, blend_px: int, multiple: int) -> TilePlan:
    """The cheapest plan whose windows hold at most `tile_px`² pixels each.

    `halo_px` is the network's reach. Raises UsageError if `tile_px` leaves no room between two halos.
    """
    blend_px -= blend_px % 2
    overlap = _round_up(2 * halo_px + blend_px, multiple)
    budget = max(tile_px, multiple) ** 2
    padded_height, padded_width = _round_up(height, multiple), _round_up(width, multiple)

    best: tuple[tuple[int, int], int, int] | None = None
    for window_height in _window_sizes(padded_height, overlap, multiple):
        most = budget // window_height // multiple * multiple
        if most < padded_width and most <= overlap:
            continue
        window_width = _even_window(padded_width, min(most, padded_width), overlap, multiple)
        rows = _count(padded_height, window_height, overlap)
        columns = _count(padded_width, window_width, overlap)
        cost = (rows * columns * window_height * window_width, window_height)
        if best is None or cost < best[0]:
            best = (cost, window_height, window_width)
    if best is None:
        raise UsageError(
            f"tiles of {tile_px} pixels leave no room between their halos",
            f"give at least {smallest_tile_px(halo_px=halo_px, blend_px=blend_px, multiple=multiple)}",
        )
    _, window_height, window_width = best
    return TilePlan(
        _axis(height, window_height, overlap, blend_px, multiple),
        _axis(width, window_width, overlap, blend_px, multiple),
    )


def plan_windows(
    height: int, width: int, *, window_height: int, window_width: int, overlap_px: int, blend_px: int
) -> TilePlan:
    """Windows of exactly this size for a network that takes no other; neighbours overlap by `overlap_px` or more.

    One that is larger than the picture reaches past its end. Raises UsageError where an overlap fills a window.
    """
    if overlap_px >= min(window_height, window_width):
        raise UsageError(
            f"windows of {window_width}×{window_height} pixels leave no room between overlaps of {overlap_px}"
        )
    return TilePlan(
        _axis(height, window_height, overlap_px, blend_px, 1), _axis(width, window_width, overlap_px, blend_px, 1)
    )


def smallest_tile_px(*, halo_px: int, blend_px: int, multiple: int) -> int:
    """The smallest `tile_px` that suffices for every picture."""
    return _round_up(2 * halo_px + blend_px, multiple) + multiple


def tile_px_for_budget(budget_bytes: int, bytes_per_pixel: float, *, multiple: int = 8) -> int:
    """The largest multiple of `multiple` whose square fits the budget; at least `multiple`."""
    pixels = max(0, int(budget_bytes / bytes_per_pixel))
    return max(multiple, isqrt(pixels) // multiple * multiple)


def run_tiles(
    source: ImageSource,
    passes: Sequence[Process],
    emit: Emit,
    *,
    tile_px: int,
    halo_px: int,
    blend_px: int,
    multiple: int,
) -> int:
    """Send `source` through `passes` one after the other and emit the result; returns the last tile size used.

    If memory runs out, the tile is halved and the work continues at the first row not yet emitted. Raises
    MemoryError if the smallest tile is still too large.
    """
    smallest = smallest_tile_px(halo_px=halo_px, blend_px=blend_px, multiple=multiple)
    next_row = 0
    while True:
        plan = plan_tiles(
            source.height, source.width, tile_px=tile_px, halo_px=halo_px, blend_px=blend_px, multiple=multiple
        )
        try:
            for y0, rows in chain_bands(source, plan, passes, next_row):
                emit(y0, rows)
                next_row = y0 + len(rows)
                del rows  # else this band would stay in memory while the next is made
            return tile_px
        except MemoryError:
            failed_px = min(tile_px, isqrt(plan.window_pixels))
            if failed_px <= smallest:
                raise
            tile_px = max(smallest, failed_px // 2)


def chain_bands(
    source: ImageSource, plan: TilePlan, passes: Sequence[Process], from_row: int = 0
) -> Iterator[tuple[int, Image]]:
    """The finished bands (y0, rows) of the last pass from `from_row` on, each pass reading the one before."""
    for process in passes[:-1]:
        source = _Pulled(source, plan, process)
    return bands(source, plan, passes[-1], from_row)


def bands(source: ImageSource, plan: TilePlan, process: Process, from_row: int = 0) -> Iterator[tuple[int, Image]]:
    """One pass: (y0, finished rows (n, W, 3)) from `from_row` to the last row, without gap or overlap."""
    row_axis = plan.rows
    reaching = (i for i in range(len(row_axis.starts)) if row_axis.ramp(i)[0] > from_row)
    # Start one row of windows early: its lower ramp is blended into the first row that counts.
    first = max(0, next(reaching) - 1)
    ramp: Image | None = None
    for index in range(first, len(row_axis.starts)):
        band = _row_of_windows(source, plan, index, process)
        top, bottom = row_axis.used(index)
        if ramp is not None:
            _blend(ramp, band[: len(ramp)], axis=0)
        finished = row_axis.ramp(index)[0]
        ramp = band[finished - top :].copy()  # a copy, so that the band itself can be freed
        y0 = max(top, from_row)
        if y0 < finished:
            yield y0, band[y0 - top : finished - top]
        del band


def pad_to(window: Image, height: int, width: int) -> Image:
    """`window` padded at the bottom and right: by reflection as far as it goes, then by its edge."""
    for axis, size in ((0, height), (1, width)):
        missing = size - window.shape[axis]
        reflected = min(missing, window.shape[axis] - 1)
        for mode, count in (("reflect", reflected), ("edge", missing - reflected)):
            if count > 0:
                pads = [(0, count) if a == axis else (0, 0) for a in range(window.ndim)]
                window = np.pad(window, pads, mode=mode)  # type: ignore[call-overload]
    return window


def blend_weights(blend_px: int) -> Image:
    """Rising weights of the later window along a ramp, shape (blend_px,); the earlier one has 1 minus these."""
    return ((np.arange(blend_px) + 0.5) / max(1, blend_px)).astype(np.float32)


class _Pulled:
    """The result of a pass as a source; runs the pass just far enough and drops the rows above the last window.

    Windows must be requested from top to bottom, as `bands` does.
    """

    def __init__(self, source: ImageSource, plan: TilePlan, process: Process) -> None:
        self.height, self.width = source.height, source.width
        self._source, self._plan, self._process = source, plan, process
        self._bands: Iterator[tuple[int, Image]] | None = None
        self._first_row = 0
        self._rows: list[Image] = []

    def window(self, y0: int, y1: int, x0: int, x1: int) -> Image:
        if self._bands is None:
            self._bands = bands(self._source, self._plan, self._process, y0)
            self._first_row = y0
        while self._rows and self._first_row + len(self._rows[0]) <= y0:
            self._first_row += len(self._rows.pop(0))
        if self._rows and self._first_row < y0:  # a copy: a view would keep the rows above alive
            self._rows[0] = self._rows[0][y0 - self._first_row :].copy()
            self._first_row = y0
        while self._first_row + sum(map(len, self._rows)) < y1:
            self._rows.append(next(self._bands)[1])
        parts, top = [], self._first_row
        for rows in self._rows:
            part = rows[max(0, y0 - top) : max(0, y1 - top), x0:x1]
            if len(part):
                parts.append(part)
            top += len(rows)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _row_of_windows(source: ImageSource, plan: TilePlan, index: int, process: Process) -> Image:
    """The rows that one row of windows contributes to, blended from left to right: (bottom − top, W, 3)."""
    rows, columns = plan.rows, plan.columns
    top, bottom = rows.used(index)
    y0 = rows.starts[index]
    y1 = min(rows.size_px, y0 + rows.window_px)
    band = np.empty((bottom - top, columns.size_px, 3), np.float32)
    for column, x0 in enumerate(columns.starts):
        x1 = min(columns.size_px, x0 + columns.window_px)
        window = pad_to(source.window(y0, y1, x0, x1), rows.window_px, columns.window_px)
        left, right = columns.used(column)
        result = process(window)[top - y0 : bottom - y0, left - x0 : right - x0]
        if column:
            ramp_px = columns.ramp(column - 1)[1] - left
            _blend(band[:, left : left + ramp_px], result[:, :ramp_px], axis=1, into_earlier=True)
            left, result = left + ramp_px, result[:, ramp_px:]
        band[:, left:right] = result
    return band


def _blend(earlier: Image, later: Image, *, axis: int, into_earlier: bool = False) -> None:
    """Blend two windows along a ramp, in place in the later one (or the earlier).

    Written as a + w·(b − a), so equal values stay exactly equal, and tiled equals whole to the bit.
    """
    weights = blend_weights(earlier.shape[axis]).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    blended = earlier + weights * (later - earlier)
    (earlier if into_earlier else later)[...] = blended


def _axis(size_px: int, window_px: int, overlap: int, blend_px: int, multiple: int) -> Axis:
    padded = _round_up(size_px, multiple)
    count = _count(padded, window_px, overlap)
    spare = (padded - window_px) // multiple
    starts = tuple(i * spare // max(1, count - 1) * multiple for i in range(count))
    return Axis(size_px, window_px, starts, blend_px)


def _count(padded: int, window: int, overlap: int) -> int:
    return 1 if window >= padded else -(-(padded - overlap) // (window - overlap))


def _even_window(padded: int, most: int, overlap: int, multiple: int) -> int:
    """The smallest window size that needs no more windows than `most`."""
    count = _count(padded, most, overlap)
    return _round_up(-(-(padded + (count - 1) * overlap) // count), multiple)


def _window_sizes(padded: int, overlap: int, multiple: int) -> Iterator[int]:
    """The whole axis, then the even window for two, three, … windows."""
    yield padded
    previous = padded
    for count in itertools.count(2):
        window = _round_up(-(-(padded + (count - 1) * overlap) // count), multiple)
        if window < overlap + multiple or previous <= overlap + multiple:
            return
        if window < previous:
            yield window
        previous = window


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
