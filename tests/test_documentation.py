"""README and docs keep their word: every command line in them runs here, or is parsed by the program itself.

Lines of `restorect` run in a folder of small stand-in files, page by page and in the order of the page, so that one
line may use what the line before it made. What cannot run in a test is parsed by the real command line: an option or
a value that is not there fails. PARSED says of each such line why.
"""

from __future__ import annotations

import argparse
import glob
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from PIL import Image
from support.photographs import picture, save
from support.tiffs import dng, mosaic

from restorect_cli.cli.app import app, main

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted(ROOT.glob("docs/*.md")))]

PARSED = {
    "--watch": "runs for ever",
    "--scheduler": "starts or needs a Dask scheduler; tests/batch/test_cluster.py does",
    "restorect train": "trains for hours",
    "torchrun": "trains for hours, on several GPUs",
    "restorect distill": "trains for hours",
    "restorect label": "needs a network of the reader's",
    "restorect export": "needs what a training made",
    "bench --speed": "measures for minutes",
    "--baselines": "runs every method of the libraries, for minutes",
    "--peer-cmd": "other.py stands for a program of the reader's",
    "models pull": "needs a network",
    "curl": "needs a network",
    "pip install": "needs a network; the extra that it names must exist",
    "python scripts/": "trains or measures for minutes to hours",
}
PARSED_PAGES = {"docs/cli.md": "its examples are those of the help texts, where many pages' lines stand again"}


def code_lines(page: str) -> Iterator[str]:
    """The command lines of a page's indented blocks, without what is said beside them, shell variables filled in."""
    variables: dict[str, str] = {}
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if not line.startswith("    "):
            continue
        # said beside it: after two spaces or more (not where options are aligned), or after #
        line = re.split(r"\s+#|\s{2,}(?=[^-\s])", line.strip())[0].strip()
        if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
            variables[assigned[1]] = assigned[2]
        elif not re.match(r"restorect \[|restorect [\w ]*\[OPTIONS\]", line) and re.match(
            r"(restorect|python|pip|torchrun|curl|ls|scripts/)\b", line
        ):
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            yield line


