"""The numbers that cards and manifest state, and the `restorect bench` commands that print them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home
from support.identity_students import write_student
from typer.main import get_command

from restorect_cli.cli.app import app
from restorect_cli.models import store
from restorect_cli.models.specs import Quality, parse_manifest

from .conftest import ROOT, load_script

SHIPPED = parse_manifest((ROOT / "weights" / "manifest.json").read_bytes(), "manifest").students
STATED = [row for entry in SHIPPED for row in entry.quality]


@pytest.fixture
def script() -> ModuleType:
    return load_script("card_rows")


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with two pairs, ten levels apart, in PolyU-2; identity models; an empty working folder."""
    clean_home(tmp_path, monkeypatch, "denoise-s", "denoise-m")
    for folder, level in (("input", 100), ("target", 110)):
        (tmp_path / "data" / "PolyU-2" / folder).mkdir(parents=True)
        for name in "ab":
            pixels = np.full((16, 16, 3), level, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "PolyU-2" / folder / f"{name}.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "data"


def test_a_row_says_how_it_was_measured(script: ModuleType, sets: Path):
    command = "restorect bench --dataset PolyU-2 --metrics psnr-y --ensemble 4 --steps 2"
    assert script.measured_row(command, "denoise-m", data_root=sets, threads=1) == {
        "dataset": "PolyU-2",
        "protocol": "2 pictures, 8-bit rounding, no crop, fp32, 2 steps, ensemble 4; input 29.45 dB",
        "measure": "Y PSNR [dB]",
        "value": 29.45,  # 20 log10(255 / (10 * 219 / 255))
        "command": command,
    }


def test_a_row_of_added_noise_names_it(script: ModuleType, sets: Path):
    command = "restorect bench --dataset PolyU-2 --sigma 25 --clipped --metrics psnr"
    row = script.measured_row(command, "denoise-s", data_root=sets, threads=1)
    assert row["protocol"].startswith("sigma 25 clipped, 2 pictures, 8-bit rounding, no crop, fp32; input 20.")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("python measure.py", "not a command of restorect bench"),
        ("restorect bench --dataset LOL-v1 --metrics psnr", "get it from"),
        ("restorect bench --dataset PolyU-2 --metrics psnr,psnr-y", "must name one set, one metric"),
        ("restorect bench --dataset PolyU-2 --metrics ssim", "must name one set, one metric"),
        ("restorect bench --dataset PolyU-2 --sigma 15 --sigma 25 --metrics psnr", "at most one sigma"),
    ],
)
def test_what_is_no_row_is_one_line(script: ModuleType, sets: Path, command: str, says: str):
    with pytest.raises(RuntimeError, match=says) as raised:
        script.measured_row(command, "denoise-s", data_root=sets, threads=1)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("row", STATED, ids=lambda row: row.command)
def test_stated_commands_parse_and_agree_with_their_protocol(row: Quality):
    words = shlex.split(row.command)
    assert words[:2] == ["restorect", "bench"]
    given = get_command(app).commands["bench"].make_context("bench", words[2:]).params
    noise = "".join(f"sigma {sigma:g}{' clipped' * given['clipped']}, " for sigma in given["sigma"] or [])
    ensemble = f", ensemble {given['ensemble']}" if given["ensemble"] > 1 else ""
    assert given["dataset"] == [row.dataset] and given["model"] == "s"
    assert row.measure == {"psnr": "RGB PSNR [dB]", "psnr-y": "Y PSNR [dB]"}[given["metrics"]]
    assert re.fullmatch(rf"{noise}\d+ pictures, 8-bit rounding, no crop, fp32{ensemble}; input [\d.]+ dB", row.protocol)


def test_registering_measures_the_commands_of_a_file(sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setenv("RESTORECT_DATA", str(sets))
    folder = write_student(tmp_path / "new")
    commands = ["restorect bench --dataset PolyU-2 --metrics psnr --threads 1"]
    (tmp_path / "commands.txt").write_text("\n".join(commands) + "\n\n", encoding="utf-8")
    assert load_script("register_student").main([str(folder), str(tmp_path / "commands.txt")]) == 0
    (entry,) = store.load_manifest(tmp_path / "new").students
    assert [(row.value, row.command) for row in entry.quality] == [(28.13, commands[0])]  # 20 log10(255 / 10)
