from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.conftest import MakePairs, photograph
from PIL import Image
from typer.main import get_command

from restorect_cli import charts
from restorect_cli.bench import benchmark, runner
from restorect_cli.bench.metrics import psnr, ssim
from restorect_cli.cli.app import app, main

Run = Callable[..., Any]
VALUES = {"sigma": "25", "limit": "1", "strength": "0.5", "precision": "int8"}  # that the options take; else any word


@pytest.fixture
def run(weights: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("--dataset", ...): exit code, standard output, standard error of `restorect bench`."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["bench", "--threads", "1", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path), np.float32) / 255


def test_scores_and_what_they_need_to_be_measured_again(run: Run, make_pairs: MakePairs):
    folder = make_pairs()
    code, out, err = run("--dataset", "./my-pairs", "--task", "derain", "--model", "none", "--json")
    assert (code, err) == (0, "")
    (record,) = [json.loads(line) for line in out.splitlines()]
    pairs = [(read(folder / "input" / f"{n}.png"), read(folder / "target" / f"{n}.png")) for n in range(3)]
    assert record["means"]["psnr"] == pytest.approx(np.mean([psnr(*pair) for pair in pairs]))
    assert record["means"]["ssim-y"] == pytest.approx(np.mean([ssim(*pair, luma=True) for pair in pairs]))
    assert {"protocol", "model", "device", "threads", "conventions", "partial", "version"} <= set(record)


def test_our_student_is_scored_beside_the_input(run: Run, make_pairs: MakePairs):
    make_pairs()
    code, out, _ = run("--dataset", "my-pairs", "--task", "denoise", "--json")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (code, first["method"], second["method"]) == (0, "input", "denoise-s")
    assert second["means"] == pytest.approx(first["means"])  # the student changes nothing
    assert second["model"].startswith("denoise-s ") and len(second["model"].split()[1]) == 12


def test_table_names_its_conventions(run: Run, make_pairs: MakePairs):
    make_pairs()
    code, out, _ = run("--dataset", "my-pairs", "--task", "low-light", "--metrics", "psnr,psnr-gtmean")
    assert code == 0
    for words in ("PSNR RGB [dB] ↑", "nothing fitted to the truth", "FITTED TO THE TRUTH", "3 pictures", "time ratio"):
        assert words in " ".join(out.split()), words


def test_added_noise_is_seeded_unclipped_and_the_same_for_every_picture(run: Run, make_pairs: MakePairs):
    make_pairs()
    arguments = ("--dataset", "my-pairs", "--task", "denoise", "--model", "none", "--sigma", "25", "--metrics", "psnr")
    (record,) = map(json.loads, run(*arguments, "--json")[1].splitlines())
    clean = [photograph(seed=n).astype(np.float32) / 255 for n in range(3)]
    noise = np.random.default_rng(0).standard_normal(clean[0].shape) * 25 / 255
    expected = np.mean([psnr((image + noise).astype(np.float32), image) for image in clean])
    assert record["setting"] == "sigma 25" and record["means"]["psnr"] == pytest.approx(expected)
    assert "not clipped" in record["protocol"]


def test_bad_pairs_are_listed_and_the_rest_is_scored(run: Run, make_pairs: MakePairs):
    folder = make_pairs(count=5)
    (folder / "input" / "0.png").write_bytes((folder / "input" / "0.png").read_bytes()[:60])
    Image.fromarray(photograph(20, 20)).save(folder / "target" / "1.png")
    Image.fromarray(photograph()).save(folder / "input" / "2.jpg")
    code, out, err = run("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr,vibes,", "--json")
    assert code == 1 and [json.loads(line)["pictures"] for line in out.splitlines()] == [2, 2]
    protocol = json.loads(out.splitlines()[0])["protocol"]
    assert "2 COULD NOT BE SCORED; OTHER FILES COULD NOT BE PAIRED" in protocol
    lines = err.splitlines()
    for words in ("0.png", "unequal sizes, 48×40 and 20×20", "have the stem '2'", "unknown metric 'vibes'"):
        assert sum(words in line for line in lines) == 1, (words, lines)
    assert all(line.startswith("restorect: error: ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--dataset", "LIME"], 1, "get it from"),
        (["--dataset", "empty", "--task", "denoise"], 1, "is empty"),
        (["--dataset", "nothing"], 2, "no folder and no test set is called 'nothing'"),
        (["--metrics", "vibes"], 2, "no metric is left"),
        (["--task", "rust"], 2, "'rust' is not one of 'low-light'"),
        (["--baseline", "magic"], 2, "unknown baseline"),
        (["--peer", "x=absent.onnx"], 2, "there is no file absent.onnx"),
        (["--peer-cmd", "x=cp {in}"], 2, "{out}"),
        (["--report", "absent/out.html"], 2, "there is no folder"),
        (["--report", "out.pdf"], 2, "--report cannot be out.pdf"),
        (["--csv", "."], 2, "--csv cannot be ."),
        (["--sizes", "1"], 2, "--sizes works only with --speed"),
        (["--speed", "--csv", "a.csv", "--resume"], 2, "cannot go with --csv, --resume"),
        (["--peer-cmd", "x=/absent/program {in} {out}"], 2, "there is no program /absent/program"),
        (["--dataset", ""], 2, "neither a folder nor"),
        (["--limit", "1", "--ensemble", "3"], 2, "'3' is not one of '1', '2', '4'"),
        (["--model", "xl"], 2, "unknown model 'xl'"),
    ],
)
def test_what_cannot_be_run_is_one_line(run: Run, arguments: list[str], code: int, says: str):
    Path("empty").mkdir()
    result = run(*arguments)
    assert result[0] == code and says in result[2] and len(result[2].splitlines()) == 1, result


