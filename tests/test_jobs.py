from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from restorect_cli.errors import InputError, UsageError
from restorect_cli.jobs import Job, plan_jobs


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "output", "format", "targets"),
    [
        (["a.jpg"], None, None, ["a.restored.jpg"]),
        (["x/a.b.JPG"], None, None, ["x/a.b.restored.JPG"]),
        (["a.gif", "b"], None, None, ["a.restored.png", "b.restored.png"]),
        (["a.jpg", "a.jpeg"], None, "png", ["a.restored.png", None]),
        (["a.jpeg"], None, "jpeg", ["a.restored.jpeg"]),
        (["a.jpg"], None, "tiff", ["a.restored.tif"]),
        (["-x.jpg"], None, None, ["-x.restored.jpg"]),
        (["a.jpg"], "b.png", None, ["b.png"]),
        (["a.jpg"], "b", None, ["b"]),
        (["a.jpg"], "b.dat", "png", ["b.dat"]),
        (["a.jpg"], "there", None, ["there/a.jpg"]),
        (["a.jpg", "b.gif"], "new/", None, ["new/a.jpg", "new/b.png"]),
        (["a.jpg"], "new/", "png", ["new/a.png"]),
        (["-"], None, None, ["-"]),
        (["-"], "b.png", None, ["b.png"]),
        (["a.jpg"], "-", None, ["-"]),
        (["./-"], None, "png", ["-.restored.png"]),
    ],
)
def test_targets(inputs: list[str], output: str | None, format: str | None, targets: list[str | None]) -> None:
    if None in targets:  # two inputs, one name
        with pytest.raises(UsageError, match="would both become"):
            plan_jobs(inputs, output, format=format)
        return
    assert [job.output_name for job in plan_jobs(inputs, output, format=format)] == targets


@pytest.mark.parametrize(
    ("inputs", "output", "format", "says"),
    [
        (["a.jpg", "b.jpg"], "out.png", None, "2 inputs cannot go to the one output 'out.png'"),
        (["a.jpg", "b.jpg"], "-", None, "give one input, or a folder"),
        (["-", "-"], None, None, "only once"),
        (["-"], "there", None, "standard input has no name"),
        (["a.jpg"], "b.xyz", None, "cannot write '.xyz' files: use one of .jpg"),
        (["a.jpg"], "b.png", "jpeg", "says png and --format says jpeg"),
        (["a.jpg"], None, "bmp", "unknown format 'bmp': choose jpeg, png, tiff"),
        (["a.jpg"], "b.dat", "bmp", "unknown format 'bmp'"),
        (["a.jpg", "x/a.jpg"], "there", None, "'a.jpg' and 'x/a.jpg' would both become"),
        (["a.jpg", "a.jpg"], None, None, "given twice"),
        (["a.jpg", "./there/../a.jpg"], "new/", None, "given twice"),
        (["a.jpg"], "a.jpg", None, "is the input itself"),
        (["there/a.jpg"], "there", None, "is the input itself"),
        (["a.jpg", "a.restored.jpg"], None, None, "is also an input"),
        ([""], None, None, "empty"),
        (["a.jpg"], "", None, "empty"),
    ],
)
def test_names_that_cannot_be_meant(inputs: list[str], output: str | None, format: str | None, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_jobs(inputs, output, format=format)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", [".", "..", "there/..", "/"])
def test_bare_folder_is_no_image(name: str) -> None:
    with pytest.raises(InputError, match="is a folder"):
        plan_jobs([name], None)


def test_overwrite_allows_replacing_the_input_but_no_other(tmp_path: Path) -> None:
    assert plan_jobs(["a.jpg"], "a.jpg", overwrite=True) == [Job(Path("a.jpg"), Path("a.jpg"))]
    with pytest.raises(UsageError, match="is also an input"):
        plan_jobs(["a.jpg", "a.restored.jpg"], None, overwrite=True)


def test_link_to_the_input_is_the_input(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    with pytest.raises(UsageError, match="is the input itself"):
        plan_jobs(["a.jpg"], "link.jpg")


@pytest.mark.parametrize(("system", "is_one"), [("linux", False), ("darwin", True)])
def test_letter_case_where_the_system_folds_it(monkeypatch: pytest.MonkeyPatch, system: str, is_one: bool) -> None:
    monkeypatch.setattr("sys.platform", system)
    with pytest.raises(UsageError, match="would both become") if is_one else nullcontext():
        plan_jobs(["a.jpg", "x/A.JPG"], "there")


def test_planning_touches_nothing(tmp_path: Path) -> None:
    (job,) = plan_jobs(["a.jpg"], "new/deep/")
    assert job.folder_to_make == Path("new/deep") and sorted(path.name for path in tmp_path.iterdir()) == ["there"]
