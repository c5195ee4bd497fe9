from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from support.photographs import picture, save

from restorect_cli.engine.source import Image
from restorect_cli.errors import DiskFullError, InputError, OutputError, UsageError
from restorect_cli.labelling import run
from restorect_cli.labelling.run import LabelOptions, begin, label, plan


class Darker:
    """A teacher that darkens; `fails` are calls, from 1 on, on which it raises."""

    name, sha256 = "darker", "00"
    facts: Mapping[str, object] = {"kind": "test"}

    def __init__(
        self, fails: tuple[int, ...] = (), change: Callable[[Image], Image] = lambda image: image * 0.8
    ) -> None:
        self.calls, self.fails, self.change = 0, fails, change

    def __call__(self, image: Image) -> Image:
        self.calls += 1
        if self.calls in self.fails:
            raise InputError("the teacher fell over")
        return self.change(image).astype(np.float32)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(4):
        save(picture(seed), tmp_path / "photos" / f"{seed}.png")
    return tmp_path / "photos"


def do(folder: Path, output: Path, teacher: Darker, options: LabelOptions | None = None) -> list[run.Labelled]:
    options = options or LabelOptions()
    work = plan(folder, output, options)
    begin(work, teacher, options, "MIT")
    return list(label(work, teacher, options))


def read(path: Path) -> np.ndarray:
    return np.asarray(PillowImage.open(path), np.float32) / 255


def test_pairs_and_where_they_come_from(photos: Path, tmp_path: Path):
    done = do(photos, tmp_path / "out", Darker())
    assert [d.state for d in done] == ["labelled"] * 4 and (done[0].width, done[0].height) == (72, 64)
    given, taught = (read(tmp_path / "out" / side / "2.png") for side in ("input", "target"))
    assert np.array_equal(given, read(photos / "2.png"))
    np.testing.assert_allclose(taught, given * 0.8, atol=0.51 / 255)
    about = json.loads((tmp_path / "out/source.json").read_text())
    assert (about["teacher"], about["sha256"], about["licence"]) == ("darker", "00", "MIT")
    assert about["called"] == {"kind": "test"} and about["options"]["views"] == 1


def test_views_are_the_whole_and_parts_of_it_the_same_each_time(photos: Path, tmp_path: Path):
    options = LabelOptions(views=3, largest=0.002)
    for out in ("one", "two"):
        do(photos, tmp_path / out, Darker(), options)
    names = sorted(path.name for path in (tmp_path / "one/input").iterdir())
    assert names == [f"{seed}-{view}.png" for seed in range(4) for view in (1, 2, 3)]
    for name in names:
        assert np.array_equal(read(tmp_path / "one/target" / name), read(tmp_path / "two/target" / name))
        assert read(tmp_path / "one/input" / name)[..., 0].size <= 2100
    shapes = {read(tmp_path / "one/input" / name).shape for name in names}
    assert len(shapes) > 4  # parts of all sizes


def test_a_killed_run_goes_on(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    options, teacher = LabelOptions(), Darker()
    work = plan(photos, out, options)
    begin(work, teacher, options, "MIT")
    steps = label(work, teacher, options)
    next(steps), next(steps)
    steps.close()
    (out / "target/1.png").unlink()  # half a pair
    (out / "input/.restorect-label-x.part").write_bytes(b"half")
    (out / "rejected.jsonl").write_text('{"name": "3", "pho')
    again = Darker()
    done = do(photos, out, again)
    assert [d.name for d in done] == ["1", "2", "3"] and again.calls == 3
    assert len(list((out / "input").iterdir())) == len(list((out / "target").iterdir())) == 4
    assert not do(photos, out, Darker())


def test_dropped_labels_are_listed_and_not_made_again(photos: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "rejected.jsonl").write_text('{"na')  # of a kill
    idle = Darker(change=lambda image: image)
    assert {d.state for d in do(photos, out, idle)} == {"rejected"}
    assert [(r["name"], r["reason"]) for r in run.read_rejected(out)] == [(str(n), "unchanged") for n in range(4)]
    assert not list((out / "input").iterdir())
    assert not do(photos, out, Darker())


def test_a_picture_that_fails_does_not_stop_the_others(photos: Path, tmp_path: Path):
    (photos / "0.png").write_bytes(b"no picture")
    done = do(photos, tmp_path / "out", Darker(fails=(2,)))
    assert [d.state for d in done] == ["failed", "labelled", "failed", "labelled"]
    assert done[2].problem is not None and "fell over" in done[2].problem
    assert [d.name for d in do(photos, tmp_path / "out", Darker())] == ["0", "2"]


def test_a_teacher_that_fails_every_time_stops_the_run(photos: Path, tmp_path: Path):
    with pytest.raises(InputError, match="failed on 3 pictures one after the other"):
        do(photos, tmp_path / "out", Darker(fails=(2, 3, 4)))
    assert [d.name for d in do(photos, tmp_path / "out", Darker())] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "change", [lambda image: image[:-1], lambda image: image * np.float32("nan")], ids=["size", "nan"]
)
def test_labels_that_are_no_pictures(photos: Path, tmp_path: Path, change: Callable[[Image], Image]):
    with pytest.raises(InputError, match="not the input's size|not numbers"):
        do(photos, tmp_path / "out", Darker(change=change))
    assert not list((tmp_path / "out/target").iterdir())


def test_a_full_disk_stops_at_once_and_leaves_no_half(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write, count = run.images.write, iter(range(9))

    def full(*arguments, **named):
        if next(count) == 3:
            raise DiskFullError("cannot write", "make room on the disk")
        write(*arguments, **named)

    monkeypatch.setattr(run.images, "write", full)
    with pytest.raises(DiskFullError):
        do(photos, tmp_path / "out", Darker())
    monkeypatch.undo()
    assert [d.name for d in do(photos, tmp_path / "out", Darker())] == ["1", "2", "3"]


def test_another_teacher_does_not_go_on_in_the_same_folder(photos: Path, tmp_path: Path):
    do(photos, tmp_path / "out", Darker())
    other = Darker()
    other.sha256 = "11"
    with pytest.raises(OutputError, match="labelled otherwise, with another sha256"):
        do(photos, tmp_path / "out", other)
    with pytest.raises(OutputError, match="with another options"):
        do(photos, tmp_path / "out", Darker(), LabelOptions(largest=0.5))
    (tmp_path / "out/source.json").write_text("{")
    with pytest.raises(OutputError, match="source.json is damaged"):
        do(photos, tmp_path / "out", Darker())
    (tmp_path / "out/source.json").unlink()
    with pytest.raises(OutputError, match="nobody knows the maker"):
        do(photos, tmp_path / "out", Darker())


def test_pairs_keep_their_truth_and_get_a_teachers_picture_beside_it(tmp_path: Path):
    pairs = tmp_path / "pairs"
    for seed in range(3):
        save(picture(seed), pairs / "target" / f"{seed}.png")
        save(0.5 * picture(seed), pairs / "input" / f"{seed}.jpg")
    truth = (pairs / "target/1.png").read_bytes()
    done = do(pairs, pairs, Darker())
    assert [d.name for d in done] == ["0", "1", "2"] and (pairs / "target/1.png").read_bytes() == truth
    np.testing.assert_allclose(read(pairs / "teacher/1.png"), 0.8 * read(pairs / "input/1.jpg"), atol=0.51 / 255)
    with pytest.raises(UsageError, match="leave --views out"):
        plan(pairs, tmp_path / "elsewhere", LabelOptions(views=2), truth=True)
