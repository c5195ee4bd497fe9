from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.clean_home import clean_home

from restorect_cli.batch import pipeline as pipelines
from restorect_cli.batch import work as steps
from restorect_cli.batch.pipeline import Pipeline, PixelBudget
from restorect_cli.batch.plan import Item
from restorect_cli.batch.scan import Found
from restorect_cli.batch.work import Result, Work
from restorect_cli.errors import DeviceError, DiskFullError, InputError, OutputError, UnavailableError
from restorect_cli.files import Repairer, RepairSettings


@pytest.fixture
def repairer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repairer:
    clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    return Repairer(RepairSettings.of("denoise", device="cpu", threads=1))


def works(folder: Path, count: int, broken: tuple[int, ...] = ()) -> list[Work]:
    """Images of changing size; the broken ones are text."""
    (folder / "in").mkdir()
    made = []
    for index in range(count):
        source = folder / "in" / f"{index}.png"
        if index in broken:
            source.write_text("no image")
        else:
            Image.fromarray(np.full((8 + index, 12, 3), index, np.uint8)).save(source)
        item = Item(Found(source.name), source.name, "restore")
        made.append(Work(item, source, folder / "out" / source.name))
    return made


def run(
    repairer: Repairer, todo: Iterator[Work] | list[Work], jobs: int = 2, stopping: threading.Event | None = None
) -> list[Result]:
    pipeline = Pipeline(repairer, jobs, lambda work: None, stopping or threading.Event())
    return list(pipeline.run(iter(todo)))


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_image_has_one_result(repairer: Repairer, tmp_path: Path, jobs: int) -> None:
    todo = works(tmp_path, 9, broken=(0, 4, 8))
    results = run(repairer, todo, jobs)
    assert sorted(result.work.source.name for result in results) == sorted(work.source.name for work in todo)
    assert {result.work.source.name for result in results if result.error} == {"0.png", "4.png", "8.png"}
    assert all(isinstance(result.error, InputError) for result in results if result.error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "1.png",
        "2.png",
        "3.png",
        "5.png",
        "6.png",
        "7.png",
    ]


def test_nothing_to_do(repairer: Repairer) -> None:
    assert run(repairer, []) == []


def test_started_is_told_before_the_file_is_there(repairer: Repairer, tmp_path: Path) -> None:
    there: list[bool] = []
    pipeline = Pipeline(repairer, 1, lambda work: there.append(work.target.exists()), threading.Event())
    assert len(list(pipeline.run(iter(works(tmp_path, 3, broken=(1,)))))) == 3
    assert there == [False, False]  # the broken one never came so far


def test_stages_overlap(repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decode waits until an earlier image is being restored, which would never come one after the other."""
    restoring = threading.Semaphore(1)
    real_decode, real_restore = steps.decode, steps.restore

    def decode(work: Work, repairer: Repairer) -> object:
        assert restoring.acquire(timeout=20)
        return real_decode(work, repairer)

    def restore(work: Work, repairer: Repairer, decoded: object) -> object:
        restoring.release()
        time.sleep(0.01)
        return real_restore(work, repairer, decoded)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "decode", decode)
    monkeypatch.setattr(steps, "restore", restore)
    assert all(result.outcome for result in run(repairer, works(tmp_path, 4), jobs=1))


def test_busy_seconds_name_the_slowest_stage(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = steps.encode

    def slow(*arguments: object) -> object:
        time.sleep(0.2)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "encode", slow)
    pipeline = Pipeline(repairer, 1, lambda work: None, threading.Event())
    results = list(pipeline.run(iter(works(tmp_path, 2))))
    assert max(pipeline.busy_seconds, key=lambda stage: pipeline.busy_seconds[stage]) == "encode"
    assert all(result.outcome and result.outcome.seconds >= 0.2 for result in results)


def test_stopping_finishes_what_is_in_hand(repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while the first one is being written and the second one is in the network."""
    stopping, second = threading.Event(), threading.Event()
    real_restore, real_encode = steps.restore, steps.encode

    def restore(work: Work, *arguments: object) -> object:
        if work.source.name == "1.png":
            second.set()
            assert stopping.wait(20)
        return real_restore(work, *arguments)  # type: ignore[arg-type]

    def encode(*arguments: object) -> object:
        assert second.wait(20)
        stopping.set()
        return real_encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "restore", restore)
    monkeypatch.setattr(steps, "encode", encode)
    results = run(repairer, works(tmp_path, 30), jobs=1, stopping=stopping)
    assert [result.work.source.name for result in results] == ["0.png", "1.png"]
    assert all(result.outcome for result in results)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


