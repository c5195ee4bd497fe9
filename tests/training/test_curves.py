from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from restorect_cli.charts import COLOURS
from restorect_cli.training.curves import SIZE, draw_log, panel, read_log


def curves_in(path: Path) -> int:
    """How many colours of curves a picture holds."""
    with Image.open(path) as image:
        assert image.size == SIZE and image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    return sum(
        bool((pixels == ImageColor.getrgb(colour)).all(axis=2).any()) for colour in COLOURS[:-1]
    )  # grey: letters


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
    draw_log(log, tmp_path / "loss.png")
    assert curves_in(tmp_path / "loss.png") == curves
    draw_log(tmp_path / "none.jsonl", tmp_path / "empty.png")
    assert curves_in(tmp_path / "empty.png") == 0


def test_a_curve_is_named_with_its_last_value():
    axes = Figure().subplots()
    panel("loss", {"a": [(1, 3.0), (7, 0.25)], "nothing": []}, logarithmic=True)(axes)
    (line,) = axes.get_lines()
    assert np.array_equal(line.get_xydata(), [(1, 3.0), (7, 0.25)])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a  0.25"]
    assert axes.get_yscale() == "log"


def test_the_same_log_gives_the_same_bytes(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text(json.dumps({"iteration": 1, "loss": 0.5}) + "\n")
    for name in ("a.png", "b.png"):
        draw_log(tmp_path / "log.jsonl", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_was_done_twice_counts_once_and_a_broken_line_not_at_all(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    records = [{"iteration": 1, "loss": 3.0}, {"iteration": 2, "loss": 2.0}, {"iteration": 2, "loss": 1.0}]
    log.write_text("\n".join(map(json.dumps, records)) + '\n{"iterat')
    assert read_log(log)[0] == {"loss": [(1, 3.0), (2, 1.0)]}
