from __future__ import annotations

from pathlib import Path

import pytest
from bench.conftest import MakePairs, photograph
from PIL import Image

from restorect_cli.bench.datasets import Dataset, Located, find_dataset
from restorect_cli.bench.pairing import count_label, open_set
from restorect_cli.errors import InputError


def located(folder: Path, layout: str = "pairs", count: int | None = None) -> Located:
    return Located(Dataset("own", "derain", layout, count), folder, "own")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [("input", "target"), ("low", "high"), ("rainy", "norain"), ("data", "gt"), ("LQ", "GT"), ("Low", "Normal")],
)
def test_usual_folders_are_known(make_pairs: MakePairs, inputs: str, targets: str):
    opened = open_set(located(make_pairs(inputs=inputs, targets=targets)))
    assert [case.stem for case in opened.cases] == ["0", "1", "2"]
    assert all(case.degraded.parent.name == inputs and case.target.parent.name == targets for case in opened.cases)


@pytest.mark.parametrize(
    ("degraded", "clean"),
    [
        ("low00690", "normal00690"),
        ("3_rain", "3_clean"),
        ("rain-001", "norain-001"),
        ("Canon_5_bike_1_real", "Canon_5_bike_1_mean"),
        ("0007_NOISY_SRGB_010", "0007_GT_SRGB_010"),
        ("norain-1x2", "norain-1"),
    ],
)
def test_marks_of_a_side_do_not_matter(tmp_path: Path, degraded: str, clean: str):
    for side, name in (("input", degraded), ("gt", clean), ("gt", clean.replace("0", "8").replace("1", "9"))):
        (tmp_path / side).mkdir(exist_ok=True)
        Image.fromarray(photograph()).save(tmp_path / side / f"{name}.png")
    opened = open_set(located(tmp_path))
    assert opened.cases[0].target == tmp_path / "gt" / f"{clean}.png"


def test_what_starts_alike_is_no_pair(tmp_path: Path):
    """Text before the first underscore is not a name: it pairs one output with several truths."""
    for path in ("input/7_a", "gt/7_b", "gt/7_c", "input/8", "gt/8"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.fromarray(photograph()).save(tmp_path / f"{path}.png")
    opened = open_set(located(tmp_path))
    assert [case.stem for case in opened.cases] == ["8"]
    assert len(opened.problems) == 3 and all("not scored" in line for line in opened.problems)


def test_a_picture_with_two_possible_targets_is_not_scored(tmp_path: Path):
    for path in ("input/low1", "gt/normal1", "gt/high1", "input/low2", "gt/normal2"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.fromarray(photograph()).save(tmp_path / f"{path}.png")
    opened = open_set(located(tmp_path))
    assert [case.stem for case in opened.cases] == ["low2"]
    assert any("low1.png has no target of the same name" in line for line in opened.problems)


def test_pairs_in_one_folder_are_told_apart_by_their_marks(tmp_path: Path):
    for name in ("a_real", "a_mean", "b_real", "b_mean", "c_real"):
        Image.fromarray(photograph()).save(tmp_path / f"{name}.png")
    opened = open_set(located(tmp_path))
    assert [(case.stem, case.target and case.target.stem) for case in opened.cases] == [
        ("a_real", "a_mean"),
        ("b_real", "b_mean"),
    ]
    assert len(opened.problems) == 1 and "c_real" in opened.problems[0]


def test_the_folder_more_of_rain100l_as_it_comes(make_pairs: MakePairs):
    folder = make_pairs(inputs="rain/X2", targets="norain")
    assert len(open_set(located(folder)).cases) == 3


def test_hidden_files_are_no_pictures(make_pairs: MakePairs):
    folder = make_pairs()
    (folder / "input" / "._0.png").write_bytes(b"what macOS leaves on foreign disks")
    assert not open_set(located(folder)).problems


def test_the_first_pictures_alone_are_a_part(make_pairs: MakePairs):
    part = open_set(located(make_pairs())).first(2)
    assert part.is_partial and count_label(part) == "2 of 3 pictures (partial)"


def test_two_files_of_one_stem_are_listed_and_left_out(make_pairs: MakePairs):
    folder = make_pairs()
    Image.fromarray(photograph()).save(folder / "input" / "1.jpg")
    opened = open_set(located(folder))
    assert [case.stem for case in opened.cases] == ["0", "2"]
    assert any("have the stem '1' (1.jpg, 1.png)" in line for line in opened.problems)


def test_a_part_is_called_partial(make_pairs: MakePairs):
    assert open_set(located(make_pairs(), count=15)).is_partial
    assert not open_set(located(make_pairs(), count=3)).is_partial


def test_targets_elsewhere(make_pairs: MakePairs, tmp_path: Path):
    folder = make_pairs()
    (folder / "target").rename(tmp_path / "clean")
    with pytest.raises(InputError, match="--targets"):
        open_set(located(folder))
    assert len(open_set(located(folder), targets=tmp_path / "clean").cases) == 3
    with pytest.raises(InputError, match="there is no folder of targets"):
        open_set(located(folder), targets=tmp_path / "absent")


def test_a_standard_set_without_targets_is_not_scored_without_them(tmp_path: Path):
    (tmp_path / "Rain100L").mkdir()
    with pytest.raises(InputError, match="holds no folder of targets"):
        open_set(find_dataset(str(tmp_path / "Rain100L")))


@pytest.mark.parametrize("layout", ["clean", "single"])
def test_flat_folders(tmp_path: Path, layout: str):
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (case,) = open_set(located(tmp_path, layout)).cases
    assert (case.target is None) == (layout == "single") and (case.degraded is None) == (layout == "clean")


def test_an_empty_set(tmp_path: Path):
    with pytest.raises(InputError, match="is empty"):
        open_set(located(tmp_path, "single"))
