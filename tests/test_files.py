"""Files in, files out, with students whose answer is known."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from support import onnx_students
from support.identity_students import write_weights

from restorect_cli.errors import InputError, OutputError
from restorect_cli.files import restore_file


@pytest.fixture
def student(tmp_path):
    def make(kind="identity", **facts):
        return str(onnx_students.make_student(tmp_path / f"{kind}-student", kind, **facts))

    return make


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_files(student, tmp_path, strength):
    from restorect_cli.images.reading import read

    source, target = tmp_path / "in.png", tmp_path / "out.png"
    _write_png(source, np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3) % 200)
    settings = dict(task="denoise", model=student(), device="cpu", threads=1, strength=strength)
    result = restore_file(source, str(target), **settings)
    np.testing.assert_array_equal(read(target).pixels, read(source).pixels)
    assert (result.output, result.task, result.model, result.width, result.height) == (
        str(target),
        "denoise",
        "denoise-s",
        30,
        20,
    )
    assert result.seconds > 0
    with pytest.raises(OutputError, match="exists"):
        restore_file(source, target, **settings)
    restore_file(source, target, overwrite=True, **settings)


def test_auto_says_why(tmp_path, monkeypatch):
    write_weights(tmp_path / "weights", "denoise-s", "low-light-s")
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(tmp_path / "weights"))
    for level, task in ((180, "denoise"), (12, "low-light")):
        source = tmp_path / f"{level}.png"
        _write_png(source, np.full((20, 30, 3), level, np.uint8))
        result = restore_file(source, tmp_path / f"{level}.out.png", device="cpu", threads=1)
        assert result.task == task and "mean light" in result.reason


def test_a_student_of_ones_own_knows_its_task(student, tmp_path):
    _write_png(tmp_path / "in.png", np.full((20, 30, 3), 180, np.uint8))
    result = restore_file(tmp_path / "in.png", tmp_path / "out.png", model=student(), device="cpu", threads=1)
    assert result.task == "denoise" and result.reason == "that is what model denoise-s is for"


def test_a_missing_file_is_an_input_error(student, tmp_path):
    with pytest.raises(InputError, match="absent"):
        restore_file(tmp_path / "absent.png", tmp_path / "out.png", task="denoise", model=student())
    assert not (tmp_path / "out.png").exists()


def _write_png(path, pixels):
    from PIL import Image

    Image.fromarray(pixels).save(path)


def test_times_are_kept_where_asked_for(student, tmp_path):
    source = tmp_path / "in.png"
    _write_png(source, np.full((20, 30, 3), 180, np.uint8))
    os.utime(source, ns=(1_000_000_000_000_000_000, 1_100_000_000_123_456_789))
    for keep in (True, False):
        target = tmp_path / f"{keep}.png"
        restore_file(source, target, model=student(), device="cpu", threads=1, keep_times=keep)
        assert (os.stat(target).st_mtime_ns == 1_100_000_000_123_456_789) is keep
    restore_file(source, source, model=student(), device="cpu", threads=1, keep_times=True, overwrite=True)
    assert os.stat(source).st_mtime_ns == 1_100_000_000_123_456_789


def test_times_that_cannot_be_set_are_said(student, tmp_path, monkeypatch):
    _write_png(tmp_path / "in.png", np.full((20, 30, 3), 180, np.uint8))

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    with pytest.raises(OutputError, match="was written, but cannot be given the times"):
        restore_file(
            tmp_path / "in.png", tmp_path / "out.png", model=student(), device="cpu", threads=1, keep_times=True
        )
    assert (tmp_path / "out.png").exists()
