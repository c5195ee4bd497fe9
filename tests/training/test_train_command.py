"""What `restorect train` says, and what it leaves on the disk, when things go wrong."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.photographs import picture, save

from restorect_cli.cli.app import main
from restorect_cli.training import loop
from restorect_cli.training.data import PairStream
from restorect_cli.training.loop import Trainer

RECIPE = """
task = "low-light"
net = "tiny"
iterations = 6
batch = 2
crop_px = 32
warmup = 2
validate_every = 6
log_every = 2
consistency = "cheap"

[[source]]
folder = "pairs"
degrade = "pair"
weight = 1
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Train = Callable[..., Result]


@pytest.fixture
def train(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the command on r.toml, data/ and run/ in the folder we are in: train("--resume")."""
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(RECIPE)

    def train(*arguments: str, form: Sequence[str] = ("r.toml", "-o", "run"), data: str = "data") -> Result:
        capsys.readouterr()
        code = main(["train", *form, "--data", data, "--threads", "1", *arguments])
        return Result(code, *capsys.readouterr())

    return train


def only(folder: Path, count: int) -> None:
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()


def one_pair() -> None:
    only(Path("data/pairs/input"), 1)
    only(Path("data/pairs/target"), 1)


def no_pairs() -> None:
    only(Path("data/pairs/input"), 0)
    only(Path("data/pairs/target"), 0)


def edited(old: str, new: str) -> Callable[[], None]:
    return lambda: Path("r.toml").write_text(RECIPE.replace(old, new)) and None


def one_photograph() -> None:
    only(Path("data/photos"), 1)
    edited('folder = "pairs"\ndegrade = "pair"', 'folder = "photos"\ndegrade = "darkness"')()


def one_scene() -> None:
    for path in Path("data/pairs/target").iterdir():
        save(picture(1), path)


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        (one_pair, 1, "data/pairs holds 1 usable pictures"),
        (no_pairs, 1, "data/pairs holds 0 usable pictures"),
        (one_photograph, 1, "data/photos holds 1 usable pictures"),
        (one_scene, 1, "all training pictures show one scene"),
        (lambda: Path("data/pairs/input/20.png").write_bytes(b"no"), 1, "cannot read training picture"),
        (lambda: save(picture(1, 40, 40), Path("data/pairs/input/20.png")), 1, "20.png and its target differ in size"),
        (lambda: Path("data/pairs/input/20.png").unlink(), 1, "1 files have no partner, first '20'"),
        (
            lambda: Path("data/pairs").rename("data/other"),
            1,
            "data lacks folders that the recipe names: pairs",
        ),
        (lambda: Path("data/pairs/input").rename("data/other"), 1, "no such data folder data/pairs/input"),
        (lambda: Path("r.toml").unlink(), 1, "cannot read recipe r.toml"),
        (edited("batch", "bach"), 2, "r.toml, key 'bach'"),
        (edited('"tiny"', '"huge"'), 2, "r.toml, key 'net'"),
        (edited('"pair"', '"pear"'), 2, "r.toml, key 'source.0.degrade'"),
        (edited("[[source]]", "[[sauce]]"), 2, "r.toml, key 'source'"),
        (edited("iterations = 6", "iterations = 0"), 2, "r.toml, key 'iterations'"),
        (lambda: Path("r.toml").write_bytes(b"\xff\xfe"), 1, "cannot read recipe r.toml"),
        (edited('"cheap"', '"cheep"'), 2, "r.toml, key 'consistency'"),
        (edited('"cheap"', '"full"\nconsistency_steps = [1]'), 2, "r.toml, key 'consistency_steps.0'"),
        (edited("batch = 2", "batch = [2"), 2, "r.toml is not valid TOML"),
        (edited("crop_px = 32", "crop_px = 512"), 1, "0 usable pictures"),
        (edited("warmup = 2", "warmup = 0\nlearning_rate = 1e30"), 1, "is not a number at iteration"),
        (lambda: Path("run").write_text("a file"), 1, "cannot write to run"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(train: Train, before: Callable[[], None], code: int, said: str):
    before()
    result = train()
    assert (result.code, len(result.err.splitlines())) == (code, 1), result.err
    assert said in result.err and "Traceback" not in result.err
    assert not Path("run/checkpoint.pt").exists()


def test_every_way_a_picture_can_be_cut_short_is_told(train: Train):
    path = Path("data/pairs/input/20.png")
    for suffix in (".png", ".jpg", ".bmp"):
        other = path.with_suffix(suffix)
        Image.open("data/pairs/target/20.png").save(other)
        whole = other.read_bytes()
        path.unlink(missing_ok=True)
        for length in (0, 7, 30, 60, len(whole) // 2):
            other.write_bytes(whole[:length])
            result = train()
            assert result.code == 1 and f"cannot read training picture {other}" in result.err
            assert len(result.err.splitlines()) == 1
        other.unlink()


@pytest.fixture
def stopped(train: Train) -> bytes:
    """The checkpoint of a run that stopped after one of its iterations."""
    assert train("--time-limit", "0").code == 0
    return Path("run/checkpoint.pt").read_bytes()


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """No file may grow beyond so much: the system's own error, met by torch, safetensors and Python alike."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("free_bytes", "said"),
    [(100, "cannot write"), (100_000, "cannot write a checkpoint to run, an earlier one is untouched")],
)
def test_a_full_disk_costs_nothing_that_was_saved(train: Train, stopped: bytes, free_bytes: int, said: str):
    weights = Path("run/ema.safetensors").read_bytes()
    with full_disk(free_bytes):
        result = train("--resume")
    assert result.code == 1 and said in result.err.splitlines()[-1] and result.err.count("error") == 1
    assert Path("run/checkpoint.pt").read_bytes() == stopped and Path("run/ema.safetensors").read_bytes() == weights
    assert Path("run/recipe.json").read_text().startswith("{") and not list(Path("run").glob("*.part"))
    assert train("--resume").code == 0