def inline_lines(page: str) -> Iterator[str]:
    """Command lines within the text, in backticks."""
    text = re.sub(r"^( {4}.*|```.*?^```)$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    for line in re.findall(r"`([^`]+)`", text):
        line = " ".join(line.split())
        if re.match(r"(restorect [a-z]|restorect -|python scripts/|pip install )", line) and "OPTIONS" not in line:
            yield line


def runs(page: str, line: str) -> bool:
    if re.search(r"\.(dng|nef)\b", line) and not find_spec("rawpy"):
        return False
    return page not in PARSED_PAGES and line.startswith("restorect ") and not any(mark in line for mark in PARSED)


def parse(line: str) -> None:
    """Let the program take a line apart; raises what it raises for one that it does not understand."""
    if "|" in line and "||" not in line:
        line = line.partition("|")[2]
    if inner := re.search(r"\$\((.*)\)", line):
        line = inner[1]
    line = re.split(r" [<>|&]+ ", line)[0].strip()
    words = shlex.split(line)
    if words[0] == "torchrun":
        words = ["restorect", *words[words.index("restorect_cli") + 1 :]]
    if words[0] == "restorect":
        parse_restorect(words[1:])
    elif words[0] == "python":
        parse_script(words[1:])
    elif words[0] == "pip":
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        for extra in re.findall(r"\[(\w+)\]", line):
            assert f"\n{extra} = [" in settings, f"no extra {extra}"
        assert "restorect" not in line, "the package is on no index"
    else:
        assert os.access(ROOT / words[0], os.X_OK), f"no program {words[0]}"


def parse_restorect(words: list[str]) -> None:
    command, name = typer.main.get_command(app), "restorect"
    while words and words[0] in getattr(command, "commands", {}):
        name = f"{name} {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    try:
        command.make_context(name, list(words))
    except typer.Exit:  # --help and --version
        pass


class ParsedError(Exception):
    """A script's parser took its arguments."""


def parse_script(words: list[str]) -> None:
    path = ROOT / words[0]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    take = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *arguments: object) -> None:
        take(self, *arguments)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        patch.setattr(sys, "argv", words)
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setitem(sys.modules, path.stem, script)
        spec.loader.exec_module(script)
        with pytest.raises(ParsedError):
            script.main()


@pytest.fixture
def folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader would be: photographs, folders of them, test sets in ~/data, a network and a trained model."""
    for number, name in enumerate(
        ("photo.jpg", "street.jpg", "in.jpg", "night.jpg", "dark.jpg", "rainy.jpg", "noisy.jpg", "scan.tif", "a.png")
    ):
        save(picture(number), tmp_path / name)
    save(0.05 * picture(3), tmp_path / "night.jpg")
    for name in ("photos", "photos/trip", "incoming"):
        for number in range(3):
            save(picture(number, 128, 144), tmp_path / name / f"{number}.jpg")
    data = home / "data"
    save(picture(9, 260, 300), data / "LIME" / "1.png")
    for side in ("low", "high"):
        save(picture(1), data / "LOL-v1" / side / "1.png")
    for side in ("input", "target"):
        save(picture(2), data / "Rain100L" / side / "1.png")
        save(picture(3), tmp_path / "my-pairs" / side / "1.png")
    save(picture(4), tmp_path / "card" / "1.jpg")
    if find_spec("rawpy"):
        for name in ("photo.dng", "photo.nef", "card/2.dng"):
            (tmp_path / name).write_bytes(dng(mosaic(np.full((64, 96, 3), 0.3))))
    whole = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "cut.jpeg").write_bytes(whole[: len(whole) * 2 // 3])
    doubling_network(tmp_path / "net.onnx")
    monkeypatch.setenv("RESTORECT_DATA", str(data))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doubling_network(path: Path) -> None:
    """x + x: somebody's network of one input."""
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1, 3, "h", "w"]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "g", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))


def run(line: str) -> None:
    words = shlex.split(line)
    if model := re.search(r"--model (\S+/\S+)", line):  # what an export, which is not run here, would have left
        shutil.copytree(ROOT / "weights" / f"{words[words.index('--task') + 1]}-s", model[1], dirs_exist_ok=True)
    if re.search(r" [<>] ", line):
        code = through_a_shell(line)
    else:
        expanded = [path for word in words[1:] for path in sorted(glob.glob(word)) or [os.path.expanduser(word)]]
        code = main(expanded)
    assert code == 0, line


def through_a_shell(line: str) -> int:
    if os.name == "nt":
        parse(line)
        return 0
    program = f"{shlex.quote(sys.executable)} -m restorect_cli"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(line.replace("restorect", program, 1), shell=True, env=environment).returncode


@pytest.mark.parametrize("page", [page for page in PAGES if page not in PARSED_PAGES])
def test_the_command_lines_of_a_page_run(page: str, folder: Path) -> None:
    for line in dict.fromkeys(code_lines(page)):
        if runs(page, line):
            run(line)


LINES = [(page, line) for page in PAGES for line in dict.fromkeys([*code_lines(page), *inline_lines(page)])]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_the_program_understands_every_command_line(page: str, line: str) -> None:
    if "scripts/" in line and line.startswith("python"):
        pytest.importorskip("torch", reason="the scripts need the extra train")
    parse(line)


def test_the_lines_are_found_and_no_exception_is_idle() -> None:
    lines = [(page, line) for page, line in LINES]
    assert sum(runs(page, line) for page, line in lines) > 20
    assert [mark for mark in PARSED if not any(mark in line for _, line in lines)] == []
    assert "restorect enhance photo.jpg" in list(code_lines("README.md"))
    with pytest.raises(Exception, match="--no-such-option"):
        parse("restorect enhance photo.jpg --no-such-option")
    with pytest.raises(AssertionError, match="no extra"):
        parse("pip install '.[nothing]'")


def test_the_python_of_the_readme_runs(folder: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    clean, image = names["clean"], names["image"]
    assert isinstance(clean, np.ndarray) and isinstance(image, np.ndarray)
    assert clean.shape == image.shape and clean.dtype == np.float32
    assert np.asarray(Image.open("day.png")).mean() > 2 * np.asarray(Image.open("night.jpg")).mean()
