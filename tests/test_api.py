from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from conftest import exif_block
from PIL import Image
from support.clean_home import clean_home
from support.identity_students import write_student
from support.recording import record

import restorect_cli
from restorect_cli import (
    InputError,
    OutputError,
    Repairer,
    RepairSettings,
    RestoreOptions,
    UsageError,
    WriteOptions,
    encode,
    read,
    restore_bytes,
    restore_file,
    write,
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of one's own that halves every value, in an empty home; we are in an empty folder."""
    clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return str(write_student(tmp_path / "own", "denoise-s", kind="halve"))


def photograph(format: str = "png", seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(90, 200, (30 + seed, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, format, exif=b"Exif\0\0" + exif_block(), quality=90)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)), np.float32)


def test_every_public_name_is_there():
    for name in restorect_cli.__all__:
        assert getattr(restorect_cli, name) is not None
    assert set(restorect_cli.__all__) <= set(dir(restorect_cli))


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, restorect_cli; print(sorted({'numpy', 'onnxruntime', 'pyvips', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_running_never_imports_torch():
    code = "import sys; from restorect_cli import Restorer, restore_file; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_docstring_shows_every_way_in():
    shown = restorect_cli.__doc__ or ""
    ways = {"Repairer", "RepairSettings", "RestoreOptions", "Restorer", "WriteOptions"}
    for name in ways | {"encode", "read", "restore_bytes", "restore_file", "write"}:
        assert name in restorect_cli.__all__ and name in shown, name
    assert get_type_hints(RestoreOptions)["threads"] == int | None


def test_bytes_in_bytes_out(model: str):
    data = photograph("jpeg")
    restored = restore_bytes(data, model=model, quality=100)
    assert Image.open(io.BytesIO(restored)).format == "JPEG"
    assert np.abs(pixels(restored) - pixels(data) / 2).mean() < 2
    assert Image.open(io.BytesIO(restored)).getexif()[0x013B] == "An artist"
    as_png = restore_bytes(data, restore=RestoreOptions(model), write=WriteOptions(format="png", strip="all"))
    assert as_png.startswith(b"\x89PNG") and not Image.open(io.BytesIO(as_png)).getexif()
    with pytest.raises(InputError, match="the image"):
        restore_bytes(b"no image", model=model)


def test_bytes_and_files_come_out_the_same(model: str):
    Path("in.png").write_bytes(photograph())
    outcome = restore_file("in.png", "out.png", model=model, steps=2, ensemble=2)
    assert (outcome.steps, outcome.ensemble, outcome.task) == (2, 2, "denoise")
    assert Path("out.png").read_bytes() == restore_bytes(photograph(), model=model, steps=2, ensemble=2)
    with pytest.raises(OutputError, match="exists"):
        restore_file("in.png", "out.png", model=model)
    restore_file("in.png", "out.png", model=model, overwrite=True)


def test_many_files_load_the_network_once(model: str, monkeypatch: pytest.MonkeyPatch):
    recording = record(monkeypatch)
    repairer = Repairer(RepairSettings("denoise", RestoreOptions(model, threads=1), WriteOptions(strip="gps")))
    for number in range(3):
        Path(f"{number}.png").write_bytes(photograph(seed=number))
        repairer.restore_file(f"{number}.png", Path(f"{number}.out.png"))
        assert repairer.restore_bytes(photograph(seed=number)) == Path(f"{number}.out.png").read_bytes()
    assert len(recording.sessions) == 2  # prior and velocity
    assert {told["strip"] for told in recording.written} == {"gps"}


def test_read_restore_write(model: str):
    Path("in.tif").write_bytes(photograph("tiff"))
    repairer = Repairer(RepairSettings.of("denoise", model=model, depth=16))
    picture = repairer.restore_picture(read("in.tif"))
    write(picture, "out.tif", repairer.settings.write)
    assert read("out.tif").meta.bits == 16
    assert encode(picture, repairer.settings.write) == Path("out.tif").read_bytes()
    np.testing.assert_allclose(
        read("out.tif").pixels / 257, read("in.tif").pixels / 2, atol=0.02
    )  # no rounding to 8 bits


def test_a_repairer_is_shared_by_threads(model: str):
    """Each network is loaded once, and every file comes out as it does alone; task auto needs two networks."""
    files = [photograph(seed=seed) for seed in range(4)]
    dark = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 12, np.uint8)).save(dark, "png")
    files.append(dark.getvalue())
    alone = [restore_bytes(data, threads=1) for data in files]
    shared = Repairer(RepairSettings.of("auto", threads=1))
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(shared.restore_bytes, files)) == alone


def test_options_whole_or_by_keyword_but_not_both(model: str):
    whole = RepairSettings.of("denoise", RestoreOptions(model, steps=2), WriteOptions(quality=80))
    assert whole == RepairSettings.of("denoise", model=model, steps=2, quality=80)
    with pytest.raises(UsageError, match="steps are both given"):
        RepairSettings.of("denoise", whole.restore, steps=2)
    with pytest.raises(UsageError, match="quality are both given"):
        restore_file("in.png", "out.png", write=whole.write, quality=80)
    with pytest.raises(TypeError, match="stepz"):
        restore_file("in.png", "out.png", stepz=2)
    with pytest.raises(UsageError, match="unknown task 'sharpen': choose auto"):
        restore_file("in.png", "out.png", task="sharpen")


def test_with_threads_changes_nothing_else():
    options = RestoreOptions("m", 2, 4, 0.5, "cpu", 8, 99, "int8")
    settings = RepairSettings("derain", options, WriteOptions("png", 90, 16, "gps", True))
    fewer = settings.with_threads(3)
    assert fewer.restore == RestoreOptions("m", 2, 4, 0.5, "cpu", 3, 99, "int8")
    assert (fewer.task, fewer.write) == (settings.task, settings.write)
