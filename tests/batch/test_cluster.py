"""With a real scheduler and worker processes on loopback. Where the extra is missing there is nothing to test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home
from support.identity_students import write_student

from restorect_cli.batch import cluster as module
from restorect_cli.batch.cluster import Cluster
from restorect_cli.batch.plan import Item
from restorect_cli.batch.scan import Found
from restorect_cli.batch.work import Work
from restorect_cli.files import Repairer, RepairSettings

pytest.importorskip("distributed")

COUNT = 16
# A worker that dies with an image in hand, once: what a machine that loses power does.
FRAGILE_WORKER = """
import os, signal, sys
from pathlib import Path
import restorect_cli.batch.work as work
died = Path({marker!r})
def restore(item, repairer, decoded, real=work.restore):
    if item.source.name == "7.png" and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return real(item, repairer, decoded)
work.restore = restore
"""

# A worker whose network waits until it has been told to begin no more.
PATIENT_WORKER = """
import threading
import restorect_cli.batch.cluster as cluster
import restorect_cli.batch.work as work
told = threading.Event()
def begin_no_more(run, real=cluster._begin_no_more):
    real(run)
    told.set()
def restore(*arguments, real=work.restore):
    told.wait(30)
    return real(*arguments)
cluster._begin_no_more, work.restore = begin_no_more, restore
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        Image.fromarray(rng.integers(0, 200, (30, 40, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    (folder / "broken.jpg").write_text("no image")
    return folder


def batch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restorect_cli", "batch", "photos", "--task", "denoise", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def tree(folder: str) -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.name != ".restorect.jsonl")
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def facts(folder: str) -> dict[str, dict[str, object]]:
    """The last word of the manifest on each image, but for times."""
    lines = [json.loads(line) for line in (Path(folder) / ".restorect.jsonl").read_text().splitlines()]
    timeless = [
        {name: value for name, value in line.items() if name not in ("seconds", "output_mtime_ns")} for line in lines
    ]
    return {str(line["input"]): line for line in timeless}


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Address of a scheduler with two worker processes, one of which dies at the eighth image."""
    preload = tmp_path / "fragile.py"
    preload.write_text(FRAGILE_WORKER.format(marker=str(tmp_path / "died")))
    environment = {**os.environ, "DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0"}
    script = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    started = [subprocess.Popen(script, stderr=subprocess.PIPE, text=True, env=environment)]
    try:
        address = next(match[0] for line in started[0].stderr if (match := re.search(r"tcp://127.0.0.1:\d+", line)))
        for _ in range(2):
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
            worker += ["--no-dashboard", "--preload", str(preload), "--local-directory", str(tmp_path)]
            started.append(subprocess.Popen(worker, stderr=subprocess.DEVNULL, env=environment))
        yield address
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_same_as_on_one_machine_though_a_worker_dies(photos: Path, scheduler: str, tmp_path: Path) -> None:
    own = write_student(tmp_path / "own", "denoise-s", kind="halve")
    options = ["--model", str(own), "--steps", "2", "--strength", "0.5", "--format", "tiff", "--depth", "16"]
    there = batch("-o", "there", "--scheduler", scheduler, *options)
    here = batch("-o", "here", *options)
    assert (tmp_path / "died").exists()
    assert (there.returncode, here.returncode) == (1, 1), there.stderr
    assert f"{COUNT} restored, 0 skipped, 1 failed" in there.stderr and "broken.jpg" in there.stderr
    assert re.search("slowest stage: (decode|restore|encode)$", there.stderr.strip())
    assert tree("there") == tree("here") and len(tree("here")) == COUNT
    assert facts("there") == facts("here")


def test_stopping_drops_what_no_worker_has_begun(photos: Path, tmp_path: Path) -> None:
    import dask.config

    (tmp_path / "patient.py").write_text(PATIENT_WORKER)
    items = [Item(Found(path.name), path.name, "restore") for path in sorted(photos.glob("*.png"))]
    todo = [Work(item, photos / item.output, tmp_path / "out" / item.output) for item in items]
    sent: list[Work] = []
    announced: list[Work] = []
    dropped: list[Work] = []
    stopping = threading.Event()

    def announce(work: Work) -> None:
        announced.append(work)
        stopping.set()

    with dask.config.set({"distributed.worker.preload": [str(tmp_path / "patient.py")]}):
        settings, folders = RepairSettings("denoise"), [str(photos)]
        cluster = Cluster("local:1", settings, folders, sent.append, stopping, announce, dropped.append)
    results = list(cluster.run(iter(todo)))
    assert sent == todo[:2] and announced == todo[:1] and dropped == todo[1:2]
    assert [result.work for result in results] == todo[:1] and results[0].outcome
    assert [path.name for path in (tmp_path / "out").iterdir()] == [todo[0].source.name]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_workers_started_here_and_ctrl_c(photos: Path) -> None:
    """The terminal sends Ctrl-C to the workers as well; the images in hand are finished nevertheless."""
    command = [sys.executable, "-m", "restorect_cli", "batch", "photos", "-o", "out", "--scheduler", "local:2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 60
    while not list(Path("out").glob("*.png")) and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    done = len(list(Path("out").glob("*.png")))
    assert done == len(out.splitlines()) and not list(Path("out").glob("*.part")), err
    assert (process.returncode, done < COUNT) in ((130, True), (1, False)), err
    assert all(line["status"] != "started" for line in facts("out").values())  # those sent away are called off
    assert "Traceback" not in err


def test_what_a_worker_wrote_before_it_died_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file has taken its name, but nobody was told: the next worker finds it there."""
    clean_home(tmp_path, monkeypatch, "denoise-s")
    monkeypatch.setattr(module, "_report_begun", lambda run: None)
    monkeypatch.setattr(module, "_repairer", Repairer)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"of the first worker")
    work = Work(Item(Found("a.png"), "b.png", "restore"), tmp_path / "a.png", tmp_path / "b.png")
    result = module._do(work, RepairSettings.of("denoise", device="cpu", threads=1), "run")
    assert result.error is None and (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")  # type: ignore[union-attr]
