from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.identity_students import write_student

from restorect_cli.batch.leftovers import temporary_prefix

Run = Callable[..., Any]


@pytest.fixture
def photos(weights: Path) -> Path:
    """photos/ with three images, one of them in a folder, one broken, and a stray file."""
    rng = np.random.default_rng(1)
    Path("photos/trip").mkdir(parents=True)
    for name in ("a.png", "trip/b.jpg"):
        Image.fromarray(rng.integers(90, 200, size=(30, 40, 3), dtype=np.uint8)).save(Path("photos") / name)
    Image.fromarray(np.full((30, 40, 3), 12, np.uint8)).save("photos/dark.png")
    Path("photos/broken.jpg").write_text("no image")
    Path("photos/notes.txt").write_text("stray")
    return Path("photos")


def results(folder: str = "photos-restored") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def statuses(result: Any) -> dict[str, str]:
    return {Path(record["input"]).name: record["status"] for record in records(result.out)}


def test_a_folder(run: Run, photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    result = run("batch", "photos", "-r")
    assert result.code == 1 and results() == [".restorect.jsonl", "a.png", "dark.png", "trip/b.jpg"]
    assert "photos/a.png -> photos-restored/a.png  (denoise-s, 1 step, cpu" in result.out
    assert "photos/dark.png: low-light, because " in result.err
    errors = [line for line in result.err.splitlines() if "error" in line]
    assert len(errors) == 1 and "photos/broken.jpg" in errors[0] and "not an image" in errors[0]
    assert "3 restored, 0 skipped, 1 failed in " in result.err and "slowest stage: " in result.err
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before


def test_times_are_kept_where_asked_for(run: Run, photos: Path) -> None:
    os.utime(photos / "a.png", (1_000_000_000, 1_100_000_000))
    assert run("batch", "photos", "--keep-times", "--json").code == 1
    assert Path("photos-restored/a.png").stat().st_mtime == 1_100_000_000
    again = run("batch", "photos", "--json")
    assert statuses(again)["a.png"] == "skipped"  # the same picture
    assert run("enhance", "photos/a.png", "-o", "one.png", "--keep-times", "--quiet").code == 0
    assert Path("one.png").stat().st_mtime == 1_100_000_000


def test_json_and_what_is_skipped(run: Run, photos: Path) -> None:
    result = run("batch", "photos", "-r", "--json", "-o", "out")
    assert statuses(result) == {"a.png": "done", "dark.png": "done", "b.jpg": "done", "broken.jpg": "failed"}
    times = {name: (Path("out") / name).stat().st_mtime_ns for name in results("out")[1:]}
    again = run("batch", "photos", "-r", "--json", "-o", "out")
    assert statuses(again) == {"a.png": "skipped", "dark.png": "skipped", "b.jpg": "skipped", "broken.jpg": "failed"}
    assert again.code == 1 and "--retry-failed" in again.err
    assert {name: (Path("out") / name).stat().st_mtime_ns for name in times} == times


def test_manifest_tells_all(run: Run, photos: Path) -> None:
    run("batch", "photos", "--manifest", "log/m.jsonl")
    lines = {(line["input"], line["status"]): line for line in records(Path("log/m.jsonl").read_text())}
    assert set(lines) == {(n, s) for n in ("a.png", "dark.png") for s in ("started", "done")} | {
        ("broken.jpg", "failed")
    }
    done, failed = lines["a.png", "done"], lines["broken.jpg", "failed"]
    assert done["task"] == "denoise" and len(done["model_hash"]) == len(done["settings"]) == 64 and done["seconds"] > 0
    assert done["output_bytes"] == Path("photos-restored/a.png").stat().st_size
    assert failed["error_type"] == "InputError" and "not an image" in failed["error"]


def test_changed_settings_and_inputs_are_noticed(run: Run, photos: Path, tmp_path: Path) -> None:
    model = str(write_student(tmp_path / "own", "denoise-s", kind="halve"))
    run("batch", "photos", "--model", model)
    half = Path("photos-restored/a.png").read_bytes()
    Image.fromarray(np.full((30, 40, 3), 99, np.uint8)).save("photos/a.png")
    assert statuses(run("batch", "photos", "--model", model, "--json")) == {
        **{"a.png": "done", "dark.png": "skipped", "broken.jpg": "failed"}
    }
    assert Path("photos-restored/a.png").read_bytes() != half
    assert statuses(run("batch", "photos", "--model", model, "--strength", "0.5", "--json"))["dark.png"] == "done"


def test_file_repaired_since_is_tried_again(run: Run, photos: Path) -> None:
    run("batch", "photos")
    Image.fromarray(np.full((30, 40, 3), 99, np.uint8)).save("photos/broken.jpg")
    result = run("batch", "photos")
    assert result.code == 0 and "1 restored, 2 skipped, 0 failed" in result.err


def test_retry_failed(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("batch", "photos")
    times = os.stat("photos/broken.jpg")
    Path("photos/broken.jpg").write_text("no omage")  # the same size
    os.utime("photos/broken.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "in an earlier run" in run("batch", "photos").err
    assert "in an earlier run" not in run("batch", "photos", "--retry-failed").err


def test_dry_run_writes_nothing(run: Run, photos: Path) -> None:
    Image.new("RGB", (8, 8)).save("photos/a.bmp")
    result = run("batch", "photos", "-r", "--dry-run")
    assert "restore: photos/trip/b.jpg -> photos-restored/trip/b.jpg\n" in result.out
    assert "fail: photos/a.bmp  (a.png becomes a.png too" in result.out
    assert "4 to restore, 0 to skip, 1 cannot be done" in result.err and result.code == 1
    assert not Path("photos-restored").exists()


def test_output_folder_inside_the_input(run: Run, photos: Path) -> None:
    for _ in range(2):
        run("batch", "photos", "-r", "-o", "photos/out")
    assert results("photos/out") == [".restorect.jsonl", "a.png", "dark.png", "trip/b.jpg"]


def test_originals_are_never_the_output(run: Run, photos: Path) -> None:
    result = run("batch", "photos", "-o", "photos/../photos", "--if-exists", "overwrite")
    assert result.code == 2 and "originals" in result.err
    Path("out").mkdir()
    Path("out/trip").symlink_to(Path("photos/trip").resolve())
    before = Path("photos/trip/b.jpg").read_bytes()
    result = run("batch", "photos", "-r", "-o", "out", "--if-exists", "overwrite")
    assert "is itself an original" in result.err and Path("photos/trip/b.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["absent"], 1, "there is no folder absent"),
        ([""], 2, "name is empty"),
        (["photos", "-o", ""], 2, "name is empty"),
        (["photos", "--include", "*.jpgg"], 1, "check --include"),
        (["photos", "--name", "{stem}.xyz"], 2, "'.xyz' files cannot be written"),
        (["photos", "--name", "{stem}.jpg", "--format", "png"], 2, "--format says png"),
        (["photos", "--scheduler", "local:0"], 2, "local:4"),
        (["photos/a.png"], 1, "use restorect enhance"),
        (["photos", "--shard", "9/8"], 2, "3/8"),
        (["photos", "--if-exists", "maybe"], 2, "is not one of 'skip'"),
        (["photos", "--ensemble", "3"], 2, "is not one of '1', '2', '4'"),
        (["photos", "--name", "{x}"], 2, "template"),
        (["photos", "--task", "derain"], 3, "derain-s"),
        (["photos", "--watch", "--dry-run"], 2, "--watch"),
        (["photos", "--scheduler", "nonsense"], 2, "tcp://host:8786"),
        (["photos", "-o", "photos/a.png"], 1, "cannot make the folder"),
    ],
)
def test_what_cannot_work_is_one_line(run: Run, photos: Path, arguments: list[str], code: int, says: str) -> None:
    Path("photos/broken.jpg").unlink()
    result = run("batch", *arguments)
    assert result.code == code and says in result.err.splitlines()[-1]
    assert [line for line in result.err.splitlines() if "error" in line] == result.err.splitlines()[-1:]
    assert set(results()) <= {".restorect.jsonl"}


def test_nothing_to_restore_is_said_and_leaves_nothing(run: Run, photos: Path) -> None:
    Path("empty/trip").mkdir(parents=True)
    result = run("batch", "empty")
    assert result.code == 1 and "give -r to include its folders" in result.err and not Path("empty-restored").exists()
    assert run("batch", "empty", "-r", "--dry-run").code == 1
    assert run("batch", "photos", "--shard", "9999/99999").code == 0  # others have something


def test_permission_given_later_needs_no_retry_failed(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File modes would not do: root passes them by, and Windows has none."""

    real = Path.open

    def denied(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == photos / "a.png":
            raise PermissionError
        return real(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", denied)
        assert "photos/a.png, permission denied" in run("batch", "photos").err
    assert "1 restored, 1 skipped, 1 failed" in run("batch", "photos").err


def test_names_that_would_steer_a_terminal(run: Run, photos: Path) -> None:
    name = "two\nlines\x1b[2J.png"
    (photos / "a.png").rename(photos / name)
    for result in (run("batch", "photos", "--dry-run"), run("batch", "photos")):
        assert "\x1b" not in result.out + result.err and r"photos/two\nlines\x1b[2J.png" in result.out


def test_failures_tell_such_names_too(run: Run, photos: Path) -> None:
    (photos / "broken.jpg").rename(photos / "bad\nname  1.jpg")
    assert r"photos/bad\nname  1.jpg" in run("batch", "photos").err
    assert r"photos/bad\nname  1.jpg" in run("batch", "photos").err  # told of an earlier run


def test_missing_extra_is_one_line(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorect_cli.batch.cluster.find_spec", lambda name: None)
    result = run("batch", "photos", "--scheduler", "local:2")
    assert result.code == 2 and "pip install '.[cluster]'" in result.err


def test_fail_fast(run: Run, photos: Path) -> None:
    for index in range(40):
        Image.new("RGB", (8, 8)).save(f"photos/later-{index}.png")
    result = run("batch", "photos", "--fail-fast", "--jobs", "1")
    assert result.code == 1 and len(results()) < 30
    assert re.search(r"1 failed, \d+ left in ", result.err)


def test_existing_files(run: Run, photos: Path) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"mine")
    assert statuses(run("batch", "photos", "-o", "out", "--json"))["a.png"] == "skipped"
    assert "out/a.png" not in run("batch", "photos", "-o", "out", "--if-exists", "rename").err
    assert Path("out/a.png").read_bytes() == b"mine" and Path("out/a-2.png").is_file()
    again = run("batch", "photos", "-o", "out", "--if-exists", "rename")
    assert "0 restored" in again.err and not Path("out/a-3.png").exists()
    Path("out/a-2.png").write_bytes(b"edited")
    for restored in (1, 0):
        again = run("batch", "photos", "-o", "out", "--if-exists", "rename")
        assert f"{restored} restored" in again.err and Path("out/a-2.png").read_bytes() == b"edited"
    assert "a.png exists already" in run("batch", "photos", "-o", "out", "--if-exists", "error").err


def test_shards_share_the_work(run: Run, photos: Path) -> None:
    for index in range(12):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(f"photos/{index}.png")
    parts = [set(statuses(run("batch", "photos", "--shard", f"{n}/3", "--json", "-o", "out"))) for n in (1, 2, 3)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 15
    assert "0 restored, 14 skipped" in run("batch", "photos", "-o", "out").err  # the whole knows what the parts did


def test_leftovers_of_killed_runs_go(run: Run, photos: Path) -> None:
    Path("photos-restored").mkdir()
    left = Path("photos-restored") / f"{temporary_prefix('gone.png')}xy.part"
    left.touch()
    run("batch", "photos", "--shard", "1/2")
    assert left.exists()  # perhaps another shard's
    run("batch", "photos")
    assert not left.exists()


def test_interrupted_image_is_made_anew(run: Run, photos: Path) -> None:
    """Killed between the rename and the line that says so."""
    run("batch", "photos")
    manifest = Path("photos-restored/.restorect.jsonl")
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if not ("a.png" in line and '"done"' in line)))
    whole = Path("photos-restored/a.png").read_bytes()
    Path("photos-restored/a.png").write_bytes(b"half")
    assert statuses(run("batch", "photos", "--json"))["a.png"] == "done"
    assert Path("photos-restored/a.png").read_bytes() == whole


def test_two_runs_at_once(run: Run, photos: Path) -> None:
    from restorect_cli.batch.manifest import RunManifest

    Path("photos-restored").mkdir()
    held = RunManifest(Path("photos-restored/.restorect.jsonl"))
    result = run("batch", "photos")
    held.close()
    assert result.code == 1 and "another run" in result.err


@pytest.fixture
def started(weights: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the program in a process of its own, and ends it after the test."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "restorect_cli", "batch", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_finishes_what_is_in_hand_and_says_how_to_go_on(
    started: Callable[..., subprocess.Popen[str]], photos: Path
) -> None:
    (photos / "broken.jpg").unlink()
    rng = np.random.default_rng(0)
    for index in range(300):
        Image.fromarray(rng.integers(0, 255, (90, 120, 3), np.uint8)).save(photos / f"{index}.png")
    process = started("photos", "--task", "denoise")
    wait_for(lambda: len(list(Path().glob("photos-restored/*.png"))) > 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again" in err.splitlines()[-1]
    done = len(list(Path("photos-restored").glob("*.png")))
    assert done == len(out.splitlines()) < 302 and not list(Path("photos-restored").glob("*.part"))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_watch(started: Callable[..., subprocess.Popen[str]], photos: Path) -> None:
    process = started("photos", "--watch", "--settle", "0.2", "--json")
    wait_for(lambda: Path("photos-restored/a.png").exists())
    data = (photos / "a.png").read_bytes()
    with (photos / "growing.png").open("wb") as file:
        for start in range(0, len(data), len(data) // 4):
            file.write(data[start : start + len(data) // 4])
            file.flush()
            time.sleep(0.05)
    wait_for(lambda: Path("photos-restored/growing.png").exists())
    Image.new("RGB", (8, 8), "red").save(photos / "a.png")  # changed: once more

    def is_small() -> bool:
        with Image.open("photos-restored/a.png") as image:
            return image.size == (8, 8)

    wait_for(is_small)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    done = [Path(record["input"]).name for record in records(out) if record["status"] == "done"]
    assert sorted(done) == ["a.png", "a.png", "dark.png", "growing.png"]
    assert process.returncode == 1  # for broken.jpg, reported once
    assert sum(record["status"] == "failed" for record in records(out)) == 1