def test_interrupted_runs_go_on(run: Run, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch, home: Path):
    make_pairs()
    loads: list[str] = []
    real = runner.load

    def load(case: Any, *arguments: Any, **options: Any) -> Any:
        if len(loads) == 2:
            raise KeyboardInterrupt
        loads.append(case.stem)
        return real(case, *arguments, **options)

    monkeypatch.setattr(runner, "load", load)
    command = ("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr")
    code, _, err = run(*command)
    assert code == 130 and "4 scores are kept; --resume continues" in err

    seen: list[str] = []
    monkeypatch.setattr(runner, "load", lambda case, *a, **o: seen.append(case.stem) or real(case, *a, **o))
    code, out, _ = run(*command, "--resume", "--json")
    assert code == 0 and seen == ["2"]
    assert [json.loads(line)["pictures"] for line in out.splitlines()] == [3, 3]
    run(*command, "--resume")
    assert seen == ["2", "0", "1", "2"]  # the run was finished, so nothing is kept


COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


def program(path: str, text: str) -> None:
    Path(path).write_text(f"#!{sys.executable}\n{text}\n")
    Path(path).chmod(0o755)


@pytest.mark.parametrize(
    ("command", "change", "scored"),
    [
        ("{python} peer.py {{in}} {{out}}", lambda patch: None, ["2"]),
        ("{python} peer.py {{in}} {{out}}", lambda patch: program("peer.py", COPY + "  # new"), ["0", "1", "2"]),
        ("{python} peer.py {{in}} {{out}} --net=net.pt", lambda patch: program("net.pt", "new"), ["0", "1", "2"]),
        ("on-path {{in}} {{out}}", lambda patch: program("bin/on-path", COPY + "  # new"), ["0", "1", "2"]),
        ("on-path {{in}} {{out}}", lambda patch: patch.setattr(benchmark, "__version__", "9"), ["0", "1", "2"]),
    ],
)
def test_scores_of_another_program_are_not_gone_on_with(
    run: Run,
    make_pairs: MakePairs,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    change: Callable[[pytest.MonkeyPatch], None],
    scored: list[str],
):
    make_pairs()
    Path("bin").mkdir()
    program("peer.py", COPY)
    program("net.pt", "")
    program("bin/on-path", COPY)
    monkeypatch.setenv("PATH", str(Path("bin").absolute()), prepend=os.pathsep)
    real = runner.load
    loaded: list[str] = []
    stop_before = "2"

    def load(case: Any, *arguments: Any, **options: Any) -> Any:
        if case.stem == stop_before:
            raise KeyboardInterrupt
        loaded.append(case.stem)
        return real(case, *arguments, **options)

    arguments = ("--dataset", "my-pairs", "--task", "denoise", "--model", "none", "--metrics", "psnr")
    arguments += ("--peer-cmd", "peer=" + command.format(python=sys.executable))
    monkeypatch.setattr(runner, "load", load)
    assert run(*arguments)[0] == 130
    change(monkeypatch)
    loaded.clear()
    stop_before = ""
    assert run(*arguments, "--resume")[0] == 0
    assert loaded == scored


@pytest.mark.parametrize(
    ("replaced", "options"), [("input/0.png", ()), ("target/1.png", ()), (None, ("--strength", "0.5"))]
)
def test_scores_of_other_files_or_settings_are_not_gone_on_with(
    run: Run, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch, replaced: str | None, options: tuple[str, ...]
):
    folder = make_pairs()
    real = runner.load
    loaded: list[str] = []

    def load(case: Any, *arguments: Any, **options: Any) -> Any:
        if len(loaded) == 1:
            raise KeyboardInterrupt
        loaded.append(case.stem)
        return real(case, *arguments, **options)

    arguments = ("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr")
    monkeypatch.setattr(runner, "load", load)
    assert run(*arguments)[0] == 130
    if replaced:
        Image.fromarray(photograph(seed=9)).save(folder / replaced)
    seen: list[str] = []
    monkeypatch.setattr(runner, "load", lambda case, *a, **o: seen.append(case.stem) or real(case, *a, **o))
    assert run(*arguments, *options, "--resume")[0] == 0
    assert seen == ["0", "1", "2"]


