from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from restorect_cli.bench import speed
from restorect_cli.bench.memory import own_peak_bytes
from restorect_cli.bench.speed import (
    Cost,
    Point,
    growth,
    matrix_rate,
    measure_costs,
    noise_picture,
    operations_per_megapixel,
    plan_points,
)
from restorect_cli.engine.options import RestoreOptions

VELOCITY = Path(__file__).resolve().parents[2] / "weights" / "denoise-s" / "velocity.onnx"


def test_points_are_a_star():
    points = plan_points([0.25, 1, 12], [2, 1], ["fp32", "int8"], [1, 2, 4])
    assert len(points) == 3 + 1 + 1 + 2
    assert Point(12, 2, "fp32", 1) in points and Point(1, 1, "fp32", 1) in points and Point(1, 2, "fp32", 4) in points


def test_sizes_are_megapixels():
    for size in (0.25, 1.0):
        height, width, _ = noise_picture(size).shape
        assert height * width == pytest.approx(size * 1e6, rel=0.01) and height < width


def test_matrix_rate_is_of_this_century():
    assert 1e8 < matrix_rate(1, side=256) < 1e14


def test_operations_of_the_convolutions():
    """56.0 by torch's own counter for this network."""
    pytest.importorskip("onnx")
    assert operations_per_megapixel(VELOCITY) == pytest.approx(56.0e9, rel=0.01)


def test_costs_of_a_model(weights: Path):
    first, *others = measure_costs(
        "denoise", RestoreOptions(device="cpu"), sizes=[0.01, 0.04], threads=[1], steps=[1, 2]
    )
    assert first.model == "denoise-s" and first.seconds_per_megapixel > 0 and first.peak_bytes
    assert [(cost.point.megapixels, cost.point.steps) for cost in others] == [(0.04, 1), (0.04, 2)]


def test_an_ensemble_multiplies_what_is_computed(weights: Path, monkeypatch: pytest.MonkeyPatch):
    built: list[RestoreOptions] = []
    monkeypatch.setattr(speed, "build", lambda spec, task, options: built.append(options))
    monkeypatch.setattr(speed, "matrix_rate", lambda threads: 1e9)
    monkeypatch.setattr(speed, "operations_per_megapixel", lambda velocity: 1e6)
    monkeypatch.setattr(speed, "best_seconds", lambda method, image: 0.01)
    monkeypatch.setattr(speed, "peak_bytes", lambda *arguments: None)
    one, four = (
        next(measure_costs("denoise", RestoreOptions(ensemble=count), sizes=[0.01], threads=[1], steps=[1]))
        for count in (1, 4)
    )
    assert (one.point.ensemble, four.point.ensemble) == (1, 4) == tuple(options.ensemble for options in built)
    assert one.share and four.share == pytest.approx(4 * one.share)


def test_growth_of_known_costs():
    costs = [Cost("x", Point(size, 2, "fp32", 1), 0.5 * size, int(1e9 * size**0.5), None) for size in (1, 4, 16)]
    assert growth(costs) == pytest.approx((2, 0.5), abs=1e-3)
    assert growth(costs[:1]) is None


def test_memory_of_a_big_array_shows():
    before = own_peak_bytes()
    block = np.ones(before // 8 + 20_000_000)
    assert own_peak_bytes() > before + 8e7 and block[0] == 1
