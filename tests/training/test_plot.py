from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from restorect_cli.training.plot import COLOURS, SIZE, linear_axis, logarithmic_axis, plot, read_log


def colours_in(path: Path) -> list[bool]:
    with Image.open(path) as image:
        assert image.size == SIZE and image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    return [
        bool((pixels == ImageColor.getrgb(colour)).all(axis=2).any()) for colour in COLOURS[:-1]
    ]  # the grey one is in the letters, too


@pytest.mark.parametrize(
    ("lines", "curves"),
    [
        ([], 0),
        ([{"iteration": 1, "loss": 0.5}], 1),
        ([{"iteration": i, "loss": 1 / i, "consistency": 2 / i} for i in range(1, 90)], 2),
        ([{"iteration": i, "loss": 0.0} for i in range(1, 4)], 0),  # no place on a logarithmic axis
        ([{"iteration": 5, "validation": {"a": 20.0, "b": 31.5, "c": -3.0}}], 3),
    ],
)
def test_every_curve_is_drawn(tmp_path: Path, lines: list[dict[str, object]], curves: int):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    plot(log, tmp_path / "loss.png")
    drawn = colours_in(tmp_path / "loss.png")
    assert sum(drawn) == curves
    plot(tmp_path / "none.jsonl", tmp_path / "empty.png")
    assert not any(colours_in(tmp_path / "empty.png"))


def test_what_was_done_twice_counts_once_and_a_broken_line_not_at_all(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    records = [{"iteration": 1, "loss": 3.0}, {"iteration": 2, "loss": 2.0}, {"iteration": 2, "loss": 1.0}]
    log.write_text("\n".join(map(json.dumps, records)) + '\n{"iterat')
    assert read_log(log)[0] == {"loss": [(1, 3.0), (2, 1.0)]}


@pytest.mark.parametrize("values", [[0.0, 40_000.0], [31.2, 31.2], [-5.0, 7.5], [1e-5, 2e-5], [0.0, 1.0]])
def test_axes_hold_their_values_between_round_numbers(values: list[float]):
    for axis in (linear_axis(values), logarithmic_axis([abs(v) + 1e-6 for v in values])):
        assert 2 <= len(axis.ticks) <= 40
        assert axis.place(axis.ticks[0]) == pytest.approx(0) and axis.place(axis.ticks[-1]) == pytest.approx(1)
    assert all(-1e-6 <= linear_axis(values).place(value) <= 1 + 1e-6 for value in values)