def test_csv_has_one_line_per_picture_and_method(run: Run, make_pairs: MakePairs):
    make_pairs()
    run("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr", "--csv", "scores.csv")
    rows = list(csv.DictReader(Path("scores.csv").read_text().splitlines()))
    assert [(row["picture"], row["method"]) for row in rows[:2]] == [("0", "input"), ("0", "denoise-s")]
    assert len(rows) == 6 and float(rows[0]["psnr"]) > 20


def test_report_is_one_file_that_asks_for_nothing(run: Run, make_pairs: MakePairs):
    make_pairs("<script>alert(1)")
    code, _, _ = run("--dataset", "./<script>alert(1)", "--task", "denoise", "--report", "out.html")
    page = Path("out.html").read_text(encoding="utf-8")
    assert code == 0 and "<script>alert" not in page and "default-src 'none'" in page
    assert page.count('class="slider"') == 3 and "data:image/jpeg;base64" in page
    for words in ('src="http', 'href="http', "url(h", "@import"):
        assert words not in page
    assert page.count("<svg") == 2 and re.findall(r"url\((?!#)", page) == []  # "#": parts of the chart itself


def test_without_matplotlib_a_report_has_no_charts(run: Run, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch):
    make_pairs()
    monkeypatch.setattr(charts, "is_available", lambda: False)
    assert run("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr", "--report", "out.html")[0] == 0
    page = Path("out.html").read_text(encoding="utf-8")
    assert "<svg" not in page and "need matplotlib" in page and page.count('class="slider"') == 3


def test_a_command_as_a_peer(run: Run, make_pairs: MakePairs):
    make_pairs()
    Path("peer.py").write_text(COPY)
    arguments = ("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr", "--json", "--peer-cmd")
    code, out, _ = run(*arguments, f"copy={sys.executable} peer.py {{in}} {{out}}")
    first, _, third = (json.loads(line) for line in out.splitlines())
    assert code == 0 and third["method"] == "copy" and third["means"] == pytest.approx(first["means"])

    code, out, _ = run(*arguments, f"copy={sys.executable} peer.py {{in}} {{out}} {'long' * 2000}")
    assert code == 0 and json.loads(out.splitlines()[2])["method"] == "copy"

    Path("peer.py").write_text("import sys; sys.exit('no weights')")
    code, out, err = run(*arguments, f"bad={sys.executable} peer.py {{in}} {{out}}")
    assert code == 1 and err.count("peer bad ended with exit code 1: no weights") == 3
    assert [json.loads(line)["method"] for line in out.splitlines()] == ["input", "denoise-s"]

    Path("peer.py").write_text("import sys; open(sys.argv[2], 'w').write('no picture')")
    code, _, err = run(*arguments, f"bad={sys.executable} peer.py {{in}} {{out}}")
    assert code == 1 and err.count("peer bad wrote a file that is not a picture") == 3


def test_a_sigma_given_twice_is_measured_once(run: Run, make_pairs: MakePairs):
    make_pairs()
    command = ("--dataset", "my-pairs", "--task", "denoise", "--metrics", "psnr", "--model", "none", "--json")
    (record,) = map(json.loads, run(*command, "--sigma", "25", "--sigma", "25")[1].splitlines())
    assert record["pictures"] == 3


def test_speed_uses_an_option_or_refuses_it(run: Run):
    used = "task model device threads steps ensemble sizes as_json quiet speed list_sets".split()
    ignored = [option for option in get_command(app).commands["bench"].params if option.name not in used]  # type: ignore[attr-defined]
    assert len(ignored) > 15
    for option in ignored:
        words = [option.opts[0]] if option.is_flag else [option.opts[0], VALUES.get(option.name, "x")]
        code, out, err = run("--speed", "--sizes", "0.01", *words)
        assert (code, out) == (2, "") and f"--speed cannot go with {option.opts[0]}: " in err, option.name


def test_speed_of_an_ensemble(run: Run):
    code, out, _ = run("--speed", "--sizes", "0.01", "--steps", "1", "--ensemble", "4")
    assert code == 0 and "1 step, mean of 4 mirror images: " in out
    code, out, _ = run("--speed", "--sizes", "0.01", "--steps", "1", "--ensemble", "2", "--json")
    assert code == 0 and json.loads(out)["ensemble"] == 2


def test_memory_is_measured_in_another_process(run: Run, make_pairs: MakePairs):
    make_pairs(count=1)
    _, out, _ = run("--dataset", "my-pairs", "--task", "low-light", "--baseline", "lime", "--memory", "--json")
    peaks = [json.loads(line)["peak_bytes"] for line in out.splitlines()]
    assert peaks[0] is None and all(2e7 < peak < 1e9 for peak in peaks[1:])


def test_the_list_and_the_alias(run: Run, capsys: pytest.CaptureFixture[str]):
    assert "LIME" in run("--list")[1]
    assert main(["benchmark", "--list"]) == 0 and "LIME" in capsys.readouterr().out
