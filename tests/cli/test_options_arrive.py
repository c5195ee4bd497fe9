"""Every option of `enhance`, `batch` and `bench` is driven from the command line to what reaches network and writer."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.identity_students import write_student
from support.recording import Recording, record
from typer.main import get_command

from restorect_cli.bench import memory
from restorect_cli.cli.app import app
from restorect_cli.engine.options import RestoreOptions
from restorect_cli.images.picture import ReadOptions, WriteOptions

Run = Callable[..., Any]

HEIGHT, WIDTH = 90, 120
LONG_AGO = (1_000_000_000_000_000_000, 1_100_000_000_000_000_000)  # nanoseconds: of last access and last change

# option: what is given (None: a flag), and what is then seen. Nothing of this is a default.
GIVEN = {
    "model": ("./own/low-light-s", "own"),
    "steps": ("2", 2),
    "ensemble": ("4", 4),
    "strength": ("0.5", 0.5),
    "device": ("openvino", "openvino"),
    "threads": ("3", 3),
    "tile": ("64", True),
    "precision": ("int8", "int8"),
    "format": ("AVIF", "avif"),
    "quality": ("81", 81),
    "depth": ("16", 16),
    "strip": ("gps", "gps"),
    "keep_times": (None, True),
    "accept_truncated": (None, True),
    "half_size": (None, True),
}
OFFERED = {
    "enhance": GIVEN.keys() - {"precision"},
    "batch": GIVEN.keys() - {"precision"},
    "bench": {"model", "steps", "ensemble", "strength", "device", "threads", "precision"},
}


@pytest.fixture
def recording(run: Run, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """One photograph in photos/, the same as a pair in pairs/, and a model of one's own with an int8 graph.

    The photograph is bright: `--task auto` would not take it for low-light.
    """
    own = write_student(Path("own"), "low-light-s", kind="halve")
    write_student(Path("other"), "low-light-s", kind="reaching")
    (own / "velocity.int8.onnx").write_bytes(Path("other/low-light-s/velocity.onnx").read_bytes())
    pixels = np.random.default_rng(1).integers(90, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for folder in ("photos", "pairs/input", "pairs/target"):
        Path(folder).mkdir(parents=True)
        Image.fromarray(pixels).save(Path(folder) / "a.png")
    os.utime("photos/a.png", ns=LONG_AGO)
    return record(monkeypatch)


def seen(recording: Recording, weights: Path) -> dict[str, Any]:
    """What the last picture went through, known from what reached reader, networks and writer, and from the file."""
    graphs = {
        (weights / "low-light-s" / "velocity.onnx").read_bytes(): ("s", "fp32"),
        Path("own/low-light-s/velocity.onnx").read_bytes(): ("own", "fp32"),
        Path("own/low-light-s/velocity.int8.onnx").read_bytes(): ("own", "int8"),
    }
    model, precision = graphs[recording.fed[-1]["graph"]]
    last = [call for call in recording.fed if call["pixels"] == recording.fed[-1]["pixels"]]
    times = sorted({call["t"] for call in last}, reverse=True)
    # the second step of two begins at t = 1 − s·(1 − 0.2); a single step does not show where it ends in what it asks
    strength = round((1 - times[1]) / 0.8, 3) if len(times) == 2 else None
    (session,) = {(one["device"], one["threads"]) for one in recording.sessions}
    facts = {
        "model": model,
        "precision": precision,
        "steps": len(times),
        "strength": strength,
        "device": session[0],
        "threads": session[1],
        "tile": max(call["pixels"] for call in last) <= 64 * 64,
        "calls": [call["t"] for call in last].count(times[0]),  # for each tile as many as there are mirror images
    }
    if not recording.written:
        return facts
    result = max(Path("out").glob("a.*"), key=lambda path: path.stat().st_ctime_ns)
    facts["keep_times"] = result.stat().st_mtime_ns == LONG_AGO[1]
    return facts | recording.read[-1] | recording.written[-1]


def drive(run: Run, command: str, options: set[str]) -> Any:
    words = [word for name in sorted(options) for word in (f"--{name.replace('_', '-')}", GIVEN[name][0]) if word]
    arguments = {
        "enhance": ["photos/a.png", "--task", "low-light", "-o", "out/"],
        "batch": ["photos", "--task", "low-light", "--jobs", "1", "-o", "out", "--if-exists", "overwrite"],
        "bench": ["--dataset", "pairs", "--task", "low-light", "--metrics", "psnr"],
    }[command]
    extra = ["--overwrite"] if command == "enhance" else []
    result = run(command, *arguments, *extra, *words, "--json")
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.parametrize("command", OFFERED)
def test_every_option_arrives(run: Run, weights: Path, recording: Recording, command: str) -> None:
    drive(run, command, OFFERED[command])
    arrived = seen(recording, weights)
    wanted = {name: GIVEN[name][1] for name in OFFERED[command] - {"ensemble"}}
    assert {name: arrived[name] for name in wanted} == wanted
    mirrored = arrived["calls"]
    recording.clear()
    drive(run, command, OFFERED[command] - {"ensemble"})
    assert mirrored == 4 * seen(recording, weights)["calls"]

    recording.clear()
    drive(run, command, set())
    plain = seen(recording, weights)
    assert all(plain[name] != value for name, value in wanted.items()), "a default cannot show that an option arrived"


@pytest.mark.parametrize("command", OFFERED)
def test_no_option_is_left_out_here(command: str) -> None:
    """Whoever adds an option drives it above."""
    offered = {option.name for option in get_command(app).commands[command].params}  # type: ignore[attr-defined]
    known = {field.name for kind in (RestoreOptions, WriteOptions, ReadOptions) for field in fields(kind)} - {
        "overwrite"
    }
    assert known == GIVEN.keys()
    assert offered & known == OFFERED[command]


@pytest.mark.parametrize(
    "command", [["enhance", "photos/a.png", "-o", "out/", "--overwrite"], ["batch", "photos", "-o", "out"]]
)
@pytest.mark.parametrize("strength", [0.25, 0.5])
def test_strength_of_a_single_step_shows_in_the_file(
    run: Run, recording: Recording, command: list[str], strength: float
) -> None:
    """A network that predicts half of what it sees leaves 1 − s/2 of every value."""
    words = ["--task", "low-light", "--model", "./own/low-light-s", "--strength", str(strength)]
    assert run(*command, *words).code == 0
    before, result = (np.asarray(Image.open(name), np.float32) for name in ("photos/a.png", "out/a.png"))
    assert np.abs(result - (1 - strength / 2) * before).max() <= 0.51


def test_memory_of_bench_is_measured_with_the_same_options(
    run: Run, weights: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    real = memory.subprocess.run

    def note(words: Any, *, input: str, **options: Any) -> Any:
        orders.append(json.loads(input))
        with monkeypatch.context() as child, redirect_stdout(io.StringIO()):  # what the other process does, done here
            child.setattr("sys.stdin", io.StringIO(input))
            recording.clear()
            memory.main()
        return real(words, input=input, **options)

    monkeypatch.setattr(memory.subprocess, "run", note)
    words = ["--dataset", "pairs", "--task", "low-light", "--metrics", "psnr", "--memory", "--json", "--threads", "3"]
    words += ["--model", "./own/low-light-s", "--steps", "2", "--ensemble", "4", "--strength", "0.5", "--device", "cpu"]
    result = run("bench", *words, "--precision", "int8")
    wanted = RestoreOptions("./own/low-light-s", 2, 4, 0.5, "cpu", 3, None, "int8")
    (order,) = orders
    assert (order["task"], RestoreOptions(**order["options"])) == ("low-light", wanted)
    arrived = seen(recording, weights)
    wanted_there = {"model": "own", "precision": "int8", "steps": 2, "strength": 0.5, "device": "cpu", "threads": 3}
    assert {name: arrived[name] for name in wanted_there} == wanted_there and arrived["calls"] == 4
    record = json.loads(result.out.splitlines()[-1])
    assert record["peak_bytes"] > 1e7
    told = (record["steps"], record["ensemble"], record["strength"], record["precision"], record["threads"])
    assert told == (2, 4, 0.5, "int8", 3)


def test_speed_of_bench_is_that_of_the_options(
    run: Run, weights: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorect_cli.bench.speed.matrix_rate", lambda threads: 1e9)
    monkeypatch.setattr("restorect_cli.bench.speed.operations_per_megapixel", lambda velocity: None)
    peaks = []
    monkeypatch.setattr("restorect_cli.bench.speed.peak_bytes", lambda *order: peaks.append(order[2]))
    words = ["--speed", "--sizes", "0.01", "--task", "low-light", "--json"]
    words += [
        word for name in ("model", "steps", "ensemble", "device", "threads") for word in (f"--{name}", GIVEN[name][0])
    ]
    result = run("bench", *words)
    assert result.code == 0, result.err
    sessions = {(one["device"], one["threads"]) for one in recording.sessions}
    assert sessions == {("openvino", 3)} and {call["t"] for call in recording.fed} == {1.0, 0.2}
    graphs = {Path(f"own/low-light-s/velocity{kind}.onnx").read_bytes() for kind in ("", ".int8")}
    assert {call["graph"] for call in recording.fed} == graphs
    assert {json.loads(line)["ensemble"] for line in result.out.splitlines()} == {4}
    assert {options.precision for options in peaks} == {"fp32", "int8"}  # both, since there is such a graph
    assert {(o.model, o.steps, o.ensemble, o.device, o.threads) for o in peaks} == {
        ("./own/low-light-s", 2, 4, "openvino", 3)
    }
