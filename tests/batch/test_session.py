"""One run of a batch without the command line: what it tells, counts, and when it stops."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home
from support.recording import record

from restorect_cli.batch import work
from restorect_cli.batch.leftovers import temporary_prefix
from restorect_cli.batch.run import Batch, BatchOptions, Event
from restorect_cli.batch.session import Session
from restorect_cli.batch.work import Work
from restorect_cli.errors import StoppedError
from restorect_cli.files import RepairSettings


class Heard:
    """A listener that keeps what it hears; `at` is called with each settled event."""

    def __init__(self, at=lambda event: None) -> None:
        self.begun: list[str] = []
        self.events: list[Event] = []
        self.busy_seconds: dict[str, float] | None = None
        self.stopped = False
        self._at = at

    def watching(self) -> None:
        raise AssertionError("nothing is watched")

    def beginning(self, work: Work) -> None:
        self.begun.append(work.item.source.name)

    def settled(self, event: Event) -> None:
        self.events.append(event)
        self._at(event)

    def stopping(self) -> None:
        self.stopped = True

    def ended(self, seconds: float, busy_seconds: dict[str, float]) -> None:
        self.busy_seconds = busy_seconds


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Four photographs, the second of which is none."""
    clean_home(tmp_path, monkeypatch, "denoise-s")
    (tmp_path / "in").mkdir()
    for name in "abcd":
        Image.fromarray(np.full((30, 40, 3), 99, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "b.png").write_text("no image")
    return Batch(BatchOptions(tmp_path / "in"), RepairSettings.of("denoise", device="cpu", threads=4))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes long enough for the run to hear of the image before."""
    at_once = work.restore

    def restore(*arguments: Any) -> Any:
        time.sleep(0.2)
        return at_once(*arguments)

    monkeypatch.setattr(work, "restore", restore)


def run(session: Session, batch: Batch, heard: Heard) -> None:
    with closing(batch.open()) as manifest:
        session.run(batch.plan(batch.images()), manifest, heard)


def test_everything_is_told_and_counted(batch: Batch) -> None:
    session, heard = Session(batch, jobs=1), Heard()
    run(session, batch, heard)
    assert heard.begun == ["a.png", "c.png", "d.png"] and set(heard.busy_seconds) == {"decode", "restore", "encode"}
    counts = session.summary
    assert (counts.restored, counts.failed, counts.skipped, session.left) == (3, 1, 0, 0)
    assert counts.megapixels == pytest.approx(3 * 30 * 40 / 1e6)

    session, heard = Session(batch, jobs=1), Heard()
    run(session, batch, heard)
    assert session.summary.skipped == 3 and heard.begun == [] and len(heard.events) == 4


def test_fail_fast_begins_nothing_more(batch: Batch, slow: None) -> None:
    session, heard = Session(batch, jobs=1, fail_fast=True), Heard()
    run(session, batch, heard)
    assert session.summary.failed == 1 and session.left > 0 and not heard.stopped


def test_an_interrupt_finishes_what_is_in_progress(batch: Batch) -> None:

    session, heard = Session(batch, jobs=1), Heard(lambda event: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)

    with pytest.raises((StoppedError, KeyboardInterrupt)):
        run(session, batch, heard)
    assert heard.stopped and signal.getsignal(signal.SIGINT) is before


def test_one_interrupt_leaves_what_was_not_begun(batch: Batch, slow: None) -> None:
    signals = iter([signal.SIGINT])
    session = Session(batch, jobs=1)
    with pytest.raises(StoppedError, match=r"interrupted, \d of 4 images are left"):
        run(session, batch, Heard(lambda event: [signal.raise_signal(number) for number in signals]))
    assert session.left > 0


def test_a_second_interrupt_stops_immediately(batch: Batch, slow: None) -> None:
    signals = iter([signal.SIGINT, signal.SIGINT])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(Session(batch, jobs=1), batch, Heard(lambda event: [signal.raise_signal(number) for number in signals]))
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_worker_that_died_left_is_swept_up(batch: Batch) -> None:
    """No process is killed here: the file is made as the first image is settled."""
    left = batch.output / f"{temporary_prefix('a.png')}xy.part"
    run(Session(batch, jobs=1), batch, Heard(lambda event: left.touch()))
    assert not left.exists() and (batch.output / "a.png").exists()


@pytest.mark.parametrize(("jobs", "threads"), [(1, 4), (2, 3), (None, 3), (4, 1)])
def test_images_at_once_share_the_threads(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, jobs: int | None, threads: int
) -> None:
    """Each image brings one thread, the network's pool adds the rest."""
    recording = record(monkeypatch)
    run(Session(batch, jobs=jobs), batch, Heard())
    assert {session["threads"] for session in recording.sessions} == {threads}
