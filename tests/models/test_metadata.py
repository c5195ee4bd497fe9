from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.identity_students import write_student

from restorect_cli.errors import ModelError
from restorect_cli.models.metadata import read_metadata


def test_reads_what_onnx_reads(tmp_path: Path) -> None:
    path = write_student(tmp_path) / "velocity.onnx"
    assert read_metadata(path) == {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert set(read_metadata(path)) == {"restorect"}


@pytest.mark.parametrize("keep", [1, 0.3, 0.5, 0.9, 0.99])
def test_damaged_file_never_escapes_as_another_error(tmp_path: Path, keep: float) -> None:
    path = write_student(tmp_path) / "velocity.onnx"
    data = path.read_bytes()
    path.write_bytes(b"\xff" + data[1:] if keep == 1 else data[: int(len(data) * keep)])
    with pytest.raises(ModelError, match="damaged or not an ONNX file"):
        read_metadata(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_metadata(tmp_path / "absent.onnx")


def test_empty_file_has_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    assert read_metadata(tmp_path / "empty.onnx") == {}
