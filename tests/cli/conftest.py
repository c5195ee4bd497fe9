from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home

from restorect_cli.cli.app import main


@dataclass(frozen=True)
class Result:
    """What a run of the program came to; `out` is text, `data` the same as bytes."""

    code: int
    data: bytes
    err: str

    @property
    def out(self) -> str:
        return self.data.decode()


Run = Callable[..., Result]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights for denoise-s and low-light-s, an empty home, and an empty folder to work in."""
    folder = clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


@pytest.fixture
def run(weights: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs the program in this process: run("enhance", "a.png", stdin=b"...")."""

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        code = main(arguments)
        out, err = capsysbinary.readouterr()
        return Result(code, out, err.decode())

    return run


@pytest.fixture
def photo(weights: Path) -> Path:
    """photo.png in the folder we are in, 40x30, 8 bit, well lit."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(90, 200, size=(30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    return Path("photo.png")
