from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import DISPLAY_P3_LIKE
from PIL import Image

from restorect_cli import __version__
from restorect_cli.cli import app

Run = Callable[..., Any]

IMPORTS = """
import sys
from restorect_cli.cli.app import main
code = main({arguments!r})
heavy = sorted({{"numpy", "onnxruntime", "pyvips", "PIL", "huggingface_hub", "torch"}} & set(sys.modules))
print("heavy", heavy, "code", code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["enhance", "--help"],
        ["batch", "--help"],
        ["models", "pull", "--help"],
        ["doctor", "-h"],
    ],
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS.format(arguments=arguments)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "heavy [] code 0", done.stderr


def test_help_comes_at_once() -> None:
    """The promise is 0.35 s on an idle machine: measured in CPU time, which a busy one changes little."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "restorect_cli", "--help"], check=True, capture_output=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.7


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--version"], 0, f"restorect {__version__}\n", ""),
        (["--help"], 0, "restorect enhance photo.jpg", ""),
        ([], 2, "Usage: restorect", ""),
        (["enhance"], 2, "", "Missing argument 'IN...': see restorect enhance --help"),
        (["models"], 2, "Usage: restorect models", ""),
        (["enhnce"], 2, "", "enhnce"),
        (["--colour"], 2, "", "see restorect --help"),
        (["enhance", "--colour", "a.png"], 2, "", "see restorect enhance --help"),
        (["enhance", "--steps", "9", "a.png"], 2, "", "9 steps are not possible: give a whole number from 1 to 4"),
        (["enhance", "--threads", "0", "a.png"], 2, "", "0 threads are out of range: give 1 to 512"),
        (["enhance", "--tile", "0", "a.png"], 2, "", "a tile of 0 pixels is not possible"),
        (["bench", "--strength", "1.5"], 2, "", "strength 1.5 is out of range: give a number from 0 to 1"),
        (["batch", "photos", "--steps", "0"], 2, "", "0 steps are not possible"),
        (["enhance", "--steps", "two", "a.png"], 2, "", "--steps"),
        (["enhance", "--strength", "nan", "a.png"], 2, "", "strength"),
        (["enhance", "--quality", "0", "a.png"], 2, "", "quality 0 is out of range: give a number from 1 to 100"),
        (["enhance", "a.png", "-o"], 2, "", "-o"),
    ],
)
def test_table(run: Run, arguments: list[str], code: int, out: str, err: str) -> None:
    result = run(*arguments)
    assert result.code == code and out in result.out and err in result.err
    assert (len(result.err.splitlines()) == 1) == bool(err) and "Traceback" not in result.err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("by\nnought"), 1, "unexpected ZeroDivisionError (by nought)"),
    ],
)
def test_every_failure_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("restorect_cli.doctor.examine", fail)
    result = run("doctor")
    assert result.code == code and says in result.err and len(result.err.splitlines()) == 1


def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORECT_DEBUG", "")  # so that what --debug sets is undone after the test
    assert "Traceback" in run("--debug", "models", "info", "nothing").err
    for value, shown in (("0", False), ("1", True)):
        monkeypatch.setenv("RESTORECT_DEBUG", value)
        assert ("Traceback" in run("models", "info", "nothing").err) is shown


def test_reader_that_goes_away_is_no_crash() -> None:
    """`restorect ... | head -0`: the pipe is closed before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "restorect_cli", "models", "path"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert done.returncode == 1 and done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and a shell")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("--version >/dev/full", 1, "No space left"),
        ("models path >/dev/full", 1, "cannot write to standard output (No space left on device)"),
        ("enhance photo.png --task denoise >/dev/full", 1, "cannot write to standard output (No space left on device)"),
        ("enhance photo.png --task denoise -o - >/dev/full", 1, "cannot write to standard output (No space left"),
        ("enhance photo.png --task denoise >&-", 0, ""),
        ("enhance photo.png --task denoise -o - >&-", 1, "standard output, it is closed"),
        ("enhance - <&-", 1, "standard input, it is closed"),
        ("enhance photo.png 2>&-", 0, None),
        ("enhance photo.png 2>/dev/full", 0, None),
        ("enhance absent.png 2>&-", 1, None),
        ("enhance absent.png 2>/dev/full", 1, None),
    ],
)
def test_closed_and_full_streams(photo: Path, arguments: str, code: int, says: str | None) -> None:
    shell = ["sh", "-c", f'"$0" -m restorect_cli {arguments}', sys.executable]
    done = subprocess.run(shell, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert says is None or (says in done.stderr and len(done.stderr.splitlines()) == bool(says))
    assert not done.stdout or arguments.endswith(("2>&-", "2>/dev/full"))


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a program without asking it")
def test_termination_leaves_nothing_behind(weights: Path, tmp_path: Path) -> None:
    """SIGTERM while the result is on its way to the disk, with the file of a colour profile open beside it."""
    (tmp_path / "tmp").mkdir()
    Image.new("RGB", (40, 30), "teal").save("photo.png", icc_profile=DISPLAY_P3_LIKE)
    code = "import os, signal; os.fsync = lambda _: os.kill(os.getpid(), signal.SIGTERM)\n"
    code += "from restorect_cli.cli.app import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "enhance", "photo.png", "--task", "denoise"],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    assert (done.returncode, done.stderr) == (143, "restorect: error: terminated\n")
    assert os.listdir() == ["photo.png"] and not list((tmp_path / "tmp").glob("restorect-*"))


def test_every_option_is_documented() -> None:
    import typer

    def commands(command: Any) -> list[Any]:
        return [command, *(inner for child in getattr(command, "commands", {}).values() for inner in commands(child))]

    for command in commands(typer.main.get_command(app.app)):
        assert command.help, command.name
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.name == "help", (command.name, parameter.name)
