from __future__ import annotations

import errno
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home
from support.tiffs import dng, mosaic

from restorect_cli.batch.plan import Item
from restorect_cli.batch.scan import Found
from restorect_cli.batch.work import STAGES, ImageError, Work, _alone, do, make_folder, threads_each
from restorect_cli.errors import DiskFullError, OutputError, UnavailableError
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


def test_a_raw_file_without_its_library_is_tried_again_and_not_recorded_as_lasting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_home(tmp_path, monkeypatch, "denoise-s")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    source = tmp_path / "a.dng"
    source.write_bytes(dng(mosaic(np.full((32, 48, 3), 0.2))))
    work = Work(Item(Found("a.dng"), "a.png", "restore"), source, tmp_path / "out" / "a.png")
    result = do(work, Repairer(RepairSettings.of("denoise", device="cpu", threads=1)))
    assert isinstance(result.error, UnavailableError) and "rawpy" in str(result.error)


def test_a_raw_file_is_developed_at_half_size_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rawpy")
    clean_home(tmp_path, monkeypatch, "denoise-s")
    source = tmp_path / "a.dng"
    source.write_bytes(dng(mosaic(np.full((32, 48, 3), 0.2))))
    work = Work(Item(Found("a.dng"), "a.png", "restore"), source, tmp_path / "out" / "a.png")
    settings = RepairSettings.of("denoise", device="cpu", threads=1, half_size=True)
    outcome = do(work, Repairer(settings)).outcome
    assert outcome is not None and (outcome.width, outcome.height) == (24, 16)


def test_memory_that_does_not_suffice_is_not_the_files_fault(tmp_path: Path) -> None:
    work = Work(Item(Found("a.png"), "a.png", "restore"), tmp_path / "a.png", tmp_path / "b.png")

    def fail() -> None:
        raise MemoryError

    with pytest.raises(ImageError) as caught:
        _alone(work, fail)
    assert isinstance(caught.value.error, UnavailableError)