def other_weights() -> None:
    state = torch.load("run/checkpoint.pt", weights_only=True)
    state["model"].popitem()
    torch.save(state, "run/checkpoint.pt")


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        (edited("batch = 2", "batch = 3"), 2, "run was trained with another recipe, with another batch"),
        (
            edited("batch = 2", 'batch = 2\noptimiser = "adamw"'),
            2,
            "another recipe, with another optimiser",
        ),
        (edited('net = "tiny"', 'net = "s"'), 2, "run was trained with another recipe, with another net"),
        (lambda: Path("run/checkpoint.pt").write_bytes(b"no"), 1, "cannot read checkpoint run/checkpoint.pt"),
        (lambda: Path("run/checkpoint.pt").unlink(), 1, "nothing to resume in run"),
        (other_weights, 1, "checkpoint run/checkpoint.pt does not fit the net 'tiny'"),
    ],
)
def test_what_cannot_be_resumed_is_left_alone(
    train: Train, stopped: bytes, before: Callable[[], None], code: int, said: str
):
    before()
    kept = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    result = train("--resume")
    assert (result.code, len(result.err.splitlines())) == (code, 1) and said in result.err
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == kept


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    train: Train, stopped: bytes, monkeypatch: pytest.MonkeyPatch
):
    """The disk fills up while training goes on: the first checkpoint that is due meets it."""

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(torch, "save", full)
    result = train("--resume")
    assert result.code == 1 and len(result.err.splitlines()) == 1
    assert "cannot write a checkpoint to run, an earlier one is untouched: free some space, then --resume" in result.err
    assert Path("run/checkpoint.pt").read_bytes() == stopped and not list(Path("run").glob("*.part"))


def test_weights_that_are_not_a_number_leave_the_checkpoint(
    train: Train, stopped: bytes, monkeypatch: pytest.MonkeyPatch
):
    batch = PairStream.batch

    def spoilt(self: PairStream, iteration: int, rank: int, ranks: int) -> object:
        made = batch(self, iteration, rank, ranks)
        made.x[0, 0, 0, 0] = float("nan")
        return made

    monkeypatch.setattr(PairStream, "batch", spoilt)
    result = train("--resume")
    said = "the loss is not a number at iteration 1: the checkpoint in run is from before"
    assert result.code == 1 and said in result.err and len(result.err.splitlines()) == 1
    assert Path("run/checkpoint.pt").read_bytes() == stopped


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_folder_that_cannot_be_written(train: Train):
    result = train(form=("r.toml", "-o", "/proc/run"))
    assert result.code == 1 and "cannot write to /proc/run" in result.err and len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        (["--recipe", "r.toml"], 0, "low-light, student-tiny: recipe r.toml, run runs/r\n"),
        (["r.toml", "--task", "low-light", "--net", "tiny"], 0, "recipe r.toml, run runs/r\n"),
        (["r.toml", "--net", "student-tiny"], 0, "recipe r.toml, run runs/r\n"),
        (["r.toml", "--recipe", "r.toml"], 2, "two recipes are named, r.toml and r.toml"),
        (["r.toml", "--task", "derain"], 2, "recipe r.toml is for low-light, not derain"),
        (["r.toml", "--net", "m"], 2, "recipe r.toml trains student-tiny, not student-m"),
        (["--task", "deblur"], 2, "'deblur' is not one of 'low-light'"),
        (["--task", "derain", "--net", "huge"], 2, "'huge' is not one of 'student-s'"),
        ([], 2, "no recipe is named and the data folder holds none: say --task"),
        (["denoise-x"], 2, "unknown recipe 'denoise-x'"),
        (["r.toml", "--init", "absent"], 1, "cannot start from absent"),
        (["r.toml", "--init", "absent", "--resume"], 2, "name different weights to start from: leave one out"),
        (["r.toml", "--time-limit", "-1"], 2, "--time-limit"),
    ],
)
def test_forms_of_the_command(train: Train, form: list[str], code: int, said: str):
    result = train(form=form)
    assert result.code == code and said in result.err and "Traceback" not in result.err
    assert Path("runs/r/checkpoint.pt").exists() == (code == 0)


