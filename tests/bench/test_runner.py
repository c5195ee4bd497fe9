from __future__ import annotations

from pathlib import Path

import pytest
from bench.conftest import photograph
from PIL import Image

from restorect_cli.bench import runner
from restorect_cli.bench.datasets import Dataset, Located
from restorect_cli.bench.journal import Journal, Row
from restorect_cli.bench.measures import choose_measures
from restorect_cli.bench.method import MethodSpec
from restorect_cli.bench.pairing import Case, TestSet
from restorect_cli.engine.source import Image as Pixels


def test_a_method_is_warmed_up_once_before_its_time_is_taken(tmp_path: Path):
    cases = []
    for name in "ab":
        Image.fromarray(photograph(100, 120)).save(tmp_path / f"{name}.png")
        cases.append(Case(name, tmp_path / f"{name}.png", tmp_path / f"{name}.png"))
    test_set = TestSet(Located(Dataset("own", "derain", "pairs", None), tmp_path, "own"), cases, [])
    shapes: list[tuple[int, ...]] = []

    def method(image: Pixels, *, sigma: float | None = None) -> Pixels:
        shapes.append(image.shape)
        return image

    measures, _ = choose_measures(["psnr"], has_targets=True)
    methods = [(MethodSpec("baseline", "mine"), method)]
    runner.run(test_set, [runner.NoiseSetting()], methods, measures, Journal(tmp_path / "rows", resume=False))
    assert shapes == [(64, 64, 3), (100, 120, 3), (100, 120, 3)]


@pytest.mark.parametrize(("name", "worst", "best"), [("psnr", "a", "c"), ("niqe", "c", "a")])
def test_the_worst_picture_of_a_measure_is_the_worst_by_its_own_direction(name: str, worst: str, best: str):
    rows = [Row("set", "", picture, "m", 1, 1, 0.1, {name: value}) for picture, value in (("a", 1), ("b", 2), ("c", 3))]
    (measure,), _ = choose_measures([name], has_targets=True)
    assert runner.pictures_to_show(rows, measure) == [("worst", worst), ("median", "b"), ("best", best)]
