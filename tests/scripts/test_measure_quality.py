"""A measured number names the command that prints it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from scripts.conftest import ROOT, load_script
from support.clean_home import clean_home

from restorect_cli.models.specs import parse_manifest

MANIFEST = ROOT / "weights" / "manifest.json"
STATED = [
    (student.name, row.command)
    for student in parse_manifest(MANIFEST.read_bytes(), "manifest").students
    for row in student.quality
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("measure_quality")


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with two pairs, ten levels off, in set/part; we are in another folder, with identity students."""
    clean_home(tmp_path, monkeypatch, "denoise-s", "denoise-m")
    for folder, level in (("input", 100), ("target", 110)):
        (tmp_path / "data" / "set" / "part" / folder).mkdir(parents=True)
        for name in "ab":
            pixels = np.full((16, 16, 3), level, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "set" / "part" / folder / f"{name}.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("RESTORECT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize(("student", "stated"), STATED)
def test_stated_commands_are_printed_unchanged(script: ModuleType, student: str, stated: str):
    args = script.parse(shlex.split(stated)[2:])
    (sigma,) = args.sigma or [None]
    assert script.command(args, sigma, student) == stated


@pytest.mark.parametrize(
    "typed",
    [
        "set/part",
        "set/part --steps 2",
        "set/part --sigma 25 --clipped --luma --ensemble 4 --steps 2",
        "set/part --targets set/part/target --model denoise-m",
    ],
)
def test_the_printed_command_prints_the_same_row(
    script: ModuleType, sets: Path, capsys: pytest.CaptureFixture[str], typed: str
):
    assert script.main(["denoise", *typed.split(), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["command"] == f"python scripts/measure_quality.py denoise {typed}"
    assert script.main([*shlex.split(row["command"])[2:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == row


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/data/CBSD68-34 --sigma 15 --threads 2 --each", "CBSD68-34 --sigma 15"),
        ("../data/Rain100H-40 --targets /data/Rain100L-40/target", "Rain100H-40 --targets Rain100L-40/target"),
        ("set --precision int8", "set --precision int8"),
        ("'my set' --sigma 15", "'my set' --sigma 15"),
        ("set --model weights/candidate", "set"),  # a folder, of a student that calls itself denoise-s
    ],
)
def test_no_path_of_this_machine_is_told(script: ModuleType, typed: str, told: str):
    args = script.parse(["denoise", *shlex.split(typed)])
    (sigma,) = args.sigma or [None]
    assert script.command(args, sigma, "denoise-s") == f"python scripts/measure_quality.py denoise {told}"


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("LOL-v1", 1, "get it from"),
        ("no-set", 2, "no folder and no test set is called 'no-set'"),
        ("/no/set", 1, "there is no folder /no/set"),
        ("set/no-part", 1, "there is no folder"),
        ("set", 1, "there is no folder"),
        ("set --sigma 15", 1, "nothing to measure"),
        ("set/part --ensemble 3", 2, "an ensemble of 3"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    script: ModuleType, sets: Path, capsys: pytest.CaptureFixture[str], typed: str, code: int, says: str
):
    assert script.main(["denoise", *typed.split()]) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and len(err.splitlines()) == 1
