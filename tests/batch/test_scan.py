from __future__ import annotations

import os
from pathlib import Path

import pytest

from restorect_cli.batch.scan import Found, Signature, look, scan


def names(folder: Path, *, recursive: bool = True, leave_out: Path | None = None) -> list[str]:
    return [found.name for found in scan(folder, recursive=recursive, leave_out=leave_out)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.jpg", "c/d.jpg", "c/e/f.jpg", ".hidden.jpg", ".trash/g.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path / "in"


def test_files_before_folders_hidden_ones_left_out(folder: Path) -> None:
    assert names(folder) == ["a.jpg", "b.jpg", "c/d.jpg", "c/e/f.jpg"]
    assert names(folder, recursive=False) == ["a.jpg", "b.jpg"]


def test_output_folder_inside_is_left_out_however_it_is_spelt(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder / "c")
    assert names(folder, leave_out=tmp_path / "link") == ["a.jpg", "b.jpg"]
    assert names(folder, leave_out=folder / "not-yet-there") == names(folder)


def test_facts_of_a_file(folder: Path) -> None:
    found = next(iter(scan(folder, recursive=False)))
    status = (folder / "a.jpg").stat()
    assert found == Found("a.jpg", Signature(5, status.st_mtime_ns), (status.st_dev, status.st_ino))


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_links_do_not_lead_in_circles_and_odd_files_have_a_reason(folder: Path) -> None:
    (folder / "up").symlink_to(folder)
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "same.jpg").symlink_to("a.jpg")
    os.mkfifo(folder / "pipe.jpg")
    problems = {found.name: found.problem for found in scan(folder, recursive=True)}
    assert problems["gone.jpg"] == "it is a link to nothing" and "symbolic links" in problems["loop.jpg"]
    assert problems["pipe.jpg"] == "it is not a regular file" and problems["same.jpg"] == ""
    assert "up" not in problems and not any(name.startswith("up/") for name in problems)


def test_folder_that_cannot_be_listed_is_an_entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "c":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    last = list(scan(folder, recursive=True))[-1]
    assert (last.name, last.problem) == ("c/", "the folder cannot be listed (Permission denied)")


def test_look(folder: Path) -> None:
    there = look(folder / "c")
    assert look(folder / "absent") is None and there is not None and there.problem == "it is a folder"
