from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def photographs(weights: Path) -> Path:
    """photos/ in the folder we are in: two good ones of 40x30 and 24x36 pixels."""
    folder = Path("photos")
    folder.mkdir()
    for name, size in (("a", (30, 40)), ("b", (36, 24))):
        ramp = np.linspace(30, 220, size[0] * size[1] * 3).reshape(*size, 3)
        Image.fromarray(ramp.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def good(folder: Path) -> None:
    pass


def damage(folder: Path) -> None:
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:60])


def shrink(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "a.png")


def double(folder: Path) -> None:
    Image.new("RGB", (40, 40)).save(folder / "b.jpg")


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def taken(folder: Path) -> None:
    Path("out/target").mkdir(parents=True)
    (Path("out/target") / "a.png").write_bytes(b"mine")


def no_folder(folder: Path) -> None:
    Path("out").write_bytes(b"a file")


@pytest.mark.parametrize(
    ("before", "arguments", "code", "err", "made"),
    [
        (good, ["--task", "denoise"], 0, "2 pairs in out", 2),
        (good, ["--task", "derain", "--severity", "light"], 0, "2 pairs in out", 2),
        (good, ["--task", "low-light", "--count", "3", "--largest", "0.01"], 0, "6 pairs in out", 6),
        (damage, ["--task", "denoise"], 1, "cannot read photos/a.png", 1),
        (shrink, ["--task", "raindrop"], 1, "photos/a.png has 8x8 pixels", 1),
        (double, ["--task", "denoise"], 1, "would make pairs of the same name", 2),
        (taken, ["--task", "denoise"], 1, "out/target/a.png exists already", 1),
        (no_folder, ["--task", "denoise"], 1, "cannot make the folder out/input", 0),
        (empty, ["--task", "denoise"], 1, "holds no photographs", 0),
        (good, ["--task", "deblur"], 2, "'deblur' is not one of 'low-light'", 0),
        (good, [], 2, "--task", 0),
        (good, ["--task", "denoise", "--severity", "light"], 2, "denoise has no severity light", 0),
        (good, ["--task", "derain", "--severity", "wild"], 2, "'wild' is not one of 'light'", 0),
        (good, ["--task", "denoise", "--count", "0"], 2, "--count", 0),
        (good, ["--task", "denoise", "--seed", "-1"], 2, "--seed", 0),
    ],
)
def test_table(
    run: Run, photographs: Path, before: Callable[[Path], None], arguments: list[str], code: int, err: str, made: int
) -> None:
    before(photographs)
    result = run("degrade", str(photographs), "-o", "out", *arguments)
    assert result.code == code and err in result.err and "Traceback" not in result.err
    pairs = [sorted(p.name for p in Path("out", side).glob("*.png")) for side in ("input", "target")]
    assert len(pairs[0]) == made and (before is taken or pairs[0] == pairs[1])
    assert len(result.out.splitlines()) == made


def absent(folder: Path) -> None:
    folder.rename("other")


def a_file(folder: Path) -> None:
    folder.rename("other")
    folder.write_bytes(b"no folder")


def not_a_picture(folder: Path) -> None:
    (folder / "a.png").write_text("no picture")


def nothing_in_it(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("before", "said", "made"),
    [
        (absent, "cannot read the folder photos", 0),
        (a_file, "cannot read the folder photos", 0),
        (not_a_picture, "cannot read photos/a.png", 1),
        (nothing_in_it, "photos/a.png", 1),
    ],
)
def test_bad_photographs_cost_one_line_each(
    run: Run, photographs: Path, before: Callable[[Path], None], said: str, made: int
) -> None:
    before(photographs)
    result = run("degrade", str(photographs), "--task", "denoise", "-o", "out", "-q")
    assert result.code == 1 and said in result.err and len(result.err.splitlines()) == 1
    assert len(list(Path("out").glob("*/*.png"))) == 2 * made


def test_a_full_disk_leaves_no_half_of_a_pair(run: Run, photographs: Path) -> None:
    """No file may grow: the system's own error, met in the midst of writing."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        result = run("degrade", str(photographs), "--task", "denoise", "-o", "out", "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.code == 1 and "Traceback" not in result.err
    assert all("cannot write" in line for line in result.err.splitlines()) and len(result.err.splitlines()) == 2
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


def test_what_comes_next_is_told(run: Run, photographs: Path) -> None:
    told = run("degrade", "photos", "--task", "derain", "-o", "out").err
    assert told.splitlines() == ["2 pairs in out", "to train on them: restorect train --data out"]
    (photographs / "a.png").rename(photographs / "c.png")
    (photographs / "b.png").unlink()
    told = run("degrade", "photos", "--task", "denoise", "-o", "out").err
    assert "(its recipe.toml was kept)" in told and "warning: one photograph is not enough to train" in told
    assert 'task = "derain"' in Path("out/recipe.toml").read_text()


def test_json_and_quiet(run: Run, photographs: Path) -> None:
    result = run("degrade", str(photographs), "--task", "derain", "-o", "out", "--json")
    records = [json.loads(line) for line in result.out.splitlines()]
    assert [record["photograph"] for record in records] == ["photos/a.png", "photos/b.png"]
    assert records[0]["input"] == "out/input/a.png" and (records[0]["width"], records[0]["height"]) == (40, 30)
    assert result.err == ""
    assert run("degrade", str(photographs), "--task", "derain", "-o", "other", "-q").data == b""


def test_needs_no_torch(photographs: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'safetensors', 'onnx', 'tomli')))\n"
        "from restorect_cli.cli.app import main; sys.exit(main(['degrade', 'photos', '--task', 'derain', '-o', 'out']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(Path("out/input").iterdir())) == 2
