from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from support.photographs import picture, save

from restorect_cli.cli.degrade import Severity
from restorect_cli.degrade import rain
from restorect_cli.degrade.pairs import (
    Photograph,
    degradations,
    list_photographs,
    make_pairs,
    read_clean,
)
from restorect_cli.errors import InputError, OutputError, UsageError
from restorect_cli.names import TASKS


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [(40, 131), (131, 40)])
def test_pairs_of_any_rectangle(tmp_path: Path, task: str, size: tuple[int, int]):
    path = tmp_path / "a.png"
    save(picture(1, *size), path)
    (pair,) = make_pairs(
        Photograph(path, ("a",)), tmp_path / "out", degradations(task, None), seed=0, largest_pixels=10**6
    )
    degraded, clean = pixels(Path(pair.input)), pixels(Path(pair.target))
    np.testing.assert_array_equal(clean, pixels(path))
    assert degraded.shape == (*size, 3) and 0.5 < np.abs(degraded - clean).mean() < 150
    assert pair.degradation in degradations(task, None)


def test_a_pair_depends_on_name_seed_and_task_only(tmp_path: Path):
    for name in ("a", "b"):
        save(picture(1), tmp_path / f"{name}.png")

    def noise(name: str, seed: int, number: int, out: str) -> np.ndarray:
        photograph = Photograph(tmp_path / f"{name}.png", tuple(f"{name}{i}" for i in range(number + 1)))
        kinds = degradations("denoise", None)
        made = list(make_pairs(photograph, tmp_path / out, kinds, seed=seed, largest_pixels=10**6))
        return pixels(Path(made[number].input))

    first = noise("a", 0, 0, "one")
    np.testing.assert_array_equal(first, noise("a", 0, 0, "again"))
    for other in (noise("b", 0, 0, "of-b"), noise("a", 1, 0, "seed-1"), noise("a", 0, 1, "second")):
        assert not np.array_equal(first, other)


def test_severity_narrows_rain_and_nothing_else():
    assert set(degradations("derain", "light")) == {"rain-light"}
    assert set(degradations("derain", "heavy")) == {"rain-heavy"}
    assert set(degradations("derain", "mixed")) == set(degradations("derain", None)) == {"rain-light", "rain-heavy"}
    assert degradations("denoise", "mixed") == degradations("denoise", None)
    for severity in get_args(Severity)[:2]:
        with pytest.raises(UsageError, match="no severity"):
            degradations("denoise", severity)


def test_what_was_made_is_not_overwritten_and_no_half_pair_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, out, kinds = tmp_path / "a.png", tmp_path / "out", degradations("low-light", None)
    save(picture(1), path)
    save(picture(2), out / "input" / "a.png")
    kept = (out / "input" / "a.png").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        list(make_pairs(Photograph(path, ("a",)), out, kinds, seed=0, largest_pixels=10**6))
    assert (out / "input" / "a.png").read_bytes() == kept and not (out / "target").exists()

    from restorect_cli import images

    write = images.write

    def fails_for_input(picture: images.Picture, path: Path) -> None:
        if path.parent.name == "input":
            raise OutputError("the disk is full")
        write(picture, path)

    monkeypatch.setattr(images, "write", fails_for_input)
    with pytest.raises(OutputError, match="full"):
        list(make_pairs(Photograph(path, ("b",)), out, kinds, seed=0, largest_pixels=10**6))
    assert [p.name for p in sorted(out.rglob("*.png"))] == ["a.png"]


def test_names_that_would_meet_are_told_apart(tmp_path: Path):
    for name in ("a.png", "a.jpg", "b.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    found, doubles = list_photographs(tmp_path, 2)
    assert [(p.path.name, p.names) for p in found] == [("a.jpg", ("a-1", "a-2")), ("b.png", ("b-1", "b-2"))]
    assert len(doubles) == 1 and "a.png" in str(doubles[0])
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path / "empty", "no photographs"), (tmp_path / "none", "cannot read the folder")):
        with pytest.raises(InputError, match=said):
            list_photographs(folder, 1)


def test_large_photographs_are_shrunk_and_tiny_ones_refused(tmp_path: Path):
    path = tmp_path / "a.png"
    save(picture(1, 100, 200), path)
    assert read_clean(path, 5000).shape == (50, 100, 3)
    assert read_clean(path, 20_000).shape == (100, 200, 3)
    save(picture(1)[:15], path)
    with pytest.raises(InputError, match="15 pixels"):
        read_clean(path, 10**6)


def test_fresh_layers_have_the_look_of_the_bank():
    """Whole pictures are rained on as training's crops are: as much light, within the draws' spread."""
    bank, fresh = rain.StreakBank.generate(0, 12), rain.FreshStreaks()
    for heavy in (False, True):
        shares = [
            np.mean([source.layer((96, 96), heavy, np.random.default_rng(s)).mean() for s in range(12)])
            for source in (bank, fresh)
        ]
        assert 0.5 < shares[0] / shares[1] < 2


def test_a_layer_smaller_than_the_picture_keeps_its_streaks_sizes():
    """It is continued, not stretched: a picture three times as wide has three times the streaks."""
    bank = rain.StreakBank.generate(0, 2)
    wide = bank.layer((64, 1200), True, np.random.default_rng(1))
    assert wide.shape == (64, 1200) and wide.dtype == np.float32
    streaks = np.abs(np.diff(wide[32] > 0.3)).reshape(-1)
    assert streaks[:600].any() and streaks[600:].any()