def test_a_task_alone_takes_the_shipped_recipe_and_says_what_it_needs(train: Train):
    result = train(form=["--task", "denoise", "--net", "tiny"])
    chosen, warning, error = result.err.splitlines()
    assert chosen == "denoise, student-tiny: recipe denoise-s, run runs/denoise-tiny"
    assert "Train denoise-s-first then denoise-s-second then denoise-s-third first" in warning
    assert "then --init runs/denoise-s-third/ema.safetensors" in warning
    assert "data lacks folders that the recipe names: clean, denoise/PolyU_train" in error and result.code == 1


def test_pairs_of_degrade_train_at_once(train: Train):
    assert main(["degrade", "data/photos", "--task", "derain", "-o", "pairs"]) == 0
    result = train("--net", "tiny", "--time-limit", "0", form=(), data="pairs")
    assert result.out == "runs/derain-tiny: stopped at iteration 1 of 1000; continue with --resume\n"
    assert Path("runs/derain-tiny/ema.safetensors").is_file()


def test_a_run_is_not_started_over(train: Train, stopped: bytes):
    result = train()
    assert result.code == 2 and "run already holds a run: continue it with --resume" in result.err
    assert Path("run/checkpoint.pt").read_bytes() == stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_goes_on(train: Train, monkeypatch: pytest.MonkeyPatch, number: signal.Signals):
    batch = PairStream.batch

    due = [2]

    def interrupted(self: PairStream, iteration: int, rank: int, ranks: int) -> object:
        if iteration in due:
            due.clear()
            signal.raise_signal(number)
        return batch(self, iteration, rank, ranks)

    before = signal.getsignal(number)
    monkeypatch.setattr(PairStream, "batch", interrupted)
    result = train()
    assert signal.getsignal(number) is before
    line = "restorect: error: interrupted at iteration 3 of 6, everything is saved in run: continue with --resume\n"
    assert (result.code, result.err) == (130, line)
    assert Path("run/loss.png").is_file()
    assert train("--resume").code == 0
    parts = torch.load("run/checkpoint.pt", weights_only=True)
    Path("run").rename("parts")
    assert train().code == 0
    whole = torch.load("run/checkpoint.pt", weights_only=True)
    assert all(torch.equal(parts["model"][name], value) for name, value in whole["model"].items())


def test_a_second_interruption_stops_at_once(train: Train, stopped: bytes, monkeypatch: pytest.MonkeyPatch):
    def insistent(self: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "step", insistent)
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        result = train("--resume")
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert result.code == 130 and "interrupted" in result.err
    assert Path("run/checkpoint.pt").read_bytes() == stopped


def test_a_dry_run_tells_the_plan_and_writes_nothing(train: Train):
    result = train("--dry-run")
    assert result.code == 0 and "low-light: student-tiny " in result.out and "6 steps (all)" in result.out
    assert "hours on this device" in result.out and not Path("run").exists()


def test_a_dry_run_looks_for_the_pictures(train: Train):
    result = train("--dry-run", data="nosuch")
    assert (result.code, result.out) == (1, "") and "nosuch lacks folders that the recipe names: pairs" in result.err


def test_a_finished_run_has_its_plot_and_can_be_asked_again(train: Train):
    result = train()
    assert (result.code, result.out) == (0, "run: done\n")
    with Image.open("run/loss.png") as image:
        image.load()
    assert train("--resume").out == "run: done\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(train: Train):
    result = train("--device", "cuda")
    assert result.code == 3 and "needs a GPU" in result.err and len(result.err.splitlines()) == 1