def test_stopping_drops_what_is_only_decoded(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while the first one is in the network and others wait decoded; with room for all of them."""
    stopping, decoded = threading.Event(), threading.Semaphore(0)
    real_decode, real_restore = steps.decode, steps.restore

    def decode(work: Work, repairer: Repairer) -> object:
        decoded.release()
        return real_decode(work, repairer)

    def restore(*arguments: object) -> object:
        assert decoded.acquire(timeout=20) and decoded.acquire(timeout=20)  # this one and the next
        stopping.set()
        return real_restore(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "decode", decode)
    monkeypatch.setattr(steps, "restore", restore)
    (result,) = run(repairer, works(tmp_path, 9), jobs=1, stopping=stopping)
    assert result.outcome and [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]


def test_announced_when_the_network_begins(repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    real = steps.restore

    def restore(work: Work, *arguments: object) -> object:
        told.append(f"{work.source.name} restored")
        return real(work, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "restore", restore)
    pipeline = Pipeline(
        repairer, 1, lambda work: None, threading.Event(), announce=lambda work: told.append(work.source.name)
    )
    list(pipeline.run(iter(works(tmp_path, 3, broken=(1,)))))
    assert told == ["0.png", "0.png restored", "2.png", "2.png restored"]


@pytest.mark.parametrize("stage", ["decode", "restore", "encode"])
def test_full_disk_or_lost_device_ends_the_run(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    real = getattr(steps, stage)

    def fail(work: Work, *arguments: object) -> object:
        if work.source.name == "3.png":
            raise DiskFullError("full")
        return real(work, *arguments)

    monkeypatch.setattr(steps, stage, fail)
    with pytest.raises(DiskFullError, match="full"):
        run(repairer, works(tmp_path, 60))
    done = [path.name for path in (tmp_path / "out").glob("*")]
    assert len(done) < 59 and not [name for name in done if name.startswith(".")]


def test_full_disk_ends_a_run_that_waits_for_files(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, waiting = threading.Event(), threading.Event()
    told: list[bool] = []

    def arrivals() -> Iterator[Work]:
        yield from works(tmp_path, 1)
        waiting.set()
        told.append(stopping.wait(20))

    def full(*_: object) -> object:
        assert waiting.wait(20)
        raise DiskFullError("full")

    monkeypatch.setattr(steps, "encode", full)
    with pytest.raises(DiskFullError, match="full"):
        run(repairer, arrivals(), stopping=stopping)
    assert told == [True]


def test_mistake_in_the_callback_is_not_swallowed(repairer: Repairer, tmp_path: Path) -> None:
    def started(work: Work) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Pipeline(repairer, 2, started, threading.Event()).run(iter(works(tmp_path, 20))))


@pytest.mark.parametrize("failure", [MemoryError(), ZeroDivisionError("by nought")])
def test_what_one_image_does_to_us_concerns_it_alone(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    real = repairer.restore

    def restore(view: object, *arguments: object) -> object:
        if view.height == 10:  # type: ignore[attr-defined]
            raise failure
        return real(view, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(repairer, "restore", restore)
    results = run(repairer, works(tmp_path, 6))
    (failed,) = [result for result in results if result.error]
    assert failed.work.source.name == "2.png" and str(failed.work.source) in str(failed.error)


def test_memory_of_the_device_concerns_one_image_but_a_lost_device_all(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object) -> object:
        raise DeviceError("memory") from MemoryError()

    def lost(*_: object) -> object:
        raise DeviceError("lost")

    todo = works(tmp_path, 2)
    monkeypatch.setattr(repairer, "restore", too_large)
    assert [type(result.error) for result in run(repairer, todo)] == [UnavailableError] * 2
    monkeypatch.setattr(repairer, "restore", lost)
    with pytest.raises(DeviceError, match="lost"):
        run(repairer, todo)


def test_existing_file_is_replaced_only_where_the_plan_says_so(repairer: Repairer, tmp_path: Path) -> None:
    """A file may appear between planning and writing."""
    (work,) = works(tmp_path, 1)
    work.target.parent.mkdir()
    work.target.write_bytes(b"somebody else's")
    (result,) = run(repairer, [work])
    assert isinstance(result.error, OutputError) and work.target.read_bytes() == b"somebody else's"
    (result,) = run(
        repairer, [Work(Item(work.item.source, work.item.output, "restore", replace=True), work.source, work.target)]
    )
    assert result.error is None and work.target.read_bytes()[1:4] == b"PNG"


def test_pixels_under_way_are_bounded(repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one pixel each image goes through alone."""
    inside, most, lock = 0, 0, threading.Lock()
    real_restore, real_encode = steps.restore, steps.encode

    def restore(*arguments: object) -> object:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        return real_restore(*arguments)  # type: ignore[arg-type]

    def encode(*arguments: object) -> object:
        nonlocal inside
        result = real_encode(*arguments)  # type: ignore[arg-type]
        with lock:
            inside -= 1
        return result

    monkeypatch.setattr(pipelines, "MOST_PIXELS", 1)
    monkeypatch.setattr(steps, "restore", restore)
    monkeypatch.setattr(steps, "encode", encode)
    assert len(run(repairer, works(tmp_path, 8), jobs=3)) == 8 and most == 1


def test_failed_images_give_their_pixels_back(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "MOST_PIXELS", 1)
    todo = works(tmp_path, 6)
    for work in todo:
        work.target.mkdir(parents=True)  # in the way
    assert all(result.error for result in run(repairer, todo))


def test_no_more_is_decoded_than_there_is_room_for(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one pixel: one picture in the network, one decoded and waiting."""
    decoded: list[str] = []
    most = 0
    real_decode, real_restore = steps.decode, steps.restore

    def decode(work: Work, repairer: Repairer) -> object:
        decoded.append(work.source.name)
        return real_decode(work, repairer)

    def restore(work: Work, *arguments: object) -> object:
        nonlocal most
        time.sleep(0.1)
        most = max(most, len(decoded) - decoded.index(work.source.name))
        return real_restore(work, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pipelines, "MOST_PIXELS", 1)
    monkeypatch.setattr(steps, "decode", decode)
    monkeypatch.setattr(steps, "restore", restore)
    assert len(run(repairer, works(tmp_path, 6), jobs=1)) == 6 and most == 2


def test_one_job_keeps_the_order(repairer: Repairer, tmp_path: Path) -> None:
    todo = works(tmp_path, 40)
    assert [result.work for result in run(repairer, todo, jobs=1)] == todo


def test_run_that_is_broken_off_does_not_wait_for_the_network(
    repairer: Repairer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C: neither does the pipeline, nor the interpreter at its end, nor is a file written later."""
    in_network, go_on = threading.Event(), threading.Event()
    real = steps.restore

    def restore(work: Work, *arguments: object) -> object:
        if work.source.name == "1.png":
            in_network.set()
            assert go_on.wait(20)
        return real(work, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "restore", restore)
    monkeypatch.setattr(pipelines, "_TIDY_SECONDS", 0.1)
    before = set(threading.enumerate())
    results = Pipeline(repairer, 1, lambda work: None, threading.Event()).run(iter(works(tmp_path, 5)))
    assert next(results).work.source.name == "0.png" and in_network.wait(20)
    results.close()
    left = set(threading.enumerate()) - before
    assert left and all(thread.daemon for thread in left)
    go_on.set()
    for thread in left:
        thread.join(20)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]


def test_budget_lets_a_giant_in_alone() -> None:
    budget, given_up = PixelBudget(10), threading.Event()
    budget.take(1000, given_up)
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (budget.take(1, given_up), entered.set()))
    thread.start()
    assert not entered.wait(0.05)
    budget.give_back(1000)
    assert entered.wait(5)
    thread.join()
