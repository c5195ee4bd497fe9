from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
from PIL import Image
from support.clean_home import clean_home

from restorect_cli.batch.plan import Item
from restorect_cli.batch.scan import Found
from restorect_cli.batch.work import STAGES, Work, do, make_folder, threads_each
from restorect_cli.errors import DiskFullError, OutputError
from restorect_cli.files import Repairer, RepairSettings


@pytest.mark.parametrize(("threads", "at_once", "each"), [(2, 1, 2), (2, 2, 1), (16, 4, 13), (1, 3, 1)])
def test_images_bring_their_own_threads(threads: int, at_once: int, each: int) -> None:
    assert threads_each(threads, at_once) == each


def test_all_steps_make_the_folder_and_tell_the_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_home(tmp_path, monkeypatch, "denoise-s")
    source, target = tmp_path / "a.png", tmp_path / "new" / "deep" / "a.png"
    Image.new("RGB", (8, 8)).save(source)
    work = Work(Item(Found("a.png"), "a.png", "restore"), source, target)
    result = do(work, Repairer(RepairSettings.of("denoise", device="cpu", threads=1)))
    assert result.outcome is not None and result.outcome.seconds > 0 and target.is_file()
    assert list(result.busy_seconds) == list(STAGES)
    assert sum(result.busy_seconds.values()) == pytest.approx(result.outcome.seconds, abs=1e-3)
    assert pickle.loads(pickle.dumps(result)) == result  # it may come from another machine


def test_what_planning_refused_fails_without_being_read(tmp_path: Path) -> None:
    work = Work(Item(Found("a.png"), "a.png", "fail", "two of one name"), tmp_path / "a.png", tmp_path / "b.png")
    result = do(work, None)  # type: ignore[arg-type]
    assert str(result.error) == f"{tmp_path / 'a.png'}: two of one name"


@pytest.mark.parametrize(("number", "ends_the_run"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_a_full_disk_ends_the_run_and_another_failure_to_write_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ends_the_run: bool
) -> None:
    clean_home(tmp_path, monkeypatch, "denoise-s")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    work = Work(Item(Found("a.png"), "b.png", "restore"), tmp_path / "a.png", tmp_path / "b.png")
    repairer = Repairer(RepairSettings.of("denoise", device="cpu", threads=1))

    def fsync(_: int) -> None:
        raise OSError(number, "why")

    monkeypatch.setattr(os, "fsync", fsync)
    if ends_the_run:
        with pytest.raises(DiskFullError, match="make room"):
            do(work, repairer)
    else:
        assert isinstance(do(work, repairer).error, OutputError)
    assert not work.target.exists()


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EACCES, OutputError)])
def test_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OutputError]) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise OSError(number, "why")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(OutputError, match="cannot make the folder x") as caught:
        make_folder(Path("x"))
    assert type(caught.value) is kind
