"""Tiled equals whole to the bit for a network of known reach, at every size and after every failure."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from restorect_cli.engine.source import ArraySource
from restorect_cli.engine.tiling import (
    TilePlan,
    bands,
    blend_weights,
    pad_to,
    plan_tiles,
    run_tiles,
    smallest_tile_px,
    tile_px_for_budget,
)
from restorect_cli.errors import UsageError

RNG = np.random.default_rng(0)
SIZES = [(1, 1), (7, 5), (1, 4000), (4000, 1), (8, 8), (64, 64), (65, 63), (101, 333), (517, 200), (97, 1009)]
REACH_PX = 5


def image(height: int, width: int) -> np.ndarray:
    return RNG.random((height, width, 3)).astype(np.float32)


def reaching(window: np.ndarray) -> np.ndarray:
    """Sees exactly REACH_PX in each direction, zero beyond the border, and keeps a phase of 4 as strides do."""
    padded = np.pad(window, ((REACH_PX, REACH_PX), (REACH_PX, REACH_PX), (0, 0)))
    height, width = window.shape[:2]
    total = window.copy()
    for dy, dx in [(-5, 0), (5, 0), (0, -5), (0, 5), (5, 5), (-5, 3), (2, -4)]:
        total += padded[REACH_PX + dy : REACH_PX + dy + height, REACH_PX + dx : REACH_PX + dx + width]
    total[::4, ::4] *= 2
    return total


def tiles(plan: TilePlan) -> int:
    return len(plan.rows.starts) * len(plan.columns.starts)


def tiled(picture, passes, **settings):
    result = np.full_like(picture, np.nan)
    expected_row = 0

    def emit(y0, rows):
        nonlocal expected_row
        assert y0 == expected_row and rows.shape[1:] == picture.shape[1:]
        result[y0 : y0 + len(rows)] = rows
        expected_row += len(rows)

    options = dict(tile_px=48, halo_px=REACH_PX, blend_px=4, multiple=8) | settings
    last_tile_px = run_tiles(ArraySource(picture), passes, emit, **options)
    assert expected_row == len(picture)
    return result, last_tile_px


def whole(picture, passes, multiple=8):
    height, width = picture.shape[:2]
    for process in passes:
        padded = pad_to(picture, -(-height // multiple) * multiple, -(-width // multiple) * multiple)
        picture = process(padded)[:height, :width]
    return picture


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tile_px", [32, 48, 56, 100, 5000])
@pytest.mark.parametrize("blend_px", [0, 4, 5])
def test_tiled_equals_whole(size, tile_px, blend_px):
    picture = image(*size)
    result, _ = tiled(picture, [reaching], tile_px=tile_px, blend_px=blend_px)
    np.testing.assert_array_equal(result, whole(picture, [reaching]))


@pytest.mark.parametrize("size", SIZES)
def test_chained_passes_equal_whole_passes(size):
    picture = image(*size)
    result, _ = tiled(picture, [reaching] * 4, tile_px=40)
    np.testing.assert_array_equal(result, whole(picture, [reaching] * 4))


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("fail_at", [0, 1, 5, 7])
def test_half_the_tile_after_a_memory_failure_gives_the_same_picture(fail_at, passes):
    picture = image(203, 301)
    calls = 0

    def failing(window):
        nonlocal calls
        calls += 1
        if calls > fail_at and window.shape[0] * window.shape[1] > 50 * 50:
            raise MemoryError
        return reaching(window)

    result, last_tile_px = tiled(picture, [failing] * passes, tile_px=96)
    assert 40 <= last_tile_px <= 48
    np.testing.assert_array_equal(result, whole(picture, [reaching] * passes))


def test_a_small_picture_is_cut_after_a_failure_too():
    picture, failures = image(60, 60), 0

    def failing(window):
        nonlocal failures
        if window.shape[0] * window.shape[1] > 40 * 40:
            failures += 1
            raise MemoryError
        return reaching(window)

    result, last_tile_px = tiled(picture, [failing], tile_px=4096)
    assert 24 <= last_tile_px <= 32
    assert failures == 1  # half of the window that failed, not of the tile that it could have been
    np.testing.assert_array_equal(result, whole(picture, [reaching]))


def test_when_the_smallest_tile_fails_too_the_failure_is_told():
    def failing(window):
        raise MemoryError

    with pytest.raises(MemoryError):
        tiled(image(100, 100), [failing])


def test_rows_done_before_a_failure_are_not_done_again():
    seen = []

    def process(window):
        seen.append(window.shape)
        if len(seen) == 20:
            raise MemoryError
        return window

    picture = image(400, 64)
    tiled(picture, [process], tile_px=40)
    rows_again = sum(height * width for height, width, _ in seen[20:])
    assert rows_again < 0.8 * sum(height * width for height, width, _ in seen)


@pytest.mark.parametrize("size", [*SIZES, (3000, 4000), (6000, 8000)])
@pytest.mark.parametrize("tile_px", [64, 512, 1000])
@pytest.mark.parametrize(("halo_px", "blend_px", "multiple"), [(0, 0, 1), (3, 2, 4), (24, 8, 8)])
def test_plans(size, tile_px, halo_px, blend_px, multiple):
    plan = plan_tiles(*size, tile_px=tile_px, halo_px=halo_px, blend_px=blend_px, multiple=multiple)
    assert plan.window_pixels <= tile_px**2
    for axis, size_px in ((plan.rows, size[0]), (plan.columns, size[1])):
        assert axis.window_px % multiple == 0
        assert all(start % multiple == 0 for start in axis.starts)
        assert axis.starts[0] == 0
        assert size_px <= axis.starts[-1] + axis.window_px < size_px + multiple
        covered = 0
        for index, start in enumerate(axis.starts):
            first, last = axis.used(index)
            assert first <= covered <= last
            assert index == 0 or first - start >= halo_px  # what is used lies a halo inside its window
            assert index == len(axis.starts) - 1 or start + axis.window_px - last >= halo_px
            covered = axis.ramp(index)[0]
        assert covered == size_px


def test_windows_are_even_and_larger_ones_cost_less():
    costs = []
    for tile_px in (256, 512, 1024):
        plan = plan_tiles(3000, 4000, tile_px=tile_px, halo_px=64, blend_px=16, multiple=8)
        costs.append(tiles(plan) * plan.window_pixels / (3000 * 4000))
        assert plan.window_pixels > 0.8 * tile_px**2
    assert costs[0] > costs[1] > costs[2] > 1


def test_a_picture_within_the_budget_is_one_window():
    plan = plan_tiles(1, 4000, tile_px=256, halo_px=64, blend_px=16, multiple=8)
    assert tiles(plan) == 1 and plan.window_pixels == 8 * 4000


def test_a_tile_without_room_between_its_halos_is_refused():
    with pytest.raises(UsageError, match="at least 152"):
        plan_tiles(1000, 1000, tile_px=100, halo_px=64, blend_px=16, multiple=8)
    smallest = smallest_tile_px(halo_px=64, blend_px=16, multiple=8)
    assert tiles(plan_tiles(1000, 1000, tile_px=smallest, halo_px=64, blend_px=16, multiple=8)) > 1


def test_ramps_of_neighbours_sum_to_one():
    weights = blend_weights(16)
    np.testing.assert_allclose(weights + weights[::-1], 1)
    assert (np.diff(weights) > 0).all() and 0 < weights[0] and weights[-1] < 1


def test_neighbours_that_disagree_are_blended_without_a_step():
    picture = np.zeros((64, 400, 3), np.float32)
    level = iter(range(100))
    result, _ = tiled(picture, [lambda window: np.full_like(window, next(level))], tile_px=128, blend_px=32)
    steps = np.diff(result[32, :, 0])
    assert result.max() >= 1 and 0 <= steps.min() and steps.max() <= 1 / 31


def test_padding_reflects_as_far_as_it_goes_then_repeats_the_edge():
    row = np.arange(3, dtype=np.float32).reshape(1, 3, 1) * np.ones(3, np.float32)
    padded = pad_to(row, 2, 7)
    assert padded[0, :, 0].tolist() == [0, 1, 2, 1, 0, 0, 0]
    np.testing.assert_array_equal(padded[1], padded[0])


@pytest.mark.parametrize("from_row", [0, 1, 100, 131, 132, 133, 134, 202])
def test_bands_can_start_anywhere(from_row):
    picture = image(203, 64)
    plan = plan_tiles(203, 64, tile_px=64, halo_px=REACH_PX, blend_px=4, multiple=8)
    parts = list(bands(ArraySource(picture), plan, reaching, from_row))
    assert parts[0][0] == from_row
    result = np.concatenate([rows for _, rows in parts])
    np.testing.assert_array_equal(result, whole(picture, [reaching])[from_row:])


@pytest.mark.parametrize(("passes", "bound"), [(1, 200e6), (2, 400e6), (4, 800e6)])
def test_memory_stays_at_band_size_for_48_megapixels(passes, bound):
    class Stripes:
        height, width = 6000, 8000

        def window(self, y0, y1, x0, x1):
            return np.full((y1 - y0, x1 - x0, 3), 0.5, np.float32)

    emitted = 0

    def emit(y0, rows):
        nonlocal emitted
        emitted += rows.size

    tracemalloc.start()
    run_tiles(Stripes(), [lambda w: w] * passes, emit, tile_px=1024, halo_px=64, blend_px=16, multiple=8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert emitted == 6000 * 8000 * 3
    assert peak < bound  # one float32 copy of the picture would be 576 MB


def test_tile_for_a_budget():
    assert tile_px_for_budget(400_000_000, 400) == 1000
    assert tile_px_for_budget(100_000_000, 400) == 496
    assert tile_px_for_budget(0, 400, multiple=16) == 16
